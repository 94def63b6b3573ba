//! How much each event adds to a conversation, and which results of it are shown as a line each.

use super::{Transcript, link, size};
use crate::command::Planned;
use crate::compaction::{Kept, Mark, Plan, Start, stub};
use crate::content::{Block, Role};
use crate::digest::Digest;
use crate::event::{Aside, CallFinished, CheckpointCreated, ContextPruned};
use crate::id::{CallId, Seq};
use std::sync::Arc;

/// What is known of a conversation beside its messages.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    pub(super) marks: Vec<Mark>,
    pub(super) kept: Vec<Kept>,
    /// The message whose schema the turn's answer must fit.
    pub(super) schema_from: Option<Seq>,
}

impl Transcript {
    /// Begins with a checkpoint, and with the schema that the running turn's answer must fit.
    #[must_use]
    pub fn after(checkpoint: &CheckpointCreated, schema: Option<Arc<serde_json::Value>>) -> Self {
        let first = checkpoint.covers.first.min(1);
        let covers = Aside { first, last: checkpoint.covers.last };
        let text = checkpoint.summary.render(covers, checkpoint.version);
        let mut transcript = Self { schema, ..Self::default() };
        let tokens = text.len() as u64 / 4;
        transcript.shown.marks.push(Mark { seq: 0, tokens, start: None });
        transcript.shown.schema_from = checkpoint.schema_from;
        transcript.said.push(Block::Text { text });
        transcript
    }

    /// Returns what each event adds, in order.
    #[must_use]
    pub fn marks(&self) -> &[Mark] {
        &self.shown.marks
    }

    /// Returns the results in it, in order.
    #[must_use]
    pub fn kept(&self) -> &[Kept] {
        &self.shown.kept
    }

    /// Returns all that a compaction of it is begun with.
    #[must_use]
    pub fn planned(&self, plan: Plan, model: Option<String>) -> Planned {
        let messages = self.marks().iter().rev().filter(|mark| mark.start == Some(Start::Message));
        let newest = messages.map(|mark| mark.seq).next();
        let schema_from = self.shown.schema_from.filter(|seq| *seq < plan.tail_from && self.schema.is_some());
        Planned { plan, newest, schema_from, model }
    }

    pub(super) fn mark(&mut self, seq: Seq, bytes: u64, start: Option<Start>) {
        self.shown.marks.push(Mark { seq, tokens: bytes / 4, start });
    }

    /// Remembers a result that is about to be shown.
    pub(super) fn keep(&mut self, seq: Seq, finished: &CallFinished) {
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
            seq,
            bytes,
            tokens: bytes / 4,
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
            let (seq, line) = (kept.seq, stub(kept));
            for mark in self.shown.marks.iter_mut().filter(|mark| mark.seq == seq) {
                mark.tokens = line.len() as u64 / 4;
            }
            if let Some((content, _)) = self.results.get_mut(call) {
                content.clone_from(&line);
            }
            self.shorten(*call, &line);
        }
        self.digest = self.messages.split_last().map_or(Digest::of(b""), |(_, earlier)| {
            earlier.iter().fold(Digest::of(b""), |digest, message| link(&digest, message))
        });
    }

    fn shorten(&mut self, call: CallId, line: &str) {
        let answers = |block: &Block| matches!(block, Block::ToolResult { id, .. } if *id == call);
        let found = self.messages.iter_mut().rev().filter(|message| message.role == Role::User);
        let mut found = found.filter(|message| message.content.iter().any(answers));
        let Some(message) = found.next() else { return };
        for block in Arc::make_mut(message).content.iter_mut().filter(|block| answers(block)) {
            let before = size(block);
            if let Block::ToolResult { content, .. } = block {
                line.clone_into(content);
            }
            self.bytes = self.bytes.saturating_sub(before).saturating_add(size(block));
        }
    }
}

fn part(input: &serde_json::Value, key: &str) -> String {
    input.get(key).map(|value| format!(" {key} {value}")).unwrap_or_default()
}
