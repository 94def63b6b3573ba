//! Where a relay stands: a fold of its session's events.
//!
//! What comes next is derived from it ([`Stage`]) and owed like everything else, so that a crash anywhere goes on with the same
//! attempt. The agent's decision is an event: reading it again asks no model.

mod answer;
pub(crate) mod fold;
mod values;
pub(crate) mod words;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::definition::{AgentWork, Definition, StateSpec, Terminal, Work};
use crate::compaction::{Open, Section};
use crate::event::{ArtifactRef, Origin, Question, RelaySource, StateOutcome, Via};
use crate::id::{CallId, QuestionId, Seq, TurnId, WaitId};
use crate::session::question_of;
use crate::time::Timestamp;

/// A relay in a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Relay {
    /// What it is now.
    pub definition: Definition,
    /// Which version of its definition that is, from 1.
    pub version: u32,
    /// Who made it.
    pub source: RelaySource,
    /// Who began it.
    pub by: Origin,
    /// The state that it is in, or was in last.
    pub at: Entered,
    /// What comes next.
    pub stage: Stage,
    /// The turn in which the agent is to choose, while it runs.
    pub router: Option<TurnId>,
    /// What states that ended have left, by their names.
    pub past: BTreeMap<String, Past>,
    /// When states were entered, newest last: what guards count.
    pub entries: Vec<(Timestamp, String)>,
    /// The newest attempts.
    pub path: Vec<Trace>,
    /// Attempts in all.
    pub attempts: u64,
    /// How it ended last.
    pub outcome: Option<Terminal>,
}

/// A state that was entered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entered {
    /// Which.
    pub state: String,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// Attempts that failed, or looks in a row that could not be taken.
    pub failures: u32,
    /// What it is given.
    pub input: Value,
    /// The same for all its attempts.
    pub key: CallId,
    /// The call of this attempt.
    pub call: CallId,
    /// When it is given up.
    pub deadline: Option<Timestamp>,
    /// The first event that the agent sees of the conversation, where it sees nothing from before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Seq>,
}

/// What a state has left that ended.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Past {
    /// What it gave.
    pub output: Value,
    /// Why it did not do it.
    pub error: Option<String>,
    /// When it is to be given up if it is entered again: it did not come to its end.
    pub deadline: Option<Timestamp>,
    /// Whether nobody knows what its last attempt did: it is entered again on a person's word only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unknown: bool,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// Of which state.
    pub state: String,
    /// Which, from 1.
    pub attempt: u32,
    /// When it began.
    pub at: Timestamp,
    /// How it ended.
    pub outcome: Option<StateOutcome>,
}

/// What comes next in a relay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The state's work is to begin.
    Entered,
    /// A turn does it.
    Working {
        /// Where that turn is.
        turn: Begun,
        /// What the agent said last.
        said: String,
    },
    /// Nobody knows what became of a script: its check is to say.
    Checking {
        /// Whether it runs.
        asked: bool,
    },
    /// A pause before the state is tried again is to be armed.
    Pausing(Timestamp),
    /// A wait is armed.
    Waiting {
        /// Which.
        wait: WaitId,
        /// Whether the state is tried again at its end; else the state ends with it.
        again: bool,
    },
    /// The state is to be tried again.
    Again,
    /// A person is to be asked how it goes on.
    Stuck(Stuck),
    /// A person is asked.
    Asking {
        /// The call whose result would be the answer: no turn has it.
        call: CallId,
        /// What is asked.
        questions: Vec<Question>,
        /// What the answer decides.
        about: About,
    },
    /// The attempt ended: that is to be written.
    Ended(Box<Ended>),
    /// This state is to be entered.
    Next(String, Via),
    /// It is to end, since this person says so.
    Cancelling(Origin),
    /// The agent is to choose.
    Choosing {
        /// How often it was asked.
        prompts: u32,
        /// Where the turn is in which it chooses.
        turn: Begun,
        /// What a person said to it.
        hint: Option<String>,
        /// Why what it chose last was refused.
        refused: Option<String>,
    },
    /// Nothing: it ended.
    Finished,
}

/// Where a turn is that something waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Begun {
    /// It is to begin.
    No,
    /// It runs.
    Turn(TurnId),
    /// It ended by asking or sleeping: the next one goes on with it.
    Asleep,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// How.
    pub outcome: StateOutcome,
    /// What it gave.
    pub output: Value,
    /// Why it did not do it.
    pub error: Option<String>,
    /// What its command exited with.
    pub code: Option<i64>,
    /// The whole of a long output.
    pub artifact: Option<ArtifactRef>,
}

/// What the answer of a person decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// The state that asks.
    State,
    /// How it goes on.
    Stuck(Stuck),
}

/// Why a relay cannot go on by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stuck {
    /// Nobody knows what a script has done.
    Lost,
    /// Somebody stopped the state.
    Interrupted,
    /// The agent did not choose.
    Router(String),
    /// A state was entered too often, or may have done what is not to be done twice.
    Guard(String, Via),
    /// A state cannot be entered.
    Input(String),
}

