//! The conversation as the provider's alternating messages, folded event by event.

mod past;
mod shown;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::compaction::Start;
use crate::content::{Block, Message, Role};
use crate::digest::Digest;
use crate::event::{BlockHash, Ending, Entry, Event, MessageReceived};
use crate::id::CallId;
use crate::media::{Attachment, Family, MediaType};
pub use past::Did;

use super::counter::Weight;
use super::refused::Refused;
use super::tally::{Anchor, Tally};

/// The conversation so far. Cheap to close at the next step: earlier messages are shared and never change.
#[derive(Debug, Clone)]
pub struct Transcript {
    messages: Vec<Arc<Message>>,
    /// Chain over all messages before the last one, which may still grow.
    digest: Digest,
    /// Calls of the last reply, in order, that the next user message must answer.
    open: Vec<CallId>,
    results: BTreeMap<CallId, (String, bool)>,
    /// What people said since the last step.
    said: Vec<Block>,
    /// What the final answer of the turn must fit.
    schema: Option<Arc<serde_json::Value>>,
    /// The model that was asked last.
    asked: Arc<str>,
    /// Messages that hold reasoning, and whose it is: no other model takes it back.
    reasoned: Vec<(usize, Arc<str>)>,
    /// The first message that belongs to the turn which began last.
    turn_from: usize,
    refused: Refused,
    /// What each message weighs.
    tally: Tally,
    shown: shown::Shown,
}

/// A conversation that ends with the user's message, ready to be sent.
#[derive(Debug, Clone)]
pub(super) struct Closed {
    pub(super) messages: Vec<Arc<Message>>,
    pub(super) digest: Digest,
    pub(super) schema: Option<Arc<serde_json::Value>>,
    /// Files that are not shown to this model.
    pub(super) refused: Vec<Digest>,
    /// What the messages weigh.
    pub(super) weight: Weight,
    tally: Tally,
}

impl Closed {
    /// Returns what this request goes on from, if it has the same parts before its messages.
    pub(super) fn anchor(&self, model: &str, blocks: &[BlockHash]) -> Option<Anchor> {
        self.tally.anchor(model, blocks, self.refused.len())
    }
}

impl Default for Transcript {
    fn default() -> Self {
        Self {
            messages: Vec::new(),
            digest: Digest::of(b""),
            open: Vec::new(),
            results: BTreeMap::new(),
            said: Vec::new(),
            schema: None,
            asked: Arc::from(""),
            reasoned: Vec::new(),
            turn_from: 0,
            refused: Refused::default(),
            tally: Tally::default(),
            shown: shown::Shown::default(),
        }
    }
}

impl Transcript {
    /// Folds one event. What a rewind sets aside is not folded in the first place.
    #[expect(clippy::wildcard_enum_match_arm, reason = "a new event is silent until it is given a voice")]
    pub fn apply(&mut self, entry: &Entry) {
        match &entry.event {
            Event::MessageReceived(message) => {
                let is_settled = self.open.iter().all(|call| self.results.contains_key(call));
                let start = Some(if is_settled { Start::Message } else { Start::Within });
                if message.output_schema.is_some() {
                    self.shown.schema_from = Some(entry.seq);
                }
                let weight = Weight::of(entry);
                self.tally.hear(weight);
                self.hear(message);
                self.mark(entry.seq, weight.tokens, start);
            }
            Event::TurnStarted(_) => self.turn_from = self.messages.len(),
            Event::TurnEnded(ended) => {
                self.refused.forget_doubts();
                // Who was asked something in between still has the schema to fit.
                self.schema = self.schema.take().filter(|_| ended.ending == Ending::Ask);
            }
            Event::StepFailed(failed) => {
                let replied = self.messages.iter().rposition(|message| message.role == Role::Assistant);
                let new = self.messages.get(replied.map_or(0, |at| at + 1)..).unwrap_or_default();
                let shown = |block: &Block, hash: &Digest| matches!(block, Block::Media(file) if file.hash == *hash);
                let is_new =
                    |hash: &Digest| new.iter().flat_map(|message| &message.content).any(|block| shown(block, hash));
                self.refused.doubt(&self.asked, &failed.left_out, is_new);
            }
            Event::StepStarted(started) => {
                self.close();
                self.mark(entry.seq, 0, Some(Start::Step));
                if *self.asked != *started.model {
                    self.asked = started.model.as_str().into();
                }
                self.shown.begins = super::tally::lasting(&started.blocks);
                self.tally.ask(started, self.refused.by(&started.model).len());
            }
            Event::StepFinished(finished) => {
                self.refused.believe(&self.asked);
                let weight = Weight::of(entry);
                self.mark(entry.seq, weight.tokens, None);
                self.reply(&finished.content, weight);
                self.tally.answered(finished.usage);
            }
            Event::ContextPruned(pruned) => {
                self.tally.lift_anchor();
                self.prune(pruned);
            }
            Event::CheckpointActivated(_) => self.tally.lift_anchor(),
            Event::ContextRebuilt(rebuilt) => {
                self.shown.begins.clone_from(&rebuilt.blocks);
                self.tally.lift_anchor();
            }
            Event::CallAllowed(allowed) => self.allow(allowed),
            Event::CallDenied(denied) => self.answer(entry, denied.call, (&denied.content, true)),
            Event::CallLost(lost) => self.answer(entry, lost.call, (&lost.known, true)),
            // Of a call that goes on: its result is still to come.
            Event::QuestionAnswered(answered) if answered.attempt.is_some() => {}
            Event::QuestionAnswered(answered) => {
                self.answer(entry, answered.call, (&answered.content, false));
            }
            Event::CallFinished(finished) => {
                let failed = finished.outcome != crate::event::Outcome::Ok;
                self.keep(entry, finished);
                self.answer(entry, finished.call, (&finished.content, failed));
            }
            _silent => {}
        }
    }

