//! What a checkpoint says, and how it changes: code merges what a model says has changed, so that a bad reply cannot erase what
//! must stay.

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
