//! What can be asked about a loop.

use serde::Serialize;

use crate::event::Check;

/// A loop is to begin, or to end.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LoopCommand {
    /// Work on this, turn after turn, until the checks pass.
    Start(NewLoop),
    /// Stop, with the turn that runs.
    Abort,
}

/// A loop that is to begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewLoop {
    /// What each iteration is told to do.
    pub goal: String,
    /// What is run after each.
    pub checks: Vec<Check>,
    /// The most iterations.
    pub limit: u32,
}
