//! Opens what was resolved, and replaces files as one step.
//!
//! Every folder on the way is opened from its parent without following a link, so what is used is what was checked. A file
//! is read only if it is an ordinary one with a single name: a second name (hard link) may lie anywhere.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

/// Whether folders that do not exist are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parents {
    /// They are.
    Make,
    /// They are missed.
    Need,
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens a resolved folder.
///
/// # Errors
///
/// What is in the way, in words that follow the path's name.
pub fn folder(path: &Path, parents: Parents) -> Result<OwnedFd, String> {
    let mut at = rustix::fs::open("/", FOLDER, Mode::empty()).map_err(|error| error.to_string())?;
    for part in path.components() {
        let Component::Normal(name) = part else { continue };
        at = enter(&at, name, parents).map_err(|error| in_the_way(error, name))?;
    }
    Ok(at)
}

fn enter(at: &OwnedFd, name: &OsStr, parents: Parents) -> Result<OwnedFd, Errno> {
    match rustix::fs::openat(at, name, FOLDER, Mode::empty()) {
        Err(Errno::NOENT) if parents == Parents::Make => {
            match rustix::fs::mkdirat(at, name, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => rustix::fs::openat(at, name, FOLDER, Mode::empty()),
                Err(error) => Err(error),
            }
        }
        opened => opened,
    }
}

fn in_the_way(error: Errno, name: &OsStr) -> String {
    let name = name.to_string_lossy();
    match error {
        Errno::NOENT => format!("`{name}` does not exist"),
        Errno::LOOP => format!("`{name}` is a symbolic link that was not there before: look at it and try again"),
        Errno::NOTDIR => format!("`{name}` is no folder"),
        error => format!("`{name}`: {error}"),
    }
}

/// Opens a resolved file for reading.
///
/// # Errors
///
/// What is in the way, in words that follow the path's name.
pub fn file(path: &Path) -> Result<(File, Stat), String> {
    let (parent, name) = split(path)?;
    let at = folder(parent, Parents::Need)?;
    file_at(&at, name)
}

/// Opens a file of an open folder for reading.
///
/// # Errors
///
/// As [`file()`].
pub fn file_at(at: &OwnedFd, name: &OsStr) -> Result<(File, Stat), String> {
    let found = rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|error| in_the_way(error, name))?;
    ordinary(&found)?;
    // Looked at before it is opened, since opening a device can act; and after, since it may have been swapped.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(at, name, flags, Mode::empty()).map_err(|error| in_the_way(error, name))?;
    let found = rustix::fs::fstat(&opened).map_err(|error| in_the_way(error, name))?;
    ordinary(&found)?;
    Ok((File::from(opened), found))
}

fn ordinary(found: &Stat) -> Result<(), String> {
    let kind = FileType::from_raw_mode(found.st_mode);
    if kind == FileType::Directory {
        return Err("it is a folder: use `list`".to_owned());
    }
    if kind != FileType::RegularFile {
        return Err(format!("it is no ordinary file ({kind:?}): use `bash`"));
    }
    if found.st_nlink > 1 {
        return Err(format!(
            "it has {} names (hard links), so it may be a file of elsewhere: use `bash`, or make a copy first",
            found.st_nlink
        ));
    }
    Ok(())
}

/// Reads a resolved file of at most `limit` bytes.
///
/// # Errors
///
/// As [`file()`], and when it is larger.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    let (opened, found) = file(path)?;
    let size = u64::try_from(found.st_size).unwrap_or(u64::MAX);
    let large = || format!("it is larger than {limit} bytes: use `bash` with `grep`, `head`, `tail` or `sed -n`");
    if size > limit {
        return Err(large());
    }
    let mut bytes = Vec::new();
    opened.take(limit + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > limit { Err(large()) } else { Ok(bytes) }
}

/// Replaces or makes a resolved file as one step: it holds the old bytes or the new ones, whatever dies. Permissions and
/// owner stay; that it ran as its owner does not.
///
/// `key` makes the name of the file beside it: what an earlier attempt of the same key left is taken away.
///
/// # Errors
///
/// What is in the way, in words that follow the path's name.
pub fn replace(path: &Path, bytes: &[u8], parents: Parents, key: &str) -> Result<(), String> {
    let (parent, name) = split(path)?;
    let at = folder(parent, parents)?;
    let before = match rustix::fs::statat(&at, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => Some(found),
        Err(Errno::NOENT) => None,
        Err(error) => return Err(in_the_way(error, name)),
    };
    if let Some(found) = &before {
        ordinary(found)?;
    }
    let beside = OsString::from(format!(".outlive-{}.tmp", key.replace('/', "-")));
    let written = write_beside(&at, &beside, bytes, before.as_ref());
    let renamed = written.and_then(|()| rustix::fs::renameat(&at, &beside, &at, name).map_err(std::io::Error::from));
    if let Err(error) = renamed {
        // The error that matters is the first one.
        let _first = rustix::fs::unlinkat(&at, &beside, AtFlags::empty());
        return Err(format!("it cannot be written: {error}"));
    }
    rustix::fs::fsync(&at).map_err(|error| format!("it was written, but may not survive a power cut: {error}"))
}

fn write_beside(at: &OwnedFd, name: &OsStr, bytes: &[u8], before: Option<&Stat>) -> std::io::Result<()> {
    match rustix::fs::unlinkat(at, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fresh = if before.is_some() { 0o600 } else { 0o666 };
    let mut file = File::from(rustix::fs::openat(at, name, flags, Mode::from_raw_mode(fresh))?);
    file.write_all(bytes)?;
    if let Some(found) = before {
        let (owner, group) = (rustix::fs::Uid::from_raw(found.st_uid), rustix::fs::Gid::from_raw(found.st_gid));
        // Only root can give a file away; for others it is their own already, or stays so.
        let _not_root = rustix::fs::fchown(&file, Some(owner), Some(group));
        // Never what runs as its owner: new content takes that off in any case.
        rustix::fs::fchmod(&file, Mode::from_raw_mode(found.st_mode & 0o777))?;
    }
    file.sync_all()
}

fn split(path: &Path) -> Result<(&Path, &OsStr), String> {
    path.parent().zip(path.file_name()).ok_or_else(|| "it is a folder: use `list`".to_owned())
}
