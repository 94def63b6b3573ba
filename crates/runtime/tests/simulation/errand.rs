//! A relay with states of all kinds, run twice from one seed: undisturbed, and while its process dies at any moment, its storage
//! fails, its model is away, the clock is set and people talk. Both come to the same end, by the same states, with the same outputs;
//! and what must not be done twice was done again only where a check's or a person's word to do so is in the journal.

mod beyond;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use outlive_core::command::{Command, Message, NewRelay, NewSignal, RelayCommand};
use outlive_core::event::{Behavior, Entry, Event, RelaySource, StateOutcome, Via};
use outlive_core::id::SessionId;
use outlive_core::relay::{Definition, Stage, Terminal, read_value};
use outlive_core::session::{Refusal, State};
use outlive_runtime::SubmitError;
use serde_json::{Value, json};

use crate::check;
use crate::hands::read_all;
use crate::rig::{Life, Rig, by};
use crate::rng::Rng;
use beyond::{Agents, Beyond};

/// What a seed's relay is.
#[derive(Debug, Clone)]
pub struct Plan {
    seed: u64,
    /// Its states up to the end, in their order.
    order: Vec<&'static str>,
    /// Behind which of them the agent chooses.
    chosen: Vec<bool>,
    /// How often `sign` fails before it works.
    fails: u64,
    /// When `look` finds what it looks for, in seconds; never where nothing is said.
    found_s: Option<u64>,
    mail: Mail,
    /// Whether people stop turns, too: then states may be entered more often.
    stops: bool,
    /// Whether the agent sees nothing but `write` while it works on that.
    alone: bool,
}

/// When the signal is sent.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mail {
    /// Before anybody waits for it.
    Early,
    /// Once somebody waits for it.
    Late,
    Never,
}

/// What a relay came to.
#[derive(Debug, PartialEq)]
struct End {
    outcome: Option<Terminal>,
    outputs: BTreeMap<String, Value>,
    entered: Vec<String>,
}

/// What people are offered where nobody knows what a script did.
const AGAIN: &str = "run it again";
const DONE: &str = "it was done";
const SAID_DONE: &str = "a person says that it was done";

impl Plan {
    pub fn of(seed: u64) -> Self {
        let own = Rng::new(!seed ^ 0xE44A);
        let mut order = vec!["pay", "sign", "list", "look", "rest", "mail", "write", "ask"];
        for n in (1..order.len()).rev() {
            order.swap(n, usize::try_from(own.below(n as u64 + 1)).unwrap());
        }
        Self {
            seed,
            chosen: order.iter().map(|_| own.chance(30)).collect(),
            order,
            fails: [0, 0, 1, 2, 99][usize::try_from(own.below(5)).unwrap()],
            found_s: own.chance(80).then(|| own.below(300)),
            mail: [Mail::Early, Mail::Late, Mail::Late, Mail::Never][usize::try_from(own.below(4)).unwrap()],
            stops: own.chance(25),
            alone: own.chance(50),
        }
    }

    /// Returns what comes after a state.
    fn next(&self, state: &str) -> &'static str {
        let at = self.order.iter().position(|name| *name == state).map_or(0, |at| at + 1);
        self.order.get(at).copied().unwrap_or("done")
    }

    fn definition(&self) -> Definition {
        let state = |(name, chosen): (&&str, &bool)| {
            let next = self.next(name);
            // What comes is never given up: how long the process is away decides nothing.
            let until = |comes: bool| if comes { "90d" } else { "3m" };
            let mut state = match *name {
                "pay" => json!({"kind": "script", "command": "pay"}),
                "sign" => json!({"kind": "script", "command": ["sign"], "check": ["is-signed"],
                    "retry": {"attempts": 3, "backoff": "10s"}, "on_failure": "gone"}),
                "list" => json!({"kind": "script", "command": "list", "effect": "idempotent"}),
                "look" => json!({"kind": "poll", "command": "look", "interval": "20s", "error_budget": 2,
                    "deadline": until(self.found_s.is_some()), "on_failure": next}),
                "rest" => json!({"kind": "timer", "after": "40s"}),
                "mail" => json!({"kind": "signal", "match": {"good": true}, "on_failure": next,
                    "deadline": until(self.mail != Mail::Never)}),
                "write" => json!({"kind": "agent", "prompt": "write it", "fork_context": !self.alone}),
                _ask => json!({"kind": "park", "question": "Was it fine?", "options": ["fine"]}),
            };
            state["name"] = json!(name);
            if !chosen {
                state["next"] = json!(next);
            }
            state
        };
        let mut states: Vec<Value> = self.order.iter().zip(&self.chosen).map(state).collect();
        states.push(json!({"name": "done", "kind": "terminal", "outcome": "completed"}));
        states
            .push(json!({"name": "gone", "kind": "terminal", "outcome": "failed", "reason": "{{states.sign.error}}"}));
        let guard = json!({"entries": 1_000, "within": "1d"});
        read_value(&json!({"name": "errand", "prompt": "do it all", "guard": guard, "states": states})).unwrap()
    }
}

