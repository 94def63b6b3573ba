//! What a relay is: a name, a purpose, and states.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::Digest;

/// A relay that can be run: [`super::validate`] made it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// Its name: of a file, the file's.
    pub name: String,
    /// What it is for: the agent reads it whenever it chooses.
    pub prompt: String,
    /// The state that it begins with.
    pub first: String,
    /// How often states may be entered, all together.
    pub guard: Guard,
    /// The states, in the author's order.
    pub states: Vec<StateSpec>,
}

/// One state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StateSpec {
    /// Its name.
    pub name: String,
    /// What it is for, in words for whoever chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it must be given: a JSON Schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_schema: Option<Value>,
    /// The state after it, where the agent is not to choose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The state after it has failed for good, where the agent is not to choose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<String>,
    /// How often it is tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// How often it may be entered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<Guard>,
    /// What is done in it.
    #[serde(flatten)]
    pub work: Work,
}

/// What is done in a state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Work {
    /// The agent works on it for a turn.
    Agent(AgentWork),
    /// A command runs once.
    Script(ScriptWork),
    /// A command looks again and again.
    Poll(PollWork),
    /// A time is waited for.
    Timer(TimerWork),
    /// A signal is waited for.
    Signal(SignalWork),
    /// A person is asked.
    Park(ParkWork),
    /// The relay ends.
    Terminal(TerminalWork),
}

/// The agent works.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentWork {
    /// What it is told.
    pub prompt: String,
    /// Skills that it has read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skills: Vec<String>,
    /// The model that it asks instead of its own, as `provider/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The folder that it works in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Whether it sees the conversation so far.
    #[serde(default = "yes", skip_serializing_if = "bool::clone")]
    pub fork_context: bool,
}

fn yes() -> bool {
    true
}

/// A command as words, or as a line for a shell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Command {
    /// A line for bash. Values reach it as variables.
    Shell(String),
    /// A program and its arguments, each as it is to arrive.
    Argv(Vec<String>),
}

/// What running a script does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScriptEffect {
    /// It only reads.
    Read,
    /// Once more, it does no more.
    Idempotent,
    /// It must not be run twice without somebody's word.
    #[default]
    Effectful,
}

/// A script.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScriptWork {
    /// What is run.
    #[serde(flatten)]
    pub run: Run,
    /// Time that it has.
    pub timeout: Span,
    /// Exit codes that mean success.
    pub success_codes: Vec<i64>,
    /// What running it does.
    pub effect: ScriptEffect,
    /// Says by exit code 0 that the work is done already, and by 1 that it is not: asked where nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Command>,
}

/// A command with what it is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The command.
    pub command: Command,
    /// Variables.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub env: std::collections::BTreeMap<String, String>,
    /// Where it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
}

/// A command that looks: exit code 0 has found it, 1 has not yet, any other is an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PollWork {
    /// What is run.
    #[serde(flatten)]
    pub run: Run,
    /// Time between two looks.
    pub interval: Span,
    /// Time that a look has.
    pub attempt_timeout: Span,
    /// When it is given up, from the first look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Span>,
    /// Errors in a row that are borne.
    pub error_budget: u32,
}

/// A time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimerWork {
    /// Then: a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// So long from now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Span>,
    /// The offset from UTC that `at` is in, where it names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

/// A signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignalWork {
    /// Its name.
    pub signal: String,
    /// What its payload must hold.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub fits: Option<Value>,
    /// When it is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Span>,
}

/// A question to a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParkWork {
    /// What is asked.
    pub question: String,
    /// What can be chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

/// An end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TerminalWork {
    /// Which.
    pub outcome: Terminal,
    /// Why, for the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How a relay ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Terminal {
    /// It did what it was for.
    Completed,
    /// It did not.
    Failed,
    /// Somebody ended it.
    Cancelled,
}

/// How often a state is tried that fails.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Retry {
    /// How often in all.
    pub attempts: u32,
    /// Pause before the second one; it doubles with each.
    pub backoff: Span,
    /// The longest pause.
    pub longest: Span,
    /// By how much of itself a pause is longer at most, by chance.
    pub jitter: f64,
    /// Exit codes after which it is not tried again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub final_codes: Vec<i64>,
}

/// How often something may be entered, and within which time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    /// How often.
    pub entries: u32,
    /// Within which time.
    pub within: Span,
}

/// A length of time in milliseconds, written as `500ms`, `90s`, `10m`, `1h`, `2d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub u64);

impl Definition {
    /// Returns a state.
    #[must_use]
    pub fn state(&self, name: &str) -> Option<&StateSpec> {
        self.states.iter().find(|state| state.name == name)
    }

    /// Writes it as a file has it.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        // Texts, numbers and JSON values always serialize.
        serde_saphyr::to_string(self).unwrap_or_default()
    }

    /// Returns the SHA-256 over its canonical JSON.
    #[must_use]
    pub fn digest(&self) -> Digest {
        // Texts, numbers and JSON values always serialize.
        Digest::of(serde_json::to_string(self).unwrap_or_default().as_bytes())
    }
}

impl StateSpec {
    /// Returns what names its kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.work {
            Work::Agent(_) => "agent",
            Work::Script(_) => "script",
            Work::Poll(_) => "poll",
            Work::Timer(_) => "timer",
            Work::Signal(_) => "signal",
            Work::Park(_) => "park",
            Work::Terminal(_) => "terminal",
        }
    }

    /// Returns what its command is given, if it runs one.
    #[must_use]
    pub fn run(&self) -> Option<(&Run, Span)> {
        match &self.work {
            Work::Script(script) => Some((&script.run, script.timeout)),
            Work::Poll(poll) => Some((&poll.run, poll.attempt_timeout)),
            Work::Agent(_) | Work::Timer(_) | Work::Signal(_) | Work::Park(_) | Work::Terminal(_) => None,
        }
    }

    /// Returns how long it may last from its first entry on.
    #[must_use]
    pub fn deadline(&self) -> Option<Span> {
        match &self.work {
            Work::Poll(poll) => poll.deadline,
            Work::Signal(signal) => signal.deadline,
            Work::Agent(_) | Work::Script(_) | Work::Timer(_) | Work::Park(_) | Work::Terminal(_) => None,
        }
    }
}

impl Terminal {
    /// Returns the word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Retry {
    /// Returns the pause after so many failures; `chance` is any number.
    #[must_use]
    pub fn pause_ms(&self, failures: u32, chance: u128) -> u64 {
        let doubled = self.backoff.0.saturating_mul(1 << failures.saturating_sub(1).min(30));
        let pause = doubled.min(self.longest.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "jitter is from 0 to 1")]
        let most = (self.jitter.clamp(0.0, 1.0) * 1_000.0) as u64;
        let share = u64::try_from(chance % 1_001).unwrap_or(0) * most / 1_000;
        pause.saturating_add(pause / 1_000 * share).min(self.longest.0.max(pause))
    }
}

impl Span {
    /// Reads `500ms`, `90s`, `10m`, `1h`, `2d`; at least a millisecond.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        crate::time::milliseconds(text).map(Self)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
        match units.into_iter().find(|(scale, _)| self.0 > 0 && self.0.is_multiple_of(*scale)) {
            Some((scale, unit)) => write!(f, "{}{unit}", self.0 / scale),
            None => write!(f, "{}ms", self.0),
        }
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not a time such as 90s, 10m, 1h")))
    }
}
