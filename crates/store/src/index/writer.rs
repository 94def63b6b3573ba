//! The thread that alone touches the list's file: answers questions, and writes what was noted once it has gathered.
//!
//! Invariants: it sleeps while nothing is unwritten; rows that could not be written stay noted; half a list is never
//! given out: once the file has turned out damaged, lists fail until a rebuild.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use outlive_core::id::{Seq, SessionId};

use super::table::{Mark, Notes, Table};
use super::{ListQuery, Log, Row, WaitQuery, WaitRow, page, page_of_waits};
use crate::StoreError;
use crate::clerk::Reply;
use crate::sqlite::{self, Checkpoint, FileError};

/// How long rows gather before they are written.
const GATHER: Duration = Duration::from_millis(200);
/// Longest pause before rows that could not be written are tried again.
const RETRY: Duration = Duration::from_secs(30);

pub(super) enum Job {
    /// There is something to write, soon.
    Dirty,
    List(ListQuery, Reply<Vec<Row>>),
    Rows(Vec<SessionId>, Reply<Vec<Row>>),
    Waits(WaitQuery, Reply<Vec<WaitRow>>),
    Owing(Reply<Vec<SessionId>>),
    Heads(Reply<HashMap<SessionId, Seq>>),
    Rebuild(Vec<Row>, Reply<()>),
    Applied(u64, Reply<()>),
    /// Rows that were taken off are to leave nothing in any file.
    Erase(Reply<()>),
}

/// What is not written yet.
#[derive(Default)]
pub(super) struct Unwritten {
    pub(super) notes: Notes,
    /// Heads that were announced and that no row covers yet.
    pub(super) announced: BTreeMap<SessionId, Seq>,
    pub(super) whole: Whole,
}

/// Whether every session has a row.
#[derive(Default)]
pub(super) enum Whole {
    /// The file says so.
    #[default]
    Yes,
    /// It does now; the file is to say so.
    Unsaid,
    /// These have none. `None`: not yet counted.
    Lacks(Option<BTreeSet<SessionId>>),
}

