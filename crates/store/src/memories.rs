//! Finds what is remembered, over all sessions.
//!
//! | Where | What |
//! |---|---|
//! | `news` | what lines of a journal say about it |
//! | `table` | the SQLite file: what is written to it |
//! | `words` | the indexes of words, and that nothing is left in them of what went |
//! | `narrow` | who may know what |
//! | `find` | the statements that bring candidates in bounded time; `outlive_core::memory::rank` puts them in order |
//! | `read` | rows, pages of the list, all that is known of one |
//! | `vectors` | what texts mean, in numbers |
//! | `examine` | how the file is, for whoever looks from outside |
//! | `kept`, `asked` | all of it, from outside of the thread that alone touches the file (see `crate::follow`); in memory |
//!
//! Derived, deletable, rebuilt; never in the way of an append: told of heads by a note, it reads the journals when it has
//! time. Invariants: nothing is found that is not durable; what is forgotten is in no file and in no answer; each session's
//! position is written with its rows, so that after a crash it goes on from there; what a person types is only ever words,
//! never syntax; vectors of different models or lengths are never compared.

pub(crate) mod asked;
mod examine;
mod find;
mod kept;
mod narrow;
mod news;
mod read;
mod table;
mod vectors;
mod words;

use std::collections::BTreeSet;

use outlive_core::event::Origin;
use outlive_core::id::{CallId, MemoryId, Seq, SessionId};
use outlive_core::memory::{Memory, Scope};
use outlive_core::time::Timestamp;
use serde::{Deserialize, Serialize};

pub use examine::{Examined, examine};
pub(crate) use kept::Memories;
pub(crate) use table::Table;

use crate::{Catching, Pending, StoreError};

/// Something that is remembered.
#[derive(Debug, Clone, PartialEq)]
pub struct Remembered {
    /// It, as it says now: an edited text is the only one.
    pub memory: Memory,
    /// The session whose journal has it.
    pub session: SessionId,
    /// The event there.
    pub seq: Seq,
    /// When it was written.
    pub at: Timestamp,
    /// That session's agent.
    pub agent: String,
    /// That session's project.
    pub project: Option<String>,
    /// Who wrote it.
    pub by: Author,
    /// When its text was changed last, and by whom.
    pub edited: Option<(Timestamp, Origin)>,
    /// Those that took its place.
    pub superseded_by: Vec<MemoryId>,
}

/// Who wrote a memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Author {
    /// The observer, and the model that it asked.
    Observer(Option<String>),
    /// The reflection, and the model that it asked.
    Reflection(Option<String>),
    /// A person, or the agent itself.
    Somebody(Origin),
}

/// Whose memories are looked through. What a session may know: its own, those of its agent in the same project, those of its
/// agent everywhere, and those for all; never another agent's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sight {
    /// What this agent may know: alone, all that its sessions noted, and what is for all. None: everything there is.
    pub agent: Option<String>,
    /// What this session of the agent may know.
    pub session: Option<SessionId>,
    /// The session's project.
    pub project: Option<String>,
}

/// What to look for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RecallQuery {
    /// A question or words, as they were typed. None of them must be there; the more are, the better.
    pub text: String,
    /// Where.
    pub sight: Sight,
    /// Only of this scope.
    pub scope: Option<Scope>,
    /// The moment of asking: what holds only until then holds no more.
    pub now: Timestamp,
    /// What held then is meant, not what holds now.
    pub as_of: Option<Timestamp>,
    /// Whether those are shown, too, whose place another took, or that hold no more: after the others.
    pub superseded: bool,
    /// At most this many.
    pub limit: usize,
    /// What the question means, as a model says it in numbers.
    pub vector: Option<(Space, Vec<f32>)>,
    /// Which ways of looking are gone.
    pub ways: Ways,
}

/// Ways of looking: whoever measures them leaves one out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ways {
    /// Every one.
    #[default]
    All,
    /// But that by words that mean about the same.
    WithoutKin,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Recalled {
    /// Best first.
    pub hits: Vec<RecallHit>,
    /// Sessions whose newest memories could not be looked through yet.
    pub behind: usize,
    /// Where the question has a vector: memories that have none to compare it with. They were found by words alone.
    pub unmeasured: usize,
    /// What a person should know of how it was found: an embedding service that did not answer.
    pub notes: Vec<String>,
}

