//! Events of what is remembered: noted, condensed, changed, forgotten.

use serde::{Deserialize, Serialize};

use super::{Aside, Origin};
use crate::content::Usage;
use crate::id::MemoryId;
use crate::memory::{Memory, Scope};
use crate::time::Timestamp;

/// Beside turns. All up to the end of `covers` has been looked at: it is not looked at again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemoryObserved {
    /// The events that were looked at.
    pub covers: Aside,
    /// What is to be remembered of them: possibly nothing.
    pub memories: Vec<Memory>,
    /// Who looked, as `provider/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The tokens that it took.
    #[serde(default)]
    pub usage: Usage,
    /// Whether it was given up: nobody could look at it.
    #[serde(default, rename = "unobserved", skip_serializing_if = "std::ops::Not::not")]
    pub is_unobserved: bool,
}

/// Memories take the place of exactly those that each names; these stay to be looked up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemoryReflected {
    /// The new ones.
    pub memories: Vec<Memory>,
    /// Who condensed them, as `provider/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The tokens that it took.
    #[serde(default)]
    pub usage: Usage,
}

/// Somebody, or the agent, has something remembered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemoryAdded {
    /// What.
    pub memory: Memory,
    /// By whom.
    pub by: Origin,
}

/// Somebody wrote it anew.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemoryEdited {
    /// Which.
    pub memory: MemoryId,
    /// What it says from here on.
    pub text: String,
    /// Who may know it from here on; those who did where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// By whom.
    pub by: Origin,
}

/// From here on it is there for nobody. Its text is erased wherever it stands, then `memory.erased` follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemoryForgotten {
    /// Which, with all that was made of them.
    pub memories: Vec<MemoryId>,
    /// Whether the messages that they come from are erased, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sources: bool,
    /// By whom.
    pub by: Origin,
}

/// Nothing of it is left in this journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemoryErased {
    /// Which.
    pub memories: Vec<MemoryId>,
    /// Lines of the journal that were written anew without it.
    pub lines: u64,
}

/// What could not be done beside a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemoryWork {
    /// Looking at what was said.
    Observe,
    /// Condensing.
    Reflect,
}

/// Nothing has changed; it is tried again then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemoryFailed {
    /// What.
    pub work: MemoryWork,
    /// What happened, for a person.
    pub message: String,
    /// When it is tried again.
    pub retry_at: Timestamp,
    /// The tokens that it took nevertheless.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub usage: Usage,
}

fn is_nothing(usage: &Usage) -> bool {
    *usage == Usage::default()
}
