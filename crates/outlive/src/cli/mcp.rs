//! What is typed to look at MCP servers.

use clap::{Args, Subcommand};
use outlive_core::id::AgentName;

use super::id;

/// What to do with MCP servers.
#[derive(Debug, Subcommand)]
pub enum Mcp {
    /// Start the servers of an agent, or of all, and say how each is, which tools it has, and whether it wants a login
    List {
        /// Whose; every agent's when it is left out
        #[arg(value_parser = id::<AgentName>)]
        agent: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Log in to a server that asks who comes: print the address to open, and wait until the browser is back
    Login(Login),
    /// Forget a login; whoever gave it is not told
    Logout {
        /// Whose
        #[arg(value_parser = id::<AgentName>)]
        agent: String,
        /// To which server, as the agent calls it
        server: String,
    },
}

/// Where to log in.
#[derive(Debug, Args)]
pub struct Login {
    /// For which agent
    #[arg(value_parser = id::<AgentName>)]
    pub agent: String,
    /// To which server, as the agent calls it
    pub server: String,
    /// Where the browser comes back to, on this machine; a free port when it is left out. A client that was registered by
    /// hand needs the one that it was registered with, as http://127.0.0.1:PORT/callback
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    pub port: u16,
}
