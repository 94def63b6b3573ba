//! A server of tools, as agent.yaml says it.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde::Deserialize;

use super::tooling;
use crate::agent::expand::{Lookup, expand as expand_text};
use crate::agent::mcp::{Expanded, McpAuth, McpGrant, McpProtocol, McpServer, McpWay, NAME_CHARS, SERVERS};
use crate::agent::{Misfit, cli};
use crate::secret::{Secret, may_be_granted};
use crate::time::milliseconds;

/// Time of a request to a server that does not say how long it takes.
const USUAL_MS: u64 = 60_000;
const PROTOCOLS: [&str; 3] = ["auto", "2025-11-25", "2026-07-28"];

/// A server of tools.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::agent) struct McpEntry {
    name: String,
    command: Option<String>,
    args: Vec<String>,
    env: BTreeMap<String, String>,
    secrets: Vec<String>,
    url: Option<String>,
    headers: BTreeMap<String, String>,
    auth: Option<AuthEntry>,
    timeout: Option<String>,
    allow: Vec<String>,
    deny: Vec<String>,
    protocol: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct AuthEntry {
    client_id: Option<String>,
    client_secret_env: Option<String>,
    issuer: Option<String>,
    scopes: Vec<String>,
    grant: Option<String>,
}

impl AuthEntry {
    fn read(&self) -> Result<McpAuth, String> {
        let grant = match self.grant.as_deref() {
            None | Some("authorization_code") => McpGrant::AuthorizationCode,
            Some("client_credentials") => McpGrant::ClientCredentials,
            Some(other) => {
                return Err(format!("grant `{other}` is not known: it is authorization_code or client_credentials"));
            }
        };
        if grant == McpGrant::ClientCredentials && (self.client_id.is_none() || self.client_secret_env.is_none()) {
            return Err("grant `client_credentials` needs a `client_id` and a `client_secret_env`".to_owned());
        }
        if self.client_secret_env.is_some() && self.issuer.is_none() {
            let why = "`client_secret_env` needs an `issuer`: the address of the authorization server that alone gets the secret";
            return Err(why.to_owned());
        }
        let (client_id, client_secret_env) = (self.client_id.clone(), self.client_secret_env.clone());
        Ok(McpAuth { client_id, client_secret_env, issuer: self.issuer.clone(), scopes: self.scopes.clone(), grant })
    }
}

impl McpEntry {
    /// A server of which nothing else is said.
    pub(super) fn of_program(name: String, command: Option<String>) -> Self {
        Self { name, command, ..Self::default() }
    }

    /// Returns every text in which variables are expanded, with its key.
    fn texts(&mut self) -> impl Iterator<Item = (&'static str, &mut String)> {
        let auth = self.auth.as_mut().and_then(|auth| auth.client_id.as_mut());
        let single = [
            ("command", self.command.as_mut()),
            ("url", self.url.as_mut()),
            ("timeout", self.timeout.as_mut()),
            ("auth.client_id", auth),
        ];
        let env = self.env.values_mut().map(|text| ("env", text));
        let headers = self.headers.values_mut().map(|text| ("headers", text));
        single.into_iter().filter_map(|(key, text)| Some((key, text?))).chain(env).chain(headers)
    }

    fn expand(&mut self, lookup: &Lookup<'_>) -> Result<Vec<Expanded>, String> {
        if self.args.iter().any(|text| text.contains("${")) {
            let why = "whoever is on this machine sees a program's arguments, so no variable is expanded there: grant it \
                       (`secrets: [NAME]`), and have the program read it from its environment";
            return Err(format!("`args`: {why}"));
        }
        let mut found = Vec::new();
        for (key, text) in self.texts() {
            *text = expanded(text, lookup, &mut found).map_err(|why| format!("`{key}`: {why}"))?;
        }
        Ok(found)
    }

    fn server(&self) -> Result<McpServer, String> {
        let name = self.name.clone();
        if !cli::is_name(&name) || name.len() > NAME_CHARS {
            return Err(format!("`{name}` is no name of a server: letters, digits, `-` and `_`, {NAME_CHARS} at most"));
        }
        let timeout_ms = match &self.timeout {
            None => USUAL_MS,
            Some(text) => milliseconds(text).ok_or_else(|| format!("`{text}` is not a time such as 90s, 10m, 1h"))?,
        };
        let protocol = match self.protocol.as_deref() {
            None | Some("auto") => McpProtocol::Auto,
            Some("2025-11-25") => McpProtocol::V2025,
            Some("2026-07-28") => McpProtocol::V2026,
            Some(other) => {
                return Err(format!("protocol `{other}` is not spoken: it is one of {}", PROTOCOLS.join(", ")));
            }
        };
        let (allow, deny) = (self.allow.clone(), self.deny.clone());
        Ok(McpServer { way: self.way()?, name, timeout_ms, allow, deny, protocol })
    }

