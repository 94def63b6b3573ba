//! Bodies of the search over what was said.

use outlive_core::context::MessageRole;
use outlive_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A message that has what was looked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SearchHit {
    /// Its session.
    pub session_id: String,
    /// That session's title, or how its first message begins.
    pub title: Option<String>,
    /// That session's agent.
    pub agent: String,
    /// The event it comes from.
    pub seq: u64,
    /// When it was said.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub at: Timestamp,
    /// By whom: `user`, `assistant` or `tool`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub role: MessageRole,
    /// The piece of its text around what was found, fit for a page: `<mark>` and `</mark>` stand around each hit, and `&`,
    /// `<` and `>` of the text are entities.
    pub snippet: String,
}

/// `GET /search`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SearchPage {
    /// Best first; of those that are alike the newest first.
    pub items: Vec<SearchHit>,
    /// Ask with this `cursor` for the next page; null on the last.
    #[serde(default)]
    pub next_cursor: Option<String>,
    /// Sessions whose newest messages could not be looked through yet; 0 but after an index was lost.
    pub behind: usize,
}

/// How far the search has followed the journals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Indexed {
    /// Sessions that can be looked through.
    pub sessions: usize,
    /// Sessions whose newest messages cannot be looked through yet.
    pub behind: usize,
}
