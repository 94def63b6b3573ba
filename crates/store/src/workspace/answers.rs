//! The answers that a workspace keeps: `run/answered.jsonl`, replaced whole. No backup has it: what a backup brings back was
//! not asked for by those names.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use outlive_core::digest::Digest;

use crate::answers::add;
use crate::files::fs::{Disk, is_full, read_all, replace};
use crate::{Answer, Answers, StoreError};

/// More than all answers that are kept can have.
const FILE_BYTES: u64 = 16 << 20;

/// The file of answers.
pub(super) struct Answered {
    pub(super) root: PathBuf,
    pub(super) disk: Arc<dyn Disk>,
    /// Held by whoever writes it.
    pub(super) busy: Mutex<()>,
}

impl Answered {
    fn path(&self) -> PathBuf {
        self.root.join("run").join("answered.jsonl")
    }

    fn read(&self) -> Result<Vec<Answer>, StoreError> {
        let bytes = match read_all(&*self.disk, &self.path(), FILE_BYTES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other.map_err(|error| self.broken("read", &error))?,
        };
        // A line that cannot be read is an answer that was forgotten.
        Ok(bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
    }

    fn broken(&self, what: &str, error: &io::Error) -> StoreError {
        if is_full(error) {
            return StoreError::NoSpace;
        }
        StoreError::Io { what: format!("{what} {}", self.path().display()), why: error.to_string() }
    }
}

impl Answers for Answered {
    fn answered(&self, name: &Digest) -> Result<Option<Answer>, StoreError> {
        Ok(self.read()?.into_iter().find(|answer| answer.name == *name))
    }

    fn keep(&self, answer: Answer) -> Result<(), StoreError> {
        let _busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let mut answers = self.read()?;
        add(&mut answers, answer)?;
        let mut text = Vec::new();
        for answer in &answers {
            serde_json::to_writer(&mut text, answer).map_err(|error| self.broken("write", &error.into()))?;
            text.push(b'\n');
        }
        replace(&*self.disk, &self.path(), &text).map_err(|error| self.broken("write", &error))
    }
}
