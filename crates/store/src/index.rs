//! The list of sessions: what it holds, and what a page of it is.
//!
//! Derived, deletable, rebuilt. Every keeper of it pages by [`page`], or gives what [`page`] would.

mod lazy;
mod table;
mod writer;

use outlive_core::id::{Seq, SessionId};

pub use lazy::{Log, SqliteIndex};

use crate::{Pending, StoreError};

/// One row of the list: a fold of its journal, kept so that a list need not open ten thousand files.
#[derive(Debug, Clone, PartialEq, Eq)]
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
}

impl Row {
    /// Returns what a text search looks through: title and id, in lower case.
    fn searched(&self) -> String {
        format!("{}\n{}", self.title.as_deref().unwrap_or_default(), self.session).to_lowercase()
    }
}

/// What a list shows and in which order.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// Only this agent's.
    pub agent: Option<String>,
    /// Only with this status.
    pub status: Option<String>,
    /// Only of this project.
    pub project: Option<String>,
    /// Only with this text in title or id, case-insensitive.
    pub text: Option<String>,
    /// Oldest first instead of newest first (by `updated_at`, then id).
    pub ascending: bool,
    /// After this row: the `updated_at` and id of the last one seen.
    pub after: Option<(i64, SessionId)>,
    /// At most this many.
    pub limit: usize,
}

impl ListQuery {
    fn shows(&self, row: &Row) -> bool {
        let fits = |wanted: &Option<String>, found: Option<&str>| wanted.is_none() || wanted.as_deref() == found;
        let key = (row.updated_at, row.session);
        fits(&self.agent, Some(&row.agent))
            && fits(&self.status, Some(&row.status))
            && fits(&self.project, row.project.as_deref())
            && self.text.as_ref().is_none_or(|text| row.searched().contains(&text.to_lowercase()))
            && self.after.is_none_or(|seen| if self.ascending { key > seen } else { key < seen })
    }
}

/// Returns the page of these rows that the query asks for.
#[must_use]
pub fn page(rows: impl IntoIterator<Item = Row>, query: &ListQuery) -> Vec<Row> {
    let mut shown: Vec<Row> = rows.into_iter().filter(|row| query.shows(row)).collect();
    shown.sort_by_key(|row| (row.updated_at, row.session));
    if !query.ascending {
        shown.reverse();
    }
    shown.truncate(query.limit);
    shown
}

/// The list of sessions: derived, deletable, rebuilt.
pub trait Index: Send + Sync {
    /// Records the newest row of a session. Returns at once; written lazily, before its commit segment is recycled.
    fn note(&self, row: Row);

    /// Takes a session off the list.
    fn forget(&self, session: SessionId);

    /// Returns a page of rows, those noted a moment ago included.
    fn list(&self, query: ListQuery) -> Pending<'_, Result<Vec<Row>, StoreError>>;

    /// Returns the sessions to open at start-up: owed something, or with events that no row covers. After the loss of the
    /// list these are all of them: noting a row of each rebuilds it.
    fn unsettled(&self) -> Pending<'_, Result<Vec<SessionId>, StoreError>>;

    /// Says whether the list was lost or damaged, and lacks sessions until a row of each was noted. Before `unsettled` was
    /// asked, a new list says so, too.
    fn needs_rebuild(&self) -> bool;

    /// Replaces the whole list by these rows, whatever was noted before.
    fn rebuild(&self, rows: Vec<Row>) -> Pending<'_, Result<(), StoreError>>;
}
