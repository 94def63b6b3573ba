//! Events of a structured question of the agent to a person.

use serde::{Deserialize, Serialize};

use super::session::Origin;
use crate::id::{CallId, QuestionId};

/// One thing that is asked. Words of one's own are always an answer, whatever the options are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// What is asked.
    pub text: String,
    /// What can be chosen; none asks for words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<Choice>,
    /// Whether more than one option may be chosen.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub multiple: bool,
}

/// One option.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The answer, if it is chosen.
    pub label: String,
    /// What choosing it means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// While a turn runs: once for a call that is a question, which ends the turn with `ask` once all its other calls are settled;
/// or, with `attempt`, any number of times, one after the other, for a call that runs and goes on once it is answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuestionAsked {
    /// Its id, under which it is answered.
    pub question: QuestionId,
    /// The call that asks; its result is the answer.
    pub call: CallId,
    /// What is asked: at least one.
    pub questions: Vec<Question>,
    /// Set where a running call asks: its attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
}

/// At most once after its `question.asked`. The call has its result; once no question of the turn is open, the next turn
/// begins. With `attempt` it is the answer to a running call, which has no result yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuestionAnswered {
    /// Which.
    pub question: QuestionId,
    /// The call that asked.
    pub call: CallId,
    /// For each question in order what was chosen or said; empty when the person sent a message in place of an answer.
    pub answers: Vec<Vec<String>>,
    /// By whom.
    pub by: Origin,
    /// What the model is told; nothing, where a running call is.
    pub content: String,
    /// Set where a running call asked: its attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
}
