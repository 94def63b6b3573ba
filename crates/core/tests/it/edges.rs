//! Where bounds meet: what a model, a person or a crash brings at the wrong moment.

use super::desk::{Desk, by, call_reply, reply, text, told};
use outlive_core::command::{Command, Decision, Found, Report, Verdict};
use outlive_core::content::{Block, Failure, FailureKind, ReplyBlock};
use outlive_core::event::{Behavior, Effect, Event, OnLost, Outcome, Question};
use outlive_core::limits::{ANSWER_REMEMBERED_BYTES, GRANTS_REMEMBERED, REASON_BYTES, TRUNCATED_ATTEMPTS};
use outlive_core::session::{Debt, Decisions, Refusal, Ruling, Status, read_snapshot, write_snapshot};

#[test]
fn arguments_too_deep_to_be_read_back_are_malformed() {
    for depth in [60, 125, 126, 127] {
        let mut desk = Desk::with_session();
        desk.say("go").unwrap();
        desk.start_step(1, 1);
        let arguments = format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        let call = ReplyBlock::ToolUse { name: "bash".into(), arguments };
        desk.answer(1, 1, Ok(reply(vec![call]))).unwrap();
        for entry in &desk.entries {
            let line = outlive_core::event::Line::write(entry).unwrap();
            assert_eq!(line.read().as_ref(), Ok(entry), "{depth} levels");
        }
        assert_eq!(desk.state.turn.as_ref().unwrap().calls[0].malformed.is_some(), depth > 64, "{depth} levels");
    }
}

#[test]
fn a_full_queue_that_is_held_until_somebody_speaks_hears_who_speaks() {
    let mut desk = Desk::with_session();
    desk.say("go").unwrap();
    desk.start_step(1, 1);
    for _ in 0..outlive_core::limits::QUEUE_LENGTH {
        desk.say("later").unwrap();
    }
    assert_eq!(desk.say("one more"), Err(Refusal::QueueFull));
    let failure = Failure { kind: FailureKind::Auth, message: "no".into(), retry_after_ms: None };
    desk.answer(1, 1, Err(failure)).unwrap();
    desk.settle();
    assert!(desk.state.turn.is_none() && desk.state.queue.held);
    desk.say("go on").unwrap();
    assert_eq!(desk.owed(), vec![Debt::StartQueued]);
}

#[test]
fn an_interrupt_leaves_a_lost_call_lost() {
    let mut desk = Desk::with_running_call(Effect::Effectful, OnLost::Ask);
    desk.die();
    desk.recover();
    assert_eq!(desk.state.status(), Status::Approving);
    desk.command(Command::Interrupt { by: by() }).unwrap();
    desk.settle();
    let Block::ToolResult { content, .. } = &told(&desk)[0] else { panic!() };
    assert!(content.contains("outcome of this call is unknown"), "{content}");
}

fn not_done(desk: &mut Desk) -> Result<(), Refusal> {
    let report = Report::Found { call: desk.call(0), attempt: 1, found: Found::NotDone };
    desk.command(Command::Report(report)).map(drop)
}

#[test]
fn what_was_not_done_is_not_started_once_its_turn_is_interrupted() {
    let mut desk = Desk::with_running_call(Effect::Verifiable, OnLost::Report);
    desk.die();
    desk.command(Command::Interrupt { by: by() }).unwrap();
    not_done(&mut desk).unwrap();
    let last = desk.entries.last().map(|entry| entry.event.clone());
    let Some(Event::CallFinished(finished)) = last else { panic!("{last:?}") };
    assert_eq!((finished.attempt, finished.outcome), (1, Outcome::Interrupted));
    assert!(finished.content.starts_with("Not done"), "{}", finished.content);
}

#[test]
fn what_was_not_done_waits_for_a_paused_session_and_is_looked_for_again() {
    let mut desk = Desk::with_running_call(Effect::Verifiable, OnLost::Report);
    desk.die();
    desk.command(Command::Pause { by: by(), reason: None }).unwrap();
    let head = desk.state.head;
    not_done(&mut desk).unwrap();
    assert_eq!((desk.state.head, desk.owed()), (head, vec![]));
    desk.command(Command::Resume { by: by() }).unwrap();
    assert_eq!(desk.owed(), vec![Debt::Find { call: desk.call(0), attempt: 1 }]);
    not_done(&mut desk).unwrap();
    assert_eq!(desk.state.turn.as_ref().unwrap().calls[0].attempt, 2);
}

#[test]
fn a_decision_on_the_first_attempt_does_not_decide_the_second() {
    let mut desk = Desk::with_session();
    desk.say("go").unwrap();
    desk.start_step(1, 1);
    desk.answer(1, 1, Ok(call_reply(&["bash"]))).unwrap();
    let (effect, on_lost) = (Effect::Effectful, OnLost::Ask);
    desk.rule(
        0,
        Ruling::Ask { summary: "ls".into(), rule: "bash:ls".into(), because: vec![], effect, on_lost, ruled: None },
    );
    let asked = |desk: &Desk| desk.state.head;
    let decide = |desk: &Desk, asked| {
        let verdict = Verdict::AllowAlways;
        Command::Decide(Decision { call: desk.call(0), asked: Some(asked), verdict, reason: None, by: by() })
    };
    let first = asked(&desk);
    desk.command(decide(&desk, first)).unwrap();
    desk.start_call(0);
    desk.die();
    desk.recover();
    assert_eq!(desk.state.status(), Status::Approving);
    let second = asked(&desk);
    let late = desk.command(decide(&desk, first));
    assert!(matches!(late, Err(Refusal::AlreadyDecided(_))), "{late:?}");
    desk.command(decide(&desk, second)).unwrap();
    assert_eq!(desk.owed(), vec![Debt::Start { call: desk.call(0), attempt: 2, again: false }]);
    assert_eq!(
        desk.state.answered.decisions.grants.iter().collect::<Vec<_>>(),
        ["bash:ls"],
        "a lost call grants nothing"
    );
}

