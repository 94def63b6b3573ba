//! Moves a long journal's older lines from `events.jsonl` to compressed segments, a step at a time: what a step is, is found
//! anew from what is on disk, so that whatever ended before is gone on with.
//!
//! Segments come first, one a step, each beside its place, synced and renamed, until a quarter of the limit would be left in
//! the file. Then they are read back and compared with what the file has, the folder is synced, and a file with the rest takes
//! the place of the old one. What dies or fails in between leaves lines in both places, and the file's are as good as ever.
//!
//! Invariants: no line leaves the file before a synced segment has given it back, byte by byte; at least one line stays; a
//! journal in which anything is not as it should be stays as it is.

use std::io;
use std::path::Path;

use outlive_core::id::{Seq, SessionId};
use outlive_core::limits::LINE_BYTES;

use super::flusher::Flusher;
use super::fs::{Disk, DiskFile, Open};
use super::lines;
use super::past::{self, Range, damaged};
use super::tails::Shared;
use super::trash::missing_is_fine;

/// Steps that a closing store still does.
const LAST_STEPS: usize = 64;

/// What is to be done after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Step,
    Nothing,
}

/// A file whose older lines move.
struct Long {
    file: std::sync::Arc<dyn DiskFile>,
    length: u64,
    /// Its first and its last event.
    first: Seq,
    head: Seq,
    /// The last event that is in a segment.
    moved: Seq,
    /// Where the line after that one begins.
    start: u64,
}

impl Flusher {
    /// Does a step for one of the journals that are too long.
    pub(super) fn shorten(&self) {
        let Some(journal) = self.shared.board().older.long.pop_first() else { return };
        match self.step(journal) {
            Ok(Next::Step) => drop(self.shared.board().older.long.insert(journal)),
            Ok(Next::Nothing) => {}
            Err(error) => {
                tracing::warn!(%journal, %error, "older lines of a long journal stay in its file for now");
                let grown = self.options.live_bytes / 4;
                let mut board = self.shared.board();
                // A segment that was taken back may be what was kept.
                board.older.thawed = None;
                if let Some(tail) = board.tails.get_mut(&journal) {
                    tail.stays_below = tail.file_len.saturating_add(grown);
                }
            }
        }
    }

    /// Does what is left to do, within bounds: the next process does the rest.
    pub(super) fn shorten_all(&self) {
        (0..LAST_STEPS).for_each(|_| self.shorten());
        self.shared.board().older.long.clear();
    }

    fn step(&self, journal: SessionId) -> io::Result<Next> {
        let shared = &*self.shared;
        // Nobody writes, moves or removes it meanwhile.
        let _files = shared.files();
        let Some((length, head)) = self.may_be_shorter(journal) else { return Ok(Next::Nothing) };
        let (disk, folder) = (&*shared.disk, shared.folder(journal));
        sweep(disk, &folder)?;
        let long = Long::read(disk, &shared.file(journal), (length, head))?;
        let newest = lines::find(&*long.file, length, head - 1)?;
        let goal = newest.min(length.saturating_sub(self.options.live_bytes / 4));
        let done = if long.start + self.options.past_bytes <= goal {
            long.put_away(disk, &folder, self.options.past_bytes).map(|()| Next::Step)
        } else if long.start > 0 {
            long.compare(disk, &folder).and_then(|()| cut(shared, journal, &long)).map(|()| Next::Nothing)
        } else {
            Ok(Next::Nothing)
        };
        if done.is_err() {
            // On a full disk it is in the way.
            sweep(disk, &folder).ok();
        }
        done
    }

    /// Returns the length and the last event of a journal's file, unless it is to stay as it is.
    fn may_be_shorter(&self, journal: SessionId) -> Option<(u64, Seq)> {
        let board = self.shared.board();
        let tail = board.tails.get(&journal).filter(|_| board.poisoned.is_none())?;
        let rests = tail.ending || tail.removed || tail.damage.is_some() || tail.file_head == 0;
        (!rests).then_some((tail.file_len, tail.file_head))
    }
}

impl Long {
    fn read(disk: &dyn Disk, path: &Path, (length, head): (u64, Seq)) -> io::Result<Self> {
        let file = disk.open(path, Open::Read)?;
        let first = lines::first(&*file, length)?.ok_or_else(|| damaged("its first line cannot be read"))?;
        let moved = past::last(disk, path.parent().unwrap_or(path))?;
        if moved + 1 < first || moved >= head {
            return Err(damaged(format!("segments end with event {moved}, the file has {first} to {head}")));
        }
        let start = lines::find(&*file, length, moved)?;
        Ok(Self { file, length, first, head, moved, start })
    }

