//! What a journal says is remembered: a fold of its own, apart from the session's state.

use std::collections::{BTreeMap, BTreeSet};

use super::{Memory, Scope};
use crate::event::{Entry, Event};
use crate::id::{MemoryId, Seq};
use crate::redact::is_forgotten;
use crate::time::Timestamp;

/// The memories of one journal, with what has become of each.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rows {
    rows: BTreeMap<MemoryId, Row>,
    forgotten: BTreeSet<MemoryId>,
    /// The last event that came from an archive.
    taken_to: Seq,
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
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "only events of what is remembered, and the first one, change it"
    )]
    pub fn apply(&mut self, entry: &Entry) {
        match &entry.event {
            Event::SessionCreated(created) => self.taken_to = created.taken_to.unwrap_or_default(),
            Event::MemoryObserved(observed) => self.keep(&observed.memories, entry),
            Event::MemoryReflected(reflected) => self.keep(&reflected.memories, entry),
            Event::MemoryAdded(added) => self.keep(std::slice::from_ref(&added.memory), entry),
            Event::MemoryEdited(edited) if is_forgotten(&edited.text) => {
                self.rows.remove(&edited.memory);
            }
            Event::MemoryEdited(edited) => {
                let scope = edited.scope.filter(|_| entry.seq > self.taken_to);
                if let Some(row) = self.rows.get_mut(&edited.memory) {
                    row.memory.text.clone_from(&edited.text);
                    row.memory.scope = scope.unwrap_or(row.memory.scope);
                }
            }
            Event::MemoryForgotten(forgotten) => {
                self.rows.retain(|id, _| !forgotten.memories.contains(id));
                self.forgotten.extend(&forgotten.memories);
            }
            _of_nothing_remembered => {}
        }
    }

    /// Says whether an event changes what is remembered.
    #[must_use]
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "only events of what is remembered, and the first one, change it"
    )]
    pub fn hears(event: &Event) -> bool {
        match event {
            Event::SessionCreated(_)
            | Event::MemoryObserved(_)
            | Event::MemoryReflected(_)
            | Event::MemoryAdded(_)
            | Event::MemoryEdited(_)
            | Event::MemoryForgotten(_) => true,
            _of_nothing_remembered => false,
        }
    }

    /// Returns how many there are, with those whose place others took.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Says whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn keep(&mut self, memories: &[Memory], entry: &Entry) {
        // In a fork's journal its words may be erased without a word about it.
        let is_there = |memory: &&Memory| !self.forgotten.contains(&memory.id) && !is_forgotten(&memory.text);
        for memory in memories.iter().filter(is_there) {
            let mut row = Row { memory: memory.clone(), seq: entry.seq, at: entry.at };
            if entry.seq <= self.taken_to {
                row.memory.scope = Scope::Session;
            }
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
