//! Sessions that wait and schedules that are due, while the process dies, storage fails, is away for hours, and the clock is set:
//! nothing fires early, nothing twice, and nothing is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use outlive_core::command::{Command, NewSignal, NewWait, Until, WaitCommand};
use outlive_core::content::{Failure, Reply, ReplyBlock, Request, StopReason, Usage};
use outlive_core::context::{Frame, FrameParts, Window};
use outlive_core::event::{Awaited, Entry, Event, Line, Overdue, RunCause};
use outlive_core::id::{AgentName, RequestId, ScheduleId, SessionId};
use outlive_core::policy::Policy;
use outlive_core::schedule::{Plan, Rule, Target};
use outlive_core::time::Timestamp;
use outlive_model::{Description, Model, Pending, Sink};
use outlive_runtime::Accepted;
use outlive_runtime::kit::{Aftermath, Card, Keeper, Kit, KitError, Kits, Terms, Voice, Voices};
use outlive_tools::Place;
use outlive_tools::registry::Toolbox;
use serde_json::json;

use crate::check;
use crate::hands::read_all;
use crate::rig::{Life, Rig, by};
use crate::rng::Rng;

pub struct Vigil {
    rig: Rig,
    sessions: Vec<SessionId>,
    acknowledged: BTreeMap<SessionId, Vec<(RequestId, Accepted)>>,
    asked: u64,
    /// Schedules that were answered to be there.
    planned: BTreeSet<ScheduleId>,
}

const HOUR: u64 = 3_600_000;

impl Vigil {
    pub fn new(seed: u64) -> Self {
        let sessions = (1..=3).map(SessionId::from_bits).collect();
        let rig = Rig::new(seed ^ 0x7161);
        Self { rig, sessions, acknowledged: BTreeMap::new(), asked: 0, planned: BTreeSet::new() }
    }

    pub async fn run(mut self) {
        for _ in 0..3 + self.rig.rng.below(4) {
            let polls = self.rig.rng.below(if self.rig.rng.chance(30) { 60 } else { 1_500 });
            let life = self.start(polls).await;
            for _ in 0..30 {
                self.step(&life).await;
                if life.fuse.burnt() {
                    break;
                }
            }
            self.rig.die(life);
            self.check().await;
            let away = if self.rig.rng.chance(30) { 9 * HOUR } else { 60_000 };
            self.rig.pass(away).await;
        }
        self.rig.wall.set_right();
        let life = self.start(u64::MAX).await;
        for session in &self.sessions {
            self.rig.ask(&life, *session, Command::Resume { by: by() }, None).await;
        }
        // A clock that was a day ahead has to come there.
        tokio::time::sleep(Duration::from_millis(36 * HOUR)).await;
        self.check().await;
        for session in &self.sessions {
            check::waits::nothing_is_lost(&read_all(&self.rig.store, *session).await);
        }
        self.schedules_are_done(&life).await;
    }

    async fn start(&mut self, polls: u64) -> Life {
        let agents = Agents { rng: self.rig.rng.clone() };
        self.rig.start(Arc::new(agents), polls).await
    }

    async fn step(&mut self, life: &Life) {
        let session = self.sessions[usize::try_from(self.rig.rng.below(3)).unwrap()];
        match self.rig.rng.below(100) {
            0..25 => self.arm(life, session).await,
            25..35 => self.change(life, session).await,
            35..45 => {
                let name = ["a", "b"][usize::try_from(self.rig.rng.below(2)).unwrap()];
                let payload = json!({"n": self.rig.rng.below(2)});
                self.ask(life, session, Command::Signal(NewSignal { name: name.into(), payload, origin: by() })).await;
            }
            45..50 => self.plan(life, session).await,
            50..55 => self.rig.wall.set(&self.rig.rng),
            55..59 => self.rig.break_storage(),
            59..62 => self.ask(life, session, Command::Pause { by: by(), reason: None }).await,
            62..68 => self.ask(life, session, Command::Resume { by: by() }).await,
            68..75 => self.rig.pass(2 * HOUR).await,
            _ => self.rig.pass(20_000).await,
        }
    }

    async fn ask(&mut self, life: &Life, session: SessionId, command: Command) {
        self.asked += 1;
        let name = format!("r{}", self.asked);
        if let Some(Ok(accepted)) = self.rig.ask(life, session, command, Some(&name)).await
            && accepted.seq > 0
        {
            // What it begins comes behind what was asked.
            let accepted = Accepted { turn: None, ..accepted };
            self.acknowledged.entry(session).or_default().push((name.parse().unwrap(), accepted));
        }
    }

