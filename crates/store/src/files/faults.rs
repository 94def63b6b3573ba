//! A disk in memory that does what real ones do at the worst moment: it forgets what was not synced, tears writes, and
//! refuses the n-th operation. Deterministic.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::fs::{Disk, DiskFile, Open};

/// What happens to an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The system says EIO; nothing is done.
    Io,
    /// The system says ENOSPC after a part of the write was done.
    NoSpace,
    /// The machine stops: this write is torn, every later operation fails.
    Cut,
}

#[derive(Default)]
struct World {
    /// What programs see.
    files: BTreeMap<PathBuf, usize>,
    /// What a crash leaves: entries of folders that were synced.
    durable: BTreeMap<PathBuf, usize>,
    inodes: Vec<Inode>,
    operations: u64,
    plan: BTreeMap<u64, Fault>,
    full: bool,
    dead: bool,
    syncs: u64,
}

#[derive(Default, Clone)]
struct Inode {
    seen: Vec<u8>,
    synced: Vec<u8>,
}

/// The disk. Clones are the same one.
#[derive(Clone, Default)]
pub struct FaultyDisk(Arc<Mutex<World>>);

/// How much of what was not synced a crash keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Nothing.
    Nothing,
    /// Everything.
    Everything,
    /// Of each file its first half, and all folder entries.
    Half,
}

impl FaultyDisk {
    /// Lets this happen to the n-th operation from now (0 is the next) that changes or syncs something.
    pub fn plan(&self, n: u64, fault: Fault) {
        let mut world = self.world();
        let at = world.operations + n;
        world.plan.insert(at, fault);
    }

    /// Fills the disk, or makes room.
    pub fn set_full(&self, full: Space) {
        self.world().full = full == Space::None;
    }

