//! Relays: their kinds of states, what becomes of an attempt, and that a death anywhere comes to the same end.
#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks for what it names")]

use outlive_core::command::{
    Chosen, Command, Decision, Done, NewRelay, NewSignal, RelayCommand, Report, Until, Verdict, WaitCommand,
};
use outlive_core::compaction::Section;
use outlive_core::content::ReplyBlock;
use outlive_core::event::{
    Decider, Effect, Entry, Event, OnLost, Origin, OriginKind, Outcome, RelaySource, StateOutcome,
};
use outlive_core::relay::{Definition, Terminal, read_text};
use outlive_core::session::{
    Debt, OpenQuestion, Refusal, Ruling, State, Status, question_of, read_relay_call, read_snapshot, write_snapshot,
};
use outlive_core::turn::Asking;
use serde_json::{Value, json};

use super::desk::{self, Desk, reply};

/// What the world answers: how commands end, and what the agent says.
struct World {
    desk: Desk,
    /// By a word of the command line: exit code and output, used up one by one; the last one stays.
    commands: Vec<(&'static str, Vec<(i64, &'static str)>)>,
    /// The states that the agent chooses, one by one.
    chooses: Vec<(&'static str, Value)>,
    /// Command lines that ran, in order.
    ran: Vec<String>,
    /// Whether commands wait to be ended by hand.
    slow: bool,
    /// What the policy denies: a word of the command line.
    denies: Option<&'static str>,
}

fn read(states: &str) -> Definition {
    let text = format!("name: trip\nprompt: get there\nstates:\n{states}");
    read_text(&text, "relays/trip.yaml").unwrap_or_else(|faults| panic!("{faults}"))
}

const DONE: &str = "  - {name: done, kind: terminal, outcome: completed, reason: all is well}\n";

fn start(definition: &Definition) -> Command {
    start_at(definition, None, Value::Null)
}

fn start_at(definition: &Definition, state: Option<&str>, input: Value) -> Command {
    let (definition, state) = (definition.clone(), state.map(str::to_owned));
    let new = NewRelay { definition, source: RelaySource::File, state, input };
    Command::Relay { what: RelayCommand::Start(Box::new(new)), by: desk::by() }
}

fn relay(what: RelayCommand) -> Command {
    Command::Relay { what, by: desk::by() }
}

impl World {
    fn of(states: &str) -> Self {
        let mut world = Self::idle();
        world.desk.command(start(&read(&format!("{states}{DONE}")))).unwrap();
        world
    }

    fn idle() -> Self {
        Self { desk: Desk::with_session(), commands: vec![], chooses: vec![], ran: vec![], slow: false, denies: None }
    }

