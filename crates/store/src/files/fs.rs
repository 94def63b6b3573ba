//! The one seam between the store and a disk: everything that the store does to files goes through here, so that tests can
//! lose, tear and refuse it.
#![expect(clippy::disallowed_methods, reason = "this is the store's one place that touches files")]

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// It must exist; only read.
    Read,
    /// Made if it is not there; read and written.
    Write,
}

/// A disk.
pub trait Disk: Send + Sync {
    /// Opens a file: no link, and nothing that only looks like one.
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>>;
    /// Renames a file or folder; durable once the folder is synced.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file, or a folder with all in it.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes a folder and those above it.
    fn make_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes a folder's entries durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Returns the names in a folder, sorted.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Returns what tells this very file from any other that has had its name.
    fn identity(&self, path: &Path) -> io::Result<u64>;
}

/// An open file.
pub trait DiskFile: Send + Sync {
    /// Reads as much as there is, up to the buffer's length.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// Writes all of it.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes content durable.
    fn sync(&self) -> io::Result<()>;
    /// Returns the length in bytes.
    fn size(&self) -> io::Result<u64>;
    /// Cuts or lengthens it.
    fn set_len(&self, len: u64) -> io::Result<()>;
}

/// The real disk.
#[derive(Clone, Copy)]
pub struct RealDisk;

static SYNCS: AtomicU64 = AtomicU64::new(0);

/// Returns how many syncs of files and folders this process has asked real disks for: what appends cost is counted in them.
#[must_use]
pub fn syncs() -> u64 {
    SYNCS.load(Ordering::Relaxed)
}

impl Disk for RealDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        let write = how == Open::Write;
        let mut options = OpenOptions::new();
        options.read(true).write(write).create(write).truncate(false).mode(0o600).custom_flags(FLAGS);
        let file = options.open(path).map_err(|error| match error.raw_os_error() {
            Some(LINK) => io::Error::new(io::ErrorKind::InvalidInput, "it is a link: only the file itself is read"),
            _ => error,
        })?;
        if file.metadata()?.is_file() { Ok(Arc::new(file)) } else { Err(not_plain()) }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if fs::symlink_metadata(path)?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        SYNCS.fetch_add(1, Ordering::Relaxed);
        File::open(path)?.sync_all()
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            names.extend(entry?.file_name().into_string());
        }
        names.sort();
        Ok(names)
    }

    fn identity(&self, path: &Path) -> io::Result<u64> {
        fs::symlink_metadata(path).map(|found| found.ino())
    }
}

/// A pipe that nobody writes to would hold up whoever opens it, for ever.
const FLAGS: i32 = rustix::fs::OFlags::NOFOLLOW.union(rustix::fs::OFlags::NONBLOCK).bits() as i32;
/// What the system says of a link that is not to be followed.
const LINK: i32 = rustix::io::Errno::LOOP.raw_os_error();

/// What is said of a pipe, a device or a folder.
#[must_use]
pub fn not_plain() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is no plain file")
}

impl DiskFile for File {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match std::os::unix::fs::FileExt::read_at(self, rest, offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        SYNCS.fetch_add(1, Ordering::Relaxed);
        self.sync_data()
    }

    fn size(&self) -> io::Result<u64> {
        self.metadata().map(|found| found.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        File::set_len(self, len)
    }
}

/// Reads a whole file, up to a bound.
pub(crate) fn read_all(disk: &dyn Disk, path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = disk.open(path, Open::Read)?;
    let len = file.size()?;
    if len > most {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {most} bytes")));
    }
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    let read = file.read_at(0, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// A file that is not there.
pub(super) struct Nowhere;

impl DiskFile for Nowhere {
    fn read_at(&self, _offset: u64, _buffer: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn write_at(&self, _offset: u64, _bytes: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn sync(&self) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(0)
    }

    fn set_len(&self, _len: u64) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }
}

/// Says whether there was no room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The replacements that are under way: each has a file of its own.
static BESIDE: Slots = Slots(Mutex::new(BTreeSet::new()));

/// Numbers in use. The lowest free one is taken, so that what a crash left behind is used again, not piled up.
struct Slots(Mutex<BTreeSet<u64>>);

impl Slots {
    fn taken(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&'static self) -> Slot {
        let mut taken = self.taken();
        let free = (0..).find(|n| !taken.contains(n)).unwrap_or(u64::MAX);
        taken.insert(free);
        Slot(self, free)
    }
}

/// A number in use until it is dropped.
struct Slot(&'static Slots, u64);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.taken().remove(&self.1);
    }
}

/// Replaces a file whole: beside, synced, renamed, folder synced. Several at once do not meet: the last one stays.
pub(crate) fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let slot = BESIDE.take();
    let beside = path.with_extension(format!("new-{}", slot.1));
    let file = disk.open(&beside, Open::Write)?;
    file.set_len(0)?;
    file.write_at(0, bytes)?;
    file.sync()?;
    disk.rename(&beside, path)?;
    path.parent().map_or(Ok(()), |folder| disk.sync_dir(folder))
}
