//! Events of what the model sees: what was made shorter, and why the stable part of its requests was made anew.

use serde::{Deserialize, Serialize};

use super::BlockHash;
use crate::id::{CallId, MemoryId};

/// Between steps. From here on the results of these calls are shown as one line each; the journal keeps them whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextPruned {
    /// The calls, oldest first.
    pub calls: Vec<CallId>,
    /// About the tokens that this frees.
    pub tokens_freed: u64,
    /// The request's tokens before it.
    pub tokens_before: u64,
}

/// Why the stable part of requests is another than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RebuildCause {
    /// The session came into memory, and no provider has its last request in a cache any more.
    Load,
    /// What is remembered was condensed.
    Reflection,
    /// Another checkpoint is in use.
    Checkpoint,
    /// Somebody asked for it, or changed the agent's files.
    Reload,
    /// Something was forgotten.
    Forget,
}

/// Before a step. From here on requests begin with these blocks, byte for byte, until the next of these events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextRebuilt {
    /// Why.
    pub cause: RebuildCause,
    /// The blocks in order.
    pub blocks: Vec<BlockHash>,
    /// What is remembered of all sessions, as the request shows it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub global: Vec<MemoryId>,
    /// What is remembered of this session, as the request shows it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub session: Vec<MemoryId>,
}
