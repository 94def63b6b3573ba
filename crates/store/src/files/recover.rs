//! Start-up: brings the journals up to what the commit log acknowledged. Its cost follows what was written since the last
//! checkpoint, not how many sessions there are. Doing it twice does the same as doing it once.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use outlive_core::event::Line;
use outlive_core::id::{Seq, SessionId};

use super::committer::remove_folder;
use super::frame::{self, Kind, Scan};
use super::fs::{self, Disk, Open};
use super::tails::{Shared, Tail};
use super::{flusher, lines};

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
    /// All segments, oldest first; none holds anything that the files do not.
    pub(super) segments: Vec<PathBuf>,
    /// Number of the last segment.
    pub(super) number: u64,
    /// Position of the last frame.
    pub(super) position: u64,
}

/// What the log says of one journal: lines from a seq on.
#[derive(Default)]
struct Replay {
    first: Seq,
    body: Vec<u8>,
    next: Seq,
    removed: bool,
    gap: bool,
}

const CLEAN: &str = "clean";

/// Notes that everything is in the files and synced, up to this position.
pub(super) fn mark_clean(shared: &Shared, position: u64) -> io::Result<()> {
    fs::replace(&*shared.disk, &shared.root.join("commit").join(CLEAN), position.to_string().as_bytes())
}

/// Takes the note away again, before anything is written.
fn take_clean(shared: &Shared) -> io::Result<Option<u64>> {
    let path = shared.root.join("commit").join(CLEAN);
    let noted = match fs::read_all(&*shared.disk, &path, 64) {
        Ok(bytes) => std::str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse().ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    shared.disk.remove(&path)?;
    shared.disk.sync_dir(&shared.root.join("commit"))?;
    Ok(noted)
}

pub(super) fn recover(shared: &Shared) -> io::Result<Left> {
    let folder = shared.root.join("commit");
    let names: Vec<String> = shared.disk.list(&folder)?.into_iter().filter(|name| number_of(name).is_some()).collect();
    let segments: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
    let number = names.iter().filter_map(|name| number_of(name)).max().unwrap_or(0);
    if let Some(position) = take_clean(shared)? {
        return Ok(Left { recovery: Recovery::default(), segments, number, position });
    }
    let (replays, position, mut recovery) = read_log(&*shared.disk, &segments)?;
    for (journal, replay) in replays {
        bring_up(shared, journal, &replay, &mut recovery)?;
        recovery.touched.push(journal);
    }
    Ok(Left { recovery, segments, number, position })
}

fn number_of(name: &str) -> Option<u64> {
    name.strip_suffix(".log").filter(|stem| stem.len() == 8)?.parse().ok()
}

type Replays = BTreeMap<SessionId, Replay>;

fn read_log(disk: &dyn Disk, segments: &[PathBuf]) -> io::Result<(Replays, u64, Recovery)> {
    let mut recovery = Recovery::default();
    let mut replays = Replays::new();
    let mut scans: Vec<(Vec<u8>, Scan)> = Vec::new();
    for path in segments {
        let bytes = fs::read_all(disk, path, u64::MAX)?;
        let scan = frame::scan(&bytes, None);
        if scan.damaged {
            recovery.damage.push(format!("{}: a frame in the middle of the log is damaged", shown(path)));
            disk.rename(path, &path.with_extension("log.damaged")).ok();
            fs::replace(disk, path, &bytes)?;
        }
        if !scan.frames.is_empty() {
            scans.push((bytes, scan));
        }
    }
    // Recycled segments keep old frames: the live ones follow each other without a gap up to the newest.
    scans.sort_by_key(|(_, scan)| scan.frames.first().map_or(0, |(head, _)| head.position));
    let mut position = 0;
    for (bytes, scan) in &scans {
        for (head, range) in &scan.frames {
            if position != 0 && head.position != position + 1 && !scan.damaged {
                replays.clear();
                recovery.frames = 0;
            }
            position = head.position;
            recovery.frames += 1;
            let body = bytes.get(range.clone()).unwrap_or_default();
            replays.entry(head.journal).or_default().add(head, body);
        }
    }
    Ok((replays, position, recovery))
}

impl Replay {
    fn add(&mut self, head: &frame::Head, body: &[u8]) {
        if head.kind == Kind::Removed {
            *self = Self { removed: true, ..Self::default() };
            return;
        }
        if self.body.is_empty() {
            self.first = head.first;
            self.next = head.first;
        }
        if head.first == self.next && !self.gap {
            self.body.extend_from_slice(body);
            self.next += Seq::from(head.count);
        } else {
            self.gap = true;
        }
    }
}

/// Makes a journal's file hold exactly its good lines before the log's first one, and then the log's.
fn bring_up(shared: &Shared, journal: SessionId, replay: &Replay, recovery: &mut Recovery) -> io::Result<()> {
    if replay.removed {
        remove_folder(shared, journal).map_err(|error| io::Error::other(error.to_string()))?;
    }
    if replay.body.is_empty() {
        return Ok(());
    }
    let path = shared.file(journal);
    let (offset, length, before) = match shared.disk.open(&path, Open::Read) {
        Ok(file) => {
            let length = file.size()?;
            let offset = lines::find(&*file, length, replay.first - 1)?;
            (offset, length, lines::last(&*file, offset)?.seq)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => (0, 0, 0),
        Err(error) => return Err(error),
    };
    let mut damage = replay.gap.then(|| "the commit log has a hole in its lines".to_owned());
    if before + 1 != replay.first {
        damage = Some(format!("its file ends at {before}, the commit log goes on at {}", replay.first));
    } else {
        flusher::write(&*shared.disk, shared, journal, (offset, &replay.body))?;
        let end = offset + replay.body.len() as u64;
        if length > end {
            super::tails::cut(&*shared.disk, &path, end, length)?;
            recovery.cut_bytes += length - end;
        }
    }
    let head = if damage.is_some() { before } else { replay.next - 1 };
    let file_len = if damage.is_some() { offset } else { offset + replay.body.len() as u64 };
    let cut_bytes = length.saturating_sub(file_len);
    if let Some(why) = &damage {
        recovery.damage.push(format!("session {journal}: {why}"));
    }
    let mut board = shared.board();
    let tail = Tail { head, file_head: head, file_len, pending: Vec::<Line>::new(), cut_bytes, damage };
    board.tails.insert(journal, tail);
    board.unsynced.insert(journal);
    Ok(())
}

fn shown(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
