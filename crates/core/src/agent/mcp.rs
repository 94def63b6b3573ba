//! Servers of tools that an agent has: programs that speak MCP over their pipes, and those at an address.

use std::collections::BTreeMap;

use crate::secret::Secret;

/// Characters of a server's name: with a tool's behind it a model's API still takes it.
pub const NAME_CHARS: usize = 32;
/// Servers of one agent.
pub const SERVERS: usize = 32;

/// A server of tools, resources and prompts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpServer {
    /// Its name: letters, digits, `-` and `_`, at most [`NAME_CHARS`].
    pub name: String,
    /// How it is reached.
    pub way: McpWay,
    /// Time of one request, in milliseconds.
    pub timeout_ms: u64,
    /// Which of its tools are on offer, with `*` for any letters; all, where nothing is named.
    pub allow: Vec<String>,
    /// Which are not.
    pub deny: Vec<String>,
    /// Which version of the protocol is spoken.
    pub protocol: McpProtocol,
}

/// A variable that was expanded in what an agent says of its servers: what it held may be a key, so it is known as a secret.
#[derive(Debug, Clone)]
pub struct Expanded {
    /// Its name.
    pub variable: String,
    /// What it held when the agent was read.
    pub value: Secret,
}

impl PartialEq for Expanded {
    fn eq(&self, other: &Self) -> bool {
        (&self.variable, self.value.reveal()) == (&other.variable, other.value.reveal())
    }
}

/// How a server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum McpWay {
    /// By the pipes of a program, which runs in the agent's sandbox.
    Stdio {
        /// The program: a path within the agent's folder, an absolute one, or a name without a slash.
        command: String,
        /// Its arguments, each as it is.
        args: Vec<String>,
        /// Variables of its environment.
        env: BTreeMap<String, String>,
        /// Names of variables of the server's environment that it is given.
        secrets: Vec<String>,
    },
    /// By streamable HTTP.
    Http {
        /// Its address.
        url: String,
        /// Headers of each request.
        headers: BTreeMap<String, String>,
        /// How the agent is let in, where the server asks for OAuth.
        auth: Option<McpAuth>,
    },
}

/// How an agent is let in by a server that asks for OAuth.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct McpAuth {
    /// The client's name at the authorization server; registered by itself where none is given.
    pub client_id: Option<String>,
    /// The variable of the server's environment that holds the client's secret.
    pub client_secret_env: Option<String>,
    /// The only authorization server that is taken. With a secret it must be given: the server of tools says where to log in,
    /// and would be sent it otherwise.
    pub issuer: Option<String>,
    /// What is asked for; what the server names, where nothing is given.
    pub scopes: Vec<String>,
    /// Who logs in.
    pub grant: McpGrant,
}

/// Who logs in to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum McpGrant {
    /// A person, with a browser.
    #[default]
    AuthorizationCode,
    /// This program, by the client's own id and secret.
    ClientCredentials,
}

/// Which version of the protocol is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum McpProtocol {
    /// The newest that both know.
    #[default]
    Auto,
    /// 2025-11-25, or an older one that the server answers with: with a handshake.
    V2025,
    /// 2026-07-28: without one.
    V2026,
}
