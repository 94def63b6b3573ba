//! Waits and signals: what ends them, once, and what that begins.

use super::desk::{Desk, by, call_reply, reply, text};
use outlive_core::command::{Command, NewSignal, NewWait, Until, WaitCommand};
use outlive_core::content::{Failure, FailureKind};
use outlive_core::event::{Awaited, Ending, Event, Origin, OriginKind, Overdue, Trigger, WaitReason};
use outlive_core::id::WaitId;
use outlive_core::session::{Debt, Refusal, Ruling, Status, read_snapshot, read_wait, write_snapshot};
use outlive_core::time::Timestamp;
use serde_json::{Value, json};

fn timer(ms: u64) -> NewWait {
    NewWait { until: Some(Until::In(ms)), signal: None, overdue: Overdue::Fire, reason: "the reply".into() }
}

fn signal_wait(name: &str, fits: Option<Value>, ms: Option<u64>) -> NewWait {
    let signal = Some(Awaited { name: name.into(), fits });
    NewWait { until: ms.map(Until::In), signal, overdue: Overdue::Fire, reason: "the reply".into() }
}

/// A turn whose agent armed this, asleep.
fn asleep(new: NewWait) -> Desk {
    let mut desk = Desk::with_session();
    desk.say("go").unwrap();
    desk.start_step(1, 1);
    desk.answer(1, 1, Ok(call_reply(&["wait"]))).unwrap();
    desk.rule(0, Ruling::Wait(new));
    desk.settle();
    desk
}

/// A turn that slept and was woken by a signal; another wait was put off, another called off.
pub fn slept() -> Desk {
    let mut desk = asleep(signal_wait("reply", None, Some(60_000)));
    send(&mut desk, "other", Value::Null).unwrap();
    let (first, second) = (arm(&mut desk, timer(60_000)), arm(&mut desk, timer(60_000)));
    for what in [WaitCommand::Move(first, Until::In(1)), WaitCommand::Cancel(second)] {
        desk.command(Command::Wait { what, by: by() }).unwrap();
    }
    send(&mut desk, "reply", json!("yes")).unwrap();
    finish(&mut desk);
    desk.pass_ms(100);
    desk.settle();
    desk
}

fn arm(desk: &mut Desk, new: NewWait) -> WaitId {
    desk.command(Command::Wait { what: WaitCommand::Arm(new), by: by() }).unwrap();
    desk.state.queue.waits.armed.last().unwrap().wait
}

fn send(desk: &mut Desk, name: &str, payload: Value) -> Result<(), Refusal> {
    let signal = NewSignal { name: name.into(), payload, origin: Origin::of(OriginKind::Api) };
    desk.command(Command::Signal(signal))?;
    desk.settle();
    Ok(())
}

/// The ends of waits: why, how late.
fn ends(desk: &Desk) -> Vec<(WaitReason, Option<u64>)> {
    let end =
        |event: &Event| if let Event::WaitEnded(end) = event { Some((end.reason, end.lateness_ms)) } else { None };
    desk.entries.iter().filter_map(|entry| end(&entry.event)).collect()
}

/// What was said to the agent by itself, and what the turn began with.
fn woken(desk: &Desk) -> Vec<(OriginKind, String)> {
    let said = |event: &Event| if let Event::MessageReceived(said) = event { Some(said.clone()) } else { None };
    let said = desk.entries.iter().filter_map(|entry| said(&entry.event));
    said.filter(|said| said.origin.kind != OriginKind::Cli).map(|said| (said.origin.kind, said.content)).collect()
}

fn finish(desk: &mut Desk) {
    let turn = desk.state.turn.as_ref().unwrap();
    let step = turn.step + 1;
    desk.start_step(step, 1);
    desk.answer(step, 1, Ok(reply(vec![text("done")]))).unwrap();
    desk.settle();
}

