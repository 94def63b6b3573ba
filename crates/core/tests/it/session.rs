//! The session machine: events and commands in, state and debts out.

use super::desk::{self, Desk, by, call_reply, reply, text, told};
use outlive_core::command::{Command, Decision, Done, Message, Report, Verdict};
use outlive_core::content::{Block, Failure, FailureKind, Reply, ReplyBlock, StopReason};
use outlive_core::context::{Frame, FrameParts, assemble};
use outlive_core::event::{Asked, Behavior, Effect, Ending, Event, OnLost, Outcome, Question};
use outlive_core::limits::{ANSWERS_REMEMBERED, LIST_ITEMS, OUTCOME_BYTES, REPLY_BYTES};
use outlive_core::session::{
    Debt, Held, Notes, Refusal, Requests, Ruling, Status, read_questions, read_snapshot, read_todos, write_snapshot,
};
use serde_json::json;

#[test]
fn a_message_starts_a_turn_and_a_reply_without_calls_completes_it() {
    let mut desk = Desk::with_session();
    desk.say("hello").unwrap();
    assert_eq!(desk.state.status(), Status::Running);
    assert_eq!(desk.owed(), vec![Debt::StartStep { step: 1, attempt: 1, again: false }]);
    desk.start_step(1, 1);
    assert_eq!(desk.owed(), vec![]);
    desk.answer(1, 1, Ok(reply(vec![text("hi")]))).unwrap();
    assert_eq!(desk.owed(), vec![Debt::End { ending: Ending::Complete, error: None }]);
    desk.settle();
    assert_eq!((desk.state.status(), desk.owed()), (Status::Idle, vec![]));
    assert_eq!(desk.state.last.as_ref().map(|last| last.ending), Some(Ending::Complete));
}

#[test]
fn the_same_request_gets_the_same_answer_and_another_body_is_refused() {
    let mut desk = Desk::with_session();
    let first = desk.say_as("hello", Some("r1"), Behavior::FollowUp).unwrap();
    let head = desk.state.head;
    let again = desk.say_as("hello", Some("r1"), Behavior::FollowUp).unwrap();
    assert_eq!((again, desk.state.head), (first, head));
    let other = desk.say_as("other", Some("r1"), Behavior::FollowUp);
    assert!(matches!(other, Err(Refusal::RequestReused(_))), "{other:?}");
}

#[test]
fn the_request_that_made_a_session_is_never_forgotten_and_others_are_in_turn() {
    let mut requests = Requests::default();
    let asked = |n: u64| Asked { request_id: format!("r{n}").parse().unwrap(), request_digest: "d".into() };
    (1..=2_000).for_each(|n| requests.remember(&asked(n), n, None));
    let is_known = |n: u64| requests.get(&asked(n).request_id).is_some();
    assert_eq!([1, 2, 900, 1_999, 2_000].map(is_known), [true, false, false, true, true]);
}

#[test]
fn another_reason_is_another_request_and_so_is_another_command_of_the_same_words() {
    let pause = |reason: &str| Command::Pause { by: by(), reason: Some(reason.into()) }.digest();
    assert_ne!(pause("lunch"), pause("dinner"));
    let message = Message::text("pause", Behavior::Steer, by());
    assert_ne!(pause("steer"), Command::Message(message).digest());
}

#[test]
fn only_a_repeatable_call_starts_twice() {
    let lost = |desk: &Desk| vec![Debt::DeclareLost(desk.call(0))];
    let again = |desk: &Desk| vec![Debt::Start { call: desk.call(0), attempt: 2, again: true }];
    let find = |desk: &Desk| vec![Debt::Find { call: desk.call(0), attempt: 1 }];
    let ask = |desk: &Desk| vec![Debt::AskAboutLost(desk.call(0))];
    type Rule = fn(&Desk) -> Vec<Debt>;
    let table: [(Effect, OnLost, Rule); 7] = [
        (Effect::Read, OnLost::Report, again),
        (Effect::Idempotent, OnLost::Report, again),
        (Effect::Verifiable, OnLost::Report, find),
        (Effect::Resumable, OnLost::Report, find),
        (Effect::Effectful, OnLost::Report, lost),
        (Effect::Effectful, OnLost::Ask, ask),
        (Effect::Effectful, OnLost::Retry, again),
    ];
    for (effect, on_lost, expected) in table {
        let mut desk = Desk::with_running_call(effect, on_lost);
        assert_eq!(desk.owed(), vec![], "{effect:?}: held, so nothing is owed");
        desk.die();
        assert_eq!(desk.owed(), expected(&desk), "{effect:?} {on_lost:?}");
    }
}

