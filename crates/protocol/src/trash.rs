//! What was deleted, on the wire.

use outlive_core::event::Origin;
use outlive_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::session::SessionRow;

/// A session in the trash, in `GET /trash`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TrashRow {
    /// What the list showed of it.
    #[serde(flatten)]
    pub row: SessionRow,
    /// When it was deleted.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub deleted_at: Timestamp,
    /// By whom: `{kind, sender?}`.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub deleted_by: Origin,
}

/// The answer to `DELETE /trash`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Emptied {
    /// Sessions that were erased.
    pub erased: usize,
}
