//! The event that sets a part of the journal aside.

use serde::{Deserialize, Serialize};

use super::{Origin, Todo};
use crate::id::{CheckpointId, Seq};
use crate::session::OpenQuestion;

/// A part of the journal that the conversation goes on without. Both ends belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aside {
    /// Its first event.
    pub first: Seq,
    /// Its last event.
    pub last: Seq,
}

impl Aside {
    /// Says whether an event is in one of these parts.
    #[must_use]
    pub fn holds(parts: &[Self], seq: Seq) -> bool {
        parts.iter().any(|part| (part.first..=part.last).contains(&seq))
    }
}

/// Only between turns. The conversation is what it was after `to_seq`; what came later stays in the journal, set aside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionRewound {
    /// The last event that counts.
    pub to_seq: Seq,
    /// By whom.
    pub by: Origin,
    /// What was set aside already at that time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aside: Vec<Aside>,
    /// The questions that waited at that time: they wait again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<OpenQuestion>,
    /// The agent's list at that time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub todos: Vec<Todo>,
    /// The checkpoint that the model saw at that time: it sees it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<CheckpointId>,
    /// The first event that the model saw as it was, with it.
    #[serde(default, skip_serializing_if = "is_start")]
    pub tail_from: Seq,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_start(seq: &Seq) -> bool {
    *seq == 0
}
