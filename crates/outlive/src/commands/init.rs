//! Makes a workspace with one good agent.

use std::path::Path;
use std::sync::Arc;

use outlive_core::agent::SandboxMode;
use outlive_store::files::beside::Beside;
use outlive_store::files::fs::RealDisk;

use crate::config;
use crate::exit::{Failure, Outcome, ok};
use crate::wire;

pub async fn run(dir: Option<&Path>) -> Outcome {
    let place = config::workspace(Some(dir.unwrap_or_else(|| Path::new("."))))?;
    outlive_store::workspace::make(&place.root)
        .map_err(|error| Failure::Failed(format!("cannot make {}: {error}", place.root.display())))?;
    place.make_token()?;
    let folders = Beside { root: place.root.clone(), disk: Arc::new(RealDisk) };
    let made = wire::ensure_agent(&folders, &wire::exec(&place.root)?, &place).await?;
    if made == Some(SandboxMode::Trust) {
        say!(
            "no sandbox works on this machine, so its commands run without one, each after you were asked: `outlive doctor`"
        );
    }
    say!("workspace {} is ready: `outlive chat` talks to its agent `default`", place.root.display());
    ok()
}
