//! Structured questions: a call that asks is never run; its turn ends with `ask`, and the answer begins the next one.
//!
//! Invariants: a question is answered once, late answers learn who was first; a message in place of an answer settles all
//! open questions, so that the history stays well-formed.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::State;
use super::decide::{Facts, Moment, Refusal};
use super::settle::Fact;
use crate::event::{Event, Origin, OriginKind, Question, QuestionAnswered, Trigger, TurnStarted};
use crate::id::{CallId, QuestionId, TurnId};
use crate::limits::{ANSWER_REMEMBERED_BYTES, ANSWERS_REMEMBERED, MESSAGE_BYTES, QUESTION_CHARS, QUESTIONS};
use crate::time::Timestamp;
use crate::turn::{Call, Phase, Turn};

/// Name of the tool whose calls are questions.
pub const ASK_USER: &str = "ask_user";

/// What the model is told in place of an answer when the person wrote a message.
const IN_WORDS: &str = "The person answered in words of their own: see their message.";

/// What people are asked, and what they answered.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Questions {
    /// Of the turn that ended with `ask`, in order.
    pub open: Vec<OpenQuestion>,
    /// Newest last; the oldest are forgotten beyond `limits::ANSWERS_REMEMBERED`.
    pub answered: Vec<PastAnswer>,
    /// The turn that ended with calls that wait for a person's decision, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parked: Option<Box<Turn>>,
}

impl Questions {
    /// Says whether nothing was ever asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.answered.is_empty() && self.parked.is_none()
    }
}

/// A question that waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenQuestion {
    /// Its id.
    pub question: QuestionId,
    /// The call that asks.
    pub call: CallId,
    /// What is asked.
    pub questions: Vec<Question>,
    /// Set where a running call asks: its attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
}

/// An answer that was taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PastAnswer {
    /// The question.
    pub question: QuestionId,
    /// What was answered; empty when the person sent a message, or the turn was interrupted before anybody answered.
    pub answers: Vec<Vec<String>>,
    /// By whom.
    pub by: Origin,
    /// When.
    pub at: Timestamp,
}

/// Returns the id under which a call's question is answered.
#[must_use]
pub fn question_of(call: CallId) -> QuestionId {
    QuestionId::from_bits(call.bits())
}

/// Reads what a call asks.
///
/// # Errors
///
/// What does not fit, for the model.
pub fn read_questions(arguments: &Value) -> Result<Vec<Question>, String> {
    if let Some(key) = unknown_key(&arguments["questions"]) {
        return Err(format!(
            "`{key}` is no key of a question: it has `text`, `options` and `multiple`, an option `label` and `description`"
        ));
    }
    let questions: Vec<Question> = serde_json::from_value(arguments["questions"].clone())
        .map_err(|error| format!("`questions` does not fit: {error}"))?;
    check_questions(&questions)?;
    Ok(questions)
}

/// Says what does not fit of what is asked at once, if anything does not.
pub(super) fn check_questions(questions: &[Question]) -> Result<(), String> {
    if questions.is_empty() || questions.len() > QUESTIONS {
        return Err(format!("ask 1 to {QUESTIONS} questions at once, not {}", questions.len()));
    }
    questions.iter().try_for_each(check)
}

/// Finds what the journal would keep and nobody would see: a slip of the model must not turn options into nothing.
fn unknown_key(questions: &Value) -> Option<&String> {
    questions.as_array()?.iter().find_map(|question| {
        let mut options = question["options"].as_array().into_iter().flatten();
        foreign_key(question, &["text", "options", "multiple"])
            .or_else(|| options.find_map(|option| foreign_key(option, &["label", "description"])))
    })
}

fn foreign_key<'a>(value: &'a Value, known: &[&str]) -> Option<&'a String> {
    value.as_object()?.keys().find(|key| !known.contains(&key.as_str()))
}

fn check(question: &Question) -> Result<(), String> {
    let fits = |text: &str| !text.trim().is_empty() && text.chars().count() <= QUESTION_CHARS;
    if !fits(&question.text) {
        return Err(format!("a question has 1 to {QUESTION_CHARS} characters"));
    }
    if question.options.len() > QUESTIONS || question.options.iter().any(|choice| !fits(&choice.label)) {
        return Err(format!("a question has at most {QUESTIONS} options, each of 1 to {QUESTION_CHARS} characters"));
    }
    if question.options.iter().any(|choice| choice.description.as_ref().is_some_and(|text| !fits(text))) {
        return Err(format!("an option's description has 1 to {QUESTION_CHARS} characters"));
    }
    let labels: std::collections::BTreeSet<&str> =
        question.options.iter().map(|choice| choice.label.as_str()).collect();
    if labels.len() == question.options.len() { Ok(()) } else { Err("two options have the same label".to_owned()) }
}

impl State {
    /// Returns the questions that wait for a person, in order: those of the running turn, too.
    #[must_use]
    pub fn open_questions(&self) -> Vec<OpenQuestion> {
        let running = self.turn.iter().flat_map(|turn| &turn.calls).filter_map(open);
        self.questions.open.iter().cloned().chain(running).chain(self.open_of_relay()).collect()
    }

    /// What a relay asks has no turn: words that are said meanwhile are no answer to it.
    fn open_of_relay(&self) -> Option<OpenQuestion> {
        let (question, call, questions) = self.relaying()?.asked()?;
        Some(OpenQuestion { question, call, questions: questions.to_vec(), attempt: None })
    }

