//! Walks a folder without following links and without leaving it, in the order of names, within limits.

use std::ffi::{CStr, OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

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

/// A walk with its limits.
pub(super) struct Walk<'a> {
    pub stop: &'a CancellationToken,
    until: Instant,
    seen: usize,
    /// Why it ended early.
    pub cut: Option<&'static str>,
}

impl<'a> Walk<'a> {
    pub fn new(stop: &'a CancellationToken) -> Self {
        Self { stop, until: Instant::now() + TIME, seen: 0, cut: None }
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
        for entry in entries(folder).unwrap_or_default() {
            if self.is_over() {
                return Go::Enough;
            }
            path.push(&entry.name);
            let go = match entry.kind {
                FileType::RegularFile => visit(folder, &entry, path),
                FileType::Directory if entry.name != ".git" && path.components().count() < DEPTH => {
                    inside(folder, &entry.name).map_or(Go::On, |inner| self.below(&inner, path, visit))
                }
                FileType::Directory
                | FileType::Symlink
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

    fn is_over(&mut self) -> bool {
        self.seen += 1;
        self.cut = match () {
            () if self.stop.is_cancelled() => Some("it was stopped"),
            () if self.seen > ENTRIES => Some("there are too many files: name a smaller folder"),
            () if Instant::now() > self.until => Some("it took too long: name a smaller folder"),
            () => self.cut,
        };
        self.cut.is_some()
    }
}

fn inside(folder: &OwnedFd, name: &OsStr) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder, name, flags, Mode::empty()).ok()
}
