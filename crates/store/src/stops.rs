//! The emergency stop of a workspace: what says, across restarts, that nothing may start.
//!
//! Invariant: one that cannot be read holds.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use outlive_core::event::{Origin, OriginKind};
use outlive_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::StoreError;
use crate::files::fs::{Disk, RealDisk, is_full, read_all, replace};

/// An emergency stop that was not lifted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: Origin,
    /// Why, in a person's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Where it is kept that all is stopped. Both changes are durable once they return.
pub trait Stops: Send + Sync {
    /// Returns the stop that holds, if one does.
    fn stopped(&self) -> Result<Option<Stop>, StoreError>;

    /// All is stopped from now on.
    fn stop(&self, stop: &Stop) -> Result<(), StoreError>;

    /// Nothing is stopped any more.
    fn lift(&self) -> Result<(), StoreError>;
}

/// The file, in the workspace's folder.
const FILE: &str = "stopped.json";
/// More than one can have.
const FILE_BYTES: u64 = 64 << 10;

/// The stop of a workspace on a disk, whether it is open or not.
pub struct StopFile {
    path: PathBuf,
    disk: Arc<dyn Disk>,
}

impl StopFile {
    /// Of the workspace with this folder.
    #[must_use]
    pub fn of(root: &Path) -> Self {
        Self::on(Arc::new(RealDisk), root)
    }

    pub(crate) fn on(disk: Arc<dyn Disk>, root: &Path) -> Self {
        Self { path: root.join(FILE), disk }
    }

    fn broken(&self, what: &str, error: &io::Error) -> StoreError {
        if is_full(error) {
            return StoreError::NoSpace;
        }
        StoreError::Io { what: format!("{what} {}", self.path.display()), why: error.to_string() }
    }
}

impl Stops for StopFile {
    fn stopped(&self) -> Result<Option<Stop>, StoreError> {
        let unclear = |why: String| Stop {
            at: Timestamp::from_micros(0),
            by: Origin::of(OriginKind::Runtime),
            reason: Some(format!("the file {FILE} cannot be read, so all stays stopped: {why}")),
        };
        match read_all(&*self.disk, &self.path, FILE_BYTES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Ok(Some(unclear(error.to_string()))),
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes).unwrap_or_else(|error| unclear(error.to_string())))),
        }
    }

    fn stop(&self, stop: &Stop) -> Result<(), StoreError> {
        // Ids, words and times always serialize.
        let text = serde_json::to_vec(stop).unwrap_or_default();
        replace(&*self.disk, &self.path, &text).map_err(|error| self.broken("write", &error))
    }

    fn lift(&self) -> Result<(), StoreError> {
        let folder = self.path.parent().unwrap_or(&self.path);
        let removed = match self.disk.remove(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        };
        removed.and_then(|()| self.disk.sync_dir(folder)).map_err(|error| self.broken("remove", &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_that_cannot_be_read_holds() {
        let folder = tempfile::tempdir().unwrap();
        let stops = StopFile::of(folder.path());
        for torn in ["", "{", "{\"at\":1}", "\0\0\0"] {
            #[expect(clippy::disallowed_methods, reason = "a test tears the file")]
            std::fs::write(folder.path().join(FILE), torn).unwrap();
            let reason = stops.stopped().unwrap().unwrap().reason.unwrap();
            assert!(reason.starts_with("the file stopped.json cannot be read"), "{torn:?}: {reason}");
        }
        assert_eq!(stops.lift(), Ok(()));
        assert_eq!(stops.stopped(), Ok(None));
    }
}
