//! Messages on the wire.

use outlive_core::content::Usage;
use outlive_core::context::MessageItem;
use outlive_core::event::{Behavior, Ending, TurnError};
use outlive_core::id::TurnId;
use serde::{Deserialize, Serialize};

/// `POST /sessions/{id}/messages`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PostMessage {
    /// The text: up to 1 MiB.
    pub content: String,
    /// What it does to a running turn: `follow_up` (runs after it) or `steer` (reaches it before its next step).
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub behavior: Behavior,
    /// The same id is accepted once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// 202: the message is durable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MessageAccepted {
    /// Its event.
    pub seq: u64,
    /// The turn that it starts, steers, or will start.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub turn_id: Option<TurnId>,
    /// The client's name for it.
    pub request_id: Option<String>,
    /// Whether the same request was answered before: this is that answer.
    pub duplicate: bool,
}

/// 200 with `?wait`: the turn has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TurnResult {
    /// Which.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub turn_id: TurnId,
    /// `complete`, `ask`, `sleep`, `interrupted` or `failed`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub ending: Ending,
    /// The last thing that the agent said.
    pub message: String,
    /// Tokens of all its steps.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub usage: Usage,
    /// Why, if it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub error: Option<TurnError>,
    /// The event of the message.
    pub seq: u64,
    /// The client's name for the message.
    pub request_id: Option<String>,
    /// Whether the same request was answered before.
    pub duplicate: bool,
}

/// `GET /sessions/{id}/messages`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Messages {
    /// The transcript: `{seq, at, role, content, tool_calls?, …}`.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>))]
    pub items: Vec<MessageItem>,
    /// Ask with this `cursor` for the next page; null on the last.
    #[serde(default)]
    pub next_cursor: Option<String>,
    /// To a page that was asked for with `before`: ask with this `before` for the page before it; absent on the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<u64>,
}