    fn commands(mut self, commands: &[(&'static str, &[(i64, &'static str)])]) -> Self {
        self.commands = commands.iter().map(|(word, ends)| (*word, ends.to_vec())).collect();
        self
    }

    fn chooses(mut self, states: &[(&'static str, Value)]) -> Self {
        self.chooses = states.to_vec();
        self
    }

    /// Pays what is owed as the shell would, until only the clock or a person is waited for.
    fn go(&mut self) {
        for _ in 0..1_000 {
            if !self.step() {
                return;
            }
        }
        panic!("it does not come to rest");
    }

    fn step(&mut self) -> bool {
        let Some(debt) = self.desk.owed().into_iter().next() else { return self.world() };
        let mut moment = self.desk.moment.clone();
        let facts = match &debt {
            Debt::WaitUntil(_) => return self.world(),
            Debt::Relay(_) => self.desk.state.go_relay(&mut moment),
            Debt::EndWait(wait) => self.desk.state.end_wait(*wait, &mut moment),
            Debt::Rule(id) => {
                let turn = self.desk.state.turn.as_ref().unwrap();
                let call = turn.call(*id).unwrap().clone();
                let line = call.input["command"].as_str().unwrap_or_default();
                let ruling = match self.denies.filter(|word| line.contains(word)) {
                    Some(_) => Ruling::Denied { by: Decider::Policy("deny".into()), content: "denied".into() },
                    None => ruled(&self.desk.state, &call),
                };
                ruling.facts(&self.desk.state, &call, &mut moment)
            }
            Debt::StartStep { step, attempt, .. } => {
                self.desk.start_step(*step, *attempt);
                return true;
            }
            other => self.desk.state.settle(other),
        };
        self.desk.moment = moment;
        assert!(!facts.is_empty(), "{debt:?}");
        self.desk.record(facts, None);
        if let Debt::Start { call, attempt, .. } = debt {
            let line = self.desk.state.turn.as_ref().unwrap().call(call).unwrap().input["command"].clone();
            self.ran.push(line.as_str().unwrap_or_default().to_owned());
            self.desk.held.calls.insert(call, attempt);
        }
        true
    }

    /// Lets what is under way end.
    fn world(&mut self) -> bool {
        if let Some(step) = self.desk.held.step {
            let asks = self.desk.transcript_text().last().is_some_and(|text| text.contains("choose what is next"));
            let chosen = asks.then(|| (!self.chooses.is_empty()).then(|| self.chooses.remove(0))).flatten();
            let said = match chosen {
                Some((state, input)) => {
                    let arguments = json!({"state": state, "input": input}).to_string();
                    ReplyBlock::ToolUse { name: "select_state".into(), arguments }
                }
                None => desk::text("{\"said\": 1}"),
            };
            self.desk.answer(step.1, step.2, Ok(reply(vec![said]))).unwrap();
            return true;
        }
        if self.slow {
            return false;
        }
        let Some((call, _)) = self.desk.held.calls.iter().next().map(|(call, attempt)| (*call, *attempt)) else {
            return false;
        };
        let line = self.desk.state.call(call).unwrap().input["command"].as_str().unwrap().to_owned();
        let known = self.commands.iter_mut().find(|(word, _)| line.contains(word));
        let end = known.map_or((0, ""), |(_, ends)| if ends.len() > 1 { ends.remove(0) } else { ends[0] });
        self.ends(end.0, end.1);
        true
    }

    /// The running command ends.
    fn ends(&mut self, code: i64, output: &str) {
        let (call, attempt) = self.desk.held.calls.pop_first().expect("a command runs");
        let outcome = if code == 0 { Outcome::Ok } else { Outcome::Error };
        let content = match (code, output) {
            (0, "") => "(no output)".to_owned(),
            (0, output) => output.to_owned(),
            (code, output) => format!("{output}\n[exit code {code}]"),
        };
        let done = Done { outcome, content, details: Some(json!({"exit_code": code})), artifact: None };
        self.desk.command(Command::Report(Report::Call { call, attempt, done, duration_ms: 1 })).unwrap();
    }

    fn later(&mut self, ms: u64) {
        self.desk.pass_ms(ms);
        self.go();
    }

    fn signal(&mut self, name: &str, payload: Value) {
        let origin = Origin::of(OriginKind::Api);
        self.desk.command(Command::Signal(NewSignal { name: name.into(), payload, origin })).unwrap();
        self.go();
    }

    fn asked(&self) -> OpenQuestion {
        let mut open = self.desk.state.open_questions();
        assert_eq!(open.len(), 1, "{}", self.standing());
        open.remove(0)
    }

    fn says(&mut self, answer: &str) {
        let (question, answers) = (self.asked().question, vec![vec![answer.to_owned()]]);
        self.desk.command(Command::Answer { question, answers, by: desk::by() }).unwrap();
        self.go();
    }

    fn die(&mut self) {
        self.desk.die();
        self.slow = false;
        self.go();
    }

    fn standing(&self) -> String {
        let relay = self.desk.state.relay().map(|relay| format!("{}: {:?}", relay.standing(), relay.stage));
        relay.unwrap_or_default()
    }

    /// Each attempt as `state#attempt outcome`.
    fn rows(&self) -> Vec<String> {
        rows(&self.desk.entries)
    }

    fn outputs(&self) -> Vec<Value> {
        let ended = |entry: &Entry| match &entry.event {
            Event::RelayStateEnded(ended) => Some(ended.output.clone()),
            _other => None,
        };
        self.desk.entries.iter().filter_map(ended).collect()
    }

    fn check(&self, rows: &[&str], outcome: Option<Terminal>) {
        assert_eq!(self.rows(), rows, "{}", self.standing());
        let ends: Vec<Terminal> = finished(&self.desk.entries);
        assert_eq!(ends.last().copied(), outcome, "{}", self.standing());
        if outcome.is_some() {
            assert!(self.desk.owed().is_empty() && self.desk.state.turn.is_none(), "{}", self.standing());
        }
        check_replay(&self.desk.entries);
    }
}

fn rows(entries: &[Entry]) -> Vec<String> {
    let mut rows: Vec<String> = Vec::new();
    for entry in entries {
        match &entry.event {
            Event::RelayStateEntered(entered) => rows.push(format!("{}#{}", entered.state, entered.attempt)),
            Event::RelayStateEnded(ended) => {
                let row = format!("{}#{}", ended.state, ended.attempt);
                let open = rows.iter_mut().rev().find(|known| **known == row).expect("it was entered");
                open.push_str(&format!(" {}", ended.outcome.as_str()));
            }
            _other => {}
        }
    }
    rows
}

fn finished(entries: &[Entry]) -> Vec<Terminal> {
    let finished = |entry: &Entry| match &entry.event {
        Event::RelayFinished(finished) => Some(finished.outcome),
        _other => None,
    };
    entries.iter().filter_map(finished).collect()
}

/// As the shell rules.
fn ruled(state: &State, call: &outlive_core::turn::Call) -> Ruling {
    if let Some(read) = read_relay_call(&call.tool, &call.input) {
        let denied = |content| Ruling::Denied { by: Decider::Runtime, content };
        return read.map_or_else(denied, Ruling::Relay);
    }
    let vouched = state.vouched(call.id).expect("only a relay's commands run here");
    let (effect, on_lost) = (vouched.effect, vouched.on_lost);
    match vouched.by.cloned() {
        Some(by) => Ruling::Allowed { by: Decider::Person(by), effect, on_lost, ruled: None },
        None => Ruling::Ask { summary: "it".into(), rule: "it".into(), because: vec![], effect, on_lost, ruled: None },
    }
}

fn fold(entries: &[Entry]) -> State {
    let mut state = State::default();
    entries.iter().for_each(|entry| state.apply(entry));
    state
}

/// The state of every beginning is what a snapshot there and the rest make.
fn check_replay(entries: &[Entry]) {
    let whole = fold(entries);
    for cut in 0..entries.len() {
        let mut state = read_snapshot(&write_snapshot(&fold(&entries[..cut])).unwrap()).unwrap();
        entries[cut..].iter().for_each(|entry| state.apply(entry));
        assert_eq!(state, whole, "from {cut}");
    }
}

const TRIP: &str = "  - {name: pack, kind: script, command: 'pack', next: rest}
  - {name: rest, kind: timer, after: 30s, next: done}
";

#[test]
fn a_script_a_timer_and_an_end_follow_each_other_by_themselves() {
    let mut world = World::of(TRIP).commands(&[("pack", &[(0, "{\"bags\": 2}")])]);
    world.go();
    world.check(&["pack#1 ok", "rest#1"], None);
    assert_eq!(world.desk.state.status(), Status::Sleeping);
    world.later(29_000);
    world.check(&["pack#1 ok", "rest#1"], None);
    world.later(2_000);
    world.check(&["pack#1 ok", "rest#1 due", "done#1"], Some(Terminal::Completed));
    assert_eq!(world.outputs()[0], json!({"bags": 2}));
}

#[test]
fn a_wait_is_armed_in_the_append_of_what_needs_it() {
    let mut world = World::of(TRIP);
    world.slow = true;
    world.go();
    // All that follows from this report is one append: its entries have its time.
    world.ends(0, "");
    let at = world.desk.moment.at;
    world.go();
    let armed = world.desk.entries.iter().rfind(|entry| matches!(entry.event, Event::WaitArmed(_))).unwrap();
    assert_eq!(armed.at, at);
}

#[test]
fn a_checkpoint_says_where_the_relay_stands_as_long_as_it_is_under_way() {
    let open = |world: &World| -> Vec<(Section, String)> {
        world.desk.state.open_items().into_iter().map(|open| (open.section, open.text)).collect()
    };
    let rest =
        "  - {name: rest, kind: timer, after: 1h, next: ask}\n  - {name: ask, kind: park, question: So?, next: done}\n";
    let mut world = World::of(rest);
    world.go();
    assert_eq!(open(&world), [(Section::InProgress, "relay `trip`: `rest` waits".to_owned())]);
    world
        .desk
        .command(relay(RelayCommand::Select(Chosen { state: "ask".into(), input: Value::Null, reason: None })))
        .unwrap();
    world.go();
    assert_eq!(open(&world), [(Section::Blockers, "relay `trip`: `ask`: a person is asked".to_owned())]);
    world.desk.command(relay(RelayCommand::Cancel { reason: None })).unwrap();
    world.go();
    assert_eq!(open(&world), []);
}

#[test]
fn the_end_is_told_in_its_own_append_and_once() {
    let mut world = World::of(TRIP);
    world.go();
    world.later(31_000);
    let at = world.desk.entries.iter().position(|entry| matches!(entry.event, Event::RelayFinished(_))).unwrap();
    let after: Vec<&str> = world.desk.entries[at..].iter().take(3).map(|entry| entry.event.name()).collect();
    assert_eq!(after, ["relay.finished", "message.received", "turn.started"]);
    world.die();
    let told = world.desk.entries.iter().filter(|entry| match &entry.event {
        Event::MessageReceived(message) => message.content.contains("ended: completed: all is well"),
        _other => false,
    });
    assert_eq!(told.count(), 1);
}

const FREE: &str = "  - {name: look, kind: script, command: look}
  - name: write
    kind: agent
    prompt: 'write to {{input.who}}, who said {{states.look.output.said}}'
    input_schema: {type: object, properties: {who: {type: string}}, required: [who]}
";

#[test]
fn the_agent_chooses_and_its_turn_is_over_with_that() {
    let mut world = World::of(FREE)
        .commands(&[("look", &[(0, "{\"said\": \"hi\"}")])])
        .chooses(&[("write", json!({"who": "Ann"})), ("done", json!({}))]);
    world.go();
    world.check(&["look#1 ok", "write#1 ok", "done#1"], Some(Terminal::Completed));
    assert_eq!(world.outputs()[1], json!({"said": 1}), "what the agent said is the state's output");
    let asked = world.desk.transcript_text();
    assert!(asked.iter().any(|text| text.ends_with("write to Ann, who said hi")), "{asked:?}");
    // Two choices, one state of the agent's, one word to the person: no step more.
    let steps = world.desk.entries.iter().filter(|entry| matches!(entry.event, Event::StepFinished(_))).count();
    assert_eq!(steps, 4);
}

#[test]
fn what_a_state_must_be_given_is_checked_before_anything_runs() {
    let mut world = World::of(FREE).chooses(&[
        ("write", json!({})),
        ("write", json!({"who": 1})),
        ("write", json!({"who": "Ann", "more": 1})),
        ("wirte", json!({})),
    ]);
    world.commands = vec![("look", vec![(0, "{\"said\": \"hi\"}")])];
    world.go();
    let denied: Vec<String> = world
        .desk
        .entries
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::CallDenied(denied) => Some(denied.content.clone()),
            _other => None,
        })
        .collect();
    for (at, says) in
        ["`who` is missing", "input.who: is no string", "input.more: not declared"].into_iter().enumerate()
    {
        assert!(denied[at].contains(says), "{denied:?}");
    }
    assert_eq!(world.rows(), ["look#1 ok"]);
}

