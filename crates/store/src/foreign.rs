//! Finds and reads other programs' conversations on disk: read-only, bounded, never out of the given folder.
//!
//! | Where | What |
//! |---|---|
//! | [`find`] | what there is under a path |
//! | [`Unit::read`] | one conversation |
//! | `walk` | folders, files and lines |
//! | `opencode` | sessions in many files, and in a database |
//! | [`memories`] | what other programs remember in Markdown |
//! | `duragent` | a session's folder; agents |
//!
//! Invariants: nothing is written beside what is read; a link is not followed; what one file holds does not keep another
//! from being read.

mod duragent;
pub mod memories;
mod opencode;
mod walk;

use std::io;
use std::path::{Path, PathBuf};

use outlive_core::import::{Damage, LeftOut, Read, claude_code, codex, dagent};

pub use duragent::{AgentFolder, agents};

/// A program whose conversations can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Duragent's workspace.
    Duragent,
    /// Claude Code's `~/.claude`.
    ClaudeCode,
    /// Codex CLI's `~/.codex`.
    Codex,
    /// dagent's `chat.json` and `session.json`.
    Dagent,
    /// OpenCode's `~/.local/share/opencode`.
    Opencode,
}

impl Program {
    /// Returns its name, as it stands in labels.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Duragent => outlive_core::import::duragent::PROGRAM,
            Self::ClaudeCode => claude_code::PROGRAM,
            Self::Codex => codex::PROGRAM,
            Self::Dagent => dagent::PROGRAM,
            Self::Opencode => outlive_core::import::opencode::PROGRAM,
        }
    }

    /// Says where its conversations are looked for under a path.
    #[must_use]
    pub fn places(self) -> &'static str {
        match self {
            Self::Duragent => "`.duragent/sessions/ID/events.jsonl`",
            Self::ClaudeCode => "`projects/FOLDER/SESSION.jsonl`",
            Self::Dagent => "`chat.json` and `session.json`",
            Self::Codex => "`sessions/YYYY/MM/DD/rollout-*.jsonl`",
            Self::Opencode => "`storage/session/PROJECT/SESSION.json`, or `opencode.db`",
        }
    }
}

/// What was found under a path.
#[derive(Debug, Default)]
pub struct Found {
    /// Conversations, in the order of their names.
    pub units: Vec<Unit>,
    /// Files and folders that are not read, and why.
    pub skipped: Vec<Damage>,
    /// What is left out on purpose.
    pub left_out: LeftOut,
}

/// One conversation on disk.
#[derive(Debug)]
pub struct Unit {
    /// Where it is, below the path that was given.
    pub shown: String,
    body: Body,
}

#[derive(Debug)]
enum Body {
    ClaudeCode(PathBuf),
    Codex(PathBuf),
    Dagent(PathBuf),
    Duragent(PathBuf),
    Opencode(opencode::Session),
}

/// Finds a program's conversations. `scratch` is a folder of ours, for copies of what cannot be read without being touched.
///
/// # Errors
///
/// The path cannot be read, or holds more than is looked through.
pub fn find(program: Program, path: &Path, scratch: &Path) -> io::Result<Found> {
    let path = path.canonicalize()?;
    match program {
        Program::ClaudeCode => {
            let inner = path.join("projects");
            lines(if walk::is_plain_folder(&inner) { &inner } else { &path }, is_claude_code, Body::ClaudeCode)
        }
        Program::Codex => lines(&path, is_codex, Body::Codex),
        Program::Dagent => lines(&path, is_dagent, Body::Dagent),
        Program::Duragent => duragent::find(&path),
        Program::Opencode => opencode::find(&path, scratch),
    }
}

/// What a file is to its program.
enum Fit {
    Conversation,
    LeftOut(&'static str),
    Unreadable(&'static str),
    Nothing,
}

fn is_claude_code(shown: &str) -> Fit {
    let is_lines = Path::new(shown).extension().is_some_and(|extension| extension == "jsonl");
    let name = shown.rsplit('/').next().unwrap_or_default();
    match is_lines {
        true if name.starts_with("agent-") || shown.contains("/subagents/") => {
            Fit::LeftOut("conversations of subagents")
        }
        true if matches!(name, "history.jsonl" | "journal.jsonl") => Fit::Nothing,
        true => Fit::Conversation,
        false => Fit::Nothing,
    }
}

fn is_codex(shown: &str) -> Fit {
    let name = shown.rsplit('/').next().unwrap_or_default();
    match name.strip_prefix("rollout-").and_then(|rest| rest.split_once('.')) {
        Some((_, "jsonl")) => Fit::Conversation,
        Some((_, "jsonl.zst")) => Fit::Unreadable("is compressed: unpack it with `zstd -d` first"),
        Some(_) | None => Fit::Nothing,
    }
}

fn is_dagent(shown: &str) -> Fit {
    let name = shown.rsplit('/').next().unwrap_or_default();
    if matches!(name, "chat.json" | "session.json") { Fit::Conversation } else { Fit::Nothing }
}

/// Finds conversations that are a file each.
fn lines(path: &Path, fit: fn(&str) -> Fit, body: fn(PathBuf) -> Body) -> io::Result<Found> {
    let mut found = Found::default();
    if path.is_file() {
        let shown = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        found.units.push(Unit { shown, body: body(path.to_owned()) });
        return Ok(found);
    }
    let walked = walk::walk(path)?;
    found.skipped = walked.skipped;
    for file in walked.files {
        match fit(&file.shown) {
            Fit::Conversation => found.units.push(Unit { shown: file.shown, body: body(file.path) }),
            Fit::LeftOut(what) => *found.left_out.entry(what).or_default() += 1,
            Fit::Unreadable(why) => {
                found.skipped.push(Damage { file: file.shown, line: 0, reason: why.to_owned() });
            }
            Fit::Nothing => {}
        }
    }
    Ok(found)
}

impl Unit {
    /// Reads it; `None` where it is no conversation of its own.
    ///
    /// # Errors
    ///
    /// It cannot be read at all.
    pub fn read(&self) -> io::Result<Option<Read>> {
        match &self.body {
            Body::ClaudeCode(path) => {
                walk::records(std::slice::from_ref(path), Box::new(claude_code::Reader::new(&self.shown, stem(path))))
                    .map(Some)
            }
            Body::Codex(path) => {
                walk::records(std::slice::from_ref(path), Box::new(codex::Reader::new(&self.shown, stem(path))))
                    .map(Some)
            }
            Body::Dagent(path) => {
                let bytes = walk::whole(path, dagent::FILE_BYTES)?;
                let beside = walk::whole(&path.with_file_name(dagent::CHECKPOINT), dagent::FILE_BYTES);
                Ok(Some(dagent::read(&self.shown, bytes.as_deref(), beside.ok().flatten().as_deref())))
            }
            Body::Duragent(folder) => duragent::read(folder, &self.shown).map(Some),
            Body::Opencode(session) => session.read(),
        }
    }
}

fn stem(path: &Path) -> &str {
    path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("unnamed")
}
