//! Looks at agents, makes them, checks them. Making and checking need no server.

use std::sync::Arc;

use outlive_core::agent::Agent as Definition;
use outlive_core::id::AgentName;
use outlive_protocol::Page;
use outlive_protocol::agent::AgentView;
use outlive_store::AgentFolders as _;
use outlive_store::files::beside::Beside;
use outlive_store::files::fs::RealDisk;

use crate::cli::Agent;
use crate::client::connect;
use crate::config::{self, Workspace};
use crate::exit::{Failure, Outcome, ok};
use crate::show;

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
            let created = folders(place).create(name.as_str(), outlive_core::agent::starter(&name));
            created.map_err(|error| Failure::Usage(error.to_string()))?;
            say!(
                "made {}; `outlive chat -a {name}` talks to it",
                place.root.join("agents").join(name.as_str()).display()
            );
        }
        Agent::Validate { name } => return validate(place, name),
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
    say!("tools     {}", agent.tools.join(", "));
    say!("digest    {}", agent.digest);
    agent.warnings.iter().for_each(|warning| say!("warning   {warning}"));
}

fn validate(place: &Workspace, name: Option<String>) -> Outcome {
    let folders = folders(place);
    let names = match name {
        Some(name) => vec![name],
        None => folders.names().map_err(Failure::failed)?,
    };
    let mut broken = Vec::new();
    for name in names {
        let parsed: AgentName =
            name.parse().map_err(|error: outlive_core::id::AgentNameError| Failure::Usage(error.to_string()))?;
        let files = folders.read(&name).map_err(Failure::failed)?;
        let files = files.ok_or_else(|| Failure::NotFound(format!("there is no agent `{name}`")))?;
        match Definition::read(&parsed, &files, &|variable| config::variable(variable)) {
            Ok(agent) => {
                say!("{name}: good");
                agent.warnings.iter().for_each(|warning| say!("{name}: warning: {warning}"));
                if let Some(why) = agent.policy.unreadable {
                    say!("{name}: {why}");
                    broken.push(name);
                }
            }
            Err(error) => {
                say!("{name}: {error}");
                broken.push(name);
            }
        }
    }
    if broken.is_empty() { ok() } else { Err(Failure::Failed(format!("not right: {}", broken.join(", ")))) }
}
