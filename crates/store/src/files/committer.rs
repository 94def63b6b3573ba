//! The one thread that writes the commit log: it takes what is waiting, writes it with one write, syncs once, and then
//! acknowledges all. While it syncs, the next batch gathers. No timer, no delay.
//!
//! Invariants: nothing is acknowledged before the sync that holds it; a failed write leaves nothing behind that could
//! count later; a failed sync is never tried again on that file: the store is closed until a restart has read back what
//! is really there.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use outlive_core::event::Line;
use outlive_core::id::{Seq, SessionId};
use tokio::sync::{mpsc, oneshot};

use super::Options;
use super::frame::{self, Head, Kind};
use super::fs::{DiskFile, Open};
use super::lock::Lock;
use super::tails::{Shared, io_error};
use crate::{Append, StoreError};

/// What the committer is asked.
pub(super) enum Request {
    Append(Append, oneshot::Sender<Result<(), StoreError>>),
    Remove(SessionId, oneshot::Sender<Result<(), StoreError>>),
}

/// Bytes of one batch, beyond which the next request waits for the next one.
const BATCH: usize = 4 << 20;

pub(super) struct Committer {
    pub(super) shared: Arc<Shared>,
    pub(super) lock: Arc<Lock>,
    pub(super) options: Options,
    pub(super) segment: Segment,
    pub(super) position: u64,
    pub(super) buffer: Vec<u8>,
}

/// The segment in use.
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) offset: u64,
    pub(super) capacity: u64,
}

struct Admitted {
    journal: SessionId,
    lines: Vec<Line>,
    removed: bool,
    reply: oneshot::Sender<Result<(), StoreError>>,
}

