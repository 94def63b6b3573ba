//! What is remembered, as sessions see it: their own rows from their journals, those of others from the index.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use outlive_core::digest::Digest;
use outlive_core::id::{AgentName, MemoryId, Seq, SessionId};
use outlive_core::memory::{Memory, Rows};
use outlive_core::session::State;
use outlive_store::{RememberedQuery, Sight, Store, StoreError};

use crate::load;
use crate::shell::Shell;

/// Lines read at once.
const PAGE: usize = 1_024;
/// Memories of other sessions that are looked through for a pack, the newest.
const OTHERS: usize = 6_000;
/// Memories that are held of all sessions together.
const HELD: usize = 50_000;

/// Returns the session in which what is remembered of an agent stands that came up in no conversation.
#[must_use]
pub fn notebook(agent: &AgentName) -> SessionId {
    SessionId::from_bits(Digest::of(format!("notebook/{agent}").as_bytes()).bits())
}

/// What journals say is remembered, as far as they were read: whoever asks again reads only what came since. Cheap to clone.
///
/// Invariant: nothing of lines that were written anew is held.
#[derive(Clone, Default)]
pub(crate) struct Folds(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    sessions: BTreeMap<SessionId, (Seq, Arc<Rows>)>,
    /// How often all was let go.
    round: u64,
}

impl Folds {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets everything go: some journal does not say any more what it said.
    pub(crate) fn clear(&self) {
        let mut held = self.held();
        held.sessions.clear();
        held.round += 1;
    }

    /// Returns how far a journal was read, what it says, and in which round.
    fn of(&self, session: SessionId) -> (Seq, Arc<Rows>, u64) {
        let held = self.held();
        let (at, rows) = held.sessions.get(&session).cloned().unwrap_or_default();
        (at, rows, held.round)
    }

    fn keep(&self, session: SessionId, (at, rows): (Seq, &Arc<Rows>), round: u64) {
        let mut held = self.held();
        if held.round != round || held.sessions.get(&session).is_some_and(|(before, _)| *before >= at) {
            return;
        }
        held.sessions.insert(session, (at, Arc::clone(rows)));
        if held.sessions.values().map(|(_, rows)| rows.len() + 1).sum::<usize>() > HELD {
            held.sessions.retain(|other, _| *other == session);
        }
    }
}

/// Reads what a session's journal says is remembered, up to this event at least: what came since it was read last.
///
/// # Errors
///
/// What the store says.
pub(crate) async fn of_session(shell: &Shell, session: SessionId, head: Seq) -> Result<Arc<Rows>, StoreError> {
    let (mut at, mut rows, round) = shell.door.folds.of(session);
    while at < head {
        let lines = shell.store.journals.read(session, at, PAGE).await?.lines;
        let Some(last) = lines.last() else { break };
        // Few lines are of it: the others are not read.
        for line in lines.iter().filter(|line| line.seq() == 1 || line.as_str().contains("\"memory.")) {
            Arc::make_mut(&mut rows).apply(&load::read(session, line)?);
        }
        at = last.seq();
    }
    shell.door.folds.keep(session, (at, &rows), round);
    Ok(rows)
}

/// Returns what this session noted, oldest first, each left out whose place something took, in whichever journal that stands.
///
/// # Errors
///
/// What the store says.
pub(crate) async fn own(store: &Store, session: SessionId, rows: &Rows) -> Result<Vec<Memory>, StoreError> {
    let query = RememberedQuery { session: Some(session), limit: OTHERS, ..RememberedQuery::default() };
    let page = store.memories.list(query).await?;
    let live: BTreeSet<MemoryId> = page.rows.iter().map(|row| row.memory.id).collect();
    let mut own = Vec::new();
    for row in rows.live() {
        // The index may not know it yet.
        let is_live = page.more || live.contains(&row.memory.id) || {
            let known = store.memories.get(row.memory.id).await?;
            known.is_none_or(|known| known.row.superseded_by.is_empty())
        };
        own.extend(is_live.then(|| row.memory.clone()));
    }
    Ok(own)
}

/// Returns what other sessions noted that this one may know, newest first, each with a newer one that took its place left out.
///
/// # Errors
///
/// What the store says.
pub(crate) async fn seen_by(store: &Store, state: &State, own: &Rows) -> Result<Vec<Memory>, StoreError> {
    let Some(profile) = &state.profile else { return Ok(Vec::new()) };
    let (agent, project) = (Some(profile.agent.to_string()), profile.project.clone());
    let known_to = Some(Sight { agent, session: Some(profile.session), project });
    let query = RememberedQuery { known_to, limit: OTHERS, ..RememberedQuery::default() };
    let rows = store.memories.list(query).await?.rows;
    // What a fork shares with its original is its own, too.
    Ok(rows.into_iter().map(|row| row.memory).filter(|memory| own.get(memory.id).is_none()).collect())
}
