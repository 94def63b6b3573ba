//! Says what is wrong with this machine or workspace, by trying.

use serde::Serialize;

use crate::cli::Json;
use crate::client;
use crate::config::{self, Workspace};
use crate::exit::{Failure, Outcome, ok};
use crate::show;

/// One thing that was tried.
#[derive(Debug, Serialize)]
struct Check {
    what: &'static str,
    good: bool,
    found: String,
}

pub async fn run(place: &Workspace, json: &Json) -> Outcome {
    let checks =
        vec![workspace(place), configuration(place), models(place), token(place), bash().await, model(), server(place)];
    let good = checks.iter().all(|check| check.good);
    if json.json {
        show::json(&checks)?;
    } else {
        for check in &checks {
            say!("{} {:<14} {}", if check.good { "ok " } else { "BAD" }, check.what, check.found);
        }
    }
    if good { ok() } else { Err(Failure::Failed("something is wrong; see above".to_owned())) }
}

fn workspace(place: &Workspace) -> Check {
    let made = outlive_store::workspace::make(&place.root);
    let found = match &made {
        Ok(()) => format!("{}, writable; tools work in {}", place.root.display(), place.cwd.display()),
        Err(error) => format!("{}: {error}", place.root.display()),
    };
    Check { what: "workspace", good: made.is_ok(), found }
}

fn configuration(place: &Workspace) -> Check {
    match place.config() {
        Ok(_) => Check { what: "outlive.yaml", good: true, found: "good, or not there".to_owned() },
        Err(error) => Check { what: "outlive.yaml", good: false, found: error.to_string() },
    }
}

fn models(place: &Workspace) -> Check {
    let warning = config::models::ModelList::of(&place.root).now().warning;
    let good = warning.is_none();
    Check { what: "models.yaml", good, found: warning.unwrap_or_else(|| "good, or not there".to_owned()) }
}

fn token(place: &Workspace) -> Check {
    let made = place.make_token();
    Check {
        what: "token",
        good: made.is_ok(),
        found: made.map_or_else(|error| error.to_string(), |_| "there".to_owned()),
    }
}

async fn bash() -> Check {
    let good = tokio::fs::try_exists("/bin/bash").await.unwrap_or(false)
        || tokio::fs::try_exists("/usr/bin/bash").await.unwrap_or(false);
    let found = if good { "there; commands are not sandboxed in this version" } else { "bash is missing: install it" };
    Check { what: "bash", good, found: found.to_owned() }
}

fn model() -> Check {
    let keys = ["ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "OPENROUTER_API_KEY"];
    let found: Vec<&str> = keys.into_iter().filter(|key| config::variable(key).is_some()).collect();
    let found = if found.is_empty() {
        "no key: the offline rehearsal answers".to_owned()
    } else {
        format!("keys: {}", found.join(", "))
    };
    Check { what: "model", good: true, found }
}

fn server(place: &Workspace) -> Check {
    let found = match client::running(place) {
        Some(address) => format!("runs at http://{address}"),
        None => "does not run; commands start one".to_owned(),
    };
    Check { what: "server", good: true, found }
}
