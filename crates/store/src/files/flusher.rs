//! Brings acknowledged lines to the files that people read, lazily and without syncs of their own; and syncs them all
//! before a segment is used again. Sleeps while there is nothing to do.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use outlive_core::event::Line;
use outlive_core::id::SessionId;

use super::Options;
use super::fs::{Disk, Open};
use super::tails::{Board, Shared};

/// How long lines gather, so that a busy journal's file is opened seldom.
const GATHER: Duration = Duration::from_millis(100);
/// Bytes of acknowledged lines beyond which they do not wait until a checkpoint has synced all files.
const MUCH: usize = 16 << 20;
/// Pause before a file that could not be written is tried again.
const RETRY: Duration = Duration::from_secs(1);

pub(super) struct Flusher {
    pub(super) shared: Arc<Shared>,
    pub(super) options: Options,
    /// Told the position up to which everything is in the files and synced.
    pub(super) checkpointed: Box<dyn Fn(u64) + Send>,
}

/// What a checkpoint covers.
pub(super) struct Due {
    pub(super) retiring: Vec<PathBuf>,
    pub(super) position: u64,
}

impl Flusher {
    /// Works until the board is closing and everything is flushed and synced.
    pub(super) fn run(self) {
        loop {
            let mut board = self.shared.board();
            while board.has_nothing_to_do() {
                board = self.shared.work.wait(board).unwrap_or_else(std::sync::PoisonError::into_inner);
            }
            if !board.closing && board.has_only_lines() {
                // Only to let lines gather: a close or a full segment wakes it early, a new line need not.
                let (woken, _) =
                    self.shared.work.wait_timeout(board, GATHER).unwrap_or_else(std::sync::PoisonError::into_inner);
                board = woken;
            }
            let (closing, due) = (board.closing, board.is_checkpoint_due());
            // Only what was full before the flush began has all its lines in the files after it.
            let covered = Due { retiring: board.segments.retiring.clone(), position: board.position };
            let chores = std::mem::take(&mut board.chores);
            drop(board);
            let all = self.relieve();
            chores.into_iter().for_each(|chore| self.chore(chore));
            if closing {
                self.shorten_all()
            } else {
                self.shorten()
            }
            let due = due || closing || (!covered.retiring.is_empty() && self.shared.board().dirty.is_empty());
            let done = all && (!due || self.checkpoint(covered).is_ok());
            if closing || self.shared.board().poisoned.is_some() {
                // A disk that will not take the files now has the log: the next start brings them up. Whoever asked for
                // a chore that comes too late hears that the store is closed.
                drop(std::mem::take(&mut self.shared.board().chores));
                return;
            }
            if !done {
                let board = self.shared.board();
                let idle = |board: &mut Board| !board.closing && board.chores.is_empty();
                drop(self.shared.work.wait_timeout_while(board, RETRY, idle));
            }
        }
    }

    /// Writes what is pending, and lets appends that waited for room go on. Says whether all of it could be written.
    fn relieve(&self) -> bool {
        let all = self.flush();
        self.shared.board().stuck = !all;
        self.shared.flushed.notify_all();
        all
    }

    /// Writes what is pending. Says whether all of it could be written.
    pub(super) fn flush(&self) -> bool {
        let dirty: Vec<SessionId> = self.shared.board().dirty.iter().copied().collect();
        let mut all = true;
        for journal in dirty {
            if let Err(error) = self.flush_one(journal) {
                tracing::warn!(%journal, %error, "journal file cannot be written now; its lines are safe in the commit log");
                all = false;
            }
        }
        all
    }

    pub(super) fn flush_one(&self, journal: SessionId) -> io::Result<()> {
        // Nobody removes the folder meanwhile.
        let _files = self.shared.files();
        let (lines, offset) = {
            let board = self.shared.board();
            match board.tails.get(&journal) {
                Some(tail) if !tail.removed => (tail.pending.clone(), tail.file_len),
                Some(_) | None => return Ok(()),
            }
        };
        let bytes = joined(&lines);
        write(&*self.shared.disk, &self.shared, journal, (offset, &bytes))?;
        let mut board = self.shared.board();
        let Board { tails, dirty, unsynced, unlisted, backlog, older, .. } = &mut *board;
        *backlog = backlog.saturating_sub(bytes.len());
        let Some(tail) = tails.get_mut(&journal) else { return Ok(()) };
        tail.pending.drain(..lines.len().min(tail.pending.len()));
        tail.file_len += bytes.len() as u64;
        tail.file_head = lines.last().map_or(tail.file_head, Line::seq);
        unsynced.insert(journal);
        if tail.file_len > self.options.live_bytes.max(tail.stays_below) {
            older.long.insert(journal);
        }
        if offset == 0 {
            unlisted.insert(journal);
        }
        if tail.pending.is_empty() {
            dirty.remove(&journal);
        }
        Ok(())
    }

    /// Syncs all files written since the last checkpoint and frees the segments that were waiting for it.
    pub(super) fn checkpoint(&self, due: Due) -> io::Result<()> {
        let (unsynced, unlisted) = {
            let mut board = self.shared.board();
            // After a failed sync only the log is known to have what it has.
            if let Some(why) = &board.poisoned {
                return Err(io::Error::other(why.clone()));
            }
            (std::mem::take(&mut board.unsynced), std::mem::take(&mut board.unlisted))
        };
        if let Err(error) = self.sync(&unsynced, &unlisted) {
            // The kernel may have dropped the pages and called them clean: only the log has the lines.
            self.shared.poison("journals", &error);
            return Err(error);
        }
        (self.checkpointed)(due.position);
        super::recover::note_position(&self.shared, due.position)?;
        let mut free = Vec::with_capacity(due.retiring.len());
        for path in &due.retiring {
            let name = path.with_extension("free");
            self.shared.disk.rename(path, &name)?;
            free.push(name);
        }
        self.shared.disk.sync_dir(&self.shared.root.join("commit"))?;
        let mut board = self.shared.board();
        board.segments.retiring.retain(|path| !due.retiring.contains(path));
        board.segments.free.extend(free);
        Ok(())
    }

    fn sync(&self, journals: &HashSet<SessionId>, unlisted: &HashSet<SessionId>) -> io::Result<()> {
        let disk = &*self.shared.disk;
        for journal in journals {
            if self.shared.board().backlog > MUCH {
                self.relieve();
            }
            let synced = disk.open(&self.shared.file(*journal), Open::Read).and_then(|file| {
                file.sync()?;
                if unlisted.contains(journal) { disk.sync_dir(&self.shared.folder(*journal)) } else { Ok(()) }
            });
            match synced {
                // Removed meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other?,
            }
        }
        if unlisted.is_empty() { Ok(()) } else { disk.sync_dir(&self.shared.root.join("sessions")) }
    }
}

pub(super) fn joined(lines: &[Line]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(lines.iter().map(|line| line.as_str().len() + 1).sum());
    for line in lines {
        bytes.extend_from_slice(line.as_str().as_bytes());
        bytes.push(b'\n');
    }
    bytes
}

/// Writes bytes into a journal's file, making it and its folder where they are missing.
pub(super) fn write(
    disk: &dyn Disk,
    shared: &Shared,
    journal: SessionId,
    (offset, bytes): (u64, &[u8]),
) -> io::Result<()> {
    let path = shared.file(journal);
    if offset == 0 {
        disk.make_dir(&shared.folder(journal))?;
    }
    disk.open(&path, Open::Write)?.write_at(offset, bytes)
}
