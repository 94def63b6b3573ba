//! What an emergency stop does to a session.

use super::desk::{Desk, by, call_reply, reply, text};
use outlive_core::command::Command;
use outlive_core::event::{Effect, Ending, OnLost};
use outlive_core::session::Debt;

fn ending(desk: &Desk) -> Option<(Ending, Option<&str>)> {
    let last = desk.state.last.as_ref()?;
    Some((last.ending, last.error.as_ref().map(|error| error.code.as_str())))
}

#[test]
fn a_stop_interrupts_what_runs_and_its_follow_ups_wait_for_a_person() {
    let mut desk = Desk::with_running_call(Effect::Effectful, OnLost::Report);
    desk.say("and then this").unwrap();
    assert!(desk.stop());
    assert!(!desk.stop(), "it was said before");
    assert_eq!(desk.owed(), vec![Debt::Stop(desk.call(0))]);
    desk.finish_call(0);
    desk.settle();
    assert_eq!(ending(&desk), Some((Ending::Interrupted, Some("stopped"))));
    assert_eq!((desk.owed(), desk.state.queue.items.len()), (vec![], 1));
    desk.command(Command::Resume { by: by() }).unwrap();
    assert_eq!(desk.owed(), vec![Debt::StartQueued]);
}

#[test]
fn a_stop_found_after_a_crash_lets_nothing_run_again() {
    let mut desk = Desk::with_running_call(Effect::Read, OnLost::Report);
    desk.die();
    assert!(desk.stop());
    assert_eq!(desk.owed(), vec![Debt::DeclareLost(desk.call(0))]);
    desk.settle();
    assert_eq!(ending(&desk), Some((Ending::Interrupted, Some("stopped"))));
}

#[test]
fn a_stop_holds_for_a_turn_that_a_person_had_interrupted_already() {
    let mut desk = Desk::with_running_call(Effect::Effectful, OnLost::Report);
    desk.say("and then this").unwrap();
    desk.command(Command::Interrupt { by: by() }).unwrap();
    assert!(desk.stop());
    desk.finish_call(0);
    desk.settle();
    assert_eq!((desk.owed(), desk.state.queue.items.len()), (vec![], 1));
}

#[test]
fn a_turn_that_only_waits_for_a_person_still_waits_after_a_stop() {
    let mut desk = Desk::with_approval();
    assert!(!desk.stop());
    assert!(desk.state.turn.is_some());
}

#[test]
fn a_paused_turn_is_interrupted_only_while_something_of_it_runs() {
    let mut desk = Desk::with_session();
    desk.say("go").unwrap();
    desk.start_step(1, 1);
    desk.command(Command::Pause { by: by(), reason: None }).unwrap();
    let held = std::mem::take(&mut desk.held);
    assert!(!desk.stop(), "nothing of it runs, and only a person resumes it");
    desk.held = held;
    assert!(desk.stop());
}

#[test]
fn nothing_is_stopped_where_no_turn_runs() {
    let mut desk = Desk::with_session();
    assert!(!desk.stop());
    desk.say("go").unwrap();
    desk.start_step(1, 1);
    desk.answer(1, 1, Ok(reply(vec![text("done")]))).unwrap();
    desk.settle();
    assert!(!desk.stop());
    desk.say("again").unwrap();
    desk.start_step(1, 1);
    desk.answer(1, 1, Ok(call_reply(&["bash"]))).unwrap();
    assert!(desk.stop(), "a call is to be ruled on");
}
