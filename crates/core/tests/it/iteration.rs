//! A loop: its five ends, its checks, and that a crash anywhere goes on with the same iteration.
#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks for what it names")]

use outlive_core::command::{Command, Done, LoopCommand, NewLoop, Report};
use outlive_core::compaction::Summary;
use outlive_core::content::{Failure, FailureKind};
use outlive_core::event::{
    Behavior, CallStarted, Check, CompactionTrigger, Decider, Effect, Entry, Event, LoopExit, OnLost, Outcome, Strategy,
};
use outlive_core::id::CallId;
use outlive_core::memory::observe::{Piece, Who};
use outlive_core::session::{
    CheckResult, Debt, Refusal, Round, Ruling, Stage, State, Status, Vouched, read_snapshot, write_snapshot,
};

use super::desk::{self, Desk, call_reply, reply, text};

fn new(limit: u32) -> NewLoop {
    let check = |name: &str| Check { name: name.into(), run: format!("just {name}") };
    NewLoop { goal: "make it work".into(), checks: vec![check("lint"), check("test")], limit }
}

fn start(limit: u32) -> Command {
    Command::Loop { what: LoopCommand::Start(new(limit)), by: desk::by() }
}

fn abort() -> Command {
    Command::Loop { what: LoopCommand::Abort, by: desk::by() }
}

/// What the policy says of every check.
fn asked() -> Ruling {
    let (effect, on_lost) = (Effect::Effectful, OnLost::Report);
    Ruling::Ask { summary: "just".into(), rule: "bash:just".into(), because: vec![], effect, on_lost, ruled: None }
}

/// As the shell rules on what somebody vouches for.
fn ruled(vouched: Option<Vouched<'_>>, ruling: &Ruling) -> Ruling {
    match (vouched.and_then(|vouched| vouched.by), ruling) {
        (Some(by), Ruling::Ask { .. }) => Ruling::Allowed {
            by: Decider::Person(by.clone()),
            effect: Effect::Idempotent,
            on_lost: OnLost::Retry,
            ruled: None,
        },
        _other => ruling.clone(),
    }
}

fn looping(limit: u32) -> Desk {
    let mut desk = Desk::with_session();
    desk.command(start(limit)).unwrap();
    advance(&mut desk);
    desk
}

/// What the checkpoint in use says.
fn summary(desk: &Desk) -> Option<Summary> {
    let active = desk.state.upkeep.view.active()?.seq;
    let entry = desk.entries.iter().find(|entry| entry.seq == active)?;
    if let Event::CheckpointCreated(created) = &entry.event { Some(created.summary.clone()) } else { None }
}

/// Pays what is owed as the shell would, until a model or a check is waited for.
fn advance(desk: &mut Desk) {
    advance_ruling(desk, &asked());
}

fn advance_ruling(desk: &mut Desk, ruling: &Ruling) {
    while let Some(debt) = desk.owed().into_iter().next() {
        let mut moment = desk.moment.clone();
        let facts = match &debt {
            Debt::Loop(round) => desk.state.go_round(*round, summary(desk).as_ref(), &mut moment),
            Debt::Rule(id) => {
                let ruling = ruled(desk.state.vouched(*id), ruling);
                ruling.facts(&desk.state, desk.state.call(*id).unwrap(), &mut moment)
            }
            Debt::StartStep { step, attempt, .. } => return desk.start_step(*step, *attempt),
            other => desk.state.settle(other),
        };
        desk.moment = moment;
        assert!(!facts.is_empty(), "{debt:?}");
        desk.record(facts, None);
        if let Debt::Start { call, attempt, .. } = debt {
            desk.held.calls.insert(call, attempt);
        }
    }
}

fn says(desk: &mut Desk) {
    let turn = desk.state.turn.clone().unwrap();
    let outlive_core::turn::Asking::Asked { attempt } = turn.asking else { panic!("{:?}", turn.asking) };
    desk.answer(turn.step, attempt, Ok(reply(vec![text("done")]))).unwrap();
    advance(desk);
}

fn fails(desk: &mut Desk, kind: FailureKind) {
    let turn = desk.state.turn.clone().unwrap();
    let failure = Failure { kind, message: "no".into(), retry_after_ms: None };
    desk.answer(turn.step, 1, Err(failure)).unwrap();
    advance(desk);
}

