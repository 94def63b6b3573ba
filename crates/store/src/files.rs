//! Plain files: readable journals as the truth, and one shared commit log that makes appends of many sessions durable with
//! one sync.
//!
//! | Where | What |
//! |---|---|
//! | `committer` | the one thread that writes and syncs the log, then acknowledges |
//! | `flusher` | brings lines to `events.jsonl`, syncs them before a segment is recycled |
//! | `recover` | start-up: what the log acknowledged is in the journals |
//! | `tails`, `lines` | live ends; finding lines in a file by halving |
//! | [`frame`] | the log's format |
//! | [`fs`], [`faults`] | the seam to the disk, and a disk that loses, tears and refuses |
//! | [`lock`], [`verify`], [`beside`] | who owns the workspace; looking for damage; snapshots, artifacts, agents |

pub mod beside;
mod committer;
pub mod faults;
mod flusher;
pub mod frame;
pub mod fs;
mod lines;
pub mod lock;
mod recover;
mod tails;
pub mod verify;

pub use recover::Recovery;

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use outlive_core::id::{Seq, SessionId};
use tokio::sync::{mpsc, oneshot};

use crate::{Append, Directory, Epoch, Journals, Leases, Opened, Pending, StoreError};
use committer::{Committer, Request, open_segment};
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
}

const FIRST_SEGMENT: u64 = 1 << 20;

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: 16 << 20, backlog_bytes: 64 << 20, waiting: 1_024 }
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

fn at(owner: &Owner) -> String {
    owner.address.as_ref().map(|address| format!(", which listens on {address}")).unwrap_or_default()
}

/// Journals on plain files.
pub struct FileJournals {
    shared: Arc<Shared>,
    lock: Arc<Lock>,
    requests: Mutex<Option<mpsc::Sender<Request>>>,
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
        for folder in ["sessions", "commit", "run"] {
            disk.make_dir(&root.join(folder))?;
        }
        // The lock is a real file whatever the disk is: it keeps real processes apart.
        fs::Disk::make_dir(&fs::RealDisk, &root.join("run"))?;
        let lock = Arc::new(Lock::take(&root.join("run")).map_err(|error| match error {
            LockError::Owned(owner) => OpenError::Owned(owner),
            LockError::Io(error) => OpenError::Io(error),
        })?);
        let shared = Arc::new(Shared::new(root.to_owned(), disk));
        let left = recover::recover(&shared)?;
        let clean = left.recovery.frames == 0;
        let mut segments = left.segments;
        let free = if clean { segments.pop() } else { None };
        // The first segment of all is small, so that a new workspace is there at once.
        let bytes = if free.is_some() { options.segment_bytes } else { options.segment_bytes.min(FIRST_SEGMENT) };
        let segment = open_segment(&shared, left.number + 1, (free, bytes))?;
        {
            let mut board = shared.board();
            board.position = left.position;
            if clean { board.free = segments } else { board.retiring = segments }
        }
        let (sender, requests) = mpsc::channel(options.waiting);
        let committer = Committer {
            shared: Arc::clone(&shared),
            lock: Arc::clone(&lock),
            options,
            segment,
            position: left.position,
            buffer: Vec::new(),
        };
        let flusher = Flusher { shared: Arc::clone(&shared), checkpointed };
        let threads = vec![
            std::thread::Builder::new().name("committer".to_owned()).spawn(move || committer.run(requests))?,
            std::thread::Builder::new().name("flusher".to_owned()).spawn(move || flusher.run())?,
        ];
        Ok(Arc::new(Self {
            shared,
            lock,
            requests: Mutex::new(Some(sender)),
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
        drop(self.requests.lock().unwrap_or_else(PoisonError::into_inner).take());
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
        let (clean, position) = {
            let board = self.shared.board();
            let clean = board.dirty.is_empty() && board.unsynced.is_empty() && board.poisoned.is_none();
            (clean, board.position)
        };
        if clean && let Err(error) = recover::mark_clean(&self.shared, position) {
            tracing::warn!(%error, "clean shutdown not noted; the next start replays the log");
        }
    }

    async fn ask(&self, request: impl FnOnce(oneshot::Sender<Result<(), StoreError>>) -> Request) -> Result<(), StoreError> {
        let closed = || StoreError::Poisoned("the store is closed".to_owned());
        let sender = self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(closed)?;
        let (reply, answer) = oneshot::channel();
        sender.send(request(reply)).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    fn read_now(&self, journal: SessionId, after: Seq, limit: usize) -> Result<Opened, StoreError> {
        let (pending, file_len, file_head, cut_bytes) = {
            let mut board = self.shared.board();
            let tail = self.shared.tail(&mut board, journal)?;
            if tail.head == 0 && tail.cut_bytes == 0 {
                board.tails.remove(&journal);
                return Err(StoreError::NotFound(journal));
            }
            if let Some(why) = &tail.damage {
                return Err(StoreError::Corrupt { journal, line: tail.head + 1, why: why.clone() });
            }
            let skip = usize::try_from(after.saturating_sub(tail.file_head)).unwrap_or(usize::MAX);
            let pending: Vec<_> = tail.pending.iter().skip(skip).take(limit).cloned().collect();
            (pending, tail.file_len, tail.file_head, std::mem::take(&mut tail.cut_bytes))
        };
        if after >= file_head || limit == 0 {
            return Ok(Opened { lines: pending, cut_bytes });
        }
        let path = self.shared.file(journal);
        let read = || -> io::Result<Result<Vec<_>, String>> {
            let file = self.shared.disk.open(&path, fs::Open::Read)?;
            let from = if after == 0 { 0 } else { lines::find(&*file, file_len, after)? };
            lines::lines(&*file, from, file_len, limit)
        };
        let mut found = match read() {
            Ok(Ok(found)) => found,
            Ok(Err(why)) => return Err(StoreError::Corrupt { journal, line: after + 1, why }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(StoreError::NotFound(journal)),
            Err(error) => return Err(io_error("read", &path, &error)),
        };
        for (line, expected) in found.iter().zip(after + 1..) {
            if line.seq() != expected {
                let why = format!("line {expected} has seq {}", line.seq());
                return Err(StoreError::Corrupt { journal, line: expected, why });
            }
        }
        let room = limit - found.len();
        found.extend(pending.into_iter().take(room));
        Ok(Opened { lines: found, cut_bytes })
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
            match self.shared.tail(&mut board, journal)?.head {
                0 => {
                    board.tails.remove(&journal);
                    Err(StoreError::NotFound(journal))
                }
                head => Ok(head),
            }
        })
    }

    fn remove(&self, journal: SessionId) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(self.ask(move |reply| Request::Remove(journal, reply)))
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
            let pending = self.shared.board();
            sessions.extend(pending.dirty.iter().copied());
            sessions.sort();
            sessions.dedup();
            Ok(sessions)
        })
    }
}
