//! The only place that names concrete stores, models and tools, and puts them together.

use std::path::Path;
use std::sync::Arc;

use outlive_core::agent::ModelSpec;
use outlive_model::Model;
use outlive_model::rehearsal::Rehearsal;
use outlive_runtime::catalog::{Catalog, Models, Sources};
use outlive_runtime::clock::{Moments, SystemClock};
use outlive_runtime::{Runtime, Settings};
use outlive_store::workspace::{self, OpenError};
use outlive_tools::exec::Exec;
use outlive_tools::orphans;

use crate::config::{self, Workspace};
use crate::exit::Failure;

/// Models that this binary can connect to.
pub struct Connector;

impl Models for Connector {
    fn connect(&self, wanted: Option<&ModelSpec>) -> Result<Arc<dyn Model>, String> {
        match wanted {
            None => Ok(Arc::new(Rehearsal::default())),
            Some(spec) if spec.provider == "rehearsal" && spec.name == "instant" => Ok(Arc::new(Rehearsal::instant())),
            Some(spec) if spec.provider == "rehearsal" => Ok(Arc::new(Rehearsal::default())),
            Some(spec) => Err(format!("provider `{}` is not in this version", spec.provider)),
        }
    }
}

/// A workspace at work.
pub struct Engine {
    /// Runs its sessions.
    pub runtime: Arc<Runtime>,
    /// Its files; closed last.
    pub files: workspace::Workspace,
}

/// Opens a workspace and starts its engine: what a dead server's calls left running is ended first.
///
/// # Errors
///
/// Somebody else owns it, or the system says no.
pub async fn start(place: &Workspace) -> Result<Engine, Failure> {
    let opened = workspace::open(&place.root, workspace::Options::default());
    let (store, files) = opened.map_err(|error| match error {
        OpenError::Owned(_) => Failure::Busy(error.to_string()),
        OpenError::Io(_) => Failure::Failed(format!("{}: {error}", place.root.display())),
    })?;
    for damage in &files.recovery().damage {
        tracing::error!(damage, "damage found; run `outlive verify`");
    }
    let run = place.root.join("run");
    let children = run.join("children");
    for ended in orphans::sweep(&children).await? {
        tracing::warn!(call = %ended.call, session = ?ended.session, "processes of a call of the server before were ended");
    }
    let spill = run.join("spill");
    make(&[&spill, &children])?;
    ensure_agent(&*store.agents)?;
    let sources = Sources {
        folders: Arc::clone(&store.agents),
        models: Arc::new(Connector),
        exec: Arc::new(Exec::new(config::environment(), &spill, &children)),
        variables: Box::new(config::variable),
        workspace: place.root.clone(),
        cwd: place.cwd.clone(),
    };
    let seed = u64::from_le_bytes(config::random::<8>()?);
    let moments = Moments::new(Arc::new(SystemClock), seed);
    let runtime = Runtime::start(store, Arc::new(Catalog::new(sources)), moments, Settings::default()).await;
    Ok(Engine { runtime: runtime.map_err(Failure::failed)?, files })
}

#[expect(clippy::disallowed_methods, reason = "the server's own folders, beside the store's")]
fn make(folders: &[&Path]) -> Result<(), Failure> {
    folders.iter().try_for_each(std::fs::create_dir_all).map_err(Failure::from)
}

/// A workspace without any agent gets the starter.
///
/// # Errors
///
/// What the store says.
pub fn ensure_agent(folders: &dyn outlive_store::AgentFolders) -> Result<(), Failure> {
    if folders.names().map_err(Failure::failed)?.is_empty() {
        let name = "default".parse().map_err(Failure::failed)?;
        folders.create("default", outlive_core::agent::starter(&name)).map_err(Failure::failed)?;
    }
    Ok(())
}
