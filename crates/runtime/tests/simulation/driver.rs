//! What people, time and death do to a few sessions.

mod looping;
mod relay;
mod remember;
mod shrink;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use outlive_core::command::{Command, Create, Decision, Message, Verdict};
use outlive_core::context::Rough;
use outlive_core::digest::Digest;
use outlive_core::event::{Behavior, Line, OnDisconnect, Origin, OriginKind};
use outlive_core::id::{RequestId, Seq, SessionId};
use outlive_core::media::Attachment;
use outlive_core::time::Timestamp;
use outlive_runtime::clock::{Moments, TokioClock};
use outlive_runtime::scales::Scales;
use outlive_runtime::subscribe::{Signal, Subscription};
use outlive_runtime::tasks::{Fuse, Tasks};
use outlive_runtime::{Accepted, NewFork, Runtime, Settings, SubmitError};
use outlive_store::Store;
use outlive_store::memory::{self, Fault, Faults};

use crate::check;
use crate::check::memory::Promised;
use crate::evening::Evening;
use crate::hands::{HARNESS, SimKits, filled};
use crate::rng::Rng;
use crate::seen::mark;
use crate::world::World;

pub struct Simulation {
    seed: u64,
    rng: Rng,
    world: World,
    calm: Arc<Mutex<bool>>,
    store: Store,
    faults: Faults,
    sessions: Vec<SessionId>,
    /// Acknowledged messages: request id and text by session.
    pub acknowledged: BTreeMap<SessionId, Vec<(RequestId, Accepted)>>,
    asked: u64,
    clock: Arc<TokioClock>,
    evening: Evening,
    promised: Promised,
    /// What the journals said when they were looked at last.
    before: BTreeMap<SessionId, Vec<Line>>,
}

/// One life of the process.
struct Life {
    runtime: Arc<Runtime>,
    fuse: Arc<Fuse>,
    listeners: Vec<(SessionId, Seq, Subscription)>,
}

impl Simulation {
    pub fn new(seed: u64) -> Self {
        let rng = Rng::new(seed);
        let (store, faults) = memory::store();
        let sessions = (1..=3).map(SessionId::from_bits).collect();
        Self {
            seed,
            rng,
            world: World::default(),
            calm: Arc::default(),
            store,
            faults,
            sessions,
            acknowledged: BTreeMap::new(),
            asked: 0,
            clock: Arc::new(TokioClock::from(Timestamp::from_micros(1_700_000_000_000_000))),
            evening: Evening::of(seed),
            promised: Promised::default(),
            before: BTreeMap::new(),
        }
    }

    pub async fn run(mut self) {
        let most = if self.evening.remembers { 3 } else { u64::MAX };
        for life in 0..most.min(3 + self.rng.below(4)) {
            let polls = if self.rng.chance(30) { self.rng.below(60) } else { self.rng.below(3_000) };
            let mut process = self.start(life, i64::try_from(polls).unwrap()).await;
            for _ in 0..40 {
                self.step(&mut process).await;
                if process.fuse.burnt() {
                    break;
                }
            }
            process.fuse.cut();
            drop(process);
            self.faults.clear();
            self.faults.crash();
            self.store = self.faults.reopen();
            self.world.die(self.store.house.stops.stopped().unwrap().is_some());
            self.check().await;
        }
        self.come_to_rest().await;
    }

    async fn check(&mut self) {
        check::everything(&self.store, &self.sessions, &self.acknowledged, &self.world).await;
        check::history_stays(&self.store, &mut self.before).await;
        if self.evening.remembers {
            check::memories_hold(&self.store, &self.promised).await;
        }
    }

    async fn start(&self, life: u64, polls: i64) -> Life {
        let fuse = Fuse::of(polls);
        let kits = SimKits {
            rng: self.rng.clone(),
            world: self.world.clone(),
            store: self.store.clone(),
            calm: Arc::clone(&self.calm),
            evening: self.evening,
            scales: Scales::new(Arc::new(Rough)),
        };
        let moments = Moments::new(self.clock.clone(), self.seed ^ (life << 32));
        let settings = Settings { idle_evict: Duration::from_secs(5), ..Settings::default() };
        let tasks = Tasks::with_fuse(Arc::clone(&fuse));
        let runtime =
            Runtime::start_with(self.store.clone(), Arc::new(kits), moments, (settings, tasks)).await.unwrap();
        Life { runtime, fuse, listeners: Vec::new() }
    }

