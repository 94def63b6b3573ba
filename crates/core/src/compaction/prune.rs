//! Which results of calls are shown as a line each, once the conversation is long.
//!
//! Invariants: a call keeps a result; skills, the agent's list, what people were asked, and what the last two messages led to
//! stay whole.

use super::{Mark, Start};
use crate::context::Window;
use crate::digest::Digest;
use crate::event::ContextPruned;
use crate::id::{CallId, Seq};
use crate::session::{ASK_USER, LIST_TOOL};

/// A result that the model sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its call.
    pub call: CallId,
    /// The tool.
    pub tool: String,
    /// The file that was read, where it was one.
    pub file: Option<String>,
    /// The event that it is in.
    pub seq: Seq,
    /// Its bytes.
    pub bytes: u64,
    /// About its tokens.
    pub tokens: u64,
    /// Where all of it is, if it was cut.
    pub artifact: Option<Digest>,
    /// Whether it is shown as a line already.
    pub pruned: bool,
}

/// Tokens that must come free, and of the newest results that stay, in a large window.
const FREED: u64 = 20_000;
const NEWEST: u64 = 40_000;
/// Tokens below which a result is not worth a line.
const SMALL: u64 = 100;
/// Tools whose results stay.
const EXEMPT: [&str; 3] = ["skill", LIST_TOOL, ASK_USER];

/// Says whether a tool's results stay whole.
#[must_use]
pub fn is_exempt(tool: &str) -> bool {
    EXEMPT.contains(&tool)
}

/// Returns the results to be shown as a line each, if that is worth it.
#[must_use]
pub fn prune(kept: &[Kept], marks: &[Mark], (tokens, window): (u64, &Window)) -> Option<ContextPruned> {
    let usable = window.usable();
    let messages = marks.iter().rev().filter(|mark| mark.start == Some(Start::Message)).map(|mark| mark.seq);
    let recent = messages.take(2).last().unwrap_or_default();
    let mut newest = NEWEST.min(usable / 3);
    let mut old = Seq::MAX;
    for mark in marks.iter().rev() {
        old = mark.seq;
        match newest.checked_sub(mark.tokens) {
            Some(left) => newest = left,
            None => break,
        }
    }
    let step = marks.iter().rev().find(|mark| mark.start == Some(Start::Step)).map_or(Seq::MAX, |mark| mark.seq);
    let read_again = |at: usize, it: &Kept| {
        let later = kept.get(at + 1..).unwrap_or_default();
        it.file.is_some() && later.iter().any(|later| later.file == it.file && !later.pruned)
    };
    let goes = |at: usize, it: &Kept| {
        let is_old = it.seq < recent && it.seq < old;
        let is_repeated = it.seq < step && read_again(at, it);
        !it.pruned && it.tokens > SMALL && !is_exempt(&it.tool) && (is_old || is_repeated)
    };
    let chosen: Vec<&Kept> = kept.iter().enumerate().filter(|(at, it)| goes(*at, it)).map(|(_, it)| it).collect();
    let freed: u64 = chosen.iter().map(|it| it.tokens.saturating_sub(stub(it).len() as u64 / 4)).sum();
    (freed >= FREED.min(usable / 8) && freed > 0).then(|| ContextPruned {
        calls: chosen.iter().map(|it| it.call).collect(),
        tokens_freed: freed,
        tokens_before: tokens,
    })
}

/// Returns the line that stands for a result.
#[must_use]
pub fn stub(kept: &Kept) -> String {
    let Kept { tool, seq, bytes, .. } = kept;
    let whole = kept.artifact.as_ref().map(|hash| format!(", whole as artifact {hash}")).unwrap_or_default();
    let again = match &kept.file {
        Some(file) => format!("read {file} again to see it as it is now"),
        None => format!("call `{tool}` again if you need it"),
    };
    format!(
        "[result of `{tool}` left out to save room: {bytes} bytes, kept as event {seq} of the history{whole}; {again}]"
    )
}
