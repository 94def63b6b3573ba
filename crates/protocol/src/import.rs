//! Bodies of the import of other programs' conversations.

use outlive_core::import::Talk;
use serde::{Deserialize, Serialize};

/// `POST /imports`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImportTalk {
    /// The agent that goes on with it.
    pub agent: String,
    /// The conversation: `{source: {program, id, digest}, created_at, title?, cwd?, kept?: {goal?, next_step?, add: [{section, text}]}, turns: [{at, said?, steps: [{at, model?,
    /// usage?, parts: [{type: text or thinking, text} or {type: call, tool, arguments, result?: {at, outcome,
    /// content}}]}]}]}`. Times are RFC 3339.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub talk: Talk,
    /// The same id acts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// What became of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImportedTalk {
    /// Its session: the same for the same source and digest.
    pub id: String,
    /// Whether the session was there already; then nothing was changed.
    pub already: bool,
    /// The session's head.
    pub head: u64,
}
