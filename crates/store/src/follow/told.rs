//! What the thread was told of and has not done: which journals go on, which are gone, and about how much that is.
//!
//! Of what gathers only heads are in memory, never words. A journal's bytes are counted when they are appended and its head
//! is told a little later, so that the sum is about right; it decides when, not what.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use outlive_core::id::{Seq, SessionId};

/// Bytes of journals that gather before they are followed although nobody asks. The fewer and larger the writes, the less
/// is written again and again; but a question waits until all of it is followed.
pub(super) const GATHERED: u64 = 4 << 20;
/// What a line is taken for whose size is not known.
const LINE: u64 = 64 << 10;

#[derive(Default)]
pub(super) struct Told {
    due: Mutex<Due>,
    /// Bytes that are not followed, about.
    bytes: AtomicU64,
}

/// What is to be done.
#[derive(Default)]
pub(super) struct Due {
    /// Sessions with more than is followed, and how far they go.
    pub(super) heads: BTreeMap<SessionId, Seq>,
    /// Sessions that were removed.
    pub(super) gone: BTreeSet<SessionId>,
    /// Whether the thread was called for what has gathered.
    is_called: bool,
}

impl Told {
    pub(super) fn due(&self) -> MutexGuard<'_, Due> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whether there is anything to do at all.
    pub(super) fn is_empty(&self) -> bool {
        let due = self.due();
        due.heads.is_empty() && due.gone.is_empty()
    }

    /// Says whether so much has gathered that nobody needs to ask.
    pub(super) fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) >= GATHERED && !self.due().heads.is_empty()
    }

    /// Counts lines that were appended.
    pub(super) fn grew(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Notes how far a journal goes; says whether the thread is to be called.
    pub(super) fn head(&self, session: SessionId, head: Seq) -> bool {
        let mut due = self.due();
        due.heads.insert(session, head);
        self.bytes.load(Ordering::Relaxed) >= GATHERED && !std::mem::replace(&mut due.is_called, true)
    }

    /// Notes that a session was removed.
    pub(super) fn gone(&self, session: SessionId) {
        let mut due = self.due();
        due.heads.remove(&session);
        due.gone.insert(session);
    }

    /// Notes what a comparison has found: how far journals go, and by how many lines that is further than the words.
    pub(super) fn found(&self, gone: Vec<SessionId>, heads: impl IntoIterator<Item = (SessionId, Seq)>, lines: u64) {
        let mut due = self.due();
        due.gone.extend(gone);
        for (session, head) in heads {
            due.heads.entry(session).or_insert(head);
        }
        self.bytes.fetch_add(lines.saturating_mul(LINE), Ordering::Relaxed);
    }

    /// Takes off what was followed: journals up to these heads, of so many bytes.
    pub(super) fn followed(&self, done: &[(SessionId, Seq)], bytes: u64) {
        let mut due = self.due();
        for (session, head) in done {
            if due.heads.get(session) == Some(head) {
                due.heads.remove(session);
            }
        }
        due.is_called = false;
        let left = if due.heads.is_empty() { 0 } else { self.bytes.load(Ordering::Relaxed).saturating_sub(bytes) };
        self.bytes.store(left, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u128) -> SessionId {
        SessionId::from_bits(n)
    }

    #[test]
    fn the_thread_is_called_once_for_what_has_gathered() {
        let told = Told::default();
        assert!(!told.head(id(1), 5), "not for a line");
        told.grew(1 << 20);
        assert!(!told.head(id(1), 9) && !told.is_full(), "nor for a quarter");
        told.grew(3 << 20);
        assert!(told.is_full());
        assert!(told.head(id(2), 5), "for much");
        told.grew(4 << 20);
        assert!(!told.head(id(3), 5), "but not again before it has come");
        told.followed(&[(id(1), 9), (id(2), 5)], 5 << 20);
        assert!(!told.is_full(), "what came meanwhile gathers");
        told.grew(1 << 20);
        assert!(told.head(id(3), 6), "until it is much, too");
        told.followed(&[(id(3), 5)], 1);
        assert!(!told.is_empty(), "it went on while it was followed");
        told.followed(&[(id(3), 6)], 1);
        assert!(told.is_empty());
        assert!(!told.is_full() && !told.head(id(4), 1), "an estimate that was too high is forgotten");
    }

    #[test]
    fn what_a_comparison_finds_never_sets_back_what_was_told() {
        let told = Told::default();
        told.head(id(1), 9);
        told.found(vec![id(3)], [(id(1), 5), (id(2), 4)], 64);
        assert_eq!(told.due().heads, [(id(1), 9), (id(2), 4)].into());
        assert_eq!(told.due().gone, [id(3)].into());
        assert!(told.is_full(), "a search that is lost is made anew although nobody asks");
        told.gone(id(1));
        assert_eq!(told.due().heads, [(id(2), 4)].into());
    }
}
