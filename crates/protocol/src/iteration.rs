//! Loops on the wire.

use outlive_core::event::{Check, LoopExit};
use outlive_core::session::{CheckResult, Checked, Loop, Stage};
use serde::{Deserialize, Serialize};

/// Iterations of a loop that does not say how many.
const ITERATIONS: u32 = 10;

/// `POST /sessions/{id}/loop`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StartLoop {
    /// What each iteration is told to do, up to 16 KiB.
    pub goal: String,
    /// 1 to 32 commands, `{name, run}`, run after each iteration by the agent's `bash`: the loop ends once all exit with 0. They
    /// may be run any number of times. Whoever begins the loop approves them; what a rule denies stays denied.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>))]
    pub checks: Vec<Check>,
    /// The most iterations, 1 to 1000; 10 when absent.
    #[serde(default = "iterations")]
    pub iterations: u32,
    /// The same id acts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

fn iterations() -> u32 {
    ITERATIONS
}

/// A loop, as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoopView {
    /// What each iteration is told to do.
    pub goal: String,
    /// The iteration that began last, from 1; 0 before the first.
    pub iteration: u32,
    /// The most iterations.
    pub limit: u32,
    /// Why it ended: `passed`, `iterations`, `context`, `aborted` or `error`; absent while it is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub exit: Option<LoopExit>,
    /// What happened, where that does not say it all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its checks.
    pub checks: Vec<CheckView>,
}

/// A check, and how it went last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CheckView {
    /// Its name.
    pub name: String,
    /// What is run.
    pub run: String,
    /// `untried`, `passed`, `failed` or `unfit` (it could not be run at all).
    pub state: String,
    /// With what it exited, where it failed by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    /// The last of what it printed where it failed, or why it could not be run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<String>,
}

impl LoopView {
    /// Shows a loop.
    #[must_use]
    pub fn of(looping: &Loop) -> Self {
        let exit = match looping.stage {
            Stage::Over(exit) | Stage::Ended(exit) => Some(exit),
            Stage::Due | Stage::Open => None,
        };
        Self {
            goal: looping.goal.clone(),
            iteration: looping.number,
            limit: looping.limit,
            exit,
            reason: looping.reason.clone(),
            checks: looping.checks.iter().map(CheckView::of).collect(),
        }
    }
}

impl CheckView {
    fn of(checked: &Checked) -> Self {
        let (state, exit_code, tail) = match &checked.result {
            CheckResult::Untried => ("untried", None, None),
            CheckResult::Passed => ("passed", None, None),
            CheckResult::Failed { exit_code, tail } => ("failed", *exit_code, Some(tail.clone())),
            CheckResult::Unfit { why } => ("unfit", None, Some(why.clone())),
        };
        let Check { name, run } = checked.check.clone();
        Self { name, run, state: state.to_owned(), exit_code, tail }
    }
}