/// One run of it.
struct Errand {
    plan: Plan,
    rig: Rig,
    beyond: Beyond,
    session: SessionId,
    /// Whether anything goes wrong.
    storm: bool,
    said: u64,
}

/// Runs a seed's relay both ways, and compares.
pub async fn run(seed: u64) {
    let plan = Plan::of(seed);
    let calm = Errand::new(&plan, false).run().await;
    assert!(calm.outcome.is_some(), "the undisturbed run ends: {calm:?}");
    let mut rough = Errand::new(&plan, true).run().await;
    if plan.stops {
        rough.entered.clone_from(&calm.entered);
    }
    // Where people said so the output is what they said.
    if rough.outputs.get("pay") == Some(&json!(SAID_DONE)) {
        rough.outputs.insert("pay".to_owned(), calm.outputs["pay"].clone());
    }
    assert_eq!(rough, calm, "{plan:?}");
}

impl Errand {
    fn new(plan: &Plan, storm: bool) -> Self {
        let rig = Rig::new(plan.seed);
        let beyond = Beyond::new(plan, rig.wall.clone());
        Self { plan: plan.clone(), rig, beyond, session: SessionId::from_bits(1), storm, said: 0 }
    }

    async fn run(mut self) -> End {
        let lives = if self.storm { 2 + self.rig.rng.below(8) } else { 0 };
        for _ in 0..lives {
            let most = if self.rig.rng.chance(30) { 60 } else { 800 };
            let polls = self.rig.rng.below(most);
            let life = self.start(true, polls).await;
            for _ in 0..30 {
                self.step(&life).await;
                // Many die while a command runs: nobody knows then what it did.
                if life.fuse.burnt() || self.beyond.is_busy() && self.rig.rng.chance(25) {
                    break;
                }
            }
            self.rig.die(life);
            self.beyond.die();
            self.check().await;
            // It may be away for long.
            let away = if self.rig.rng.chance(20) { 6 * 3_600_000 } else { 60_000 };
            self.rig.pass(away).await;
        }
        self.rig.wall.set_right();
        let life = self.start(false, u64::MAX).await;
        let mut rounds = 0;
        loop {
            self.ask(&life, Command::Resume { by: by() }, None).await;
            self.attend(&life).await;
            // The clock may have been a day ahead.
            self.rig.pass(if rounds < 60 { 20_000 } else { 1_200_000 }).await;
            let state = life.runtime.view(self.session).await.unwrap();
            if state.relay().is_some_and(|relay| !relay.is_under_way()) && state.turn.is_none() {
                break;
            }
            rounds += 1;
            assert!(rounds < 1_000, "it does not end: {:?}", state.relay());
        }
        self.check().await;
        self.ended().await
    }

    async fn start(&mut self, rough: bool, polls: u64) -> Life {
        let agents = Agents { rng: self.rig.rng.clone(), beyond: self.beyond.clone(), rough };
        self.rig.start(Arc::new(agents), polls).await
    }

    async fn ask(&self, life: &Life, command: Command, request: Option<&str>) -> bool {
        matches!(self.rig.ask(life, self.session, command, request).await, Some(Ok(_)))
    }

    async fn step(&mut self, life: &Life) {
        match self.rig.rng.below(100) {
            0..35 => self.attend(life).await,
            35..45 => {
                self.said += 1;
                let behavior = if self.said.is_multiple_of(2) { Behavior::Steer } else { Behavior::FollowUp };
                let message = Message::text(format!("hello {}", self.said), behavior, by());
                self.ask(life, Command::Message(message), None).await;
            }
            45..48 => drop(self.ask(life, Command::Pause { by: by(), reason: None }, None).await),
            48..54 => drop(self.ask(life, Command::Resume { by: by() }, None).await),
            54..58 => self.rig.break_storage(),
            58..62 => self.rig.wall.set(&self.rig.rng),
            62..66 if self.plan.stops => drop(self.ask(life, Command::Interrupt { by: by() }, None).await),
            66..85 => self.rig.pass(4_000).await,
            _ => self.rig.pass(20_000).await,
        }
    }

