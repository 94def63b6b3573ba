//! Exports and imports on the wire.

use serde::{Deserialize, Serialize};

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
