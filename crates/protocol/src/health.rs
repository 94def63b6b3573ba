//! Health checks on the wire.

use serde::{Deserialize, Serialize};

/// `GET /livez`, `GET /readyz`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Health {
    /// `ok`, or `closing` while it shuts down.
    pub status: String,
}

/// `GET /version`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Version {
    /// `outlive`
    pub name: String,
    /// Its version.
    pub version: String,
}
