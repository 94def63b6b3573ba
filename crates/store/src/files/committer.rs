//! The one thread that writes the commit log: it takes what is waiting, writes it with one write, syncs once, and then
//! acknowledges all. While it syncs, the next batch gathers. Whoever writes alone is served at once; where many write, a
//! part of them is waited for, a moment at most ([`Crowd`]).
//!
//! Invariants: nothing is acknowledged before the sync that holds it; a failed write leaves nothing behind that could
//! count later; a failed sync is never tried again on that file: the store is closed until a restart has read back what
//! is really there.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use outlive_core::event::Line;
use outlive_core::id::{Seq, SessionId};
use tokio::sync::mpsc;

use super::crowd::{Crowd, LOOK, LOOKS, LOOKS_IN_VAIN};
use super::frame::{self, Head, Kind};
use super::fs::{DiskFile, Open};
use super::lock::Lock;
use super::tails::{Board, Shared, io_error};
use super::trash::{Chore, Reply, missing_is_fine};
use super::{FIRST_SEGMENT, Options};
use crate::{Append, StoreError};

/// What the committer is asked.
pub(super) enum Request {
    Append(Append, Reply),
    Chore(Chore),
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
    pub(super) crowd: Crowd,
}

/// The segment in use.
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) offset: u64,
    pub(super) capacity: u64,
    /// Writes so far, failed ones too.
    pub(super) attempts: u32,
}

impl Segment {
    /// Returns one without room: the first batch goes on in another.
    pub(super) fn nowhere(number: u64) -> Self {
        Self { number, path: PathBuf::new(), file: Arc::new(super::fs::Nowhere), offset: 0, capacity: 0, attempts: 0 }
    }
}

struct Admitted {
    journal: SessionId,
    expected: Seq,
    lines: Vec<Line>,
    reply: Reply,
}

