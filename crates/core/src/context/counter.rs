//! How many tokens a text has, and how many an event adds to the conversation.
//!
//! Invariant: an event is counted once, when it is written; its line keeps the number, and whoever reads it adds up.

use crate::content::Block;
use crate::event::{Entry, Event};

use super::transcript::weight;

/// Counts tokens as one vocabulary has them, whichever model is asked: what a model makes of them is learned apart.
pub trait Counter: Send + Sync {
    /// Returns how many tokens a text has.
    fn count(&self, text: &str) -> u32;

    /// Says whether its counts may stand in a journal: a rough one is made again whenever it is needed.
    fn is_exact(&self) -> bool {
        true
    }

    /// Says whether it will count exactly soon, though not yet.
    fn is_coming(&self) -> bool {
        false
    }
}

/// Four bytes a token: for tests, and as long as no vocabulary is loaded.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rough;

impl Counter for Rough {
    fn count(&self, text: &str) -> u32 {
        u32::try_from(text.len().div_ceil(4)).unwrap_or(u32::MAX)
    }

    fn is_exact(&self) -> bool {
        false
    }
}

/// What a part of a request weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Weight {
    /// Tokens, as the counter for all models counts them.
    pub tokens: u64,
    /// Pieces: each has a little around it that a provider counts, too.
    pub pieces: u64,
    /// Those of the tokens that are reasoning, which goes back to the model whose it is and to no other.
    pub reasoning: u64,
}

impl Weight {
    /// Returns the weight of a text.
    #[must_use]
    pub fn of_text(text: &str, counter: &dyn Counter) -> Self {
        Self { tokens: u64::from(counter.count(text)), pieces: u64::from(!text.is_empty()), reasoning: 0 }
    }

    /// Returns what an event adds to the conversation: as its line says, else roughly.
    #[must_use]
    pub fn of(entry: &Entry) -> Self {
        let Some(pieces) = pieces(&entry.event) else { return Self::default() };
        let rough = pieces.iter().map(|piece| u64::from(piece.count(&Rough))).sum::<u64>();
        let tokens = entry.tokens.map_or(rough, u64::from);
        let reasoned = pieces.iter().filter(|piece| piece.is_reasoning()).map(|piece| u64::from(piece.count(&Rough)));
        let reasoning = (tokens * reasoned.sum::<u64>()).checked_div(rough).unwrap_or(0);
        Self { tokens, pieces: pieces.len() as u64, reasoning }
    }

    /// Returns both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_add(other.tokens),
            pieces: self.pieces.saturating_add(other.pieces),
            reasoning: self.reasoning.saturating_add(other.reasoning),
        }
    }

    /// Returns what is left of it without another.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_sub(other.tokens),
            pieces: self.pieces.saturating_sub(other.pieces),
            reasoning: self.reasoning.saturating_sub(other.reasoning),
        }
    }
}

/// Counts what an event adds to the conversation; `None` for one that adds nothing.
#[must_use]
pub fn added(event: &Event, counter: &dyn Counter) -> Option<u32> {
    let pieces = pieces(event)?;
    Some(pieces.iter().fold(0_u32, |sum, piece| sum.saturating_add(piece.count(counter))))
}

/// One piece of what an event adds.
enum Piece<'a> {
    Text(&'a str),
    Reasoning(&'a str),
    /// A text that is made of the event.
    Made(String),
    /// The name and the arguments of a call.
    Use(&'a str, String),
    /// So many tokens, whoever counts.
    Weighed(u32),
}

impl Piece<'_> {
    fn count(&self, counter: &dyn Counter) -> u32 {
        match self {
            Self::Text(text) | Self::Reasoning(text) => counter.count(text),
            Self::Made(text) => counter.count(text),
            Self::Use(name, input) => counter.count(name).saturating_add(counter.count(input)),
            Self::Weighed(tokens) => *tokens,
        }
    }

    fn is_reasoning(&self) -> bool {
        match self {
            Self::Reasoning(_) => true,
            Self::Text(_) | Self::Made(_) | Self::Use(..) | Self::Weighed(_) => false,
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a new event adds nothing until the transcript gives it a voice")]
fn pieces(event: &Event) -> Option<Vec<Piece<'_>>> {
    match event {
        Event::MessageReceived(message) => {
            let quarter = |bytes: u64| u32::try_from(bytes / 4).unwrap_or(u32::MAX);
            let files = message.attachments.iter().map(|file| Piece::Weighed(quarter(weight(file))));
            Some(files.chain([Piece::Text(&message.content)]).collect())
        }
        Event::StepFinished(finished) => Some(finished.content.iter().filter_map(piece).collect()),
        Event::CallFinished(finished) => Some(vec![Piece::Text(&finished.content)]),
        Event::CheckpointCreated(created) => Some(vec![Piece::Made(created.shown())]),
        Event::CallDenied(denied) => Some(vec![Piece::Text(&denied.content)]),
        Event::CallLost(lost) => Some(vec![Piece::Text(&lost.known)]),
        Event::QuestionAnswered(answered) if answered.attempt.is_none() => Some(vec![Piece::Text(&answered.content)]),
        _silent => None,
    }
}

/// Reasoning without a seal is not sent back.
fn piece(block: &Block) -> Option<Piece<'_>> {
    match block {
        Block::Text { text } => Some(Piece::Text(text)),
        Block::Thinking { thinking, signature } => signature.as_ref().map(|_seal| Piece::Reasoning(thinking)),
        Block::RedactedThinking { data } => Some(Piece::Reasoning(data)),
        Block::ToolUse { name, input, .. } => Some(Piece::Use(name, input.to_string())),
        Block::ToolResult { .. } | Block::Media(_) => None,
    }
}