/// The running check ends.
fn ends(desk: &mut Desk, outcome: Outcome) {
    let (call, attempt) = desk.held.calls.pop_first().expect("a check runs");
    let details = Some(serde_json::json!({"exit_code": if outcome == Outcome::Ok { 0 } else { 1 }}));
    let done = Done { outcome, content: "line\nlast line".into(), details, artifact: None };
    desk.command(Command::Report(Report::Call { call, attempt, done, duration_ms: 1 })).unwrap();
    advance(desk);
}

fn round(desk: &mut Desk, outcomes: [Outcome; 2]) {
    says(desk);
    outcomes.into_iter().for_each(|outcome| ends(desk, outcome));
}

const FAILS: [Outcome; 2] = [Outcome::Ok, Outcome::Error];
const PASSES: [Outcome; 2] = [Outcome::Ok, Outcome::Ok];

/// Says how it ended: why, at which iteration, what was said of it.
fn end(entries: &[Entry]) -> Option<(LoopExit, u32, Option<String>)> {
    let ends: Vec<_> = entries
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::LoopEnded(ended) => Some((ended.exit, ended.number, ended.reason.clone())),
            _other => None,
        })
        .collect();
    assert!(ends.len() <= 1, "{ends:?}");
    ends.into_iter().next()
}

