//! Brings acknowledged lines to the files that people read, lazily and without syncs of their own; and syncs them all
//! before a segment is used again. Sleeps while there is nothing to do.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use outlive_core::event::Line;
use outlive_core::id::SessionId;

use super::fs::{Disk, Open};
use super::tails::{Board, Shared};

/// How long lines gather, so that a busy journal's file is opened seldom.
const GATHER: Duration = Duration::from_millis(100);
/// Pause before a file that could not be written is tried again.
const RETRY: Duration = Duration::from_secs(1);

pub(super) struct Flusher {
    pub(super) shared: Arc<Shared>,
    /// Told the position up to which everything is in the files and synced.
    pub(super) checkpointed: Box<dyn Fn(u64) + Send>,
}

impl Flusher {
    /// Works until the board is closing and everything is flushed and synced.
    pub(super) fn run(self) {
        loop {
            let mut board = self.shared.board();
            while board.dirty.is_empty() && board.retiring.is_empty() && !board.closing {
                board = self.shared.work.wait(board).unwrap_or_else(std::sync::PoisonError::into_inner);
            }
            let closing = board.closing;
            if !closing && board.retiring.is_empty() {
                // Only to let lines gather: a close or a full segment wakes it early, a new line need not.
                let (woken, _) =
                    self.shared.work.wait_timeout(board, GATHER).unwrap_or_else(std::sync::PoisonError::into_inner);
                board = woken;
            }
            drop(board);
            let all = self.flush();
            let checkpoint = if all { self.checkpoint(closing) } else { Ok(()) };
            match (all, checkpoint, closing) {
                (true, Ok(()), true) => return,
                // A disk that will not take the files now has the log: the next start brings them up.
                (_, _, true) => return,
                (true, Ok(()), false) => {}
                (false, _, false) | (_, Err(_), false) => std::thread::sleep(RETRY),
            }
        }
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

    fn flush_one(&self, journal: SessionId) -> io::Result<()> {
        let (lines, offset) = {
            let board = self.shared.board();
            let Some(tail) = board.tails.get(&journal) else { return Ok(()) };
            (tail.pending.clone(), tail.file_len)
        };
        let bytes = joined(&lines);
        write(&*self.shared.disk, &self.shared, journal, (offset, &bytes))?;
        let mut board = self.shared.board();
        let Board { tails, dirty, unsynced, backlog, .. } = &mut *board;
        *backlog = backlog.saturating_sub(bytes.len());
        // Removed meanwhile: what was written went with the folder.
        let Some(tail) = tails.get_mut(&journal) else { return Ok(()) };
        tail.pending.drain(..lines.len().min(tail.pending.len()));
        tail.file_len += bytes.len() as u64;
        tail.file_head = lines.last().map_or(tail.file_head, Line::seq);
        unsynced.insert(journal);
        if tail.pending.is_empty() {
            dirty.remove(&journal);
        }
        Ok(())
    }

    /// Syncs all files written since the last checkpoint and frees the segments that were waiting for it.
    fn checkpoint(&self, closing: bool) -> io::Result<()> {
        let (retiring, unsynced, position) = {
            let mut board = self.shared.board();
            if board.retiring.is_empty() && !closing {
                return Ok(());
            }
            (std::mem::take(&mut board.retiring), std::mem::take(&mut board.unsynced), board.position)
        };
        if let Err(error) = self.sync(&unsynced) {
            tracing::error!(%error, "checkpoint failed; the commit log keeps growing until it succeeds");
            let mut board = self.shared.board();
            board.retiring.extend(retiring);
            board.unsynced.extend(unsynced);
            return Err(error);
        }
        (self.checkpointed)(position);
        self.shared.board().free.extend(retiring);
        Ok(())
    }

    fn sync(&self, journals: &HashSet<SessionId>) -> io::Result<()> {
        let disk = &*self.shared.disk;
        for journal in journals {
            let synced = disk.open(&self.shared.file(*journal), Open::Read).and_then(|file| {
                file.sync()?;
                disk.sync_dir(&self.shared.folder(*journal))
            });
            match synced {
                // Removed meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other?,
            }
        }
        disk.sync_dir(&self.shared.root.join("sessions"))
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
