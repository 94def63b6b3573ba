//! What a keeper of journals promises: appended once, in order, durable, by one writer at a time.
//!
//! Invariants: a journal has no gaps; what is read was acknowledged; a writer with an old epoch writes nothing. A stale
//! lease is found before a wrong head, and lines that do not follow the head are a [`StoreError::Conflict`].

use std::collections::BTreeMap;

use outlive_core::event::Line;
use outlive_core::id::{Seq, SessionId};

use crate::{Pending, StoreError};

/// Fencing number of a lease: a writer with an older one fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub u64);

/// Lines to add to one journal, all or none.
#[derive(Debug, Clone)]
pub struct Append {
    /// Which journal.
    pub journal: SessionId,
    /// The lease of the writer.
    pub epoch: Epoch,
    /// The head that the writer believes in: the first line has `expected + 1`.
    pub expected: Seq,
    /// The lines, in order, without gaps.
    pub lines: Vec<Line>,
}

impl Append {
    /// Checks that the lines go on from `head`, one by one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] where they do not; [`StoreError::Refused`] where there are none.
    pub fn follows(&self, head: Seq) -> Result<(), StoreError> {
        if self.lines.is_empty() {
            let what = format!("append to session `{}`", self.journal);
            return Err(StoreError::Refused { what, why: "there are no lines".to_owned() });
        }
        let conflict = |expected, head| Err(StoreError::Conflict { journal: self.journal, expected, head });
        if self.expected != head {
            return conflict(self.expected, head);
        }
        for (at, line) in (head..).zip(&self.lines) {
            if line.seq() != at + 1 {
                return conflict(line.seq().saturating_sub(1), at);
            }
        }
        Ok(())
    }
}

/// Brings lines that are to take the place of others into their order.
///
/// # Errors
///
/// [`StoreError::Refused`] where there are none, where two have the same seq, and where one is not in the journal, whose last
/// is `head`.
pub(crate) fn in_place_of(journal: SessionId, head: Seq, lines: Vec<Line>) -> Result<BTreeMap<Seq, Line>, StoreError> {
    let refused = |why| Err(StoreError::Refused { what: format!("write lines of session `{journal}` anew"), why });
    let count = lines.len();
    let lines: BTreeMap<Seq, Line> = lines.into_iter().map(|line| (line.seq(), line)).collect();
    if lines.is_empty() {
        return refused("there are no lines".to_owned());
    }
    if lines.len() < count {
        return refused("two of them have the same place".to_owned());
    }
    match lines.keys().find(|seq| !(1..=head).contains(*seq)) {
        Some(seq) => refused(format!("event {seq} is not there: the last one is {head}")),
        None => Ok(lines),
    }
}

/// What opening a journal found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opened {
    /// The lines after the asked position.
    pub lines: Vec<Line>,
    /// Bytes of a torn tail that were cut at the last start: never acknowledged.
    pub cut_bytes: u64,
}

/// Append-only journals, one a session.
pub trait Journals: Send + Sync {
    /// Adds lines. `Ok` means durable: they survive whatever happens next. An empty journal is made by its first append
    /// (`expected` 0).
    fn append(&self, append: Append) -> Pending<'_, Result<(), StoreError>>;

    /// Returns up to `limit` lines after `after`, acknowledged ones only, oldest first.
    fn read(&self, journal: SessionId, after: Seq, limit: usize) -> Pending<'_, Result<Opened, StoreError>>;

    /// Returns the head: the seq of the last acknowledged line.
    fn head(&self, journal: SessionId) -> Pending<'_, Result<Seq, StoreError>>;

    /// Says why nothing can be written until a restart, if that is so.
    ///
    /// # Errors
    ///
    /// [`StoreError::Poisoned`]
    fn health(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Returns how many syncs the disk was asked for.
    fn syncs(&self) -> u64 {
        0
    }

    /// Puts these lines in the place of the ones that have their seqs, for good: when it returns, no file of the store holds
    /// the old ones, and no snapshot of the journal is there. All other lines, the head and whoever reads stay as they are;
    /// appends go on meanwhile. Artifacts that only the old lines named are removed. Begun once, it is gone on with by the
    /// next start; done twice, it is the same as once.
    fn scrub(&self, journal: SessionId, epoch: Epoch, lines: Vec<Line>) -> Pending<'_, Result<(), StoreError>>;

    /// Removes a journal and all that lies beside it, for good, before it returns.
    fn remove(&self, journal: SessionId) -> Pending<'_, Result<(), StoreError>>;
}

/// The right to write one session.
pub trait Leases: Send + Sync {
    /// Takes the lease. Its epoch is above those of all processes that had the store before this one; those are fenced.
    /// Within a process, whose actors take turns, it may be the same again.
    fn take(&self, journal: SessionId) -> Pending<'_, Result<Epoch, StoreError>>;

    /// Gives it back. A stale epoch gives back nothing.
    fn release(&self, journal: SessionId, epoch: Epoch) -> Pending<'_, Result<(), StoreError>>;
}

/// Which journals there are.
pub trait Directory: Send + Sync {
    /// Returns all sessions that have a journal, sorted.
    fn sessions(&self) -> Pending<'_, Result<Vec<SessionId>, StoreError>>;
}