impl Committer {
    /// Works until all senders are gone.
    pub(super) fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        while let Some(first) = requests.blocking_recv() {
            let batch = self.gather(first, &mut requests);
            self.commit(batch);
        }
    }

    /// Takes what is waiting, and waits for a part of a crowd.
    fn gather(&mut self, first: Request, requests: &mut mpsc::Receiver<Request>) -> Vec<Request> {
        let mut batch = Batch::of(first);
        batch.take(requests);
        let (enough, mut in_vain) = (self.crowd.enough(), 0);
        for _ in 0..LOOKS {
            if batch.requests.len() >= enough || batch.bytes >= BATCH {
                break;
            }
            std::thread::sleep(LOOK);
            in_vain = if batch.take(requests) { 0 } else { in_vain + 1 };
            if in_vain == LOOKS_IN_VAIN {
                self.crowd.disperse();
                break;
            }
        }
        batch.requests
    }

    fn commit(&mut self, batch: Vec<Request>) {
        let (mut appends, mut chores) = (Vec::with_capacity(batch.len()), Vec::new());
        for request in batch {
            match request {
                Request::Append(append, reply) => appends.push((append, reply)),
                Request::Chore(chore) => chores.push(chore),
            }
        }
        self.append(appends);
        chores.into_iter().for_each(|chore| self.take_on(chore));
    }

    fn append(&mut self, appends: Vec<(Append, Reply)>) {
        let admitted = self.admit(appends);
        if admitted.is_empty() {
            return;
        }
        match self.write(&admitted) {
            Ok(()) => self.publish(admitted),
            Err(error) => {
                let mut board = self.shared.board();
                for one in &admitted {
                    if let Some(tail) = board.tails.get_mut(&one.journal) {
                        tail.writing = 0;
                    }
                }
                drop(board);
                admitted.into_iter().for_each(|one| drop(one.reply.send(Err(error.clone()))));
            }
        }
    }

    /// Refuses what cannot be done; returns the rest.
    fn admit(&mut self, appends: Vec<(Append, Reply)>) -> Vec<Admitted> {
        if appends.is_empty() {
            return Vec::new();
        }
        let held = self.lock.is_held();
        let shared = Arc::clone(&self.shared);
        let mut board = shared.board();
        while board.backlog > self.options.backlog_bytes && !board.stuck && board.poisoned.is_none() {
            self.shared.work.notify_all();
            board = self.shared.flushed.wait(board).unwrap_or_else(PoisonError::into_inner);
        }
        let mut admitted = Vec::with_capacity(appends.len());
        for (append, reply) in appends {
            let fenced = Err(StoreError::Fenced(append.journal));
            match if held { self.check(&mut board, &append) } else { fenced } {
                // Whoever asked may be gone.
                Err(error) => drop(reply.send(Err(error))),
                Ok(()) => {
                    let Append { journal, expected, lines, .. } = append;
                    admitted.push(Admitted { journal, expected, lines, reply });
                }
            }
        }
        admitted
    }

    /// Checks an append and counts it as being written.
    fn check(&mut self, board: &mut Board, append: &Append) -> Result<(), StoreError> {
        if let Some(why) = &board.poisoned {
            return Err(StoreError::Poisoned(why.clone()));
        }
        if board.stuck && board.backlog > self.options.backlog_bytes {
            return Err(StoreError::NoSpace);
        }
        let journal = append.journal;
        let tail = self.shared.tail(board, journal)?;
        let refused = |why| Err(StoreError::Refused { what: format!("append to {journal}"), why });
        if tail.ending && tail.head == 0 {
            return refused("it is being brought back from the trash, or deleted for good".to_owned());
        }
        if tail.removed || tail.ending {
            return Err(StoreError::NotFound(journal));
        }
        if append.epoch != self.lock.epoch() {
            return Err(StoreError::Fenced(journal));
        }
        tail.sound(journal)?;
        let size = bytes_of(append);
        if size > frame::BODY_MAX - append.lines.len() {
            return refused(format!("{size} bytes at once, of {} that can be read back", frame::BODY_MAX));
        }
        append.follows(tail.head + tail.writing)?;
        if tail.head + tail.writing == 0 && self.shared.is_in_trash(journal) {
            return refused("it is in the trash; bring it back first, or delete it for good".to_owned());
        }
        self.crowd.count(&mut tail.counted);
        tail.writing += append.lines.len() as Seq;
        Ok(())
    }

    /// Sees to it that nothing is appended to what a chore is for, and hands it to the flusher.
    fn take_on(&mut self, mut chore: Chore) {
        let prepared = self.prepare(&mut chore);
        let mut board = self.shared.board();
        // A flusher that has ended does no chores.
        let closed = board.poisoned.clone().map(StoreError::Poisoned);
        match prepared.err().or(closed) {
            None => {
                board.chores.push(chore);
                self.shared.work.notify_all();
            }
            Some(error) => {
                let (Chore::Discard(.., reply)
                | Chore::Restore(_, reply)
                | Chore::Erase(_, reply)
                | Chore::Scrub(.., reply)) = chore;
                // Whoever asked may be gone.
                reply.send(Err(error)).ok();
            }
        }
    }

    fn prepare(&mut self, chore: &mut Chore) -> Result<(), StoreError> {
        let held = self.lock.is_held();
        let shared = Arc::clone(&self.shared);
        let mut board = shared.board();
        if let Some(why) = &board.poisoned {
            return Err(StoreError::Poisoned(why.clone()));
        }
        match chore {
            Chore::Discard(journal, ..) | Chore::Restore(journal, _) if !held => Err(StoreError::Fenced(*journal)),
            Chore::Discard(journal, ..) => {
                let tail = shared.tail(&mut board, *journal)?;
                if tail.head == 0 || tail.removed || tail.ending {
                    return Err(board.absent(*journal));
                }
                tail.sound(*journal)?;
                tail.ending = true;
                Ok(())
            }
            Chore::Restore(journal, _) => {
                // Until its folder is back nobody begins it anew.
                if shared.is_in_trash(*journal) {
                    board.tails.entry(*journal).or_default().ending = true;
                }
                Ok(())
            }
            Chore::Scrub(scrub, epoch, _) => {
                let journal = scrub.journal;
                if !held || *epoch != self.lock.epoch() {
                    return Err(StoreError::Fenced(journal));
                }
                if !shared.is_in_trash(journal) {
                    let tail = shared.tail(&mut board, journal)?;
                    if tail.head == 0 || tail.removed || tail.ending {
                        return Err(board.absent(journal));
                    }
                    tail.sound(journal)?;
                }
                drop(board);
                scrub.below = self.put_away()?;
                Ok(())
            }
            Chore::Erase(erase, _) => {
                let first = erase.journals.first().copied();
                erase.journals.retain(|journal| may_be_erased(&shared, &mut board, *journal));
                let Some(doomed) = erase.journals.first() else {
                    return first.map_or(Ok(()), |first| Err(StoreError::NotFound(first)));
                };
                if !held {
                    return Err(StoreError::Fenced(*doomed));
                }
                drop(board);
                erase.below = self.put_away()?;
                let mut board = shared.board();
                for journal in &erase.journals {
                    board.tails.entry(*journal).or_default().ending = true;
                }
                Ok(())
            }
        }
    }

    /// Goes on in a new segment, for something is erased from those before it. Returns its number.
    fn put_away(&mut self) -> Result<u64, StoreError> {
        let free = std::mem::take(&mut self.shared.board().segments.free);
        // On a full disk they make room for the next segment. What cannot be removed now is in the erasure's way.
        free.iter().for_each(|path| drop(self.shared.disk.remove(path)));
        self.rotate(FIRST_SEGMENT.min(self.options.segment_bytes), Reuse::No)?;
        self.shared.board().segments.erasing += 1;
        Ok(self.segment.number)
    }

    /// Writes a batch and syncs it.
    fn write(&mut self, admitted: &[Admitted]) -> Result<(), StoreError> {
        let size = |one: &Admitted| frame::HEADER + one.lines.iter().map(|line| line.as_str().len() + 1).sum::<usize>();
        let length = admitted.iter().map(size).sum::<usize>() as u64;
        if self.segment.offset + length > self.segment.capacity {
            self.rotate(length.max(self.options.segment_bytes), Reuse::Yes)?;
        }
        self.encode(admitted);
        let segment = &mut self.segment;
        segment.attempts += 1;
        if let Err(error) = segment.file.write_at(segment.offset, &self.buffer) {
            // Half a batch must not count after a restart: its first frame is made no frame, for good.
            let undone = segment.file.write_at(segment.offset, &[0; frame::HEADER]).and_then(|()| segment.file.sync());
            return Err(match undone {
                Ok(()) => io_error("write", &segment.path, &error),
                Err(_) => self.shared.poison("commit log", &error),
            });
        }
        if let Err(error) = segment.file.sync() {
            return Err(self.shared.poison("commit log", &error));
        }
        segment.offset += length;
        self.position += admitted.len() as u64;
        Ok(())
    }

    fn encode(&mut self, admitted: &[Admitted]) {
        self.buffer.clear();
        for (one, position) in admitted.iter().zip(self.position + 1..) {
            let head = Head {
                position,
                start: u32::try_from(self.segment.offset).unwrap_or(u32::MAX),
                attempt: self.segment.attempts,
                segment: self.segment.number,
                journal: one.journal,
                first: one.expected + 1,
                count: u32::try_from(one.lines.len()).unwrap_or(u32::MAX),
                kind: Kind::Lines,
            };
            frame::write(&mut self.buffer, &head, one.lines.iter().map(Line::as_str));
        }
    }

    /// Goes on in another segment: a free one, or a new one.
    fn rotate(&mut self, bytes: u64, reuse: Reuse) -> Result<(), StoreError> {
        let number = self.segment.number + 1;
        let free = {
            let mut board = self.shared.board();
            // While something is erased, what an earlier life of a file left may be of that.
            if reuse == Reuse::No || board.segments.erasing > 0 { None } else { board.segments.free.pop() }
        };
        let segment = open_segment(&self.shared, number, (free.as_deref(), bytes));
        let segment = segment.map_err(|error| {
            // Kept if it still has its old name.
            self.shared.board().segments.free.extend(free.filter(|free| self.shared.disk.identity(free).is_ok()));
            io_error("make", &self.shared.root.join("commit"), &error)
        })?;
        let full = std::mem::replace(&mut self.segment, segment);
        let mut board = self.shared.board();
        board.segments.retiring.extend(Some(full.path).filter(|_| full.capacity > 0));
        board.segments.active.clone_from(&self.segment.path);
        self.shared.work.notify_all();
        Ok(())
    }

    /// Lets readers see what is durable, and answers.
    fn publish(&mut self, admitted: Vec<Admitted>) {
        let mut replies = Vec::with_capacity(admitted.len());
        let mut board = self.shared.board();
        board.position = self.position;
        let idle = board.dirty.is_empty();
        for Admitted { journal, lines, reply, .. } in admitted {
            board.backlog += lines.iter().map(|line| line.as_str().len() + 1).sum::<usize>();
            let tail = board.tails.entry(journal).or_default();
            tail.head += lines.len() as Seq;
            tail.writing -= lines.len() as Seq;
            // Whatever has lines waiting is dirty already.
            let is_clean = tail.pending.is_empty();
            tail.pending.extend(lines);
            if is_clean {
                board.dirty.insert(journal);
            }
            replies.push(reply);
        }
        if idle && !board.dirty.is_empty() {
            self.shared.work.notify_all();
        }
        drop(board);
        replies.into_iter().for_each(|reply| drop(reply.send(Ok(()))));
    }
}

