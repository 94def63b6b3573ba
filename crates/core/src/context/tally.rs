//! What each message of a conversation weighs, and what a provider counted last: sums, never counted again.

use std::collections::BTreeMap;

use crate::content::Usage;
use crate::event::{BlockHash, StepStarted};
use crate::id::CallId;

use super::counter::Weight;

/// The size of a request, by what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// The system prompt and the tools.
    pub frame: Weight,
    /// The conversation, and what its answer must fit.
    pub messages: Weight,
    /// What the provider said of the request before, where this one only goes on from there.
    pub anchor: Option<Anchor>,
}

impl Load {
    /// Returns the tokens of all of it, as we count them.
    #[must_use]
    pub fn counted(&self) -> u64 {
        self.frame.plus(self.messages).tokens
    }
}

/// What a provider counted, and what has come since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Anchor {
    /// Tokens of that request, cached or not.
    pub input: u64,
    /// Tokens of its reply, reasoning included.
    pub output: u64,
    /// The reply, as far as it is sent back.
    pub reply: Weight,
    /// What has come since.
    pub new: Weight,
}

/// Weights beside a transcript's messages.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    messages: Vec<Weight>,
    said: Weight,
    results: BTreeMap<CallId, Weight>,
    asked: Option<Request>,
    answered: Option<(Request, Usage, Weight)>,
}

/// A request that was sent.
#[derive(Debug, Clone, PartialEq)]
struct Request {
    model: String,
    /// All that stands before the conversation.
    stable: Vec<BlockHash>,
    messages: Weight,
    /// Files that were left out.
    refused: usize,
}

/// What a person or the runtime says in a few words, beside what is counted.
const FEW: Weight = Weight { tokens: 11, pieces: 1, reasoning: 0 };

/// The part of a request that each one has otherwise, and the one that is a turn's.
const MESSAGES: &str = "messages";
pub(super) const SCHEMA: &str = "output_schema";

impl Tally {
    pub(super) fn hear(&mut self, weight: Weight) {
        self.said = self.said.plus(weight);
    }

    pub(super) fn answer(&mut self, call: CallId, weight: Weight) {
        self.results.insert(call, weight);
    }

    /// Returns what the results of these calls, and what was said, weigh together.
    pub(super) fn close(&mut self, open: &[CallId]) -> Weight {
        let results = open.iter().map(|call| self.results.get(call).copied().unwrap_or(FEW));
        let all = results.fold(self.said, Weight::plus);
        self.results.clear();
        self.said = Weight::default();
        all
    }

    /// A message was added.
    pub(super) fn push(&mut self, weight: Weight) {
        self.messages.push(weight);
    }

    /// The last message has grown.
    pub(super) fn grow(&mut self, weight: Weight) {
        if let Some(last) = self.messages.last_mut() {
            *last = last.plus(weight);
        }
    }

    /// A message has so many tokens less.
    pub(super) fn lighten(&mut self, at: usize, tokens: u64) {
        if let Some(weight) = self.messages.get_mut(at) {
            weight.tokens = weight.tokens.saturating_sub(tokens);
        }
    }

    /// Returns what the messages weigh.
    pub(super) fn total(&self) -> Weight {
        self.messages.iter().copied().fold(Weight::default(), Weight::plus)
    }

    /// Returns the reasoning of a message.
    pub(super) fn reasoning(&self, at: usize) -> u64 {
        self.messages.get(at).map_or(0, |weight| weight.reasoning)
    }

    pub(super) fn ask(&mut self, started: &StepStarted, refused: usize) {
        let (model, messages) = (started.model.clone(), self.total());
        self.asked = Some(Request { model, stable: stable(&started.blocks), messages, refused });
    }

    /// The request that was asked is answered; the reply has been added. A provider that counts nothing is no anchor.
    pub(super) fn answered(&mut self, usage: Usage) {
        let Some(asked) = self.asked.take().filter(|_| usage.all_input() > 0) else {
            self.answered = None;
            return;
        };
        let reply = self.total().minus(asked.messages);
        self.answered = Some((asked, usage, reply));
    }

    /// What is sent next is not what was sent before with something behind it.
    pub(super) fn lift_anchor(&mut self) {
        self.answered = None;
        self.asked = None;
    }

    /// Returns what the next request goes on from, if it does.
    pub(super) fn anchor(&self, model: &str, blocks: &[BlockHash], refused: usize) -> Option<Anchor> {
        let (asked, usage, reply) = self.answered.as_ref()?;
        let is_same = asked.model == model && asked.refused == refused && asked.stable == stable(blocks);
        let new = self.total().minus(asked.messages).minus(*reply);
        is_same.then_some(Anchor { input: usage.all_input(), output: usage.output_tokens, reply: *reply, new })
    }

    /// Returns the reply that came last, and the tokens that its provider counted of it.
    pub(super) fn last_reply(&self) -> Option<(Weight, u64)> {
        self.answered.as_ref().map(|(_, usage, reply)| (*reply, usage.output_tokens))
    }
}

/// Returns those of a request's blocks that do not change with each message.
fn stable(blocks: &[BlockHash]) -> Vec<BlockHash> {
    blocks.iter().filter(|block| block.part != MESSAGES).cloned().collect()
}

/// Returns those of a request's blocks that outlast a turn.
pub(super) fn lasting(blocks: &[BlockHash]) -> Vec<BlockHash> {
    blocks.iter().filter(|block| block.part != MESSAGES && block.part != SCHEMA).cloned().collect()
}
