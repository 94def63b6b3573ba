//! Journals of schedules as files: `schedules/sch_…/events.jsonl`, each written and synced by itself.
//!
//! Invariants: a write that failed is taken back, or nothing more is written to that journal; a sync that failed is never tried
//! again on the same file. Only an end without its newline is torn; any other bad line sets that one schedule aside.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use outlive_core::event::Line;
use outlive_core::id::{ScheduleId, Seq};
use outlive_core::schedule::{Schedule, read_snapshot, write_snapshot};

use super::fs::{Disk, Open, read_all, replace};
use super::lines;
use super::tails::{cut, io_error};
use crate::schedules::fold;
use crate::{Schedules, StoreError};

/// Bytes of a snapshot at most.
const SNAPSHOT_BYTES: u64 = 256 << 20;

/// The schedules of a workspace.
pub struct ScheduleFiles {
    folder: PathBuf,
    disk: Arc<dyn Disk>,
    tails: Mutex<BTreeMap<ScheduleId, Tail>>,
}

/// The end of a journal.
#[derive(Clone, Default)]
struct Tail {
    head: Seq,
    end: u64,
    /// Why nothing more is written to it.
    closed: Option<String>,
}

impl ScheduleFiles {
    /// Of the workspace with this folder. What was being removed is removed.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn open(disk: Arc<dyn Disk>, root: &std::path::Path) -> io::Result<Self> {
        let folder = root.join("schedules");
        disk.make_dir(&folder)?;
        for name in disk.list(&folder)?.iter().filter(|name| name.ends_with(GONE)) {
            disk.remove(&folder.join(name))?;
        }
        Ok(Self { folder, disk, tails: Mutex::default() })
    }

    fn tails(&self) -> MutexGuard<'_, BTreeMap<ScheduleId, Tail>> {
        self.tails.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn journal(&self, schedule: ScheduleId) -> PathBuf {
        self.folder.join(schedule.to_string()).join("events.jsonl")
    }

    /// Returns a journal's end, from its file where it is not known yet.
    fn tail(&self, schedule: ScheduleId) -> Result<Tail, StoreError> {
        if let Some(tail) = self.tails().get(&schedule) {
            return Ok(tail.clone());
        }
        let path = self.journal(schedule);
        let broken = |error: io::Error| io_error("read", &path, &error);
        let file = match self.disk.open(&path, Open::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Tail::default()),
            Err(error) => return Err(broken(error)),
        };
        let length = file.size().map_err(broken)?;
        let last = lines::last(&*file, length).map_err(broken)?;
        if last.bad_lines > 0 {
            return Err(StoreError::damaged(schedule, last.seq + 1, "it cannot be read".to_owned()));
        }
        if last.end < length {
            cut(&*self.disk, &path, last.end, length)
                .map_err(|error| io_error("cut the torn end of", &path, &error))?;
            tracing::warn!(%schedule, bytes = length - last.end, "torn tail cut");
        }
        let tail = Tail { head: last.seq, end: last.end, closed: None };
        self.tails().insert(schedule, tail.clone());
        Ok(tail)
    }

    fn lines(&self, schedule: ScheduleId, after: Seq, limit: usize) -> Result<Vec<Line>, StoreError> {
        let tail = self.tail(schedule)?;
        if tail.head <= after {
            return Ok(Vec::new());
        }
        let path = self.journal(schedule);
        let broken = |error: io::Error| io_error("read", &path, &error);
        let file = self.disk.open(&path, Open::Read).map_err(broken)?;
        let from = if after == 0 { 0 } else { lines::find(&*file, tail.end, after).map_err(broken)? };
        let read = lines::lines(&*file, from, tail.end, limit).map_err(broken)?;
        let read = read.map_err(|(seq, why)| StoreError::damaged(schedule, seq.max(after) + 1, why))?;
        match read.iter().zip(after + 1..).find(|(line, seq)| line.seq() != *seq) {
            Some((line, seq)) => {
                Err(StoreError::damaged(schedule, seq, format!("seq {} where {seq} belongs", line.seq())))
            }
            None => Ok(read),
        }
    }

    fn snapshot(&self, schedule: ScheduleId) -> Option<Schedule> {
        let path = self.folder.join(schedule.to_string()).join("state.yaml");
        let bytes = read_all(&*self.disk, &path, SNAPSHOT_BYTES).ok()?;
        read_snapshot(&String::from_utf8(bytes).ok()?).filter(|state| state.id == schedule)
    }

    /// Writes and syncs; the error says whether anything more may be written.
    fn write(&self, schedule: ScheduleId, tail: &mut Tail, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.journal(schedule);
        let is_new = tail.head == 0;
        if is_new {
            let folder = path.parent().unwrap_or(&self.folder);
            self.disk.make_dir(folder).map_err(|error| io_error("make", folder, &error))?;
        }
        let file = self.disk.open(&path, Open::Write).map_err(|error| io_error("open", &path, &error))?;
        if let Err(error) = file.write_at(tail.end, bytes) {
            if file.set_len(tail.end).is_err() {
                tail.closed = Some(error.to_string());
            }
            return Err(io_error("write", &path, &error));
        }
        let synced = file.sync().and_then(|()| match path.parent().filter(|_| is_new) {
            Some(folder) => self.disk.sync_dir(folder).and_then(|()| self.disk.sync_dir(&self.folder)),
            None => Ok(()),
        });
        synced.map_err(|error| {
            tail.closed = Some(error.to_string());
            StoreError::Poisoned(error.to_string())
        })
    }
}

