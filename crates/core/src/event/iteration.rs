//! Events of a loop: turn after turn towards a goal, each with a fresh context, until its checks pass.
//!
//! What its turns do and what its checks say is in the events of turns and calls. A loop adds only where it stands.

use serde::{Deserialize, Serialize};

use super::Origin;
use crate::id::CallId;

/// A command that says by its exit whether something is as it should be. It may be run any number of times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Its name within the loop.
    pub name: String,
    /// The command line, as the tool `bash` takes it.
    pub run: String,
}

/// Between turns, while no loop is under way. It ends with `loop.ended`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoopStarted {
    /// What each iteration is told to do.
    pub goal: String,
    /// What is run after each.
    pub checks: Vec<Check>,
    /// The most iterations.
    pub limit: u32,
    /// By whom: the checks run on their word.
    pub by: Origin,
}

/// Between turns: right after a checkpoint that shows nothing but itself, and before the message and the start of the turn that
/// it is in, in the same append.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoopIterationStarted {
    /// Which, from 1.
    pub number: u32,
}

/// In an iteration's turn, once the model has said all. From here on the turn's calls are these; then it ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoopChecksAsked {
    /// The iteration.
    pub number: u32,
    /// The loop's checks in order, each as the call that runs it.
    pub calls: Vec<CheckCall>,
}

/// A check about to be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckCall {
    /// The call.
    pub call: CallId,
    /// The check.
    #[serde(flatten)]
    pub check: Check,
}

/// Why a loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoopExit {
    /// All checks passed.
    Passed,
    /// There were as many iterations as there may be.
    Iterations,
    /// A turn's request did not fit the model's window.
    Context,
    /// Somebody stopped it, or its turn.
    Aborted,
    /// A turn failed, or a check could not be run at all.
    Error,
}

/// Between turns, once for each loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoopEnded {
    /// Why.
    pub exit: LoopExit,
    /// Iterations that began.
    pub number: u32,
    /// What happened, for a person, where the exit does not say it all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl LoopExit {
    /// Returns the word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Iterations => "iterations",
            Self::Context => "context",
            Self::Aborted => "aborted",
            Self::Error => "error",
        }
    }
}
