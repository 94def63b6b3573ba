//! The thread that alone touches the words' file: follows the journals, answers questions between two batches.
//!
//! Invariants: it sleeps while there is nothing to follow; it reads the file and the list only a moment after a start; a
//! file that is lost, foreign or damaged is begun anew at once, for the journals have it all.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use outlive_core::context::fold_messages;
use outlive_core::event::{Entry, Event, Line};
use outlive_core::id::{Seq, SessionId};

use super::table::{News, Table};
use super::text::Asked;
use super::{Catching, Found, SearchQuery, find};
use crate::StoreError;
use crate::clerk::Reply;
use crate::sqlite::{self, FileError};

/// How long after a start the list is compared with the words, unless somebody asks before.
const FIRST: Duration = Duration::from_millis(250);
/// How long heads gather: a question does not wait for it.
const GATHER: Duration = Duration::from_secs(60);
/// Longest pause before what failed is tried again.
const RETRY: Duration = Duration::from_secs(60);
/// Lines that are followed at once, and bytes of what was said in them.
const BATCH: usize = 1_024;
const BATCH_BYTES: usize = 1 << 20;
/// Lines of one session that are read at once.
const PAGE: usize = 512;
/// Batches that a question waits for.
const PATIENCE: usize = 2;

pub(super) enum Job {
    /// There is something to follow, soon.
    Told,
    Find(Asked, SearchQuery, Reply<Found>),
    Catching(Reply<Catching>),
    BeginAnew(Reply<Catching>),
    /// Take out what is gone.
    Erase(Reply<()>),
}

/// What the thread was told and has not done yet.
#[derive(Default)]
pub(super) struct Told {
    /// Sessions with more than is followed, and how far they go.
    pub(super) heads: BTreeMap<SessionId, Seq>,
    /// Sessions that were removed.
    pub(super) gone: BTreeSet<SessionId>,
}

impl Told {
    pub(super) fn is_empty(&self) -> bool {
        self.heads.is_empty() && self.gone.is_empty()
    }
}

type Read = dyn Fn(SessionId, Seq, usize) -> Result<Vec<Line>, StoreError> + Send;
type Listed = dyn Fn() -> Result<HashMap<SessionId, Seq>, StoreError> + Send;

/// Where the words come from.
pub(crate) struct Truth {
    /// Lines of a journal after a position, acknowledged ones only.
    pub(crate) read: Box<Read>,
    /// The head that each row of the list covers. Blocks.
    pub(crate) listed: Box<Listed>,
}

/// The thread that alone touches the file.
pub(super) struct Keeper {
    path: PathBuf,
    truth: Truth,
    told: Arc<Mutex<Told>>,
    table: Option<Table>,
    /// Whether the list was compared with what is in the file.
    compared: bool,
}

impl Keeper {
    pub(super) fn new(path: &Path, truth: Truth, told: Arc<Mutex<Told>>) -> Self {
        Self { path: path.to_owned(), truth, told, table: None, compared: false }
    }

    /// Works until whoever asks is gone.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        let mut pause = Some(FIRST);
        let mut retry = GATHER;
        loop {
            let job = match pause {
                None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(pause) => jobs.recv_timeout(pause),
            };
            match job {
                Ok(Job::Told) => pause = pause.or(Some(GATHER)),
                Ok(job) => {
                    self.answer(job);
                    pause = pause.or(self.is_due().then_some(GATHER));
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => match self.step() {
                    Ok(()) => {
                        retry = GATHER;
                        pause = self.is_due().then_some(Duration::ZERO);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "words cannot be written now; they are found later");
                        pause = Some(retry);
                        retry = (retry * 2).min(RETRY);
                    }
                },
            }
        }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_due(&self) -> bool {
        !self.compared || !self.told().is_empty()
    }

    fn answer(&mut self, job: Job) {
        // Whoever asked may be gone.
        match job {
            Job::Told => {}
            Job::Find(asked, query, reply) => drop(reply.send(self.find(&asked, &query))),
            Job::Catching(reply) => drop(reply.send(self.catching())),
            Job::BeginAnew(reply) => drop(reply.send(self.begin_anew())),
            Job::Erase(reply) => drop(reply.send(self.take_out())),
        }
    }

    /// Does something with the file; begins it anew, and does it with that, where the file turns out unfit.
    fn with<T>(&mut self, mut work: impl FnMut(&mut Table) -> Result<T, FileError>) -> Result<T, StoreError> {
        let mut done = self.attempt(&mut work);
        if let Err(FileError::Unfit(why)) = &done {
            tracing::error!(%why, "search.db is damaged: set aside, begun anew");
            self.table = None;
            sqlite::set_aside(&self.path);
            self.compared = false;
            done = self.attempt(&mut work);
        }
        done.map_err(|error| error.of("search.db", "is made anew"))
    }

    fn attempt<T>(&mut self, work: &mut impl FnMut(&mut Table) -> Result<T, FileError>) -> Result<T, FileError> {
        let table = match self.table.take() {
            Some(table) => table,
            None => Table::open(&self.path)?,
        };
        work(self.table.insert(table))
    }

    /// Takes a step towards knowing everything.
    fn step(&mut self) -> Result<(), StoreError> {
        let path = self.path.clone();
        self.with(|table| table.restore(&path))?;
        self.compare()?;
        self.take_out()?;
        self.follow()
    }

