//! The exact next request, and what each of its parts weighs.
//!
//! Invariant: the parts sum to the total. They share the estimate by what our own count says of them, so that none is left.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::content::Request;
use crate::event::{Behavior, Entry, Event, MessageReceived, Origin, OriginKind};
use crate::id::Seq;
use crate::time::Timestamp;

use super::{Calibration, Counter, Frame, Layers, Level, Room, Transcript, Weight, added, assemble_with};

/// The next request of a session.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// Exactly what would be sent.
    pub request: Request,
    /// Its parts.
    pub parts: Parts,
    /// Tokens of all parts.
    pub total: u64,
    /// Tokens of the request: all but the reserve.
    pub tokens: u64,
    /// What it may have.
    pub room: Room,
    /// How full that is.
    pub level: Level,
}

/// Tokens of the parts of a request, in the order in which they are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Parts {
    /// Who the agent is, and its system prompt.
    pub agent: u64,
    /// The tools on offer.
    pub tools: u64,
    /// Directives, skills, curated files.
    pub context: u64,
    /// What is remembered.
    pub memory: u64,
    /// What stands for the older part of the conversation.
    pub checkpoint: u64,
    /// The conversation, each message as it is, and the schema that its answer must fit.
    pub messages: u64,
    /// What is about to be said.
    pub input: u64,
    /// What is kept free for the reply.
    pub reserve: u64,
}

impl Parts {
    /// Returns all of them, each with its name.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64); 8] {
        [
            ("agent", self.agent),
            ("tools", self.tools),
            ("context", self.context),
            ("memory", self.memory),
            ("checkpoint", self.checkpoint),
            ("messages", self.messages),
            ("input", self.input),
            ("reserve", self.reserve),
        ]
    }

    /// Returns their sum.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.named().iter().map(|(_, tokens)| tokens).sum()
    }
}

/// What is known when a request is previewed.
pub struct Known<'a> {
    /// Counts what is about to be said.
    pub counter: &'a dyn Counter,
    /// How the model counts.
    pub calibration: &'a Calibration,
}

/// Makes the next request, with these layers behind what the agent is, as if this had been said.
#[must_use]
pub fn preview(
    (frame, layers): (&Frame, &Layers),
    transcript: &Transcript,
    message: Option<&str>,
    known: &Known<'_>,
) -> Preview {
    frame.count(known.counter);
    let heard = message.filter(|text| !text.trim().is_empty()).map(|text| heard(text, known.counter));
    let input = heard.as_ref().map(Weight::of).unwrap_or_default();
    let mut transcript = transcript.clone();
    if let Some(entry) = &heard {
        transcript.apply(entry);
    }
    let (request, plan) = assemble_with(frame, layers, &transcript);
    let tokens = known.calibration.estimate(&plan.load);
    let weight = frame.weight();
    let (own, besides) = weight.system.split_at(frame.own.min(weight.system.len()));
    let sum = |blocks: &[Weight]| blocks.iter().map(|block| block.tokens).sum::<u64>();
    let (context, memory) = (sum(besides) + layers.files().tokens, layers.remembered().tokens);
    // The conversation begins with it.
    let checkpoint = transcript.marks().first().filter(|mark| mark.seq == 0).map_or(0, |mark| mark.tokens);
    let messages = plan.load.messages.minus(input).tokens.saturating_sub(checkpoint);
    let counted = [sum(own), weight.tools.tokens, context, memory, checkpoint, messages, input.tokens];
    let [agent, tools, context, memory, checkpoint, messages, input] = shared(tokens, counted);
    let reserve = frame.window.output.max(frame.window.buffer);
    let parts = Parts { agent, tools, context, memory, checkpoint, messages, input, reserve };
    let (total, level) = (parts.total(), plan.room.level(tokens));
    Preview { request, parts, total, tokens, room: plan.room, level }
}

fn heard(text: &str, counter: &dyn Counter) -> Entry {
    let event = Event::MessageReceived(MessageReceived {
        content: text.to_owned(),
        attachments: Vec::new(),
        output_schema: None,
        behavior: Behavior::FollowUp,
        origin: Origin::of(OriginKind::Runtime),
        input: None,
    });
    let (tokens, at) = (added(&event, counter), Timestamp::from_micros(0));
    Entry { seq: Seq::MAX, at, turn: None, step: None, asked: None, tokens, event }
}

/// Shares a sum by weights: each gets its part rounded down, and the largest what is left.
fn shared<const N: usize>(sum: u64, weights: [u64; N]) -> [u64; N] {
    let all: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    let part = |weight: u64| (u128::from(sum) * u128::from(weight)).checked_div(all).unwrap_or(0);
    let mut parts = weights.map(|weight| u64::try_from(part(weight)).unwrap_or(u64::MAX));
    let left = sum.saturating_sub(parts.iter().sum());
    let largest = weights.iter().enumerate().max_by_key(|(_, weight)| **weight).map_or(0, |(at, _)| at);
    if let Some(part) = parts.get_mut(largest) {
        *part += left;
    }
    parts
}

/// Returns the request as a document, for a person to read.
#[must_use]
pub fn shown(request: &Request) -> serde_json::Value {
    let messages: Vec<&crate::content::Message> = request.messages.iter().map(Arc::as_ref).collect();
    serde_json::json!({
        "system": &*request.system,
        "tools": &*request.tools,
        "messages": messages,
        "max_output_tokens": request.max_output_tokens,
        "temperature": request.temperature,
        "output_schema": request.output_schema.as_deref(),
    })
}
