//! Writes lines of a journal anew: no file of the store holds what they were.
//!
//! A mark comes first, `trash/ID.scrub`, durably: it has the new lines, and the artifacts that only the old ones name. Then
//! each compressed segment that holds one of these lines, and `events.jsonl`, are written beside themselves and renamed over;
//! what was kept beside them of torn or damaged files, and the snapshot, go. When all of that is synced the frames of the
//! commit log that held one of these lines become frames of zeros: the journal's own files have all of it. The mark is taken
//! away last, by whoever has done the rest (the words, the artifacts). A start that finds a mark does all of it again: twice is
//! the same as once.
//!
//! The segment in use is put away first, as for an erasure, so that appends go on meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use outlive_core::digest::Digest;
use outlive_core::event::Line;
use outlive_core::id::{Seq, SessionId};
use serde::{Deserialize, Serialize};

use super::erase::clean;
use super::flusher::Flusher;
use super::frame::Kind;
use super::fs::{Disk, read_all, replace};
use super::past::{self, Range, damaged};
use super::recover::Replays;
use super::shorten::{PART, lost, sweep, write};
use super::tails::{Shared, io_error};
use super::trash::missing_is_fine;
use super::{beside, named_in};
use crate::StoreError;

/// What is to be written anew.
pub(super) struct Scrub {
    pub(super) journal: SessionId,
    pub(super) lines: BTreeMap<Seq, Line>,
    /// Segments of the log with lower numbers may hold what these lines were.
    pub(super) below: u64,
}

/// What is left to do of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The new lines.
    pub(crate) lines: BTreeMap<Seq, Line>,
    /// Artifacts that the old ones named and these do not.
    pub(crate) artifacts: BTreeSet<Digest>,
}

/// How a mark is written.
#[derive(Default, Serialize, Deserialize)]
struct Written {
    lines: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    artifacts: BTreeSet<Digest>,
}

pub(crate) type Marks = BTreeMap<SessionId, Mark>;

/// No mark is larger: an append is not, either.
const MARK_BYTES: u64 = 256 << 20;
const MARK: &str = ".scrub";

fn mark_path(root: &Path, journal: SessionId) -> PathBuf {
    root.join("trash").join(format!("{journal}{MARK}"))
}

fn read_mark(disk: &dyn Disk, path: &Path) -> io::Result<Mark> {
    let written: Written = serde_json::from_slice(&read_all(disk, path, MARK_BYTES)?)?;
    let mut mark = Mark { lines: BTreeMap::new(), artifacts: written.artifacts };
    for text in &written.lines {
        let line = Line::check(text.as_bytes()).map_err(|error| damaged(error.to_string()))?;
        mark.lines.insert(line.seq(), line);
    }
    Ok(mark)
}

/// Returns what is to be written anew. What says it and cannot be read stays, and is told: whoever wanted it wants it still.
pub(super) fn marks(disk: &dyn Disk, root: &Path) -> io::Result<Marks> {
    let names = match disk.list(&root.join("trash")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        other => other?,
    };
    let mut marks = Marks::new();
    for journal in names.iter().filter_map(|name| name.strip_suffix(MARK)?.parse().ok()) {
        match read_mark(disk, &mark_path(root, journal)) {
            Ok(mark) => drop(marks.insert(journal, mark)),
            Err(error) => tracing::error!(%journal, %error, "what is to be erased of a journal cannot be read"),
        }
    }
    Ok(marks)
}

/// Takes a mark away: nothing is left of what the lines were.
pub(super) fn unmark(shared: &Shared, journal: SessionId) -> Result<(), StoreError> {
    let path = mark_path(&shared.root, journal);
    let done = missing_is_fine(shared.disk.remove(&path)).and_then(|()| shared.disk.sync_dir(&shared.trash()));
    done.map_err(|error| io_error("remove", &path, &error))
}

/// Puts new lines in the place of those that the log still has.
pub(super) fn replay_anew(marks: &Marks, replays: &mut Replays) {
    for (journal, mark) in marks {
        let Some(replay) = replays.get_mut(journal) else { continue };
        for (seq, line) in &mut replay.lines {
            if let Some(new) = mark.lines.get(seq) {
                *line = new.clone();
            }
        }
    }
}

