//! What was deleted: first it lies in the trash, whole, and comes back when asked; then it is erased, and nothing of it is
//! left in any file.
//!
//! Invariants: a session is among the others or in the trash, never in neither and never seen in both; what is to be erased
//! is marked so first, durably, so that an erasure that was cut short is finished by the next start.

use outlive_core::event::Origin;
use outlive_core::id::SessionId;
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

/// The trash.
pub trait Trash: Send + Sync {
    /// Moves a session there. Whoever writes it has ended before.
    fn discard(&self, journal: SessionId, note: Note) -> Pending<'_, Result<(), StoreError>>;

    /// Brings a session back to where it was. One that is among the others already stays there.
    fn restore(&self, journal: SessionId) -> Pending<'_, Result<(), StoreError>>;

    /// Returns what is there, newest first.
    fn discarded(&self) -> Pending<'_, Result<Vec<Note>, StoreError>>;

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
