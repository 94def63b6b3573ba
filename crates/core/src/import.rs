//! Conversations of other programs: read from their records, in one shape for all of them, and made a journal at rest.
//!
//! | Where | What |
//! |---|---|
//! | [`Talk`] | a conversation in that shape; its session's id follows from it |
//! | [`Gathering`] | what a reader hears becomes a [`Talk`], within the bounds |
//! | `claude_code`, `codex`, `dagent`, `opencode`, `duragent` | a reader each: records in, [`Read`] out |
//! | `kept` | a checkpoint that a program made itself |
//! | `check` | what a talk from outside must hold to |
//! | `journal` | the events of a talk |
//!
//! Invariants: no record makes a reader panic or lose another record; what is not taken is counted, with its reason; a
//! journal made here folds to a session at rest, with nothing owed and every turn ended.

mod check;
pub mod claude_code;
pub mod codex;
pub mod dagent;
pub mod duragent;
mod gather;
mod journal;
mod kept;
pub mod opencode;
mod record;

pub use check::check;
pub use gather::{Gathering, Voice};
pub use journal::{Adopted, journal};
pub use record::{Damage, LeftOut, Read, Records};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::compaction::Change;
use crate::content::Usage;
use crate::digest::Digest;
use crate::event::Outcome;
use crate::id::SessionId;
use crate::time::Timestamp;

/// Label that names the program a session was imported from.
pub const PROGRAM_LABEL: &str = "imported";
/// Label with that program's own id of it.
pub const ID_LABEL: &str = "imported-id";
/// Label with the first 16 digits of the digest of what was imported.
pub const DIGEST_LABEL: &str = "imported-digest";
/// Label with the folder that was worked in.
pub const CWD_LABEL: &str = "cwd";

/// Where a conversation comes from. The same source is the same session, wherever and whenever it is imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The program: `^[a-z][a-z0-9-]{0,31}$`.
    pub program: String,
    /// That program's own id of it: 1 to 256 bytes.
    pub id: String,
    /// SHA-256 of what was read. A conversation that has grown is another one.
    pub digest: Digest,
}

/// A conversation of another program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Talk {
    /// Where it comes from.
    pub source: Source,
    /// When it began.
    pub created_at: Timestamp,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The folder that was worked in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// What the program kept of what was said before: its own checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Change>,
    /// All that was said and done, in order.
    pub turns: Vec<Turn>,
}

/// All that came of one message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    /// When it began.
    pub at: Timestamp,
    /// What the person said; `None` where the model spoke first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
    /// What the model said and did. A turn that ends with calls, or without a step, was interrupted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
}

/// One answer of the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// When it was there.
    pub at: Timestamp,
    /// The model, in the program's words; empty where it is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// Tokens.
    #[serde(default)]
    pub usage: Usage,
    /// What it is made of: at least one part.
    pub parts: Vec<Part>,
}

/// A part of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// Reasoning. A seal on it would not hold elsewhere and is left out.
    Thinking {
        /// The reasoning.
        text: String,
    },
    /// A call of a tool.
    Call {
        /// The tool.
        tool: String,
        /// What it was given: an object.
        arguments: Value,
        /// What came of it; `None` where nobody wrote it down: it is lost.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        result: Option<CallResult>,
    },
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallResult {
    /// When.
    pub at: Timestamp,
    /// How it ended; `interrupted` stands for a call that was never started.
    pub outcome: Outcome,
    /// What the model was told.
    pub content: String,
}

/// 80 bits of an id are not its time.
const TIME_SHIFT: u32 = 80;
/// 48 bits are.
const TIME_MASK: u128 = (1 << 48) - 1;

impl Talk {
    /// Returns the id of its session: when it began, and the beginning of a digest of its source. The same source has the
    /// same id, so that nothing else need remember what was imported.
    #[must_use]
    pub fn session(&self) -> SessionId {
        let Source { program, id, digest } = &self.source;
        let named = Digest::of(format!("{program}\n{id}\n{digest}").as_bytes());
        let low = named.as_str().get(..20).and_then(|hex| u128::from_str_radix(hex, 16).ok()).unwrap_or_default();
        let ms = u128::try_from(self.created_at.micros() / 1_000).unwrap_or_default() & TIME_MASK;
        SessionId::from_bits(ms << TIME_SHIFT | low)
    }

    /// Returns how many messages it has, of people and of the model.
    #[must_use]
    pub fn messages(&self) -> usize {
        self.turns.iter().map(|turn| usize::from(turn.said.is_some()) + turn.steps.len()).sum()
    }

    /// Returns how many calls of tools it has.
    #[must_use]
    pub fn calls(&self) -> usize {
        let parts = self.turns.iter().flat_map(|turn| &turn.steps).flat_map(|step| &step.parts);
        parts.filter(|part| matches!(part, Part::Call { .. })).count()
    }
}

/// Cuts a text to this many bytes, between letters.
pub(crate) fn cut(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default()
}
