//! The list on SQLite, written lazily: a note costs its caller a lock and a map entry.
//!
//! Invariants: a list shows every row noted before it was asked for, written or not. What the file says is believed only
//! if it was told of every commit position that the log no longer holds; else it starts empty, and every session is
//! unsettled until its row was noted. A session whose events were announced and not noted when the log was let go of is
//! unsettled too.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use outlive_core::id::{Seq, SessionId};

use super::writer::{Job, Unwritten, Whole, Writer};
use super::{Index, ListQuery, Row, WaitQuery, WaitRow};
use crate::clerk::Clerk;
use crate::{Directory, Journals, Pending, StoreError};

/// What the commit log had when the journals were opened.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// Its last position.
    pub position: u64,
    /// Frames that it still held, up to that position.
    pub frames: u64,
    /// The journals that those were for.
    pub touched: Vec<SessionId>,
}

/// The list on SQLite.
pub struct SqliteIndex {
    unwritten: Arc<Mutex<Unwritten>>,
    clerk: Clerk<Job>,
    truth: Truth,
    touched: Vec<SessionId>,
}

/// Where the list comes from.
struct Truth {
    journals: Arc<dyn Journals>,
    directory: Arc<dyn Directory>,
}

impl SqliteIndex {
    /// Opens the list at this path, made where it is missing or does not fit the log.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where no such file can be made.
    pub fn open<J>(path: &Path, journals: Arc<J>, log: Log) -> Result<Arc<Self>, StoreError>
    where
        J: Journals + Directory + 'static,
    {
        let writer = Writer::open(path, &log)?;
        let unwritten = Arc::clone(&writer.unwritten);
        Ok(Arc::new(Self {
            unwritten,
            clerk: Clerk::start("index.db", move |jobs| writer.run(&jobs))?,
            truth: Truth { journals: journals.clone(), directory: journals },
            touched: log.touched,
        }))
    }

    /// Says that an append up to this head is on its way: until a row covers it, or it is taken back, the session counts
    /// as unsettled. Returns what was announced before.
    pub fn announce(&self, session: SessionId, head: Seq) -> Option<Seq> {
        let mut unwritten = self.unwritten();
        let before = unwritten.announced.get(&session).copied();
        unwritten.announced.insert(session, before.map_or(head, |before| before.max(head)));
        before
    }

    /// Takes an announcement back, as nothing was appended: what was announced `before` it counts again.
    pub fn retract(&self, session: SessionId, before: Option<Seq>) {
        let mut unwritten = self.unwritten();
        match before {
            Some(head) => unwritten.announced.insert(session, head),
            None => unwritten.announced.remove(&session),
        };
    }

    /// Makes durable every row noted so far, and that the list knows of everything up to this commit position. Blocks:
    /// not for async tasks.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where it cannot be written. Nothing is lost by that: a list that was not told is rebuilt.
    pub fn applied(&self, position: u64) -> Result<(), StoreError> {
        self.clerk.ask_blocking(|reply| Job::Applied(position, reply))
    }

    /// Returns the head that each session's row covers. Blocks: not for async tasks.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the list cannot be read.
    pub fn heads(&self) -> Result<HashMap<SessionId, Seq>, StoreError> {
        self.clerk.ask_blocking(Job::Heads)
    }

    /// Leaves nothing of the sessions that were taken off, neither in the file nor in its log.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where that cannot be done now.
    pub async fn erase(&self) -> Result<(), StoreError> {
        self.clerk.ask(Job::Erase).await
    }

    /// Writes what is unwritten and ends the thread. Blocks. Nothing is listed or written from here on.
    pub fn close(&self) {
        self.clerk.close();
    }

    fn unwritten(&self) -> MutexGuard<'_, Unwritten> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, session: SessionId, row: Option<Row>) {
        let idle = {
            let mut unwritten = self.unwritten();
            let idle = unwritten.notes.is_empty();
            unwritten.note(session, row);
            idle
        };
        if idle {
            // With the channel full, the thread has other work, after which it writes anyway.
            self.clerk.send(Job::Dirty).ok();
        }
    }

    async fn find_unsettled(&self) -> Result<Vec<SessionId>, StoreError> {
        let mut found: BTreeSet<SessionId> = self.clerk.ask(Job::Owing).await?.into_iter().collect();
        let whole = !matches!(self.unwritten().whole, Whole::Lacks(_));
        if whole && self.touched.is_empty() {
            return Ok(found.into_iter().collect());
        }
        let covered = self.clerk.ask(Job::Heads).await?;
        for session in &self.touched {
            match self.truth.journals.head(*session).await {
                Ok(head) if covered.get(session) == Some(&head) => self.retract(*session, None),
                Ok(_) | Err(StoreError::Corrupt { .. }) => drop(found.insert(*session)),
                // Removed just before the crash; its row was not yet.
                Err(StoreError::NotFound(_)) => {
                    found.remove(session);
                    self.record(*session, None);
                }
                Err(error) => return Err(error),
            }
        }
        if !whole {
            let all = self.truth.directory.sessions().await?;
            let mut missing: BTreeSet<SessionId> = all.into_iter().filter(|id| !covered.contains_key(id)).collect();
            found.extend(&missing);
            let mut unwritten = self.unwritten();
            missing.retain(|session| !unwritten.notes.contains_key(session));
            unwritten.whole = if missing.is_empty() { Whole::Unsaid } else { Whole::Lacks(Some(missing)) };
        }
        Ok(found.into_iter().collect())
    }
}

impl Index for SqliteIndex {
    fn note(&self, row: Row) {
        self.record(row.session, Some(row));
    }

    fn forget(&self, session: SessionId) {
        self.record(session, None);
    }

    fn list(&self, query: ListQuery) -> Pending<'_, Result<Vec<Row>, StoreError>> {
        Box::pin(self.clerk.ask(move |reply| Job::List(query, reply)))
    }

    fn rows(&self, sessions: Vec<SessionId>) -> Pending<'_, Result<Vec<Row>, StoreError>> {
        Box::pin(self.clerk.ask(move |reply| Job::Rows(sessions, reply)))
    }

    fn waits(&self, query: WaitQuery) -> Pending<'_, Result<Vec<WaitRow>, StoreError>> {
        Box::pin(self.clerk.ask(move |reply| Job::Waits(query, reply)))
    }

    fn unsettled(&self) -> Pending<'_, Result<Vec<SessionId>, StoreError>> {
        Box::pin(async move {
            match self.find_unsettled().await {
                // The file just turned out damaged: asked again, a new one begins, which all sessions are missing from.
                Err(_) if self.needs_rebuild() => self.find_unsettled().await,
                found => found,
            }
        })
    }

    fn needs_rebuild(&self) -> bool {
        matches!(self.unwritten().whole, Whole::Lacks(_))
    }

    fn rebuild(&self, rows: Vec<Row>) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(self.clerk.ask(move |reply| Job::Rebuild(rows, reply)))
    }
}
