//! What can be asked about waits, and the signals that end them.

use serde::Serialize;
use serde_json::Value;

use crate::event::{Awaited, Origin, Overdue};
use crate::id::WaitId;
use crate::time::Timestamp;

/// A wait is to be armed, or to end otherwise than by itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitCommand {
    /// Wait for this.
    Arm(NewWait),
    /// End it as if its time had come.
    Fire(WaitId),
    /// Let it end at another time.
    Move(WaitId, Until),
    /// End it, and begin nothing.
    Cancel(WaitId),
}

impl WaitCommand {
    /// Returns the wait that it is about, if there is one already.
    #[must_use]
    pub fn wait(&self) -> Option<WaitId> {
        match self {
            Self::Arm(_) => None,
            Self::Fire(wait) | Self::Move(wait, _) | Self::Cancel(wait) => Some(*wait),
        }
    }
}

/// A wait that is to be armed: until a time, or for a signal and no longer than until a time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NewWait {
    /// Until when.
    pub until: Option<Until>,
    /// For which signal.
    pub signal: Option<Awaited>,
    /// What becomes of it when it is late.
    pub overdue: Overdue,
    /// What it is for.
    pub reason: String,
}

/// A time, by the clock or from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// Then.
    At(Timestamp),
    /// So many milliseconds from now.
    In(u64),
}

impl Until {
    /// Returns the time that it means now.
    #[must_use]
    pub fn after(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::In(ms) => now.plus_ms(ms),
        }
    }
}

/// A signal.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NewSignal {
    /// Its name.
    pub name: String,
    /// What it brings.
    pub payload: Value,
    /// Where it comes from.
    pub origin: Origin,
}