    async fn arm(&mut self, life: &Life, session: SessionId) {
        if !self.rig.make(life, session).await {
            return;
        }
        let rng = &self.rig.rng;
        let now = life.runtime.moments().now();
        // Some lie in the past.
        let until = match rng.below(4) {
            0 => Until::At(Timestamp::from_micros(now.micros() + (rng.below(4 * HOUR) as i64 - HOUR as i64) * 1_000)),
            _ => Until::In(rng.below(if rng.chance(50) { 60_000 } else { 8 * HOUR })),
        };
        let fits = rng.chance(50).then(|| json!({"n": rng.below(2)}));
        let name = ["a", "b"][usize::try_from(rng.below(2)).unwrap()].to_owned();
        let signal = rng.chance(40).then_some(Awaited { name, fits });
        let overdue = [Overdue::Fire, Overdue::FireOnce, Overdue::Skip, Overdue::ExpireAfter(rng.below(HOUR))]
            [usize::try_from(rng.below(4)).unwrap()];
        let until = (signal.is_none() || rng.chance(50)).then_some(until);
        let new = NewWait { until, signal, overdue, reason: "the post".into() };
        self.ask(life, session, Command::Wait { what: WaitCommand::Arm(new), by: by() }).await;
    }

    async fn change(&mut self, life: &Life, session: SessionId) {
        let view = tokio::time::timeout(Duration::from_secs(600), life.runtime.view(session)).await;
        let Ok(Ok(state)) = view else { return };
        let Some(wait) = state.queue.waits.armed.first().map(|wait| wait.wait) else { return };
        let what = match self.rig.rng.below(3) {
            0 => WaitCommand::Cancel(wait),
            1 => WaitCommand::Fire(wait),
            _ => WaitCommand::Move(wait, Until::In(self.rig.rng.below(HOUR))),
        };
        self.ask(life, session, Command::Wait { what, by: by() }).await;
    }

    async fn plan(&mut self, life: &Life, session: SessionId) {
        self.asked += 1;
        let (schedule, rng) = (ScheduleId::from_bits(u128::from(self.asked)), &self.rig.rng);
        let now = life.runtime.moments().now();
        let mut form = json!({"message": "look"});
        form["overdue"] = json!(["fire", "fire_once", "skip"][usize::try_from(rng.below(3)).unwrap()]);
        form["overlap"] = json!(["skip", "queue", "parallel"][usize::try_from(rng.below(3)).unwrap()]);
        if rng.chance(50) {
            form["every"] = json!(["2h", "5h", "9h"][usize::try_from(rng.below(3)).unwrap()]);
        } else {
            form["at"] = json!(now.plus_ms(rng.below(6 * HOUR)));
        }
        if self.acknowledged.contains_key(&session) && rng.chance(50) {
            form["session"] = json!(session);
        } else {
            form["agent"] = json!("sim");
        }
        let plan: Plan = serde_json::from_value(form).unwrap();
        self.rig.faults.release();
        let made = life.runtime.create_schedule(schedule, plan, by());
        if let Ok(Ok(_)) = tokio::time::timeout(Duration::from_secs(600), made).await {
            self.planned.insert(schedule);
        }
    }

    async fn check(&self) {
        let mut said = Said::default();
        for session in self.rig.store.directory.sessions().await.unwrap() {
            let entries = read_all(&self.rig.store, session).await;
            check::journal_holds(&entries);
            check::one_ending_a_turn(&entries);
            let acknowledged = self.acknowledged.get(&session).map_or(&[][..], Vec::as_slice);
            check::acknowledged_is_there(&entries, acknowledged);
            said.hear(session, &entries);
        }
        let schedules = self.rig.store.house.schedules.schedules().unwrap();
        let gone: Vec<_> = self.planned.iter().filter(|planned| !schedules.contains(planned)).collect();
        assert!(gone.is_empty(), "{gone:?} were promised, and are gone");
        schedules.into_iter().for_each(|schedule| runs_hold(&self.lines(schedule), &said));
    }

    fn lines(&self, schedule: ScheduleId) -> Vec<Entry> {
        let lines = self.rig.store.house.schedules.read(schedule, 0, usize::MAX).unwrap();
        lines.iter().map(|line: &Line| line.read().unwrap()).collect()
    }

    /// Every time that was due by now is accounted for, and each run that began has ended.
    async fn schedules_are_done(&self, life: &Life) {
        let now = life.runtime.moments().now();
        let known = life.runtime.schedules().await.unwrap();
        assert!(known.aside.is_empty(), "{:?}", known.aside);
        for schedule in known.schedules {
            let next = schedule.next(life.runtime.zones());
            assert!(next.is_none_or(|next| next > now), "{} is due at {next:?}, and it is {now}", schedule.id);
            let entries = self.lines(schedule.id);
            let mut covered: Vec<(Timestamp, Timestamp)> = Vec::new();
            let (mut started, mut ended) = (BTreeSet::new(), BTreeSet::new());
            for entry in &entries {
                match &entry.event {
                    Event::RunStarted(run) if run.attempt == 1 => {
                        covered.push((run.due_at, run.due_at));
                        started.insert(run.run);
                    }
                    Event::RunSkipped(skipped) => covered.push((skipped.due_at, skipped.until)),
                    Event::RunEnded(run) => drop(ended.insert(run.run)),
                    _ => {}
                }
            }
            assert_eq!(started, ended, "runs of {} have no end", schedule.id);
            if let (Rule::Every { every, .. }, Some(next)) = (&schedule.plan.rule, next) {
                let times = |from: Timestamp, to: Timestamp| to.ms_since(from) / every.ms();
                let count: u64 = covered.iter().map(|(from, to)| 1 + times(*from, *to)).sum();
                let first = covered.iter().map(|(from, _)| *from).min().unwrap_or(next);
                assert_eq!(count, times(first, next), "of {schedule:?} some time is lost or doubled: {covered:?}");
            }
        }
    }
}

