//! Start-up: brings the journals up to what the commit log acknowledged. Its cost follows what was written since the last
//! checkpoint, not how many sessions there are. Doing it twice does the same as doing it once.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use outlive_core::event::Line;
use outlive_core::id::{Seq, SessionId};

use super::committer::remove_folder;
use super::frame::{self, Kind, Scan};
use super::fs::{self, Open};
use super::tails::{Shared, Tail};
use super::{flusher, lines, past};

/// What a start found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// Journals that the log had something for.
    pub touched: Vec<SessionId>,
    /// Frames brought to the journals.
    pub frames: u64,
    /// Bytes that were cut from files and were not in the log: never acknowledged.
    pub cut_bytes: u64,
    /// What is damaged, in words.
    pub damage: Vec<String>,
}

/// The log as it was left.
pub(super) struct Left {
    pub(super) recovery: Recovery,
    /// Segments with frames, oldest first: to be freed at the next checkpoint. None if a journal does not fit them: then they
    /// stay as they are.
    pub(super) live: Vec<PathBuf>,
    /// Segments that hold nothing.
    pub(super) free: Vec<PathBuf>,
    /// Number of the last segment.
    pub(super) number: u64,
    /// Position of the last frame.
    pub(super) position: u64,
}

/// What the log says of one journal.
#[derive(Default)]
pub(super) struct Replay {
    pub(super) lines: BTreeMap<Seq, Line>,
    pub(super) removed: bool,
}

pub(super) type Replays = BTreeMap<SessionId, Replay>;

const POSITION: &str = "position";

/// Notes a position that segments which are about to be freed held.
pub(super) fn note_position(shared: &Shared, position: u64) -> io::Result<()> {
    fs::replace(&*shared.disk, &shared.root.join("commit").join(POSITION), position.to_string().as_bytes())
}

/// Frees a segment whose lines are all in the files, and synced.
pub(super) fn let_go(shared: &Shared, segment: &Path) -> io::Result<()> {
    shared.disk.rename(segment, &segment.with_extension("free"))?;
    shared.disk.sync_dir(&shared.root.join("commit"))
}