#[test]
fn an_agent_that_does_not_choose_is_asked_three_times_and_then_a_person_is() {
    let mut world = World::of(FREE).commands(&[("look", &[(0, "{\"said\": \"hi\"}")])]);
    world.go();
    let asked = world.asked();
    assert!(asked.questions[0].text.contains("asked 3 times"), "{asked:?}");
    assert_eq!(world.desk.state.status(), Status::Asking);
    // Words of one's own are told to the agent, which chooses then.
    world.chooses = vec![("write", json!({"who": "Bob"})), ("done", json!({}))];
    world.says("write to Bob");
    world.check(&["look#1 ok", "write#1 ok", "done#1"], Some(Terminal::Completed));
}

#[test]
fn a_person_is_told_why_what_the_agent_chose_was_refused() {
    let states = "  - {name: ping, kind: script, command: ping}
  - {name: far, kind: agent, prompt: '{{states.near.output}}'}
  - {name: near, kind: timer, after: 1h}
";
    let mut world = World::of(states).chooses(&[("far", json!({})), ("far", json!({})), ("far", json!({}))]);
    world.go();
    let asked = world.asked().questions[0].text.clone();
    let why = "what it chose was refused: prompt: `{{states.near.output}}` has no value here";
    assert!(asked.contains(why), "{asked}");
    world.says("done");
    world.check(&["ping#1 ok", "done#1"], Some(Terminal::Completed));
}

#[test]
fn a_relay_can_end_whatever_is_known_of_why() {
    let states = "  - {name: ask, kind: park, question: What?}
  - {name: over, kind: terminal, outcome: failed, reason: 'they said {{states.ask.output.answer}}'}
";
    let mut world = World::idle();
    let definition = read(&format!("{states}{DONE}"));
    world.desk.command(start_at(&definition, Some("over"), Value::Null)).unwrap();
    world.go();
    world.check(&["over#1"], Some(Terminal::Failed));
}

#[test]
fn a_look_that_has_not_found_is_no_error() {
    let mut world = World::of(POLL).commands(&[("test -e mail", &[(1, ""), (7, "")])]);
    world.go();
    world.later(60_010);
    let error = |entry: &Entry| match &entry.event {
        Event::RelayStateEnded(ended) => Some(ended.error.clone()),
        _other => None,
    };
    let errors: Vec<Option<String>> = world.desk.entries.iter().filter_map(error).collect();
    assert_eq!(errors, [None, Some("exit code 7".to_owned())]);
}