#[test]
fn a_call_that_is_running_at_three_deaths_in_a_row_parks_the_session_and_is_lost_on_resume() {
    let mut desk = Desk::with_running_call(Effect::Idempotent, OnLost::Report);
    for _ in 0..2 {
        desk.die();
        desk.recover();
        assert_eq!(desk.state.status(), Status::Running);
    }
    desk.die();
    desk.recover();
    assert_eq!((desk.state.status(), desk.owed()), (Status::Paused, vec![]));
    desk.command(Command::Resume { by: by() }).unwrap();
    assert_eq!(desk.owed(), vec![Debt::DeclareLost(desk.call(0))]);
}

#[test]
fn reads_run_beside_each_other_and_the_rest_in_order() {
    let mut desk = Desk::with_session();
    desk.say("go").unwrap();
    desk.start_step(1, 1);
    desk.answer(1, 1, Ok(call_reply(&["look", "look", "write", "look"]))).unwrap();
    let effects = [Effect::Read, Effect::Read, Effect::Effectful, Effect::Read];
    for (at, effect) in effects.into_iter().enumerate() {
        desk.rule(at, Ruling::Allowed { by: desk::policy(), effect, on_lost: OnLost::Report, ruled: None });
    }
    let start = |desk: &Desk, at| Debt::Start { call: desk.call(at), attempt: 1, again: false };
    assert_eq!(desk.owed(), vec![start(&desk, 0), start(&desk, 1)]);
    desk.start_call(0);
    desk.start_call(1);
    desk.finish_call(0);
    assert_eq!(desk.owed(), vec![], "the write waits for both reads");
    desk.finish_call(1);
    assert_eq!(desk.owed(), vec![start(&desk, 2)], "the last read waits for the write");
}

#[test]
fn an_approval_is_decided_once_and_late_deciders_learn_the_first_decision() {
    let mut desk = Desk::with_approval();
    let decide = |desk: &Desk, verdict| {
        Command::Decide(Decision { call: desk.call(0), asked: None, verdict, reason: None, by: by() })
    };
    assert_eq!((desk.state.status(), desk.owed()), (Status::Approving, vec![]));
    desk.command(decide(&desk, Verdict::Deny)).unwrap();
    let late = desk.command(decide(&desk, Verdict::Allow));
    let Err(Refusal::AlreadyDecided(first)) = late else { panic!("{late:?}") };
    assert_eq!(first.verdict, Some(Verdict::Deny));
}

#[test]
fn allowing_always_grants_exactly_the_rule_that_was_asked_about() {
    let mut desk = Desk::with_approval();
    let verdict = Verdict::AllowAlways;
    desk.command(Command::Decide(Decision { call: desk.call(0), asked: None, verdict, reason: None, by: by() }))
        .unwrap();
    assert_eq!(desk.state.answered.decisions.grants.iter().collect::<Vec<_>>(), vec!["bash:ls"]);
    assert_eq!(desk.owed(), vec![Debt::Start { call: desk.call(0), attempt: 1, again: false }]);
}

#[test]
fn a_late_report_of_an_attempt_that_was_given_up_is_refused() {
    let mut desk = Desk::with_session();
    desk.say("hello").unwrap();
    desk.start_step(1, 1);
    desk.die();
    desk.start_step(1, 2);
    assert_eq!(desk.answer(1, 1, Ok(reply(vec![text("late")]))), Err(Refusal::Stale));
    desk.answer(1, 2, Ok(reply(vec![text("now")]))).unwrap();
}