#[test]
fn a_turn_that_waits_sleeps_until_the_first_of_its_times() {
    let desk = asleep(timer(60_000));
    let due = desk.state.queue.waits.next_at().unwrap();
    assert_eq!(desk.state.last.as_ref().unwrap().ending, Ending::Sleep);
    let wake_at = |event: &Event| if let Event::TurnEnded(ended) = event { Some(ended.wake_at) } else { None };
    let ended = desk.entries.iter().find_map(|entry| wake_at(&entry.event));
    assert_eq!(ended, Some(Some(due)), "the turn says when it is woken");
    assert_eq!(desk.state.status(), Status::Sleeping);
    assert_eq!(desk.owed(), vec![Debt::WaitUntil(due)]);
    assert!(!desk.state.is_owed(desk.allowed.notes), "a restart need not open it before its time");
}

#[test]
fn a_wait_is_never_over_early_and_ends_once() {
    let mut desk = asleep(timer(60_000));
    desk.pass_ms(59_999);
    desk.settle();
    assert_eq!(ends(&desk), vec![], "a moment before its time");
    desk.pass_ms(1);
    desk.settle();
    assert_eq!(ends(&desk), vec![(WaitReason::Due, Some(0))]);
    let turn = desk.state.turn.as_ref().unwrap();
    assert_eq!(turn.trigger, Trigger::Wake);
    assert!(woken(&desk)[0].1.contains("is over: the reply"), "{:?}", woken(&desk));
    finish(&mut desk);
    desk.pass_ms(1_000_000);
    desk.settle();
    assert_eq!(ends(&desk).len(), 1, "a wake too many does nothing");
    assert_eq!(desk.state.status(), Status::Idle);
}

#[test]
fn what_a_death_interrupted_is_found_by_the_next_start() {
    let mut desk = asleep(timer(60_000));
    desk.state = read_snapshot(&write_snapshot(&desk.state).unwrap()).unwrap();
    desk.die();
    desk.pass_ms(3_600_000);
    assert!(desk.state.is_owed(desk.allowed.notes) || desk.state.wakes_at().is_some());
    desk.settle();
    let (reason, late) = ends(&desk)[0];
    assert_eq!(reason, WaitReason::Due);
    assert!(late.unwrap() >= 3_540_000, "its lateness is in the journal");
    assert!(woken(&desk)[0].1.contains("s late"));
}

#[test]
fn a_late_wait_that_is_to_be_skipped_expires_and_begins_nothing() {
    for (overdue, late_ms, expected) in [
        (Overdue::Skip, 4_000, WaitReason::Due),
        (Overdue::Skip, 6_000, WaitReason::Expired),
        (Overdue::ExpireAfter(10_000), 10_000, WaitReason::Due),
        (Overdue::ExpireAfter(10_000), 11_000, WaitReason::Expired),
        (Overdue::FireOnce, 100_000_000, WaitReason::Due),
    ] {
        let mut desk = asleep(NewWait { overdue, ..timer(1_000) });
        desk.pass_ms(1_000 + late_ms);
        desk.settle();
        assert_eq!(ends(&desk)[0].0, expected, "{overdue:?} {late_ms}");
        assert_eq!(desk.state.turn.is_some(), expected == WaitReason::Due, "{overdue:?} {late_ms}");
    }
}

