//! How much each event adds to a conversation, and which results of it are shown as a line each.
//!
//! Invariant: what is done about a result is found by its call, however many there are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Transcript, link, weight};
use crate::command::Planned;
use crate::compaction::{Form, Kept, Mark, Plan, Start, line_tokens, stub};
use crate::content::Block;
use crate::context::counter::{Rough, Weight};
use crate::digest::Digest;
use crate::event::{
    Aside, BlockHash, CallAllowed, CallFinished, CheckpointCreated, ContextPruned, Decider, Entry, MessageReceived,
    Outcome,
};
use crate::id::{CallId, Seq};

/// What is known of a conversation beside its messages.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    pub(super) marks: Vec<Mark>,
    pub(super) kept: Vec<Kept>,
    /// Where a call's result is among those.
    places: BTreeMap<CallId, usize>,
    /// In which message a call's result is.
    pub(super) answered: BTreeMap<CallId, usize>,
    /// Calls that a person allowed.
    allowed: BTreeSet<CallId>,
    /// Events that something pinned comes from.
    pinned: BTreeSet<Seq>,
    /// The message whose schema the turn's answer must fit.
    pub(super) schema_from: Option<Seq>,
    /// The blocks that requests begin with.
    pub(super) begins: Vec<BlockHash>,
}

impl Transcript {
    /// Begins with a checkpoint, of so many tokens where they were counted; with the message that it carries, whose files are
    /// shown again, and with the one whose schema the running turn's answer must fit.
    #[must_use]
    pub fn after(
        (checkpoint, tokens): (&CheckpointCreated, Option<u32>),
        carried: Option<&MessageReceived>,
        asked: Option<&MessageReceived>,
    ) -> Self {
        let text = checkpoint.shown();
        let schema = asked.and_then(|message| message.output_schema.clone());
        let mut transcript = Self { schema, ..Self::default() };
        let files = carried.map(|message| message.attachments.as_slice()).unwrap_or_default();
        let rough = Weight::of_text(&text, &Rough);
        let files_tokens = files.iter().map(|file| weight(file) / 4).sum::<u64>();
        let tokens = tokens.map_or(rough.tokens, u64::from) + files_tokens;
        transcript.tally.hear(Weight { tokens, pieces: rough.pieces + files.len() as u64, ..rough });
        transcript.mark(0, tokens, None);
        transcript.shown.schema_from = checkpoint.schema_from;
        let pinned = checkpoint.summary.items.iter().filter(|item| item.pinned);
        transcript.shown.pinned = pinned.flat_map(|item| item.sources.iter().copied()).collect();
        transcript.said.extend(files.iter().cloned().map(Block::Media));
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

    /// Returns the newest message of a person.
    #[must_use]
    pub fn newest(&self) -> Option<Seq> {
        let said = [Some(Start::Message), Some(Start::Within)];
        self.marks().iter().rev().find(|mark| said.contains(&mark.start)).map(|mark| mark.seq)
    }

    /// Returns all that a compaction of it is begun with.
    #[must_use]
    pub fn planned(&self, plan: Plan, model: Option<String>) -> Planned {
        let schema_from = self.shown.schema_from.filter(|seq| *seq < plan.tail_from && self.schema.is_some());
        Planned { plan, newest: self.newest(), schema_from, model }
    }

    pub(super) fn mark(&mut self, seq: Seq, tokens: u64, start: Option<Start>) {
        self.shown.marks.push(Mark { seq, tokens, start });
    }

    /// Remembers what a person allowed: its result stays whole.
    pub(super) fn allow(&mut self, allowed: &CallAllowed) {
        if matches!(allowed.by, Decider::Person(_)) {
            self.shown.allowed.insert(allowed.call);
        }
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
        let is_read = tool == "read" && finished.outcome == Outcome::Ok;
        let path = if is_read { input.get("path").and_then(serde_json::Value::as_str) } else { None };
        // Other lines of a file are another read.
        let lines = |path: &str| format!("{path}{}", ["offset", "limit"].map(|key| part(input, key)).concat());
        let bytes = finished.content.len() as u64;
        let is_fixed = self.shown.allowed.contains(&finished.call) || self.shown.pinned.contains(&entry.seq);
        self.shown.places.insert(finished.call, self.shown.kept.len());
        self.shown.kept.push(Kept {
            call: finished.call,
            file: path.map(lines),
            tool,
            seq: entry.seq,
            bytes,
            tokens: Weight::of(entry).tokens,
            artifact: finished.artifact.as_ref().map(|artifact| artifact.hash.clone()),
            form: if is_fixed { Form::Always } else { Form::Whole },
        });
    }

    /// Shows results as a line each.
    pub(super) fn prune(&mut self, pruned: &ContextPruned) {
        for call in &pruned.calls {
            let place = self.shown.places.get(call).copied();
            let kept = place.and_then(|place| self.shown.kept.get_mut(place)).filter(|kept| kept.form != Form::Line);
            let Some(kept) = kept else { continue };
            kept.form = Form::Line;
            let (seq, before, line) = (kept.seq, kept.tokens, stub(kept));
            let weight = Weight { tokens: line_tokens(&line), pieces: 1, reasoning: 0 };
            // They are in the order of their events.
            let at = self.shown.marks.partition_point(|mark| mark.seq < seq);
            for mark in self.shown.marks.iter_mut().skip(at).take_while(|mark| mark.seq == seq) {
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
        let Some(at) = self.shown.answered.get(&call).copied() else { return };
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
