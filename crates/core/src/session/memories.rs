//! How far what was said has been looked at for what is to be remembered, and what of it stands in requests. What is remembered
//! is a fold of its own.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::event::{BlockHash, ContextRebuilt, Entry, Event, RebuildCause};
use crate::id::{MemoryId, Seq};
use crate::memory::{Memory, Mode};
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
    /// The last event that says something. Followed while the session takes part.
    #[serde(default)]
    pub said_at: Seq,
    /// Bytes of what was noted since it was condensed last, with what that left.
    #[serde(default)]
    pub noted: u64,
    /// Times in a row that it could not be looked at.
    #[serde(default)]
    pub failures: u32,
    /// When it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
    /// What is forgotten, and not yet erased.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub forgetting: BTreeSet<MemoryId>,
    /// Whether the messages are erased, too, that something of it comes from.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub with_sources: bool,
    /// What of it stands in requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Shown>,
}

/// What requests begin with of what is remembered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// The blocks in order.
    pub blocks: Vec<BlockHash>,
    /// Of all sessions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub global: Vec<MemoryId>,
    /// Of this session.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub session: Vec<MemoryId>,
    /// When a model was last asked with it.
    pub asked_at: Timestamp,
    /// Why it is to be made anew before the next step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale: Option<RebuildCause>,
}

impl Memories {
    /// Says whether nothing was ever done about it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Says whether the session sees what is remembered.
    #[must_use]
    pub fn reads(&self) -> bool {
        matches!(self.mode, Some(Mode::On | Mode::Incognito))
    }

    /// From here on it takes part that far. What was said while it did not stays unlooked at.
    pub(super) fn take_part(&mut self, mode: Option<Mode>, seq: Seq) {
        let Some(mode) = mode else { return };
        if mode == Mode::On && self.mode.is_some_and(|before| before != Mode::On) {
            (self.observed_to, self.said_at) = (seq, seq);
        }
        if self.mode.is_some_and(|before| before != mode) {
            self.stale(RebuildCause::Reload);
        }
        self.mode = Some(mode);
    }

    /// Follows what is said, and what makes what is shown of it old.
    #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else says something, or makes it old")]
    pub(super) fn hear(&mut self, entry: &Entry) {
        match &entry.event {
            Event::MessageReceived(_) | Event::StepFinished(_) | Event::CallFinished(_)
                if self.mode == Some(Mode::On) =>
            {
                self.said_at = entry.seq;
            }
            Event::StepStarted(_) => {
                if let Some(shown) = &mut self.shown {
                    shown.asked_at = entry.at;
                }
            }
            Event::CheckpointActivated(_) => self.stale(RebuildCause::Checkpoint),
            Event::ContextRebuilt(rebuilt) => self.show(rebuilt, entry.at),
            _other => {}
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "only events of what is remembered come here")]
    pub(super) fn apply(&mut self, entry: &Entry) {
        match &entry.event {
            Event::MemoryObserved(observed) => {
                self.observed_to = self.observed_to.max(observed.covers.last);
                (self.failures, self.retry_at) = (0, None);
                self.note(&observed.memories);
            }
            Event::MemoryAdded(added) => self.note(std::slice::from_ref(&added.memory)),
            Event::MemoryReflected(reflected) => {
                (self.failures, self.retry_at) = (0, None);
                self.noted = 0;
                self.note(&reflected.memories);
                if !reflected.memories.is_empty() {
                    self.stale(RebuildCause::Reflection);
                }
            }
            Event::MemoryFailed(failed) => {
                self.failures = self.failures.saturating_add(1);
                self.retry_at = Some(failed.retry_at);
            }
            Event::MemoryEdited(_) => self.stale(RebuildCause::Reload),
            Event::MemoryForgotten(forgotten) => {
                self.forgetting.extend(&forgotten.memories);
                self.with_sources |= forgotten.sources;
                self.stale(RebuildCause::Forget);
            }
            Event::MemoryErased(erased) => {
                self.forgetting.retain(|memory| !erased.memories.contains(memory));
                self.with_sources &= !self.forgetting.is_empty();
            }
            _of_rows => {}
        }
    }

    fn note(&mut self, memories: &[Memory]) {
        let bytes: usize = memories.iter().map(|memory| memory.text.len()).sum();
        self.noted = self.noted.saturating_add(bytes as u64);
    }

    fn stale(&mut self, cause: RebuildCause) {
        if let Some(shown) = &mut self.shown {
            shown.stale = Some(cause);
        }
    }

    fn show(&mut self, rebuilt: &ContextRebuilt, at: Timestamp) {
        self.shown = Some(Shown {
            blocks: rebuilt.blocks.clone(),
            global: rebuilt.global.clone(),
            session: rebuilt.session.clone(),
            asked_at: at,
            stale: None,
        });
    }
}