    fn way(&self) -> Result<McpWay, String> {
        match (&self.command, &self.url) {
            (Some(command), None) => {
                if !self.headers.is_empty() || self.auth.is_some() {
                    return Err("`headers` and `auth` belong to a server with a `url`".to_owned());
                }
                if command.trim().is_empty() {
                    return Err("`command` is empty".to_owned());
                }
                let (args, env, secrets) = (self.args.clone(), self.env.clone(), self.secrets.clone());
                Ok(McpWay::Stdio { command: command.clone(), args, env, secrets })
            }
            (None, Some(url)) => {
                if !self.args.is_empty() || !self.env.is_empty() || !self.secrets.is_empty() {
                    return Err("`args`, `env` and `secrets` belong to a server with a `command`".to_owned());
                }
                if !url.starts_with("https://") && !url.starts_with("http://") {
                    return Err(format!("`{url}` is no address that begins with `https://` or `http://`"));
                }
                let auth = self.auth.as_ref().map(AuthEntry::read).transpose()?;
                Ok(McpWay::Http { url: url.clone(), headers: self.headers.clone(), auth })
            }
            (None, None) => Err(format!("server `{}` has neither a `command` nor a `url`", self.name)),
            (Some(_), Some(_)) => Err(format!("server `{}` has a `command` and a `url`: it has one", self.name)),
        }
    }
}

/// Expands a text, and adds what variables held. Those that nothing may be granted stand in no text either.
fn expanded(text: &str, lookup: &Lookup<'_>, found: &mut Vec<Expanded>) -> Result<String, String> {
    let (refused, held) = (RefCell::new(None), RefCell::new(Vec::new()));
    let lookup = |variable: &str| {
        if !may_be_granted(variable) {
            refused.replace(Some(variable.to_owned()));
            return None;
        }
        let value = lookup(variable).filter(|value| !value.is_empty())?;
        held.borrow_mut().push(Expanded { variable: variable.to_owned(), value: Secret::new(value.as_str()) });
        Some(value)
    };
    let text = expand_text(text, &lookup);
    if let Some(variable) = refused.into_inner() {
        return Err(format!(
            "`{variable}` is not given to servers of tools: it is no variable's name, changes how programs are started, or is \
             Outlive's own. Write what it holds, or use another variable (for a program: `secrets: [NAME]`)"
        ));
    }
    found.extend(held.into_inner());
    text
}

/// Expands every variable of what is said of servers. Returns what these variables held.
pub(super) fn expand<'a>(
    entries: impl Iterator<Item = &'a mut McpEntry>,
    lookup: &Lookup<'_>,
) -> Result<Vec<Expanded>, Misfit> {
    let mut found = Vec::new();
    for entry in entries {
        let wrong = |name: &str, why: &str| Misfit::new("spec.tools.mcp", format!("server `{name}`: {why}"));
        found.extend(entry.expand(lookup).map_err(|why| wrong(&entry.name, &why))?);
    }
    Ok(found)
}

/// Returns the servers that are asked for.
pub(super) fn servers<'a>(entries: impl Iterator<Item = &'a McpEntry>) -> Result<Vec<McpServer>, Misfit> {
    let wrong = |why: String| Misfit::new("spec.tools.mcp", why);
    let mut servers: Vec<McpServer> = Vec::new();
    for entry in entries {
        tooling::check_secrets(&entry.secrets)?;
        let client = entry.auth.as_ref().and_then(|auth| auth.client_secret_env.as_ref());
        tooling::check_secrets(client.map_or(&[], std::slice::from_ref))?;
        let server = entry.server().map_err(wrong)?;
        if servers.iter().any(|other| other.name == server.name) {
            return Err(wrong(format!("server `{}` is there twice", server.name)));
        }
        servers.push(server);
    }
    if servers.len() > SERVERS {
        return Err(wrong(format!("{} servers are asked for: {SERVERS} are the most", servers.len())));
    }
    Ok(servers)
}