/// Whether a segment's file may be one that was used before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reuse {
    Yes,
    No,
}

/// Says whether a journal is anywhere, or something of it.
fn may_be_erased(shared: &Shared, board: &mut Board, journal: SessionId) -> bool {
    let lives = match shared.tail(board, journal) {
        Ok(tail) => !tail.removed && !tail.ending && (tail.head > 0 || tail.damage.is_some()),
        // What cannot be read can be erased.
        Err(_) => true,
    };
    lives || shared.is_in_trash(journal) || super::erase::is_doomed(shared, journal) || {
        board.absent(journal);
        false
    }
}

/// What one sync will serve.
struct Batch {
    requests: Vec<Request>,
    bytes: usize,
}

impl Batch {
    fn of(first: Request) -> Self {
        Self { bytes: size(&first), requests: vec![first] }
    }

    /// Takes what is there. Says whether anything was.
    fn take(&mut self, waiting: &mut mpsc::Receiver<Request>) -> bool {
        let before = self.requests.len();
        while self.bytes < BATCH
            && let Ok(request) = waiting.try_recv()
        {
            self.bytes += size(&request);
            self.requests.push(request);
        }
        self.requests.len() > before
    }
}

fn size(request: &Request) -> usize {
    match request {
        Request::Append(append, _) => bytes_of(append),
        Request::Chore(_) => 0,
    }
}

