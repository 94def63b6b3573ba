//! Keeps journals: the commit log, readable files, snapshots, the list and search indexes, faults for tests.

mod agents;
mod answers;
mod artifacts;
pub mod audit;
pub mod backup;
mod clerk;
pub mod conformance;
mod error;
pub mod files;
mod follow;
pub mod foreign;
pub mod index;
mod journals;
mod memories;
pub mod memory;
pub mod memory_files;
mod relays;
mod schedules;
mod search;
mod snapshots;
mod sqlite;
mod stops;
mod trash;
pub mod workspace;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

pub use agents::{
    AgentFolders, AgentGrants, Changed, Expected, FILE_BYTES, FILES, VERSIONS, Version, WORKSPACE_POLICY,
};
pub use answers::{ANSWER_BYTES, Answer, Answers};
pub use artifacts::Artifacts;
pub use error::{Class, StoreError};
pub use index::{Awaiting, Index, Key, Label, ListQuery, OfTask, Row, Sort, WaitQuery, WaitRow};
pub use journals::{Append, Directory, Epoch, Journals, Leases, Opened};
pub use memories::{
    Author, Examined, Measured, MemoryIndex, Provenance, RecallHit, RecallQuery, Recalled, Remembered, RememberedPage,
    RememberedQuery, Sight, Space, Unmeasured, Use, Ways, examine,
};
pub use relays::{Over, RelayFiles};
pub use schedules::Schedules;
pub use search::{Catching, Found, Hit, Search, SearchQuery};
pub use snapshots::Snapshots;
pub use stops::{Stop, StopFile, Stops};
pub use trash::{Deed, Inside, Note, Trash};

/// A future that a store returns.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// All that a runtime keeps its things in.
#[derive(Clone)]
pub struct Store {
    /// The truth.
    pub journals: Arc<dyn Journals>,
    /// Which journals there are.
    pub directory: Arc<dyn Directory>,
    /// Who may write.
    pub leases: Arc<dyn Leases>,
    /// Faster starts.
    pub snapshots: Arc<dyn Snapshots>,
    /// Large outputs.
    pub artifacts: Arc<dyn Artifacts>,
    /// The list.
    pub index: Arc<dyn Index>,
    /// What was said, by its words.
    pub search: Arc<dyn Search>,
    /// What is remembered, and finding in it.
    pub memories: Arc<dyn MemoryIndex>,
    /// What was deleted.
    pub trash: Arc<dyn Trash>,
    /// What belongs to no one session.
    pub house: House,
    /// Agents' files.
    pub agents: Arc<dyn AgentFolders>,
}

/// Where is kept what belongs to no one session.
#[derive(Clone)]
pub struct House {
    /// What was answered to such requests.
    pub answers: Arc<dyn Answers>,
    /// Whether all is stopped.
    pub stops: Arc<dyn Stops>,
    /// What is to be done at times.
    pub schedules: Arc<dyn Schedules>,
}
