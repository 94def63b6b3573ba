//! The audit log on the wire.

use std::collections::BTreeMap;

use outlive_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// An entry, in `GET /audit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditRow {
    /// Its position: 1, 2, 3 … without gaps.
    pub seq: u64,
    /// When.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub at: Timestamp,
    /// By whom: a token's name, `agent:NAME`, `local` or `nobody`.
    pub who: String,
    /// In whose name, as far as whoever asked said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// From which address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What: `approve`, `deny`, `message`, `session.read`, `call.denied` …
    pub what: String,
    /// On which things: their kinds and ids.
    #[serde(default)]
    pub on: BTreeMap<String, String>,
    /// `ok`, or the code of why not.
    pub outcome: String,
    /// The hash of the entry before.
    pub prev: String,
    /// SHA-256 of the entry's line up to and without it.
    pub hash: String,
}