#[test]
fn a_person_chooses_where_the_agent_does_not() {
    let mut world = World::of(FREE);
    world.go();
    world.says("done");
    world.check(&["look#1 ok", "done#1"], Some(Terminal::Completed));
}

#[test]
fn a_relay_is_cancelled_from_its_question() {
    let mut world = World::of(FREE);
    world.go();
    world.says("cancel the relay");
    world.check(&["look#1 ok"], Some(Terminal::Cancelled));
}

const PAY: &str = "  - {name: pay, kind: script, command: pay-now, next: done}\n";
const PAY_CHECKED: &str = "  - {name: pay, kind: script, command: pay-now, check: is-paid, next: done}\n";
const PAY_AGAIN: &str = "  - {name: pay, kind: script, command: pay-now, effect: idempotent, next: done}\n";

fn dies_in_script(states: &str) -> World {
    let mut world = World::of(states);
    world.slow = true;
    world.go();
    assert_eq!(world.ran.len(), 1);
    world
}

#[test]
fn a_script_that_may_have_run_is_not_run_again_without_a_word() {
    for (answer, rows, runs) in
        [("run it again", vec!["pay#1 lost", "pay#2 ok", "done#1"], 2), ("it was done", vec!["pay#1 ok", "done#1"], 1)]
    {
        let mut world = dies_in_script(PAY);
        world.die();
        world.check(&["pay#1"], None);
        assert_eq!((world.ran.len(), world.desk.state.status()), (1, Status::Asking));
        world.says(answer);
        world.check(&rows, Some(Terminal::Completed));
        assert_eq!(world.ran.len(), runs);
    }
}

