//! What lies beside the journals: snapshots, artifacts, agents' folders.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use outlive_core::digest::Digest;
use outlive_core::id::{AgentName, SessionId};

use super::fs::{Disk, read_all, replace};
use super::tails::io_error;
use crate::agents::{check_new, taken};
use crate::{AgentFolders, Artifacts, FILE_BYTES, FILES, Pending, Snapshots, StoreError, WORKSPACE_POLICY};

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
        Box::pin(async move {
            let folder = self.root.join("sessions").join(journal.to_string());
            let path = folder.join("state.yaml");
            let put = self.disk.make_dir(&folder).and_then(|()| replace(&*self.disk, &path, text.as_bytes()));
            put.map_err(|error| io_error("write", &path, &error))
        })
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

impl AgentFolders for Beside {
    fn names(&self) -> Result<Vec<String>, StoreError> {
        let folder = self.root.join("agents");
        let names = match self.disk.list(&folder) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(io_error("list", &folder, &error)),
        };
        Ok(names.into_iter().filter(|name| name.parse::<AgentName>().is_ok()).collect())
    }

    fn stamp(&self, name: &str) -> Result<Option<u64>, StoreError> {
        let Some(found) = self.walk(name)? else { return Ok(None) };
        let mut text = String::new();
        for (path, real) in found {
            if let Ok(meta) = std::fs::metadata(&real) {
                text.push_str(&format!(
                    "{path} {} {} {} {}\n",
                    meta.mtime(),
                    meta.mtime_nsec(),
                    meta.len(),
                    meta.ino()
                ));
            }
        }
        let digest = Digest::of(text.as_bytes());
        Ok(u64::from_str_radix(digest.short(), 16).ok())
    }

    fn read(&self, name: &str) -> Result<Option<BTreeMap<String, Vec<u8>>>, StoreError> {
        let Some(found) = self.walk(name)? else { return Ok(None) };
        let mut files = BTreeMap::new();
        for (path, real) in found {
            let bytes =
                read_all(&*self.disk, &real, FILE_BYTES as u64).map_err(|error| io_error("read", &real, &error))?;
            files.insert(path, bytes);
        }
        Ok(Some(files))
    }

    fn create(&self, name: &str, files: BTreeMap<String, Vec<u8>>) -> Result<(), StoreError> {
        check_new(name, &files)?;
        let folder = self.root.join("agents").join(name);
        if folder.exists() {
            return Err(taken(name));
        }
        for (path, bytes) in files {
            let path = folder.join(path);
            let parent = path.parent().unwrap_or(&folder).to_owned();
            let made = self.disk.make_dir(&parent).and_then(|()| replace(&*self.disk, &path, &bytes));
            made.map_err(|error| io_error("write", &path, &error))?;
        }
        Ok(())
    }
}

impl Beside {
    /// Returns an agent's files: path relative to its folder, and where it lies. Links are not followed. What an agent
    /// remembers is not what it is: `memory/` is left out.
    fn walk(&self, name: &str) -> Result<Option<Vec<(String, PathBuf)>>, StoreError> {
        let root = self.root.join("agents").join(name);
        if name.parse::<AgentName>().is_err() || !is_folder(&root) {
            return Ok(None);
        }
        let mut found = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            let entries = std::fs::read_dir(&folder).map_err(|error| io_error("read", &folder, &error))?;
            for entry in entries.filter_map(Result::ok) {
                let path = entry.path();
                let Ok(relative) = path.strip_prefix(&root).map(|path| path.to_string_lossy().into_owned()) else {
                    continue;
                };
                let kind = entry.file_type().map_err(|error| io_error("read", &path, &error))?;
                if kind.is_dir() && relative != "memory" && relative.split('/').count() < 8 {
                    folders.push(path);
                } else if kind.is_file() && found.len() < FILES {
                    found.push((relative, path));
                }
            }
        }
        let policy = self.root.join("policy.yaml");
        if policy.is_file() {
            found.push((WORKSPACE_POLICY.to_owned(), policy));
        }
        found.sort();
        Ok(Some(found))
    }
}

fn is_folder(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}
