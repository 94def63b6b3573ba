//! The live end of each journal: its head, and the acknowledged lines that its file does not hold yet.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use outlive_core::event::Line;
use outlive_core::id::{Seq, SessionId};

use super::fs::{Disk, Open};
use super::past;
use super::trash::Chore;
use crate::StoreError;

/// The live end of one journal.
#[derive(Debug, Clone, Default)]
pub(super) struct Tail {
    /// Seq of the last acknowledged line.
    pub(super) head: Seq,
    /// Seq of the last line in the file.
    pub(super) file_head: Seq,
    /// Bytes of the file's good lines.
    pub(super) file_len: u64,
    /// Acknowledged lines after those, oldest first.
    pub(super) pending: Vec<Line>,
    /// Lines that are being written to the log.
    pub(super) writing: Seq,
    /// When the crowd counted it last.
    pub(super) counted: u32,
    /// It is on its way to the trash, or being erased: nothing is appended.
    pub(super) ending: bool,
    /// It is marked as gone: it is there for nobody, though its folder may be.
    pub(super) removed: bool,
    /// Bytes that were cut from the file's torn tail.
    pub(super) cut_bytes: u64,
    /// The line that is damaged and what is wrong with it, if it was set aside.
    pub(super) damage: Option<(u64, String)>,
    /// Bytes of the file below which its older lines stay where they are: they could not be moved before.
    pub(super) stays_below: u64,
}

impl Tail {
    /// Says whether all that is known of it is in its file, so that it need not be kept.
    fn rests(&self) -> bool {
        let busy = self.writing > 0 || self.ending || self.removed || !self.pending.is_empty();
        !busy && self.cut_bytes == 0 && self.damage.is_none()
    }

    /// Refuses a journal that is set aside, and one that is not there.
    pub(super) fn sound(&self, journal: SessionId) -> Result<(), StoreError> {
        match &self.damage {
            _ if self.removed => Err(StoreError::NotFound(journal)),
            Some((line, why)) => Err(StoreError::Corrupt { journal, line: *line, why: why.clone() }),
            None => Ok(()),
        }
    }
}

/// All live ends, and what the flusher is to do.
#[derive(Default)]
pub(super) struct Board {
    /// Looked into for every append: hashed fast.
    pub(super) tails: HashMap<SessionId, Tail, foldhash::fast::RandomState>,
    pub(super) dirty: HashSet<SessionId>,
    /// Journals written since the last checkpoint: to be synced before segments are recycled.
    pub(super) unsynced: HashSet<SessionId>,
    /// Those of them whose files may be new in their folders: these are to be synced, too.
    pub(super) unlisted: HashSet<SessionId>,
    /// Bytes that wait to be flushed.
    pub(super) backlog: usize,
    pub(super) segments: Segments,
    /// What is to be done to whole journals.
    pub(super) chores: Vec<Chore>,
    pub(super) older: Older,
    /// Last position in use, for the index.
    pub(super) position: u64,
    /// The last flush could not write everything.
    pub(super) stuck: bool,
    pub(super) poisoned: Option<String>,
    pub(super) closing: bool,
}

/// What becomes of journals' older lines.
#[derive(Default)]
pub(super) struct Older {
    /// Journals whose files are to be made shorter.
    pub(super) long: BTreeSet<SessionId>,
    /// How often a file was replaced: by a shorter one, or with lines written anew.
    pub(super) cuts: u64,
    /// The segment that was read last, uncompressed.
    pub(super) thawed: Option<((SessionId, u64), past::Whole)>,
}

/// What becomes of the commit log's segments.
#[derive(Default)]
pub(super) struct Segments {
    /// They may be recycled once everything up to now is synced.
    pub(super) retiring: Vec<PathBuf>,
    /// They may be used again.
    pub(super) free: Vec<PathBuf>,
    /// The one in use.
    pub(super) active: PathBuf,
    /// Erasures under way: until they have ended, no segment is used again.
    pub(super) erasing: u32,
}

