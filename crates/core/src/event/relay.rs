//! Events of a relay: long work as states, of which the agent picks the next one.
//!
//! What its turns, calls, waits and questions do is in their events. A relay adds where it stands: a row for each attempt.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ArtifactRef, Origin};
use crate::id::CallId;
use crate::relay::{Definition, Terminal};

/// Who made a definition: what a person made may run what it says without asking once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RelaySource {
    /// A file of the workspace.
    File,
    /// A body that somebody sent.
    Api,
    /// The session's agent.
    Agent,
}

/// While no relay is under way. It begins with the `relay.state_entered` that comes next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RelayStarted {
    /// Its name.
    pub relay: String,
    /// All of it.
    pub definition: Box<Definition>,
    /// SHA-256 over the definition.
    pub digest: String,
    /// Who made the definition.
    pub source: RelaySource,
    /// Who began it.
    pub by: Origin,
}

/// Why a state is entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// The relay begins with it.
    First,
    /// The agent chose it.
    Agent,
    /// A person chose it.
    Person,
    /// The state before names it.
    Next,
    /// The state before names it, and has failed.
    OnFailure,
    /// It is tried once more, or looked for.
    Again,
}

/// While a relay is under way and no state of it is: an attempt of a state begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RelayStateEntered {
    /// Which.
    pub state: String,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// What it is given, with defaults.
    #[serde(default = "nothing", skip_serializing_if = "is_empty")]
    pub input: Value,
    /// Why.
    pub via: Via,
    /// The call of this attempt, where it makes one or asks a person.
    pub call: CallId,
    /// When a poll or a signal is given up: the one of the first entry, where it did not end since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<crate::time::Timestamp>,
    /// Why a person chose it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Origin>,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateOutcome {
    /// The agent or the script did it.
    Ok,
    /// The poll has found it.
    Found,
    /// The poll has not found it yet.
    NotYet,
    /// The poll could not look.
    Error,
    /// The agent or the script did not do it.
    Failed,
    /// The timer's time has come.
    Due,
    /// The signal has come.
    Signal,
    /// The person has answered.
    Answered,
    /// The deadline has passed.
    Expired,
    /// A person cancelled its wait.
    Cancelled,
    /// Nobody knows, and it is to be done again: a check or a person said so.
    Lost,
    /// It was cut short, and may be done again.
    Interrupted,
    /// It was left for another state.
    Left,
}

/// Once for each `relay.state_entered`, except for an end's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RelayStateEnded {
    /// Which.
    pub state: String,
    /// Which attempt.
    pub attempt: u32,
    /// How.
    pub outcome: StateOutcome,
    /// What it gave: JSON where it is, else text; cut where it is long.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub output: Value,
    /// Why it did not do it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What its command exited with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// The whole of a long output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<ArtifactRef>,
}

/// While a relay is under way, or after its end: from here on this definition holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RelayRedefined {
    /// All of it.
    pub definition: Box<Definition>,
    /// SHA-256 over the definition.
    pub digest: String,
    /// Which version of it, from 2.
    pub version: u32,
    /// Why.
    pub reason: String,
    /// By whom.
    pub by: Origin,
}

/// While a relay is under way; it is no more. The message that tells the person comes next in the same append.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RelayFinished {
    /// How.
    pub outcome: Terminal,
    /// The end that it came to, unless somebody ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who ended it, if somebody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Origin>,
}

/// After a relay's end: it is under way again, and its former outcome stays in the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RelayReopened {
    /// How it had ended.
    pub former: Terminal,
    /// Why.
    pub reason: String,
    /// By whom.
    pub by: Origin,
}

impl StateOutcome {
    /// Returns the word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Found => "found",
            Self::NotYet => "not yet",
            Self::Error => "error",
            Self::Failed => "failed",
            Self::Due => "due",
            Self::Signal => "signal",
            Self::Answered => "answered",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
            Self::Interrupted => "interrupted",
            Self::Left => "left",
        }
    }
}

fn nothing() -> Value {
    Value::Object(serde_json::Map::new())
}

fn is_empty(input: &Value) -> bool {
    input.as_object().is_none_or(serde_json::Map::is_empty)
}
