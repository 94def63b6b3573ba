//! A server of tools, as agent.yaml says it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::milliseconds;
use crate::agent::mcp::{McpAuth, McpGrant, McpProtocol, McpServer, McpWay, NAME_CHARS, SERVERS};
use crate::agent::{Misfit, cli};

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

    /// Returns every text in which variables are expanded.
    pub(super) fn texts(&mut self) -> impl Iterator<Item = (&'static str, &mut String)> {
        let one = |text: &'static str| move |value| (text, value);
        let auth = self.auth.as_mut().and_then(|auth| auth.client_id.as_mut());
        let single = [self.command.as_mut(), self.url.as_mut(), self.timeout.as_mut(), auth];
        let many = self.args.iter_mut().chain(self.env.values_mut()).chain(self.headers.values_mut());
        single.into_iter().flatten().chain(many).map(one("spec.tools.mcp"))
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

/// Returns the servers that are asked for.
pub(super) fn servers<'a>(entries: impl Iterator<Item = &'a McpEntry>) -> Result<Vec<McpServer>, Misfit> {
    let wrong = |why: String| Misfit::new("spec.tools.mcp", why);
    let mut servers: Vec<McpServer> = Vec::new();
    for entry in entries {
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
