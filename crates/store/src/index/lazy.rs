//! The list on SQLite, written lazily by one thread: a note costs its caller a lock and a map entry.
//!
//! Invariants: a list shows every row noted before it was asked for, written or not. The thread sleeps while nothing is
//! unwritten. What the file says is believed only if it was told of every commit position that the log no longer holds;
//! else it starts empty, and every session is unsettled until its row was noted. A session whose events were announced
//! and not noted when the log was let go of is unsettled too.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use outlive_core::id::{Seq, SessionId};
use tokio::sync::{Semaphore, oneshot};

use super::table::{Mark, Notes, Table, TableError};
use super::{Index, ListQuery, Row, page};
use crate::{Directory, Journals, Pending, StoreError};

/// How long rows gather before they are written.
const GATHER: Duration = Duration::from_millis(200);
/// Longest pause before rows that could not be written are tried again.
const RETRY: Duration = Duration::from_secs(30);
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

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

enum Job {
    /// There is something to write, soon.
    Dirty,
    List(ListQuery, Reply<Vec<Row>>),
    Owing(Reply<Vec<SessionId>>),
    Heads(Reply<HashMap<SessionId, Seq>>),
    Rebuild(Vec<Row>, Reply<()>),
    Applied(u64, Reply<()>),
}

/// What is not written yet.
#[derive(Default)]
struct Unwritten {
    notes: Notes,
    /// Heads that were announced and that no row covers yet.
    announced: BTreeMap<SessionId, Seq>,
    whole: Whole,
}

/// Whether every session has a row.
#[derive(Default)]
enum Whole {
    /// The file says so.
    #[default]
    Yes,
    /// It does now; the file is to say so.
    Unsaid,
    /// These have none. `None`: not yet counted.
    Lacks(Option<BTreeSet<SessionId>>),
}

impl Unwritten {
    fn note(&mut self, session: SessionId, row: Option<Row>) {
        let covers = row.as_ref().map_or(Seq::MAX, |row| row.head);
        if self.announced.get(&session).is_some_and(|head| *head <= covers) {
            self.announced.remove(&session);
        }
        self.notes.insert(session, row);
        if let Whole::Lacks(Some(missing)) = &mut self.whole {
            missing.remove(&session);
            if missing.is_empty() {
                self.whole = Whole::Unsaid;
            }
        }
    }
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
        let mut table = Table::open(path)?;
        let applied = table.mark(Mark::Applied)?;
        let fits = applied <= log.position && applied + log.frames >= log.position;
        if !fits {
            tracing::info!(applied, position = log.position, "list does not fit the journals: rebuilt");
            table.replace(&Notes::new(), &[(Mark::Complete, 0), (Mark::Applied, log.position)])?;
        }
        let whole = if table.mark(Mark::Complete)? == 1 { Whole::Yes } else { Whole::Lacks(None) };
        let unwritten = Arc::new(Mutex::new(Unwritten { whole, ..Unwritten::default() }));
        let (sender, receiver) = sync_channel(QUESTIONS * 2);
        let writer =
            Writer { table: Some(table), path: path.to_owned(), unwritten: Arc::clone(&unwritten), jobs: receiver };
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
    /// as unsettled.
    pub fn announce(&self, session: SessionId, head: Seq) {
        let mut unwritten = self.unwritten();
        let announced = unwritten.announced.entry(session).or_insert(head);
        *announced = (*announced).max(head);
    }

    /// Takes an announcement back: nothing was appended.
    pub fn retract(&self, session: SessionId, head: Seq) {
        let mut unwritten = self.unwritten();
        if unwritten.announced.get(&session) == Some(&head) {
            unwritten.announced.remove(&session);
        }
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
                Ok(head) if covered.get(session) == Some(&head) => {}
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

    fn unsettled(&self) -> Pending<'_, Result<Vec<SessionId>, StoreError>> {
        Box::pin(self.find_unsettled())
    }

    fn needs_rebuild(&self) -> bool {
        matches!(self.unwritten().whole, Whole::Lacks(_))
    }

    fn rebuild(&self, rows: Vec<Row>) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(self.ask(move |reply| Job::Rebuild(rows, reply)))
    }
}

/// The thread that alone touches the file.
struct Writer {
    /// Nothing after the file turned out damaged, until a rebuild.
    table: Option<Table>,
    path: PathBuf,
    unwritten: Arc<Mutex<Unwritten>>,
    jobs: Receiver<Job>,
}

