//! A file that follows the journals: derived, deletable, rebuilt. A thread that alone touches it reads them and answers
//! questions between two batches.
//!
//! Journals are followed when somebody asks, or when much has gathered: many small writes would write the same pages again
//! and again. Invariants: it sleeps until then; it reads the file and the list only a moment after a start; a
//! file that is lost, foreign or damaged is begun anew at once, for the journals have it all.

mod told;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use outlive_core::event::Line;
use outlive_core::id::{Seq, SessionId};

use crate::clerk::{Clerk, Reply};
use crate::sqlite::{self, FileError};
use crate::{Catching, StoreError};
use told::{GATHERED, Told};

/// What is in such a file. Every call blocks. A session's part and its position change together.
pub(crate) trait Kept: Send + Sized + 'static {
    /// The file's name.
    const FILE: &'static str;
    /// What follows a session's position.
    type News;

    /// Opens the file, made where it is missing; one that is unfit is set aside.
    fn open(path: &Path) -> Result<Self, FileError>;
    /// Writes the file anew where it was deleted.
    fn restore(&mut self, path: &Path) -> Result<(), FileError>;
    /// Returns how far each session was followed.
    fn positions(&self) -> Result<Vec<(SessionId, Seq)>, FileError>;
    /// Returns how far a session was followed.
    fn position(&self, session: SessionId) -> Result<Seq, FileError>;
    /// Makes news of the lines that follow a position, which are at least one.
    fn news(session: SessionId, after: Seq, lines: &[Line]) -> Self::News;
    /// Adds what is new, all or nothing; but not what follows another position than the session's.
    fn add(&mut self, news: &[Self::News]) -> Result<(), FileError>;
    /// Takes a session out: nothing of it is left in the file.
    fn erase(&mut self, session: SessionId) -> Result<(), FileError>;
}

/// Such a file, from outside of its thread: to be told of a head costs its caller a lock and a map entry, and of lines an
/// addition.
pub(crate) struct Following<K: Kept> {
    told: Arc<Told>,
    clerk: Clerk<Job<K>>,
}

impl<K: Kept> Following<K> {
    /// Starts the thread that keeps the file at this path. The file is opened later: a start does not wait for it.
    pub(crate) fn open(path: &Path, truth: Truth) -> Result<Self, StoreError> {
        let told = Arc::<Told>::default();
        let keeper = Keeper::new(path, truth, Arc::clone(&told));
        Ok(Self { told, clerk: Clerk::start(K::FILE, move |jobs| keeper.run(&jobs))? })
    }

    /// Says that so many bytes of lines were appended, of which heads will be told.
    pub(crate) fn grew(&self, bytes: usize) {
        self.told.grew(bytes);
    }

    /// Says that a session's journal has come to this head.
    pub(crate) fn tell(&self, session: SessionId, head: Seq) {
        if self.told.head(session, head) {
            // With the channel full, the thread has other work, after which it looks anyway.
            self.clerk.send(Job::Follow).ok();
        }
    }

    /// Takes out a session that was removed: nothing of it is left in any file.
    pub(crate) async fn erase(&self, session: SessionId) -> Result<(), StoreError> {
        self.told.gone(session);
        self.clerk.ask(Job::Erase).await
    }

    /// Asks the file something, once it has followed what was durable before; and how many sessions are behind.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        mut question: impl FnMut(&mut K) -> Result<T, FileError> + Send + 'static,
    ) -> Result<(T, usize), StoreError> {
        let job = |reply: Reply<(T, usize)>| {
            // Whoever asked may be gone.
            Job::Ask(Box::new(move |keeper: &mut Keeper<K>| drop(reply.send(keeper.find(&mut question)))))
        };
        self.clerk.ask(job).await
    }

    /// Says how far it is.
    pub(crate) async fn catching(&self) -> Result<Catching, StoreError> {
        self.clerk.ask(Job::Catching).await
    }

    /// Follows all that was durable before.
    pub(crate) async fn catch_up(&self) -> Result<Catching, StoreError> {
        self.clerk.ask(Job::CatchUp).await
    }

    /// Forgets everything and begins anew.
    pub(crate) async fn begin_anew(&self) -> Result<Catching, StoreError> {
        self.clerk.ask(Job::BeginAnew).await
    }

    /// Ends the thread. Blocks. What it has not followed yet, it finds at the next start.
    pub(crate) fn close(&self) {
        self.clerk.close();
    }
}

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

