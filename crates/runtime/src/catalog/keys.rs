//! The keys that agents name: given to whom they are granted, and known as secrets from then on.

use std::path::PathBuf;

use outlive_core::agent::{Agent, McpServer, McpWay, SearchSpec};
use outlive_core::id::AgentName;
use outlive_core::secret::Secret;

use super::Catalog;

/// Where keys are kept: by the names of variables.
pub trait Credentials: Send + Sync {
    /// Returns the value of a variable, from the environment or the file that stands for it.
    ///
    /// # Errors
    ///
    /// What is wrong with it, with its name and never with its value.
    fn get(&self, variable: &str) -> Result<Option<Secret>, String>;

    /// Returns the files in which values are kept: no command sees them.
    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }
}

/// Returns what a tool is granted, by name.
///
/// # Errors
///
/// What has no value, and how to give it one.
pub fn granted(credentials: &dyn Credentials, tool: &str, names: &[String]) -> Result<Vec<(String, Secret)>, String> {
    let value = |name: &String| {
        let found = credentials.get(name).map_err(|why| format!("agent.yaml: secrets of `{tool}`: {why}"))?;
        let missing = || {
            format!(
                "agent.yaml: secrets of `{tool}`: variable `{name}` has no value: set it, or {name}_FILE, for the server, \
                 and start it again"
            )
        };
        found.map(|secret| (name.clone(), secret)).ok_or_else(missing)
    };
    names.iter().map(value).collect()
}

/// Bytes of a key in a header, beside what else may stand there.
const SHORTEST: usize = 8;

/// The variables that a server of tools is given, or that let the agent in there.
fn named_by(server: &McpServer) -> &[String] {
    match &server.way {
        McpWay::Stdio { secrets, .. } => secrets,
        McpWay::Http { auth, .. } => auth.as_ref().map_or(&[], |auth| auth.client_secret_env.as_slice()),
    }
}

/// What stands in headers that let the agent in.
fn sent_by(server: &McpServer) -> Vec<(String, Secret)> {
    let McpWay::Http { headers, .. } = &server.way else { return Vec::new() };
    let lets_in = |name: &str| {
        let name = name.to_ascii_lowercase();
        ["auth", "cookie", "cred", "key", "pass", "secret", "session", "token"].iter().any(|word| name.contains(word))
    };
    let headers = headers.iter().filter(|(name, _)| lets_in(name));
    let keys = |(name, value): (&String, &String)| {
        let called = format!("{}-{name}", server.name);
        keys_in(value).into_iter().map(move |key| (called.clone(), Secret::new(key))).collect::<Vec<_>>()
    };
    headers.flat_map(keys).collect()
}

/// What may be a key in a header's value: `KEY`, `Bearer KEY`, `sid=KEY; theme=dark`. Where all is too short the longest part.
fn keys_in(value: &str) -> Vec<&str> {
    let parts = || value.split(|c: char| c.is_whitespace() || c == ';' || c == ',').filter(|part| !part.is_empty());
    // What stands before `=` is a name, or all of a key that ends so.
    let held = |part: &'_ str| part.find('=').map_or(part.len(), |at| at + 1);
    let each = parts().flat_map(|part| [part, part.get(held(part)..).unwrap_or_default().trim_matches('"')]);
    let long: Vec<&str> = each.filter(|part| part.len() >= SHORTEST).collect();
    if long.is_empty() { parts().max_by_key(|part| part.len()).into_iter().collect() } else { long }
}

impl Catalog {
    /// Knows the secrets of all agents, from their definitions. What cannot be read is told when it is used.
    pub fn learn_all(&self) {
        let Ok(names) = self.sources.folders.names() else { return };
        for name in names.iter().filter_map(|name| name.parse::<AgentName>().ok()) {
            let Ok(Some(files)) = self.sources.folders.read(name.as_str()) else { continue };
            if let Ok(agent) = Agent::read(&name, &files, &*self.sources.variables) {
                self.learn(&agent);
            }
        }
    }

    /// Knows the secrets that an agent names. Returns a word about each that cannot be looked for.
    pub(super) fn learn(&self, agent: &Agent) -> Vec<String> {
        let models = agent.model.iter().flat_map(|first| std::iter::once(first).chain(&first.fallback));
        let meant = agent.upkeep.memory.iter().filter_map(|memory| memory.embedding.as_ref()?.api_key_env.as_ref());
        let keys = models.filter_map(|model| model.api_key_env.as_ref()).chain(meant);
        let search = agent.tools.web.search.iter().filter_map(|search| match search {
            SearchSpec::Searxng(_) => None,
            SearchSpec::Brave(variable) | SearchSpec::Tavily(variable) => Some(variable),
        });
        let tools = agent.tools.cli.iter().flat_map(|tool| &tool.secrets).chain(&agent.tools.secrets);
        let servers = agent.tools.mcp.iter().flat_map(named_by);
        // What is wrong with one of them is told by whoever needs it.
        let value = |name: &String| Some((name.clone(), self.sources.credentials.get(name).ok()??));
        let found: Vec<(String, Secret)> = keys.chain(search).chain(tools).chain(servers).filter_map(value).collect();
        let secrets = self.sources.exec.secrets();
        let refused = secrets.learn(found);
        // A port or a name may be expanded, too: nobody says that these are keys, so nothing is said where they are none.
        let expanded = agent.tools.expanded.iter().map(|held| (held.variable.clone(), held.value.clone()));
        drop(secrets.learn(expanded));
        let sent = secrets.learn(agent.tools.mcp.iter().flat_map(sent_by));
        let refused: Vec<_> = refused.into_iter().chain(sent).collect();
        for refused in &refused {
            tracing::warn!(agent = %agent.name, variable = refused.name, why = refused.why, "a secret is not redacted");
        }
        refused.iter().map(ToString::to_string).collect()
    }
}