impl Unwritten {
    pub(super) fn note(&mut self, session: SessionId, row: Option<Row>) {
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

/// The thread that alone touches the file.
pub(super) struct Writer {
    /// Nothing after the file turned out damaged, until a rebuild.
    table: Option<Table>,
    path: PathBuf,
    /// The commit position that the list was told of last.
    applied: u64,
    pub(super) unwritten: Arc<Mutex<Unwritten>>,
}

impl Writer {
    /// Opens the file, or a new one where it is unfit or was not told of all that the log has let go of.
    pub(super) fn open(path: &Path, log: &Log) -> Result<Self, StoreError> {
        let (table, whole) = match Table::open(path).and_then(|table| ready(table, log)) {
            Err(FileError::Unfit(why)) => {
                tracing::warn!(%why, "index.db set aside");
                Table::renew(path).and_then(|table| ready(table, log))
            }
            other => other,
        }?;
        let applied = table.mark(Mark::Applied)?;
        let unwritten = Arc::new(Mutex::new(Unwritten { whole, ..Unwritten::default() }));
        Ok(Self { table: Some(table), path: path.to_owned(), applied, unwritten })
    }

    /// Works until whoever asks is gone.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        let mut pause: Option<Duration> = None;
        loop {
            let job = match pause {
                None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(pause) => jobs.recv_timeout(pause),
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
        self.restore();
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

    /// Writes the file anew if somebody deleted it: what is open still has all of it.
    fn restore(&mut self) {
        if sqlite::is_there(&self.path) {
            return;
        }
        let Some(table) = self.table.as_mut() else { return };
        tracing::warn!("index.db was deleted: written anew");
        if let Err(error) = table.restore(&self.path) {
            self.judge(error);
        }
    }

    fn unwritten(&self) -> MutexGuard<'_, Unwritten> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn table(&mut self) -> Result<&mut Table, FileError> {
        self.table.as_mut().ok_or_else(|| FileError::Unfit("damaged".to_owned()))
    }

    /// Sets a damaged file aside, so that the next start rebuilds it.
    fn judge(&mut self, error: FileError) -> StoreError {
        if matches!(error, FileError::Unfit(_)) && self.table.take().is_some() {
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
            Job::Rows(sessions, reply) => drop(reply.send(self.rows(&sessions))),
            Job::Waits(query, reply) => drop(reply.send(self.waits(&query))),
            Job::Owing(reply) => drop(reply.send(self.owing())),
            Job::Heads(reply) => drop(reply.send(self.heads())),
            Job::Rebuild(rows, reply) => drop(reply.send(self.rebuild(rows))),
            Job::Applied(position, reply) => drop(reply.send(self.applied(position))),
            Job::Erase(reply) => drop(reply.send(self.erase())),
        }
    }

    fn read<T>(&mut self, read: impl FnOnce(&Table) -> Result<T, FileError>) -> Result<T, StoreError> {
        self.table().and_then(|table| read(table)).map_err(|error| self.judge(error))
    }

    fn list(&mut self, query: &ListQuery) -> Result<Vec<Row>, StoreError> {
        let notes = self.unwritten().notes.clone();
        let mut rows = self.read(|table| table.page(query, query.limit.saturating_add(notes.len())))?;
        rows.retain(|row| !notes.contains_key(&row.session));
        rows.extend(notes.into_values().flatten());
        Ok(page(rows, query))
    }

    fn rows(&mut self, sessions: &[SessionId]) -> Result<Vec<Row>, StoreError> {
        let mut rows = self.read(|table| table.rows(sessions))?;
        let unwritten = self.unwritten();
        rows.retain(|row| !unwritten.notes.contains_key(&row.session));
        rows.extend(sessions.iter().filter_map(|session| unwritten.notes.get(session)?.clone()));
        Ok(rows)
    }

    fn waits(&mut self, query: &WaitQuery) -> Result<Vec<WaitRow>, StoreError> {
        // A row that is noted meanwhile is not of this answer.
        let noted: HashMap<SessionId, Vec<WaitRow>> = {
            let waits = |row: &Option<Row>| row.as_ref().map(|row| row.waits.clone()).unwrap_or_default();
            self.unwritten().notes.iter().map(|(session, row)| (*session, waits(row))).collect()
        };
        let found = self.read(|table| table.waits(query, |session| noted.contains_key(&session)))?;
        let noted = noted.into_values().flatten();
        Ok(page_of_waits(found.into_iter().chain(noted), query))
    }

    fn owing(&mut self) -> Result<Vec<SessionId>, StoreError> {
        if self.table.is_none() {
            self.table = Some(Table::open(&self.path)?);
        }
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
        // What was noted before is replaced, too.
        self.unwritten().notes.clear();
        let notes: Notes = rows.into_iter().map(|row| (row.session, Some(row))).collect();
        let marks = [(Mark::Complete, 1), (Mark::Applied, self.applied)];
        let in_place = self.table().and_then(|table| table.replace(&notes, &marks));
        if let Err(error) = in_place {
            self.judge(error);
            let mut table = Table::open(&self.path)?;
            table.replace(&notes, &marks)?;
            self.table = Some(table);
        }
        self.unwritten().whole = Whole::Yes;
        self.read(|table| table.checkpoint(Checkpoint::Full))
    }

    fn erase(&mut self) -> Result<(), StoreError> {
        self.write(None)?;
        self.read(|table| table.checkpoint(Checkpoint::Truncate))?;
        sqlite::drop_set_aside(&self.path)
    }

    fn applied(&mut self, position: u64) -> Result<(), StoreError> {
        self.write(Some(position))?;
        self.applied = position;
        self.read(|table| table.checkpoint(Checkpoint::Full))
    }
}

/// Empties a list that does not fit the log, and says whether the list is whole.
fn ready(mut table: Table, log: &Log) -> Result<(Table, Whole), FileError> {
    let applied = table.mark(Mark::Applied)?;
    let fits = applied <= log.position && applied + log.frames >= log.position;
    if !fits {
        tracing::info!(applied, position = log.position, "list does not fit the journals: rebuilt");
        table.replace(&Notes::new(), &[(Mark::Complete, 0), (Mark::Applied, log.position)])?;
    }
    let whole = if table.mark(Mark::Complete)? == 1 { Whole::Yes } else { Whole::Lacks(None) };
    Ok((table, whole))
}