fn noted_position(shared: &Shared) -> io::Result<u64> {
    match fs::read_all(&*shared.disk, &shared.root.join("commit").join(POSITION), 64) {
        Ok(bytes) => Ok(std::str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

pub(super) fn recover(shared: &Shared) -> io::Result<Left> {
    let doomed = super::erase::go_on(shared)?;
    let folder = shared.root.join("commit");
    let mut left = Left {
        recovery: Recovery::default(),
        live: Vec::new(),
        free: Vec::new(),
        number: 0,
        position: noted_position(shared)?,
    };
    let mut replays = Replays::new();
    let mut last: Option<(PathBuf, Vec<u8>, Scan)> = None;
    for name in shared.disk.list(&folder)? {
        let path = folder.join(&name);
        if let Some(number) = number_of(&name, "free") {
            left.number = left.number.max(number);
            left.free.push(path);
        } else if let Some(number) = number_of(&name, "log") {
            left.number = left.number.max(number);
            let bytes = fs::read_all(&*shared.disk, &path, u64::MAX)?;
            let scan = frame::scan(&bytes, number);
            if scan.frames.is_empty() {
                left.free.push(path);
                continue;
            }
            let (first, end) = (scan.frames.first(), scan.frames.last());
            let first = first.map_or(0, |(head, _)| head.position);
            if let Some((before, bytes)) = last.as_ref().map(|(path, bytes, _)| (path, bytes))
                && first > left.position + 1
            {
                let lost = format!("frames {} to {} cannot be read", left.position + 1, first - 1);
                keep(shared, before, bytes, &lost, &mut left.recovery)?;
            }
            left.position = left.position.max(end.map_or(0, |(head, _)| head.position));
            replay(&bytes, &scan, &mut replays, &mut left.recovery);
            if scan.damaged {
                keep(shared, &path, &bytes, "frames in the middle cannot be read", &mut left.recovery)?;
            }
            left.live.push(path.clone());
            last = Some((path, bytes, scan));
        }
    }
    if let Some((path, bytes, scan)) = last {
        renew(shared, &path, &bytes, &scan)?;
    }
    let scrubs = super::scrub::marks(&*shared.disk, &shared.root)?;
    super::scrub::replay_anew(&scrubs, &mut replays);
    // All that a journal in the trash has is in its file, and synced.
    let discarded: BTreeSet<SessionId> = shared.all_discarded()?.into_iter().collect();
    replays.retain(|journal, replay| !doomed.contains(journal) && (replay.removed || !discarded.contains(journal)));
    // The list may still show what has gone.
    left.recovery.touched.extend(discarded);
    left.recovery.touched.extend(doomed);
    for (journal, replay) in replays {
        bring_up(shared, journal, &replay, &mut left.recovery)?;
        left.recovery.touched.push(journal);
    }
    super::scrub::go_on(shared, &scrubs);
    // What is erased from the log may take segments away that held nothing else.
    left.free.retain(|path| shared.disk.identity(path).is_ok());
    if shared.board().tails.values().any(|tail| tail.damage.is_some()) {
        left.live.clear();
    }
    Ok(left)
}

pub(super) fn number_of(name: &str, extension: &str) -> Option<u64> {
    let stem = name.strip_suffix(extension)?.strip_suffix('.')?;
    stem.parse().ok().filter(|_| stem.len() >= 8)
}

/// Writes the last batch again and syncs it: the process that wrote it may have died before its sync, or the sync failed
/// and the kernel calls the pages clean. From here on it is shown, so it must stay.
fn renew(shared: &Shared, path: &Path, bytes: &[u8], scan: &Scan) -> io::Result<()> {
    let start = scan.last_batch();
    let file = shared.disk.open(path, Open::Write)?;
    file.write_at(start as u64, bytes.get(start..scan.end).unwrap_or_default())?;
    file.sync()
}

/// Notes damage of the log, and keeps a copy of the segment.
fn keep(shared: &Shared, path: &Path, bytes: &[u8], why: &str, recovery: &mut Recovery) -> io::Result<()> {
    recovery.damage.push(format!("commit/{}: {why}; sessions may lack what was in them", shown(path)));
    let copy = path.with_extension("log.damaged");
    if shared.disk.identity(&copy).is_ok() { Ok(()) } else { fs::replace(&*shared.disk, &copy, bytes) }
}

fn shown(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

pub(super) fn replay(bytes: &[u8], scan: &Scan, replays: &mut Replays, recovery: &mut Recovery) {
    for (head, range) in &scan.frames {
        recovery.frames += 1;
        let replay = match head.kind {
            Kind::Erased => continue,
            Kind::Removed | Kind::Lines => replays.entry(head.journal).or_default(),
        };
        if head.kind == Kind::Removed {
            *replay = Replay { removed: true, ..Replay::default() };
            continue;
        }
        replay.lines.extend(good_lines(bytes.get(range.clone()).unwrap_or_default()).map(|line| (line.seq(), line)));
    }
}

fn good_lines(bytes: &[u8]) -> impl Iterator<Item = Line> {
    bytes.split(|byte| *byte == b'\n').filter_map(|text| Line::check(text).ok())
}

/// Returns the last event that a journal's file need not hold, since a segment has it.
fn base(shared: &Shared, journal: SessionId) -> io::Result<Seq> {
    let first = match shared.disk.open(&shared.file(journal), Open::Read) {
        Ok(file) => lines::first(&*file, file.size()?)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    match first {
        Some(1) => Ok(0),
        first => match past::last(&*shared.disk, &shared.folder(journal)) {
            Ok(last) => Ok(first.map_or(last, |first| last.min(first.saturating_sub(1)))),
            // What a damaged one holds is unknown: the lines that are here come first.
            Err(error) if past::is_damage(&error) => Ok(first.map_or(0, |first| first.saturating_sub(1))),
            Err(error) => Err(error),
        },
    }
}

/// Makes a journal's file hold its good lines before the log's first one, and then every line that the log or the file has.
fn bring_up(shared: &Shared, journal: SessionId, replay: &Replay, recovery: &mut Recovery) -> io::Result<()> {
    if replay.removed {
        remove_folder(shared, journal)?;
    }
    if replay.lines.is_empty() {
        return Ok(());
    }
    let path = shared.file(journal);
    let base = base(shared, journal)?;
    // What has moved to a segment is durable there.
    let Some((&first, _)) = replay.lines.range(base + 1..).next() else { return Ok(()) };
    let (offset, before, rest) = match shared.disk.open(&path, Open::Read) {
        Ok(file) => {
            let length = file.size()?;
            let offset = lines::find(&*file, length, first - 1)?;
            let mut rest = vec![0; usize::try_from(length - offset).unwrap_or(0)];
            let read = file.read_at(offset, &mut rest)?;
            rest.truncate(read);
            (offset, if offset == 0 { base } else { lines::last(&*file, offset)?.seq }, rest)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => (0, base, Vec::new()),
        Err(error) => return Err(error),
    };
    let mut tail = Tail { head: before, file_head: before, file_len: offset, ..Tail::default() };
    if before + 1 == first {
        let filed: BTreeMap<Seq, Line> = good_lines(&rest).map(|line| (line.seq(), line)).collect();
        let merged = (first..).map_while(|seq| replay.lines.get(&seq).or_else(|| filed.get(&seq)).cloned());
        let merged: Vec<Line> = merged.collect();
        let bytes = flusher::joined(&merged);
        tail.head = before + merged.len() as Seq;
        let beyond =
            replay.lines.last_key_value().map_or(0, |(seq, _)| *seq).max(filed.keys().copied().max().unwrap_or(0));
        if beyond > tail.head {
            tail.damage = Some((tail.head + 1, "it is missing, though later lines are there".to_owned()));
        } else {
            match flusher::write(&*shared.disk, shared, journal, (offset, &bytes)) {
                Err(error) if fs::is_full(&error) && rest.len() <= bytes.len() => {
                    // The flusher writes them once there is room; until then the log keeps them.
                    tail.pending = merged;
                    let mut board = shared.board();
                    board.backlog += bytes.len();
                    board.dirty.insert(journal);
                    board.tails.insert(journal, tail);
                    return Ok(());
                }
                other => other?,
            }
            tail.cut_bytes = rest.len().saturating_sub(bytes.len()) as u64;
            if tail.cut_bytes > 0 {
                let end = offset + bytes.len() as u64;
                super::tails::cut(&*shared.disk, &path, end, offset + rest.len() as u64)?;
                recovery.cut_bytes += tail.cut_bytes;
            }
            (tail.file_head, tail.file_len) = (tail.head, offset + bytes.len() as u64);
        }
    } else {
        tail.damage = Some((before + 1, format!("its file ends before it, and the commit log goes on at {first}")));
    }
    if let Some((line, why)) = &tail.damage {
        recovery.damage.push(format!("session {journal}, line {line}: {why}"));
    }
    let mut board = shared.board();
    board.tails.insert(journal, tail);
    board.unsynced.insert(journal);
    board.unlisted.insert(journal);
    Ok(())
}
