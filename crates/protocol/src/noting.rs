//! Changes to what is remembered, on the wire.

use outlive_core::id::{MemoryId, Seq, SessionId};
use outlive_core::memory::{Kind, Memory, Priority, Scope};
use outlive_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// `POST /memory`: noted in a session, or where none is named in its agent's notebook.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AddMemory {
    /// The fact, in a sentence, up to 2,000 characters.
    pub text: String,
    /// In which agent's notebook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// In which session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// `session`, `project`, `agent` or `all`: who may know it. In a notebook `agent`, in a session `session` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub scope: Option<Scope>,
    /// `low`, `medium` or `high`.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub priority: Priority,
    /// `fact`, `preference`, `decision`, `event`, `task` or `procedure`.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub kind: Kind,
    /// Since when it holds; from now on when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub since: Option<Timestamp>,
    /// Those whose place it takes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub supersedes: Vec<MemoryId>,
    /// The same id acts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl AddMemory {
    /// Returns what is to be noted. Its id, and since when it holds, are given by whoever notes it.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let usual = if self.session.is_some() { Scope::Session } else { Scope::Agent };
        Memory {
            id: MemoryId::from_bits(0),
            kind: self.kind,
            scope: self.scope.unwrap_or(usual),
            priority: self.priority,
            text: self.text.trim().to_owned(),
            since: self.since.unwrap_or_default(),
            until: None,
            sources: Vec::new(),
            supersedes: self.supersedes.clone(),
        }
    }
}

/// `PATCH /memory/{id}`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EditMemory {
    /// What it is to say; what it says where nothing is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Who may know it from then on; those who did where nothing is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub scope: Option<Scope>,
    /// The same id acts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// `POST /memory/reflect`: of a session, or of all that an agent knows in every session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reflect {
    /// Which agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Which session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Only shows what would come of it.
    #[serde(default)]
    pub dry_run: bool,
    /// The same id acts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// Where something is noted, and what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Noted {
    /// The session whose journal has it.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub session: SessionId,
    /// The memory, as it stands there.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub memory: Memory,
}

/// The answer to `PATCH /memory/{id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Edited {
    /// The session whose journal has it.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub session: SessionId,
}

/// The answer to `POST /memory/reflect`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reflected {
    /// The new memories, each with those that it takes the place of.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>))]
    pub memories: Vec<Memory>,
}

/// The answer to `DELETE /memory/{id}`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ForgottenView {
    /// What is forgotten: it, and what was made of it.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub memories: Vec<MemoryId>,
    /// Lines of journals that were written anew without it; null while that goes on.
    pub lines: Option<u64>,
    /// Lines that hold its words still, or that it comes from.
    pub left: Vec<LeftView>,
}

/// A line of a journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LeftView {
    /// Of which session.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub session: SessionId,
    /// Which.
    pub seq: Seq,
    /// The journal cannot be read from there on: it may be left in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub damaged: bool,
}
