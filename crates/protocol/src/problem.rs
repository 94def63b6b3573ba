//! Errors on the wire: RFC 9457 `application/problem+json`, with a stable code.

use serde::{Deserialize, Serialize};

/// An error. More members may follow, by code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// `https://outlive.dev/errors/CODE`: names the page under `docs/errors/`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What this code means, always the same words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time, and the way out.
    pub detail: String,
    /// Stable.
    pub code: String,
    /// More, by code.
    #[serde(flatten)]
    pub more: serde_json::Map<String, serde_json::Value>,
}

impl Problem {
    /// The content type of a problem.
    pub const MEDIA_TYPE: &'static str = "application/problem+json";

    /// Makes the problem of a code, with what happened this time.
    #[must_use]
    pub fn new(code: &crate::code::Code, detail: String) -> Self {
        Self {
            kind: format!("https://outlive.dev/errors/{}", code.name),
            title: code.title.to_owned(),
            status: code.status,
            detail,
            code: code.name.to_owned(),
            more: serde_json::Map::new(),
        }
    }
}
