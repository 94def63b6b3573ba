//! One time that a schedule was due: from its start over its attempts to its end.

use serde::{Deserialize, Serialize};

use super::plan::{Plan, Retry, Target};
use crate::digest::Digest;
use crate::event::{Ending, RunCause, RunEnded};
use crate::id::{AgentName, RunId, SessionId};
use crate::time::Timestamp;

/// A run that is not over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub run: RunId,
    /// When it was due.
    pub due_at: Timestamp,
    /// Why it runs.
    pub cause: RunCause,
    /// Where.
    pub session: SessionId,
    /// Whose fresh session that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentName>,
    /// What is said there.
    pub message: String,
    /// How often it was started.
    pub attempt: u32,
    /// How far it is.
    pub phase: Phase,
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Others come first.
    Queued,
    /// Its message is being said, or answered.
    Running {
        /// Since when.
        since: Timestamp,
    },
    /// It failed, and is tried again.
    Retry {
        /// When.
        at: Timestamp,
        /// Why it failed.
        error: Option<String>,
    },
}

/// A run that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// Its id.
    pub run: RunId,
    /// When it was due.
    pub due_at: Timestamp,
    /// Where it ran.
    pub session: SessionId,
    /// How often it was started.
    pub attempts: u32,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How.
    pub outcome: Ending,
    /// Why, if it failed.
    pub error: Option<String>,
}

impl Run {
    pub(super) fn new(run: RunId, due_at: Timestamp, cause: RunCause, plan: &Plan) -> Self {
        let (session, agent) = match &plan.target {
            Target::Session(session) => (*session, None),
            // One run has one fresh session, however often it is tried.
            Target::Agent(agent) => (SessionId::from_bits(run.bits()), Some(agent.clone())),
        };
        Self { run, due_at, cause, session, agent, message: plan.message.clone(), attempt: 0, phase: Phase::Queued }
    }

    /// Returns what is said: whoever is told again is told why.
    #[must_use]
    pub fn said(&self) -> String {
        match self.attempt {
            0 | 1 => self.message.clone(),
            attempt => format!("[attempt {attempt}: the one before failed]\n\n{}", self.message),
        }
    }

    /// Returns the name of what is asked of the session: said twice, it is heard once.
    #[must_use]
    pub fn request(&self) -> String {
        format!("{}.{}", self.run, self.attempt)
    }

    pub(super) fn is_under_way(&self) -> bool {
        matches!(self.phase, Phase::Running { .. })
    }

    /// Returns it over, unless it is to be tried again.
    pub(super) fn end(&mut self, ended: &RunEnded, at: Timestamp, retry: &Retry) -> Option<Past> {
        if ended.outcome == Ending::Failed && self.attempt < retry.attempts {
            let at = at.plus_ms(retry.pause_ms(self.run, self.attempt));
            self.phase = Phase::Retry { at, error: ended.error.clone() };
            return None;
        }
        Some(Past {
            run: self.run,
            due_at: self.due_at,
            session: self.session,
            attempts: self.attempt,
            ended_at: at,
            outcome: ended.outcome,
            error: ended.error.clone(),
        })
    }
}

impl Retry {
    /// Returns the pause after this attempt: what it is by chance follows from the run's id.
    fn pause_ms(&self, run: RunId, attempt: u32) -> u64 {
        let doubled = 1_u64.checked_shl(attempt.saturating_sub(1)).unwrap_or(u64::MAX);
        let whole = self.first.ms().saturating_mul(doubled).min(self.longest.ms());
        let chance = Digest::of(format!("{run}.{attempt}").as_bytes()).bits() % 1_000;
        let half = whole / 2;
        half + u64::try_from(u128::from(whole - half) * chance / 1_000).unwrap_or(0)
    }
}