/// A memory that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct RecallHit {
    /// Which.
    pub row: Remembered,
    /// By which it is ordered: the sum of the parts.
    pub score: f64,
    /// What it is made of: the name of each part, and what it adds.
    pub explain: Vec<(&'static str, f64)>,
}

/// Which memories to list.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RememberedQuery {
    /// Noted by sessions of this agent.
    pub agent: Option<String>,
    /// Noted in this session.
    pub session: Option<SessionId>,
    /// What this session may know of what others noted: not its own.
    pub known_to: Option<Sight>,
    /// Of this scope.
    pub scope: Option<Scope>,
    /// Whether those are listed, too, whose place another took.
    pub superseded: bool,
    /// Those after this one, which the page before ended with.
    pub after: Option<(Timestamp, MemoryId)>,
    /// At most this many.
    pub limit: usize,
}

/// A page of what is remembered.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RememberedPage {
    /// Newest first.
    pub rows: Vec<Remembered>,
    /// Whether there are more after these.
    pub more: bool,
    /// Sessions whose newest memories are not here yet.
    pub behind: usize,
}

/// One memory, with all that is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Provenance {
    /// It.
    pub row: Remembered,
    /// Each time that its text was changed, oldest first.
    pub edits: Vec<(Timestamp, Origin)>,
    /// Those whose place it took, as far as they are there.
    pub superseded: Vec<Remembered>,
    /// Those that took its place, as far as they are there.
    pub superseders: Vec<Remembered>,
    /// The newest calls that showed it to a model, newest first.
    pub uses: Vec<Use>,
    /// How many there were.
    pub used: u64,
}

/// A call that showed a memory to a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Use {
    /// The session.
    pub session: SessionId,
    /// The event that says so.
    pub seq: Seq,
    /// The call.
    pub call: CallId,
    /// When.
    pub at: Timestamp,
}

/// What vectors can be compared with: those of the same service, model and length.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Space {
    /// Where the model is asked, and for what.
    pub service: String,
    /// How the model that answered calls itself.
    pub model: String,
    /// Numbers in each vector.
    pub dimensions: usize,
}

/// Which memories are to get a vector.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unmeasured {
    /// Those that have none of this service.
    pub service: String,
    /// Those, too, whose vector is of another space.
    pub space: Option<Space>,
    /// Only what this agent may know: its sessions' notes, and what is for all.
    pub agent: Option<String>,
    /// At most this many.
    pub limit: usize,
}

/// A text without a vector yet, or the vector that it got.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured<T> {
    /// Which memory.
    pub memory: MemoryId,
    /// Its text, as it was then: a vector of a text that has changed since is not taken.
    pub text: String,
    /// The vector.
    pub vector: T,
}

/// What is remembered, as it can be looked up: derived, deletable, rebuilt.
pub trait MemoryIndex: Send + Sync {
    /// Finds memories: those that were durable before it was asked are looked through, unless very much is behind.
    fn recall(&self, query: RecallQuery) -> Pending<'_, Result<Recalled, StoreError>>;

    /// Lists memories, newest first.
    fn list(&self, query: RememberedQuery) -> Pending<'_, Result<RememberedPage, StoreError>>;

    /// Returns one with all that is known of it; none where there is none, or where it is forgotten.
    fn get(&self, memory: MemoryId) -> Pending<'_, Result<Option<Provenance>, StoreError>>;

    /// Returns memories that have no vector yet, newest first.
    fn unmeasured(&self, query: Unmeasured) -> Pending<'_, Result<Vec<Measured<()>>, StoreError>>;

    /// Keeps vectors. Those of memories that are gone or say something else meanwhile are dropped.
    fn measured(&self, space: Space, vectors: Vec<Measured<Vec<f32>>>) -> Pending<'_, Result<(), StoreError>>;

    /// Follows all that was durable before it was asked, however much: what is forgotten in a journal is in no file of it then.
    fn catch_up(&self) -> Pending<'_, Result<Catching, StoreError>>;
    /// Takes out the vectors of all services but these.
    fn retain(&self, services: BTreeSet<String>) -> Pending<'_, Result<(), StoreError>>;

    /// Forgets everything and begins anew from the journals. Returns at once.
    fn begin_anew(&self) -> Pending<'_, Result<Catching, StoreError>>;
}
