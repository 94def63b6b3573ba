//! Questions of running calls: asked while they run, answered once, taken back when they end.

use outlive_core::command::{Command, Decision, Found, Report, Verdict};
use outlive_core::event::{Behavior, Effect, Event, OnLost, Origin, OriginKind, Question};
use outlive_core::id::QuestionId;
use outlive_core::limits::QUESTION_CHARS;
use outlive_core::session::{Debt, Refusal, State, Status};

use super::desk::{self, Desk};

/// A call that runs and asks.
pub fn asking() -> (Desk, QuestionId) {
    let mut desk = Desk::with_running_call(Effect::Effectful, OnLost::Report);
    ask(&mut desk, "Who?").unwrap();
    let open = desk.state.open_questions();
    assert_eq!((open.len(), open[0].call, open[0].attempt), (1, desk.call(0), Some(1)));
    let question = open[0].question;
    (desk, question)
}

pub fn ask(desk: &mut Desk, text: &str) -> Result<(), Refusal> {
    let question = QuestionId::from_bits(desk.moment.ids.fresh());
    let questions = vec![Question { text: text.into(), options: Vec::new(), multiple: false }];
    let (call, attempt) = (desk.call(0), desk.state.calls()[0].attempt);
    desk.command(Command::Report(Report::Asks { call, attempt, question, questions })).map(drop)
}

fn open(desk: &Desk) -> Vec<(QuestionId, Option<u32>)> {
    desk.state.open_questions().iter().map(|open| (open.question, open.attempt)).collect()
}

/// What a journal says where nobody waits any more.
fn taken_back() -> (Vec<Vec<String>>, Origin) {
    (vec![], Origin::of(OriginKind::Runtime))
}

/// The question has its end in the journal, and an answer that comes late learns of it.
fn check_taken_back(desk: &mut Desk, question: QuestionId) {
    assert_eq!(last_answers(desk).last(), Some(&taken_back()));
    assert!(matches!(answer(desk, question), Err(Refusal::AlreadyAnswered(_))));
    super::properties::check_well_formed(&desk.transcript);
}

fn found(desk: &mut Desk, found: Found) {
    let (call, attempt) = (desk.call(0), desk.state.calls()[0].attempt);
    desk.command(Command::Report(Report::Found { call, attempt, found })).unwrap();
}

fn answer(desk: &mut Desk, question: QuestionId) -> Result<(), Refusal> {
    let answers = vec![vec!["Ada".to_owned()]];
    desk.command(Command::Answer { question, answers, by: desk::by() }).map(drop)
}

fn last_answers(desk: &Desk) -> Vec<(Vec<Vec<String>>, Origin)> {
    let answered = |event: &Event| {
        let Event::QuestionAnswered(answered) = event else { return None };
        Some((answered.answers.clone(), answered.by.clone()))
    };
    desk.entries.iter().filter_map(|entry| answered(&entry.event)).collect()
}

#[test]
fn a_call_that_asks_goes_on_once_it_is_answered_and_has_one_result() {
    let (mut desk, question) = asking();
    assert_eq!((desk.state.status(), desk.owed()), (Status::Asking, vec![]));
    assert_eq!(ask(&mut desk, "And?"), Err(Refusal::Stale), "one question at a time");
    answer(&mut desk, question).unwrap();
    assert_eq!((desk.state.status(), desk.owed(), desk.state.open_questions()), (Status::Running, vec![], vec![]));
    assert!(matches!(answer(&mut desk, question), Err(Refusal::AlreadyAnswered(_))));
    ask(&mut desk, "And?").unwrap();
    desk.finish_call(0);
    assert_eq!(desk.state.open_questions(), vec![], "what nobody waits for is taken back");
    assert!(matches!(desk.owed()[..], [Debt::StartStep { step: 2, .. }]));
    assert_eq!(desk::told(&desk).len(), 1, "the model sees one result");
    super::properties::check_well_formed(&desk.transcript);
}

#[test]
fn a_call_whose_process_dies_while_it_asks_is_lost_and_its_question_is_taken_back() {
    let (mut desk, question) = asking();
    desk.die();
    desk.recover();
    assert!(desk.entries.iter().any(|entry| matches!(entry.event, Event::CallLost(_))));
    assert_eq!(last_answers(&desk), [(vec![], Origin::of(OriginKind::Runtime))]);
    assert!(matches!(answer(&mut desk, question), Err(Refusal::AlreadyAnswered(_))));
}

#[test]
fn a_message_in_place_of_an_answer_lets_the_call_go_on_without_one() {
    let (mut desk, _) = asking();
    desk.say_as("never mind", None, Behavior::Steer).unwrap();
    assert_eq!(last_answers(&desk), [(vec![], desk::by())]);
    assert_eq!((desk.owed(), desk.state.status()), (vec![], Status::Running));
}

