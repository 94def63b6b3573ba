//! The servers of tools that an agent asks for: which of them may be started, and with what.

use std::collections::BTreeMap;
use std::sync::Arc;

use outlive_core::agent::{Agent, McpServer, McpWay};
use outlive_core::id::AgentName;
use outlive_core::policy::{Reach, Subject, Verdict};
use outlive_tools::Place;
use outlive_tools::exec::Exec;
use outlive_tools::mcp::oauth::{Lent, Login};
use outlive_tools::mcp::{Bearer, Seen, Setup, Wanted};

use super::{Catalog, granted};
use crate::kit::{KitError, Kits};

/// Has the agent's servers, and returns what keeps some of them from being started.
pub(super) fn want(catalog: &Catalog, agent: &Agent, (exec, place): (&Arc<Exec>, &Place)) -> Vec<String> {
    let (mut setups, mut unable) = (Vec::new(), Vec::new());
    for server in &agent.tools.mcp {
        let able = may(agent, server).and_then(|()| environment(catalog, server));
        match able.and_then(|environment| Ok((environment, bearer(catalog, &agent.name, server)?))) {
            Ok((environment, bearer)) => setups.push(Setup {
                server: server.clone(),
                exec: Arc::clone(exec),
                place: place.clone(),
                folder: catalog.sources.workspace.join("agents").join(agent.name.as_str()),
                environment,
                bearer,
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
    let given = granted(&*catalog.sources.credentials, &format!("mcp: {}", server.name), secrets)?;
    environment.extend(given.into_iter().map(|(name, secret)| (name, secret.reveal().to_owned())));
    Ok(environment)
}

/// Who lets an agent in: its login, which may have to be made yet.
fn bearer(catalog: &Catalog, agent: &AgentName, server: &McpServer) -> Result<Option<Arc<dyn Bearer>>, String> {
    let login = login(catalog, agent, server)?;
    let Some(login) = login else { return Ok(None) };
    let (way_in, secrets) = (format!("outlive mcp login {agent} {}", server.name), catalog.sources.exec.secrets());
    Ok(Some(Arc::new(Lent::new(login, way_in, secrets.clone()))))
}

fn login(catalog: &Catalog, agent: &AgentName, server: &McpServer) -> Result<Option<Login>, String> {
    let McpWay::Http { auth, .. } = &server.way else { return Ok(None) };
    let secret = match auth.as_ref().and_then(|auth| auth.client_secret_env.as_ref()) {
        None => None,
        Some(name) => {
            let found = catalog.sources.credentials.get(name)?.map(|secret| secret.reveal().to_owned());
            Some(found.ok_or_else(|| format!("variable `{name}`, which `client_secret_env` names, has no value"))?)
        }
    };
    Login::of(&catalog.sources.workspace, agent, server, secret).map_err(|refused| refused.to_string())
}

/// A server of tools that an agent asks for.
#[derive(Debug)]
pub struct Asked {
    /// What the agent says of it.
    pub server: McpServer,
    /// How it is; why it is not started, where it is not.
    pub seen: Result<Seen, String>,
    /// The login to it, where there is one to be had.
    pub login: Option<Login>,
}

impl Catalog {
    /// Starts an agent's servers of tools, waits for them as a turn does, and says how they are. Nothing else of the agent
    /// needs to work.
    ///
    /// # Errors
    ///
    /// [`KitError`]
    pub async fn look(&self, name: &AgentName) -> Result<Vec<Asked>, KitError> {
        let invalid = |why: String| KitError::Invalid { agent: name.clone(), why };
        let files = self.sources.folders.read(name.as_str()).map_err(|error| invalid(error.to_string()))?;
        let files = files.ok_or_else(|| KitError::Unknown(name.clone()))?;
        let agent = Agent::read(name, &files, &*self.sources.variables).map_err(|error| invalid(error.to_string()))?;
        // What it says of itself may hold them. Which of them are not looked for is in the log.
        drop(self.learn(&agent));
        let exec = Arc::new(self.sources.exec.within(self.sandbox(&agent).map_err(invalid)?));
        let place = super::place(&self.sources.workspace, &self.sources.cwd);
        let unable = want(self, &agent, (&exec, &place));
        if let Some(expected) = self.servers.expected(name) {
            expected.await;
        }
        let redactor = self.secrets().now();
        let clean = |seen: Seen| Seen { state: redactor.text(&seen.state).into_owned(), ..seen };
        let seen: Vec<Seen> = self.servers.seen(name).into_iter().map(clean).collect();
        let asked = |server: McpServer| {
            let found = seen.iter().find(|seen| seen.name == server.name).cloned();
            let why = || unable.iter().find(|why| why.contains(&format!("`{}`", server.name))).cloned();
            let seen = found.ok_or_else(|| why().unwrap_or_default());
            let login = login(self, name, &server).ok().flatten();
            Asked { server, seen, login }
        };
        Ok(agent.tools.mcp.into_iter().map(asked).collect())
    }

    /// Ends them.
    pub async fn leave(&self) {
        self.servers.end().await;
    }
}
