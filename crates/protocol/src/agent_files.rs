//! Agents' files on the wire: read, written, kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `GET /agents/{name}/files`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AgentFiles {
    /// Its name.
    pub name: String,
    /// SHA-256 of these files: the `ETag`.
    pub digest: String,
    /// Path in the agent's folder → text.
    pub files: BTreeMap<String, String>,
    /// Paths of its files that are no text: a `PUT` leaves them as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub binary: Vec<String>,
}

/// `PUT /agents/{name}`: one of the two.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WriteAgent {
    /// All its text files, as they are to be: path → text. What is not named goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<BTreeMap<String, String>>,
    /// Or the digest of a version that is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// An agent was written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AgentWritten {
    /// Its name.
    pub name: String,
    /// SHA-256 of its files: the new `ETag`.
    pub digest: String,
    /// What its files ask for that this version does not have.
    pub warnings: Vec<String>,
}

/// A version that is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AgentVersion {
    /// SHA-256 of its files.
    pub digest: String,
    /// When something else took its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_at: Option<String>,
}
