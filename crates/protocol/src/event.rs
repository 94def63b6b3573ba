//! Events on the wire: the journal's own lines.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// `GET /sessions/{id}/events`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Events {
    /// The journal's lines, byte for byte.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>))]
    pub items: Vec<Box<RawValue>>,
    /// Seq of the last event there is.
    pub head: u64,
}

/// Name of the SSE events that carry a journal line; their id is its seq.
pub const SSE_EVENT: &str = "event";
/// Name of the SSE events that carry a fragment of what runs; they have no id and may be lost.
pub const SSE_DELTA: &str = "delta";
/// Name of the one SSE event that says that the journal has been replayed and what follows is live.
pub const SSE_LIVE: &str = "live";
