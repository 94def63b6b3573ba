//! Questions of an agent to a person, on the wire.

use outlive_core::event::Question;
use outlive_core::id::{CallId, QuestionId, SessionId};
use serde::{Deserialize, Serialize};

/// A question that waits for a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QuestionView {
    /// The session.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub session_id: SessionId,
    /// Its id.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub question: QuestionId,
    /// The call that asks.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub call: CallId,
    /// What is asked: `text`, `options` with `label` and `description`, `multiple`.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>))]
    pub questions: Vec<Question>,
}

/// `POST /sessions/{id}/questions/{question}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PostAnswer {
    /// One answer for each question, in order.
    pub answers: Vec<AnswerBody>,
    /// The same id acts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// The answer to one question: a label or words of one's own; several where several may be chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum AnswerBody {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl From<AnswerBody> for Vec<String> {
    fn from(body: AnswerBody) -> Self {
        match body {
            AnswerBody::One(said) => vec![said],
            AnswerBody::Several(said) => said,
        }
    }
}