/// Goes on with what was being written anew when the last process ended. What cannot be done now is done later: its mark stays.
pub(super) fn go_on(shared: &Shared, marks: &Marks) {
    for (journal, mark) in marks {
        // What only the log has stays there.
        let waits = shared.board().tails.get(journal).is_some_and(|tail| !tail.pending.is_empty());
        let done = if waits { Err(StoreError::NoSpace) } else { apply(shared, *journal, mark, u64::MAX) };
        if let Err(error) = done {
            tracing::error!(%journal, %error, "lines that are to be erased cannot be erased now; it goes on later");
        }
    }
}

impl Flusher {
    /// Marks lines and writes them anew.
    pub(super) fn scrub(&self, scrub: &Scrub) -> Result<(), StoreError> {
        let done = self.scrub_now(scrub);
        let mut board = self.shared.board();
        board.segments.erasing = board.segments.erasing.saturating_sub(1);
        done
    }

    fn scrub_now(&self, scrub: &Scrub) -> Result<(), StoreError> {
        let (shared, journal) = (&*self.shared, scrub.journal);
        let path = mark_path(&shared.root, journal);
        let failed = |error: &io::Error| io_error("write lines anew in", &shared.folder(journal), error);
        self.flush_one(journal).map_err(|error| failed(&error))?;
        let _files = shared.files();
        let mut mark = match read_mark(&*shared.disk, &path) {
            Ok(mark) => mark,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Mark::default(),
            Err(error) if past::is_damage(&error) => {
                // Whoever wanted it wants it still: what it says is kept for a person, and what is wanted now goes on.
                let aside = path.with_extension("scrub.damaged");
                shared.disk.rename(&path, &aside).map_err(|error| io_error("set aside", &path, &error))?;
                tracing::error!(%journal, "what was to be erased of a journal could not be read: set aside");
                Mark::default()
            }
            Err(error) => return Err(failed(&error)),
        };
        let new: Vec<Line> = scrub.lines.values().cloned().collect();
        let named = named_in(&old_lines(shared, journal, &scrub.lines).map_err(|error| failed(&error))?);
        mark.artifacts.extend(named.difference(&named_in(&new)).cloned());
        mark.artifacts.retain(|hash| shared.disk.identity(&beside::artifact(&shared.root, hash)).is_ok());
        mark.lines.extend(scrub.lines.clone());
        let lines = mark.lines.values().map(|line| line.as_str().to_owned()).collect();
        let written = Written { lines, artifacts: mark.artifacts.clone() };
        let marked = serde_json::to_vec(&written).map_err(io::Error::from);
        let marked = marked.and_then(|text| replace(&*shared.disk, &path, &text));
        marked.map_err(|error| io_error("write", &path, &error))?;
        apply(shared, journal, &mark, scrub.below)
    }
}

/// Does what a mark says. Whoever has the files' lock calls it, or a start.
fn apply(shared: &Shared, journal: SessionId, mark: &Mark, below: u64) -> Result<(), StoreError> {
    let folder = shared.home(journal);
    if shared.disk.identity(&folder.join("events.jsonl")).is_err() {
        // It is gone, or in no state to be written.
        return match past::segments(&*shared.disk, &folder) {
            Ok(numbers) if numbers.is_empty() => Ok(()),
            Ok(_) => Err(StoreError::NotFound(journal)),
            Err(error) => Err(io_error("list", &folder, &error)),
        };
    }
    let failed = |error: io::Error| match shared.board().poisoned.clone() {
        Some(why) => StoreError::Poisoned(why),
        None => io_error("write lines anew in", &folder, &error),
    };
    let done = write_files(shared, journal, &mark.lines);
    if done.is_err() {
        // On a full disk it is in the way.
        sweep(&*shared.disk, &folder).ok();
    }
    done.map_err(failed)?;
    let is_of = |seq: Seq, count: u64| mark.lines.range(seq..seq.saturating_add(count)).next().is_some();
    let cleaned = clean(shared, below, |head| {
        head.journal == journal && head.kind == Kind::Lines && is_of(head.first, u64::from(head.count))
    });
    cleaned.map_err(|error| io_error("erase from", &shared.root.join("commit"), &error))
}

