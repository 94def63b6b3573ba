//! Finds messages by their words, over all sessions.
//!
//! | Where | What |
//! |---|---|
//! | `text` | what a person typed as words to look for; what was said as text to look in |
//! | `table` | the SQLite file: messages, and an FTS5 index of their words |
//! | `find` | the statements that answer a question in bounded time |
//! | `words` | both, from outside of the thread that alone touches the file: see `crate::follow` |
//!
//! Derived, deletable, rebuilt; never in the way of an append: told of heads by a note, it reads the journals when it has
//! time. Invariants: nothing is found that is not durable; each session's position is written with its words, so that
//! after a crash it goes on from there; what a person types is only ever words, never syntax.

mod find;
mod table;
mod text;
mod words;

use outlive_core::context::MessageRole;
use outlive_core::id::{Seq, SessionId};
use outlive_core::time::Timestamp;

pub(crate) use text::{Asked, prepared};
pub(crate) use words::Words;

use crate::{Pending, StoreError};

/// What to look for, and where.
#[derive(Debug, Clone, Default)]
pub struct SearchQuery {
    /// Words; all of them must be there. `"…"` is a phrase, `wor*` the beginning of a word.
    pub text: String,
    /// Only in sessions of this agent.
    pub agent: Option<String>,
    /// Only in this session.
    pub session: Option<SessionId>,
    /// Only what these said.
    pub role: Option<MessageRole>,
    /// Without so many of the best.
    pub skip: usize,
    /// At most this many.
    pub limit: usize,
}

/// A message that has what was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Its session.
    pub session: SessionId,
    /// Its event.
    pub seq: Seq,
    /// When it was said.
    pub at: Timestamp,
    /// By whom.
    pub role: MessageRole,
    /// The piece of its text around what was found, fit for a page: `<mark>` and `</mark>` stand around each hit, and `&`,
    /// `<` and `>` of the text are written as entities.
    pub snippet: String,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// Best first; of those that are alike the newest first.
    pub hits: Vec<Hit>,
    /// Whether there are more after these.
    pub more: bool,
    /// Sessions whose newest messages could not be looked through yet.
    pub behind: usize,
}

/// How far the words have followed the journals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Catching {
    /// Sessions that can be looked through.
    pub sessions: usize,
    /// Sessions whose newest messages cannot be looked through yet.
    pub behind: usize,
}

/// What was said, by its words: derived, deletable, rebuilt.
pub trait Search: Send + Sync {
    /// Finds messages: those that were durable before it was asked are looked through, unless very much is behind.
    fn find(&self, query: SearchQuery) -> Pending<'_, Result<Found, StoreError>>;

    /// Says how far it is.
    fn catching(&self) -> Pending<'_, Result<Catching, StoreError>>;

    /// Forgets everything and begins anew from the journals. Returns at once; [`Search::catching`] says how far it is.
    fn begin_anew(&self) -> Pending<'_, Result<Catching, StoreError>>;
}
