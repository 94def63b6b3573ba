//! A disk on which the process dies at a named moment, as if by `kill -9`: what a test of the whole program sets, by name,
//! where a random kill would rarely hit.
//!
//! A trap reads `MOMENT:WHAT` or `MOMENT:WHAT:N` for the N-th time. What is an event's type, at its append to the commit
//! log, or one of the other things that a store does: `journal` (lines go to their readable file), `checkpoint` (that file
//! is synced), `segment` (a segment of the log is put away), `past` (older lines are in a segment of their own), `shortened`
//! (the file takes its place that is without them), `snapshot`, `artifact`.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::fs::{Disk, DiskFile, Open};

/// When it dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// Nothing has been done yet.
    Before,
    /// It is done, and not yet synced where it is to be.
    Written,
    /// An append is durable, and nobody has been told.
    Synced,
}

/// A moment to die at.
#[derive(Debug)]
pub struct Trap {
    moment: Moment,
    what: String,
    left: AtomicU32,
    sprung: AtomicBool,
}

impl std::str::FromStr for Trap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split(':');
        let moment = match words.next() {
            Some("before") => Moment::Before,
            Some("written") => Moment::Written,
            Some("synced") => Moment::Synced,
            other => return Err(format!("`{}` is none of before, written, synced", other.unwrap_or_default())),
        };
        let what = words.next().filter(|what| !what.is_empty()).ok_or("what is missing, after the moment")?.to_owned();
        let times = words.next().map_or(Ok(1), |times| times.parse::<u32>().map_err(|error| error.to_string()))?;
        Ok(Self { moment, what, left: AtomicU32::new(times), sprung: AtomicBool::new(false) })
    }
}

impl Trap {
    /// Does something, and dies around it if this is what was waited for.
    fn around<T>(&self, what: bool, done: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let now =
            what && self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)) == Ok(1);
        if now && self.moment == Moment::Before {
            die();
        }
        let result = done();
        if now && self.moment == Moment::Written {
            die();
        }
        self.sprung.fetch_or(now, Ordering::Relaxed);
        result
    }

    fn is(&self, what: &str) -> bool {
        self.what == what
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        let sought = format!("\"type\":\"{}\"", self.what);
        bytes.windows(sought.len()).any(|window| window == sought.as_bytes())
    }
}

/// As a SIGKILL from outside: nothing runs after it.
fn die() -> ! {
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).ok();
    // Another thread may be the one that takes the signal.
    loop {
        std::thread::park();
    }
}

/// A disk with a trap.
pub struct TrappedDisk {
    /// The disk under it.
    pub disk: Arc<dyn Disk>,
    /// The trap.
    pub trap: Arc<Trap>,
}

/// What a path is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Log,
    Journal,
    Past,
    Snapshot,
    Artifact,
    Other,
}

fn place(path: &Path) -> Place {
    let is_in = |folder: &str| path.components().rev().skip(1).any(|part| part.as_os_str() == folder);
    match path.file_name().and_then(|name| name.to_str()) {
        // A schedule's journal is written at once, as the log is.
        Some("events.jsonl") if is_in("schedules") => Place::Log,
        Some("events.jsonl") => Place::Journal,
        Some("state.yaml") => Place::Snapshot,
        Some(name) if super::past::number_of(name).is_some() => Place::Past,
        _ if is_in("commit") => Place::Log,
        _ if is_in("artifacts") => Place::Artifact,
        _ => Place::Other,
    }
}

impl TrappedDisk {
    fn moved(&self, path: &Path) -> bool {
        match place(path) {
            Place::Log => self.trap.is("segment"),
            Place::Snapshot => self.trap.is("snapshot"),
            Place::Artifact => self.trap.is("artifact"),
            Place::Past => self.trap.is("past"),
            Place::Journal => self.trap.is("shortened"),
            Place::Other => false,
        }
    }
}

impl Disk for TrappedDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.disk.open(path, how)?;
        Ok(Arc::new(TrappedFile { file, place: place(path), trap: Arc::clone(&self.trap) }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.trap.around(self.moved(to), || self.disk.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.trap.around(self.moved(path), || self.disk.remove(path))
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.make_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.disk.list(path)
    }

    fn identity(&self, path: &Path) -> io::Result<u64> {
        self.disk.identity(path)
    }
}

struct TrappedFile {
    file: Arc<dyn DiskFile>,
    place: Place,
    trap: Arc<Trap>,
}

impl DiskFile for TrappedFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let what = match self.place {
            Place::Log => self.trap.is_in(bytes),
            Place::Journal => self.trap.is("journal"),
            Place::Past | Place::Snapshot | Place::Artifact | Place::Other => false,
        };
        self.trap.around(what, || self.file.write_at(offset, bytes))
    }

    fn sync(&self) -> io::Result<()> {
        if self.place == Place::Journal {
            return self.trap.around(self.trap.is("checkpoint"), || self.file.sync());
        }
        self.file.sync()?;
        let sprung = self.place == Place::Log && self.trap.sprung.load(Ordering::Relaxed);
        if sprung && self.trap.moment == Moment::Synced { die() } else { Ok(()) }
    }

    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trap_that_names_no_moment_or_nothing_is_refused() {
        assert_eq!("".parse::<Trap>().unwrap_err(), "`` is none of before, written, synced");
        assert_eq!("after:journal".parse::<Trap>().unwrap_err(), "`after` is none of before, written, synced");
        assert_eq!("before".parse::<Trap>().unwrap_err(), "what is missing, after the moment");
        assert!("before:journal:x".parse::<Trap>().is_err());
    }
}
