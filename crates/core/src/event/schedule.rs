//! Events of a schedule: they stand in a journal of its own.

use serde::{Deserialize, Serialize};

use super::{Ending, Origin};
use crate::id::{RunId, ScheduleId, SessionId};
use crate::schedule::Plan;
use crate::time::Timestamp;

/// First event of a schedule's journal, and only there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScheduleCreated {
    /// The schedule's own id, so that a journal found without its folder's name is still whole.
    pub schedule: ScheduleId,
    /// What is to be done when.
    pub plan: Plan,
    /// By whom.
    pub by: Origin,
}

/// At any time. Runs that are not over say and try what they were to. With another rule, what is due counts from here on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScheduleUpdated {
    /// The whole plan as it is now.
    pub plan: Plan,
    /// By whom.
    pub by: Origin,
}

/// At any time. Nothing is due until it is resumed; what is under way goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SchedulePaused {
    /// By whom.
    pub by: Origin,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// While paused. What was due meanwhile is not made up for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScheduleResumed {
    /// By whom.
    pub by: Origin,
}

/// Last event of a schedule's journal. What is under way goes on in its session, and nobody waits for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScheduleRemoved {
    /// By whom.
    pub by: Origin,
}

/// Why something runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunCause {
    /// It was due.
    Due,
    /// Somebody asked for it.
    Asked,
}

/// It is to run once others have: it is accounted for from here on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunQueued {
    /// Its id.
    pub run: RunId,
    /// When it was due, or asked for.
    pub due_at: Timestamp,
    /// Why it runs.
    pub cause: RunCause,
}

/// Before anything is said in its session. While it is not ended, that is said, or said again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunStarted {
    /// Its id.
    pub run: RunId,
    /// When it was due, or asked for.
    pub due_at: Timestamp,
    /// How much later it starts.
    pub lateness_ms: u64,
    /// Where.
    pub session: SessionId,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// Why it runs.
    pub cause: RunCause,
}

/// Once its turn has ended, or could not begin. One that failed is tried again as far as its schedule says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunEnded {
    /// Which.
    pub run: RunId,
    /// Which attempt of it.
    pub attempt: u32,
    /// How, as a turn ends.
    pub outcome: Ending,
    /// Why, if it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Why something that was due does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipCause {
    /// It was missed.
    Overdue,
    /// The run before was not over.
    Overlap,
    /// Too many wait already.
    QueueFull,
}

/// What was due will not run: it is accounted for from here on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSkipped {
    /// When the first of them was due.
    pub due_at: Timestamp,
    /// When the last of them was.
    pub until: Timestamp,
    /// Why.
    pub why: SkipCause,
}