    /// Returns the conversation as the next request would send it to a model.
    pub(super) fn closed(&self, model: &str) -> Closed {
        // What is known of single events is not in a request.
        let mut copy = Self {
            messages: self.messages.clone(),
            digest: self.digest.clone(),
            open: self.open.clone(),
            results: self.results.clone(),
            said: self.said.clone(),
            schema: self.schema.clone(),
            asked: Arc::clone(&self.asked),
            reasoned: self.reasoned.clone(),
            turn_from: self.turn_from,
            refused: self.refused.clone(),
            tally: self.tally.clone(),
            shown: shown::Shown::default(),
        };
        copy.close();
        let digest = copy.messages.last().map_or_else(|| copy.digest.clone(), |last| link(&copy.digest, last));
        for (at, author) in &copy.reasoned {
            if let Some(message) = copy.messages.get_mut(*at).filter(|_| **author != *model) {
                Arc::make_mut(message).content.retain(|block| !is_reasoning(block));
            }
        }
        let refused = copy.refused.by(model);
        let unseen = |block: &&Block| matches!(block, Block::Media(file) if refused.contains(&file.hash));
        let blocks = copy.messages.iter().flat_map(|message| &message.content);
        let left_out: u64 = blocks.filter(unseen).map(size).sum();
        let foreign = copy.reasoned.iter().filter(|(_, author)| **author != *model);
        let reasoning = foreign.map(|(at, _)| copy.tally.reasoning(*at)).sum::<u64>();
        let left_out = Weight { tokens: left_out / 4 + reasoning, reasoning, pieces: 0 };
        let (weight, tally) = (copy.tally.total().minus(left_out), copy.tally);
        Closed { messages: copy.messages, digest, schema: copy.schema, refused, weight, tally }
    }

    /// Returns the blocks of the last request, or those that requests begin with since; none where nothing was asked.
    #[must_use]
    pub fn begins(&self) -> &[BlockHash] {
        &self.shown.begins
    }

    /// Returns the reply that came last, and the tokens that its provider counted of it.
    #[must_use]
    pub fn last_reply(&self) -> Option<(Weight, u64)> {
        self.tally.last_reply()
    }

    /// Files stand before the text that speaks of them.
    fn hear(&mut self, message: &MessageReceived) {
        self.said.extend(message.attachments.iter().cloned().map(Block::Media));
        if !message.content.trim().is_empty() || message.attachments.is_empty() {
            self.said.push(Block::Text { text: message.content.clone() });
        }
        self.schema = message.output_schema.clone().or_else(|| self.schema.take());
    }

    fn answer(&mut self, entry: &Entry, call: CallId, (content, failed): (&str, bool)) {
        if self.open.contains(&call) {
            let weight = Weight::of(entry);
            self.tally.answer(call, weight);
            self.mark(entry.seq, weight.tokens, None);
            self.results.insert(call, (content.to_owned(), failed));
        }
    }

