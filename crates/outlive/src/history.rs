//! What was typed before, kept for the next time: one JSON string a line, in a file of its owner alone.
#![expect(clippy::disallowed_methods, reason = "the file is this module's own, and nothing depends on it")]

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

/// Lines that are kept.
const KEPT: usize = 1_000;

/// The file. Several may write to it at once: each line is one write.
pub struct History(PathBuf);

impl History {
    pub fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Reads what was typed, oldest first, and shortens the file when it has grown to twice what is kept.
    pub fn read(&self) -> Vec<String> {
        let text = std::fs::read(&self.0).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        // A line that cannot be read is left out: this is a convenience, not a record.
        let mut lines: Vec<String> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let surplus = lines.len().saturating_sub(KEPT);
        lines.drain(..surplus);
        if surplus > KEPT {
            let whole: String = lines.iter().map(|line| encoded(line)).collect();
            let beside = self.0.with_extension("new");
            let written = self.open(&beside).and_then(|mut file| file.write_all(whole.as_bytes()));
            written.and_then(|()| std::fs::rename(&beside, &self.0)).ok();
        }
        lines
    }

    /// Adds what was typed.
    pub fn add(&self, line: &str) {
        self.open(&self.0).and_then(|mut file| file.write_all(encoded(line).as_bytes())).ok();
    }

    fn open(&self, path: &std::path::Path) -> std::io::Result<std::fs::File> {
        OpenOptions::new().create(true).append(true).mode(0o600).open(path)
    }
}

fn encoded(line: &str) -> String {
    format!("{}\n", serde_json::Value::from(line))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_was_typed_comes_back_and_does_not_grow_for_ever() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("history");
        let history = History::at(path.clone());
        assert_eq!(history.read(), Vec::<String>::new());
        history.add("one\nof two lines");
        history.add("two");
        assert_eq!(history.read(), ["one\nof two lines", "two"]);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        (0..2 * KEPT).for_each(|n| history.add(&n.to_string()));
        assert_eq!(history.read().len(), KEPT);
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), KEPT);
        assert_eq!(history.read().last().map(String::as_str), Some("1999"));
    }
}
