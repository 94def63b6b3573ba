//! What was sent before, in a file of the person's own: shared by all chats, bounded, readable by its owner alone.
#![expect(clippy::disallowed_methods, reason = "the history is the person's own file: nothing depends on it")]

use std::fs::{File, OpenOptions, Permissions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::PathBuf;

use outlive_tui::KEPT;

use crate::config::variable;

/// Bytes of a text that is kept: longer ones are not commands that somebody would look for.
const LONGEST: usize = 16 * 1_024;

/// The file: a JSON string a line, oldest first.
pub struct Remembered(Option<PathBuf>);

impl Remembered {
    /// Finds the file below the person's state folder.
    pub fn find() -> Self {
        let state = variable("XDG_STATE_HOME").map(PathBuf::from);
        let state = state.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".local/state")));
        Self(state.map(|state| state.join("outlive/history")))
    }

    /// Reads it. What cannot be read is no history.
    pub fn read(&self) -> Vec<String> {
        self.open().and_then(|mut file| trimmed(&mut file).ok()).unwrap_or_default()
    }

    /// Adds to it. A history that cannot be written stops nobody from talking.
    pub fn keep(&self, text: &str) {
        let Ok(line) = serde_json::to_string(text) else { return };
        if let Some(mut file) = self.open()
            && line.len() <= LONGEST
        {
            file.write_all(format!("{line}\n").as_bytes()).ok();
        }
    }

    /// Opens it under its lock, which is held until it is dropped.
    fn open(&self) -> Option<File> {
        let path = self.0.as_ref()?;
        std::fs::create_dir_all(path.parent()?).ok()?;
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path).ok()?;
        file.set_permissions(Permissions::from_mode(0o600)).ok()?;
        file.lock().ok()?;
        Some(file)
    }
}

/// Reads what is kept; a file that has grown to twice that is cut.
fn trimmed(file: &mut File) -> std::io::Result<Vec<String>> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let kept = lines.get(lines.len().saturating_sub(KEPT)..).unwrap_or_default();
    if lines.len() > 2 * KEPT {
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(kept.iter().map(|line| format!("{line}\n")).collect::<String>().as_bytes())?;
    }
    Ok(kept.iter().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(home: &tempfile::TempDir) -> Remembered {
        Remembered(Some(home.path().join("state/outlive/history")))
    }

    #[test]
    fn what_was_sent_is_found_by_the_next_chat_and_by_nobody_else() {
        let home = tempfile::tempdir().unwrap();
        at(&home).keep("one\ntwo \"quoted\"");
        at(&home).keep("three");
        at(&home).keep(&"x".repeat(LONGEST));
        assert_eq!(at(&home).read(), ["one\ntwo \"quoted\"", "three"]);
        let mode = std::fs::metadata(home.path().join("state/outlive/history")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn it_is_bounded_and_survives_what_is_not_its_own() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("state/outlive/history");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let lines: String = (0..2 * KEPT + 1).map(|n| format!("\"{n}\"\n")).collect();
        std::fs::write(&path, format!("{lines}no json\n\"last\"\n")).unwrap();
        let read = at(&home).read();
        assert_eq!((read.len(), read.last().unwrap().as_str()), (KEPT - 1, "last"));
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), KEPT);
        at(&home).keep("after");
        assert_eq!(at(&home).read().last().unwrap(), "after");
    }

    #[test]
    fn without_a_home_there_is_no_history() {
        Remembered(None).keep("x");
        assert_eq!(Remembered(None).read(), Vec::<String>::new());
    }
}