/// However it would come back to a script of which nobody knows what it did: a person says so, or it does not.
fn check_not_again(states: &str, chooses: &[(&'static str, Value)], stops: &str) {
    let mut world = dies_in_script(states).chooses(chooses);
    world.die();
    world.says("do what you think is right");
    assert!(world.asked().questions[0].text.contains(stops), "{}", world.standing());
    assert!(world.asked().questions[0].text.contains("nobody knows what `pay` did"), "{}", world.standing());
    assert_eq!(world.ran.len(), 1, "{:?}", world.ran);
    check_replay(&world.desk.entries);
}

#[test]
fn an_agent_has_no_script_run_again_of_which_nobody_knows_what_it_did() {
    let pay = || ("pay", json!({}));
    check_not_again(PAY, &[pay(), pay(), pay()], "the agent chose no state after `pay`");
    let round =
        format!("{PAY}  - {{name: rest, kind: timer, after: 0s, next: pay}}\n").replace("after: 0s", "after: 1s");
    let mut world = dies_in_script(&round).chooses(&[("rest", json!({}))]);
    world.die();
    world.says("rest a little");
    world.later(2_000);
    let asked = world.asked().questions[0].text.clone();
    assert!(asked.contains("`pay` is entered on your word only: nobody knows what `pay` did"), "{asked}");
    assert_eq!(world.ran.len(), 1);
    world.says("go on");
    world.check(&["pay#1 left", "rest#1 due", "pay#1 ok", "done#1"], Some(Terminal::Completed));
    assert_eq!(world.ran.len(), 2);
}

#[test]
fn a_check_says_whether_it_was_done() {
    for (code, rows, runs) in [
        (0, vec!["pay#1 ok", "done#1"], vec!["pay-now", "is-paid"]),
        (1, vec!["pay#1 lost", "pay#2 ok", "done#1"], vec!["pay-now", "is-paid", "pay-now"]),
    ] {
        let mut world = dies_in_script(PAY_CHECKED).commands(&[("is-paid", &[(code, "")])]);
        world.die();
        world.check(&rows, Some(Terminal::Completed));
        let ran: Vec<&str> = world.ran.iter().map(|line| line.rsplit(' ').next().unwrap()).collect();
        assert_eq!(ran, runs);
    }
    let mut world = dies_in_script(PAY_CHECKED).commands(&[("is-paid", &[(7, "")])]);
    world.die();
    assert!(world.asked().questions[0].text.contains("Nobody knows what it did"));
}

#[test]
fn a_check_that_may_not_run_says_nothing_and_the_script_is_not_tried_again() {
    let retried = PAY_CHECKED.replace("check:", "retry: {attempts: 5, backoff: 1s}, check:");
    let mut world = dies_in_script(&retried);
    world.desk.die();
    world.slow = false;
    world.denies = Some("is-paid");
    world.go();
    assert!(world.asked().questions[0].text.contains("Nobody knows what it did"), "{}", world.standing());
    world.later(60_000);
    assert_eq!(world.ran.len(), 1, "{:?}", world.ran);
    world.says("it was done");
    world.check(&["pay#1 ok", "done#1"], Some(Terminal::Completed));
}

#[test]
fn a_state_that_a_person_names_is_entered_when_the_one_before_has_its_end() {
    let mut world = dies_in_script(PAY);
    world.die();
    world.says("done");
    world.check(&["pay#1 left", "done#1"], Some(Terminal::Completed));
}

#[test]
fn where_nobody_knows_what_a_check_said_a_person_is_asked_and_the_script_is_not_run_again() {
    let mut world = dies_in_script(PAY_CHECKED);
    world.desk.die();
    world.go();
    // Its check ran at so many deaths that it is given up.
    let (check, _) = world.desk.held.calls.pop_first().unwrap();
    let lost = world.desk.state.settle(&Debt::DeclareLost(check));
    world.desk.record(lost, None);
    world.go();
    assert!(world.asked().questions[0].text.contains("Nobody knows what it did"));
    assert_eq!(world.ran.iter().filter(|line| line.ends_with("pay-now")).count(), 1);
}

#[test]
fn a_script_that_may_run_twice_does() {
    let mut world = dies_in_script(PAY_AGAIN);
    world.die();
    world.check(&["pay#1 ok", "done#1"], Some(Terminal::Completed));
    assert_eq!(world.ran.len(), 2);
}

#[test]
fn an_interrupted_script_asks_what_now() {
    let mut world = dies_in_script(PAY);
    world.desk.command(Command::Interrupt { by: desk::by() }).unwrap();
    let (call, attempt) = world.desk.held.calls.pop_first().unwrap();
    let done = Done { outcome: Outcome::Interrupted, content: "stopped".into(), details: None, artifact: None };
    world.desk.command(Command::Report(Report::Call { call, attempt, done, duration_ms: 1 })).unwrap();
    world.slow = false;
    world.go();
    assert!(world.asked().questions[0].text.contains("was interrupted"), "{}", world.standing());
    world.says("run it again");
    world.check(&["pay#1 lost", "pay#2 ok", "done#1"], Some(Terminal::Completed));
}

const POLL: &str =
    "  - {name: look, kind: poll, command: 'test -e mail', interval: 1m, deadline: 5m, error_budget: 1, \
                    next: done, on_failure: gone}
  - {name: gone, kind: terminal, outcome: failed}
";

#[test]
fn a_poll_tells_found_not_yet_and_errors_apart() {
    let mut world = World::of(POLL).commands(&[("mail", &[(1, ""), (2, "no disk"), (1, ""), (0, "here")])]);
    world.go();
    for _ in 0..3 {
        world.later(60_001);
    }
    let rows = ["look#1 not yet", "look#2 error", "look#3 not yet", "look#4 found", "done#1"];
    world.check(&rows, Some(Terminal::Completed));
}

#[test]
fn errors_in_a_row_beyond_the_budget_fail_a_poll() {
    let mut world = World::of(POLL).commands(&[("mail", &[(2, "no disk")])]);
    world.go();
    world.later(60_001);
    world.check(&["look#1 error", "look#2 error", "gone#1"], Some(Terminal::Failed));
}

#[test]
fn a_poll_looks_once_more_at_its_deadline() {
    let mut world = World::of(POLL).commands(&[("mail", &[(1, "")])]);
    world.go();
    for _ in 0..4 {
        world.later(60_001);
    }
    world.later(60_000);
    world.check(
        &[
            "look#1 not yet",
            "look#2 not yet",
            "look#3 not yet",
            "look#4 not yet",
            "look#5 not yet",
            "look#6 expired",
            "gone#1",
        ],
        Some(Terminal::Failed),
    );
}

fn first_wait(world: &World) -> outlive_core::id::WaitId {
    world.desk.state.queue.waits.armed[0].wait
}

#[test]
fn a_pause_that_is_cancelled_ends_its_state_as_failed_and_its_attempt_once() {
    let tried = "  - {name: pay, kind: script, command: pay, retry: {attempts: 3}, on_failure: gone}
  - {name: gone, kind: terminal, outcome: failed, reason: '{{states.pay.error}}'}
";
    for (states, rows) in [(POLL, ["look#1 not yet", "gone#1"]), (tried, ["pay#1 failed", "gone#1"])] {
        let mut world = World::of(states).commands(&[("test -e mail", &[(1, "")]), ("pay", &[(9, "")])]);
        world.go();
        let cancel = WaitCommand::Cancel(first_wait(&world));
        world.desk.command(Command::Wait { what: cancel, by: desk::by() }).unwrap();
        world.go();
        world.check(&rows, Some(Terminal::Failed));
        let why = world.desk.entries.iter().find_map(|entry| match &entry.event {
            Event::RelayStateEntered(entered) if entered.state == "gone" => entered.reason.clone(),
            _other => None,
        });
        assert_eq!(why.as_deref(), Some("its wait was cancelled"));
    }
}

#[test]
fn what_is_fired_by_hand_ends_as_when_its_time_comes() {
    let mail = "  - {name: mail, kind: signal, match: {good: true}, deadline: 1h, next: done, on_failure: gone}
  - {name: gone, kind: terminal, outcome: failed}
";
    let rest = "  - {name: rest, kind: timer, after: 1h, next: done}\n";
    for (states, rows, outcome) in
        [(mail, ["mail#1 expired", "gone#1"], Terminal::Failed), (rest, ["rest#1 due", "done#1"], Terminal::Completed)]
    {
        let mut world = World::of(states);
        world.go();
        let fire = WaitCommand::Fire(first_wait(&world));
        world.desk.command(Command::Wait { what: fire, by: desk::by() }).unwrap();
        world.go();
        world.check(&rows, Some(outcome));
    }
}

#[test]
fn a_deadline_that_a_person_moved_is_the_one_that_outlasts() {
    let states = "  - {name: mail, kind: signal, deadline: 1h, next: done}
  - {name: rest, kind: timer, after: 10m}
";
    let mut world = World::of(states);
    world.go();
    let by = desk::by();
    let what = WaitCommand::Move(first_wait(&world), Until::In(7_200_000));
    world.desk.command(Command::Wait { what, by }).unwrap();
    let moved = world.desk.state.queue.waits.armed[0].terms.deadline;
    for state in ["rest", "mail"] {
        let chosen = Chosen { state: state.into(), input: Value::Null, reason: None };
        world.desk.command(relay(RelayCommand::Select(chosen))).unwrap();
        world.go();
    }
    assert_eq!(world.desk.state.queue.waits.armed[0].terms.deadline, moved);
    check_replay(&world.desk.entries);
}

#[test]
fn a_relay_that_is_reopened_does_not_expire_of_the_time_in_which_it_was_over() {
    let mut world = World::of("  - {name: mail, kind: signal, deadline: 1h, next: done}\n");
    world.go();
    world.desk.command(relay(RelayCommand::Cancel { reason: None })).unwrap();
    world.later(7_200_000);
    let with = Some(Chosen { state: "mail".into(), input: Value::Null, reason: None });
    world.desk.command(relay(RelayCommand::Reopen { reason: "so".into(), with })).unwrap();
    world.go();
    assert_eq!(world.rows(), ["mail#1 left", "mail#1"], "{}", world.standing());
    let until = world.desk.state.queue.waits.armed[0].terms.deadline.unwrap();
    assert!(world.desk.moment.at < until);
}

#[test]
fn a_deadline_outlasts_that_its_state_is_left_and_chosen_again() {
    let states = "  - {name: mail, kind: signal, deadline: 1h, next: done}
  - {name: rest, kind: timer, after: 10m}
";
    let mut world = World::of(states);
    world.go();
    let deadline = world.desk.state.relay().unwrap().at.deadline.unwrap();
    let select = |state: &str| {
        let reason = Some("to look".to_owned());
        relay(RelayCommand::Select(Chosen { state: state.into(), input: Value::Null, reason }))
    };
    world.desk.pass_ms(60_000);
    world.desk.command(select("rest")).unwrap();
    world.go();
    world.desk.command(select("mail")).unwrap();
    world.go();
    assert_eq!(world.desk.state.relay().unwrap().at.deadline, Some(deadline));
    world
        .check(&["mail#1 left", "rest#1 left", "mail#2"].map(|row| if row == "mail#2" { "mail#1" } else { row }), None);
    assert_eq!(world.desk.state.queue.waits.armed.len(), 1);
    world.chooses = vec![("done", json!({}))];
    world.later(3_600_000);
    world.check(&["mail#1 left", "rest#1 left", "mail#1 expired", "done#1"], Some(Terminal::Completed));
}

#[test]
fn a_signal_that_came_before_anyone_waited_is_taken_once() {
    let states = "  - {name: mail, kind: signal, signal: mail, match: {to: me}, next: more}
  - {name: more, kind: signal, signal: mail, next: done}
";
    let mut world = World::idle();
    world.signal("mail", json!({"to": "me", "text": "$(reboot)"}));
    world.desk.command(start(&read(&format!("{states}{DONE}")))).unwrap();
    world.go();
    world.check(&["mail#1 signal", "more#1"], None);
    world.signal("mail", json!({"to": "you"}));
    world.check(&["mail#1 signal", "more#1 signal", "done#1"], Some(Terminal::Completed));
    assert_eq!(world.outputs(), [json!({"to": "me", "text": "$(reboot)"}), json!({"to": "you"})]);
}

#[test]
fn a_person_is_asked_and_what_is_said_meanwhile_is_no_answer() {
    let states = "  - {name: ask, kind: park, question: Go on?, options: [yes, no], next: done}\n"
        .replace("yes, no", "'yes', 'no'");
    let mut world = World::of(&states);
    world.go();
    assert_eq!(world.desk.state.status(), Status::Asking);
    let before = world.asked();
    world.desk.say("what is this about?").unwrap();
    world.go();
    assert_eq!(world.asked(), before);
    world.says("yes");
    world.check(&["ask#1 answered", "done#1"], Some(Terminal::Completed));
    assert_eq!(world.outputs()[0]["answer"], "yes");
    let late = Command::Answer { question: before.question, answers: vec![vec!["no".into()]], by: desk::by() };
    assert!(matches!(world.desk.command(late), Err(Refusal::AlreadyAnswered(_))));
    assert_eq!(before.question, question_of(before.call));
}

const TRIES: &str = "  - name: send
    kind: script
    command: send
    next: done
    on_failure: gone
    retry: {attempts: 3, backoff: 10s, jitter: 0, final_codes: [3]}
  - {name: gone, kind: terminal, outcome: failed}
";

#[test]
fn a_state_that_fails_is_tried_again_after_pauses_that_double() {
    let mut world = World::of(TRIES).commands(&[("send", &[(1, "no"), (1, "no"), (0, "sent")])]);
    world.go();
    world.later(9_990);
    world.check(&["send#1 failed"], None);
    world.later(20);
    world.check(&["send#1 failed", "send#2 failed"], None);
    world.later(19_000);
    world.check(&["send#1 failed", "send#2 failed"], None);
    world.later(2_000);
    world.check(&["send#1 failed", "send#2 failed", "send#3 ok", "done#1"], Some(Terminal::Completed));
}

#[test]
fn a_final_code_and_the_last_attempt_go_where_failures_go() {
    let mut world = World::of(TRIES).commands(&[("send", &[(3, "never")])]);
    world.go();
    world.check(&["send#1 failed", "gone#1"], Some(Terminal::Failed));
    let mut world = World::of(TRIES).commands(&[("send", &[(1, "no")])]);
    world.go();
    world.later(10_010);
    world.later(20_010);
    world.check(&["send#1 failed", "send#2 failed", "send#3 failed", "gone#1"], Some(Terminal::Failed));
}

#[test]
fn a_state_that_is_entered_too_often_asks_a_person() {
    let states = "  - {name: ping, kind: script, command: ping, next: pong, guard: {entries: 3, within: 1h}}
  - {name: pong, kind: script, command: pong, next: ping}
";
    let mut world = World::of(states);
    world.go();
    assert_eq!(world.rows().iter().filter(|row| row.starts_with("ping")).count(), 3);
    assert!(world.asked().questions[0].text.contains("3 times within 1h"), "{:?}", world.asked());
    world.says("done");
    assert_eq!(finished(&world.desk.entries), [Terminal::Completed]);
}

#[test]
fn times_that_are_past_end_at_a_guard() {
    let past = "kind: timer, at: '2020-01-01T00:00:00Z'";
    let mut world =
        World::of(&format!("  - {{name: ping, {past}, next: pong}}\n  - {{name: pong, {past}, next: ping}}\n"));
    while world.step() {}
    assert_eq!((world.desk.state.status(), world.rows().len()), (Status::Asking, 200));
    assert!(world.asked().questions[0].text.contains("200 times within 1d"), "{:?}", world.asked());
}

#[test]
fn what_a_text_becomes_with_its_values_has_an_end() {
    let many = "{{states.big.output}}".repeat(12);
    let states = format!(
        "  - {{name: big, kind: script, command: big, next: write}}
  - {{name: write, kind: agent, prompt: '{many}'}}
  - {{name: over, kind: terminal, outcome: failed, reason: '{many}'}}
"
    );
    let big: &'static str = "x".repeat(12_000).leak();
    let mut world = World::of(&states).commands(&[("big", &[(0, big)])]);
    world.go();
    let asked = world.asked().questions[0].text.clone();
    assert!(asked.contains("prompt: its values are longer than 98304 bytes together"), "{asked}");
    world.says("over");
    world.check(&["big#1 ok", "over#1"], Some(Terminal::Failed));
}

#[test]
fn an_agent_may_not_choose_past_a_guard() {
    let states = "  - {name: ping, kind: script, command: ping, guard: {entries: 1, within: 1h}}\n";
    let mut world = World::of(states).chooses(&[("ping", json!({})), ("done", json!({}))]);
    world.go();
    world.check(&["ping#1 ok", "done#1"], Some(Terminal::Completed));
}

#[test]
fn a_relay_begins_in_the_middle_is_run_again_and_reopened() {
    let definition = read(&format!("{TRIP}{DONE}"));
    let mut world = World::idle();
    world.desk.command(start_at(&definition, Some("rest"), Value::Null)).unwrap();
    world.go();
    let chosen = Chosen { state: "pack".into(), input: Value::Null, reason: Some("forgot the tent".into()) };
    world.desk.command(relay(RelayCommand::Select(chosen.clone()))).unwrap();
    world.go();
    world.check(&["rest#1 left", "pack#1 ok", "rest#1"], None);
    world.later(30_010);
    let refused = world.desk.command(relay(RelayCommand::Select(chosen.clone()))).unwrap_err();
    assert!(refused.to_string().contains("no relay is under way"), "{refused}");
    let reopen = RelayCommand::Reopen { reason: "one more".into(), with: Some(chosen) };
    world.desk.command(relay(reopen)).unwrap();
    world.go();
    world.later(30_010);
    assert_eq!(finished(&world.desk.entries), [Terminal::Completed, Terminal::Completed]);
    let reopened = world.desk.entries.iter().find_map(|entry| match &entry.event {
        Event::RelayReopened(reopened) => Some(reopened.former),
        _other => None,
    });
    assert_eq!(reopened, Some(Terminal::Completed));
    check_replay(&world.desk.entries);
}

#[test]
fn another_definition_is_a_version_with_who_and_why() {
    let mut world = World::of(TRIP);
    world.go();
    let mut other = read(&format!("{TRIP}{DONE}"));
    other.states.retain(|state| state.name != "rest");
    let redefine = |definition: &Definition, reason: &str| {
        relay(RelayCommand::Redefine { definition: Box::new(definition.clone()), reason: reason.into() })
    };
    let refused = world.desk.command(redefine(&other, "shorter")).unwrap_err();
    assert!(refused.to_string().contains("no state `rest`"), "{refused}");
    let mut other = read(&format!("{TRIP}{DONE}"));
    other.prompt = "get there soon".into();
    assert!(world.desk.command(redefine(&other, " ")).is_err());
    world.desk.command(redefine(&other, "hurry")).unwrap();
    let relay = world.desk.state.relay().unwrap();
    assert_eq!((relay.version, relay.definition.prompt.as_str()), (2, "get there soon"));
    world.later(30_010);
    world.check(&["pack#1 ok", "rest#1 due", "done#1"], Some(Terminal::Completed));
}

#[test]
fn another_definition_is_of_the_same_relay_and_keeps_what_is_worked_on() {
    let mut world = dies_in_script(PAY);
    let redefine = |definition: Definition| {
        relay(RelayCommand::Redefine { definition: Box::new(definition), reason: "so".into() })
    };
    let mut other = read(&format!("{PAY}{DONE}"));
    other.name = "walk".into();
    let refused = world.desk.command(redefine(other)).unwrap_err();
    assert!(refused.to_string().contains("another relay, `walk`"), "{refused}");
    let timer = read(&format!("  - {{name: pay, kind: timer, after: 1h, next: done}}\n{DONE}"));
    let refused = world.desk.command(redefine(timer.clone())).unwrap_err();
    assert!(refused.to_string().contains("stays of the kind `script`"), "{refused}");
    world.slow = false;
    world.die();
    world.desk.command(redefine(timer)).unwrap();
    assert!(world.asked().questions[0].text.contains("Nobody knows"));
}

#[test]
fn whoever_gives_another_definition_approves_its_commands() {
    let mut world = World::idle();
    let states = format!("  - {{name: rest, kind: timer, after: 1h, next: pay}}\n{PAY}{DONE}");
    let new = NewRelay { definition: read(&states), source: RelaySource::Agent, state: None, input: Value::Null };
    world.desk.command(relay(RelayCommand::Start(Box::new(new)))).unwrap();
    world.go();
    let definition = Box::new(read(&states));
    world.desk.command(relay(RelayCommand::Redefine { definition, reason: "I looked at it".into() })).unwrap();
    world.later(3_600_010);
    world.check(&["rest#1 due", "pay#1 ok", "done#1"], Some(Terminal::Completed));
}

#[test]
fn an_agent_that_is_to_go_on_after_the_end_is_told_why() {
    let mut world = World::of("");
    world.go();
    world.chooses = vec![("done", json!({}))];
    world.desk.command(relay(RelayCommand::Reopen { reason: "the tent is missing".into(), with: None })).unwrap();
    world.go();
    world.check(&["done#1", "done#1"], Some(Terminal::Completed));
    let told = world.desk.entries.iter().find_map(|entry| match &entry.event {
        Event::MessageReceived(message) if message.content.contains("choose what") => Some(message.content.clone()),
        _other => None,
    });
    assert!(told.as_ref().is_some_and(|told| told.contains("A person says: the tent is missing")), "{told:?}");
}

#[test]
fn a_relay_is_cancelled_with_what_it_waits_for() {
    let mut world = World::of(TRIP);
    world.go();
    world.desk.command(relay(RelayCommand::Cancel { reason: Some("rain".into()) })).unwrap();
    world.go();
    world.check(&["pack#1 ok", "rest#1 left"], Some(Terminal::Cancelled));
    assert!(world.desk.state.queue.waits.armed.is_empty());
    world.later(60_000);
    world.check(&["pack#1 ok", "rest#1 left"], Some(Terminal::Cancelled));
}

#[test]
fn one_relay_runs_at_a_time_and_nothing_pulls_the_ground_from_under_it() {
    let mut world = World::of(TRIP);
    world.go();
    let refused = world.desk.command(start(&read(&format!("{TRIP}{DONE}")))).unwrap_err();
    assert!(matches!(refused, Refusal::Invalid { code: "relay_running", .. }), "{refused}");
}

#[test]
fn an_agent_makes_a_relay_and_is_told_every_fault_of_one_that_is_none() {
    let definition = json!({"name": "trip", "prompt": "go", "states": [
        {"name": "rest", "kind": "timer", "after": "30s", "next": "done"},
        {"name": "done", "kind": "terminal", "outcome": "completed"},
    ]});
    let read = |definition: Value| read_relay_call("create_relay", &json!({"definition": definition})).unwrap();
    assert!(read(definition).is_ok());
    let wrong = read(json!({"name": "Trip", "states": [{"name": "rest", "kind": "timre"}]})).unwrap_err();
    for says in ["no name", "prompt: is missing", "the nearest is `timer`"] {
        assert!(wrong.contains(says), "{wrong}");
    }
}

#[test]
fn the_commands_of_a_relay_that_the_agent_made_are_asked_about() {
    for (verdict, rows, outcome) in [
        (Verdict::Allow, vec!["pay#1 ok", "done#1"], Some(Terminal::Completed)),
        (Verdict::Deny, vec!["pay#1 failed"], None),
    ] {
        let mut world = World::idle();
        let (definition, input) = (read(&format!("{PAY}{DONE}")), Value::Null);
        let new = NewRelay { definition, source: RelaySource::Agent, state: None, input };
        world.desk.command(relay(RelayCommand::Start(Box::new(new)))).unwrap();
        world.go();
        assert_eq!((world.desk.state.status(), world.ran.len()), (Status::Approving, 0));
        world.die();
        let call = world.desk.state.calls()[0].id;
        let decision = Decision { call, asked: None, verdict, reason: None, by: desk::by() };
        world.desk.command(Command::Decide(decision)).unwrap();
        world.go();
        world.check(&rows, outcome);
    }
}

/// A relay of all kinds, and the world that it runs in.
fn tour() -> World {
    let states = "  - {name: pack, kind: script, command: pack, check: is-packed, next: look}
  - {name: look, kind: poll, command: look, interval: 1m, next: rest}
  - {name: rest, kind: timer, after: 30s, next: mail}
  - {name: mail, kind: signal, next: write}
  - {name: write, kind: agent, prompt: write it}
  - {name: ask, kind: park, question: Fine?, next: done}
";
    World::of(states)
        .commands(&[("is-packed", &[(0, "")]), ("pack", &[(0, "")]), ("look", &[(1, ""), (0, "here")])])
        .chooses(&[("ask", json!({}))])
}

/// Runs it to its end, with a death after so many of its steps.
fn toured(death: Option<usize>) -> World {
    let mut world = tour();
    for steps in 0..400 {
        if death == Some(steps) {
            world.desk.die();
        }
        if world.step() {
            continue;
        }
        let relay = world.desk.state.relay().unwrap();
        if !relay.is_under_way() && world.desk.state.turn.is_none() {
            return world;
        }
        if !world.desk.state.open_questions().is_empty() {
            let (question, answers) = (world.asked().question, vec![vec!["fine".to_owned()]]);
            world.desk.command(Command::Answer { question, answers, by: desk::by() }).unwrap();
        } else if relay.at.state == "mail" {
            let (payload, origin) = (json!({"n": 1}), Origin::of(OriginKind::Api));
            world.desk.command(Command::Signal(NewSignal { name: "mail".into(), payload, origin })).unwrap();
        } else {
            world.desk.pass_ms(30_001);
        }
    }
    panic!("{}", world.standing());
}

#[test]
fn a_death_anywhere_comes_to_the_same_end() {
    let whole = toured(None);
    let rows = [
        "pack#1 ok",
        "look#1 not yet",
        "look#2 found",
        "rest#1 due",
        "mail#1 signal",
        "write#1 ok",
        "ask#1 answered",
        "done#1",
    ];
    whole.check(&rows, Some(Terminal::Completed));
    let steps = whole.desk.entries.len() * 2;
    for death in 0..steps {
        let world = toured(Some(death));
        assert_eq!((world.rows(), finished(&world.desk.entries)), (whole.rows(), vec![Terminal::Completed]));
        let packed = world.ran.iter().filter(|line| line.ends_with(" pack")).count();
        assert_eq!(packed, 1, "death at {death}: {:?}", world.ran);
        assert_eq!(world.desk.entries.iter().filter(|entry| is_told(entry)).count(), 1);
    }
}

fn is_told(entry: &Entry) -> bool {
    matches!(&entry.event, Event::MessageReceived(message) if message.content.contains("ended: completed"))
}

/// The tour with a death in its script: what the golden journal was made of.
pub(super) fn journal() -> Desk {
    let mut world = tour();
    world.slow = true;
    world.go();
    world.desk.die();
    world.slow = false;
    for _ in 0..200 {
        if world.step() {
            continue;
        }
        let relay = world.desk.state.relay().unwrap();
        if !relay.is_under_way() && world.desk.state.turn.is_none() {
            return world.desk;
        }
        if !world.desk.state.open_questions().is_empty() {
            world.says("fine");
        } else if relay.at.state == "mail" {
            world.signal("mail", json!({"n": 1}));
        } else {
            world.desk.pass_ms(30_001);
        }
    }
    panic!("{}", world.standing());
}

#[test]
fn what_runs_asks_no_model() {
    let mut world = World::of(TRIP);
    world.slow = true;
    world.go();
    let turn = world.desk.state.turn.as_ref().unwrap();
    assert_eq!((turn.asking.clone(), turn.step), (Asking::Checks, 0));
    let vouched = world.desk.state.vouched(turn.calls[0].id).unwrap();
    assert_eq!((vouched.effect, vouched.on_lost), (Effect::Effectful, OnLost::Report));
    assert_eq!(StateOutcome::NotYet.as_str(), "not yet");
}
