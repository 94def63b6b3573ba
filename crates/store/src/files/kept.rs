//! One small file beside the journals that is read whole and replaced whole.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::fs::{Disk, read_all, replace};

/// Bytes that such a file has at most.
const BYTES: u64 = 16 << 20;

/// A file for its owner alone.
pub struct Kept {
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

impl Kept {
    /// Names a file, which need not be there.
    #[must_use]
    pub fn at(disk: Arc<dyn Disk>, path: PathBuf) -> Self {
        Self { disk, path }
    }

    /// Reads it; `None` where it is not there.
    ///
    /// # Errors
    ///
    /// What the system says; a link and a file of more than 16 MiB are refused.
    pub fn read(&self) -> io::Result<Option<Vec<u8>>> {
        match read_all(&*self.disk, &self.path, BYTES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            other => other.map(Some),
        }
    }

    /// Replaces it: whole and durable when this returns, as it was where this fails.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        replace(&*self.disk, &self.path, bytes)
    }
}
