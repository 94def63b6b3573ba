//! What other programs remember in Markdown becomes memory files: of Claude Code `CLAUDE.md` and `memory/*.md`, of Duragent
//! `MEMORY.md`, `daily/DATE.md` and `world/TOPIC.md`.
//!
//! Invariants: what is there stays, each text is added at the end; the same text from the same place is added once; their
//! files are only read, and no link is followed.

use std::io;
use std::path::Path;

use outlive_core::digest::Digest;
use outlive_core::id::AgentName;
use outlive_core::import::Damage;
use outlive_core::memory::Page;

use super::walk;
use crate::memory_files::MemoryFiles;

/// Bytes of a file that is brought in.
const BYTES: usize = 256 << 10;
/// Digits of a digest that tell one text from another.
const DIGITS: usize = 16;
/// Bytes of a topic.
const TOPIC_BYTES: usize = 63;

/// What became of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Brought {
    /// Files that were added, and to which of ours.
    pub added: Vec<(String, Page)>,
    /// Files that had been added before.
    pub already: u64,
    /// Files of other agents, which are left out.
    pub others: u64,
    /// Files that were not, and why.
    pub skipped: Vec<Damage>,
}

/// Brings in what there is under a path, or says what there would be.
///
/// # Errors
///
/// The path cannot be read.
pub fn bring(path: &Path, agent: &AgentName, (files, dry): (&dyn MemoryFiles, DryRun)) -> io::Result<Brought> {
    let path = path.canonicalize()?;
    let found = if path.is_file() {
        let shown = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        vec![(shown, path.clone())]
    } else {
        walk::walk(&path)?.files.into_iter().map(|file| (file.shown, file.path)).collect()
    };
    let is_ours = |shown: &str| owner(shown).is_none_or(|owner| owner == agent.as_str());
    let one_is_ours = found.iter().any(|(shown, _)| owner(shown) == Some(agent.as_str()));
    let mut brought = Brought::default();
    for (shown, path) in found {
        let Some(page) = page(&shown) else { continue };
        if one_is_ours && !is_ours(&shown) {
            brought.others += 1;
            continue;
        }
        match read(&path) {
            Ok(text) if text.trim().is_empty() => {}
            Ok(text) => take(&mut brought, agent, (files, dry), (&shown, page, &text)),
            Err(why) => brought.skipped.push(skipped(&shown, why)),
        }
    }
    Ok(brought)
}

/// Whether anything is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DryRun {
    /// It is only said what there is.
    Yes,
    /// It is.
    No,
}

fn skipped(shown: &str, why: impl Into<String>) -> Damage {
    Damage { file: shown.to_owned(), line: 0, reason: why.into() }
}

fn read(path: &Path) -> Result<String, String> {
    let bytes = walk::whole(path, BYTES).map_err(|error| error.to_string())?;
    let bytes = bytes.ok_or_else(|| format!("is longer than {BYTES} bytes"))?;
    String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())
}

fn take(
    brought: &mut Brought,
    agent: &AgentName,
    (files, dry): (&dyn MemoryFiles, DryRun),
    (shown, page, text): (&str, Page, &str),
) {
    let digest = Digest::of(text.as_bytes());
    // What ends a comment, or the line, is in no name.
    let name: String =
        shown.chars().map(|c| if c.is_control() || matches!(c, '<' | '>' | '-') { '_' } else { c }).collect();
    let mark = format!("<!-- imported: {name} {} -->", digest.as_str().get(..DIGITS).unwrap_or_default());
    let section = format!("{mark}\n\n{}\n", text.trim_end());
    let done = match dry {
        DryRun::Yes => Ok(true),
        DryRun::No => files.append_once(agent, &page, (&mark, &section)),
    };
    match done {
        Ok(true) => brought.added.push((shown.to_owned(), page)),
        Ok(false) => brought.already += 1,
        Err(error) => brought.skipped.push(skipped(shown, error.to_string())),
    }
}

/// Returns whose a file is, where it lies below `agents/NAME/`.
fn owner(shown: &str) -> Option<&str> {
    let mut parts = shown.split('/');
    parts.find(|part| *part == "agents")?;
    parts.next().filter(|_| parts.next().is_some())
}

/// Returns what a file becomes; `None` where it is no memory.
fn page(shown: &str) -> Option<Page> {
    let mut parts = shown.rsplit('/');
    let (name, folder) = (parts.next()?, parts.next().unwrap_or_default());
    let stem = name.strip_suffix(".md")?;
    match folder {
        "daily" => stem.parse().ok().map(Page::Day),
        "world" => topic(stem).and_then(|topic| topic.parse().ok()).map(Page::World),
        "memory" => Some(Page::Curated),
        _ => matches!(name, "CLAUDE.md" | "MEMORY.md").then_some(Page::Curated),
    }
}

fn topic(stem: &str) -> Option<String> {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let text: String = stem.chars().map(plain).take(TOPIC_BYTES).collect();
    Some(text.trim_matches('-').to_owned()).filter(|text| !text.is_empty())
}