#[test]
fn an_outage_is_waited_out_and_a_bad_key_fails_the_turn() {
    let fail = |kind| {
        let mut desk = Desk::with_session();
        desk.say("hello").unwrap();
        desk.start_step(1, 1);
        desk.answer(1, 1, Err(Failure { kind, message: "no".into(), retry_after_ms: None })).unwrap();
        desk
    };
    let mut desk = fail(FailureKind::Overloaded);
    assert_eq!(desk.state.status(), Status::Waiting);
    assert!(matches!(desk.owed()[..], [Debt::WaitUntil(_)]));
    desk.pass_ms(10_000);
    assert_eq!(desk.owed(), vec![Debt::StartStep { step: 1, attempt: 2, again: false }]);
    let mut desk = fail(FailureKind::Auth);
    desk.settle();
    assert_eq!(desk.state.last.unwrap().error.unwrap().code, "model_auth");
}

#[test]
fn an_interrupt_settles_every_call_then_ends_the_turn() {
    let mut desk = Desk::with_running_call(Effect::Effectful, OnLost::Report);
    desk.command(Command::Interrupt { by: by() }).unwrap();
    assert_eq!(desk.owed(), vec![Debt::Stop(desk.call(0))]);
    desk.held.stopping.insert(desk.call(0));
    assert_eq!(desk.owed(), vec![]);
    desk.finish_call(0);
    desk.settle();
    assert_eq!(desk.state.last.as_ref().map(|last| last.ending), Some(Ending::Interrupted));
}

#[test]
fn an_interrupt_survives_a_crash() {
    let mut desk = Desk::with_running_call(Effect::Idempotent, OnLost::Report);
    desk.command(Command::Interrupt { by: by() }).unwrap();
    desk.die();
    desk.recover();
    assert_eq!(desk.state.last.as_ref().map(|last| last.ending), Some(Ending::Interrupted));
}

#[test]
fn follow_ups_survive_an_interrupt_and_run_in_order() {
    let mut desk = Desk::with_session();
    desk.say("one").unwrap();
    let two = desk.say("two").unwrap();
    desk.say("three").unwrap();
    desk.command(Command::Interrupt { by: by() }).unwrap();
    desk.settle();
    assert_eq!(desk.state.turn.as_ref().map(|turn| Some(turn.id)), Some(two.1), "the turn that was promised");
    assert_eq!(desk.state.queue.items.len(), 1);
}

#[test]
fn after_a_failed_turn_follow_ups_wait_for_a_person() {
    let mut desk = Desk::with_session();
    desk.say("one").unwrap();
    desk.say("two").unwrap();
    desk.start_step(1, 1);
    desk.answer(1, 1, Err(Failure { kind: FailureKind::Auth, message: "no".into(), retry_after_ms: None })).unwrap();
    desk.settle();
    assert_eq!((desk.state.queue.items.len(), desk.owed()), (1, vec![]));
    desk.command(Command::Resume { by: by() }).unwrap();
    assert_eq!(desk.owed(), vec![Debt::StartQueued]);
}

#[test]
fn a_steer_reaches_the_running_turn_before_it_ends() {
    let mut desk = Desk::with_session();
    desk.say("one").unwrap();
    desk.start_step(1, 1);
    let message = Message::text("also", Behavior::Steer, by());
    desk.command(Command::Message(message)).unwrap();
    desk.answer(1, 1, Ok(reply(vec![text("done")]))).unwrap();
    assert_eq!(desk.owed(), vec![Debt::StartStep { step: 2, attempt: 1, again: false }]);
}

#[test]
fn while_paused_nothing_is_owed_and_what_runs_may_end() {
    let mut desk = Desk::with_running_call(Effect::Effectful, OnLost::Report);
    desk.command(Command::Pause { by: by(), reason: None }).unwrap();
    desk.finish_call(0);
    assert_eq!((desk.state.status(), desk.owed()), (Status::Paused, vec![]));
    desk.command(Command::Resume { by: by() }).unwrap();
    assert_eq!(desk.owed(), vec![Debt::StartStep { step: 2, attempt: 1, again: false }]);
}

