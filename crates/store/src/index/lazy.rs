//! The list on SQLite, written lazily: a note costs its caller a lock and a map entry.
//!
//! Invariants: a list shows every row noted before it was asked for, written or not. What the file says is believed only
//! if it was told of every commit position that the log no longer holds; else it starts empty, and every session is
//! unsettled until its row was noted. A session whose events were announced and not noted when the log was let go of is
//! unsettled too.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use outlive_core::id::{Seq, SessionId};
use tokio::sync::{Semaphore, oneshot};

use super::writer::{Job, Reply, Unwritten, Whole, Writer};
use super::{Index, ListQuery, Row};
use crate::{Directory, Journals, Pending, StoreError};

/// Questions that may wait for the thread; more wait for their turn.
const QUESTIONS: usize = 64;

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
    jobs: Mutex<Option<SyncSender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    permits: Semaphore,
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
        let (sender, receiver) = sync_channel(QUESTIONS * 2);
        let writer = Writer::open(path, receiver, &log)?;
        let unwritten = Arc::clone(&writer.unwritten);
        let thread = std::thread::Builder::new().name("index".to_owned()).spawn(move || writer.run());
        let thread =
            thread.map_err(|error| StoreError::Io { what: "start a thread".to_owned(), why: error.to_string() })?;
        Ok(Arc::new(Self {
            unwritten,
            jobs: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(thread)),
            permits: Semaphore::new(QUESTIONS),
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
        let (reply, answer) = oneshot::channel();
        self.send(Job::Applied(position, reply))?;
        answer.blocking_recv().map_err(|_| closed())?
    }

    /// Returns the head that each session's row covers. Blocks: not for async tasks.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the list cannot be read.
    pub fn heads(&self) -> Result<HashMap<SessionId, Seq>, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Heads(reply))?;
        answer.blocking_recv().map_err(|_| closed())?
    }

    /// Leaves nothing of the sessions that were taken off, neither in the file nor in its log.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where that cannot be done now.
    pub async fn erase(&self) -> Result<(), StoreError> {
        self.ask(Job::Erase).await
    }

    /// Writes what is unwritten and ends the thread. Blocks. Nothing is listed or written from here on.
    pub fn close(&self) {
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
            && thread.join().is_err()
        {
            tracing::error!("the list's thread panicked");
        }
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
            self.send(Job::Dirty).ok();
        }
    }

    fn send(&self, job: Job) -> Result<(), StoreError> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.as_ref().ok_or_else(closed)?.try_send(job).map_err(|_| closed())
    }

    async fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, StoreError> {
        let _permit = self.permits.acquire().await.map_err(|_| closed())?;
        let (reply, answer) = oneshot::channel();
        self.send(job(reply))?;
        answer.await.map_err(|_| closed())?
    }

    async fn find_unsettled(&self) -> Result<Vec<SessionId>, StoreError> {
        let mut found: BTreeSet<SessionId> = self.ask(Job::Owing).await?.into_iter().collect();
        let whole = !matches!(self.unwritten().whole, Whole::Lacks(_));
        if whole && self.touched.is_empty() {
            return Ok(found.into_iter().collect());
        }
        let covered = self.ask(Job::Heads).await?;
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

fn closed() -> StoreError {
    StoreError::Io { what: "index.db".to_owned(), why: "the list is closed or overrun".to_owned() }
}

impl Drop for SqliteIndex {
    fn drop(&mut self) {
        self.close();
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
        Box::pin(self.ask(move |reply| Job::List(query, reply)))
    }

    fn rows(&self, sessions: Vec<SessionId>) -> Pending<'_, Result<Vec<Row>, StoreError>> {
        Box::pin(self.ask(move |reply| Job::Rows(sessions, reply)))
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
        Box::pin(self.ask(move |reply| Job::Rebuild(rows, reply)))
    }
}
