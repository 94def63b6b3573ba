//! How far what was said has been looked at for what is to be remembered. What is remembered is a fold of its own.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::event::{Entry, Event};
use crate::id::{MemoryId, Seq};
use crate::memory::Mode;
use crate::time::Timestamp;

/// How a session stands with what is remembered.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Memories {
    /// How far it takes part; nobody has said where there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The last event that was looked at.
    #[serde(default)]
    pub observed_to: Seq,
    /// The last event that says something.
    #[serde(default)]
    pub said_at: Seq,
    /// Times in a row that it could not be looked at.
    #[serde(default)]
    pub failures: u32,
    /// When it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
    /// What is forgotten, and not yet erased.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub forgetting: BTreeSet<MemoryId>,
}

impl Memories {
    /// Says whether nothing was ever done about it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "only events of what is remembered come here")]
    pub(super) fn apply(&mut self, entry: &Entry) {
        match &entry.event {
            Event::MemoryObserved(observed) => {
                self.observed_to = self.observed_to.max(observed.covers.last);
                (self.failures, self.retry_at) = (0, None);
            }
            Event::MemoryFailed(failed) => {
                self.failures = self.failures.saturating_add(1);
                self.retry_at = Some(failed.retry_at);
            }
            Event::MemoryForgotten(forgotten) => self.forgetting.extend(&forgotten.memories),
            Event::MemoryErased(erased) => {
                self.forgetting.retain(|memory| !erased.memories.contains(memory));
            }
            _of_rows => {}
        }
    }
}