#[test]
fn a_turn_that_takes_too_many_steps_fails_with_a_way_on() {
    let mut desk = Desk::with_session();
    desk.allowed.max_steps = 1;
    desk.say("go").unwrap();
    desk.start_step(1, 1);
    desk.answer(1, 1, Ok(call_reply(&["look"]))).unwrap();
    let content = "no".to_owned();
    desk.rule(0, Ruling::Denied { by: desk::policy(), content });
    desk.settle();
    assert_eq!(desk.state.last.unwrap().error.unwrap().code, "max_steps");
}

#[test]
fn an_answer_that_was_cut_is_not_complete_and_what_was_cut_of_a_call_is_not_run() {
    let cut = |content| Reply { stop_reason: StopReason::MaxTokens, ..reply(content) };
    let mut desk = Desk::with_session();
    desk.say("go").unwrap();
    desk.start_step(1, 1);
    desk.answer(1, 1, Ok(cut(vec![text("half an ans")]))).unwrap();
    desk.settle();
    let last = desk.state.last.unwrap();
    assert_eq!((last.ending, last.error.unwrap().code), (Ending::Failed, "answer_cut".to_owned()));

    let mut desk = Desk::with_session();
    desk.say("go").unwrap();
    desk.start_step(1, 1);
    let call = |arguments: &str| ReplyBlock::ToolUse { name: "bash".into(), arguments: arguments.into() };
    desk.answer(1, 1, Ok(cut(vec![call("{}"), call("")]))).unwrap();
    let malformed: Vec<bool> =
        desk.state.turn.iter().flat_map(|turn| &turn.calls).map(|call| call.malformed.is_some()).collect();
    assert_eq!(malformed, [false, true]);
}

#[test]
fn reasoning_goes_back_to_the_model_whose_it_is_and_to_no_other() {
    let mut desk = Desk::with_session();
    desk.say("go").unwrap();
    desk.start_step(1, 1);
    let thought = ReplyBlock::Thinking { thinking: "hm".into(), signature: Some("sealed".into()) };
    let hidden = ReplyBlock::RedactedThinking("sealed".into());
    desk.answer(1, 1, Ok(reply(vec![thought, hidden, text("hi")]))).unwrap();
    desk.settle();
    desk.say("and now").unwrap();
    let blocks = |model: &str| {
        let parts = FrameParts {
            window: outlive_core::context::Window::default(),
            system: vec![],
            tools: vec![],
            max_output_tokens: 1,
            temperature: None,
            model: model.into(),
            agent_digest: "d".into(),
        };
        assemble(&Frame::new(parts), &desk.transcript).0.messages[1].content.len()
    };
    assert_eq!((blocks("test/test"), blocks("test/other")), (3, 1));
}

#[test]
fn an_archived_session_takes_no_message_until_it_is_taken_back_out() {
    let mut desk = Desk::with_session();
    desk.command(Command::Archive { archived: true, by: by() }).unwrap();
    assert_eq!(desk.say("hello"), Err(Refusal::Archived));
    desk.command(Command::Archive { archived: false, by: by() }).unwrap();
    desk.say("hello").unwrap();
    assert_eq!(desk.command(Command::Archive { archived: true, by: by() }), Err(Refusal::TurnRunning));
}

#[test]
fn a_paused_session_that_is_archived_comes_back_as_paused_as_it_was() {
    let mut desk = Desk::with_session();
    desk.command(Command::Pause { by: by(), reason: Some("lunch".into()) }).unwrap();
    let paused = desk.state.hold.clone();
    desk.command(Command::Archive { archived: true, by: by() }).unwrap();
    assert_eq!(desk.state.status(), Status::Archived);
    let kept = read_snapshot(&write_snapshot(&desk.state).unwrap());
    assert_eq!(kept.as_ref(), Some(&desk.state), "the snapshot knows it, too");
    desk.command(Command::Archive { archived: false, by: by() }).unwrap();
    assert_eq!((&desk.state.hold, desk.state.status()), (&paused, Status::Paused));
    desk.command(Command::Resume { by: by() }).unwrap();
    desk.command(Command::Archive { archived: true, by: by() }).unwrap();
    desk.command(Command::Archive { archived: false, by: by() }).unwrap();
    assert_eq!(desk.state.status(), Status::Idle, "it is paused no more");
}

