//! How far what was said has been looked at for what is to be remembered, and what of it stands in requests. What is remembered
//! is a fold of its own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::{Aside, BlockHash, ContextRebuilt, Entry, Event, RebuildCause};
use crate::id::{MemoryId, Seq};
use crate::memory::forget::Extent;
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
    /// Parts that were said while it did not take part, behind what is still to be looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unheard: Vec<Aside>,
    /// What is forgotten and not yet erased, each with how much goes with it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub forgetting: BTreeMap<MemoryId, Extent>,
    /// The last event by which something remembered was forgotten, said otherwise or replaced.
    #[serde(default)]
    pub changed_at: Seq,
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

    /// From here on it takes part that far. What was said while it did not stays unlooked at; what was said before is looked at once it
    /// takes part again.
    pub(super) fn take_part(&mut self, mode: Option<Mode>, seq: Seq) {
        let Some(mode) = mode else { return };
        if mode == Mode::On && self.mode.is_some_and(|before| before != Mode::On) {
            self.leave_out(seq);
        }
        if self.mode.is_some_and(|before| before != mode) {
            self.stale(RebuildCause::Reload);
        }
        self.mode = Some(mode);
    }

    /// It begins to take part in the middle of a conversation: what was said before stays unlooked at.
    pub(super) fn begin(&mut self, mode: Option<Mode>, seq: Seq) {
        if self.mode.is_none() && mode == Some(Mode::On) {
            (self.observed_to, self.said_at) = (seq, seq);
        }
    }

    fn leave_out(&mut self, to: Seq) {
        if self.said_at <= self.observed_to {
            (self.observed_to, self.said_at) = (to, to);
            return;
        }
        match self.unheard.last_mut().filter(|last| last.last >= self.said_at) {
            Some(last) => last.last = to,
            None => self.unheard.push(Aside { first: self.said_at.saturating_add(1), last: to }),
        }
    }

    /// Returns up to where it is looked at in one go, where something is to be looked at.
    pub(super) fn to_observe(&self) -> Option<Seq> {
        let to = self.unheard.first().map_or(self.said_at, |part| part.first.saturating_sub(1));
        (to > self.observed_to).then_some(to)
    }

    fn observe(&mut self, to: Seq) {
        self.observed_to = self.observed_to.max(to);
        while let Some(part) = self.unheard.first().filter(|part| part.first <= self.observed_to.saturating_add(1)) {
            self.observed_to = self.observed_to.max(part.last);
            self.unheard.remove(0);
        }
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
                self.observe(observed.covers.last);
                (self.failures, self.retry_at) = (0, None);
                self.note(&observed.memories, entry.seq);
            }
            Event::MemoryAdded(added) => self.note(std::slice::from_ref(&added.memory), entry.seq),
            Event::MemoryReflected(reflected) => {
                (self.failures, self.retry_at) = (0, None);
                self.noted = 0;
                self.note(&reflected.memories, entry.seq);
                if !reflected.memories.is_empty() {
                    self.stale(RebuildCause::Reflection);
                }
            }
            Event::MemoryFailed(failed) => {
                self.failures = self.failures.saturating_add(1);
                self.retry_at = Some(failed.retry_at);
            }
            Event::MemoryEdited(_) => {
                self.changed_at = entry.seq;
                self.stale(RebuildCause::Reload);
            }
            Event::MemoryForgotten(forgotten) => {
                let extent = if forgotten.sources { Extent::Sources } else { Extent::Words };
                for memory in &forgotten.memories {
                    let before = self.forgetting.entry(*memory).or_insert(extent);
                    *before = extent.max(*before);
                }
                self.changed_at = entry.seq;
                self.stale(RebuildCause::Forget);
            }
            Event::MemoryErased(erased) => self.forgetting.retain(|memory, _| !erased.memories.contains(memory)),
            _of_rows => {}
        }
    }

    fn note(&mut self, memories: &[Memory], at: Seq) {
        if memories.iter().any(|memory| !memory.supersedes.is_empty()) {
            self.changed_at = at;
        }
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