/// Journals whose sync is worth one segment more of log to replay after a crash.
const JOURNALS_A_SEGMENT: usize = 64;
/// Full segments that wait for a checkpoint at most.
const SEGMENTS: usize = 4;

impl Board {
    /// Says whether so much of the log is full that all journals are to be synced now, though more is to come: the more
    /// journals there are, the more log each of their syncs is to free.
    pub(super) fn is_checkpoint_due(&self) -> bool {
        self.segments.retiring.len() >= (self.unsynced.len() / JOURNALS_A_SEGMENT).clamp(1, SEGMENTS)
    }

    /// Says whether there is nothing for the flusher but lines, which may gather.
    pub(super) fn has_only_lines(&self) -> bool {
        self.chores.is_empty() && self.older.long.is_empty() && !self.is_checkpoint_due()
    }

    /// Says whether the flusher may sleep.
    pub(super) fn has_nothing_to_do(&self) -> bool {
        let no_work = self.dirty.is_empty() && self.chores.is_empty() && self.older.long.is_empty();
        no_work && self.segments.retiring.is_empty() && !self.closing
    }

    /// Says that there is no such journal, and keeps nothing of it.
    pub(super) fn absent(&mut self, journal: SessionId) -> StoreError {
        if self.tails.get(&journal).is_some_and(Tail::rests) {
            self.tails.remove(&journal);
        }
        StoreError::NotFound(journal)
    }

    /// The journal is gone: nothing of it is flushed any more.
    pub(super) fn forget(&mut self, journal: SessionId) {
        let gone = Tail { removed: true, ..Tail::default() };
        let before = self.tails.insert(journal, gone).unwrap_or_default();
        self.backlog -= before.pending.iter().map(|line| line.as_str().len() + 1).sum::<usize>().min(self.backlog);
        self.older.thawed.take_if(|((kept, _), _)| *kept == journal);
        self.dirty.remove(&journal);
        self.unsynced.remove(&journal);
        self.unlisted.remove(&journal);
    }
}

/// What the committer, the flusher and readers share.
pub(super) struct Shared {
    pub(super) root: PathBuf,
    pub(super) disk: Arc<dyn Disk>,
    board: Mutex<Board>,
    /// Held by whoever writes or removes a journal's file; taken before the board.
    files: Mutex<()>,
    /// There is something for the flusher.
    pub(super) work: Condvar,
    /// The flusher has been through all files.
    pub(super) flushed: Condvar,
}

/// Live ends without anything to flush that are kept, for speed.
const KEPT: usize = 4_096;

impl Shared {
    pub(super) fn new(root: PathBuf, disk: Arc<dyn Disk>) -> Self {
        Self {
            root,
            disk,
            board: Mutex::default(),
            files: Mutex::default(),
            work: Condvar::new(),
            flushed: Condvar::new(),
        }
    }

    pub(super) fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn files(&self) -> MutexGuard<'_, ()> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the store: nothing is acknowledged any more.
    pub(super) fn poison(&self, what: &str, error: &io::Error) -> StoreError {
        tracing::error!(what, %error, "sync failed: the store is closed until a restart has read back what is there");
        let why = format!("{what}: {error}");
        self.board().poisoned.get_or_insert_with(|| why.clone());
        self.flushed.notify_all();
        StoreError::Poisoned(why)
    }

    pub(super) fn folder(&self, journal: SessionId) -> PathBuf {
        self.root.join("sessions").join(journal.to_string())
    }

    pub(super) fn file(&self, journal: SessionId) -> PathBuf {
        self.folder(journal).join("events.jsonl")
    }

    /// Returns a journal's live end, reading its file's end if it is not in memory. Heads of 0 mean that there is none.
    pub(super) fn tail<'a>(&self, board: &'a mut Board, journal: SessionId) -> Result<&'a mut Tail, StoreError> {
        if board.tails.len() >= KEPT && !board.tails.contains_key(&journal) {
            board.tails.retain(|_, tail| !tail.rests());
        }
        match board.tails.entry(journal) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => Ok(entry.insert(cold(&*self.disk, &self.folder(journal), journal)?)),
        }
    }
}

