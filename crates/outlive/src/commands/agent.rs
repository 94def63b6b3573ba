//! Looks at agents, makes them, checks them. Making and checking need no server.

use std::sync::Arc;

use outlive_core::agent::Agent as Definition;
use outlive_core::id::AgentName;
use outlive_protocol::Page;
use outlive_protocol::agent::AgentView;
use outlive_runtime::catalog::granted;
use outlive_store::AgentFolders as _;
use outlive_store::files::beside::Beside;
use outlive_store::files::fs::RealDisk;
use outlive_store::memory_files::{MemoryFiles as _, PlainMemory};
use outlive_tools::exec::Exec;
use outlive_tools::sandbox::Sandbox;
use serde::Serialize;

use super::agent_files;
use crate::cli::Agent;
use crate::client::connect;
use crate::config::{self, Environment, Workspace};
use crate::exit::{Failure, Outcome, ok};
use crate::show;
use crate::wire;

pub async fn run(place: &Workspace, command: Agent) -> Outcome {
    match command {
        Agent::List(json) => {
            let page: Page<AgentView> = connect(place).await?.get("/agents").await?;
            if json.json {
                show::json(&page)?;
            } else {
                let rows: Vec<Vec<String>> = page
                    .items
                    .into_iter()
                    .map(|agent| vec![agent.name, agent.model, agent.error.unwrap_or(agent.description)])
                    .collect();
                show::table(&["AGENT", "MODEL", "WHAT FOR"], &rows);
            }
        }
        Agent::Show { name, json } => {
            let agent: AgentView = connect(place).await?.get(&format!("/agents/{name}")).await?;
            if json { show::json(&agent)? } else { print(&agent) }
        }
        Agent::New { name } => {
            let name: AgentName =
                name.parse().map_err(|error: outlive_core::id::AgentNameError| Failure::Usage(error.to_string()))?;
            let mode = wire::starting_mode(&wire::exec(&place.root)?, place).await;
            let created = folders(place).create(name.as_str(), outlive_core::agent::starter_in(&name, mode));
            created.map_err(|error| Failure::Usage(error.to_string()))?;
            say!(
                "made {}; `outlive chat -a {name}` talks to it",
                place.root.join("agents").join(name.as_str()).display()
            );
        }
        Agent::Versions(versions) => agent_files::versions(&connect(place).await?, versions).await?,
        Agent::Restore(restore) => agent_files::restore(&connect(place).await?, restore).await?,
        Agent::Delete(delete) => agent_files::delete(&connect(place).await?, delete).await?,
        Agent::Export(export) => agent_files::export(&connect(place).await?, export).await?,
        Agent::Import(import) => agent_files::import(&connect(place).await?, import).await?,
        Agent::Validate { name, json } => return validate(place, name, json),
    }
    ok()
}

fn folders(place: &Workspace) -> Beside {
    Beside { root: place.root.clone(), disk: Arc::new(RealDisk) }
}

fn print(agent: &AgentView) {
    say!("agent     {}", agent.name);
    say!("what for  {}", agent.description);
    say!("model     {}", agent.model);
    agent.fallback.iter().for_each(|model| say!("fallback  {model}"));
    say!("tools     {}", agent.tools.join(", "));
    if !agent.skills.is_empty() {
        say!("skills    {}", agent.skills.join(", "));
    }
    say!("digest    {}", agent.digest);
    agent.warnings.iter().for_each(|warning| say!("warning   {warning}"));
}

/// What a check found.
#[derive(Debug, Serialize)]
struct Checked {
    name: String,
    good: bool,
    error: Option<String>,
    warnings: Vec<String>,
}

fn validate(place: &Workspace, name: Option<String>, json: bool) -> Outcome {
    let folders = folders(place);
    let names = match name {
        Some(name) => vec![name],
        None => folders.names().map_err(Failure::failed)?,
    };
    let exec = wire::exec(&place.root)?;
    let checked = names.iter().map(|name| check(&folders, name, &exec)).collect::<Result<Vec<_>, _>>()?;
    if json {
        show::json(&checked)?;
    } else {
        for one in &checked {
            say!("{}: {}", one.name, one.error.as_deref().unwrap_or("good"));
            one.warnings.iter().for_each(|warning| say!("{}: warning: {warning}", one.name));
        }
    }
    let broken: Vec<&str> = checked.iter().filter(|one| !one.good).map(|one| one.name.as_str()).collect();
    if broken.is_empty() { ok() } else { Err(Failure::Failed(format!("not right: {}", broken.join(", ")))) }
}

fn check(folders: &Beside, name: &str, exec: &Exec) -> Result<Checked, Failure> {
    let parsed: AgentName =
        name.parse().map_err(|error: outlive_core::id::AgentNameError| Failure::Usage(error.to_string()))?;
    let files = folders.read(name).map_err(Failure::failed)?;
    let files = files.ok_or_else(|| Failure::NotFound(format!("there is no agent `{name}`")))?;
    let (error, warnings) = match Definition::read(&parsed, &files, &|variable| config::value(variable)) {
        Ok(agent) => {
            let ungranted = ungranted(&agent);
            let (error, open) = match Sandbox::of(&agent.tools.sandbox) {
                Ok(sandbox) => (agent.policy.unreadable, exec.within(sandbox).warning()),
                Err(why) => (Some(why), None),
            };
            let open = open.filter(|_| agent.tools.builtin.iter().any(|tool| tool == "bash"));
            let error = error.or(ungranted);
            let (_, unseen) = PlainMemory::of(folders.root.clone()).all(&parsed);
            (error, agent.warnings.into_iter().chain(open).chain(unseen).collect())
        }
        Err(error) => (Some(error.to_string()), Vec::new()),
    };
    Ok(Checked { name: name.to_owned(), good: error.is_none(), error, warnings })
}

/// Returns which secret of a tool is not to be had here, if one is not.
fn ungranted(agent: &Definition) -> Option<String> {
    let tools = agent.tools.cli.iter().map(|tool| (format!("cli_{}", tool.name), &tool.secrets));
    let all = std::iter::once(("bash".to_owned(), &agent.tools.secrets)).chain(tools);
    let flaw = |tool: &str, names: &[String]| granted(&Environment::default(), tool, names).err();
    all.into_iter().find_map(|(tool, names)| flaw(&tool, names))
}
