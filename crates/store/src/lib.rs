//! Keeps journals: the commit log, readable files, snapshots, the list index, faults for tests.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use outlive_core::digest::Digest;
use outlive_core::event::Line;
use outlive_core::id::{Seq, SessionId};

/// A future that a store returns.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

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

/// Why a store did not do it, by what the caller can do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// No such journal.
    #[error("there is no session `{0}`")]
    NotFound(SessionId),
    /// The head is not the expected one: another writer was here, or ours is stale.
    #[error("session `{journal}` is at {head}, not at {expected}")]
    Conflict {
        /// Which journal.
        journal: SessionId,
        /// What the writer expected.
        expected: Seq,
        /// What is there.
        head: Seq,
    },
    /// The lease is not the newest.
    #[error("the lease on session `{0}` is stale: another process owns it now")]
    Fenced(SessionId),
    /// No room on the disk. Nothing was written; writing resumes by itself once there is room.
    #[error("no space left on the disk for new events; free some, then try again")]
    NoSpace,
    /// The store stopped acknowledging after a failed sync. Only a restart, which reads back what is there, helps.
    #[error("storage is closed after a failed write ({0}); restart the server to read back what is on the disk")]
    Poisoned(String),
    /// A line that is not the tail cannot be read. The evidence is kept.
    #[error("journal of session `{journal}` is damaged at line {line}: {why}; run `outlive verify --repair`")]
    Corrupt {
        /// Which journal.
        journal: SessionId,
        /// Line number, from 1.
        line: u64,
        /// What is wrong there.
        why: String,
    },
    /// The operating system said no.
    #[error("{what}: {why}")]
    Io {
        /// What was tried, with the path.
        what: String,
        /// What the system said.
        why: String,
    },
}

/// What opening a journal found.
#[derive(Debug, Clone, Default)]
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

    /// Removes a journal and all that lies beside it, for good, before it returns.
    fn remove(&self, journal: SessionId) -> Pending<'_, Result<(), StoreError>>;
}

/// The right to write one session.
pub trait Leases: Send + Sync {
    /// Takes the lease, with an epoch above all before it.
    fn take(&self, journal: SessionId) -> Pending<'_, Result<Epoch, StoreError>>;

    /// Gives it back.
    fn release(&self, journal: SessionId, epoch: Epoch) -> Pending<'_, Result<(), StoreError>>;
}

/// Small derived files beside a journal (`state.yaml`): replaced whole, never needed for correctness.
pub trait Snapshots: Send + Sync {
    /// Replaces the snapshot. Atomic; may be lost in a crash, which is no harm.
    fn put(&self, journal: SessionId, text: String) -> Pending<'_, Result<(), StoreError>>;

    /// Returns the snapshot, if there is one.
    fn get(&self, journal: SessionId) -> Pending<'_, Result<Option<String>, StoreError>>;
}

/// Large outputs by content.
pub trait Artifacts: Send + Sync {
    /// Keeps these bytes; durable when it returns. Keeping the same bytes twice is keeping them once.
    fn put(&self, bytes: Vec<u8>) -> Pending<'_, Result<Digest, StoreError>>;

    /// Returns the bytes, checked against the hash.
    fn get(&self, hash: Digest) -> Pending<'_, Result<Option<Vec<u8>>, StoreError>>;
}

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

/// The list of sessions: derived, deletable, rebuilt.
pub trait Index: Send + Sync {
    /// Records the newest row of a session. Returns at once; written lazily, before its commit segment is recycled.
    fn note(&self, row: Row);

    /// Takes a session off the list.
    fn forget(&self, session: SessionId);

    /// Returns a page of rows, those noted a moment ago included.
    fn list(&self, query: ListQuery) -> Pending<'_, Result<Vec<Row>, StoreError>>;

    /// Returns the sessions to open at start-up: owed something, or with events that no row covers.
    fn unsettled(&self) -> Pending<'_, Result<Vec<SessionId>, StoreError>>;
}

/// All that a runtime keeps its things in.
#[derive(Clone)]
pub struct Store {
    /// The truth.
    pub journals: Arc<dyn Journals>,
    /// Who may write.
    pub leases: Arc<dyn Leases>,
    /// Faster starts.
    pub snapshots: Arc<dyn Snapshots>,
    /// Large outputs.
    pub artifacts: Arc<dyn Artifacts>,
    /// The list.
    pub index: Arc<dyn Index>,
    /// Agents' files.
    pub agents: Arc<dyn AgentFolders>,
}

/// The files of agents, as bytes; what they mean is `core::agent`'s matter.
pub trait AgentFolders: Send + Sync {
    /// Returns the names of the folders under `agents/`, sorted; names that are not agent names are left out.
    fn names(&self) -> Result<Vec<String>, StoreError>;

    /// Returns a value that changes when any file of the agent, or the workspace policy, changes: cheap (no file is read).
    fn stamp(&self, name: &str) -> Result<Option<u64>, StoreError>;

    /// Reads the agent's folder, plus the workspace's `policy.yaml` under that name with the path `../../policy.yaml`:
    /// path relative to the folder → bytes. `None` if there is no such folder.
    fn read(&self, name: &str) -> Result<Option<std::collections::BTreeMap<String, Vec<u8>>>, StoreError>;

    /// Writes a new agent's files; refuses to touch an existing folder.
    fn create(&self, name: &str, files: std::collections::BTreeMap<String, Vec<u8>>) -> Result<(), StoreError>;
}