/// What somebody asks, with where its answer goes.
type Question<K> = Box<dyn FnOnce(&mut Keeper<K>) + Send>;

enum Job<K: Kept> {
    /// Much has gathered.
    Follow,
    Ask(Question<K>),
    Catching(Reply<Catching>),
    CatchUp(Reply<Catching>),
    BeginAnew(Reply<Catching>),
    /// Take out what is gone.
    Erase(Reply<()>),
}

type Read = dyn Fn(SessionId, Seq, usize) -> Result<Vec<Line>, StoreError> + Send;
type Listed = dyn Fn() -> Result<HashMap<SessionId, Seq>, StoreError> + Send;

/// Where it all comes from.
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
    /// The last of them.
    last: Seq,
}

/// The thread that alone touches the file.
struct Keeper<K: Kept> {
    path: PathBuf,
    truth: Truth,
    told: Arc<Told>,
    table: Option<K>,
    /// Whether the list was compared with what is in the file.
    compared: bool,
}

impl<K: Kept> Keeper<K> {
    fn new(path: &Path, truth: Truth, told: Arc<Told>) -> Self {
        Self { path: path.to_owned(), truth, told, table: None, compared: false }
    }

    /// Works until whoever asks is gone.
    fn run(mut self, jobs: &Receiver<Job<K>>) {
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
                        tracing::warn!(file = K::FILE, %error, "file cannot be written now; it follows later");
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

    fn answer(&mut self, job: Job<K>) {
        // Whoever asked may be gone.
        match job {
            Job::Follow => {}
            Job::Ask(question) => question(self),
            Job::Catching(reply) => drop(reply.send(self.catching())),
            Job::CatchUp(reply) => drop(reply.send(self.catch_up())),
            Job::BeginAnew(reply) => drop(reply.send(self.begin_anew())),
            Job::Erase(reply) => drop(reply.send(self.take_out())),
        }
    }

    /// Does something with the file; begins it anew, and does it with that, where the file turns out unfit.
    fn with<T>(&mut self, mut work: impl FnMut(&mut K) -> Result<T, FileError>) -> Result<T, StoreError> {
        let mut done = self.attempt(&mut work);
        if let Err(FileError::Unfit(why)) = &done {
            tracing::error!(file = K::FILE, %why, "file is damaged: set aside, begun anew");
            self.table = None;
            sqlite::set_aside(&self.path);
            self.compared = false;
            done = self.attempt(&mut work);
        }
        done.map_err(|error| error.of(K::FILE, "is made anew"))
    }

    fn attempt<T>(&mut self, work: &mut impl FnMut(&mut K) -> Result<T, FileError>) -> Result<T, FileError> {
        let table = match self.table.take() {
            Some(table) => table,
            None => K::open(&self.path)?,
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
        let positions = self.with(|table| K::positions(table))?;
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
            let end = if one.is_some() { read.last } else { position };
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
    fn news(&self, session: SessionId, position: Seq, head: Seq) -> Result<(Amount, Option<K::News>), StoreError> {
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
        let bytes = lines.iter().map(|line| line.as_str().len() as u64).sum();
        let read = Amount { lines: lines.len(), bytes, last };
        Ok((read, Some(K::news(session, position, &lines))))
    }

    fn find<T>(&mut self, question: &mut impl FnMut(&mut K) -> Result<T, FileError>) -> Result<(T, usize), StoreError> {
        let found = self.look(question)?;
        // A file that the question has shown to be unfit is empty now.
        if self.compared { Ok(found) } else { self.look(question) }
    }

    fn look<T>(&mut self, question: &mut impl FnMut(&mut K) -> Result<T, FileError>) -> Result<(T, usize), StoreError> {
        self.hurry()?;
        let found = self.with(question)?;
        Ok((found, self.behind()))
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
        let sessions = self.with(|table| K::positions(table))?.len();
        Ok(Catching { sessions, behind: self.behind() })
    }

    fn catch_up(&mut self) -> Result<Catching, StoreError> {
        self.prepare()?;
        let told: Vec<(SessionId, Seq)> =
            self.told.due().heads.iter().map(|(session, head)| (*session, *head)).collect();
        for (session, head) in told {
            // What cannot be read any further is told no more.
            while self.told.due().heads.contains_key(&session) && self.with(|table| table.position(session))? < head {
                self.follow()?;
            }
        }
        let sessions = self.with(|table| K::positions(table))?.len();
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