    async fn step(&mut self, life: &mut Life) {
        let session = self.sessions[usize::try_from(self.rng.below(3)).unwrap()];
        let by = Origin::of(OriginKind::Api);
        match self.rng.below(100) {
            0..30 => self.say(life, session).await,
            30..35 => drop(self.ask(life, session, Command::Interrupt { by }, None).await),
            35..39 => drop(self.ask(life, session, Command::Pause { by, reason: None }, None).await),
            39..47 => drop(self.ask(life, session, Command::Resume { by }, None).await),
            47..62 => {
                self.decide(life, session).await;
                self.answer(life, session).await;
            }
            62..66 => self.break_storage(),
            66..70 => self.listen(life, session),
            70..74 => self.edit_queue(life, session).await,
            74..77 => self.rewind(life, session).await,
            77..78 => self.fork(life, session).await,
            78..80 => self.stop(life).await,
            80..84 => self.lift(life).await,
            84..91 if self.evening.narrow.is_some() => self.shrink(life, session).await,
            91 if self.evening.narrow.is_some() => self.look_ahead(life, session).await,
            84..96 if self.evening.tours => self.relay(life, session).await,
            84..92 if self.evening.remembers => self.remember(life, session).await,
            92 if self.evening.narrow.is_some() => tokio::time::sleep(Duration::from_secs(self.rng.below(7_200))).await,
            93..97 if self.evening.loops => self.go_round(life, session).await,
            _ => tokio::time::sleep(Duration::from_millis(self.rng.below(20_000))).await,
        }
        self.hear(life).await;
    }

    /// Waits for an answer, or for the process to be dead. Time passes by itself while nothing else happens.
    async fn ask(
        &mut self,
        life: &Life,
        session: SessionId,
        command: Command,
        id: Option<RequestId>,
    ) -> Option<Result<Accepted, SubmitError>> {
        self.faults.release();
        let answer = life.runtime.submit(session, command, id);
        tokio::time::timeout(Duration::from_secs(600), answer).await.ok()
    }

    async fn say(&mut self, life: &Life, session: SessionId) {
        let by = Origin::of(OriginKind::Api);
        if !self.acknowledged.contains_key(&session) {
            let create = Create {
                agent: "sim".parse().unwrap(),
                agent_digest: "0".into(),
                title: None,
                project: None,
                task: None,
                on_disconnect: OnDisconnect::Continue,
                labels: BTreeMap::new(),
                memory: None,
                by: by.clone(),
            };
            if let Some(Ok(_)) = self.ask(life, session, Command::Create(create), None).await {
                self.acknowledged.entry(session).or_default();
            }
        }
        let again = self.rng.chance(20).then(|| self.acknowledged.get(&session)?.last().cloned()).flatten();
        self.asked += 1;
        let fresh: RequestId = format!("r{}", self.asked).parse().unwrap();
        let id = again.as_ref().map_or(fresh, |(id, _)| id.clone());
        let behavior = if id.as_str().len() % 2 == 0 { Behavior::Steer } else { Behavior::FollowUp };
        let has_file = id.as_str().ends_with(['3', '7']) && self.evening.narrow.is_none();
        let attachments = if has_file { vec![vanished()] } else { Vec::new() };
        let by = if id.as_str().ends_with(['1', '4']) { Origin::of(OriginKind::Schedule) } else { by };
        let is_ours = self.evening.remembers && id.as_str().ends_with('9');
        let by = if is_ours { Origin::of(OriginKind::Runtime) } else { by };
        let message = Message { attachments, ..Message::text(self.words(&id, session, is_ours), behavior, by) };
        match (self.ask(life, session, Command::Message(message), Some(id.clone())).await, again) {
            (Some(Ok(accepted)), Some((_, before))) => {
                assert!(
                    accepted.duplicate && accepted.seq == before.seq && accepted.turn == before.turn,
                    "same id, other answer"
                );
            }
            (Some(Ok(accepted)), None) => self.acknowledged.entry(session).or_default().push((id, accepted)),
            (Some(Err(_)) | None, _) => {}
        }
    }