#[test]
fn a_resting_session_is_owed_nothing_after_a_restart_and_a_waiting_one_is() {
    let mut desk = Desk::with_approval();
    assert!(!desk.state.is_owed(Notes::default()), "a person's decision needs nobody");
    desk.command(Command::Interrupt { by: by() }).unwrap();
    assert!(desk.state.is_owed(Notes::default()));
    desk.settle();
    assert!(!desk.state.is_owed(Notes::default()));
    assert_eq!(desk.held, Held::default());
}

#[test]
fn a_request_to_which_there_was_nothing_to_do_does_nothing_later_either() {
    type Case = (Vec<Command>, Command, Vec<Command>, Option<fn(&mut Desk)>);
    let pause = Command::Pause { by: by(), reason: None };
    let resume = Command::Resume { by: by() };
    let archive = |archived| Command::Archive { archived, by: by() };
    let none = Command::SetQueue { items: Vec::new(), by: by() };
    let busy: fn(&mut Desk) = |desk| {
        desk.say("one").unwrap();
        desk.say("two").unwrap();
    };
    let table: [Case; 6] = [
        (vec![], Command::Interrupt { by: by() }, vec![], Some(busy)),
        (vec![], none, vec![], Some(busy)),
        (vec![pause.clone()], pause.clone(), vec![resume.clone()], None),
        (vec![], resume, vec![pause], None),
        (vec![archive(true)], archive(true), vec![archive(false)], None),
        (vec![], archive(false), vec![archive(true)], None),
    ];
    for (before, asked, after, change) in table {
        let mut desk = Desk::with_session();
        for command in before {
            desk.command(command).unwrap();
        }
        let was = (desk.state.hold.clone(), desk.state.turn.clone(), desk.state.queue.clone());
        let answer = desk.command_as(asked.clone(), Some("key")).unwrap();
        assert_eq!((desk.state.hold.clone(), desk.state.turn.clone(), desk.state.queue.clone()), was, "{asked:?}");
        for command in after {
            desk.command(command).unwrap();
        }
        if let Some(change) = change {
            change(&mut desk);
        }
        let state = desk.state.clone();
        assert_eq!(desk.command_as(asked.clone(), Some("key")).unwrap(), answer, "{asked:?}");
        assert_eq!(desk.state, state, "{asked:?}");
    }
}

#[test]
fn what_the_world_reports_is_bounded_before_it_is_kept() {
    let mut desk = Desk::with_session();
    desk.say("go").unwrap();
    desk.start_step(1, 1);
    desk.answer(1, 1, Ok(reply(vec![text(&"x".repeat(REPLY_BYTES + 1))]))).unwrap();
    let failed = desk.entries.last().map(|entry| entry.event.clone());
    let Some(Event::StepFailed(failed)) = failed else { panic!("{failed:?}") };
    assert_eq!((failed.kind, failed.retry_at.is_some()), (FailureKind::Truncated, true));
    let mut desk = Desk::with_running_call(Effect::Read, OnLost::Report);
    let done = Done {
        outcome: Outcome::Ok,
        content: "é".repeat(OUTCOME_BYTES),
        details: Some(serde_json::json!("x".repeat(OUTCOME_BYTES))),
        artifact: None,
    };
    desk.command(Command::Report(Report::Call { call: desk.call(0), attempt: 1, done, duration_ms: 1 })).unwrap();
    let finished = desk.entries.last().map(|entry| entry.event.clone());
    let Some(Event::CallFinished(finished)) = finished else { panic!("{finished:?}") };
    assert!(finished.content.len() < OUTCOME_BYTES + 100 && finished.content.ends_with("had 2097152 bytes]"));
    assert_eq!(finished.details, None);
}

fn answer(desk: &mut Desk, answers: &[&[&str]]) -> Result<(), Refusal> {
    let question = desk.state.open_questions().first().map(|open| open.question);
    let question = question.or_else(|| desk.state.questions.answered.last().map(|past| past.question)).unwrap();
    let answers = answers.iter().map(|one| one.iter().map(|said| (*said).to_owned()).collect()).collect();
    desk.command(Command::Answer { question, answers, by: by() }).map(drop)
}

