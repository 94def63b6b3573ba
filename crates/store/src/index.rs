//! The list of sessions: what it holds, and what a page of it is.
//!
//! Derived, deletable, rebuilt. Every keeper of it pages by [`page`], or gives what [`page`] would.

mod lazy;
mod query;
mod select;
mod table;
mod waits;
mod writer;

use outlive_core::id::{Seq, SessionId};
use outlive_core::task::Task;
use serde::{Deserialize, Serialize};

pub use lazy::{Log, SqliteIndex};
pub use query::{Key, Label, ListQuery, OfTask, Sort, page};
pub(crate) use waits::page_of_waits;
pub use waits::{Awaiting, WaitQuery, WaitRow};

use crate::{Pending, StoreError};

/// One row of the list: a fold of its journal, kept so that a list need not open ten thousand files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Which session.
    pub session: SessionId,
    /// Its head when the row was made.
    pub head: Seq,
    /// Its agent.
    pub agent: String,
    /// Its title, or what stands in for one.
    pub title: Option<String>,
    /// Its project.
    pub project: Option<String>,
    /// The piece of work that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Box<Task>>,
    /// Its status word (CONTRACT: idle, running, waiting, approving, asking, sleeping, paused, archived).
    pub status: String,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Microseconds since 1970.
    pub updated_at: i64,
    /// Whether a restart owes it something: it must be opened at start-up.
    pub owed: bool,
    /// Labels, as a JSON object.
    pub labels: String,
    /// What it waits for, and the notices that nobody has yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits: Vec<WaitRow>,
}

/// The list of sessions: derived, deletable, rebuilt.
pub trait Index: Send + Sync {
    /// Records the newest row of a session. Returns at once; written lazily, before its commit segment is recycled.
    fn note(&self, row: Row);

    /// Takes a session off the list.
    fn forget(&self, session: SessionId);

    /// Returns a page of rows, those noted a moment ago included.
    fn list(&self, query: ListQuery) -> Pending<'_, Result<Vec<Row>, StoreError>>;

    /// Returns the newest rows of these sessions, in no order; those that have none are left out.
    fn rows(&self, sessions: Vec<SessionId>) -> Pending<'_, Result<Vec<Row>, StoreError>>;

    /// Returns the waits of all sessions that a query is for, those noted a moment ago included.
    fn waits(&self, query: WaitQuery) -> Pending<'_, Result<Vec<WaitRow>, StoreError>>;

    /// Returns the sessions to open at start-up: owed something, or with events that no row covers. After the loss of the
    /// list these are all of them: noting a row of each rebuilds it.
    fn unsettled(&self) -> Pending<'_, Result<Vec<SessionId>, StoreError>>;

    /// Says whether the list was lost or damaged, and lacks sessions until a row of each was noted. Before `unsettled` was
    /// asked, a new list says so, too.
    fn needs_rebuild(&self) -> bool;

    /// Replaces the whole list by these rows, whatever was noted before.
    fn rebuild(&self, rows: Vec<Row>) -> Pending<'_, Result<(), StoreError>>;
}
