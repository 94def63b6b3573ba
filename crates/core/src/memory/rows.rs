//! What a journal says is remembered: a fold of its own, apart from the session's state.

use std::collections::{BTreeMap, BTreeSet};

use super::Memory;
use crate::event::{Entry, Event};
use crate::id::{MemoryId, Seq};
use crate::redact::is_forgotten;
use crate::time::Timestamp;

/// The memories of one journal, with what has become of each.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rows {
    rows: BTreeMap<MemoryId, Row>,
    forgotten: BTreeSet<MemoryId>,
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
            Event::MemoryEdited(edited) if is_forgotten(&edited.text) => {
                self.rows.remove(&edited.memory);
            }
            Event::MemoryEdited(edited) => {
                if let Some(row) = self.rows.get_mut(&edited.memory) {
                    row.memory.text.clone_from(&edited.text);
                }
            }
            Event::MemoryForgotten(forgotten) => {
                self.rows.retain(|id, _| !forgotten.memories.contains(id));
                self.forgotten.extend(&forgotten.memories);
            }
            _of_nothing_remembered => {}
        }
    }

    fn keep(&mut self, memories: &[Memory], entry: &Entry) {
        // In a fork's journal its words may be erased without a word about it.
        let is_there = |memory: &&Memory| !self.forgotten.contains(&memory.id) && !is_forgotten(&memory.text);
        for memory in memories.iter().filter(is_there) {
            let row = Row { memory: memory.clone(), seq: entry.seq, at: entry.at };
            self.rows.entry(memory.id).or_insert(row);
        }
    }

    /// Returns one, whatever took its place.
    #[must_use]
    pub fn get(&self, id: MemoryId) -> Option<&Row> {
        self.rows.get(&id)
    }

    /// Says whether it was forgotten.
    #[must_use]
    pub fn has_forgotten(&self, id: MemoryId) -> bool {
        self.forgotten.contains(&id)
    }

    /// Returns those whose place nothing took, oldest first. What a forgotten one had replaced is among them again; what fewer may know
    /// takes the place of nothing that more may know.
    #[must_use]
    pub fn live(&self) -> Vec<&Row> {
        let reaches =
            |row: &Row, old: &MemoryId| self.rows.get(old).is_some_and(|old| old.memory.scope <= row.memory.scope);
        let mut replaced: BTreeSet<MemoryId> = BTreeSet::new();
        for row in self.rows.values() {
            replaced.extend(row.memory.supersedes.iter().filter(|old| reaches(row, old)));
        }
        let mut live: Vec<&Row> = self.rows.values().filter(|row| !replaced.contains(&row.memory.id)).collect();
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