fn check_end(desk: &Desk, exit: LoopExit, number: u32, says: &str) {
    let (is, at, reason) = end(&desk.entries).unwrap_or_else(|| panic!("{:?}", desk.state.looping()));
    let reason = reason.unwrap_or_default();
    assert_eq!((is, at), (exit, number), "{reason}");
    assert!(reason.contains(says), "{reason}");
    assert_eq!((desk.state.turn.as_ref(), desk.state.looping(), desk.owed()), (None, None, vec![]));
    check_replay(&desk.entries);
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

fn fold(entries: &[Entry]) -> State {
    let mut state = State::default();
    entries.iter().for_each(|entry| state.apply(entry));
    state
}

#[test]
fn it_ends_as_passed_once_all_checks_pass_in_one_iteration() {
    let mut desk = looping(5);
    round(&mut desk, FAILS);
    // One passes now that failed before, and the other way round.
    round(&mut desk, [Outcome::Error, Outcome::Ok]);
    round(&mut desk, PASSES);
    check_end(&desk, LoopExit::Passed, 3, "");
}

/// A loop of two iterations, of which the second has a death in it: what the golden journal was made of.
pub(super) fn looped() -> Desk {
    let mut desk = looping(3);
    round(&mut desk, FAILS);
    says(&mut desk);
    desk.die();
    desk.recover();
    PASSES.into_iter().for_each(|outcome| ends(&mut desk, outcome));
    desk
}

#[test]
fn it_ends_at_its_limit() {
    let mut desk = looping(2);
    round(&mut desk, FAILS);
    round(&mut desk, [Outcome::Timeout, Outcome::Ok]);
    check_end(&desk, LoopExit::Iterations, 2, "");
}

#[test]
fn it_ends_as_context_where_a_request_does_not_fit() {
    let mut desk = looping(5);
    round(&mut desk, FAILS);
    // Asked again at once, as it may have been made shorter.
    while desk.state.turn.is_some() {
        let attempt = desk.held.step.unwrap().2;
        let failure = Failure { kind: FailureKind::Overflow, message: "no".into(), retry_after_ms: None };
        desk.answer(1, attempt, Err(failure)).unwrap();
        advance(&mut desk);
    }
    check_end(&desk, LoopExit::Context, 2, "window");
}

#[test]
fn it_ends_as_error_where_a_turn_fails() {
    let mut desk = looping(5);
    fails(&mut desk, FailureKind::Auth);
    check_end(&desk, LoopExit::Error, 1, "set a valid key");
}

#[test]
fn it_ends_as_error_where_a_check_may_not_run_and_names_check_and_rule() {
    let mut desk = looping(5);
    let denied = Ruling::Denied { by: Decider::Policy("deny bash(just *)".into()), content: "not here".into() };
    desk.answer(1, 1, Ok(reply(vec![text("done")]))).unwrap();
    advance_ruling(&mut desk, &denied);
    check_end(&desk, LoopExit::Error, 1, "check `lint` could not be run: rule `deny bash(just *)`: not here");
}

#[test]
fn aborted_in_a_turn_in_a_check_or_between_it_ends_as_aborted() {
    for at in ["turn", "check", "between"] {
        let mut desk = if at == "between" { looping_between() } else { looping(5) };
        if at == "check" {
            says(&mut desk);
        }
        desk.command(abort()).unwrap();
        desk.held.step = None;
        advance_stopping(&mut desk);
        check_end(&desk, LoopExit::Aborted, 1, "");
        assert!(matches!(desk.command(abort()), Err(Refusal::Invalid { code: "loop_not_running", .. })), "{at}");
    }
}

/// As [`advance`], where running calls are to be stopped: they end as such.
fn advance_stopping(desk: &mut Desk) {
    while let Some(Debt::Stop(call)) = desk.owed().first().cloned() {
        desk.held.stopping.insert(call);
        ends(desk, Outcome::Interrupted);
    }
    advance(desk);
}

#[test]
fn a_person_who_interrupts_its_turn_or_what_it_waits_for_ends_it() {
    for mut desk in [looping(5), looping_between()] {
        desk.command(Command::Interrupt { by: desk::by() }).unwrap();
        desk.held.step = None;
        advance(&mut desk);
        check_end(&desk, LoopExit::Aborted, 1, "");
        // The model is not told to go on.
        assert_eq!(summary(&desk).unwrap().next_step, "none: the loop ended: aborted");
    }
}

#[test]
fn an_abort_that_is_sent_again_ends_no_later_loop() {
    let mut desk = looping(5);
    desk.command(abort()).unwrap();
    // It was being stopped already: there is nothing to do, and that is remembered.
    desk.command_as(abort(), Some("a1")).unwrap();
    desk.held.step = None;
    advance(&mut desk);
    check_end(&desk, LoopExit::Aborted, 1, "");
    desk.command(start(5)).unwrap();
    advance(&mut desk);
    desk.command_as(abort(), Some("a1")).unwrap();
    assert_eq!(desk.state.turn.as_ref().map(|turn| turn.interrupt.is_some()), Some(false));
}

#[test]
fn a_check_that_waits_for_a_person_shows_so() {
    let mut desk = looping(5);
    desk.answer(1, 1, Ok(reply(vec![text("done")]))).unwrap();
    let mut moment = desk.moment.clone();
    let facts = desk.state.go_round(Round::Check, None, &mut moment);
    desk.record(facts, None);
    assert_eq!(desk.state.status(), Status::Running);
    (0..2).for_each(|at| desk.rule(at, asked()));
    assert_eq!(desk.state.status(), Status::Approving);
}

#[test]
fn what_it_says_itself_is_not_looked_at_for_what_is_to_be_remembered() {
    let mut desk = looping(3);
    round(&mut desk, FAILS);
    round(&mut desk, PASSES);
    let mut piece = Piece::behind(0, 100_000);
    assert!(desk.entries.iter().all(|entry| piece.take(entry, &[])));
    let said: Vec<_> = piece.said.iter().map(|said| (said.who, said.text.lines().next().unwrap_or_default())).collect();
    assert_eq!(said, [(Who::Person, "make it work"), (Who::Agent, "done"), (Who::Agent, "done")]);
    // Begun in the middle of the checks, it is the same.
    let asked = desk.entries.iter().position(|entry| entry.event.name() == "loop.checks_asked").unwrap();
    let mut piece = Piece::behind(desk.entries[asked].seq, 100_000);
    piece.look_back(&desk.entries[asked]);
    desk.entries[asked + 1..].iter().for_each(|entry| assert!(piece.take(entry, &[])));
    assert_eq!(piece.said.len(), 1, "{:?}", piece.said);
}

#[test]
fn one_that_came_from_elsewhere_is_over_wherever_it_was() {
    let mut whole = looping(5);
    finish(&mut whole);
    let began = whole.entries.iter().position(|entry| entry.event.name() == "loop.started").unwrap();
    let ended = whole.entries.iter().rposition(|entry| entry.event.name() == "loop.ended").unwrap();
    for cut in 1..=whole.entries.len() {
        let beginning = &whole.entries[..cut];
        let mut desk = Desk { state: fold(beginning), entries: beginning.to_vec(), ..Desk::empty() };
        let left = desk.state.left_elsewhere();
        let is_under_way = (began + 1..=ended).contains(&cut);
        assert_eq!(left.is_empty(), !is_under_way, "cut after {cut}: {left:?}");
        desk.record(left, None);
        assert_eq!((desk.state.turn.as_ref(), desk.state.looping(), desk.owed()), (None, None, vec![]), "{cut}");
        let vouched = desk.entries.iter().filter_map(|entry| match &entry.event {
            Event::LoopChecksAsked(asked) => Some(&asked.calls),
            _other => None,
        });
        assert!(vouched.flatten().all(|call| desk.state.vouched(call.call).is_none()));
    }
}

#[test]
fn an_emergency_stop_ends_it() {
    let mut desk = looping(5);
    assert!(desk.stop());
    desk.held.step = None;
    advance(&mut desk);
    check_end(&desk, LoopExit::Aborted, 1, "emergency stop");
}

#[test]
fn a_crash_at_any_point_goes_on_with_the_same_iteration_and_ends_the_same() {
    let mut whole = looping(5);
    finish(&mut whole);
    check_end(&whole, LoopExit::Passed, 3, "");
    // What stands in one append is there or not.
    let joined =
        ["checkpoint.created", "checkpoint.activated", "loop.iteration_started", "message.received", "session.created"];
    for cut in 1..=whole.entries.len() {
        let beginning = &whole.entries[..cut];
        if beginning.last().is_some_and(|last| joined.contains(&last.event.name())) {
            continue;
        }
        let mut desk = Desk { state: fold(beginning), entries: beginning.to_vec(), ..Desk::empty() };
        desk.moment = whole.moment.clone();
        advance(&mut desk);
        finish(&mut desk);
        check_end(&desk, LoopExit::Passed, 3, "");
        let numbers = desk.entries.iter().filter_map(|entry| match &entry.event {
            Event::LoopIterationStarted(started) => Some(started.number),
            _other => None,
        });
        assert_eq!(numbers.collect::<Vec<_>>(), [1, 2, 3], "cut after {cut}");
        check_attempts(&desk.entries);
    }
}

/// Each check that was running is run again under its own name, as the next attempt.
fn check_attempts(entries: &[Entry]) {
    let mut last: std::collections::BTreeMap<CallId, u32> = std::collections::BTreeMap::new();
    for entry in entries {
        if let Event::CallStarted(CallStarted { call, attempt, effect, .. }) = &entry.event {
            let before = last.insert(*call, *attempt).unwrap_or_default();
            assert_eq!((*attempt, *effect), (before + 1, Effect::Idempotent));
        }
    }
}

/// The model answers, and the checks pass from the third iteration on.
fn finish(desk: &mut Desk) {
    while let Some(number) = desk.state.looping().map(|looping| looping.number) {
        if desk.held.step.is_some() {
            says(desk);
        } else {
            ends(desk, if number < 3 { Outcome::Error } else { Outcome::Ok });
        }
    }
}

#[test]
fn a_check_that_runs_at_too_many_deaths_parks_the_session() {
    let mut desk = looping(5);
    says(&mut desk);
    for _death in 0..3 {
        desk.die();
        desk.recover();
    }
    assert_eq!(desk.state.status().as_str(), "paused");
    desk.command(Command::Resume { by: desk::by() }).unwrap();
    desk.die();
    advance(&mut desk);
    ends(&mut desk, Outcome::Ok);
    check_end(&desk, LoopExit::Error, 1, "check `lint` could not be run");
}

#[test]
fn aborted_while_it_is_parked_it_does_not_end_because_of_its_check() {
    let mut desk = looping(5);
    says(&mut desk);
    for _death in 0..3 {
        desk.die();
        desk.recover();
    }
    desk.die();
    desk.command(abort()).unwrap();
    advance(&mut desk);
    assert_eq!(end(&desk.entries), Some((LoopExit::Aborted, 1, None)));
}

#[test]
fn what_is_said_while_checks_run_is_heard_first_and_they_are_run_again() {
    let mut desk = looping(5);
    says(&mut desk);
    desk.say_as("and mind the docs", None, Behavior::Steer).unwrap();
    PASSES.into_iter().for_each(|outcome| ends(&mut desk, outcome));
    assert_eq!(desk.held.step.map(|(_, step, _)| step), Some(2));
    round(&mut desk, PASSES);
    check_end(&desk, LoopExit::Passed, 1, "");
}

#[test]
fn a_turn_that_asks_is_waited_for_and_its_answer_goes_on_with_the_iteration() {
    let mut desk = looping(5);
    ask(&mut desk);
    assert_eq!((desk.owed(), desk.state.looping().unwrap().stage), (vec![], Stage::Open));
    answer(&mut desk);
    round(&mut desk, PASSES);
    check_end(&desk, LoopExit::Passed, 1, "");
}

#[test]
fn a_follow_up_comes_before_the_next_iteration_and_is_none() {
    let mut desk = looping(5);
    desk.say("by the way").unwrap();
    round(&mut desk, FAILS);
    // Its turn has no checks.
    says(&mut desk);
    round(&mut desk, PASSES);
    check_end(&desk, LoopExit::Passed, 2, "");
}

#[test]
fn its_end_comes_before_a_follow_up_and_is_not_changed_by_what_becomes_of_that() {
    let mut desk = looping(1);
    desk.say("by the way").unwrap();
    round(&mut desk, FAILS);
    assert_eq!(end(&desk.entries), Some((LoopExit::Iterations, 1, None)));
    fails(&mut desk, FailureKind::Auth);
    check_end(&desk, LoopExit::Iterations, 1, "");
}

#[test]
fn each_iteration_has_a_checkpoint_of_its_own_that_says_how_each_check_went() {
    let mut desk = looping(5);
    let said = |desk: &Desk| -> Vec<String> {
        summary(desk)
            .unwrap()
            .items
            .iter()
            .map(|item| format!("{} {}: {}", item.id, item.section.as_str(), item.text))
            .collect()
    };
    assert_eq!(
        said(&desk),
        [
            "check1 pending: check `lint` has not run yet: `just lint`",
            "check2 pending: check `test` has not run yet: `just test`"
        ]
    );
    // What a person wrote into it stays.
    let mut edited = summary(&desk).unwrap();
    edited.items.insert(
        0,
        serde_json::from_value(serde_json::json!({"id": "d9", "section": "decisions", "text": "use tabs"})).unwrap(),
    );
    let checkpoint = desk.state.upkeep.view.checkpoint.unwrap();
    let what = outlive_core::command::ContextCommand::Edit { checkpoint, summary: edited };
    desk.command(Command::Context { what, by: desk::by() }).unwrap();
    round(&mut desk, FAILS);
    assert_eq!(
        said(&desk),
        [
            "d9 decisions: use tabs",
            "check1 completed: check `lint` passed when it ran last: `just lint`",
            "check2 blockers: check `test` failed when it ran last (exit code 1): `just test`\nIt ended with:\nline\nlast line"
        ]
    );
    assert_eq!(summary(&desk).unwrap().next_step, "make these checks pass: test");
    round(&mut desk, PASSES);
    assert_eq!(said(&desk)[2], "check2 completed: check `test` passed when it ran last: `just test`");
    assert_eq!(summary(&desk).unwrap().next_step, "none: the loop ended: passed");
    let made = desk.entries.iter().filter_map(|entry| match &entry.event {
        Event::CheckpointCreated(created) => Some((created.version, created.made.trigger, created.made.strategy)),
        _other => None,
    });
    let of_loop = |version| (version, CompactionTrigger::Loop, Strategy::Loop);
    let edit = (2, CompactionTrigger::Asked, Strategy::Edited);
    assert_eq!(made.collect::<Vec<_>>(), [of_loop(1), edit, of_loop(3), of_loop(4)]);
}

#[test]
fn a_session_has_one_loop_and_none_while_something_else_is_under_way() {
    let mut desk = looping(5);
    let refused = |desk: &mut Desk, command| desk.command(command).unwrap_err();
    assert!(matches!(refused(&mut desk, start(5)), Refusal::Invalid { code: "loop_running", .. }));
    desk.command(abort()).unwrap();
    assert_eq!(desk.command(abort()).map(drop), Ok(()), "it is being stopped");
    let mut busy = Desk::with_approval();
    assert_eq!(refused(&mut busy, start(5)), Refusal::TurnRunning);
    let mut asking = Desk::with_question();
    assert_eq!(refused(&mut asking, start(5)), Refusal::TurnRunning);
}

#[test]
fn what_is_no_loop_is_refused_with_the_place() {
    let check = |change: fn(&mut NewLoop), says: &str| {
        let mut given = new(5);
        change(&mut given);
        let command = Command::Loop { what: LoopCommand::Start(given), by: desk::by() };
        let Err(Refusal::Invalid { code: "loop_invalid", what }) = Desk::with_session().command(command) else {
            panic!("{says} is accepted")
        };
        assert!(what.starts_with(says), "{what}");
    };
    check(|it| it.goal = " ".into(), "goal");
    check(|it| it.limit = 0, "iterations");
    check(|it| it.limit = 1_001, "iterations");
    check(|it| it.checks.clear(), "checks");
    check(|it| it.checks = vec![it.checks[0].clone(); 33], "checks: 1 to 32");
    check(|it| it.checks[1].name = "lint".into(), "checks[1].name");
    check(|it| it.checks[0].name = "a\nb".into(), "checks[0].name");
    check(|it| it.checks[1].run = String::new(), "checks[1].run");
}

#[test]
fn a_fork_goes_on_without_the_loop_and_a_loop_is_not_rewound() {
    let mut desk = looping(5);
    round(&mut desk, FAILS);
    let parted = desk.state.parted(None, &desk::by());
    let mut fork = Desk { state: desk.state.clone(), entries: desk.entries.clone(), ..Desk::empty() };
    fork.record(parted, None);
    advance(&mut fork);
    assert_eq!(end(&fork.entries).map(|end| end.0), Some(LoopExit::Aborted));
    let mut between = looping_between();
    let parted = between.state.parted(None, &desk::by());
    assert!(parted.iter().any(|fact| matches!(fact.event, Event::LoopEnded(_))), "{parted:?}");
    let then = std::sync::Arc::new(fold(&between.entries[..1]));
    let rewind = outlive_core::command::Rewind { to_seq: 1, then, calm: 1, by: desk::by() };
    let refused = between.command(Command::Rewind(rewind));
    assert!(matches!(refused, Err(Refusal::Invalid { code: "loop_running", .. })), "{refused:?}");
}

/// A loop that waits, because a person is asked something in a follow-up's turn.
fn looping_between() -> Desk {
    let mut desk = looping(5);
    desk.say("ask me something").unwrap();
    round(&mut desk, FAILS);
    ask(&mut desk);
    assert_eq!((desk.owed(), desk.state.looping().unwrap().stage), (vec![], Stage::Due));
    desk
}

/// The model asks, which ends the turn.
fn ask(desk: &mut Desk) {
    desk.answer(1, 1, Ok(call_reply(&["ask_user"]))).unwrap();
    let question = outlive_core::event::Question { text: "Which?".into(), options: vec![], multiple: false };
    advance_ruling(desk, &Ruling::Question(vec![question]));
}

fn answer(desk: &mut Desk) {
    let question = desk.state.open_questions()[0].question;
    desk.command(Command::Answer { question, answers: vec![vec!["red".into()]], by: desk::by() }).unwrap();
    advance(desk);
}

#[test]
fn paused_in_a_follow_up_it_waits_and_goes_on_when_resumed() {
    let mut desk = looping_between();
    answer(&mut desk);
    desk.command(Command::Pause { by: desk::by(), reason: None }).unwrap();
    says(&mut desk);
    assert_eq!((desk.owed(), desk.state.looping().unwrap().stage), (vec![], Stage::Due));
    assert_eq!(desk.state.looping().unwrap().checks[0].result, CheckResult::Passed);
    desk.command(Command::Resume { by: desk::by() }).unwrap();
    advance(&mut desk);
    round(&mut desk, PASSES);
    check_end(&desk, LoopExit::Passed, 2, "");
}