pub(super) fn io_error(what: &str, path: &Path, error: &io::Error) -> StoreError {
    if super::fs::is_full(error) {
        StoreError::NoSpace
    } else {
        StoreError::Io { what: format!("{what} {}", path.display()), why: error.to_string() }
    }
}

/// Reads the end of a journal that is not in memory. A last line without its end is torn: it is cut, its bytes kept beside.
/// Any other bad line may have been acknowledged: the log holds nothing of this journal, so its file was synced.
fn cold(disk: &dyn Disk, folder: &Path, journal: SessionId) -> Result<Tail, StoreError> {
    let path = folder.join("events.jsonl");
    let file = match disk.open(&path, Open::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return without_file(disk, folder),
        Err(error) => return Err(io_error("open", &path, &error)),
    };
    let length = file.size().map_err(|error| io_error("read", &path, &error))?;
    let last = super::lines::last(&*file, length).map_err(|error| io_error("read", &path, &error))?;
    let mut tail = if last.seq > 0 { at(last.seq) } else { past_only(disk, folder)? };
    tail.file_len = last.end;
    if last.end < length {
        tail.cut_bytes = length - last.end;
        if last.bad_lines > 0 {
            let lines = if last.bad_lines == 1 { "line" } else { "lines" };
            tail.damage = Some((tail.head + 1, format!("{} {lines} at its end cannot be read", last.bad_lines)));
            tracing::error!(%journal, "journal is damaged at its end: set aside");
            return Ok(tail);
        }
        cut(disk, &path, last.end, length).map_err(|error| io_error("cut the torn tail of", &path, &error))?;
        tracing::warn!(%journal, bytes = tail.cut_bytes, "torn tail cut");
    }
    Ok(tail)
}

fn at(head: Seq) -> Tail {
    Tail { head, file_head: head, ..Tail::default() }
}

/// Returns the end of a journal all of whose lines are in segments: a repair may leave no other.
fn past_only(disk: &dyn Disk, folder: &Path) -> Result<Tail, StoreError> {
    match past::last(disk, folder) {
        Ok(last) => Ok(at(last)),
        Err(error) if past::is_damage(&error) => {
            Ok(Tail { damage: Some((1, format!("its last segment {error}"))), ..Tail::default() })
        }
        Err(error) => Err(io_error("read", folder, &error)),
    }
}

/// Returns the end of a journal without its file: nobody takes that away, so where there are segments, it was lost.
fn without_file(disk: &dyn Disk, folder: &Path) -> Result<Tail, StoreError> {
    let mut tail = past_only(disk, folder)?;
    if tail.head > 0 && tail.damage.is_none() {
        tail.damage = Some((tail.head + 1, "events.jsonl is not there, though older segments are".to_owned()));
    }
    Ok(tail)
}

/// Cuts a file, keeping what is cut in a file beside it.
pub(super) fn cut(disk: &dyn Disk, path: &Path, from: u64, length: u64) -> io::Result<()> {
    let file = disk.open(path, Open::Write)?;
    let mut evidence = vec![0; usize::try_from((length - from).min(1 << 20)).unwrap_or(0)];
    let read = file.read_at(from, &mut evidence)?;
    evidence.truncate(read);
    let beside = disk.open(&path.with_extension("jsonl.torn"), Open::Write)?;
    let at = beside.size()?;
    beside.write_at(at, &evidence)?;
    file.set_len(from)?;
    file.sync()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_journals_there_are_the_more_log_a_checkpoint_frees() {
        for (journals, least) in [(0, 1), (1, 1), (127, 1), (128, 2), (1_000, 4), (10_000, 4)] {
            let mut board = Board { unsynced: (0..journals).map(SessionId::from_bits).collect(), ..Board::default() };
            board.segments.retiring = vec![PathBuf::new(); least - 1];
            assert!(!board.is_checkpoint_due(), "{journals} journals");
            board.segments.retiring.push(PathBuf::new());
            assert!(board.is_checkpoint_due(), "{journals} journals");
        }
    }
}