fn bytes_of(append: &Append) -> usize {
    append.lines.iter().map(|line| line.as_str().len()).sum()
}

/// Removes a journal's folder: first out of sight, durably, then for good. Doing it again goes on where it ended.
pub(super) fn remove_folder(shared: &Shared, journal: SessionId) -> io::Result<()> {
    let (folder, sessions) = (shared.folder(journal), shared.root.join("sessions"));
    let doomed = sessions.join(format!(".doomed-{journal}"));
    missing_is_fine(shared.disk.remove(&doomed))
        .and_then(|()| missing_is_fine(shared.disk.rename(&folder, &doomed)))
        .and_then(|()| shared.disk.sync_dir(&sessions))
        .and_then(|()| missing_is_fine(shared.disk.remove(&doomed)))
        .and_then(|()| shared.disk.sync_dir(&sessions))
}

/// Opens a segment with a number: from a free one's file, or a new one, filled with zeros.
pub(super) fn open_segment(shared: &Shared, number: u64, (free, bytes): (Option<&Path>, u64)) -> io::Result<Segment> {
    let folder = shared.root.join("commit");
    let path = folder.join(format!("{number:08}.log"));
    if let Some(free) = free {
        shared.disk.rename(free, &path)?;
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
    Ok(Segment { number, path, file, offset: 0, capacity: length, attempts: 0 })
}
