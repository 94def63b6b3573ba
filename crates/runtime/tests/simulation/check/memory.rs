//! What holds of what is remembered.

use std::collections::{BTreeMap, BTreeSet};

use outlive_core::event::{Entry, Event};
use outlive_core::id::{MemoryId, Seq, SessionId};
use outlive_core::memory::{Memory, Mode, Rows};
use outlive_core::session::State;
use outlive_store::{RememberedQuery, SearchQuery, Store};

use crate::hands::read_all;

/// What was answered about memories.
#[derive(Default)]
pub struct Promised {
    /// Noted, and where.
    pub kept: BTreeMap<MemoryId, SessionId>,
    /// Words that are erased everywhere.
    pub gone: BTreeSet<String>,
}

/// What an event says is remembered.
pub fn noted(event: &Event) -> &[Memory] {
    match event {
        Event::MemoryObserved(observed) => &observed.memories,
        Event::MemoryReflected(reflected) => &reflected.memories,
        Event::MemoryAdded(added) => std::slice::from_ref(&added.memory),
        _ => &[],
    }
}

/// All that is noted follows from what was said while the session took part, once, and takes the place of what was known.
pub fn notes_follow(journals: &BTreeMap<SessionId, Vec<Entry>>) {
    let known: BTreeSet<MemoryId> =
        journals.values().flatten().flat_map(|entry| noted(&entry.event)).map(|memory| memory.id).collect();
    for (session, entries) in journals {
        let (mut state, mut ids, mut looked_to) = (State::default(), BTreeSet::new(), 0);
        // From where on the session took part, and did not.
        let mut silent: Vec<(Seq, bool)> = Vec::new();
        for entry in entries {
            let memories = &state.upkeep.memories;
            let takes_part = memories.mode.is_none_or(|mode| mode == Mode::On);
            if silent.last().map(|(_, part)| *part) != Some(takes_part) {
                silent.push((entry.seq, takes_part));
            }
            let heard = |seq: &Seq| silent.iter().rev().find(|(from, _)| from <= seq).is_none_or(|(_, part)| *part);
            if let Event::MemoryObserved(observed) = &entry.event {
                let next = memories.observed_to.max(looked_to) + 1;
                looked_to = observed.covers.last;
                assert_eq!(
                    observed.covers.first, next,
                    "{session} is looked at twice, or not at all, at {}",
                    entry.seq
                );
                assert!(observed.covers.first <= observed.covers.last && observed.covers.last < entry.seq);
                for seq in observed.memories.iter().flat_map(|memory| &memory.sources) {
                    let is_there = (observed.covers.first..=observed.covers.last).contains(seq);
                    assert!(is_there && heard(seq), "{session}: {seq} was not to be looked at, at {}", entry.seq);
                }
            }
            let fresh = noted(&entry.event);
            assert!(
                takes_part || fresh.is_empty(),
                "{session} notes something while it takes no part, at {}",
                entry.seq
            );
            for memory in fresh {
                assert!(ids.insert(memory.id), "{} is noted twice in {session}", memory.id);
                let unknown = memory.supersedes.iter().find(|id| !known.contains(id) || **id == memory.id);
                assert_eq!(unknown, None, "{session}: {} takes the place of what nobody knew", memory.id);
            }
            state.apply(entry);
        }
    }
}

/// What was acknowledged is there once, unless somebody had it forgotten.
pub fn kept_is_there(journals: &BTreeMap<SessionId, Vec<Entry>>, promised: &Promised) {
    let forgotten: BTreeSet<MemoryId> = journals
        .values()
        .flatten()
        .filter_map(|entry| if let Event::MemoryForgotten(it) = &entry.event { Some(&it.memories) } else { None })
        .flatten()
        .copied()
        .collect();
    for (memory, session) in promised.kept.iter().filter(|(memory, _)| !forgotten.contains(memory)) {
        let entries = &journals[session];
        let times = entries.iter().flat_map(|entry| noted(&entry.event)).filter(|it| it.id == *memory).count();
        let mut rows = Rows::default();
        entries.iter().for_each(|entry| rows.apply(entry));
        assert!(
            times == 1 && rows.get(*memory).is_some(),
            "{memory} was noted in {session}, and is there {times} times"
        );
    }
}

/// Nothing that is kept holds one of these words.
pub async fn nowhere(store: &Store, words: &BTreeSet<String>) {
    if words.is_empty() {
        return;
    }
    let holds = |text: &str| words.iter().find(|word| text.contains(word.as_str())).cloned();
    for session in store.directory.sessions().await.unwrap() {
        let lines = store.journals.read(session, 0, usize::MAX).await.map(|opened| opened.lines).unwrap_or_default();
        for line in lines {
            assert_eq!(holds(line.as_str()), None, "is forgotten, and in {session}: {}", line.as_str());
        }
        let snapshot = store.snapshots.get(session).await.ok().flatten().unwrap_or_default();
        assert_eq!(holds(&snapshot), None, "is forgotten, and in the snapshot of {session}");
    }
    let all = RememberedQuery { limit: 10_000, ..RememberedQuery::default() };
    for row in store.memories.list(all).await.unwrap().rows {
        assert_eq!(holds(&row.memory.text), None, "is forgotten, and listed");
    }
    for word in words {
        let query = SearchQuery { text: word.clone(), agent: None, session: None, role: None, skip: 0, limit: 1 };
        assert_eq!(store.search.find(query).await.unwrap().hits.len(), 0, "{word} is forgotten, and found");
    }
}

/// With nothing broken any more all that was said is looked at, and all that is forgotten is erased.
pub async fn nothing_is_left_to_do(store: &Store) {
    for session in store.directory.sessions().await.unwrap() {
        let (entries, mut state) = (read_all(store, session).await, State::default());
        entries.iter().for_each(|entry| state.apply(entry));
        let memories = &state.upkeep.memories;
        assert!(memories.forgetting.is_empty(), "not erased in {session}");
        let looked = memories.mode != Some(Mode::On) || memories.observed_to >= memories.said_at;
        assert!(looked || state.turn.is_some(), "not looked at in {session}: {memories:?}");
        let forgotten = entries.iter().filter_map(|entry| match &entry.event {
            Event::MemoryForgotten(forgotten) => Some(&forgotten.memories),
            _ => None,
        });
        let forgotten: BTreeSet<MemoryId> = forgotten.flatten().copied().collect();
        for memory in entries.iter().flat_map(|entry| noted(&entry.event)) {
            assert!(!forgotten.contains(&memory.id) || memory.text == "[forgotten]", "{memory:?} in {session}");
        }
    }
}
