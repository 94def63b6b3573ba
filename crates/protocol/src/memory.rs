//! Bodies of what is remembered.

use outlive_core::event::Origin;
use outlive_core::memory::{Kind, Priority, Scope};
use outlive_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Something that is remembered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MemoryRow {
    /// Its id.
    pub id: String,
    /// What kind of fact it is, how much it matters, who may know it.
    #[serde(flatten)]
    pub nature: Nature,
    /// The fact, in a sentence.
    pub text: String,
    /// Since when it holds.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub since: Timestamp,
    /// Until when it holds, where that is known.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub until: Option<Timestamp>,
    /// Where it comes from.
    pub origin: MemoryOrigin,
    /// Those whose place it takes.
    pub supersedes: Vec<String>,
    /// Those that took its place.
    pub superseded_by: Vec<String>,
    /// By which it was found: the sum of the parts; absent in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// What the score is made of; absent in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub explain: Vec<ScorePart>,
}

/// What kind of fact it is, how much it matters, who may know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Nature {
    /// `fact`, `preference`, `decision`, `event`, `task` or `procedure`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub kind: Kind,
    /// `low`, `medium` or `high`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub priority: Priority,
    /// `session`, `project`, `agent` or `all`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub scope: Scope,
}

/// Where a memory comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MemoryOrigin {
    /// The session whose journal has it.
    pub session_id: String,
    /// That session's agent.
    pub agent: String,
    /// That session's project.
    pub project: Option<String>,
    /// The event there.
    pub seq: u64,
    /// When it was written.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub at: Timestamp,
    /// Who wrote it: `observer`, `reflection`, or the door through which somebody did.
    pub by: String,
    /// The model that was asked, or the sender.
    pub named: Option<String>,
    /// The events that it was made of.
    pub sources: Vec<u64>,
    /// When its text was changed last.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub edited_at: Option<Timestamp>,
}

/// What a part of a score adds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScorePart {
    /// `words`, `kin`, `parts`, `meaning`, `names`, `phrases`, `coverage`, `answer`, `recency`, `scope`, `priority`,
    /// `newer`, `again` or `validity`.
    pub part: String,
    /// How much.
    pub adds: f64,
}

/// `GET /memory`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MemoryPage {
    /// Best first where something was looked for, else newest first.
    pub items: Vec<MemoryRow>,
    /// Ask with this `cursor` for the next page; null on the last, and where something was looked for.
    #[serde(default)]
    pub next_cursor: Option<String>,
    /// Sessions whose newest memories could not be looked through yet; 0 but after an index was lost.
    pub behind: usize,
    /// What a person should know of how it was found.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// `GET /memory/{id}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MemoryStory {
    /// The memory.
    pub memory: MemoryRow,
    /// Each time that its text was changed, oldest first.
    pub edits: Vec<MemoryEdit>,
    /// Those whose place it took, as far as they are there.
    pub superseded: Vec<MemoryRow>,
    /// Those that took its place, as far as they are there.
    pub superseders: Vec<MemoryRow>,
    /// The newest calls that showed it to a model, newest first.
    pub uses: Vec<MemoryUse>,
    /// How many there were.
    pub used: u64,
}

/// A change of a memory's text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MemoryEdit {
    /// When.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub at: Timestamp,
    /// By whom.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub by: Origin,
}

/// A call that showed a memory to a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MemoryUse {
    /// The session.
    pub session_id: String,
    /// The event that says so.
    pub seq: u64,
    /// The call.
    pub call: String,
    /// When.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub at: Timestamp,
}