#[test]
fn an_interrupted_call_that_asks_is_stopped_and_asks_no_more() {
    let (mut desk, _) = asking();
    desk.command(Command::Interrupt { by: desk::by() }).unwrap();
    assert_eq!(desk.owed(), [Debt::Stop(desk.call(0))]);
    desk.finish_call(0);
    desk.settle();
    assert_eq!((desk.state.open_questions(), desk.state.status()), (vec![], Status::Idle));
}

/// A call that dies while it asks, and what is recorded then.
fn died_asking(effect: Effect, on_lost: OnLost) -> (Desk, QuestionId) {
    let mut desk = Desk::with_running_call(effect, on_lost);
    ask(&mut desk, "Who?").unwrap();
    let question = open(&desk)[0].0;
    desk.die();
    desk.recover();
    (desk, question)
}

#[test]
fn what_a_dead_attempt_asked_is_taken_back_before_the_next_one_starts_and_its_answer_is_no_later_one_s() {
    let again = [
        (Effect::Read, OnLost::Report),
        (Effect::Idempotent, OnLost::Report),
        (Effect::Effectful, OnLost::Retry),
        (Effect::Effectful, OnLost::Ask),
    ];
    for (effect, on_lost) in again {
        let (mut desk, first) = died_asking(effect, on_lost);
        check_taken_back(&mut desk, first);
        if on_lost == OnLost::Ask {
            let call = desk.call(0);
            let decision = Decision { call, asked: None, verdict: Verdict::Allow, reason: None, by: desk::by() };
            desk.command(Command::Decide(decision)).unwrap();
            desk.record(desk.state.settle(&Debt::Start { call, attempt: 2, again: false }), None);
        }
        assert_eq!((open(&desk), desk.state.calls()[0].attempt), (vec![], 2), "{effect:?} {on_lost:?}");
        ask(&mut desk, "Which?").unwrap();
        let second = open(&desk)[0].0;
        assert_eq!(open(&desk), [(second, Some(2))]);
        assert!(matches!(answer(&mut desk, first), Err(Refusal::AlreadyAnswered(_))));
        answer(&mut desk, second).unwrap();
    }
}

#[test]
fn a_journal_in_which_a_dead_attempt_s_question_was_left_open_does_not_show_it_as_the_next_one_s() {
    let (desk, _) = died_asking(Effect::Read, OnLost::Report);
    let left_open = desk.entries.iter().filter(|entry| !matches!(entry.event, Event::QuestionAnswered(_)));
    let mut state = State::default();
    left_open.for_each(|entry| state.apply(entry));
    assert_eq!((state.open_questions(), state.calls()[0].attempt), (vec![], 2));
}

#[test]
fn whatever_a_look_finds_the_question_of_the_dead_attempt_is_taken_back() {
    for what in [Found::Unknown, Found::NotDone] {
        let (mut desk, question) = died_asking(Effect::Verifiable, OnLost::Report);
        found(&mut desk, what);
        assert_eq!(open(&desk), []);
        check_taken_back(&mut desk, question);
    }
}

#[test]
fn a_call_that_its_agent_cannot_run_any_more_takes_its_question_back() {
    let (mut desk, question) = asking();
    let turn = desk.state.turn.clone().unwrap();
    desk.record(turn.unfit(&turn.calls[0], "its files are gone"), None);
    assert_eq!(open(&desk), []);
    check_taken_back(&mut desk, question);
}

#[test]
fn a_session_that_is_parked_for_a_call_shows_nothing_that_the_call_asked() {
    let (mut desk, mut question) = died_asking(Effect::Read, OnLost::Report);
    while desk.state.status() != Status::Paused {
        ask(&mut desk, "Who?").unwrap();
        question = open(&desk)[0].0;
        desk.die();
        desk.recover();
    }
    assert_eq!(open(&desk), []);
    check_taken_back(&mut desk, question);
}

#[test]
fn a_question_is_taken_back_by_the_call_that_asks_it_and_the_next_one_can_be_asked() {
    let (mut desk, question) = asking();
    let call = desk.call(0);
    let withdraws = |question| Command::Report(Report::Withdraws { call, attempt: 1, question });
    assert_eq!(desk.command(withdraws(QuestionId::from_bits(7))), Err(Refusal::Stale), "of another question");
    desk.command(withdraws(question)).unwrap();
    assert_eq!((open(&desk), desk.state.status(), desk.owed()), (vec![], Status::Running, vec![]));
    assert_eq!(desk.command(withdraws(question)), Err(Refusal::Stale), "once");
    check_taken_back(&mut desk, question);
    ask(&mut desk, "And?").unwrap();
}

#[test]
fn what_a_running_call_asks_is_bounded_as_what_a_model_asks() {
    let mut desk = Desk::with_running_call(Effect::Effectful, OnLost::Report);
    for text in ["", &"x".repeat(QUESTION_CHARS + 1)] {
        assert!(matches!(ask(&mut desk, text), Err(Refusal::Invalid { code: "question_invalid", .. })));
    }
    assert_eq!(open(&desk), []);
}
