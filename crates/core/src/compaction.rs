//! What a checkpoint says, and how it changes: code merges what a model says has changed, so that a bad reply cannot erase what
//! must stay.
//!
//! [`plan`] says what is covered and where the tail begins, [`prune`] which results are shown as a line each, [`Summary::merged`]
//! what a model's change makes of a summary, [`Alone`] what events alone make of it, [`read`] what a model's reply says, and
//! [`Change::believed`] whose words bind.

mod alone;
mod binding;
mod gates;
mod merge;
mod overflow;
mod plan;
mod prune;
mod render;
mod reply;
mod written;

pub use alone::Alone;
pub use binding::binds;
pub use gates::{Unfit, kept};
pub use overflow::says_too_long;
pub use plan::{Mark, Plan, Start, plan};
pub use prune::{Form, Kept, is_exempt, line_tokens, prune, stub};
pub use render::{conversation, schema};
pub use reply::{Unusable, read};
pub use written::written;

use serde::{Deserialize, Serialize};

use crate::id::Seq;

/// What stands for a part of the conversation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Summary {
    /// What all of it is for.
    #[serde(default)]
    pub goal: String,
    /// The newest thing that a person asked, in their words.
    #[serde(default)]
    pub last_request: String,
    /// What comes next.
    #[serde(default)]
    pub next_step: String,
    /// What is known, oldest first.
    #[serde(default)]
    pub items: Vec<Item>,
    /// The number of the newest item's id: none is given twice.
    #[serde(default)]
    pub last_id: u32,
    /// Where those constraints and decisions come from for which there was no room among what binds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moved: Vec<Seq>,
}

/// One thing that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its name within the session, for good: `d3`.
    pub id: String,
    /// Where it belongs.
    pub section: Section,
    /// What it says.
    pub text: String,
    /// The events that it comes from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Seq>,
    /// Whether no compaction may drop it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pinned: bool,
}

/// What the session itself knows: an item that is made anew with each summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Its kind, with which its id begins: `todo`, `call`, `check`, `relay`.
    pub own: &'static str,
    /// Where it belongs.
    pub section: Section,
    /// What it says.
    pub text: String,
}

/// Where an item belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    /// Done.
    Completed,
    /// Being done.
    InProgress,
    /// Not begun.
    Pending,
    /// What was decided.
    Decisions,
    /// What is in the way.
    Blockers,
    /// What must be kept to.
    Constraints,
    /// What is so.
    Facts,
    /// Files that matter.
    Files,
}

impl Section {
    /// All of them, as a summary shows them.
    pub const ALL: [Self; 8] = [
        Self::Constraints,
        Self::Decisions,
        Self::InProgress,
        Self::Pending,
        Self::Blockers,
        Self::Files,
        Self::Facts,
        Self::Completed,
    ];

    /// Returns the word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::InProgress => "in_progress",
            Self::Pending => "pending",
            Self::Decisions => "decisions",
            Self::Blockers => "blockers",
            Self::Constraints => "constraints",
            Self::Facts => "facts",
            Self::Files => "files",
        }
    }

    /// Returns the letter that its items' ids begin with.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::Completed => 'c',
            Self::InProgress => 'w',
            Self::Pending => 'p',
            Self::Decisions => 'd',
            Self::Blockers => 'b',
            Self::Constraints => 'k',
            Self::Facts => 'f',
            Self::Files => 'l',
        }
    }

    /// Says whether no reply of a model may take away what belongs here.
    #[must_use]
    pub fn is_binding(self) -> bool {
        matches!(self, Self::Decisions | Self::Constraints)
    }
}

/// What a piece of the conversation changes in a summary.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Change {
    /// What is new.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<Added>,
    /// What is otherwise now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub update: Vec<Updated>,
    /// Items that are done with: they become completed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolve: Vec<String>,
    /// Items that matter no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<String>,
    /// The goal, where it is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<String>,
    /// What comes next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_step: Option<String>,
    /// Where constraints come from for which there is no room.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moved: Vec<Seq>,
}

/// An item that is new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Added {
    /// Where it belongs.
    pub section: Section,
    /// What it says.
    pub text: String,
    /// The events that it comes from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Seq>,
}

/// An item that is otherwise now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Updated {
    /// Which.
    pub id: String,
    /// What it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Where it belongs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section: Option<Section>,
}