    /// The same for the same id: it may be said again.
    fn words(&self, id: &RequestId, session: SessionId, is_ours: bool) -> String {
        let mut said = format!("say {id} {}", mark(session));
        if is_ours {
            said = format!("{HARNESS} {said}");
        }
        let Some(narrow) = self.evening.narrow else { return said };
        let own = Rng::new(self.seed ^ id.as_str().len() as u64 ^ id.as_str().bytes().map(u64::from).sum::<u64>() << 8);
        if own.chance(12) {
            said = format!("{said} Never touch {id}.");
        }
        // Once in a while it is more than the model can take.
        let most = if own.chance(3) { narrow.said * 8 } else { narrow.said };
        filled(&said, own.below(most))
    }

    async fn decide(&mut self, life: &Life, session: SessionId) {
        let approvals = tokio::time::timeout(Duration::from_secs(600), life.runtime.approvals(session)).await;
        for approval in approvals.ok().and_then(Result::ok).unwrap_or_default() {
            let verdict =
                [Verdict::Allow, Verdict::Deny, Verdict::AllowAlways][usize::try_from(self.rng.below(3)).unwrap()];
            let by = Origin::of(OriginKind::Web);
            let decision = Decision { call: approval.call, asked: Some(approval.seq), verdict, reason: None, by };
            let first = self.ask(life, session, Command::Decide(decision.clone()), None).await;
            let second = self.ask(life, session, Command::Decide(decision), None).await;
            if let (Some(Ok(_)), Some(second)) = (first, second) {
                assert!(second.is_err(), "a call was decided twice");
            }
        }
    }

    async fn answer(&mut self, life: &Life, session: SessionId) {
        let questions = tokio::time::timeout(Duration::from_secs(600), life.runtime.questions(session)).await;
        for open in questions.ok().and_then(Result::ok).unwrap_or_default() {
            let answers = vec![vec![if self.rng.chance(50) { "one" } else { "neither" }.to_owned()]];
            let answer = Command::Answer { question: open.question, answers, by: Origin::of(OriginKind::Web) };
            let first = self.ask(life, session, answer.clone(), None).await;
            let second = self.ask(life, session, answer, None).await;
            if let (Some(Ok(_)), Some(second)) = (first, second) {
                assert!(second.is_err(), "a question was answered twice");
            }
        }
    }

    async fn edit_queue(&mut self, life: &Life, session: SessionId) {
        let view = tokio::time::timeout(Duration::from_secs(600), life.runtime.view(session)).await;
        let Ok(Ok(state)) = view else { return };
        let items = state.queue.items.iter().enumerate();
        let items = items
            .map(|(n, queued)| outlive_core::command::QueueItem {
                input: Some(queued.input),
                content: if n == 0 { format!("{} edited", queued.content) } else { queued.content.clone() },
            })
            .collect();
        self.ask(life, session, Command::SetQueue { items, by: Origin::of(OriginKind::Api) }, None).await;
    }

    async fn rewind(&mut self, life: &Life, session: SessionId) {
        self.faults.release();
        let by = Origin::of(OriginKind::Web);
        let rewound = life.runtime.rewind(session, 1 + self.rng.below(40), (by, None));
        drop(tokio::time::timeout(Duration::from_secs(600), rewound).await);
    }

    async fn fork(&mut self, life: &Life, session: SessionId) {
        self.faults.release();
        self.asked += 1;
        let (new, by) = (SessionId::from_bits(1_000 + u128::from(self.asked)), Origin::of(OriginKind::Web));
        let fork = NewFork { session: new, of: (session, Some(1 + self.rng.below(40))), title: None, by };
        let forked = tokio::time::timeout(Duration::from_secs(600), life.runtime.fork(fork, None)).await;
        if let Ok(Ok(_)) = forked {
            self.acknowledged.insert(new, Vec::new());
        }
    }

    /// From the answer on nothing runs and nothing begins, whether the stop could be written down or not.
    async fn stop(&mut self, life: &Life) {
        self.faults.release();
        let by = Origin::of(OriginKind::Cli);
        let stopped = tokio::time::timeout(Duration::from_secs(600), life.runtime.stop_all(by, None)).await;
        match stopped {
            Ok(Ok(stopped)) => {
                self.world.set_stopped(true);
                let rests = stopped.ending.is_empty() && !life.fuse.burnt();
                assert!(!rests || self.world.running() == 0, "something runs though everything was stopped");
            }
            Ok(Err(SubmitError::Store(_))) => self.world.set_stopped(true),
            Ok(Err(_)) | Err(_) => {}
        }
    }