impl Committer {
    /// Works until all senders are gone.
    pub(super) fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        while let Some(first) = requests.blocking_recv() {
            self.commit(first, &mut requests);
        }
    }

    fn commit(&mut self, first: Request, requests: &mut mpsc::Receiver<Request>) {
        self.buffer.clear();
        let mut admitted = Vec::new();
        let batch = self.position + 1;
        let mut next = Some(first);
        while let Some(request) = next {
            self.admit(request, batch, &mut admitted);
            next = if self.buffer.len() < BATCH { requests.try_recv().ok() } else { None };
        }
        if admitted.is_empty() {
            return;
        }
        let written = self.write();
        match written {
            Ok(()) => self.publish(admitted),
            Err(error) => {
                self.position = batch - 1;
                admitted.into_iter().for_each(|one| drop(one.reply.send(Err(error.clone()))));
            }
        }
    }

    fn admit(&mut self, request: Request, batch: u64, admitted: &mut Vec<Admitted>) {
        let (journal, reply) = match &request {
            Request::Append(append, _) => (append.journal, append.expected),
            Request::Remove(journal, _) => (*journal, 0),
        };
        // What is admitted to this batch already counts.
        let before: Seq = admitted.iter().filter(|one| one.journal == journal).map(|one| one.lines.len() as Seq).sum();
        let removed = admitted.iter().any(|one| one.journal == journal && one.removed);
        let checked = if removed { Err(StoreError::NotFound(journal)) } else { self.check(&request, before) };
        let (lines, removed, answer) = match request {
            Request::Append(append, answer) => (append.lines, false, answer),
            Request::Remove(_, answer) => (Vec::new(), true, answer),
        };
        if let Err(error) = checked {
            // Whoever asked may be gone.
            answer.send(Err(error)).ok();
            return;
        }
        self.position += 1;
        let head = Head {
            position: self.position,
            batch,
            generation: self.lock.epoch().0,
            journal,
            first: reply + 1,
            count: u32::try_from(lines.len()).unwrap_or(u32::MAX),
            kind: if removed { Kind::Removed } else { Kind::Lines },
        };
        frame::write(&mut self.buffer, &head, lines.iter().map(Line::as_str));
        admitted.push(Admitted { journal, lines, removed, reply: answer });
    }

    fn check(&self, request: &Request, before: Seq) -> Result<(), StoreError> {
        let mut board = self.shared.board();
        if let Some(why) = &board.poisoned {
            return Err(StoreError::Poisoned(why.clone()));
        }
        if board.backlog > self.options.backlog_bytes {
            return Err(StoreError::NoSpace);
        }
        let (Request::Append(Append { journal, .. }, _) | Request::Remove(journal, _)) = request;
        if !self.lock.is_held() {
            return Err(StoreError::Fenced(*journal));
        }
        let tail = self.shared.tail(&mut board, *journal)?;
        if let Some(why) = &tail.damage {
            return Err(StoreError::Corrupt { journal: *journal, line: tail.head + 1, why: why.clone() });
        }
        match request {
            Request::Remove(journal, _) if tail.head + before == 0 => Err(StoreError::NotFound(*journal)),
            Request::Remove(..) => Ok(()),
            Request::Append(append, _) if append.epoch != self.lock.epoch() => Err(StoreError::Fenced(append.journal)),
            Request::Append(append, _) => append.follows(tail.head + before),
        }
    }

    /// Writes the buffer and syncs it.
    fn write(&mut self) -> Result<(), StoreError> {
        let length = self.buffer.len() as u64;
        if self.segment.offset + length > self.segment.capacity {
            self.rotate(length)?;
        }
        let segment = &self.segment;
        if let Err(error) = segment.file.write_at(segment.offset, &self.buffer) {
            // Half a batch must not count after a restart: its first frame is made no frame.
            let undone = segment.file.write_at(segment.offset, &[0; frame::HEADER]);
            return Err(match undone {
                Ok(()) => io_error("write", &segment.path, &error),
                Err(_) => self.poison(&error),
            });
        }
        if let Err(error) = segment.file.sync() {
            return Err(self.poison(&error));
        }
        self.segment.offset += length;
        Ok(())
    }

    fn poison(&self, error: &io::Error) -> StoreError {
        tracing::error!(%error, "commit log cannot be synced: the store is closed");
        let why = error.to_string();
        self.shared.board().poisoned = Some(why.clone());
        StoreError::Poisoned(why)
    }

    /// Goes on in another segment: a free one, or a new one.
    fn rotate(&mut self, least: u64) -> Result<(), StoreError> {
        let number = self.segment.number + 1;
        let free = self.shared.board().free.pop();
        let segment = open_segment(&self.shared, number, (free, least.max(self.options.segment_bytes)))
            .map_err(|error| io_error("make", &self.shared.root.join("commit"), &error))?;
        let full = std::mem::replace(&mut self.segment, segment);
        let mut board = self.shared.board();
        board.retiring.push(full.path);
        self.shared.work.notify_all();
        Ok(())
    }

    /// Lets readers see what is durable, and answers.
    fn publish(&mut self, admitted: Vec<Admitted>) {
        let mut board = self.shared.board();
        board.position = self.position;
        let idle = board.dirty.is_empty();
        let mut replies = Vec::with_capacity(admitted.len());
        for Admitted { journal, lines, removed, reply } in admitted {
            if removed {
                board.tails.remove(&journal);
                board.dirty.remove(&journal);
                board.unsynced.remove(&journal);
                replies.push((reply, remove_folder(&self.shared, journal)));
                continue;
            }
            board.backlog += lines.iter().map(|line| line.as_str().len() + 1).sum::<usize>();
            let tail = board.tails.entry(journal).or_default();
            tail.head += lines.len() as Seq;
            tail.pending.extend(lines);
            board.dirty.insert(journal);
            replies.push((reply, Ok(())));
        }
        if idle && !board.dirty.is_empty() {
            self.shared.work.notify_all();
        }
        drop(board);
        replies.into_iter().for_each(|(reply, answer)| drop(reply.send(answer)));
    }
}

/// Removes a journal's folder: first out of sight, durably, then for good.
pub(super) fn remove_folder(shared: &Shared, journal: SessionId) -> Result<(), StoreError> {
    let (folder, sessions) = (shared.folder(journal), shared.root.join("sessions"));
    let doomed = sessions.join(format!(".doomed-{journal}"));
    match shared.disk.rename(&folder, &doomed) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io_error("remove", &folder, &error)),
    }
    let removed = shared.disk.sync_dir(&sessions).and_then(|()| shared.disk.remove(&doomed));
    removed.map_err(|error| io_error("remove", &folder, &error))
}

/// Opens a segment with a number: from a free one's file, or a new one, filled with zeros.
pub(super) fn open_segment(shared: &Shared, number: u64, (free, bytes): (Option<PathBuf>, u64)) -> io::Result<Segment> {
    let folder = shared.root.join("commit");
    let path = folder.join(format!("{number:08}.log"));
    if let Some(free) = free {
        shared.disk.rename(&free, &path)?;
    }
    let file = shared.disk.open(&path, Open::Write)?;
    let mut length = file.size()?;
    let zeros = vec![0; 1 << 20];
    while length < bytes {
        let piece = (bytes - length).min(zeros.len() as u64);
        file.write_at(length, zeros.get(..usize::try_from(piece).unwrap_or(0)).unwrap_or_default())?;
        length += piece;
    }
    file.sync()?;
    shared.disk.sync_dir(&folder)?;
    Ok(Segment { number, path, file, offset: 0, capacity: length })
}