#[test]
fn cut_replies_are_counted_apart_from_an_outage() {
    let mut desk = Desk::with_session();
    desk.say("go").unwrap();
    let mut attempt = 0;
    let mut fail = |desk: &mut Desk, kind| {
        attempt += 1;
        desk.start_step(1, attempt);
        desk.answer(1, attempt, Err(Failure { kind, message: "no".into(), retry_after_ms: None })).unwrap();
        desk.state.status()
    };
    for _ in 0..20 {
        assert_eq!(fail(&mut desk, FailureKind::Overloaded), Status::Waiting);
    }
    for _ in 1..TRUNCATED_ATTEMPTS {
        assert_eq!(fail(&mut desk, FailureKind::Truncated), Status::Waiting);
        assert_eq!(fail(&mut desk, FailureKind::Network), Status::Waiting);
    }
    assert_eq!(fail(&mut desk, FailureKind::Truncated), Status::Running);
    desk.settle();
    assert_eq!(
        desk.state.last.as_ref().and_then(|last| last.error.as_ref()).map(|error| error.code.as_str()),
        Some("model_truncated")
    );
}

#[test]
fn a_question_is_not_asked_of_a_person_who_wrote_meanwhile() {
    let mut desk = Desk::with_session();
    desk.say("go").unwrap();
    desk.start_step(1, 1);
    desk.say_as("take the red one", None, Behavior::Steer).unwrap();
    desk.answer(1, 1, Ok(call_reply(&["ask_user"]))).unwrap();
    desk.rule(0, Ruling::Question(vec![Question { text: "Which?".into(), options: Vec::new(), multiple: false }]));
    assert_eq!(desk.owed(), vec![Debt::StartStep { step: 2, attempt: 1, again: false }]);
    let Block::ToolResult { content, .. } = &told(&desk)[0] else { panic!() };
    assert!(content.contains("see their message"), "{content}");
}

#[test]
fn a_snapshot_of_another_fold_is_none() {
    let desk = Desk::with_approval();
    let text = write_snapshot(&desk.state).unwrap();
    assert_eq!(read_snapshot(&text), Some(desk.state.clone()));
    let (fold, rest) = text.split_once('\n').unwrap();
    assert!(fold.starts_with("fold: "), "{fold}");
    assert_eq!(read_snapshot(&format!("fold: 2\n{rest}")), None);
    assert_eq!(read_snapshot(rest), None);
}

#[test]
fn what_people_say_and_grant_is_bounded_before_it_is_remembered() {
    let mut desk = Desk::with_approval();
    let reason = Some("x".repeat(REASON_BYTES + 1));
    let (call, verdict) = (desk.call(0), Verdict::Deny);
    let too_long = [
        Command::Decide(Decision { call, asked: None, verdict, reason: reason.clone(), by: by() }),
        Command::Pause { by: by(), reason },
    ];
    for command in too_long {
        let refused = desk.command(command);
        assert!(matches!(refused, Err(Refusal::Invalid { code: "reason_too_long", .. })), "{refused:?}");
    }

    let mut decisions = Decisions::default();
    (0..GRANTS_REMEMBERED + 5).for_each(|n| decisions.grant(format!("bash:{n}")));
    assert_eq!(decisions.grants.len(), GRANTS_REMEMBERED);

    let mut desk = Desk::with_question();
    let question = desk.state.open_questions()[0].question;
    let answers = vec![vec!["ä".repeat(ANSWER_REMEMBERED_BYTES)]];
    desk.command(Command::Answer { question, answers, by: by() }).unwrap();
    assert!(desk.state.questions.answered[0].answers[0][0].len() <= ANSWER_REMEMBERED_BYTES);
}

#[test]
fn an_archived_session_takes_no_queue() {
    let mut desk = Desk::with_session();
    desk.command(Command::Archive { archived: true, by: by() }).unwrap();
    let refused = desk.command(Command::SetQueue { items: Vec::new(), by: by() });
    assert_eq!(refused, Err(Refusal::Archived));
}

#[test]
fn a_reply_of_a_million_empty_blocks_is_no_line() {
    let mut desk = Desk::with_session();
    desk.say("go").unwrap();
    desk.start_step(1, 1);
    desk.answer(1, 1, Ok(reply(vec![text("x"); 500_000]))).unwrap();
    assert_eq!(desk.state.status(), Status::Waiting);
    assert!(desk.entries.iter().all(|entry| outlive_core::event::Line::write(entry).is_ok()));
}

#[test]
fn attempts_do_not_run_over() {
    let mut desk = Desk::with_running_call(Effect::Idempotent, OnLost::Report);
    desk.state.turn.as_mut().unwrap().calls[0].attempt = u32::MAX;
    desk.die();
    assert_eq!(desk.owed(), vec![Debt::Start { call: desk.call(0), attempt: u32::MAX, again: true }]);
}