/// What the model is told in the next request, last message only.

#[test]
fn a_question_ends_its_turn_with_ask_and_its_answer_begins_the_next() {
    let mut desk = Desk::with_question();
    assert_eq!(desk.state.last.as_ref().map(|last| last.ending), Some(Ending::Ask));
    assert_eq!((desk.state.status(), desk.owed()), (Status::Asking, vec![]));
    let asked = desk.state.questions.open[0].call;
    answer(&mut desk, &[&["blue"]]).unwrap();
    assert_eq!(desk.owed(), vec![Debt::StartStep { step: 1, attempt: 1, again: false }]);
    let Block::ToolResult { id, content, is_error } = &told(&desk)[0] else { panic!() };
    assert_eq!((*id, content.as_str(), *is_error), (asked, "Which?\nblue", false));
    let late = answer(&mut desk, &[&["red"]]);
    let Err(Refusal::AlreadyAnswered(first)) = late else { panic!("{late:?}") };
    assert_eq!(first.answers, vec![vec!["blue".to_owned()]]);
}

#[test]
fn an_answer_that_does_not_fit_changes_nothing() {
    for answers in [&[][..], &[&[][..]], &[&["  "][..]], &[&["red", "blue"][..]], &[&["red"][..], &["blue"]]] {
        let mut desk = Desk::with_question();
        let before = desk.state.clone();
        let refused = answer(&mut desk, answers);
        assert!(matches!(refused, Err(Refusal::Invalid { code: "answer_invalid", .. })), "{answers:?}: {refused:?}");
        assert_eq!(desk.state, before, "{answers:?}");
    }
    let mut desk = Desk::with_question();
    answer(&mut desk, &[&["neither of them"]]).unwrap();
}

#[test]
fn a_message_in_place_of_an_answer_settles_the_question() {
    let mut desk = Desk::with_question();
    desk.say("never mind").unwrap();
    assert_eq!(desk.state.status(), Status::Running);
    let told = told(&desk);
    assert!(
        matches!(&told[..], [Block::ToolResult { .. }, Block::ToolResult { .. }, Block::Text { text }] if text == "never mind")
    );
    assert!(matches!(answer(&mut desk, &[&["red"]]), Err(Refusal::AlreadyAnswered(_))));
}

#[test]
fn follow_ups_wait_until_a_question_is_answered() {
    let mut desk = Desk::with_session();
    desk.say("go").unwrap();
    desk.start_step(1, 1);
    desk.say("later").unwrap();
    desk.answer(1, 1, Ok(call_reply(&["ask_user"]))).unwrap();
    let question = Question { text: "Which?".into(), options: Vec::new(), multiple: false };
    desk.rule(0, Ruling::Question(vec![question]));
    desk.settle();
    assert_eq!((desk.state.status(), desk.owed()), (Status::Asking, vec![]));
    answer(&mut desk, &[&["this"]]).unwrap();
    desk.start_step(1, 1);
    desk.answer(1, 1, Ok(reply(vec![text("thanks")]))).unwrap();
    desk.settle();
    assert_eq!(desk.state.turn.as_ref().map(|turn| turn.step), Some(0), "the follow-up has its turn");
}

#[test]
fn an_interrupt_settles_a_question_that_nobody_answered() {
    let mut desk = Desk::with_session();
    desk.say("go").unwrap();
    desk.start_step(1, 1);
    desk.answer(1, 1, Ok(call_reply(&["ask_user", "bash"]))).unwrap();
    let question = Question { text: "Which?".into(), options: Vec::new(), multiple: false };
    desk.rule(0, Ruling::Question(vec![question]));
    let (effect, on_lost) = (Effect::Effectful, OnLost::Report);
    desk.rule(
        1,
        Ruling::Ask { summary: "ls".into(), rule: "bash:ls".into(), because: vec![], effect, on_lost, ruled: None },
    );
    assert_eq!((desk.state.status(), desk.owed()), (Status::Approving, vec![]), "the turn has not ended");
    desk.command(Command::Interrupt { by: by() }).unwrap();
    desk.settle();
    assert_eq!((desk.state.status(), desk.state.open_questions()), (Status::Idle, vec![]));
    assert!(matches!(answer(&mut desk, &[&["this"]]), Err(Refusal::AlreadyAnswered(_))));
}