    async fn lift(&mut self, life: &Life) {
        self.faults.release();
        self.world.set_stopped(false);
        drop(tokio::time::timeout(Duration::from_secs(600), life.runtime.lift()).await);
        self.world.set_stopped(life.runtime.stopped().is_some());
    }

    fn break_storage(&self) {
        let fault =
            [Fault::NoSpace, Fault::Io, Fault::PoisonedKept, Fault::PoisonedLost, Fault::HangBefore, Fault::HangAfter]
                [usize::try_from(self.rng.below(6)).unwrap()];
        self.faults.after(usize::try_from(self.rng.below(6)).unwrap(), fault);
    }

    fn listen(&self, life: &mut Life, session: SessionId) {
        let after = self.rng.below(20);
        life.listeners.push((session, after, life.runtime.subscribe(session, after)));
    }

    /// What a listener hears is the journal from its position: in order, without gap, without repeat.
    async fn hear(&self, life: &mut Life) {
        for (session, cursor, listener) in &mut life.listeners {
            while let Ok(heard) = tokio::time::timeout(Duration::from_millis(1), listener.next()).await {
                let Ok(Some(signal)) = heard else { break };
                if let Signal::Event(line, _) = signal {
                    assert_eq!(line.seq(), *cursor + 1, "listener of {session}");
                    let durable = self.store.journals.read(*session, *cursor, 1).await.unwrap().lines;
                    let is_erased = durable.first().is_some_and(|now| now.as_str().contains("[forgotten]"));
                    assert!(is_erased || durable.first() == Some(&line), "heard before it was durable");
                    *cursor += 1;
                }
            }
        }
    }

    /// With nothing broken any more every session comes to rest, and takes the next message.
    async fn come_to_rest(mut self) {
        *self.calm.lock().unwrap() = true;
        let life = self.start(99, i64::MAX).await;
        self.lift(&life).await;
        assert_eq!(life.runtime.stopped(), None, "a stop cannot be lifted");
        let by = Origin::of(OriginKind::Api);
        for session in self.acknowledged.keys().copied().collect::<Vec<_>>() {
            for round in 0.. {
                assert!(round < 200, "session {session} does not come to rest");
                self.ask(&life, session, Command::Resume { by: by.clone() }, None).await;
                self.decide(&life, session).await;
                self.answer(&life, session).await;
                tokio::time::sleep(Duration::from_secs(400)).await;
                let state = life.runtime.view(session).await.unwrap();
                if state.turn.is_none() && state.queue.items.is_empty() && state.looping().is_none() {
                    break;
                }
            }
            let message = Message::text(format!("the last {}", mark(session)), Behavior::FollowUp, by.clone());
            let accepted = life.runtime.submit(session, Command::Message(message), None).await.unwrap();
            let turn = accepted.turn.unwrap();
            let outcome =
                tokio::time::timeout(Duration::from_secs(3_600), life.runtime.outcome(session, turn, accepted.seq));
            let outcome = outcome.await.unwrap().unwrap();
            assert_eq!(outcome.ending, outlive_core::event::Ending::Complete, "{session}: {outcome:?}");
        }
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!(life.runtime.live(), 0, "a session at rest stays in memory");
        self.check().await;
        check::all_turns_ended(&self.store, &self.sessions).await;
        if self.evening.remembers {
            // What failed while not all was well is tried again within an hour; then nothing is done for a day.
            tokio::time::sleep(Duration::from_secs(3 * 3_600)).await;
            self.check().await;
            check::memory::nothing_is_left_to_do(&self.store).await;
            let before = check::written(&self.store, &self.world).await;
            tokio::time::sleep(Duration::from_secs(24 * 3_600)).await;
            let after = check::written(&self.store, &self.world).await;
            assert_eq!(before, after, "something is done though nobody says anything");
        }
    }
}

/// A file that is not kept any more: it must not keep its session from going on.
fn vanished() -> Attachment {
    let (media_type, name) = ("image/png".to_owned(), Some("gone.png".to_owned()));
    Attachment { hash: Digest::of(b"gone"), media_type, name, bytes: 4 }
}
