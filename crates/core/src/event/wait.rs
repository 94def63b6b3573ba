//! Events of waits and signals: what begins a turn by itself, later.
//!
//! A wait ends once, by the first of its due time, a signal that fits, its deadline, and a person. The end stands in one
//! append with what it begins.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::session::Origin;
use crate::id::{CallId, Seq, WaitId};
use crate::time::Timestamp;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitKind {
    /// A time.
    Timer,
    /// A signal.
    Signal,
}

/// A signal that is waited for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Awaited {
    /// Its name.
    pub name: String,
    /// What its payload must hold: an object's keys each, anything else as a whole.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub fits: Option<Value>,
}

/// What becomes of a wait that is found to be over late: the server was down, or the machine slept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overdue {
    /// It ends as if it were in time.
    #[default]
    Fire,
    /// The same; of several that were missed, one.
    FireOnce,
    /// It expires, and nothing begins.
    Skip,
    /// It expires where it is later than this, in milliseconds, and nothing begins.
    #[serde(rename = "expire_after_ms")]
    ExpireAfter(u64),
}

/// Whose wait it is: what begins with its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitOwner {
    /// The agent's: it is told.
    Agent,
    /// A person's: the agent is told.
    Person,
    /// The relay's: it goes on.
    Relay,
}

/// What ends a wait.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WaitTerms {
    /// What is waited for.
    pub kind: WaitKind,
    /// When it is over, for a timer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// The signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<Awaited>,
    /// When the signal is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// What becomes of it when it is late.
    pub overdue: Overdue,
    /// What it is for.
    pub reason: String,
}

impl WaitTerms {
    /// Returns when the clock ends it, if it does.
    #[must_use]
    pub fn over_at(&self) -> Option<Timestamp> {
        self.due_at.or(self.deadline)
    }
}

/// At any time. Its end follows from its terms, or from a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WaitArmed {
    /// Its id.
    pub wait: WaitId,
    /// What ends it.
    #[serde(flatten)]
    pub terms: WaitTerms,
    /// Whose it is.
    pub owner: WaitOwner,
    /// The call that armed it, for an agent's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallId>,
    /// Who armed it, for a person's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Origin>,
}

/// While it is armed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WaitMoved {
    /// Which.
    pub wait: WaitId,
    /// When the clock ends it now: its due time, or a signal's deadline.
    pub over_at: Timestamp,
    /// By whom.
    pub by: Origin,
}

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitReason {
    /// Its time had come, or a person said so.
    Due,
    /// The signal came.
    Signal,
    /// A person cancelled it, or what it was for is over.
    Cancelled,
    /// The signal did not come in time, or a person gave up what a relay waits for, or its due time was missed.
    Expired,
}

impl WaitReason {
    /// Returns the word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Signal => "signal",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }
}

/// While it is armed; it is no more. What it begins comes next in the same append.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WaitEnded {
    /// Which.
    pub wait: WaitId,
    /// By what.
    pub reason: WaitReason,
    /// How long after its time it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lateness_ms: Option<u64>,
    /// The event of the signal that ended it: consumed, it ends no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<Seq>,
    /// The person who ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Origin>,
}

/// At any time. It ends the first wait that it fits, now or later, and is consumed with that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignalReceived {
    /// Its name.
    pub name: String,
    /// What it brings.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub payload: Value,
    /// Where it came from.
    pub origin: Origin,
}
