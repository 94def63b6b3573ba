//! Questions of running calls: asked while they run, answered once, taken back when they end.

use outlive_core::command::{Command, Report};
use outlive_core::event::{Behavior, Effect, Event, OnLost, Origin, OriginKind, Question};
use outlive_core::id::QuestionId;
use outlive_core::session::{Debt, Refusal, Status};

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
    let questions = vec![Question { text: text.into(), options: Vec::new(), multiple: false }];
    let report = Report::Asks { call: desk.call(0), attempt: 1, questions };
    desk.command(Command::Report(report)).map(drop)
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