/// What a journal's folder is called while it is being removed, behind its id.
const GONE: &str = ".gone";

impl Schedules for ScheduleFiles {
    fn schedules(&self) -> Result<Vec<ScheduleId>, StoreError> {
        let names = self.disk.list(&self.folder).map_err(|error| io_error("list", &self.folder, &error))?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    fn load(&self, schedule: ScheduleId) -> Result<Option<Schedule>, StoreError> {
        let damaged = |(line, why)| StoreError::damaged(schedule, line, why);
        let head = self.tail(schedule)?.head;
        // One that is ahead was made of what is not there any more.
        let known = self.snapshot(schedule).filter(|state| state.head <= head);
        let after = known.as_ref().map_or(0, |state| state.head);
        fold(known, &self.lines(schedule, after, usize::MAX)?).map_err(damaged)
    }

    fn read(&self, schedule: ScheduleId, after: Seq, limit: usize) -> Result<Vec<Line>, StoreError> {
        self.lines(schedule, after, limit)
    }

    fn append(&self, schedule: ScheduleId, lines: &[Line]) -> Result<(), StoreError> {
        let mut tail = self.tail(schedule)?;
        if let Some(why) = &tail.closed {
            return Err(StoreError::Poisoned(why.clone()));
        }
        if lines.iter().zip(tail.head + 1..).any(|(line, seq)| line.seq() != seq) {
            let (what, why) = (format!("append to schedule {schedule}"), format!("it is at {}", tail.head));
            return Err(StoreError::Refused { what, why });
        }
        let mut bytes = Vec::new();
        for line in lines {
            bytes.extend_from_slice(line.as_str().as_bytes());
            bytes.push(b'\n');
        }
        let written = self.write(schedule, &mut tail, &bytes);
        if written.is_ok() {
            (tail.head, tail.end) = (tail.head + lines.len() as Seq, tail.end + bytes.len() as u64);
        }
        self.tails().insert(schedule, tail);
        written
    }

    fn put_snapshot(&self, schedule: &Schedule) -> Result<(), StoreError> {
        let path = self.folder.join(schedule.id.to_string()).join("state.yaml");
        let Some(text) = write_snapshot(schedule) else { return Ok(()) };
        replace(&*self.disk, &path, text.as_bytes()).map_err(|error| io_error("write", &path, &error))
    }

    fn remove(&self, schedule: ScheduleId) -> Result<(), StoreError> {
        let folder = self.folder.join(schedule.to_string());
        let gone = self.folder.join(format!("{schedule}{GONE}"));
        self.tails().remove(&schedule);
        let moved = match self.disk.rename(&folder, &gone) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.and_then(|()| self.disk.sync_dir(&self.folder)),
        };
        moved.and_then(|()| self.disk.remove(&gone)).map_err(|error| io_error("remove", &folder, &error))
    }
}
