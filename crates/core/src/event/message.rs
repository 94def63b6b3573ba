//! Events of what people say.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::session::Origin;
use crate::id::{InputId, TurnId};
use crate::media::Attachment;

/// What a message does to a running turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Behavior {
    /// Runs after it.
    #[default]
    FollowUp,
    /// Reaches it before its next step.
    Steer,
}

/// Followed by `turn.started` in the same append, except for a steer of the running turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MessageReceived {
    /// What was said; empty where only files were sent.
    pub content: String,
    /// Files that came with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// The JSON Schema that the turn's final answer must fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Arc<Value>>,
    /// How it was meant to reach a running turn.
    #[serde(default)]
    pub behavior: Behavior,
    /// Where it came from.
    pub origin: Origin,
    /// The follow-up that it was, if it waited in the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<InputId>,
}

/// While a turn runs or earlier follow-ups wait. Survives interrupt and crash until used, edited or removed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputQueued {
    /// Its id.
    pub input: InputId,
    /// What was said.
    pub content: String,
    /// Files that came with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// The JSON Schema that its turn's final answer must fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Arc<Value>>,
    /// Where it came from.
    pub origin: Origin,
    /// The turn that it will start.
    pub starts: TurnId,
}

/// While the follow-up waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputEdited {
    /// Which.
    pub input: InputId,
    /// The new text.
    pub content: String,
    /// By whom.
    pub by: Origin,
}

/// While the follow-up waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputRemoved {
    /// Which.
    pub input: InputId,
    /// By whom.
    pub by: Origin,
}