    pub(super) fn answer(&self, id: QuestionId, answers: &[Vec<String>], by: &Origin, moment: &mut Moment) -> Facts {
        let Some(open) = self.open_questions().into_iter().find(|open| open.question == id) else {
            let past = self.questions.answered.iter().rev().find(|past| past.question == id);
            return Err(past.map_or(Refusal::NoQuestion(id), |past| Refusal::AlreadyAnswered(Box::new(past.clone()))));
        };
        if self.is_archived() {
            return Err(Refusal::Archived);
        }
        check_answers(&open.questions, answers)?;
        let starts = !self.is_relays(open.call) && self.is_last_word(open.call);
        let turn = self.turn.as_ref().map(|turn| turn.id).filter(|_| !self.is_relays(open.call));
        let turn = turn.or_else(|| starts.then(|| TurnId::from_bits(moment.ids.fresh())));
        let started = Event::TurnStarted(TurnStarted { trigger: Trigger::Answer });
        let answered = answered(&open, (answers.to_vec(), told(&open.questions, answers)), by);
        let begins = starts.then_some(started);
        Ok([answered].into_iter().chain(begins).map(|event| Fact { turn, step: None, event }).collect())
    }

    /// Returns the facts that settle all open questions because a message came in their place.
    pub(super) fn answered_in_words(&self, by: &Origin, turn: TurnId) -> Vec<Fact> {
        let said = |open: &OpenQuestion| Fact::of_turn(turn, answered(open, (Vec::new(), IN_WORDS.to_owned()), by));
        self.open_questions().iter().filter(|open| !self.is_relays(open.call)).map(said).collect()
    }

    pub(super) fn apply_answer(&mut self, answered: &QuestionAnswered, at: Timestamp) {
        self.questions.open.retain(|open| open.question != answered.question);
        if let Some(turn) = self.turn.as_mut().or(self.questions.parked.as_deref_mut()) {
            match (answered.attempt, turn.call_mut(answered.call)) {
                (Some(_), Some(call)) => drop(call.inquiry.take()),
                (Some(_) | None, _) => turn.settle(answered.call),
            }
        }
        let (answers, by) = (answered.answers.iter().map(|said| shortened(said)).collect(), answered.by.clone());
        self.remember_answer(PastAnswer { question: answered.question, answers, by, at });
    }

    /// Remembers it, so that a later answer learns of it.
    pub(super) fn remember_answer(&mut self, past: PastAnswer) {
        self.questions.answered.push(past);
        let surplus = self.questions.answered.len().saturating_sub(ANSWERS_REMEMBERED);
        self.questions.answered.drain(..surplus);
    }
}

impl Turn {
    /// Says whether nothing but open questions keeps the turn from its next step.
    pub(super) fn only_asks(&self) -> bool {
        let asks = |call: &Call| matches!(call.phase, Phase::Asking(_));
        self.calls.iter().any(asks) && self.calls.iter().all(|call| call.phase == Phase::Settled || asks(call))
    }

    pub(super) fn open_questions(&self) -> Vec<OpenQuestion> {
        self.calls.iter().filter_map(open).collect()
    }
}

fn open(call: &Call) -> Option<OpenQuestion> {
    match &call.phase {
        Phase::Asking(questions) => {
            let (question, questions) = (question_of(call.id), questions.clone());
            Some(OpenQuestion { question, call: call.id, questions, attempt: None })
        }
        Phase::Running => call.inquiry.as_ref().map(|inquiry| OpenQuestion {
            question: inquiry.question,
            call: call.id,
            questions: inquiry.questions.clone(),
            attempt: Some(call.attempt),
        }),
        Phase::Asked | Phase::Awaiting { .. } | Phase::Cleared | Phase::Settled => None,
    }
}

fn answered(open: &OpenQuestion, (answers, content): (Vec<Vec<String>>, String), by: &Origin) -> Event {
    let (question, call, attempt) = (open.question, open.call, open.attempt);
    let content = if attempt.is_some() { String::new() } else { content };
    Event::QuestionAnswered(QuestionAnswered { question, call, answers, by: by.clone(), content, attempt })
}

/// Returns the event that takes back what a running call asked: it has ended, or begins anew, and nobody waits for the answer.
pub(super) fn withdrawn(call: &Call) -> Option<Event> {
    let open = open(call).filter(|open| open.attempt.is_some())?;
    Some(answered(&open, (Vec::new(), String::new()), &Origin::of(OriginKind::Runtime)))
}

fn check_answers(questions: &[Question], answers: &[Vec<String>]) -> Result<(), Refusal> {
    let refuse = |what: String| Err(Refusal::Invalid { code: "answer_invalid", what });
    if answers.len() != questions.len() {
        return refuse(format!("{} questions are asked and {} answered: answer each", questions.len(), answers.len()));
    }
    if answers.iter().flatten().map(String::len).sum::<usize>() > MESSAGE_BYTES {
        return refuse(format!("answers have at most {MESSAGE_BYTES} bytes in all"));
    }
    for (question, answer) in questions.iter().zip(answers) {
        let asked = question.text.chars().take(80).collect::<String>();
        if answer.is_empty() || answer.iter().any(|said| said.trim().is_empty()) {
            return refuse(format!("`{asked}` is not answered: choose an option, or say it in words"));
        }
        if answer.len() > 1 && !question.multiple {
            return refuse(format!("`{asked}` takes one answer, not {}", answer.len()));
        }
    }
    Ok(())
}

/// What is remembered of an answer, so that a snapshot stays small.
fn shortened(said: &[String]) -> Vec<String> {
    let cut = |text: &String| text[..text.floor_char_boundary(ANSWER_REMEMBERED_BYTES)].to_owned();
    said.iter().map(cut).collect()
}

fn told(questions: &[Question], answers: &[Vec<String>]) -> String {
    let one = |(question, answer): (&Question, &Vec<String>)| format!("{}\n{}", question.text, answer.join("; "));
    questions.iter().zip(answers).map(one).collect::<Vec<_>>().join("\n\n")
}
