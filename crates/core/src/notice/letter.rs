//! What somebody is told: for a person to read, and for a program.

use serde::Serialize;
use serde_json::{Value, json};

use super::Topic;
use crate::event::{Entry, Event, LoopExit, Question};
use crate::id::{NoticeId, SessionId};
use crate::redact::Redactor;
use crate::session::State;
use crate::time::Timestamp;

/// Characters of what is said.
const TEXT_CHARS: usize = 4_000;
/// Bytes of what a program may want to know; what is longer, the journal has.
const DETAILS_BYTES: usize = 16 << 10;

/// What somebody is told. As JSON it is what a webhook's body and a command's input hold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Letter {
    /// The same at each try: whoever has it, has it.
    pub id: NoticeId,
    /// `ask`, `approval`, `failure`, `ending`, or `test`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// When it happened.
    pub timestamp: Timestamp,
    /// What happened.
    pub data: Told,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Told {
    /// The session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
    /// Its agent.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub agent: String,
    /// Its name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// One line of it.
    pub summary: String,
    /// All of it, for a person.
    pub text: String,
    /// What of it a program may want to know.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub details: Value,
}

/// Who tells: what is read of a session when somebody is told.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Teller {
    session: Option<SessionId>,
    agent: String,
    title: Option<String>,
    relay: String,
}

impl Teller {
    /// Reads it.
    #[must_use]
    pub fn of(state: &State) -> Self {
        let profile = state.profile.as_ref();
        Self {
            session: profile.map(|profile| profile.session),
            agent: profile.map(|profile| profile.agent.to_string()).unwrap_or_default(),
            title: profile.and_then(|profile| profile.title.clone().or_else(|| profile.opening.clone())),
            relay: state.queue.relay.as_ref().map(|relay| relay.definition.name.clone()).unwrap_or_default(),
        }
    }
}

impl Told {
    /// Takes known secrets out of all of it.
    pub fn redact(&mut self, secrets: &Redactor) {
        for text in [&mut self.summary, &mut self.text].into_iter().chain(&mut self.title) {
            secrets.clean(text);
        }
        secrets.value(&mut self.details);
    }
}

/// One line, all of it, and what a program may want to know.
type Words = (String, String, Value);

impl Letter {
    /// Tells of an event: `said` is what the agent said last in its turn.
    #[must_use]
    pub fn of((id, topic): (NoticeId, Topic), entry: &Entry, said: &str, by: &Teller) -> Self {
        let (summary, text, details) = words(entry, said, by);
        let details = if details.to_string().len() > DETAILS_BYTES { Value::Null } else { details };
        let (agent, title) = (by.agent.clone(), by.title.clone());
        let data = Told { session_id: by.session, agent, title, summary, text: cut(text.trim()), details };
        Self { id, kind: topic.as_str(), timestamp: entry.at, data }
    }

    /// Tells of nothing: whether it arrives is what is asked.
    #[must_use]
    pub fn test(id: NoticeId, now: Timestamp) -> Self {
        let summary = "This is a test".to_owned();
        let text = "Somebody tries whether notices of Outlive arrive here. This one did.".to_owned();
        Self { id, kind: "test", timestamp: now, data: Told { summary, text, ..Told::default() } }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a few events are told")]
fn words(entry: &Entry, said: &str, by: &Teller) -> Words {
    let agent = &by.agent;
    match &entry.event {
        Event::QuestionAsked(asked) => {
            let (summary, text) = (format!("{agent} asks"), asked.questions.iter().map(question).collect::<String>());
            let text = format!("{text}\nAnswer it with `outlive answer --question {} WORDS`.", asked.question);
            (summary, text, json!({"question_id": asked.question, "call_id": asked.call, "questions": asked.questions}))
        }
        Event::ApprovalRequested(asked) => {
            let summary = format!("{agent} wants to run {}", asked.tool);
            let why = asked.because.iter().map(|because| format!("- {because}\n")).collect::<String>();
            let call = asked.call;
            let text = format!(
                "{}\n\n{why}\nAllow it with `outlive approve {call}`, or not with `outlive deny {call}`.",
                asked.summary
            );
            (summary, text, json!({"call_id": call, "tool": asked.tool, "summary": asked.summary, "rule": asked.rule}))
        }
        Event::TurnEnded(ended) => {
            let details = json!({"turn_id": entry.turn, "ending": ended.ending, "error": ended.error});
            match &ended.error {
                Some(error) => (format!("A turn of {agent} failed"), error.message.clone(), details),
                None => (format!("{agent} is done"), said.to_owned(), details),
            }
        }
        Event::LoopEnded(ended) => {
            let how = match ended.exit {
                LoopExit::Passed => "its checks passed",
                LoopExit::Iterations => "it went round as often as it may",
                LoopExit::Context => "its turn did not fit the model",
                LoopExit::Aborted => "it was stopped",
                LoopExit::Error => "it could not go on",
            };
            let summary = format!("The loop of {agent} ended: {how} (iteration {})", ended.number);
            let text = ended.reason.clone().unwrap_or_else(|| said.to_owned());
            (summary, text, json!({"exit": ended.exit, "iterations": ended.number, "reason": ended.reason}))
        }
        Event::RelayFinished(finished) => {
            let name = &by.relay;
            let summary = format!("The relay {name} of {agent} ended: {}", finished.outcome.as_str());
            let place = finished.state.as_ref().map(|state| format!("It ended in the state `{state}`. "));
            let text = place.unwrap_or_default() + finished.reason.as_deref().unwrap_or_default();
            let (outcome, state, reason) = (finished.outcome, &finished.state, &finished.reason);
            (summary, text, json!({"relay": name, "outcome": outcome, "state": state, "reason": reason}))
        }
        other => (format!("{}: {}", agent, other.name()), String::new(), Value::Null),
    }
}

fn question(question: &Question) -> String {
    let choice = |choice: &crate::event::Choice| {
        let meaning = choice.description.as_ref().map(|meaning| format!(": {meaning}")).unwrap_or_default();
        format!("- {}{meaning}\n", choice.label)
    };
    format!("{}\n{}", question.text, question.options.iter().map(choice).collect::<String>())
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT_CHARS) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}
