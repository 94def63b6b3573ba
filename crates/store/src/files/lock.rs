//! One process owns a workspace: a lock that says who, and an epoch that every start counts up, so that whoever lost the
//! workspace cannot write it.
#![expect(clippy::disallowed_methods, reason = "a lock is a file")]

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use crate::Epoch;

/// How long a lock whose owner has died is waited for: what it had forked holds the lock until it runs its program, and
/// somebody may be looking whether it is held.
const LINGERING: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(5);

/// Who owns a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Owner {
    /// Its process id.
    pub pid: u32,
    /// Its epoch.
    pub epoch: u64,
    /// Where it listens, once it does.
    #[serde(default)]
    pub address: Option<String>,
}

/// Why the lock was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    #[error("owned")]
    Owned(Owner),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// The lock, held until it is dropped.
pub struct Lock {
    path: PathBuf,
    file: Mutex<File>,
    inode: u64,
    epoch: Epoch,
    owner: Mutex<Owner>,
}

impl Lock {
    pub(crate) fn take(run: &Path) -> Result<Self, LockError> {
        let path = run.join("lock");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        let mut waited = Duration::ZERO;
        while rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let owner = owner(run).unwrap_or_default();
            if waited >= LINGERING || is_alive(owner.pid) {
                return Err(LockError::Owned(owner));
            }
            std::thread::sleep(PAUSE);
            waited += PAUSE;
        }
        let epoch = next_epoch(run)?;
        let owner = Owner { pid: std::process::id(), epoch, address: None };
        let inode = file.metadata()?.ino();
        let lock = Self { path, file: Mutex::new(file), inode, epoch: Epoch(epoch), owner: Mutex::new(owner) };
        lock.write()?;
        Ok(lock)
    }

    /// Returns this process's epoch.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Says whether the lock file is still the one that was locked: a process whose lock was taken away must not write.
    pub(super) fn is_held(&self) -> bool {
        std::fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode)
    }

    /// Writes down where the owner listens.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn set_address(&self, address: &str) -> std::io::Result<()> {
        self.owner.lock().unwrap_or_else(std::sync::PoisonError::into_inner).address = Some(address.to_owned());
        self.write()
    }

    fn owner(&self) -> Owner {
        self.owner.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn write(&self) -> std::io::Result<()> {
        let text = serde_json::to_string(&self.owner()).unwrap_or_default();
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        file.set_len(0)?;
        std::io::Seek::rewind(&mut *file)?;
        file.write_all(text.as_bytes())
    }
}

/// Returns who owned the workspace last, by the lock file under `run`; whether it still runs, only taking the lock tells.
pub fn owner(run: &Path) -> Option<Owner> {
    let mut text = String::new();
    File::open(run.join("lock")).ok()?.take(4_096).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// Says whether a process holds the workspace's lock now; what a dead owner forked counts for nobody.
pub fn is_owned(run: &Path) -> bool {
    let is_held = File::open(run.join("lock"))
        .is_ok_and(|file| rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err());
    is_held && owner(run).is_none_or(|owner| is_alive(owner.pid))
}

/// Says whether a process runs: one that has ended and was not waited for does not.
fn is_alive(pid: u32) -> bool {
    // The state stands after the program's name, which may hold brackets itself.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn next_epoch(run: &Path) -> std::io::Result<u64> {
    let path = run.join("epoch");
    let before = std::fs::read_to_string(&path).ok().and_then(|text| text.trim().parse::<u64>().ok());
    let epoch = before.unwrap_or(0) + 1;
    super::fs::replace(&super::fs::RealDisk, &path, epoch.to_string().as_bytes())?;
    Ok(epoch)
}
