//! Messages on the wire.

use std::sync::Arc;

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
    /// The text: up to 1 MiB. None is needed beside attachments.
    #[serde(default)]
    pub content: String,
    /// Files that come with it: up to 20, each kept before with `POST /artifacts`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<PostAttachment>,
    /// A JSON Schema that the turn's final answer must fit: an object of up to 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub output_schema: Option<Arc<serde_json::Value>>,
    /// What it does to a running turn: `follow_up` (runs after it) or `steer` (reaches it before its next step).
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub behavior: Behavior,
    /// The same id is accepted once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// One file of a message.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PostAttachment {
    /// What `POST /artifacts` answered: 64 lowercase hex digits.
    pub hash: String,
    /// Its type.
    pub media_type: String,
    /// Its name, for people and the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// 201: the bytes are durable. The same bytes give the same answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ArtifactKept {
    /// Their SHA-256.
    pub hash: String,
    /// How many.
    pub bytes: u64,
    /// What they were sent as.
    pub media_type: String,
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
    /// What they cost in US dollars, where it is known: at least this where `usage` has more steps than priced ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
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
