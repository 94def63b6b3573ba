//! What waits for a person, on the wire.

use crate::question::QuestionView;
use outlive_core::command::Verdict;
use outlive_core::id::{CallId, Seq, SessionId};
use serde::{Deserialize, Serialize};

/// A call that waits for a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApprovalView {
    /// The session.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub session_id: SessionId,
    /// The call.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub call: CallId,
    /// The event that asks: a call that may have run before is asked about anew.
    pub seq: Seq,
    /// The tool.
    pub tool: String,
    /// Exactly what will run.
    pub summary: String,
    /// What `allow_always` would allow from then on in this session, and `allow_agent` in any of this agent's.
    pub rule: String,
    /// The parts of it that must be asked about, each with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<String>,
    /// What the tool is given.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub arguments: serde_json::Value,
}

/// `POST /sessions/{id}/approvals/{call}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Decide {
    /// `allow`, `allow_always` (in this session), `allow_agent` (in any of this agent's) or `deny`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub decision: Verdict,
    /// The event that asked, as it was seen: where another one asks by now, nothing is decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<Seq>,
    /// For the journal, and for the model when it is denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The same id acts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// One thing that waits for a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum InboxItem {
    /// A call to decide on.
    Approval(ApprovalView),
    /// A question to answer.
    Question(QuestionView),
}