    /// Returns how many operations changed or synced something.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.world().operations
    }

    /// Returns how many times a file's content was synced.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.world().syncs
    }

    /// The machine stops and starts again: what was not synced is kept as told.
    pub fn crash(&self, keep: Keep) {
        let mut world = self.world();
        world.plan.clear();
        (world.dead, world.full) = (false, false);
        if keep == Keep::Nothing {
            world.files = world.durable.clone();
        }
        for inode in &mut world.inodes {
            match keep {
                Keep::Nothing => inode.seen.clone_from(&inode.synced),
                Keep::Everything => {}
                Keep::Half => {
                    let half = inode.synced.len() + inode.seen.len().saturating_sub(inode.synced.len()) / 2;
                    inode.seen.truncate(half.max(inode.synced.len()));
                }
            }
            inode.synced.clone_from(&inode.seen);
        }
        world.durable = world.files.clone();
    }

    /// Returns a file's bytes, as programs see them.
    #[must_use]
    pub fn bytes(&self, path: &Path) -> Option<Vec<u8>> {
        let world = self.world();
        world.files.get(path).and_then(|at| world.inodes.get(*at)).map(|inode| inode.seen.clone())
    }

    /// Changes a file's bytes behind everybody's back.
    pub fn tamper(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut world = self.world();
        let at = world.files.get(path).copied();
        if let Some(inode) = at.and_then(|at| world.inodes.get_mut(at)) {
            change(&mut inode.seen);
            inode.synced.clone_from(&inode.seen);
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a disk has room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// It is full.
    None,
    /// It has room.
    Enough,
}

impl World {
    /// Counts an operation and says what happens to it.
    fn step(&mut self) -> io::Result<Option<Fault>> {
        if self.dead {
            return Err(io::Error::other("the machine has stopped"));
        }
        let fault = self.plan.remove(&self.operations);
        self.operations += 1;
        if fault == Some(Fault::Cut) {
            self.dead = true;
        }
        if fault == Some(Fault::Io) { Err(io::Error::from_raw_os_error(5)) } else { Ok(fault) }
    }

    fn under(&self, folder: &Path) -> Vec<PathBuf> {
        self.files.keys().filter(|path| path.starts_with(folder)).cloned().collect()
    }
}

const NO_SPACE: i32 = 28;

impl Disk for FaultyDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        let mut world = self.world();
        let inode = match (world.files.get(path).copied(), how) {
            (Some(inode), _) => inode,
            (None, Open::Read) => return Err(io::ErrorKind::NotFound.into()),
            (None, Open::Write) => {
                world.step()?;
                if world.full {
                    return Err(io::Error::from_raw_os_error(NO_SPACE));
                }
                world.inodes.push(Inode::default());
                let inode = world.inodes.len() - 1;
                world.files.insert(path.to_owned(), inode);
                inode
            }
        };
        Ok(Arc::new(FaultyFile { disk: self.clone(), inode }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.step()?;
        let moved = world.under(from);
        if moved.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        for path in moved {
            let target = path.strip_prefix(from).map_or_else(|_| to.to_owned(), |rest| to.join(rest));
            let target = if path == from { to.to_owned() } else { target };
            if let Some(inode) = world.files.remove(&path) {
                world.files.insert(target, inode);
            }
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.step()?;
        let gone = world.under(path);
        if gone.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        world.files.retain(|path, _| !gone.contains(path));
        Ok(())
    }

    fn make_dir(&self, _path: &Path) -> io::Result<()> {
        self.world().step().map(drop)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.step()?;
        // Folders between a synced one and its files come along: who makes them syncs them.
        let seen: BTreeMap<_, _> =
            world.files.iter().filter(|(p, _)| p.starts_with(path)).map(|(p, i)| (p.clone(), *i)).collect();
        world.durable.retain(|durable, _| !durable.starts_with(path));
        world.durable.extend(seen);
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let world = self.world();
        let name = |file: &PathBuf| {
            let rest = file.strip_prefix(path).ok()?;
            rest.components().next().map(|part| part.as_os_str().to_string_lossy().into_owned())
        };
        let mut names: Vec<String> = world.files.keys().filter_map(name).collect();
        names.dedup();
        Ok(names)
    }

    fn identity(&self, path: &Path) -> io::Result<u64> {
        self.world().files.get(path).map(|inode| *inode as u64).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

struct FaultyFile {
    disk: FaultyDisk,
    inode: usize,
}

impl FaultyFile {
    fn with<T>(&self, act: impl FnOnce(&mut Inode) -> T) -> io::Result<T> {
        let mut world = self.disk.world();
        world.inodes.get_mut(self.inode).map(act).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl DiskFile for FaultyFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.with(|inode| {
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(inode.seen.len());
            let count = buffer.len().min(inode.seen.len() - from);
            buffer[..count].copy_from_slice(&inode.seen[from..from + count]);
            count
        })
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let (fault, full) = {
            let mut world = self.disk.world();
            (world.step()?, world.full)
        };
        let grows = |inode: &Inode| usize::try_from(offset).unwrap_or(usize::MAX) + bytes.len() > inode.seen.len();
        let no_room = full && self.with(|inode| grows(inode))?;
        let torn = fault.is_some() || no_room;
        let count = if torn { bytes.len() / 2 } else { bytes.len() };
        self.with(|inode| {
            let from = usize::try_from(offset).unwrap_or(usize::MAX);
            let end = if no_room { inode.seen.len().min(from + count) } else { from + count };
            if inode.seen.len() < end {
                inode.seen.resize(end, 0);
            }
            if let Some(room) = inode.seen.get_mut(from..end) {
                room.copy_from_slice(&bytes[..room.len()]);
            }
        })?;
        match fault {
            Some(Fault::Cut) => Err(io::Error::other("the machine has stopped")),
            Some(Fault::NoSpace | Fault::Io) => Err(io::Error::from_raw_os_error(NO_SPACE)),
            None if no_room => Err(io::Error::from_raw_os_error(NO_SPACE)),
            None => Ok(()),
        }
    }

    fn sync(&self) -> io::Result<()> {
        {
            let mut world = self.disk.world();
            if world.step()?.is_some() {
                return Err(io::Error::from_raw_os_error(5));
            }
            world.syncs += 1;
        }
        self.with(|inode| inode.synced.clone_from(&inode.seen))
    }

    fn size(&self) -> io::Result<u64> {
        self.with(|inode| inode.seen.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.world().step()?;
        self.with(|inode| inode.seen.resize(usize::try_from(len).unwrap_or(0), 0))
    }
}
