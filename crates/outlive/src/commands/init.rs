//! Makes a workspace with one good agent.

use std::path::Path;
use std::sync::Arc;

use outlive_store::files::beside::Beside;
use outlive_store::files::fs::RealDisk;

use crate::config;
use crate::exit::{Failure, Outcome, ok};
use crate::wire;

pub fn run(dir: Option<&Path>) -> Outcome {
    let place = config::workspace(Some(dir.unwrap_or_else(|| Path::new("."))))?;
    outlive_store::workspace::make(&place.root)
        .map_err(|error| Failure::Failed(format!("cannot make {}: {error}", place.root.display())))?;
    place.make_token()?;
    wire::ensure_agent(&Beside { root: place.root.clone(), disk: Arc::new(RealDisk) })?;
    say!("workspace {} is ready: `outlive chat` talks to its agent `default`", place.root.display());
    ok()
}
