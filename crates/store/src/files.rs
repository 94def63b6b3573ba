//! Plain files: readable journals as the truth, and one shared commit log that makes appends of many sessions durable with
//! one sync.
//!
//! | Where | What |
//! |---|---|
//! | `committer` | the one thread that writes and syncs the log, then acknowledges |
//! | `flusher` | brings lines to `events.jsonl`, syncs them before a segment is recycled |
//! | `recover` | start-up: what the log acknowledged is in the journals |
//! | `tails`, `lines` | live ends; finding lines in a file by halving |
//! | `reader`, `past` | reading: what is not in a file yet, the file, the compressed segments before it |
//! | `shorten` | moving a long journal's older lines to such segments |
//! | [`frame`] | the log's format |
//! | [`fs`], [`faults`] | the seam to the disk, and a disk that loses, tears and refuses |
//! | `trash`, `erase`, `refs` | what is deleted: moved away and back, then erased; the artifacts that go with it |
//! | `scrub` | lines that are written anew, so that nothing is left of what they were |
//! | [`verify`], `mend` | looking for damage; a repair of what does not fit the log |
//! | [`lock`], [`beside`] | who owns the workspace; snapshots, artifacts |
//! | [`schedules`] | journals of schedules, each by itself |
//! | `folders` | agents |

pub mod beside;
mod committer;
mod crowd;
pub(crate) mod erase;
pub mod faults;
mod flusher;
mod folders;
pub mod frame;
pub mod fs;
pub mod kept;
mod lines;
pub mod lock;
mod mend;
mod past;
mod reader;
mod recover;
mod refs;
mod relays;
pub mod schedules;
pub(crate) mod scrub;
mod shorten;
mod tails;
#[cfg(feature = "trap")]
pub mod trap;
mod trash;
pub mod verify;

pub use recover::Recovery;
pub(crate) use refs::named_in;

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;

use outlive_core::event::Line;
use outlive_core::id::{Seq, SessionId};
use tokio::sync::{mpsc, oneshot};

use crate::journals::in_place_of;
use crate::{Append, Directory, Epoch, Journals, Leases, Opened, Pending, StoreError};
use committer::{Committer, Request, Segment, open_segment};
use flusher::Flusher;
use fs::Disk;
use lock::{Lock, LockError, Owner};
use tails::{Shared, io_error};

/// How the store behaves.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Bytes of a segment of the commit log.
    pub segment_bytes: u64,
    /// Bytes of acknowledged lines that may wait for their files; beyond, appends are refused as without space.
    pub backlog_bytes: usize,
    /// Appends that may wait for the committer.
    pub waiting: usize,
    /// Bytes of a journal's file beyond which its older lines move to compressed segments, until a quarter is left.
    pub live_bytes: u64,
    /// Bytes of lines that such a segment is to hold: at most half of the above.
    pub past_bytes: u64,
}

/// Returns the names of the files that hold a journal's lines, oldest first.
pub(crate) fn journal_files(disk: &dyn Disk, folder: &Path) -> io::Result<Vec<String>> {
    let numbers = past::segments(disk, folder)?;
    let mut names: Vec<String> = numbers.into_iter().map(past::name).collect();
    names.extend(disk.identity(&folder.join("events.jsonl")).is_ok().then(|| "events.jsonl".to_owned()));
    Ok(names)
}

const FIRST_SEGMENT: u64 = 1 << 20;

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 16 << 20,
            backlog_bytes: 64 << 20,
            waiting: 1_024,
            live_bytes: 32 << 20,
            past_bytes: 4 << 20,
        }
    }
}

/// Why a workspace cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("workspace is owned by process {}{}; use that server, or stop it first", .0.pid, at(.0))]
    Owned(Owner),
    /// The system says no.
    #[error("cannot open the workspace: {0}")]
    Io(#[from] io::Error),
}

