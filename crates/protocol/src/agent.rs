//! Agents on the wire.

use serde::{Deserialize, Serialize};

/// `GET /agents/{name}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AgentView {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Its version, in its author's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// `provider/name` of the model that it asks.
    pub model: String,
    /// Those that stand in for it, best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallback: Vec<String>,
    /// SHA-256 of its files.
    pub digest: String,
    /// The tools on offer.
    pub tools: Vec<String>,
    /// The skills that it is told of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skills: Vec<String>,
    /// The folder that its tools work in.
    #[serde(default)]
    pub works_in: String,
    /// What its files ask for that this version does not have.
    pub warnings: Vec<String>,
    /// What is wrong with it; then nothing else is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