    /// Writes the next segment.
    fn put_away(&self, disk: &dyn Disk, folder: &Path, most: u64) -> io::Result<()> {
        let bytes = self.lines_from(self.start, most)?;
        let last = check(&bytes, self.moved)?;
        let range = Range { first: self.moved + 1, last, bytes: bytes.len() as u64 };
        let number = past::segments(disk, folder)?.last().map_or(1, |number| number + 1);
        let path = past::path(folder, number);
        let beside = path.with_extension(PART);
        write(disk, &beside, &past::encoded(range, &bytes)?)?;
        disk.rename(&beside, &path)
    }

    /// Reads whole lines, so many bytes of them at most, but at least one.
    fn lines_from(&self, from: u64, most: u64) -> io::Result<Vec<u8>> {
        for size in [most, LINE_BYTES as u64 + 1] {
            let mut bytes = read(&*self.file, from, size.min(self.length - from))?;
            if let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') {
                let one = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(end);
                bytes.truncate(1 + if size > most { one } else { end });
                return Ok(bytes);
            }
        }
        Err(damaged("a line has no end"))
    }

    /// Compares what the segments hold of the file with the file. What is not the same is taken away: the file has all of it.
    fn compare(&self, disk: &dyn Disk, folder: &Path) -> io::Result<()> {
        let numbers = past::segments(disk, folder)?;
        let mut at = self.start;
        for (place, number) in numbers.iter().enumerate().rev() {
            if at == 0 {
                break;
            }
            let found = past::whole(disk, &past::path(folder, *number)).and_then(|(range, lines)| {
                let here = past::after_lines(&lines, self.first.saturating_sub(range.first));
                let from = at.checked_sub(here.len() as u64).ok_or_else(|| damaged("holds more than the file"))?;
                if read(&*self.file, from, here.len() as u64)? == here { Ok(from) } else { Err(damaged("differs")) }
            });
            match found {
                Ok(from) => at = from,
                Err(error) if past::is_damage(&error) => {
                    return Err(self.take_back(disk, folder, numbers.get(place..).unwrap_or_default(), &error));
                }
                Err(error) => return Err(error),
            }
        }
        if at == 0 { Ok(()) } else { Err(damaged("the file holds what no segment does")) }
    }

    /// Removes segments of which the file has every line, the newest first, so that none is missing in the middle. Says why.
    fn take_back(&self, disk: &dyn Disk, folder: &Path, numbers: &[u64], why: &io::Error) -> io::Error {
        for number in numbers.iter().rev() {
            let path = past::path(folder, *number);
            let is_here = past::range(disk, &path).is_ok_and(|range| range.first >= self.first);
            if !is_here || disk.remove(&path).is_err() {
                break;
            }
        }
        damaged(format!("a segment was not what was written: {why}"))
    }
}

/// Ends the name of what is not whole yet.
pub(super) const PART: &str = "part";

/// Removes what a process that died, or a full disk, left unfinished.
pub(super) fn sweep(disk: &dyn Disk, folder: &Path) -> io::Result<()> {
    let names = disk.list(folder)?;
    let parts =
        names.iter().filter(|name| name.starts_with("events") && Path::new(name).extension() == Some(PART.as_ref()));
    parts.map(|name| disk.remove(&folder.join(name))).try_for_each(missing_is_fine)
}

/// Puts a file with the rest in the place of one whose other lines are in segments.
fn cut(shared: &Shared, journal: SessionId, long: &Long) -> io::Result<()> {
    let (disk, folder, path) = (&*shared.disk, shared.folder(journal), shared.file(journal));
    let rest = read(&*long.file, long.start, long.length - long.start)?;
    if check(&rest, long.moved)? != long.head {
        return Err(damaged("the file ends too early"));
    }
    let beside = path.with_extension(PART);
    write(disk, &beside, &rest)?;
    // From here on the segments count: their names must last.
    disk.sync_dir(&folder).map_err(|error| lost(shared, error))?;
    {
        // Whoever reads this end next finds the file that it is of.
        let mut board = shared.board();
        disk.rename(&beside, &path)?;
        board.older.cuts += 1;
        if let Some(tail) = board.tails.get_mut(&journal) {
            tail.file_len = rest.len() as u64;
        }
    }
    tracing::info!(%journal, up_to = long.moved, "older lines of a long journal are in compressed segments");
    disk.sync_dir(&folder).map_err(|error| lost(shared, error))
}

/// Only a restart can tell which names a folder has whose sync failed.
pub(super) fn lost(shared: &Shared, error: io::Error) -> io::Error {
    shared.poison("journals", &error);
    error
}

/// Writes a file and syncs it.
pub(super) fn write(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = disk.open(path, Open::Write)?;
    file.set_len(0)?;
    file.write_at(0, bytes)?;
    file.sync()
}

/// Checks lines that follow this event; returns the last one.
fn check(bytes: &[u8], before: Seq) -> io::Result<Seq> {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').zip(before + 1..);
    lines.map(|(text, expected)| past::good(text, expected)).try_fold(before, |_, line| line.map(|line| line.seq()))
}

fn read(file: &dyn DiskFile, from: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    let read = file.read_at(from, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}
