//! In what commands run here, and what that really holds: each way out is tried, in a folder of its own.

use std::path::Path;

use outlive_core::agent::{SandboxMode, SandboxSpec};
use outlive_tools::Place;
use outlive_tools::exec::Exec;
use outlive_tools::sandbox::Sandbox;
use outlive_tools::sandbox::attempts::{self, Held};

use super::Check;
use crate::config::{self, Workspace};

const INSTALL: &str = "apt-get install bubblewrap, or `sandbox: {mode: trust}` in an agent's agent.yaml";
const UNSAFE: &str = "let no agent run commands in it here, and report what kind of machine this is";

pub(super) async fn checks(place: &Workspace) -> Vec<Check> {
    tried(&place.root).await.unwrap_or_else(|why| vec![Check::warning("sandbox", why, INSTALL)])
}

/// Tries to break out of each sandbox that works here.
///
/// # Errors
///
/// None works, and why.
async fn tried(root: &Path) -> Result<Vec<Check>, String> {
    let folder = tempfile::tempdir().map_err(|error| format!("no folder to try it in: {error}"))?;
    let confiner = std::env::current_exe().map_err(|error| error.to_string())?;
    let exec = Exec::new(config::environment(), folder.path(), &folder.path().join("children")).confined_by(confiner);
    let work = Place { cwd: folder.path().into(), roots: vec![folder.path().into()], protected: vec![root.to_owned()] };
    let within = |mode| {
        let asked = Sandbox::of(&SandboxSpec { mode, ..SandboxSpec::default() })?;
        Ok::<_, String>(exec.within(asked.hiding(vec![root.to_owned()], vec![root.join("agents")])))
    };
    let (mut checks, mut absent) = (Vec::new(), Vec::new());
    for mode in [SandboxMode::Bubblewrap, SandboxMode::Docker] {
        let exec = within(mode)?;
        match exec.kind(&work).await {
            Ok(_works) => checks.extend(broken(&exec, mode.name(), &work, root).await),
            // The ways out are for calls: here it is enough to know why.
            Err(why) => absent.push(Check::ok(mode.name(), why.split(". ").next().unwrap_or_default())),
        }
    }
    if checks.is_empty() {
        return Err(within(SandboxMode::Auto)?.kind(&work).await.err().unwrap_or_default());
    }
    Ok(checks.into_iter().chain(absent).collect())
}

/// A line for each way out.
async fn broken(exec: &Exec, name: &str, work: &Place, root: &Path) -> Vec<Check> {
    let tried = match attempts::all(exec, work, &root.join("token"), root).await {
        Ok(tried) => tried,
        Err(why) => return vec![Check::wrong(name, format!("runs nothing: {why}"), INSTALL)],
    };
    let line = |(attempt, held): (&str, Held)| match held {
        Held::Held => Check::ok(name, format!("holds: {attempt}")),
        Held::BrokeOut => Check::wrong(name, format!("does not hold: {attempt}"), UNSAFE),
        Held::Untold(why) => Check::warning(name, format!("not tried to its end: {attempt}: {why}"), UNSAFE),
    };
    tried.into_iter().map(line).collect()
}