    /// Moves results and what was said into the last user message.
    fn close(&mut self) {
        let mut content: Vec<Block> = Vec::new();
        let weight = self.tally.close(&self.open);
        // Results come behind a reply, in a message of their own.
        let at = self.messages.len();
        self.shown.answered.extend(self.open.iter().map(|call| (*call, at)));
        for id in std::mem::take(&mut self.open) {
            let (content_text, is_error) = self.results.remove(&id).unwrap_or_else(|| (NEVER_RUN.to_owned(), true));
            content.push(Block::ToolResult { id, content: content_text, is_error });
        }
        self.results.clear();
        content.append(&mut self.said);
        let spoke_last = self.messages.last().is_some_and(|last| last.role == Role::User);
        if content.is_empty() && !spoke_last {
            content.push(Block::Text { text: "Go on.".to_owned() });
        }
        if !content.is_empty() {
            self.push(Role::User, content, weight);
        }
    }

    /// Adds a reply, without what no provider takes back: empty texts, a message of nothing but reasoning.
    fn reply(&mut self, content: &[Block], weight: Weight) {
        let said = |block: &&Block| !matches!(block, Block::Text { text } if text.trim().is_empty());
        let content: Vec<Block> = content.iter().filter(said).cloned().collect();
        let speaks = content.iter().any(|block| matches!(block, Block::Text { .. } | Block::ToolUse { .. }));
        if !speaks {
            return;
        }
        // A reply follows a request, and a request ends with the user; a journal that says otherwise was not ours.
        if self.messages.last().is_none_or(|last| last.role == Role::Assistant) {
            self.close();
        }
        self.open = content.iter().filter_map(used).collect();
        if content.iter().any(is_reasoning) {
            self.reasoned.push((self.messages.len(), Arc::clone(&self.asked)));
        }
        self.push(Role::Assistant, content, weight);
    }

    fn push(&mut self, role: Role, content: Vec<Block>, weight: Weight) {
        match self.messages.last_mut() {
            Some(last) if last.role == role => {
                Arc::make_mut(last).content.extend(content);
                self.tally.grow(weight);
            }
            Some(_) | None => {
                if let Some(last) = self.messages.last() {
                    self.digest = link(&self.digest, last);
                }
                self.messages.push(Arc::new(Message { role, content }));
                self.tally.push(weight);
            }
        }
    }
}

const NEVER_RUN: &str = "This call has no result: it was never run.";

fn link(digest: &Digest, message: &Message) -> Digest {
    // Messages of strings and JSON values always serialize.
    Digest::chain(digest, serde_json::to_string(message).unwrap_or_default().as_bytes())
}

fn used(block: &Block) -> Option<CallId> {
    match block {
        Block::ToolUse { id, .. } => Some(*id),
        Block::Text { .. }
        | Block::Thinking { .. }
        | Block::RedactedThinking { .. }
        | Block::ToolResult { .. }
        | Block::Media(_) => None,
    }
}

fn is_reasoning(block: &Block) -> bool {
    match block {
        Block::Thinking { .. } | Block::RedactedThinking { .. } => true,
        Block::Text { .. } | Block::ToolUse { .. } | Block::ToolResult { .. } | Block::Media(_) => false,
    }
}

pub(super) fn size(block: &Block) -> u64 {
    let bytes = match block {
        Block::Text { text } => text.len(),
        Block::Thinking { thinking, signature } => thinking.len() + signature.as_ref().map_or(0, String::len),
        Block::RedactedThinking { data } => data.len(),
        Block::ToolUse { name, input, .. } => name.len() + input.to_string().len(),
        Block::ToolResult { content, .. } => content.len(),
        Block::Media(attachment) => return weight(attachment),
    };
    bytes as u64
}

/// About what a file costs, in bytes of text: an image is scaled down to some 1,600 tokens, a page of a PDF costs as much
/// and has some 50 kB.
pub(super) fn weight(attachment: &Attachment) -> u64 {
    const LOOKED_AT: u64 = 6_400;
    match attachment.kind().map(MediaType::family) {
        Some(Family::Image) => LOOKED_AT,
        Some(Family::Pdf) => (attachment.bytes / 50_000 + 1) * LOOKED_AT,
        Some(Family::Text) => attachment.bytes,
        None => 0,
    }
}
