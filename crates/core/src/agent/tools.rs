//! The tools that an agent is made with.

use std::sync::Arc;

use super::mcp::Expanded;
use super::spec::{SandboxSpec, WebSpec};
use super::{CliTool, McpServer, Skill};
use crate::hooks::Hooks;

/// The tools that an agent is made with.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tools {
    /// Names of the builtin ones: `bash`, `files`, `web`.
    pub builtin: Vec<String>,
    /// Variables that the commands of bash are given: secrets, by name.
    pub secrets: Vec<String>,
    /// What those of the web may reach.
    pub web: WebSpec,
    /// In what commands run.
    pub sandbox: SandboxSpec,
    /// Programs.
    pub cli: Vec<CliTool>,
    /// Servers of tools.
    pub mcp: Vec<McpServer>,
    /// The variables that were expanded in what is said of them.
    pub expanded: Vec<Expanded>,
    /// Skills.
    pub skills: Arc<[Skill]>,
    /// What is put before and behind its calls.
    pub hooks: Hooks,
}
