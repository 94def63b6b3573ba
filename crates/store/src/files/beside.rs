//! What lies beside the journals: snapshots, artifacts. Agents' folders are in `folders`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use outlive_core::digest::Digest;
use outlive_core::id::SessionId;

use super::fs::{Disk, read_all, replace};
use super::tails::io_error;
use crate::{Artifacts, Pending, Snapshots, StoreError};

/// Largest artifact.
const ARTIFACT_BYTES: u64 = 1 << 30;

/// Plain files beside the journals.
pub struct Beside {
    /// The workspace.
    pub root: PathBuf,
    /// Its disk.
    pub disk: Arc<dyn Disk>,
}

impl Snapshots for Beside {
    fn put(&self, journal: SessionId, text: String) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(async move { self.write_snapshot(journal, &text) })
    }

    fn get(&self, journal: SessionId) -> Pending<'_, Result<Option<String>, StoreError>> {
        Box::pin(async move {
            let path = self.root.join("sessions").join(journal.to_string()).join("state.yaml");
            match read_all(&*self.disk, &path, 64 << 20) {
                Ok(bytes) => Ok(String::from_utf8(bytes).ok()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(io_error("read", &path, &error)),
            }
        })
    }
}

impl Beside {
    /// Replaces a journal's snapshot. Blocks.
    pub(crate) fn write_snapshot(&self, journal: SessionId, text: &str) -> Result<(), StoreError> {
        let folder = self.root.join("sessions").join(journal.to_string());
        let path = folder.join("state.yaml");
        let put = self.disk.make_dir(&folder).and_then(|()| replace(&*self.disk, &path, text.as_bytes()));
        put.map_err(|error| io_error("write", &path, &error))
    }
}

/// Where an artifact lies.
pub(super) fn artifact(root: &Path, hash: &Digest) -> PathBuf {
    let text = hash.as_str();
    root.join("artifacts").join(text.get(..2).unwrap_or_default()).join(text)
}

impl Artifacts for Beside {
    fn put(&self, bytes: Vec<u8>) -> Pending<'_, Result<Digest, StoreError>> {
        Box::pin(async move {
            let hash = Digest::of(&bytes);
            let path = artifact(&self.root, &hash);
            let folder = path.parent().unwrap_or(&self.root).to_owned();
            let put = || {
                // A file that is there may be damaged, or its folder not synced yet.
                if read_all(&*self.disk, &path, bytes.len() as u64).is_ok_and(|there| there == bytes) {
                    self.disk.sync_dir(&folder)?;
                } else {
                    self.disk.make_dir(&folder)?;
                    replace(&*self.disk, &path, &bytes)?;
                }
                self.disk.sync_dir(&self.root.join("artifacts"))
            };
            put().map_err(|error| io_error("keep", &path, &error))?;
            Ok(hash)
        })
    }

    fn get(&self, hash: Digest) -> Pending<'_, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(async move {
            let path = artifact(&self.root, &hash);
            match read_all(&*self.disk, &path, ARTIFACT_BYTES) {
                Ok(bytes) if Digest::of(&bytes) == hash => Ok(Some(bytes)),
                Ok(_) => Err(StoreError::Io {
                    what: format!("read {}", path.display()),
                    why: "its bytes do not give its hash".to_owned(),
                }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(io_error("read", &path, &error)),
            }
        })
    }
}
