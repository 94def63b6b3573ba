//! The next request of a session on the wire.

use outlive_core::context::Room;
use outlive_core::context::preview::{self, Preview};
use outlive_core::session::Filled;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `GET /sessions/{id}/context`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ContextView {
    /// The model that would be asked, as `provider/name`.
    pub model: String,
    /// Tokens of each part, in the order in which they are sent. They sum to `total`.
    pub parts: Vec<ContextPart>,
    /// Tokens of all parts, with what is kept free for the reply.
    pub total: u64,
    /// Tokens of the request.
    pub tokens: u64,
    /// Tokens that a request may have.
    pub usable: u64,
    /// How much of that it has.
    pub percent: u64,
    /// `ok`, `warn` or `hard`.
    pub level: String,
    /// From where on something is done about it.
    pub thresholds: Thresholds,
    /// Exactly what would be sent: system prompt, tools, messages.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub request: Value,
}

/// One part of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ContextPart {
    /// `agent`, `tools`, `context`, `memory`, `checkpoint`, `messages`, `input` or `reserve`.
    pub name: String,
    /// Its tokens.
    pub tokens: u64,
}

/// From where on something is done about the size of a request, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Thresholds {
    /// People are warned.
    pub warn: u64,
    /// Something is done beside the turn.
    pub soft: u64,
    /// A request waits for it.
    pub hard: u64,
}

impl Thresholds {
    pub(crate) fn of(room: Room) -> Self {
        Self { warn: room.warn, soft: room.soft, hard: room.hard }
    }

    pub(crate) fn room(&self, usable: u64) -> Room {
        Room { usable, warn: self.warn, soft: self.soft, hard: self.hard }
    }
}

impl ContextView {
    /// Returns how full the window would be.
    #[must_use]
    pub fn filled(&self) -> Filled {
        Filled { tokens: self.tokens, room: self.thresholds.room(self.usable) }
    }

    /// Shows a preview.
    #[must_use]
    pub fn of(model: String, preview: &Preview) -> Self {
        let room = preview.room;
        let part = |(name, tokens): &(&str, u64)| ContextPart { name: (*name).to_owned(), tokens: *tokens };
        Self {
            model,
            parts: preview.parts.named().iter().map(part).collect(),
            total: preview.total,
            tokens: preview.tokens,
            usable: room.usable,
            percent: room.percent(preview.tokens),
            level: preview.level.as_str().to_owned(),
            thresholds: Thresholds::of(room),
            request: preview::shown(&preview.request),
        }
    }
}
