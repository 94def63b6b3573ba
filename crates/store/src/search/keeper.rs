//! The thread that alone touches the words' file: follows the journals, answers questions between two batches.
//!
//! Journals are followed when somebody asks, or when much has gathered: many small writes would write the same pages again
//! and again. Invariants: it sleeps until then; it reads the file and the list only a moment after a start; a
//! file that is lost, foreign or damaged is begun anew at once, for the journals have it all.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use outlive_core::context::fold_messages;
use outlive_core::event::{Entry, Event, Line};
use outlive_core::id::{Seq, SessionId};

use super::table::{News, Table};
use super::text::Asked;
use super::told::{GATHERED, Told};
use super::{Catching, Found, SearchQuery, find};
use crate::StoreError;
use crate::clerk::Reply;
use crate::sqlite::{self, FileError};

/// How long after a start the list is compared with the words, unless somebody asks before.
const FIRST: Duration = Duration::from_millis(250);
/// Pause before what failed is tried again.
const RETRY: Duration = Duration::from_secs(60);
/// Lines that are followed at once, unless they are so many bytes before.
const BATCH: usize = 16_384;
const BATCH_BYTES: u64 = GATHERED;
/// Lines of one session that are read at once.
const PAGE: usize = 512;
/// Batches that a question waits for: what can have gathered, and what came while that was followed.
const PATIENCE: usize = 2;

pub(super) enum Job {
    /// Much has gathered.
    Follow,
    Find(Asked, SearchQuery, Reply<Found>),
    Catching(Reply<Catching>),
    BeginAnew(Reply<Catching>),
    /// Take out what is gone.
    Erase(Reply<()>),
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

/// How much of a journal was read.
#[derive(Default)]
struct Amount {
    lines: usize,
    bytes: u64,
}

/// The thread that alone touches the file.
pub(super) struct Keeper {
    path: PathBuf,
    truth: Truth,
    told: Arc<Told>,
    table: Option<Table>,
    /// Whether the list was compared with what is in the file.
    compared: bool,
}

impl Keeper {
    pub(super) fn new(path: &Path, truth: Truth, told: Arc<Told>) -> Self {
        Self { path: path.to_owned(), truth, told, table: None, compared: false }
    }

    /// Works until whoever asks is gone.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        let mut failed = None;
        loop {
            let job = match failed.or_else(|| self.pause()) {
                None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(pause) => jobs.recv_timeout(pause),
            };
            match job {
                Ok(job) => self.answer(job),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    let done = self.keep_up();
                    failed = done.is_err().then_some(RETRY);
                    if let Err(error) = done {
                        tracing::warn!(%error, "words cannot be written now; they are found later");
                    }
                }
            }
        }
    }

    /// How long to wait for somebody who asks.
    fn pause(&self) -> Option<Duration> {
        if self.compared { self.told.is_full().then_some(Duration::ZERO) } else { Some(FIRST) }
    }

    /// Takes a step towards knowing everything, where much is missing.
    fn keep_up(&mut self) -> Result<(), StoreError> {
        self.prepare()?;
        if self.told.is_full() { self.follow() } else { Ok(()) }
    }

    fn is_due(&self) -> bool {
        !self.compared || !self.told.is_empty()
    }

    fn answer(&mut self, job: Job) {
        // Whoever asked may be gone.
        match job {
            Job::Follow => {}
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
        self.prepare()?;
        self.follow()
    }

    /// Makes sure that the file is there, of what is not known yet and what is to be taken out.
    fn prepare(&mut self) -> Result<(), StoreError> {
        let path = self.path.clone();
        self.with(|table| table.restore(&path))?;
        self.compare()?;
        self.take_out()
    }

    /// Compares the list with what is in the file, once.
    fn compare(&mut self) -> Result<(), StoreError> {
        if self.compared {
            return Ok(());
        }
        let positions = self.with(|table| Table::positions(table))?;
        let mut listed = (self.truth.listed)()?;
        let (mut gone, mut lines) = (Vec::new(), listed.values().sum::<Seq>());
        for (session, position) in positions {
            match listed.remove(&session) {
                Some(head) if head > position => {
                    lines = lines.saturating_sub(position);
                    listed.insert(session, head);
                }
                Some(head) => {
                    // Followed further than the row, which may be late, and than the journal, which was cut: read again.
                    let is_cut = head < position && !self.has(session, position)?;
                    if is_cut {
                        gone.push(session);
                        listed.insert(session, head);
                    } else {
                        lines = lines.saturating_sub(head);
                    }
                }
                None if self.has(session, 1)? => {}
                None => gone.push(session),
            }
        }
        self.told.found(gone, listed, lines);
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
        let gone: Vec<SessionId> = self.told.due().gone.iter().copied().collect();
        if gone.is_empty() {
            return Ok(());
        }
        for session in gone {
            self.with(|table| table.erase(session))?;
            self.told.due().gone.remove(&session);
        }
        sqlite::drop_set_aside(&self.path)
    }

    /// Follows the next of the journals, a batch of them.
    fn follow(&mut self) -> Result<(), StoreError> {
        let due: Vec<(SessionId, Seq)> =
            self.told.due().heads.iter().take(BATCH).map(|(session, head)| (*session, *head)).collect();
        if due.is_empty() {
            return Ok(());
        }
        let (mut news, mut done) = (Vec::new(), Vec::new());
        let (mut lines, mut bytes) = (0, 0);
        for (session, head) in due {
            if lines >= BATCH || bytes >= BATCH_BYTES {
                break;
            }
            let position = self.with(|table| table.position(session))?;
            let (read, one) = self.news(session, position, head)?;
            lines += read.lines + 1;
            bytes += read.bytes;
            let end = one.as_ref().map_or(position, |one| one.position);
            // What cannot be read any further is not tried again before it grows.
            if end >= head || read.lines < PAGE {
                done.push((session, head));
            }
            news.extend(one);
        }
        self.with(|table| table.add(&news))?;
        self.told.followed(&done, bytes);
        Ok(())
    }

    /// Reads what follows a position: how much it was, and what is in it.
    fn news(&self, session: SessionId, position: Seq, head: Seq) -> Result<(Amount, Option<News>), StoreError> {
        if position >= head {
            return Ok((Amount::default(), None));
        }
        let lines = match (self.truth.read)(session, position, PAGE) {
            Ok(lines) => lines,
            // Its words go when its removal is told; a damaged one keeps those that it has.
            Err(StoreError::NotFound(_) | StoreError::Corrupt { .. }) => return Ok((Amount::default(), None)),
            Err(error) => return Err(error),
        };
        let Some(last) = lines.last().map(Line::seq) else { return Ok((Amount::default(), None)) };
        // A line that this version cannot read says nothing to it.
        let entries: Vec<Entry> = lines.iter().filter_map(|line| line.read().ok()).collect();
        let mut messages = fold_messages(&entries);
        messages.retain(|message| !message.content.is_empty());
        let bytes = lines.iter().map(|line| line.as_str().len() as u64).sum();
        Ok((
            Amount { lines: lines.len(), bytes },
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
        self.told.due().heads.len().max(usize::from(!self.compared))
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
        Ok(Catching { sessions: 0, behind: self.told.due().heads.len() })
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "only the first event says whose session it is")]
fn agent(first: &Entry) -> Option<String> {
    match &first.event {
        Event::SessionCreated(created) => Some(created.agent.to_string()),
        _other => None,
    }
}
