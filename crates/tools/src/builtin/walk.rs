//! Walks a folder without following links and without leaving it, in the order of names, within limits.
//!
//! Invariant: what a rule closes is neither shown nor entered, and that something was left out is said.

use std::ffi::{CStr, OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use outlive_core::policy::Closed;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Invocation;

/// Entries that one walk looks at.
const ENTRIES: usize = 200_000;
/// Folders inside folders.
const DEPTH: usize = 64;
/// Time of one walk.
const TIME: Duration = Duration::from_secs(20);

/// One thing in a folder.
pub(super) struct Entry {
    pub name: OsString,
    pub kind: FileType,
    pub bytes: u64,
}

/// Lists an open folder.
pub(super) fn entries(folder: &OwnedFd) -> Result<Vec<Entry>, String> {
    let listed = Dir::read_from(folder).map_err(|error| error.to_string())?;
    let mut entries = Vec::new();
    for entry in listed.take(ENTRIES) {
        let entry = entry.map_err(|error| error.to_string())?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        entries.extend(looked_at(folder, name));
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// Nothing, if it is gone meanwhile.
fn looked_at(folder: &OwnedFd, name: &CStr) -> Option<Entry> {
    let found = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    Some(Entry {
        name: OsStr::from_bytes(name.to_bytes()).to_owned(),
        kind: FileType::from_raw_mode(found.st_mode),
        bytes: u64::try_from(found.st_size).unwrap_or(0),
    })
}

/// Says whether a walk goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Go {
    On,
    Enough,
}

/// Passes by what a rule closes, and counts it.
pub(super) struct Gate<'a> {
    closed: &'a Closed,
    start: &'a Path,
    left_out: usize,
}

impl<'a> Gate<'a> {
    /// For what lies below `start`, by its real name.
    pub fn new(closed: &'a Closed, start: &'a Path) -> Self {
        Self { closed, start, left_out: 0 }
    }

    /// Whether this path below the start is open.
    pub fn lets(&mut self, path: &Path) -> bool {
        let is_closed = self.closed.is_closed(&self.start.join(path).to_string_lossy());
        self.left_out += usize::from(is_closed);
        !is_closed
    }

    /// What to say of what was left out.
    pub fn note(&self) -> Option<String> {
        let left_out = self.left_out;
        (left_out > 0).then(|| {
            let what = if left_out == 1 {
                "1 file or folder was".to_owned()
            } else {
                format!("{left_out} files or folders were")
            };
            format!("{what} left out: a rule of the policy closes what is in there")
        })
    }
}

/// How long one call may look.
#[derive(Clone)]
pub(super) struct Time {
    stop: CancellationToken,
    until: Instant,
}

impl Time {
    pub fn of(invocation: &Invocation) -> Self {
        Self { stop: invocation.stop.clone(), until: Instant::now() + TIME }
    }

    /// Why it is to end now, if it is.
    pub fn is_up(&self) -> Option<&'static str> {
        match () {
            () if self.stop.is_cancelled() => Some("it was stopped"),
            () if Instant::now() > self.until => Some("it took too long: name a smaller folder or a simpler pattern"),
            () => None,
        }
    }
}

/// A walk with its limits.
pub(super) struct Walk<'a> {
    time: Time,
    gate: Gate<'a>,
    seen: usize,
    /// Folders that could not be entered.
    unread: usize,
    /// Why it ended early.
    cut: Option<&'static str>,
}

impl<'a> Walk<'a> {
    /// For a call that starts at the folder of this real name.
    pub fn new(invocation: &'a Invocation, start: &'a Path) -> Self {
        let gate = Gate::new(&invocation.closed, start);
        Self { time: Time::of(invocation), gate, seen: 0, unread: 0, cut: None }
    }

    /// What to say of what it did not see.
    pub fn notes(&self) -> Vec<String> {
        let unread = (self.unread > 0)
            .then(|| format!("{} folders could not be read or lie too deep: name one of them", self.unread));
        self.cut.map(|why| format!("not all: {why}")).into_iter().chain(self.gate.note()).chain(unread).collect()
    }

    fn is_over(&mut self) -> bool {
        let many = (self.seen > ENTRIES).then_some("there are too many files: name a smaller folder");
        self.cut = self.time.is_up().or(many);
        self.cut.is_some()
    }

    /// Shows every ordinary file below an open folder to `visit`: its folder, its entry, its path from the start.
    pub fn files(&mut self, folder: &OwnedFd, visit: &mut dyn FnMut(&OwnedFd, &Entry, &Path) -> Go) {
        self.below(folder, &mut PathBuf::new(), visit);
    }

    fn below(
        &mut self,
        folder: &OwnedFd,
        path: &mut PathBuf,
        visit: &mut dyn FnMut(&OwnedFd, &Entry, &Path) -> Go,
    ) -> Go {
        let Ok(entries) = entries(folder) else {
            self.unread += 1;
            return Go::On;
        };
        for entry in entries {
            self.seen += 1;
            if self.is_over() {
                return Go::Enough;
            }
            path.push(&entry.name);
            if !self.gate.lets(path) {
                path.pop();
                continue;
            }
            let go = match entry.kind {
                FileType::RegularFile => visit(folder, &entry, path),
                FileType::Directory if entry.name == ".git" => Go::On,
                FileType::Directory => match inside(folder, &entry.name, path) {
                    Some(inner) => self.below(&inner, path, visit),
                    None => {
                        self.unread += 1;
                        Go::On
                    }
                },
                FileType::Symlink
                | FileType::Fifo
                | FileType::Socket
                | FileType::CharacterDevice
                | FileType::BlockDevice
                | FileType::Unknown => Go::On,
            };
            path.pop();
            if go == Go::Enough {
                return go;
            }
        }
        Go::On
    }
}

fn inside(folder: &OwnedFd, name: &OsStr, path: &Path) -> Option<OwnedFd> {
    if path.components().count() >= DEPTH {
        return None;
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder, name, flags, Mode::empty()).ok()
}