/// Writes a journal's files anew, and takes away what lies beside them. All of it is synced.
fn write_files(shared: &Shared, journal: SessionId, lines: &BTreeMap<Seq, Line>) -> io::Result<()> {
    let (disk, folder) = (&*shared.disk, shared.home(journal));
    sweep(disk, &folder)?;
    for number in past::segments(disk, &folder)? {
        let path = past::path(&folder, number);
        let range = past::range(disk, &path)?;
        if lines.range(range.first..=range.last).next().is_some() {
            let (range, bytes) = past::whole(disk, &path)?;
            let Anew { bytes, .. } = anew(&bytes, lines)?;
            let range = Range { bytes: bytes.len() as u64, ..range };
            put(shared, journal, (&path, &past::encoded(range, &bytes)?), None)?;
        }
    }
    let live = live_bytes(shared, journal)?;
    let path = folder.join("events.jsonl");
    let Anew { bytes, old } = anew(&live, lines)?;
    if old.is_empty() {
        // What the log let go of is to be here.
        disk.open(&path, super::fs::Open::Read)?.sync().map_err(|error| lost(shared, error))?;
    } else {
        put(shared, journal, (&path, &bytes), Some(bytes.len() as u64))?;
    }
    for name in disk.list(&folder)? {
        let is_journal = name == "events.jsonl" || past::number_of(&name).is_some();
        if (name.starts_with("events") && !is_journal) || name.starts_with("state.") {
            missing_is_fine(disk.remove(&folder.join(name)))?;
        }
    }
    // The folder itself may be new.
    let parent = folder.parent().unwrap_or(&folder);
    disk.sync_dir(&folder).and_then(|()| disk.sync_dir(parent)).map_err(|error| lost(shared, error))
}

/// Returns what is in a journal's file, without what is beyond its end.
fn live_bytes(shared: &Shared, journal: SessionId) -> io::Result<Vec<u8>> {
    let path = shared.home(journal).join("events.jsonl");
    let length = if shared.is_among_sessions(journal) {
        let mut board = shared.board();
        let tail = shared.tail(&mut board, journal).map_err(io::Error::other)?;
        tail.sound(journal).map_err(io::Error::other)?;
        Some(tail.file_len)
    } else {
        None
    };
    let mut bytes = read_all(&*shared.disk, &path, u64::MAX)?;
    bytes.truncate(length.map_or(bytes.len(), |length| usize::try_from(length).unwrap_or(usize::MAX)));
    Ok(bytes)
}

/// A file's lines, as they are to be.
struct Anew {
    bytes: Vec<u8>,
    /// Those that are no more.
    old: Vec<Line>,
}

fn anew(bytes: &[u8], lines: &BTreeMap<Seq, Line>) -> io::Result<Anew> {
    let mut anew = Anew { bytes: Vec::with_capacity(bytes.len()), old: Vec::new() };
    for text in bytes.split_inclusive(|byte| *byte == b'\n') {
        let line = text.strip_suffix(b"\n").ok_or_else(|| damaged("line has no end"))?;
        let line = Line::check(line).map_err(|error| damaged(error.to_string()))?;
        match lines.get(&line.seq()).filter(|new| **new != line) {
            None => anew.bytes.extend_from_slice(text),
            Some(new) => {
                anew.bytes.extend_from_slice(new.as_str().as_bytes());
                anew.bytes.push(b'\n');
                anew.old.push(line);
            }
        }
    }
    Ok(anew)
}

/// Returns what these lines are now, wherever they are, and that they can be written anew.
fn old_lines(shared: &Shared, journal: SessionId, lines: &BTreeMap<Seq, Line>) -> io::Result<Vec<Line>> {
    let (disk, folder) = (&*shared.disk, shared.home(journal));
    let mut old = Vec::new();
    for number in past::segments(disk, &folder)? {
        let path = past::path(&folder, number);
        let range = past::range(disk, &path)?;
        if lines.range(range.first..=range.last).next().is_some() {
            let found = anew(&past::whole(disk, &path)?.1, lines)?;
            if found.bytes.len() as u64 > past::BYTES {
                return Err(io::Error::other(format!("{} would be too large", past::name(number))));
            }
            old.extend(found.old);
        }
    }
    old.extend(anew(&live_bytes(shared, journal)?, lines)?.old);
    Ok(old)
}

/// Puts a file in the place of another one. Whoever reads next finds the one that its end is of.
fn put(shared: &Shared, journal: SessionId, (path, bytes): (&Path, &[u8]), length: Option<u64>) -> io::Result<()> {
    let beside = path.with_extension(PART);
    write(&*shared.disk, &beside, bytes)?;
    let mut board = shared.board();
    shared.disk.rename(&beside, path)?;
    board.older.cuts += 1;
    board.older.thawed.take_if(|((kept, _), _)| *kept == journal);
    if let (Some(length), Some(tail)) = (length, board.tails.get_mut(&journal)) {
        tail.file_len = length;
    }
    Ok(())
}