    /// Compares the list with what is in the file, once.
    fn compare(&mut self) -> Result<(), StoreError> {
        if self.compared {
            return Ok(());
        }
        let positions = self.with(|table| Table::positions(table))?;
        let mut listed = (self.truth.listed)()?;
        let mut gone = Vec::new();
        for (session, position) in positions {
            match listed.remove(&session) {
                Some(head) if head > position => drop(listed.insert(session, head)),
                Some(head) => {
                    // Followed further than the row, which may be late, and than the journal, which was cut: read again.
                    let is_cut = head < position && !self.has(session, position)?;
                    if is_cut {
                        gone.push(session);
                        listed.insert(session, head);
                    }
                }
                None if self.has(session, 1)? => {}
                None => gone.push(session),
            }
        }
        let mut told = self.told();
        told.gone.extend(gone);
        for (session, head) in listed {
            told.heads.entry(session).or_insert(head);
        }
        drop(told);
        self.compared = true;
        Ok(())
    }

    /// Says whether a journal has this line.
    fn has(&self, session: SessionId, seq: Seq) -> Result<bool, StoreError> {
        match (self.truth.read)(session, seq.saturating_sub(1), 1) {
            Ok(lines) => Ok(!lines.is_empty()),
            Err(StoreError::NotFound(_)) => Ok(false),
            Err(StoreError::Corrupt { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Takes out what was removed.
    fn take_out(&mut self) -> Result<(), StoreError> {
        let gone: Vec<SessionId> = self.told().gone.iter().copied().collect();
        if gone.is_empty() {
            return Ok(());
        }
        for session in gone {
            self.with(|table| table.erase(session))?;
            self.told().gone.remove(&session);
        }
        sqlite::drop_set_aside(&self.path)
    }

    /// Follows the next of the journals, a batch of them.
    fn follow(&mut self) -> Result<(), StoreError> {
        let due: Vec<(SessionId, Seq)> =
            self.told().heads.iter().take(BATCH).map(|(session, head)| (*session, *head)).collect();
        if due.is_empty() {
            return Ok(());
        }
        let (mut news, mut lines, mut bytes) = (Vec::new(), 0, 0);
        let mut done = Vec::new();
        for (session, head) in due {
            if lines >= BATCH || bytes >= BATCH_BYTES {
                break;
            }
            let position = self.with(|table| table.position(session))?;
            let (read, one) = self.news(session, position, head)?;
            lines += read + 1;
            let end = one.as_ref().map_or(position, |one| one.position);
            // What cannot be read any further is not tried again before it grows.
            if end >= head || read < PAGE {
                done.push((session, head));
            }
            if let Some(one) = one {
                bytes += one.messages.iter().map(|message| message.content.len()).sum::<usize>();
                news.push(one);
            }
        }
        self.with(|table| table.add(&news))?;
        let mut told = self.told();
        for (session, head) in done {
            if told.heads.get(&session) == Some(&head) {
                told.heads.remove(&session);
            }
        }
        Ok(())
    }

    /// Reads what follows a position: how many lines there were, and what is in them.
    fn news(&self, session: SessionId, position: Seq, head: Seq) -> Result<(usize, Option<News>), StoreError> {
        if position >= head {
            return Ok((0, None));
        }
        let lines = match (self.truth.read)(session, position, PAGE) {
            Ok(lines) => lines,
            // Its words go when its removal is told; a damaged one keeps those that it has.
            Err(StoreError::NotFound(_) | StoreError::Corrupt { .. }) => return Ok((0, None)),
            Err(error) => return Err(error),
        };
        let Some(last) = lines.last().map(Line::seq) else { return Ok((0, None)) };
        // A line that this version cannot read says nothing to it.
        let entries: Vec<Entry> = lines.iter().filter_map(|line| line.read().ok()).collect();
        let mut messages = fold_messages(&entries);
        messages.retain(|message| !message.content.is_empty());
        Ok((
            lines.len(),
            Some(News { session, agent: entries.first().and_then(agent), messages, after: position, position: last }),
        ))
    }

    fn find(&mut self, asked: &Asked, query: &SearchQuery) -> Result<Found, StoreError> {
        let found = self.look(asked, query)?;
        // A file that the question has shown to be unfit is empty now.
        if self.compared { Ok(found) } else { self.look(asked, query) }
    }

    fn look(&mut self, asked: &Asked, query: &SearchQuery) -> Result<Found, StoreError> {
        self.hurry()?;
        let found = self.with(|table| find::find(&table.connection, asked, query))?;
        Ok(Found { behind: self.behind(), ..found })
    }

    /// Returns how many sessions are behind: at least one, while it is not known.
    fn behind(&self) -> usize {
        self.told().heads.len().max(usize::from(!self.compared))
    }

    /// Follows what was told until now, unless it is much.
    fn hurry(&mut self) -> Result<(), StoreError> {
        for _ in 0..PATIENCE {
            let done = self.step();
            // A full disk hides what is new, not what is there.
            if done.is_err() || !self.is_due() {
                return self.with(|_| Ok(()));
            }
        }
        Ok(())
    }

    fn catching(&mut self) -> Result<Catching, StoreError> {
        self.hurry()?;
        let sessions = self.with(|table| Table::count(table))?;
        Ok(Catching { sessions, behind: self.behind() })
    }

    fn begin_anew(&mut self) -> Result<Catching, StoreError> {
        self.table = None;
        sqlite::remove(&self.path);
        self.compared = false;
        self.compare()?;
        Ok(Catching { sessions: 0, behind: self.told().heads.len() })
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "only the first event says whose session it is")]
fn agent(first: &Entry) -> Option<String> {
    match &first.event {
        Event::SessionCreated(created) => Some(created.agent.to_string()),
        _other => None,
    }
}
