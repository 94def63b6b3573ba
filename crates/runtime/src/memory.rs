//! What is remembered, as sessions see it: their own rows from their journals, those of others from the index.

use outlive_core::digest::Digest;
use outlive_core::id::{AgentName, Seq, SessionId};
use outlive_core::memory::{Memory, Rows, Scope};
use outlive_core::session::State;
use outlive_store::{Remembered, RememberedQuery, Store, StoreError};

use crate::load;

/// Lines read at once.
const PAGE: usize = 1_024;
/// Memories of other sessions that are looked through for a pack.
const OTHERS: usize = 2_000;

/// Returns the session in which what is remembered of an agent stands that came up in no conversation.
#[must_use]
pub fn notebook(agent: &AgentName) -> SessionId {
    SessionId::from_bits(Digest::of(format!("notebook/{agent}").as_bytes()).bits())
}

/// Reads what a session's journal says is remembered, up to this event.
///
/// # Errors
///
/// What the store says.
pub(crate) async fn of_session(store: &Store, session: SessionId, head: Seq) -> Result<Rows, StoreError> {
    let (mut rows, mut at) = (Rows::default(), 0);
    while at < head {
        let lines = store.journals.read(session, at, PAGE).await?.lines;
        let Some(last) = lines.last() else { break };
        at = last.seq();
        // Few lines are of it: the others are not read.
        let of_it = lines.iter().filter(|line| line.seq() <= head && line.as_str().contains("\"memory."));
        for line in of_it {
            rows.apply(&load::read(session, line)?);
        }
    }
    Ok(rows)
}

/// Returns what other sessions noted that this one may know, each with a newer one that took its place left out.
///
/// # Errors
///
/// What the store says.
pub(crate) async fn seen_by(store: &Store, state: &State) -> Result<Vec<Memory>, StoreError> {
    let Some(profile) = &state.profile else { return Ok(Vec::new()) };
    let agent = Some(profile.agent.to_string());
    let of = |agent: Option<String>, scope| RememberedQuery {
        agent,
        scope: Some(scope),
        limit: OTHERS,
        ..RememberedQuery::default()
    };
    let mut seen: Vec<Remembered> = store.memories.list(of(agent.clone(), Scope::Agent)).await?.rows;
    seen.extend(store.memories.list(of(None, Scope::All)).await?.rows);
    if profile.project.is_some() {
        let rows = store.memories.list(of(agent, Scope::Project)).await?.rows;
        seen.extend(rows.into_iter().filter(|row| row.project == profile.project));
    }
    let of_others = seen.into_iter().filter(|row| row.session != profile.session);
    Ok(of_others.map(|row| row.memory).collect())
}
