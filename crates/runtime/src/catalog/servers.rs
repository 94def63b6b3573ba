//! The servers of tools that an agent asks for: which of them may be started, and with what.

use std::collections::BTreeMap;
use std::sync::Arc;

use outlive_core::agent::{Agent, McpServer, McpWay};
use outlive_core::policy::{Reach, Subject, Verdict};
use outlive_tools::Place;
use outlive_tools::exec::Exec;
use outlive_tools::mcp::{Setup, Wanted};

use super::Catalog;

/// Has the agent's servers, and returns what keeps some of them from being started.
pub(super) fn want(catalog: &Catalog, agent: &Agent, (exec, place): (&Arc<Exec>, &Place)) -> Vec<String> {
    let (mut setups, mut unable) = (Vec::new(), Vec::new());
    for server in &agent.tools.mcp {
        let able = may(agent, server).and_then(|()| environment(catalog, server));
        match able {
            Ok(environment) => setups.push(Setup {
                server: server.clone(),
                exec: Arc::clone(exec),
                place: place.clone(),
                folder: catalog.sources.workspace.join("agents").join(agent.name.as_str()),
                environment,
                bearer: None,
            }),
            Err(why) => unable.push(format!("mcp server `{}` is not started: {why}", server.name)),
        }
    }
    catalog.servers.want(Wanted { agent: agent.name.clone(), setups });
    unable
}

/// The agent's author asks for it, so only what is forbidden keeps it from being started: its calls are ruled on one by one.
fn may(agent: &Agent, server: &McpServer) -> Result<(), String> {
    let target = format!("{}/start", server.name);
    let subject = Subject { tool: "mcp".to_owned(), target, reach: Reach::Within };
    match agent.policy.rule(&subject) {
        Verdict::Allow { .. } | Verdict::Ask { .. } => Ok(()),
        Verdict::Deny { reason, .. } => Err(reason),
    }
}

/// What its program sees: its own variables, and the secrets that it is given by name.
fn environment(catalog: &Catalog, server: &McpServer) -> Result<BTreeMap<String, String>, String> {
    let McpWay::Stdio { env, secrets, .. } = &server.way else { return Ok(BTreeMap::new()) };
    let mut environment = env.clone();
    for name in secrets {
        let value = (catalog.sources.variables)(name).filter(|value| !value.is_empty());
        let value = value.ok_or_else(|| format!("variable `{name}`, which `secrets` names, has no value"))?;
        environment.insert(name.clone(), value);
    }
    Ok(environment)
}