/// What was said in sessions.
#[derive(Default)]
struct Said {
    /// How often, by the names of the requests.
    requests: BTreeMap<(SessionId, String), usize>,
    messages: BTreeMap<SessionId, usize>,
}

impl Said {
    fn hear(&mut self, session: SessionId, entries: &[Entry]) {
        for entry in entries {
            if let Some(asked) = &entry.asked {
                *self.requests.entry((session, asked.request_id.to_string())).or_default() += 1;
            }
            *self.messages.entry(session).or_default() += usize::from(matches!(entry.event, Event::MessageReceived(_)));
        }
    }
}

/// What is due is accounted for once, never before, and each attempt of a run says its message at most once.
fn runs_hold(entries: &[Entry], said: &Said) {
    let (mut known, mut started, mut since) = (BTreeSet::new(), BTreeSet::new(), None);
    let Some(Event::ScheduleCreated(created)) = entries.first().map(|entry| &entry.event) else { return };
    for entry in entries {
        let (due_at, run) = match &entry.event {
            Event::RunStarted(run) => {
                assert_eq!(run.cause, RunCause::Due);
                assert!(started.insert((run.run, run.attempt)), "{run:?} twice");
                let times = said.requests.get(&(run.session, format!("{}.{}", run.run, run.attempt)));
                assert!(times.is_none_or(|times| *times == 1), "{run:?} is said {times:?} times");
                let heard = said.messages.get(&run.session).copied().unwrap_or_default();
                assert!(
                    !matches!(created.plan.target, Target::Agent(_)) || heard <= 1,
                    "{run:?} is said {heard} times"
                );
                (run.due_at, Some(run.run))
            }
            Event::RunQueued(queued) => (queued.due_at, Some(queued.run)),
            Event::RunSkipped(skipped) => {
                assert!(since < Some(skipped.due_at), "{skipped:?} was accounted for, up to {since:?}");
                since = Some(skipped.until);
                (skipped.until, None)
            }
            _ => continue,
        };
        assert!(due_at <= entry.at, "{:?} before its time, at {}", entry.event, entry.at);
        if run.is_some_and(|run| known.insert(run)) {
            assert!(since < Some(due_at), "{run:?} was accounted for, up to {since:?}");
            since = Some(due_at);
        }
    }
}

/// Answers.
struct Clerk(Rng);

impl Model for Clerk {
    fn describe(&self) -> Description {
        Description { provider: "sim".into(), name: "sim".into(), context_window: None }
    }

    fn stream(&self, _request: Request, _sink: Sink) -> Pending<'_, Result<Reply, Failure>> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(self.0.below(5_000))).await;
            Ok(Reply {
                content: vec![ReplyBlock::Text("so be it".into())],
                stop_reason: StopReason::EndTurn,
                usage: Usage { input_tokens: 10, output_tokens: 5, ..Usage::default() },
                model: "sim".into(),
                provider_request_id: None,
                served_by: None,
            })
        })
    }
}

struct Agents {
    rng: Rng,
}

impl Aftermath for Agents {}

impl Kits for Agents {
    fn kit(&self, _agent: &AgentName) -> Result<Arc<Kit>, KitError> {
        let parts = FrameParts {
            window: Window::default(),
            system: vec!["simulated".into()],
            tools: Vec::new(),
            max_output_tokens: 100,
            temperature: None,
            model: "sim/sim".into(),
            agent_digest: "0".into(),
        };
        let voice = Voice { frame: Frame::new(parts), model: Arc::new(Clerk(self.rng.clone())) };
        Ok(Arc::new(Kit {
            keeper: Keeper::plain(&voice),
            voices: Voices::only(voice),
            toolbox: Arc::new(Toolbox::new(Vec::new())),
            policy: Policy::default(),
            place: Place { cwd: "/".into(), roots: Vec::new(), protected: Vec::new() },
            terms: Terms::default(),
        }))
    }

    fn card(&self, agent: &AgentName) -> Result<Card, KitError> {
        Err(KitError::Unknown(agent.clone()))
    }

    fn names(&self) -> Result<Vec<AgentName>, outlive_store::StoreError> {
        Ok(Vec::new())
    }
}
