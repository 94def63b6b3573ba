//! What was deleted: first it lies in the trash, whole, and comes back when asked; then it is erased, and nothing of it is
//! left in any file.
//!
//! Invariants: a session is among the others or in the trash, never in neither and never seen in both; what is to be erased
//! is marked so first, durably, so that an erasure that was cut short is finished by the next start.

use outlive_core::event::{Line, Origin};
use outlive_core::id::{Seq, SessionId};
use outlive_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Pending, Row, StoreError};

/// What is written beside a journal that goes to the trash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: Origin,
    /// Digest of the client's name for the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// What the list showed of it, and shows again once it is back.
    pub row: Row,
}

/// What was done to a session under a request's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// It went to the trash.
    Discarded,
    /// It was erased.
    Erased,
}

/// Journals as they lie in the trash: for whoever erases something wherever it is.
pub trait Inside: Send + Sync {
    /// Returns up to `limit` lines after `after`, oldest first; [`StoreError::NotFound`] for one that is not in the trash.
    fn read(&self, journal: SessionId, after: Seq, limit: usize) -> Pending<'_, Result<Vec<Line>, StoreError>>;

    /// As [`Journals::scrub`](crate::Journals::scrub); this is what the list shows of it once it is back.
    fn scrub(&self, journal: SessionId, lines: Vec<Line>, row: Row) -> Pending<'_, Result<(), StoreError>>;
}

/// The trash.
pub trait Trash: Send + Sync {
    /// Moves a session there. Whoever writes it has ended before.
    fn discard(&self, journal: SessionId, note: Note) -> Pending<'_, Result<(), StoreError>>;

    /// Brings a session back to where it was. One that is among the others already stays there.
    fn restore(&self, journal: SessionId) -> Pending<'_, Result<(), StoreError>>;

    /// Returns what is there, newest first.
    fn discarded(&self) -> Pending<'_, Result<Vec<Note>, StoreError>>;

    /// Looks into it.
    fn inside(&self) -> &dyn Inside;

    /// Erases sessions, wherever they are, and finishes what was to be erased before. `request` is the digest of the
    /// client's name for it.
    fn erase(&self, journals: Vec<SessionId>, request: Option<String>) -> Pending<'_, Result<(), StoreError>>;

    /// Erases those of these that lie in the trash as they were listed, and finishes what was to be erased before. One that
    /// was brought back meanwhile stays. Returns how many were erased.
    fn erase_discarded(&self, notes: Vec<Note>) -> Pending<'_, Result<usize, StoreError>>;

    /// Removes artifacts that were stored before this moment and that no session refers to, though nobody erased their
    /// session: that of a call that was cut off, of a message that was refused. Returns how many. Reads journals, if there
    /// are such artifacts as were stored since the last time: not for a start.
    fn sweep(&self, before: Timestamp) -> Pending<'_, Result<usize, StoreError>>;

    /// Returns what was done to a session under a request's name: the newest thousand are remembered.
    fn answered(&self, journal: SessionId, request: String) -> Pending<'_, Result<Option<Deed>, StoreError>>;
}

/// Brings notes into the order in which they are shown.
pub(crate) fn newest_first(notes: &mut [Note]) {
    notes.sort_by_key(|note| std::cmp::Reverse((note.at, note.row.session)));
}
