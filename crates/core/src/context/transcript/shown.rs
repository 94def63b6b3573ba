//! How much each event adds to a conversation, and which results of it are shown as a line each.

use super::{Transcript, link};
use crate::command::Planned;
use crate::compaction::{Kept, Mark, Plan, Start, stub};
use crate::content::{Block, Message, Role};
use crate::context::counter::{Rough, Weight};
use crate::digest::Digest;
use crate::event::{Aside, BlockHash, CallFinished, CheckpointCreated, ContextPruned, Entry};
use crate::id::{CallId, Seq};
use std::sync::Arc;

/// What is known of a conversation beside its messages.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    pub(super) marks: Vec<Mark>,
    pub(super) kept: Vec<Kept>,
    /// The message whose schema the turn's answer must fit.
    pub(super) schema_from: Option<Seq>,
    /// The blocks that requests begin with.
    pub(super) begins: Vec<BlockHash>,
}

impl Transcript {
    /// Begins with a checkpoint, of so many tokens where they were counted, and with the schema that the running turn's answer
    /// must fit.
    #[must_use]
    pub fn after(
        (checkpoint, tokens): (&CheckpointCreated, Option<u32>),
        schema: Option<Arc<serde_json::Value>>,
    ) -> Self {
        let text = checkpoint.shown();
        let mut transcript = Self { schema, ..Self::default() };
        let rough = Weight::of_text(&text, &Rough);
        let weight = Weight { tokens: tokens.map_or(rough.tokens, u64::from), ..rough };
        transcript.tally.hear(weight);
        transcript.mark(0, weight.tokens, None);
        transcript.shown.schema_from = checkpoint.schema_from;
        transcript.said.push(Block::Text { text });
        transcript
    }

    /// Returns what each event adds, in order.
    #[must_use]
    pub fn marks(&self) -> &[Mark] {
        &self.shown.marks
    }

    /// Returns the same for a request of so many tokens as its provider counts them, of which we count so many.
    #[must_use]
    pub fn marks_in(&self, (tokens, counted): (u64, u64)) -> Vec<Mark> {
        let part = |mark: &Mark| u128::from(mark.tokens) * u128::from(tokens) / u128::from(counted.max(1));
        let scaled = |mark: &Mark| Mark { tokens: u64::try_from(part(mark)).unwrap_or(u64::MAX), ..*mark };
        self.marks().iter().map(scaled).collect()
    }

    /// Returns the first and the last event that are shown as they are.
    #[must_use]
    pub fn covers(&self) -> Option<Aside> {
        let first = self.marks().iter().find(|mark| mark.seq > 0)?.seq;
        Some(Aside { first, last: self.marks().last()?.seq })
    }

    /// Returns the results in it, in order.
    #[must_use]
    pub fn kept(&self) -> &[Kept] {
        &self.shown.kept
    }

    /// Returns all that a compaction of it is begun with.
    #[must_use]
    pub fn planned(&self, plan: Plan, model: Option<String>) -> Planned {
        let said = [Some(Start::Message), Some(Start::Within)];
        let messages = self.marks().iter().rev().filter(|mark| said.contains(&mark.start));
        let newest = messages.map(|mark| mark.seq).next();
        let schema_from = self.shown.schema_from.filter(|seq| *seq < plan.tail_from && self.schema.is_some());
        Planned { plan, newest, schema_from, model }
    }

    pub(super) fn mark(&mut self, seq: Seq, tokens: u64, start: Option<Start>) {
        self.shown.marks.push(Mark { seq, tokens, start });
    }

    /// Remembers a result that is about to be shown.
    pub(super) fn keep(&mut self, entry: &Entry, finished: &CallFinished) {
        let blocks = self.messages.last().map(|last| last.content.as_slice()).unwrap_or_default();
        let used = blocks.iter().find_map(|block| match block {
            Block::ToolUse { id, name, input, .. } if *id == finished.call => Some((name.clone(), input)),
            Block::ToolUse { .. }
            | Block::Text { .. }
            | Block::Thinking { .. }
            | Block::RedactedThinking { .. }
            | Block::ToolResult { .. }
            | Block::Media(_) => None,
        });
        let Some((tool, input)) = used.filter(|_| self.open.contains(&finished.call)) else { return };
        let path = if tool == "read" { input.get("path").and_then(serde_json::Value::as_str) } else { None };
        // Other lines of a file are another read.
        let lines = |path: &str| format!("{path}{}", ["offset", "limit"].map(|key| part(input, key)).concat());
        let bytes = finished.content.len() as u64;
        self.shown.kept.push(Kept {
            call: finished.call,
            file: path.map(lines),
            tool,
            seq: entry.seq,
            bytes,
            tokens: Weight::of(entry).tokens,
            artifact: finished.artifact.as_ref().map(|artifact| artifact.hash.clone()),
            pruned: false,
        });
    }

    /// Shows results as a line each.
    pub(super) fn prune(&mut self, pruned: &ContextPruned) {
        for call in &pruned.calls {
            let Some(kept) = self.shown.kept.iter_mut().find(|kept| kept.call == *call && !kept.pruned) else {
                continue;
            };
            kept.pruned = true;
            let (seq, before, line) = (kept.seq, kept.tokens, stub(kept));
            // Nobody counts it: hashes and paths have more tokens than words.
            let weight = Weight { tokens: line.len() as u64 / 2, pieces: 1, reasoning: 0 };
            for mark in self.shown.marks.iter_mut().filter(|mark| mark.seq == seq) {
                mark.tokens = weight.tokens;
            }
            match self.results.get_mut(call) {
                Some((content, _)) => {
                    content.clone_from(&line);
                    self.tally.answer(*call, weight);
                }
                None => self.shorten(*call, &line, before.saturating_sub(weight.tokens)),
            }
        }
        self.digest = self.messages.split_last().map_or(Digest::of(b""), |(_, earlier)| {
            earlier.iter().fold(Digest::of(b""), |digest, message| link(&digest, message))
        });
    }

    /// Puts a line in the place of a result, which makes its message so many tokens lighter.
    fn shorten(&mut self, call: CallId, line: &str, lighter: u64) {
        let answers = |block: &Block| matches!(block, Block::ToolResult { id, .. } if *id == call);
        let has = |message: &Arc<Message>| message.role == Role::User && message.content.iter().any(answers);
        let Some(at) = self.messages.iter().rposition(has) else { return };
        self.tally.lighten(at, lighter);
        let Some(message) = self.messages.get_mut(at) else { return };
        for block in Arc::make_mut(message).content.iter_mut() {
            if let Block::ToolResult { id, content, .. } = block
                && *id == call
            {
                line.clone_into(content);
            }
        }
    }
}

fn part(input: &serde_json::Value, key: &str) -> String {
    input.get(key).map(|value| format!(" {key} {value}")).unwrap_or_default()
}
