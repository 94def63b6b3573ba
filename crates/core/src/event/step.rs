//! Events of a step: one model request and how it was answered.

use serde::{Deserialize, Serialize};

use crate::budget::Capped;
use crate::content::{Block, FailureKind, StopReason, Usage};
use crate::context::Room;
use crate::media::Attachment;
use crate::time::Timestamp;

/// One immutable part of a request, by hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockHash {
    /// `system`, `tools`, `messages`.
    pub part: String,
    /// First 16 hex digits of its SHA-256.
    pub hash: String,
}

/// When a step is owed. The same step starts again with the next attempt after a failure or a crash; a late answer to an
/// earlier attempt is refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepStarted {
    /// The model asked, as `provider/name`.
    pub model: String,
    /// From 1, within the step.
    pub attempt: u32,
    /// First 16 hex digits of the SHA-256 of the whole request.
    pub request: String,
    /// Its blocks in order.
    pub blocks: Vec<BlockHash>,
    /// Estimated input tokens.
    pub tokens_estimated: u64,
    /// Digest of the agent's files that made the request.
    pub agent_digest: String,
    /// Messages in the request, for a reader of the journal.
    pub messages: u32,
    /// Set where a budget leaves less room for the reply than the agent asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capped: Option<Capped>,
    /// What the model's window leaves for a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<Room>,
}

/// Ends the running attempt. Its tool uses become calls, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepFinished {
    /// Which attempt.
    pub attempt: u32,
    /// What the model said.
    pub content: Vec<Block>,
    /// Why it stopped.
    pub stop_reason: StopReason,
    /// Tokens.
    pub usage: Usage,
    /// From asking to the last byte.
    pub latency_ms: u64,
    /// The provider's id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_request_id: Option<String>,
    /// The model that answered, in the provider's words.
    pub model: String,
    /// Who served it, where the provider is a router and says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served_by: Option<String>,
}

/// Ends the running attempt. With `retry_at` the step is asked again then; without, that model is not asked again in this
/// turn, which fails unless the model only stood in for another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepFailed {
    /// Which attempt.
    pub attempt: u32,
    /// What can be done about it.
    pub kind: FailureKind,
    /// What happened.
    pub message: String,
    /// When it is asked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
    /// Files that the provider may have refused the request for: this model is asked without them from here on, for good
    /// if it answers then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<Attachment>,
}
