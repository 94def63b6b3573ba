//! Duragent's agents: their files are taken as they are, where they are an agent here, too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use outlive_core::agent::{Agent, WORKSPACE};
use outlive_core::id::AgentName;
use outlive_store::AgentFolders as _;
use outlive_store::files::beside::Beside;
use outlive_store::files::fs::RealDisk;
use outlive_store::foreign;

use super::Bring;
use super::report::{AgentReport, Report};
use crate::config::{self, Workspace};
use crate::exit::Failure;

type Files = BTreeMap<String, Vec<u8>>;

/// Brings them in, or says that it would; returns the names that are there then.
///
/// # Errors
///
/// The folder cannot be read.
pub fn bring(place: &Workspace, bring: &Bring, report: &mut Report) -> Result<BTreeSet<String>, Failure> {
    let (agents, skipped) = foreign::agents(&bring.path).map_err(Failure::failed)?;
    let count = skipped.len() as u64;
    report.set_aside(skipped, count);
    let folders = Beside { root: place.root.clone(), disk: Arc::new(RealDisk) };
    let mut there = BTreeSet::new();
    for agent in agents {
        let name = agent.name;
        let taken = agent.files.and_then(|files| take(&folders, &name, files, bring.dry_run));
        let (outcome, notes) = match taken {
            Ok(taken) => {
                there.insert(name.clone());
                taken
            }
            Err(why) => ("not imported", vec![why]),
        };
        report.agents.push(AgentReport { name, outcome, notes });
    }
    Ok(there)
}

/// Takes one. What it asks for and this version does not have is said.
fn take(folders: &Beside, name: &str, files: Files, is_dry: bool) -> Result<(&'static str, Vec<String>), String> {
    let parsed: AgentName = name.parse().map_err(|error: outlive_core::id::AgentNameError| error.to_string())?;
    let agent =
        Agent::read(&parsed, &files, &|variable| config::variable(variable)).map_err(|error| error.to_string())?;
    let mut notes = agent.warnings;
    notes.extend(agent.policy.unreadable.map(|why| format!("{why}: until it is mended, all its calls are denied")));
    match folders.read(name).map_err(|error| error.to_string())? {
        Some(mut there) => {
            there.retain(|path, _| !path.starts_with(WORKSPACE));
            let is_same = there == files;
            if is_same {
                Ok(("already there", notes))
            } else {
                Ok(("already there, with other files: left as it is", notes))
            }
        }
        None if is_dry => Ok(("imported", notes)),
        None => {
            folders.create(name, files).map_err(|error| error.to_string())?;
            Ok(("imported", notes))
        }
    }
}
