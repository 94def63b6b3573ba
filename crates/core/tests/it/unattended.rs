//! Turns that nobody sits at: they end where a person is asked, and go on once the person has decided.

use super::desk::{self, Desk, by, call_reply, policy};
use outlive_core::command::{Command, Decision, Message, Verdict};
use outlive_core::event::{Behavior, Effect, Ending, OnLost, Origin, OriginKind, Trigger};
use outlive_core::session::{Debt, Refusal, Ruling, Status, read_snapshot, write_snapshot};

fn scheduled(desk: &mut Desk) {
    let message = Message::text("nightly", Behavior::FollowUp, Origin::of(OriginKind::Schedule));
    desk.command(Command::Message(message)).unwrap();
}

fn ask() -> Ruling {
    let (effect, on_lost) = (Effect::Effectful, OnLost::Report);
    Ruling::Ask { summary: "ls".into(), rule: "bash:ls".into(), because: vec![], effect, on_lost, ruled: None }
}

/// A turn of a schedule with two calls that are asked about, and one that ran before them.
pub fn parked() -> Desk {
    let mut desk = Desk::with_session();
    scheduled(&mut desk);
    desk.start_step(1, 1);
    desk.answer(1, 1, Ok(call_reply(&["read", "bash", "bash"]))).unwrap();
    desk.rule(0, Ruling::Allowed { by: policy(), effect: Effect::Read, on_lost: OnLost::Report, ruled: None });
    desk.rule(1, ask());
    desk.rule(2, ask());
    desk.start_call(0);
    assert_eq!(desk.owed(), vec![], "something of it runs");
    desk.finish_call(0);
    desk.settle();
    desk
}

fn decide(desk: &mut Desk, at: usize, verdict: Verdict) -> Result<(), Refusal> {
    let call = desk.state.calls()[at].id;
    let decision = Decision { call, asked: None, verdict, reason: None, by: by() };
    desk.command(Command::Decide(decision)).map(drop)
}

fn last(desk: &Desk) -> Option<Ending> {
    desk.state.last.as_ref().map(|last| last.ending)
}

#[test]
fn a_turn_that_nobody_sits_at_ends_as_ask_and_the_last_decision_begins_the_one_that_goes_on() {
    let mut desk = parked();
    assert_eq!((last(&desk), desk.state.status(), desk.owed()), (Some(Ending::Ask), Status::Approving, vec![]));
    assert_eq!(read_snapshot(&write_snapshot(&desk.state).unwrap()), Some(desk.state.clone()));
    decide(&mut desk, 1, Verdict::Deny).unwrap();
    assert_eq!((desk.state.turn.is_none(), desk.state.status()), (true, Status::Approving));
    let call = desk.state.calls()[2].id;
    decide(&mut desk, 2, Verdict::Allow).unwrap();
    assert_eq!(desk.state.turn.as_ref().map(|turn| turn.trigger), Some(Trigger::Approval));
    assert_eq!(desk.owed(), vec![Debt::Start { call, attempt: 1, again: false }]);
    desk.start_call(2);
    desk.finish_call(2);
    assert_eq!(desk.owed(), vec![Debt::StartStep { step: 2, attempt: 1, again: false }]);
    assert!(matches!(decide(&mut desk, 2, Verdict::Deny), Err(Refusal::AlreadyDecided(_))));
}

#[test]
fn where_all_is_denied_the_model_is_told_in_a_turn_of_its_own() {
    let mut desk = parked();
    decide(&mut desk, 1, Verdict::Deny).unwrap();
    decide(&mut desk, 2, Verdict::Deny).unwrap();
    assert_eq!(desk.owed(), vec![Debt::StartStep { step: 1, attempt: 1, again: false }]);
}

#[test]
fn a_turn_at_which_somebody_sits_waits_as_it_always_did() {
    let desk = Desk::with_approval();
    assert_eq!((desk.owed(), desk.state.turn.is_some()), (vec![], true));
}

#[test]
fn what_comes_by_itself_waits_behind_a_decision_and_a_person_is_heard_at_once() {
    let mut desk = parked();
    scheduled(&mut desk);
    assert_eq!((desk.state.queue.items.len(), desk.owed()), (1, vec![]));
    let waiting = desk.state.calls()[1].id;
    desk.say("leave it").unwrap();
    assert_eq!(desk.state.turn.as_ref().map(|turn| turn.trigger), Some(Trigger::Message));
    assert_eq!(desk.owed(), vec![Debt::StartStep { step: 1, attempt: 1, again: false }]);
    let told = format!("{:?}", desk::told(&desk));
    assert_eq!(told.matches("nobody had decided on it").count(), 2, "{told}");
    let decision = Decision { call: waiting, asked: None, verdict: Verdict::Allow, reason: None, by: by() };
    let Err(Refusal::AlreadyDecided(past)) = desk.command(Command::Decide(decision)) else { panic!("it is too late") };
    assert_eq!((past.verdict, past.by), (None, Origin::of(OriginKind::Runtime)));
}

#[test]
fn an_archived_session_is_not_decided_on() {
    let mut desk = parked();
    desk.command(Command::Archive { archived: true, by: by() }).unwrap();
    assert_eq!(decide(&mut desk, 1, Verdict::Allow), Err(Refusal::Archived));
}

#[test]
fn an_emergency_stop_leaves_what_waits_for_a_person() {
    let mut desk = parked();
    assert!(!desk.stop());
    assert_eq!(desk.state.status(), Status::Approving);
}
