//! Which model is asked when the first of them is down.

use super::desk::{Desk, reply, text};
use outlive_core::command::Command;
use outlive_core::content::{Failure, FailureKind};
use outlive_core::event::Ending;
use outlive_core::session::{Allowance, Debt, read_snapshot, write_snapshot};
use outlive_core::turn::Lineup;

const MODELS: [&str; 3] = ["a/best", "b/other", "c/last"];

/// A desk whose agent has so many models.
fn desk(models: usize) -> Desk {
    let mut desk = Desk::with_session();
    let lineup = Lineup { models: MODELS[..models].iter().map(ToString::to_string).collect(), ..Lineup::default() };
    desk.allowed = Allowance { lineup, ..desk.allowed };
    desk.say("hello").unwrap();
    desk
}

/// Waits as long as is owed, asks, and says which model was asked.
fn ask(desk: &mut Desk) -> &'static str {
    while let [Debt::WaitUntil(until)] = desk.owed()[..] {
        desk.pass_ms(until.ms_since(desk.moment.at) + 1);
    }
    let [Debt::StartStep { step, attempt, .. }] = desk.owed()[..] else { panic!("{:?}", desk.owed()) };
    let (place, _) = desk.state.turn.as_ref().unwrap().outages.next(desk.moment.at, &desk.allowed.lineup);
    desk.start_step_of(MODELS[place], step, attempt);
    MODELS[place]
}

fn fail(desk: &mut Desk, kind: FailureKind) {
    answer(desk, Err(Failure { kind, message: "no".into(), retry_after_ms: None }));
}

fn answer(desk: &mut Desk, answer: Result<outlive_core::content::Reply, Failure>) {
    let (_, step, attempt) = desk.held.step.unwrap();
    desk.answer(step, attempt, answer).unwrap();
}

/// Fails so often in a row, and says who was asked.
fn outage(desk: &mut Desk, failures: usize) -> Vec<&'static str> {
    let one = |_| {
        let asked = ask(desk);
        fail(desk, FailureKind::Overloaded);
        asked
    };
    (0..failures).map(one).collect()
}

#[test]
fn after_three_failures_in_a_row_the_next_model_stands_in_at_once() {
    let mut desk = desk(2);
    assert_eq!(outage(&mut desk, 3), ["a/best"; 3]);
    assert_eq!(desk.owed(), vec![Debt::StartStep { step: 1, attempt: 4, again: false }], "nobody waits");
    assert_eq!(ask(&mut desk), "b/other");
    answer(&mut desk, Ok(reply(vec![text("fine")])));
    desk.settle();
    assert_eq!(desk.state.last.as_ref().unwrap().ending, Ending::Complete);
}

#[test]
fn a_pause_that_is_long_is_not_waited_for_where_another_can_answer() {
    let mut desk = desk(2);
    assert_eq!(ask(&mut desk), "a/best");
    let failure = Failure { kind: FailureKind::RateLimited, message: "no".into(), retry_after_ms: Some(3_600_000) };
    answer(&mut desk, Err(failure));
    assert_eq!(ask(&mut desk), "b/other");
}

#[test]
fn the_first_model_is_tried_again_after_its_rest_and_then_by_every_turn() {
    let mut desk = desk(2);
    outage(&mut desk, 3);
    ask(&mut desk);
    answer(&mut desk, Ok(reply(vec![text("fine")])));
    desk.settle();
    desk.say("soon").unwrap();
    assert_eq!(ask(&mut desk), "b/other", "the next turn knows what the last one learned");
    answer(&mut desk, Ok(reply(vec![text("fine")])));
    desk.settle();
    desk.pass_ms(300_000);
    desk.say("later").unwrap();
    assert_eq!(ask(&mut desk), "a/best");
    fail(&mut desk, FailureKind::Network);
    assert_eq!(ask(&mut desk), "b/other", "one more failure is enough");
    answer(&mut desk, Ok(reply(vec![text("fine")])));
    desk.settle();
    desk.pass_ms(300_000);
    desk.say("much later").unwrap();
    assert_eq!(ask(&mut desk), "a/best");
    answer(&mut desk, Ok(reply(vec![text("back")])));
    desk.settle();
    assert_eq!(desk.state.last.as_ref().unwrap().outages, Default::default(), "who answers is not down");
}

#[test]
fn with_all_models_down_the_turn_waits_and_asks_whoever_is_due() {
    let mut desk = desk(3);
    let asked = outage(&mut desk, 40);
    assert_eq!(
        asked[..9],
        ["a/best", "a/best", "a/best", "b/other", "b/other", "b/other", "c/last", "c/last", "c/last"]
    );
    assert!(MODELS.iter().all(|model| asked[9..].contains(model)), "{asked:?}");
    assert!(matches!(desk.owed()[..], [Debt::WaitUntil(_)]));
    ask(&mut desk);
    answer(&mut desk, Ok(reply(vec![text("at last")])));
    desk.settle();
    assert_eq!(desk.state.last.as_ref().unwrap().ending, Ending::Complete);
}

#[test]
fn a_model_that_stands_in_and_cannot_serve_does_not_end_the_turn() {
    for kind in [FailureKind::Auth, FailureKind::InvalidRequest] {
        let mut desk = desk(2);
        outage(&mut desk, 3);
        assert_eq!(ask(&mut desk), "b/other");
        fail(&mut desk, kind);
        assert_eq!(ask(&mut desk), "a/best", "{kind:?}: the first is waited for");
        answer(&mut desk, Ok(reply(vec![text("fine")])));
        desk.settle();
        assert_eq!(desk.state.last.as_ref().unwrap().ending, Ending::Complete);
    }
}

#[test]
fn a_refusal_ends_the_turn_whoever_refuses_and_so_does_a_bad_key_of_the_first() {
    let mut refused = desk(2);
    outage(&mut refused, 3);
    ask(&mut refused);
    fail(&mut refused, FailureKind::Refused);
    refused.settle();
    assert_eq!(refused.state.last.as_ref().unwrap().error.as_ref().unwrap().code, "model_refused");
    let mut locked = desk(2);
    ask(&mut locked);
    fail(&mut locked, FailureKind::Auth);
    locked.settle();
    assert_eq!(locked.state.last.as_ref().unwrap().error.as_ref().unwrap().code, "model_auth");
    locked.say("the key is right now").unwrap();
    assert_eq!(ask(&mut locked), "a/best", "what a person mended is tried at once");
}

#[test]
fn a_turn_that_begins_in_an_outage_asks_at_once() {
    let mut desk = desk(1);
    outage(&mut desk, 5);
    desk.command(Command::Interrupt { by: super::desk::by() }).unwrap();
    desk.settle();
    desk.say("now?").unwrap();
    assert_eq!(desk.owed(), vec![Debt::StartStep { step: 1, attempt: 1, again: false }]);
}

#[test]
fn a_restart_knows_who_is_down() {
    let mut desk = desk(2);
    outage(&mut desk, 3);
    let owed = desk.owed();
    desk.state = read_snapshot(&write_snapshot(&desk.state).unwrap()).unwrap();
    desk.die();
    assert_eq!(desk.owed(), owed);
    assert_eq!(ask(&mut desk), "b/other");
}

#[test]
fn a_model_that_left_the_agent_is_not_waited_for() {
    let mut desk = desk(1);
    outage(&mut desk, 8);
    desk.allowed.lineup.models = [MODELS[1].to_owned()].into();
    assert_eq!(desk.owed(), vec![Debt::StartStep { step: 1, attempt: 9, again: false }]);
}
