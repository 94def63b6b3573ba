//! Exports and imports on the wire.

use outlive_core::context::MessageItem;
use serde::{Deserialize, Serialize};

use crate::session::SessionView;

/// The content type of an archive.
pub const ARCHIVE_TYPE: &str = "application/x-tar";

/// `POST /sessions/import`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SessionImported {
    /// The session.
    pub id: String,
    /// Its last event.
    pub head: u64,
    /// What it does now: `running` where a turn was open at the export. It goes on when somebody speaks to the session or
    /// resumes it, or when the server starts next.
    pub status: String,
    /// Whether it was there already, event for event; then nothing was written.
    pub was_there: bool,
    /// The agent that it talks to.
    pub agent: String,
    /// What became of the agent: `made`, `same` (it is here already), `kept` (another one of this name is here, and stays),
    /// `missing` (the archive has no files of it, and there is none here).
    pub agent_was: String,
    /// Artifacts that came along.
    pub artifacts: usize,
}

/// `GET /sessions/{id}/export?format=json`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SessionTranscript {
    /// The session.
    pub session: SessionView,
    /// All that was said, as `GET /sessions/{id}/messages` gives it.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>))]
    pub messages: Vec<MessageItem>,
}