impl Relay {
    /// Says whether it has not ended.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        self.stage != Stage::Finished
    }

    /// Returns the state that it is in, or was in last.
    #[must_use]
    pub fn state(&self) -> Option<&StateSpec> {
        self.definition.state(&self.at.state)
    }

    /// Returns what the agent is to do in this turn, where it works on a state.
    #[must_use]
    pub fn work_in(&self, id: TurnId) -> Option<&AgentWork> {
        let is_it = matches!(self.stage, Stage::Working { turn: Begun::Turn(turn), .. } if turn == id);
        let work = self.state().filter(|_| is_it).map(|state| &state.work)?;
        if let Work::Agent(work) = work { Some(work) } else { None }
    }

    /// Returns what a person is asked: the call that stands for it, and the question.
    #[must_use]
    pub fn asked(&self) -> Option<(QuestionId, CallId, &[Question])> {
        match &self.stage {
            Stage::Asking { call, questions, .. } => Some((question_of(*call), *call, questions)),
            Stage::Entered
            | Stage::Working { .. }
            | Stage::Checking { .. }
            | Stage::Pausing(_)
            | Stage::Waiting { .. }
            | Stage::Again
            | Stage::Stuck(_)
            | Stage::Ended(_)
            | Stage::Next(..)
            | Stage::Choosing { .. }
            | Stage::Cancelling(_)
            | Stage::Finished => None,
        }
    }

    /// Says in words where it stands.
    #[must_use]
    pub fn standing(&self) -> String {
        let state = &self.at.state;
        match &self.stage {
            Stage::Entered | Stage::Again => format!("`{state}` is about to begin"),
            Stage::Next(next, _) => format!("`{next}` is about to begin"),
            Stage::Working { turn: Begun::Asleep, .. } => format!("`{state}` waits within its turn"),
            Stage::Working { .. } => format!("`{state}` is worked on"),
            Stage::Checking { .. } => format!("`{state}` may have run: its check is to say"),
            Stage::Pausing(_) | Stage::Waiting { again: true, .. } => format!("`{state}` is tried again later"),
            Stage::Waiting { again: false, .. } => format!("`{state}` waits"),
            Stage::Stuck(_) | Stage::Asking { .. } => format!("`{state}`: a person is asked"),
            Stage::Cancelling(_) => "it is about to end".to_owned(),
            Stage::Ended(_) => format!("`{state}` ended"),
            Stage::Choosing { .. } => format!("`{state}` ended, the agent chooses what is next"),
            Stage::Finished => {
                let outcome = self.outcome.map_or("ended", Terminal::as_str);
                format!("it ended: {outcome}")
            }
        }
    }

    /// Returns what a checkpoint says of it.
    pub(crate) fn open(&self) -> Open {
        let is_stuck = matches!(self.stage, Stage::Stuck(_) | Stage::Asking { .. });
        let section = if is_stuck { Section::Blockers } else { Section::InProgress };
        Open { own: "relay", section, text: format!("relay `{}`: {}", self.definition.name, self.standing()) }
    }

    /// Says why a state may not be entered now without a person's word: it was entered too often, or may have done already what is
    /// not to be done twice.
    #[must_use]
    pub fn guarded(&self, name: &str, now: Timestamp) -> Option<String> {
        if self.past.get(name).is_some_and(|past| past.unknown) {
            return Some(format!("nobody knows what `{name}` did when it ran last"));
        }
        let own = self.definition.state(name).and_then(|state| state.guard).map(|guard| (guard, true));
        let guards = own.into_iter().chain([(self.definition.guard, false)]);
        for (guard, is_own) in guards {
            let recent =
                |(at, state): &&(Timestamp, String)| now.ms_since(*at) < guard.within.0 && (!is_own || state == name);
            let count = self.entries.iter().filter(recent).count();
            if count >= usize::try_from(guard.entries).unwrap_or(usize::MAX) {
                let what = if is_own { format!("`{name}` was") } else { "states were".to_owned() };
                return Some(format!("{what} entered {count} times within {}", guard.within));
            }
        }
        None
    }

    /// Returns who vouches for its commands: whoever began what a person wrote.
    #[must_use]
    pub fn voucher(&self) -> Option<&Origin> {
        Some(&self.by).filter(|_| self.source != RelaySource::Agent)
    }

    /// Says whether a call is one of the attempt that is under way.
    #[must_use]
    pub fn runs(&self, call: CallId) -> bool {
        match &self.stage {
            Stage::Working { .. } => call == self.at.call,
            Stage::Checking { .. } => call == self.check_call(),
            Stage::Entered
            | Stage::Pausing(_)
            | Stage::Waiting { .. }
            | Stage::Again
            | Stage::Stuck(_)
            | Stage::Asking { .. }
            | Stage::Ended(_)
            | Stage::Next(..)
            | Stage::Choosing { .. }
            | Stage::Cancelling(_)
            | Stage::Finished => false,
        }
    }

    /// The call of the check of this attempt: another one than its own.
    #[must_use]
    pub fn check_call(&self) -> CallId {
        CallId::from_bits(self.at.call.bits() ^ 0x5c5c_5c5c_5c5c_5c5c_5c5c)
    }

    /// Says whether the state runs a command, or has the agent work: it needs a turn.
    #[must_use]
    pub fn needs_turn(&self) -> bool {
        matches!(
            self.state().map(|state| &state.work),
            Some(Work::Agent(_) | Work::Script(_) | Work::Poll(_) | Work::Terminal(_))
        )
    }
}

/// A relay as JSON text inside a YAML snapshot: YAML has other ideas of what `no` is.
pub mod as_json {
    use serde::de::DeserializeOwned;
    use serde::{Deserialize as _, Deserializer, Serialize, Serializer};

    /// Writes it.
    ///
    /// # Errors
    ///
    /// What the format says.
    pub fn serialize<T: Serialize, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&serde_json::to_string(value).map_err(serde::ser::Error::custom)?)
    }

    /// Reads it.
    ///
    /// # Errors
    ///
    /// What is no such thing.
    pub fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        serde_json::from_str(&text).map_err(serde::de::Error::custom)
    }
}
