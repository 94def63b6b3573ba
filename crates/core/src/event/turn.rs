//! Events of a turn: its start, a request to stop it, its one ending.

use serde::{Deserialize, Serialize};

use super::session::Origin;
use crate::content::Usage;
use crate::time::Timestamp;

/// What a turn began with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is named for what it is")]
pub enum Trigger {
    Message,
    Wake,
    Signal,
    Schedule,
    Relay,
    Answer,
    Approval,
    #[serde(other)]
    Other,
}

/// Only while no turn runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TurnStarted {
    /// What it began with.
    pub trigger: Trigger,
}

/// While a turn runs. From here no step and no call starts; what runs is ended; then the turn is `interrupted`. Between turns: a loop
/// that waits is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InterruptRequested {
    /// By whom.
    pub by: Origin,
    /// Whether it was one of all that an emergency stop ended: follow-ups then wait until a person speaks or resumes.
    #[serde(default, skip_serializing_if = "is_false")]
    pub stopped: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The model had said all.
    Complete,
    /// A person is asked.
    Ask,
    /// Something is waited for.
    Sleep,
    /// Somebody stopped it.
    Interrupted,
    /// It could not go on; the error says why and what can be done.
    Failed,
}

/// Why a turn failed, and the way on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnError {
    /// Stable; has a page under `docs/errors/`.
    pub code: String,
    /// What happened and what can be done.
    pub message: String,
}

/// Exactly once for each turn, when every call of it is settled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TurnEnded {
    /// How.
    pub ending: Ending,
    /// When it will be woken, for `sleep`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wake_at: Option<Timestamp>,
    /// Why, for `failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<TurnError>,
    /// Tokens of all its steps.
    pub usage: Usage,
    /// What they cost in US dollars, where prices are known: at least this where `usage` has more steps than priced ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
}
