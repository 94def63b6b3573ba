//! What a journal says is remembered: a fold of its own, apart from the session's state.
//!
//! Invariant: what something took the place of never holds again, whatever becomes of that.

use std::collections::{BTreeMap, BTreeSet};

use super::Memory;
use crate::event::{Entry, Event};
use crate::id::{MemoryId, Seq};
use crate::redact::FORGOTTEN;
use crate::time::Timestamp;

/// The memories of one journal, with what has become of each.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rows {
    rows: BTreeMap<MemoryId, Row>,
    /// Those whose place another took, also where that is forgotten.
    replaced: BTreeSet<MemoryId>,
    /// What was forgotten, as it was forgotten together.
    forgotten: Vec<Vec<MemoryId>>,
}

/// One memory in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// It, as it says now.
    pub memory: Memory,
    /// The event that it came with.
    pub seq: Seq,
    /// When that was.
    pub at: Timestamp,
}

impl Rows {
    /// Folds one event.
    #[expect(clippy::wildcard_enum_match_arm, reason = "only events of what is remembered change it")]
    pub fn apply(&mut self, entry: &Entry) {
        match &entry.event {
            Event::MemoryObserved(observed) => self.keep(&observed.memories, entry),
            Event::MemoryReflected(reflected) => self.keep(&reflected.memories, entry),
            Event::MemoryAdded(added) => self.keep(std::slice::from_ref(&added.memory), entry),
            Event::MemoryEdited(edited) if edited.text == FORGOTTEN => {
                self.rows.remove(&edited.memory);
            }
            Event::MemoryEdited(edited) => {
                if let Some(row) = self.rows.get_mut(&edited.memory) {
                    row.memory.text.clone_from(&edited.text);
                }
            }
            Event::MemoryForgotten(forgotten) => {
                self.rows.retain(|id, _| !forgotten.memories.contains(id));
                self.forgotten.push(forgotten.memories.clone());
            }
            _of_nothing_remembered => {}
        }
    }

    fn keep(&mut self, memories: &[Memory], entry: &Entry) {
        self.replaced.extend(memories.iter().flat_map(|memory| &memory.supersedes));
        for memory in memories {
            // In a fork's journal its words may be erased without a word about it.
            if memory.text == FORGOTTEN || self.is_forgotten(memory.id) {
                continue;
            }
            let row = Row { memory: memory.clone(), seq: entry.seq, at: entry.at };
            self.rows.entry(memory.id).or_insert(row);
        }
    }

    /// Returns one, whatever took its place.
    #[must_use]
    pub fn get(&self, id: MemoryId) -> Option<&Row> {
        self.rows.get(&id)
    }

    fn is_forgotten(&self, id: MemoryId) -> bool {
        self.forgotten.iter().any(|together| together.contains(&id))
    }

    /// Returns what was forgotten together with one, that one too; nothing where it was not forgotten here.
    #[must_use]
    pub fn forgotten_with(&self, id: MemoryId) -> Vec<MemoryId> {
        let groups = self.forgotten.iter().filter(|together| together.contains(&id));
        groups.flatten().copied().collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Returns those whose place nothing took, oldest first.
    #[must_use]
    pub fn live(&self) -> Vec<&Row> {
        let mut live: Vec<&Row> = self.rows.values().filter(|row| !self.replaced.contains(&row.memory.id)).collect();
        live.sort_by_key(|row| (row.seq, row.memory.id));
        live
    }

    /// Returns these with all that was made of them: what took their place, and what took the place of that.
    #[must_use]
    pub fn derived(&self, of: &[MemoryId]) -> Vec<MemoryId> {
        let mut all: Vec<MemoryId> = of.to_vec();
        let mut at = 0;
        while let Some(id) = all.get(at).copied() {
            at += 1;
            let made = self.rows.values().filter(|row| row.memory.supersedes.contains(&id)).map(|row| row.memory.id);
            let new: Vec<MemoryId> = made.filter(|made| !all.contains(made)).collect();
            all.extend(new);
        }
        all
    }
}
