//! The files under `relays/` of a workspace.

use std::io;

use outlive_core::limits::RELAY_BYTES;

use super::beside::Beside;
use super::fs::{is_full, read_all, replace};
use super::tails::io_error;
use crate::StoreError;
use crate::relays::{Over, RelayFiles, check, is_misnamed, names, taken};

/// More than a definition can have.
const MOST: u64 = 2 * RELAY_BYTES as u64;

impl RelayFiles for Beside {
    fn relay_names(&self) -> Result<Vec<String>, StoreError> {
        Ok(names(self.listed(&self.root.join("relays"))?))
    }

    fn relay(&self, name: &str) -> Result<Option<String>, StoreError> {
        check(name)?;
        let path = self.root.join("relays").join(format!("{name}.yaml"));
        match read_all(&*self.disk, &path, MOST) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if is_no_file(&error) => {
                Err(StoreError::Refused { what: format!("relays/{name}.yaml"), why: error.to_string() })
            }
            Err(error) => Err(io_error("read", &path, &error)),
        }
    }

    fn put_relay(&self, name: &str, text: &str, over: Over) -> Result<(), StoreError> {
        if over == Over::Nothing && self.relay(name)?.is_some() {
            return Err(taken(name));
        }
        check(name)?;
        let folder = self.root.join("relays");
        let path = folder.join(format!("{name}.yaml"));
        let put = self.disk.make_dir(&folder).and_then(|()| replace(&*self.disk, &path, text.as_bytes()));
        put.map_err(|error| if is_full(&error) { StoreError::NoSpace } else { io_error("write", &path, &error) })
    }
}

/// Says whether what lies there is nothing to read, whoever reads it.
fn is_no_file(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::FileTooLarge)
}

impl Beside {
    /// Returns the files among the relays that look like some, and have no name of one: nobody reads them.
    ///
    /// # Errors
    ///
    /// The folder cannot be read.
    pub fn misnamed_relays(&self) -> Result<Vec<String>, StoreError> {
        let mut files = self.listed(&self.root.join("relays"))?;
        files.retain(|file| is_misnamed(file));
        Ok(files)
    }
}