impl From<LockError> for OpenError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Owned(owner) => Self::Owned(owner),
            LockError::Io(error) => Self::Io(error),
        }
    }
}

fn at(owner: &Owner) -> String {
    owner.address.as_ref().map(|address| format!(", which listens on {address}")).unwrap_or_default()
}

/// Journals on plain files.
pub struct FileJournals {
    shared: Arc<Shared>,
    lock: Arc<Lock>,
    requests: RwLock<Option<mpsc::Sender<Request>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    recovery: Recovery,
}

impl FileJournals {
    /// Opens a workspace: takes its lock, replays the log, starts the two threads. `checkpointed` is told each position up
    /// to which the files are synced, before its segment is recycled.
    ///
    /// # Errors
    ///
    /// [`OpenError`]
    pub fn open(
        root: &Path,
        disk: Arc<dyn Disk>,
        options: Options,
        checkpointed: Box<dyn Fn(u64) + Send>,
    ) -> Result<Arc<Self>, OpenError> {
        for folder in ["sessions", "commit", "run", "trash"] {
            disk.make_dir(&root.join(folder))?;
        }
        // The lock is a real file whatever the disk is: it keeps real processes apart.
        fs::Disk::make_dir(&fs::RealDisk, &root.join("run"))?;
        let lock = Arc::new(Lock::take(&root.join("run"))?);
        let shared = Arc::new(Shared::new(root.to_owned(), disk));
        let left = recover::recover(&shared)?;
        let mut free = left.free;
        let reused = free.pop();
        // The first segment is small unless a larger one is free, so that a workspace is there at once.
        let least = options.segment_bytes.min(FIRST_SEGMENT);
        let segment = match open_segment(&shared, left.number + 1, (reused.as_deref(), least)) {
            // Nothing can be written now, but all can be read; the first append that finds room makes a segment.
            Err(error) if fs::is_full(&error) => {
                tracing::warn!(%error, "no room for a segment of the commit log: appends are refused until there is");
                Segment::nowhere(left.number)
            }
            other => other?,
        };
        {
            let mut board = shared.board();
            board.position = left.position;
            board.segments.active.clone_from(&segment.path);
            board.segments.free = free;
            board.segments.retiring = left.live;
        }
        let (sender, requests) = mpsc::channel(options.waiting);
        let committer = Committer {
            shared: Arc::clone(&shared),
            lock: Arc::clone(&lock),
            options,
            segment,
            position: left.position,
            buffer: Vec::new(),
            crowd: crowd::Crowd::default(),
        };
        let flusher = Flusher { shared: Arc::clone(&shared), options, checkpointed };
        let threads = vec![
            std::thread::Builder::new().name("committer".to_owned()).spawn(move || committer.run(requests))?,
            std::thread::Builder::new().name("flusher".to_owned()).spawn(move || flusher.run())?,
        ];
        Ok(Arc::new(Self {
            shared,
            lock,
            requests: RwLock::new(Some(sender)),
            threads: Mutex::new(threads),
            recovery: left.recovery,
        }))
    }

    /// Returns what the start found.
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// Returns the lock.
    #[must_use]
    pub fn lock(&self) -> &Lock {
        &self.lock
    }