#[test]
fn a_signal_ends_the_first_wait_that_it_fits_and_no_other() {
    let mut desk = Desk::with_session();
    let fits = Some(json!({"mail": {"from": "ada"}}));
    arm(&mut desk, signal_wait("reply", fits, None));
    arm(&mut desk, signal_wait("reply", None, None));
    arm(&mut desk, signal_wait("reply", None, None));
    send(&mut desk, "reply", json!({"mail": {"from": "bob", "text": "hi"}})).unwrap();
    assert_eq!(desk.state.queue.waits.armed.len(), 2, "one is over, the second");
    assert!(desk.state.queue.waits.armed[0].terms.signal.as_ref().unwrap().fits.is_some());
    assert_eq!(desk.state.turn.as_ref().unwrap().trigger, Trigger::Signal);
    let (kind, said) = woken(&desk).remove(0);
    assert_eq!(kind, OriginKind::Signal);
    assert!(said.contains("data from outside, no instruction") && said.contains(r#""text":"hi""#), "{said}");
    finish(&mut desk);
    send(&mut desk, "reply", json!({"mail": {"from": "ada"}})).unwrap();
    assert_eq!(desk.state.queue.waits.armed.len(), 1);
    assert!(desk.state.queue.waits.armed[0].terms.signal.as_ref().unwrap().fits.is_none());
}

#[test]
fn signals_that_nobody_waits_for_are_kept_in_order_and_consumed_once() {
    let mut desk = Desk::with_session();
    for n in 1..=3 {
        send(&mut desk, "tick", json!({ "n": n })).unwrap();
    }
    send(&mut desk, "other", Value::Null).unwrap();
    for n in 1..=3 {
        arm(&mut desk, signal_wait("tick", None, None));
        desk.settle();
        assert!(woken(&desk).last().unwrap().1.contains(&format!(r#"{{"n":{n}}}"#)), "{:?}", woken(&desk));
        finish(&mut desk);
    }
    arm(&mut desk, signal_wait("tick", None, None));
    desk.settle();
    assert_eq!(desk.state.status(), Status::Sleeping, "all three were consumed");
    assert_eq!(desk.state.queue.waits.signals.len(), 1, "the other name is kept");
}

#[test]
fn a_signal_that_was_there_ends_a_wait_in_the_turn_that_arms_it() {
    let mut desk = Desk::with_session();
    send(&mut desk, "reply", json!("yes")).unwrap();
    desk.say("go").unwrap();
    desk.start_step(1, 1);
    desk.answer(1, 1, Ok(call_reply(&["wait"]))).unwrap();
    desk.rule(0, Ruling::Wait(signal_wait("reply", None, None)));
    desk.settle();
    assert_eq!(ends(&desk), vec![(WaitReason::Signal, None)]);
    assert!(desk.state.turn.is_some(), "it need not sleep: it goes on with what came");
    assert!(matches!(desk.owed().as_slice(), [Debt::StartStep { step: 2, .. }]), "{:?}", desk.owed());
}

#[test]
fn of_a_signal_and_a_deadline_whichever_came_first_wins() {
    let mut desk = asleep(signal_wait("reply", None, Some(60_000)));
    desk.pass_ms(59_000);
    desk.command(Command::Signal(NewSignal { name: "reply".into(), payload: Value::Null, origin: by() })).unwrap();
    // The process dies before it looks, and comes back after the deadline.
    desk.die();
    desk.pass_ms(100_000);
    desk.settle();
    assert_eq!(ends(&desk)[0].0, WaitReason::Signal);

    let mut desk = asleep(signal_wait("reply", None, Some(60_000)));
    desk.pass_ms(60_000);
    desk.settle();
    assert_eq!(ends(&desk), vec![(WaitReason::Expired, Some(0))]);
    assert!(woken(&desk)[0].1.contains("had not come"), "the agent goes on without: {:?}", woken(&desk));
    send(&mut desk, "reply", json!(1)).unwrap();
    assert_eq!(ends(&desk).len(), 1, "what comes later is kept");
    assert_eq!(desk.state.queue.waits.signals.len(), 1);
}

#[test]
fn a_person_fires_moves_and_cancels_and_learns_who_was_first() {
    let wait = |desk: &Desk| desk.state.queue.waits.armed[0].wait;
    let end = |desk: &mut Desk, what| desk.command(Command::Wait { what, by: by() }).map(drop);

    let mut desk = asleep(timer(60_000));
    let id = wait(&desk);
    end(&mut desk, WaitCommand::Cancel(id)).unwrap();
    assert_eq!((desk.state.status(), ends(&desk)[0].0), (Status::Idle, WaitReason::Cancelled));
    let again = end(&mut desk, WaitCommand::Fire(id)).unwrap_err();
    let Refusal::WaitEnded(past) = again else { panic!("{again:?}") };
    assert_eq!((past.wait, past.reason, past.by), (id, WaitReason::Cancelled, Some(by())));
    let unknown = WaitId::from_bits(7);
    assert_eq!(end(&mut desk, WaitCommand::Cancel(unknown)), Err(Refusal::NoWait(unknown)));

    let mut desk = asleep(timer(60_000));
    let id = wait(&desk);
    end(&mut desk, WaitCommand::Fire(id)).unwrap();
    assert!(desk.state.turn.is_some() && woken(&desk)[0].1.contains("before its time"));

    let mut desk = asleep(timer(60_000));
    let id = wait(&desk);
    end(&mut desk, WaitCommand::Move(id, Until::At(Timestamp::from_micros(0)))).unwrap();
    desk.settle();
    assert_eq!(ends(&desk)[0].0, WaitReason::Due, "moved into the past, it is over at once");

    let mut desk = asleep(timer(60_000));
    let id = wait(&desk);
    end(&mut desk, WaitCommand::Move(id, Until::At("9999-12-30T00:00:00Z".parse().unwrap()))).unwrap();
    desk.pass_ms(1_000_000_000);
    desk.settle();
    assert_eq!(ends(&desk), vec![]);
}

#[test]
fn a_wait_that_is_over_while_a_turn_runs_is_said_to_that_turn() {
    let mut desk = Desk::with_session();
    arm(&mut desk, timer(1_000));
    desk.say("go").unwrap();
    desk.start_step(1, 1);
    desk.pass_ms(2_000);
    desk.settle();
    assert_eq!(ends(&desk).len(), 1);
    desk.answer(1, 1, Ok(reply(vec![text("done")]))).unwrap();
    assert!(matches!(desk.owed().as_slice(), [Debt::StartStep { step: 2, .. }]), "it hears of it: {:?}", desk.owed());
}

#[test]
fn what_is_paused_or_put_away_hears_of_its_waits_when_it_goes_on() {
    let mut desk = asleep(timer(1_000));
    desk.command(Command::Pause { by: by(), reason: None }).unwrap();
    desk.pass_ms(10_000);
    assert_eq!(desk.owed(), vec![]);
    desk.command(Command::Resume { by: by() }).unwrap();
    desk.settle();
    assert_eq!(ends(&desk).len(), 1);

    let mut desk = asleep(timer(1_000));
    desk.command(Command::Archive { archived: true, by: by() }).unwrap();
    desk.pass_ms(10_000);
    assert_eq!(desk.owed(), vec![]);
    assert_eq!(send(&mut desk, "reply", Value::Null), Err(Refusal::Archived));
    desk.command(Command::Archive { archived: false, by: by() }).unwrap();
    desk.settle();
    assert_eq!(ends(&desk).len(), 1);
}

#[test]
fn a_person_who_speaks_to_a_sleeping_session_is_answered_and_it_sleeps_on() {
    let mut desk = asleep(timer(60_000));
    desk.say("still there?").unwrap();
    finish(&mut desk);
    assert_eq!(desk.state.status(), Status::Sleeping);
    assert_eq!(desk.state.last.as_ref().unwrap().ending, Ending::Complete);
}

#[test]
fn what_waits_behind_a_question_is_queued_and_never_lost() {
    let mut desk = Desk::with_question();
    arm(&mut desk, timer(1));
    desk.pass_ms(10);
    desk.settle();
    assert_eq!(ends(&desk).len(), 1);
    assert_eq!(desk.state.queue.items.len(), 1, "the question comes first");
    assert_eq!(desk.state.status(), Status::Asking);
}

#[test]
fn what_cannot_be_waited_for_is_refused() {
    let mut desk = Desk::with_session();
    let mut refused = |new: NewWait| {
        let refused = desk.command(Command::Wait { what: WaitCommand::Arm(new), by: by() }).unwrap_err();
        let Refusal::Invalid { code, what } = refused else { panic!("{refused:?}") };
        (code, what)
    };
    assert_eq!(refused(NewWait { until: None, ..timer(1) }).0, "wait_invalid");
    assert_eq!(refused(NewWait { reason: " ".into(), ..timer(1) }).0, "wait_invalid");
    assert_eq!(refused(NewWait { reason: "x".repeat(201), ..timer(1) }).0, "wait_invalid");
    assert_eq!(refused(signal_wait("", None, None)).0, "signal_invalid");
    assert_eq!(refused(signal_wait("a b", None, None)).0, "signal_invalid");
    assert!(refused(signal_wait("a", Some(json!("x".repeat(5_000))), None)).1.contains("match"));
    let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
    assert!(refused(signal_wait("a", Some(deep), None)).1.contains("64 levels"));
    let mut desk = Desk::with_session();
    for _ in 0..64 {
        arm(&mut desk, timer(60_000));
    }
    let too_many = desk.command(Command::Wait { what: WaitCommand::Arm(timer(1)), by: by() });
    assert!(too_many.unwrap_err().to_string().contains("at most 64"));
    let large = send(&mut desk, "x", json!("y".repeat(70_000))).unwrap_err();
    assert!(large.to_string().contains("65536 bytes"), "{large}");
    for _ in 0..256 {
        send(&mut desk, "x", Value::Null).unwrap();
    }
    assert_eq!(send(&mut desk, "x", Value::Null), Err(Refusal::SignalsFull));
}

#[test]
fn a_signal_that_ends_a_wait_is_taken_however_many_others_are_kept() {
    let mut desk = Desk::with_session();
    arm(&mut desk, signal_wait("reply", None, None));
    for _ in 0..256 {
        send(&mut desk, "x", Value::Null).unwrap();
    }
    assert_eq!(send(&mut desk, "x", Value::Null), Err(Refusal::SignalsFull));
    send(&mut desk, "reply", json!({"a": 1})).unwrap();
    assert_eq!(send(&mut desk, "reply", Value::Null), Err(Refusal::SignalsFull), "one ends it");
}

#[test]
fn a_model_that_waits_for_nothing_is_told_why() {
    let check = |arguments: Value, expected: &str| {
        let told = read_wait(&arguments).unwrap_err();
        assert!(told.contains(expected), "{told}");
    };
    check(json!({"for": "1h"}), "reason");
    check(json!({"reason": "r", "for": "1h", "until": "2026-01-01T00:00:00Z"}), "not both");
    check(json!({"reason": "r", "for": "soon"}), "90s");
    check(json!({"reason": "r", "until": "tomorrow"}), "RFC 3339");
    check(json!({"reason": "r", "match": {}}), "signal");
    check(json!({"reason": "r", "wait": 1}), "unknown field");
}

#[test]
fn the_waits_of_a_session_are_not_those_of_its_fork() {
    let mut desk = asleep(timer(1_000));
    send(&mut desk, "other", Value::Null).unwrap();
    let parted = desk.state.parted(None, &by());
    desk.record(parted, None);
    desk.pass_ms(10_000);
    assert_eq!((desk.owed(), desk.state.status()), (vec![], Status::Idle));
    assert_eq!(ends(&desk), vec![(WaitReason::Cancelled, None)]);
}

#[test]
fn what_a_journal_from_elsewhere_waits_for_begins_nothing_here() {
    let mut desk = asleep(timer(1_000));
    let left = desk.state.left_elsewhere();
    desk.record(left, None);
    desk.pass_ms(10_000);
    assert_eq!((desk.owed(), ends(&desk)), (vec![], vec![(WaitReason::Cancelled, None)]));
}

#[test]
fn a_rewind_calls_off_what_was_armed_after() {
    let mut desk = Desk::with_session();
    arm(&mut desk, timer(60_000));
    let (to_seq, then) = (desk.state.head, std::sync::Arc::new(desk.state.clone()));
    arm(&mut desk, timer(60_000));
    let rewind = outlive_core::command::Rewind { to_seq, then, calm: to_seq, by: by() };
    desk.command(Command::Rewind(rewind)).unwrap();
    assert_eq!(desk.state.queue.waits.armed.len(), 1);
}

#[test]
fn the_clock_is_told_of_the_first_time_alone() {
    let mut desk = Desk::with_session();
    arm(&mut desk, timer(60_000));
    arm(&mut desk, timer(10_000));
    let first = desk.state.queue.waits.next_at().unwrap();
    desk.say("go").unwrap();
    desk.start_step(1, 1);
    let failed = Failure { kind: FailureKind::Overloaded, message: "no".into(), retry_after_ms: None };
    desk.answer(1, 1, Err(failed)).unwrap();
    let until: Vec<Debt> = desk.owed();
    let [Debt::WaitUntil(at)] = until.as_slice() else { panic!("{until:?}") };
    assert!(*at <= first, "the provider's pause is shorter");
}
