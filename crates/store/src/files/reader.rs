//! Reads lines of a journal: those that wait for its file, those in it, and those before it in the compressed segments.
//!
//! A file whose older lines moved to a segment is another file, and shorter. Whoever began to read before may find in it
//! what looks like damage: then it is read again ([`Older::cuts`](super::tails::Older::cuts) tells).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use outlive_core::event::Line;
use outlive_core::id::{Seq, SessionId};

use super::tails::io_error;
use super::{FileJournals, fs, lines, past};
use crate::{Opened, StoreError};

/// A journal's live end, as it was when somebody began to read.
struct Seen {
    folder: PathBuf,
    pending: Vec<Line>,
    file_len: u64,
    file_head: Seq,
    cuts: u64,
}

/// Lines of a file, or up to which event they are good and what is wrong with the next one.
type Found = Result<Vec<Line>, (Seq, String)>;

impl FileJournals {
    pub(super) fn read_now(&self, journal: SessionId, after: Seq, limit: usize) -> Result<Opened, StoreError> {
        let (is_empty, cut_bytes) = {
            let mut board = self.shared.board();
            let tail = self.shared.tail(&mut board, journal)?;
            tail.sound(journal)?;
            (tail.head == 0, std::mem::take(&mut tail.cut_bytes))
        };
        let only_cut = is_empty && cut_bytes > 0;
        Ok(Opened { lines: if only_cut { Vec::new() } else { self.look(journal, after, limit)? }, cut_bytes })
    }

    /// Returns lines as [`Journals::read`](crate::Journals::read) does, for whoever is not the session's owner: what was cut
    /// is left for that one to hear of. Blocks.
    ///
    /// # Errors
    ///
    /// As for [`Journals::read`](crate::Journals::read).
    pub fn look(&self, journal: SessionId, after: Seq, limit: usize) -> Result<Vec<Line>, StoreError> {
        loop {
            let seen = self.see(journal, after, limit)?;
            if after >= seen.file_head || limit == 0 {
                return Ok(seen.pending);
            }
            match self.read_file(journal, &seen, after, limit)? {
                Ok(mut found) => {
                    let room = limit - found.len();
                    found.extend(seen.pending.into_iter().take(room));
                    return Ok(found);
                }
                Err((good, why)) => {
                    let mut board = self.shared.board();
                    if board.older.cuts == seen.cuts {
                        let tail = self.shared.tail(&mut board, journal)?;
                        // One that begins anew took the place of the journal that was read.
                        if tail.file_head < seen.file_head {
                            return Err(board.absent(journal));
                        }
                        tail.damage = Some((good + 1, why));
                        tail.sound(journal)?;
                    }
                }
            }
        }
    }

    /// As [`Self::look`], of a journal that lies in the trash.
    pub(crate) fn look_inside(&self, journal: SessionId, after: Seq, limit: usize) -> Result<Vec<Line>, StoreError> {
        loop {
            let seen = self.see_inside(journal)?;
            if after >= seen.file_head || limit == 0 {
                return Ok(Vec::new());
            }
            match self.read_file(journal, &seen, after, limit)? {
                Ok(found) => return Ok(found),
                Err((good, why)) if self.shared.board().older.cuts == seen.cuts => {
                    return Err(StoreError::Corrupt { journal, line: good + 1, why });
                }
                Err(_written_anew_meanwhile) => {}
            }
        }
    }

    fn see_inside(&self, journal: SessionId) -> Result<Seen, StoreError> {
        let (disk, folder) = (&*self.shared.disk, self.shared.discarded(journal));
        let (path, cuts) = (folder.join("events.jsonl"), self.shared.board().older.cuts);
        let end = || {
            let file = disk.open(&path, fs::Open::Read)?;
            let file_len = file.size()?;
            let file_head = lines::last(&*file, file_len)?.seq.max(past::last(disk, &folder)?);
            Ok((file_len, file_head))
        };
        match end() {
            Ok((file_len, file_head)) => Ok(Seen { folder, pending: Vec::new(), file_len, file_head, cuts }),
            Err(error) if io::Error::kind(&error) == io::ErrorKind::NotFound => Err(StoreError::NotFound(journal)),
            Err(error) => Err(io_error("read", &path, &error)),
        }
    }