    /// Returns the last position that is durable.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.shared.board().position
    }

    /// Brings everything to the files, syncs it, and notes that the next start need not replay. Appends are refused
    /// from here on. Blocks.
    pub fn close(&self) {
        drop(self.requests.write().unwrap_or_else(PoisonError::into_inner).take());
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let mut threads = threads.into_iter();
        if let Some(committer) = threads.next() {
            committer.join().ok();
        }
        self.shared.board().closing = true;
        self.shared.work.notify_all();
        for flusher in threads {
            flusher.join().ok();
        }
        tracing::info!(syncs = fs::syncs(), "journals closed");
        let active = {
            let board = self.shared.board();
            let clean = !board.segments.active.as_os_str().is_empty()
                && board.dirty.is_empty()
                && board.unsynced.is_empty()
                && board.segments.retiring.is_empty();
            (clean && board.poisoned.is_none()).then(|| board.segments.active.clone())
        };
        if let Some(active) = active
            && let Err(error) = recover::let_go(&self.shared, &active)
        {
            tracing::warn!(%error, "clean shutdown not noted; the next start replays the log");
        }
    }

    async fn ask(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<(), StoreError>>) -> Request,
    ) -> Result<(), StoreError> {
        let closed = || StoreError::Poisoned("the store is closed".to_owned());
        let (reply, answer) = oneshot::channel();
        let full = {
            let requests = self.requests.read().unwrap_or_else(PoisonError::into_inner);
            let sender = requests.as_ref().ok_or_else(closed)?;
            match sender.try_send(request(reply)) {
                Ok(()) => None,
                Err(mpsc::error::TrySendError::Full(request)) => Some((sender.clone(), request)),
                Err(mpsc::error::TrySendError::Closed(_)) => return Err(closed()),
            }
        };
        if let Some((sender, request)) = full {
            sender.send(request).await.map_err(|_| closed())?;
        }
        answer.await.map_err(|_| closed())?
    }
}

impl Drop for FileJournals {
    fn drop(&mut self) {
        self.close();
    }
}

impl Journals for FileJournals {
    fn append(&self, append: Append) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(self.ask(move |reply| Request::Append(append, reply)))
    }

    fn read(&self, journal: SessionId, after: Seq, limit: usize) -> Pending<'_, Result<Opened, StoreError>> {
        // Files of journals are in the page cache or a few reads away: no thread of its own is worth it.
        Box::pin(async move { self.read_now(journal, after, limit) })
    }

    fn head(&self, journal: SessionId) -> Pending<'_, Result<Seq, StoreError>> {
        Box::pin(async move {
            let mut board = self.shared.board();
            let tail = self.shared.tail(&mut board, journal)?;
            tail.sound(journal)?;
            match tail.head {
                0 => Err(board.absent(journal)),
                head => Ok(head),
            }
        })
    }

    fn health(&self) -> Result<(), StoreError> {
        match &self.shared.board().poisoned {
            Some(why) => Err(StoreError::Poisoned(why.clone())),
            None if !self.lock.is_held() => Err(StoreError::Poisoned("the workspace's lock was taken away".to_owned())),
            None => Ok(()),
        }
    }

    fn syncs(&self) -> u64 {
        fs::syncs()
    }

    fn scrub(&self, journal: SessionId, epoch: Epoch, lines: Vec<Line>) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let lines = in_place_of(journal, self.head(journal).await?, lines)?;
            self.scrub_files(journal, epoch, lines).await?;
            self.scrubbed(journal)
        })
    }

    fn remove(&self, journal: SessionId) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.erase(vec![journal], None).await?;
            self.bury(journal)
        })
    }
}

impl Leases for FileJournals {
    fn take(&self, _journal: SessionId) -> Pending<'_, Result<Epoch, StoreError>> {
        // One process owns the workspace and one actor each session: the workspace's epoch is every session's.
        Box::pin(async { Ok(self.lock.epoch()) })
    }

    fn release(&self, _journal: SessionId, _epoch: Epoch) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }
}

impl Directory for FileJournals {
    fn sessions(&self) -> Pending<'_, Result<Vec<SessionId>, StoreError>> {
        Box::pin(async move {
            let folder = self.shared.root.join("sessions");
            let names = self.shared.disk.list(&folder).map_err(|error| io_error("list", &folder, &error))?;
            let mut sessions: Vec<SessionId> = names.iter().filter_map(|name| name.parse().ok()).collect();
            let board = self.shared.board();
            sessions.extend(board.dirty.iter().copied());
            sessions.retain(|session| board.tails.get(session).is_none_or(|tail| !tail.removed));
            sessions.sort();
            sessions.dedup();
            Ok(sessions)
        })
    }
}