    /// What people do for it: they begin it, send what it waits for, and answer; the same again where nobody answered them.
    async fn attend(&mut self, life: &Life) {
        let state = tokio::time::timeout(Duration::from_secs(600), life.runtime.view(self.session)).await;
        let state = match state {
            Ok(Ok(state)) => state,
            Ok(Err(SubmitError::Refused(Refusal::NoSession))) => {
                self.rig.make(life, self.session).await;
                return;
            }
            Ok(Err(_)) | Err(_) => return,
        };
        let Some(relay) = state.relay() else {
            let (definition, source) = (self.plan.definition(), RelaySource::Api);
            let new = NewRelay { definition, source, state: None, input: json!({}) };
            let what = RelayCommand::Start(Box::new(new));
            self.ask(life, Command::Relay { what, by: by() }, Some("start")).await;
            if self.plan.mail == Mail::Early {
                self.send(life).await;
            }
            return;
        };
        let is_awaited = relay.at.state == "mail" && matches!(relay.stage, Stage::Waiting { .. });
        if self.plan.mail == Mail::Early || self.plan.mail == Mail::Late && is_awaited {
            self.send(life).await;
        }
        self.answer(life, &state).await;
    }

    /// What does not fit comes first.
    async fn send(&self, life: &Life) {
        for (request, payload) in [("bad", json!({"good": false})), ("good", json!({"good": true, "n": 7}))] {
            let signal = NewSignal { name: "mail".into(), payload, origin: by() };
            self.ask(life, Command::Signal(signal), Some(request)).await;
        }
    }

    async fn answer(&self, life: &Life, state: &State) {
        let Some((question, _, asked)) = state.relay().and_then(outlive_core::relay::Relay::asked) else { return };
        let at = &state.relay().unwrap().at;
        let offers = |label: &str| asked[0].options.iter().any(|option| option.label == label);
        let answer = if offers(AGAIN) {
            // Whoever looks may find that it was done.
            let is_done =
                offers(DONE) && self.plan.seed.is_multiple_of(2) && self.beyond.times(&at.key.to_string()) > 0;
            if is_done && at.state == "pay" { DONE } else { AGAIN }
        } else if offers("fine") {
            "fine"
        } else {
            self.plan.next(&at.state)
        };
        let answers = vec![vec![answer.to_owned()]];
        self.ask(life, Command::Answer { question, answers, by: by() }, None).await;
    }

    async fn check(&self) {
        let entries = read_all(&self.rig.store, self.session).await;
        check::journal_holds(&entries);
        check::one_ending_a_turn(&entries);
        assert_eq!(self.beyond.violations(), Vec::<String>::new());
        self.decided(&entries);
    }

    /// What must not be done twice was done once, and once more for each word that it is to be done again.
    fn decided(&self, entries: &[Entry]) {
        let mut words: BTreeMap<String, u32> = BTreeMap::new();
        let (mut key, mut lost) = (String::new(), false);
        for entry in entries {
            match &entry.event {
                Event::RelayStateEntered(entered) if entered.via != Via::Again => {
                    key = entered.call.to_string();
                    words.insert(key.clone(), 0);
                }
                Event::RelayStateEntered(_) if lost => *words.entry(key.clone()).or_default() += 1,
                Event::RelayStateEnded(ended) => lost = ended.outcome == StateOutcome::Lost,
                _ => {}
            }
        }
        for (key, times) in self.beyond.deeds() {
            let Some(words) = words.get(&key) else { panic!("{key} was done, and never entered") };
            assert!(times <= 1 + words, "{key} was done {times} times, on {words} words to do it again");
        }
    }

    async fn ended(self) -> End {
        let entries = read_all(&self.rig.store, self.session).await;
        let mut state = State::default();
        entries.iter().for_each(|entry| state.apply(entry));
        let count = |of: &dyn Fn(&Event) -> bool| entries.iter().filter(|entry| of(&entry.event)).count();
        assert_eq!(count(&|event| matches!(event, Event::RelayFinished(_))), 1);
        let is_told = |event: &Event| matches!(event, Event::MessageReceived(m) if m.content.starts_with("[relay `errand` ended: "));
        assert_eq!(count(&is_told), 1, "the end is told once");
        let entered = |entry: &Entry| match &entry.event {
            Event::RelayStateEntered(entered) if entered.via != Via::Again => Some(entered.state.clone()),
            _ => None,
        };
        let relay = state.relay().unwrap();
        // An end has none, also where it was chosen twice.
        let past = relay.past.iter().filter(|(name, _)| self.plan.order.contains(&name.as_str()));
        let outputs = past.map(|(name, past)| (name.clone(), past.output.clone())).collect();
        End { outcome: relay.outcome, outputs, entered: entries.iter().filter_map(entered).collect() }
    }
}
