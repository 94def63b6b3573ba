//! Says what is wrong with this machine or workspace, by trying, and what to do about it.
//!
//! | Where | What |
//! |---|---|
//! | `place` | the workspace: its disk, files, token, server, port |
//! | `models` | agents, keys, and whether their models can be reached; nothing is asked that costs |
//! | `outside` | webhooks that are taken, and who is told: their secrets |
//! | `memory` | the files that are remembered by, and their index |
//! | `waiting` | schedules and relays: their files |
//! | `machine` | programs, limits, clock, terminal |
//! | `sandbox` | in what commands run, and what that holds: by trying to break out |
//!
//! Invariant: no secret is printed, only whether it is there and who can read it.

mod machine;
mod memory;
mod models;
mod outside;
mod place;
mod sandbox;
mod waiting;

use serde::Serialize;

use crate::cli::Json;
use crate::config::Workspace;
use crate::exit::{Failure, Outcome, ok};
use crate::show;

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// It works, and something is lost or at risk.
    Warning,
    /// It does not work.
    Wrong,
}

/// One thing that was tried.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    what: String,
    level: Level,
    found: String,
    /// The way out, where one is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Check {
    fn ok(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self { what: what.into(), level: Level::Ok, found: found.into(), fix: None }
    }

    fn warning(what: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what: what.into(), level: Level::Warning, found: found.into(), fix: Some(fix.into()) }
    }

    fn wrong(what: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what: what.into(), level: Level::Wrong, found: found.into(), fix: Some(fix.into()) }
    }
}

pub async fn run(place: &Workspace, json: &Json) -> Outcome {
    let mut checks = place::checks(place).await;
    checks.extend(models::checks(place).await);
    checks.extend(outside::checks(place));
    checks.extend(memory::checks(place));
    checks.extend(waiting::checks(place));
    checks.extend(machine::checks(place));
    checks.extend(sandbox::checks(place).await);
    if json.json {
        show::json(&checks)?;
    } else {
        checks.iter().for_each(print);
    }
    let wrong: Vec<&str> =
        checks.iter().filter(|check| check.level == Level::Wrong).map(|check| check.what.as_str()).collect();
    if wrong.is_empty() { ok() } else { Err(Failure::Failed(format!("wrong: {}", wrong.join(", ")))) }
}

fn print(check: &Check) {
    let level = match check.level {
        Level::Ok => "ok     ",
        Level::Warning => "warning",
        Level::Wrong => "WRONG  ",
    };
    say!("{level}  {:<16} {}", check.what, check.found);
    if let Some(fix) = &check.fix {
        say!("{:27}{fix}", "");
    }
}