#[test]
fn what_a_question_may_be_is_said_to_the_model() {
    let question = |text: &str, labels: &[&str]| {
        let options: Vec<_> = labels.iter().map(|label| json!({"label": label})).collect();
        json!({"questions": [{"text": text, "options": options}]})
    };
    assert!(read_questions(&question("Which?", &["a", "b"])).is_ok());
    let eleven: Vec<String> = (0..11).map(|n| n.to_string()).collect();
    let eleven: Vec<&str> = eleven.iter().map(String::as_str).collect();
    for (asked, why) in [
        (json!({}), "does not fit"),
        (json!({"questions": []}), "1 to 10 questions"),
        (question(" ", &[]), "a question has"),
        (question("Which?", &["a", "a"]), "same label"),
        (question("Which?", &[""]), "options"),
        (question("Which?", &eleven), "at most 10 options"),
        (json!({"questions": [{"text": "Which?", "option": []}]}), "`option` is no key"),
        (json!({"questions": [{"text": "Which?", "options": [{"label": "a", "text": "b"}]}]}), "`text` is no key"),
    ] {
        let refused = read_questions(&asked).unwrap_err();
        assert!(refused.contains(why), "{asked}: {refused}");
    }
}

#[test]
fn answers_of_long_ago_are_forgotten() {
    let mut desk = Desk::with_session();
    for _ in 0..ANSWERS_REMEMBERED + 5 {
        desk.say("go").unwrap();
        desk.start_step(1, 1);
        desk.answer(1, 1, Ok(call_reply(&["ask_user"]))).unwrap();
        let question = Question { text: "Which?".into(), options: Vec::new(), multiple: false };
        desk.rule(0, Ruling::Question(vec![question]));
        desk.command(Command::Interrupt { by: by() }).unwrap();
        desk.settle();
    }
    assert_eq!(desk.state.questions.answered.len(), ANSWERS_REMEMBERED);
}

#[test]
fn a_list_is_state_and_its_call_has_its_result_at_once() {
    let list = |items: serde_json::Value| read_todos(&json!({ "items": items }));
    let mut desk = Desk::with_session();
    desk.say("go").unwrap();
    desk.start_step(1, 1);
    desk.answer(1, 1, Ok(call_reply(&["todo"]))).unwrap();
    let items = list(json!([{"text": "look", "status": "done"}, {"text": "act", "status": "in_progress"}])).unwrap();
    desk.rule(0, Ruling::Todos(items.clone()));
    assert_eq!(desk.state.todos, items);
    assert_eq!(desk.owed(), vec![Debt::StartStep { step: 2, attempt: 1, again: false }]);
    let Block::ToolResult { content, is_error, .. } = &told(&desk)[0] else { panic!() };
    assert_eq!((content.as_str(), *is_error), ("The list is kept: 1 done, 1 in progress, 0 pending.", false));
    let snapshot = outlive_core::session::write_snapshot(&desk.state).unwrap();
    assert_eq!(outlive_core::session::read_snapshot(&snapshot).unwrap().todos, items);

    let many: Vec<_> = (0..=LIST_ITEMS).map(|n| json!({"text": n.to_string(), "status": "pending"})).collect();
    for (items, why) in [
        (json!(many), "at most 100 items"),
        (json!([{"text": " ", "status": "done"}]), "item 1 has 1 to 500 characters"),
        (json!([{"text": "x".repeat(501), "status": "done"}]), "item 1 has"),
        (json!([{"text": "x", "status": "soon"}]), "does not fit"),
        (json!("x"), "does not fit"),
    ] {
        let refused = list(items).unwrap_err();
        assert!(refused.contains(why), "{refused}");
    }
}
