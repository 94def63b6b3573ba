//! Which files an agent is made of, when it is not a person's editor that writes them.
//!
//! Invariants: a path is one of the known places and goes down; what is hidden is not an agent's; counts and sizes have
//! bounds. What else a person keeps in an agent's folder is theirs: it is neither read here nor touched.

use super::{Files, WORKSPACE};
use crate::digest::Digest;

/// Files of one agent.
pub const AGENT_FILES: usize = 256;
/// Bytes of one file of an agent.
pub const AGENT_FILE_BYTES: usize = 1 << 20;
/// Bytes of all files of an agent.
pub const AGENT_BYTES: usize = 8 << 20;
const DEPTH: usize = 8;
const PATH_BYTES: usize = 180;

/// Says whether an agent's file may lie there: `agent.yaml`, `policy.yaml`, `*.md` beside them, `directives/*.md`, and
/// anything below `skills/` and `tools/`.
#[must_use]
pub fn is_known(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let plain = |part: &&str| !part.is_empty() && !part.starts_with('.') && !part.chars().any(odd);
    if path.len() > PATH_BYTES || parts.len() > DEPTH || !parts.iter().all(plain) {
        return false;
    }
    match parts.as_slice() {
        ["agent.yaml" | "policy.yaml"] => true,
        [name] | ["directives", name] => name.len() > 3 && name.ends_with(".md"),
        ["skills" | "tools", _, ..] => true,
        [..] => false,
    }
}

fn odd(c: char) -> bool {
    c.is_control() || c == '\\'
}

/// Returns the files that are the agent's own, of all that lie in its folder.
#[must_use]
pub fn own_files(files: Files) -> Files {
    files.into_iter().filter(|(path, _)| is_known(path)).collect()
}

/// Returns the digest of all that lies in an agent's folder, with what its workspace shares: what a session's journal names.
#[must_use]
pub fn folder_digest(files: &Files) -> Digest {
    super::digest(files)
}

/// Returns the digest of an agent's own files: what tells its versions apart.
#[must_use]
pub fn files_digest(files: &Files) -> Digest {
    super::digest(files.iter().filter(|(path, _)| !path.starts_with(WORKSPACE)))
}

/// Checks the paths and the sizes of what is to be an agent.
///
/// # Errors
///
/// The first file that does not fit, and what would.
pub fn check_files(files: &Files) -> Result<(), String> {
    if files.len() > AGENT_FILES {
        return Err(format!("{} files; at most {AGENT_FILES} fit", files.len()));
    }
    if let Some(path) = files.keys().find(|path| !is_known(path)) {
        let shown: String = path.chars().take(120).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        return Err(format!(
            "`{shown}` is no place for an agent's file: agent.yaml, policy.yaml, *.md, directives/*.md, skills/… and \
             tools/… are"
        ));
    }
    if let Some((path, _)) = files.iter().find(|(_, bytes)| bytes.len() > AGENT_FILE_BYTES) {
        return Err(format!("`{path}` is larger than {AGENT_FILE_BYTES} bytes"));
    }
    if files.keys().any(|path| files.keys().any(|other| is_below(other, path))) {
        return Err("a file lies below another file".to_owned());
    }
    let all: usize = files.values().map(Vec::len).sum();
    if all > AGENT_BYTES { Err(format!("{all} bytes in all; at most {AGENT_BYTES} fit")) } else { Ok(()) }
}

fn is_below(path: &str, file: &str) -> bool {
    path.strip_prefix(file).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_places_are_an_agent_s() {
        for good in ["agent.yaml", "policy.yaml", "SOUL.md", "directives/tone.md", "skills/a/SKILL.md", "tools/gh.md"] {
            assert!(is_known(good), "{good}");
        }
        let long = format!("skills/{}", "a".repeat(200));
        for bad in [
            "",
            "/agent.yaml",
            "../agent.yaml",
            "./agent.yaml",
            "a.txt",
            ".md",
            "memory/MEMORY.md",
            "directives/a/b.md",
            "skills",
            "skills/",
            "skills/../x",
            "skills/.git/config",
            "tools/a\\b",
            "tools/a\nb",
            "directives//a.md",
            "skills/a/b/c/d/e/f/g/h",
            "../../policy.yaml",
            &long,
        ] {
            assert!(!is_known(bad), "{bad:?}");
        }
    }

    #[test]
    fn what_an_agent_is_made_of_has_bounds() {
        let of = |pairs: &[(&str, usize)]| -> Files {
            pairs.iter().map(|(path, bytes)| ((*path).to_owned(), vec![b'x'; *bytes])).collect()
        };
        assert_eq!(check_files(&of(&[("agent.yaml", 1), ("skills/a/SKILL.md", AGENT_FILE_BYTES)])), Ok(()));
        let refused = |files: Files| check_files(&files).unwrap_err();
        assert!(refused(of(&[("agent.yaml", AGENT_FILE_BYTES + 1)])).contains("`agent.yaml` is larger"));
        assert!(refused(of(&[("tools/a", 1), ("tools/a/b", 1)])).contains("below another"));
        assert!(refused(of(&[("memory/MEMORY.md", 1)])).contains("`memory/MEMORY.md` is no place"));
        let many: Files = (0..=AGENT_FILES).map(|n| (format!("skills/{n}"), vec![])).collect();
        assert!(refused(many).contains("257 files"));
        let much: Files = (0..9).map(|n| (format!("skills/{n}"), vec![0; AGENT_FILE_BYTES])).collect();
        assert!(refused(much).contains("bytes in all"));
    }
}