    fn see(&self, journal: SessionId, after: Seq, limit: usize) -> Result<Seen, StoreError> {
        let mut board = self.shared.board();
        let cuts = board.older.cuts;
        let tail = self.shared.tail(&mut board, journal)?;
        tail.sound(journal)?;
        if tail.head == 0 {
            return Err(board.absent(journal));
        }
        let skip = usize::try_from(after.saturating_sub(tail.file_head)).unwrap_or(usize::MAX);
        let pending = tail.pending.iter().skip(skip).take(limit).cloned().collect();
        let folder = self.shared.folder(journal);
        Ok(Seen { folder, pending, file_len: tail.file_len, file_head: tail.file_head, cuts })
    }

    /// Reads lines from a journal's file, and from the segments what comes before it.
    fn read_file(&self, journal: SessionId, seen: &Seen, after: Seq, limit: usize) -> Result<Found, StoreError> {
        let last = seen.file_head.min(after.saturating_add(limit as Seq));
        match self.read_both(journal, seen, after, limit) {
            Ok(found) => Ok(found.and_then(|found| joined(found, after, last))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(StoreError::NotFound(journal)),
            Err(error) => Err(io_error("read", &seen.folder, &error)),
        }
    }

    fn read_both(&self, journal: SessionId, seen: &Seen, after: Seq, limit: usize) -> io::Result<Found> {
        let disk = &*self.shared.disk;
        let file = disk.open(&seen.folder.join("events.jsonl"), fs::Open::Read)?;
        let begins = match lines::first(&*file, seen.file_len)? {
            Some(first) => first,
            None if seen.file_len == 0 => seen.file_head + 1,
            // What is wrong with it comes out when it is read.
            None => after + 1,
        };
        let missing = usize::try_from(begins.saturating_sub(after + 1)).unwrap_or(usize::MAX).min(limit);
        let mut found = Vec::new();
        if missing > 0 {
            let whole = |number, path: &Path| self.thawed((journal, number), path);
            match past::read(disk, &seen.folder, (after, missing), whole)? {
                Ok(before) => found = before,
                damaged => return Ok(damaged),
            }
        }
        if missing == limit {
            return Ok(Ok(found));
        }
        // Where the older lines end too soon, those of the file do not follow them, and whoever joins them says so.
        let head = after + missing as Seq;
        let from = if head == 0 { 0 } else { lines::find(&*file, seen.file_len, head)? };
        Ok(match lines::lines(&*file, from, seen.file_len, limit - missing)? {
            Ok(live) => {
                found.extend(live);
                Ok(found)
            }
            Err((good, why)) => Err((good.max(head), why)),
        })
    }

    /// Reads a segment. The last one is kept, for whoever reads on in pages.
    fn thawed(&self, which: (SessionId, u64), path: &Path) -> io::Result<past::Whole> {
        let cuts = {
            let board = self.shared.board();
            if let Some((_, whole)) = board.older.thawed.as_ref().filter(|(kept, _)| *kept == which) {
                return Ok(whole.clone());
            }
            board.older.cuts
        };
        let (range, lines) = past::whole(&*self.shared.disk, path)?;
        let whole = (range, Arc::new(lines));
        let mut board = self.shared.board();
        // What was written anew meanwhile is not kept as it was.
        if board.older.cuts == cuts && board.tails.get(&which.0).is_some_and(|tail| !tail.removed) {
            board.older.thawed = Some((which, whole.clone()));
        }
        Ok(whole)
    }
}

/// Checks that these lines are all from the one after `after` to `last`.
fn joined(found: Vec<Line>, after: Seq, last: Seq) -> Found {
    let misplaced = found.iter().zip(after + 1..).find(|(line, expected)| line.seq() != *expected);
    if let Some((line, expected)) = misplaced {
        return Err((expected - 1, format!("its seq is {}", line.seq())));
    }
    let end = after + found.len() as Seq;
    if end < last { Err((end, "the file ends here".to_owned())) } else { Ok(found) }
}
