//! What a restart found and did.

use serde::{Deserialize, Serialize};

use crate::id::CallId;
use crate::time::Timestamp;

/// First event after a process died in the middle of something, before what is done about it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RecoveryNoted {
    /// When the journal's last event before the gap was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_event_at: Option<Timestamp>,
    /// Bytes of a torn tail that were cut: never acknowledged.
    #[serde(default)]
    pub cut_bytes: u64,
    /// Calls whose outcome will never be known.
    #[serde(default)]
    pub calls_lost: Vec<CallId>,
    /// Calls that run again, are checked or are found again, as their effect allows.
    #[serde(default)]
    pub calls_resumed: Vec<CallId>,
    /// Whether a model request is asked again.
    #[serde(default)]
    pub step_asked_again: bool,
    /// The call for which the session was parked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parked_for: Option<CallId>,
    /// All of it in one line, for a person.
    pub summary: String,
}
