//! The life of one tool call: asked, ruled on, running, settled.
//!
//! Invariant: a call that must not be repeated starts at most once. If the process dies before it finishes, it is lost,
//! and the model is told so.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::{Effect, OnLost, Question};
use crate::id::{CallId, QuestionId, Seq};
use crate::policy::Ruled;

/// One request of the model to act.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Its id.
    pub id: CallId,
    /// The tool.
    pub tool: String,
    /// What it is given.
    #[serde(with = "json_text")]
    pub input: Value,
    /// The raw arguments, when they were no JSON object.
    pub malformed: Option<String>,
    /// Where it is.
    pub phase: Phase,
    /// What running it does; known once it was ruled on.
    pub effect: Effect,
    /// What becomes of it when its outcome is unknown.
    pub on_lost: OnLost,
    /// Where it led when it was ruled on, if that is a path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ruled: Option<Ruled>,
    /// Attempts so far.
    pub attempt: u32,
    /// Process deaths while it ran.
    pub deaths: u32,
    /// Whether it was running at too many deaths.
    pub fate: Fate,
    /// What it asks a person while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inquiry: Option<Inquiry>,
}

/// What a running call asks a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inquiry {
    /// Its id.
    pub question: QuestionId,
    /// What is asked.
    pub questions: Vec<Question>,
}

/// Where a call is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// To be ruled on.
    Asked,
    /// A person is to decide.
    Awaiting {
        /// Exactly what will run.
        summary: String,
        /// The rule that an `always` would store.
        rule: String,
        /// The parts of it that must be asked about, each with the reason.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        because: Vec<String>,
        /// The event that asked: a later attempt is asked about anew.
        #[serde(default)]
        seq: Seq,
    },
    /// It asks a person, and has its result once the person answers.
    Asking(Vec<Question>),
    /// It may start.
    Cleared,
    /// It was started. Not held by this process means that the one that ran it is gone.
    Running,
    /// It has its result.
    Settled,
}

/// Whether a call was running at too many process deaths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// No: its effect's rule holds.
    #[default]
    Open,
    /// Yes: the session is parked for it.
    Parked,
    /// Yes, and a person resumed the session: it is lost.
    GivenUp,
}

impl Call {
    /// Begins.
    #[must_use]
    pub fn asked(id: CallId, tool: String, input: Value, malformed: Option<String>) -> Self {
        Self {
            id,
            tool,
            input,
            malformed,
            phase: Phase::Asked,
            effect: Effect::Effectful,
            on_lost: OnLost::Report,
            ruled: None,
            attempt: 0,
            deaths: 0,
            fate: Fate::Open,
            inquiry: None,
        }
    }

    /// Returns the key that every attempt of this call carries.
    #[must_use]
    pub fn key(&self) -> String {
        self.id.to_string()
    }

    /// Says whether it may run beside others that say the same.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.effect == Effect::Read
    }
}

/// Arguments as JSON text inside a YAML snapshot: YAML has other ideas of what `no` is.
mod json_text {
    use serde::{Deserialize as _, Deserializer, Serializer};
    use serde_json::Value;

    pub(super) fn serialize<S: Serializer>(value: &Value, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&value.to_string())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        let text = String::deserialize(deserializer)?;
        serde_json::from_str(&text).map_err(serde::de::Error::custom)
    }
}
