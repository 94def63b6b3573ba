//! Removes artifacts that no session refers to: those of a session that was erased, and those that no event ever named.
//!
//! Invariant: what is removed was named by no journal, and by no append that was under way; what comes to name it later is
//! refused.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use outlive_core::digest::Digest;
use outlive_core::time::Timestamp;

use super::fresh::{Fresh, Quiet};
use crate::StoreError;
use crate::files::FileJournals;
use crate::files::erase::missing_is_fine;
use crate::files::fs::{Disk, read_all, replace};

/// Looks for an artifact's users that may be in vain because others were stored meanwhile.
const TRIES: usize = 100;
/// Digits of an artifact's name.
const DIGITS: usize = 64;

/// Looks for artifacts that nobody refers to.
pub(super) struct Sweep {
    pub(super) root: PathBuf,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) journals: Arc<FileJournals>,
    pub(super) fresh: Arc<Fresh>,
}

impl Sweep {
    fn failed(&self, error: &io::Error) -> StoreError {
        let what = format!("remove from {}", self.root.join("artifacts").display());
        StoreError::Io { what, why: error.to_string() }
    }

    /// Removes those of these artifacts that no session refers to any more. Blocks.
    pub(super) fn unreferred(&self, artifacts: &BTreeSet<Digest>) -> Result<Swept, StoreError> {
        let doubt = self.fresh.doubt(artifacts).map_err(|error| self.failed(&error))?;
        for _ in 0..TRIES {
            let began = doubt.begin();
            let left = self.journals.unreferred(artifacts)?;
            match doubt.erase_while_quiet(&began, &left, |gone| self.remove(gone)) {
                Quiet::Yes(done) => {
                    let removed = done.map_err(|error| self.failed(&error))?;
                    // What is kept for an event that may never come is looked at again.
                    if removed < left.len() {
                        missing_is_fine(self.disk.remove(&self.note())).map_err(|error| self.failed(&error))?;
                    }
                    return Ok(Swept { removed, kept: left.len() - removed });
                }
                // What is stored now may be the same again.
                Quiet::No => std::thread::yield_now(),
            }
        }
        Err(StoreError::Io { what: "erase artifacts".to_owned(), why: "others are stored all the time".to_owned() })
    }

    /// Removes what was stored before a moment, and after the last time this was done, and is named by nobody. What was
    /// looked at once was named then, and goes with its last session. Blocks.
    pub(super) fn unnamed(&self, before: Timestamp) -> Result<usize, StoreError> {
        let after = self.swept().map_err(|error| self.failed(&error))?;
        let artifacts = self.stored(after, before).map_err(|error| self.failed(&error))?;
        self.fresh.give_up(&artifacts, before);
        let swept = if artifacts.is_empty() { Swept::default() } else { self.unreferred(&artifacts)? };
        if before > after && swept.kept == 0 {
            let noted = replace(&*self.disk, &self.note(), before.micros().to_string().as_bytes());
            noted.map_err(|error| self.failed(&error))?;
        }
        Ok(swept.removed)
    }

    /// Where it is noted up to which moment artifacts were looked at.
    fn note(&self) -> PathBuf {
        self.root.join("trash").join("swept")
    }

    fn swept(&self) -> io::Result<Timestamp> {
        let noted = match read_all(&*self.disk, &self.note(), 64) {
            Ok(bytes) => std::str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse().ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Timestamp::from_micros(noted.unwrap_or(i64::MIN)))
    }

    /// Returns what was stored between these moments, and what was not stored to its end.
    fn stored(&self, after: Timestamp, before: Timestamp) -> io::Result<BTreeSet<Digest>> {
        let root = self.root.join("artifacts");
        let mut found = BTreeSet::new();
        let folders = self.disk.list(&root)?;
        // What else somebody put there is none of ours.
        let is_folder = |name: &&String| name.len() == 2 && name.bytes().all(|digit| digit.is_ascii_hexdigit());
        for folder in folders.iter().filter(is_folder) {
            let folder = root.join(folder);
            for name in self.disk.list(&folder)? {
                let is_due = written(&folder.join(&name)).is_some_and(|at| after <= at && at < before);
                found.extend(name.get(..DIGITS).filter(|_| is_due).and_then(Digest::parse));
            }
        }
        Ok(found)
    }

    /// Removes artifacts, sorted, and what a crash left of them when they were stored.
    fn remove(&self, artifacts: &[Digest]) -> io::Result<()> {
        let folder = |hash: &Digest| hash.as_str().get(..2).unwrap_or_default().to_owned();
        for together in artifacts.chunk_by(|one, next| folder(one) == folder(next)) {
            let Some(folder) = together.first().map(|hash| self.root.join("artifacts").join(folder(hash))) else {
                continue;
            };
            let names = match self.disk.list(&folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other?,
            };
            let is_of = |name: &str| {
                let hash = name.get(..DIGITS).and_then(Digest::parse);
                hash.is_some_and(|hash| together.binary_search(&hash).is_ok())
            };
            for name in names.iter().filter(|name| is_of(name)) {
                missing_is_fine(self.disk.remove(&folder.join(name)))?;
            }
            self.disk.sync_dir(&folder)?;
        }
        Ok(())
    }
}

/// What became of artifacts that no session refers to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Swept {
    pub(super) removed: usize,
    /// An event may come that names them.
    pub(super) kept: usize,
}

/// When a file was written.
fn written(path: &Path) -> Option<Timestamp> {
    let found = std::fs::metadata(path).ok()?;
    Some(Timestamp::from_micros(found.mtime() * 1_000_000 + found.mtime_nsec() / 1_000))
}
