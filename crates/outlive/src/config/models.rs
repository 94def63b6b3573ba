//! `models.yaml`: the workspace's own list of models, read again when it has changed.
//!
//! Invariant: a file that does not fit never stops anything. The list before it stays in force, and whoever looks is told.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use outlive_core::catalogue::Catalogue;
use outlive_core::digest::Digest;
use outlive_runtime::catalog::Known;

const FILE: &str = "models.yaml";
/// Bytes of the file that are read: there are not that many models.
const BYTES: u64 = 1 << 20;

/// A workspace's list.
pub struct ModelList {
    path: PathBuf,
    known: Mutex<Known>,
}

impl ModelList {
    /// Of the workspace with this root. Nothing is read before somebody asks.
    pub fn of(root: &Path) -> Self {
        Self { path: root.join(FILE), known: Mutex::default() }
    }

    /// Returns what is known of models as the file stands now.
    pub fn now(&self) -> Known {
        let stamp = self.stamp();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.stamp != stamp {
            *known = match self.read(stamp) {
                Ok(catalogue) => Known { catalogue: Arc::new(catalogue), stamp, warning: None },
                Err(why) => {
                    let warning =
                        format!("{why}\nUntil that is mended, what was known of models before stays in force");
                    tracing::warn!(%why, "models.yaml is not read: what was known of models before stays in force");
                    Known { catalogue: Arc::clone(&known.catalogue), stamp, warning: Some(warning) }
                }
            };
        }
        known.clone()
    }

    /// Returns a number that changes with the file; 0 where there is none.
    fn stamp(&self) -> u64 {
        let Ok(found) = std::fs::metadata(&self.path) else { return 0 };
        let text = format!("{} {} {} {}", found.mtime(), found.mtime_nsec(), found.len(), found.ino());
        u64::from_str_radix(Digest::of(text.as_bytes()).short(), 16).map_or(1, |stamp| stamp.max(1))
    }

    fn read(&self, stamp: u64) -> Result<Catalogue, String> {
        let built_in = Catalogue::built_in();
        if stamp == 0 {
            return Ok((*built_in).clone());
        }
        let refuse = |error: std::io::Error| format!("{FILE}: {error}");
        let found = std::fs::metadata(&self.path).map_err(refuse)?;
        if !found.is_file() || found.len() > BYTES {
            return Err(format!("{FILE}: it must be a file of at most {BYTES} bytes"));
        }
        let text = std::fs::read_to_string(&self.path).map_err(refuse)?;
        built_in.with(&text, FILE).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_follows_its_file_and_a_bad_one_changes_nothing() {
        let root = tempfile::tempdir().unwrap();
        let list = ModelList::of(root.path());
        let write = |text: &str| std::fs::write(root.path().join(FILE), text).unwrap();
        let input = |known: &Known| known.catalogue.prices("openai/x").map(|prices| prices.input);
        assert_eq!((input(&list.now()), list.now().warning), (None, None));
        write("models: {openai/x: {price: {input: 1, output: 1}}}");
        assert_eq!(input(&list.now()), Some(1_000_000_000));
        let before = list.now().stamp;
        write("models: {openai/x: {price: {input: -1, output: 1}}}");
        let bad = list.now();
        assert_eq!(input(&bad), Some(1_000_000_000), "the list before it stays");
        assert!(bad.warning.is_some_and(|why| why.starts_with("models.yaml:1:")) && bad.stamp != before);
        write("models: {openai/x: {price: {input: 22, output: 1}}}");
        assert_eq!((input(&list.now()), list.now().warning), (Some(22_000_000_000), None));
        std::fs::remove_file(root.path().join(FILE)).unwrap();
        assert_eq!(input(&list.now()), None);
    }
}