impl Writer {
    fn run(mut self) {
        let mut pause: Option<Duration> = None;
        loop {
            let job = match pause {
                None => self.jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(pause) => self.jobs.recv_timeout(pause),
            };
            match job {
                Ok(Job::Dirty) => pause = pause.or(Some(GATHER)),
                Ok(job) => {
                    self.answer(job);
                    pause = self.write_or_wait(pause);
                }
                Err(RecvTimeoutError::Timeout) => pause = self.write_or_wait(pause),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.write_or_wait(None);
    }

    /// Writes what is unwritten. If that fails, returns how long to wait before the next try.
    fn write_or_wait(&mut self, pause: Option<Duration>) -> Option<Duration> {
        match self.write(None) {
            Ok(()) => None,
            Err(error) => {
                let pause = pause.unwrap_or(GATHER);
                if pause == GATHER {
                    tracing::warn!(%error, "list cannot be written now; it is kept in memory");
                }
                Some((pause * 2).min(RETRY))
            }
        }
    }

    fn write(&mut self, applied: Option<u64>) -> Result<(), StoreError> {
        let (notes, stale, said) = {
            let mut unwritten = self.unwritten();
            let stale: Vec<SessionId> =
                applied.map(|_| unwritten.announced.keys().copied().collect()).unwrap_or_default();
            (std::mem::take(&mut unwritten.notes), stale, matches!(unwritten.whole, Whole::Unsaid))
        };
        let mut marks = Vec::new();
        marks.extend(applied.map(|position| (Mark::Applied, position)));
        marks.extend(said.then_some((Mark::Complete, 1)));
        if notes.is_empty() && marks.is_empty() {
            return Ok(());
        }
        let written = self.table().and_then(|table| table.write(&notes, &stale, &marks));
        let mut unwritten = self.unwritten();
        if let Err(error) = written {
            for (session, note) in notes {
                unwritten.notes.entry(session).or_insert(note);
            }
            drop(unwritten);
            return Err(self.judge(error));
        }
        if said {
            unwritten.whole = Whole::Yes;
        }
        Ok(())
    }

    fn unwritten(&self) -> MutexGuard<'_, Unwritten> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn table(&mut self) -> Result<&mut Table, TableError> {
        self.table.as_mut().ok_or_else(|| TableError::Unfit("damaged".to_owned()))
    }

    /// Sets a damaged file aside, so that the next start rebuilds it.
    fn judge(&mut self, error: TableError) -> StoreError {
        if matches!(error, TableError::Unfit(_)) && self.table.take().is_some() {
            tracing::error!(%error, "index.db is damaged: set aside");
            drop(Table::renew(&self.path));
            self.unwritten().whole = Whole::Lacks(None);
        }
        error.into()
    }

    fn answer(&mut self, job: Job) {
        // Whoever asked may be gone.
        match job {
            Job::Dirty => {}
            Job::List(query, reply) => drop(reply.send(self.list(&query))),
            Job::Owing(reply) => drop(reply.send(self.owing())),
            Job::Heads(reply) => drop(reply.send(self.heads())),
            Job::Rebuild(rows, reply) => drop(reply.send(self.rebuild(rows))),
            Job::Applied(position, reply) => drop(reply.send(self.applied(position))),
        }
    }

    fn read<T>(&mut self, read: impl FnOnce(&Table) -> Result<T, TableError>) -> Result<T, StoreError> {
        self.table().and_then(|table| read(table)).map_err(|error| self.judge(error))
    }

    fn list(&mut self, query: &ListQuery) -> Result<Vec<Row>, StoreError> {
        let notes = self.unwritten().notes.clone();
        let mut rows = self.read(|table| table.page(query, query.limit.saturating_add(notes.len())))?;
        rows.retain(|row| !notes.contains_key(&row.session));
        rows.extend(notes.into_values().flatten());
        Ok(page(rows, query))
    }

    fn owing(&mut self) -> Result<Vec<SessionId>, StoreError> {
        let mut owing: BTreeSet<SessionId> = self.read(Table::owing)?.into_iter().collect();
        for (session, note) in &self.unwritten().notes {
            if note.as_ref().is_some_and(|row| row.owed) {
                owing.insert(*session)
            } else {
                owing.remove(session)
            };
        }
        Ok(owing.into_iter().collect())
    }

    fn heads(&mut self) -> Result<HashMap<SessionId, Seq>, StoreError> {
        let mut heads = self.read(Table::heads)?;
        for (session, note) in &self.unwritten().notes {
            match note {
                Some(row) => heads.insert(*session, row.head),
                None => heads.remove(session),
            };
        }
        Ok(heads)
    }

    fn rebuild(&mut self, rows: Vec<Row>) -> Result<(), StoreError> {
        if self.table.is_none() {
            self.table = Some(Table::open(&self.path)?);
        }
        // What was noted before is replaced, too.
        self.unwritten().notes.clear();
        let notes: Notes = rows.into_iter().map(|row| (row.session, Some(row))).collect();
        let replaced = self.table().and_then(|table| {
            table.replace(&notes, &[(Mark::Complete, 1)])?;
            table.sync()
        });
        if let Err(error) = replaced {
            return Err(self.judge(error));
        }
        self.unwritten().whole = Whole::Yes;
        Ok(())
    }

    fn applied(&mut self, position: u64) -> Result<(), StoreError> {
        self.write(Some(position))?;
        self.read(Table::sync)
    }
}
