//! What is typed to look at policies.

use clap::{Args, Subcommand};
use outlive_core::id::AgentName;

use super::id;

/// What to look at.
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Judge a command as a call of it would be, each part by the rule that decides; exit code 0 if it may run, else 4
    Test(Test),
    /// Print all rules of all levels, with file and line, in the order in which they are looked at
    Explain(Explain),
}

/// What to judge.
#[derive(Debug, Args)]
pub struct Test {
    /// The command line; for another tool the path, host or name
    pub command: String,
    /// For which agent; the only one, or `default`, when it is left out
    #[arg(short, long, value_parser = id::<AgentName>)]
    pub agent: Option<String>,
    /// Which tool, as rules call it: bash, read, write, web, mcp, …
    #[arg(short, long, default_value = "bash")]
    pub tool: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Whose rules to print.
#[derive(Debug, Args)]
pub struct Explain {
    /// Of which agent; the only one, or `default`, when it is left out
    #[arg(short, long, value_parser = id::<AgentName>)]
    pub agent: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
