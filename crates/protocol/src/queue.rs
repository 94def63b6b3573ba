//! The queue of follow-ups, on the wire.

use outlive_core::event::Origin;
use outlive_core::id::{InputId, TurnId};
use outlive_core::media::Attachment;
use serde::{Deserialize, Serialize};

/// `GET /sessions/{id}/queue`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QueueView {
    /// Oldest first.
    pub items: Vec<QueuedView>,
}

/// One follow-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QueuedView {
    /// Its id.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: InputId,
    /// What was said.
    pub content: String,
    /// Files that came with it; an edit of the text leaves them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>))]
    pub attachments: Vec<Attachment>,
    /// Where it came from.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub origin: Origin,
    /// The turn that it will start.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub turn_id: TurnId,
}

/// `PUT /sessions/{id}/queue`: those not named are removed, those with another text are edited, those without an id are new.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PutQueue {
    /// What stays, and what is new.
    pub items: Vec<PutQueued>,
    /// The same id acts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// One follow-up of a [`PutQueue`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PutQueued {
    /// Which; absent for a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub id: Option<InputId>,
    /// Its text.
    pub content: String,
}
