//! The tools that an agent is made with.

use std::sync::Arc;

use super::spec::WebSpec;
use super::{CliTool, McpServer, Skill};
use crate::hooks::Hooks;

/// The tools that an agent is made with.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tools {
    /// Names of the builtin ones: `bash`, `files`, `web`.
    pub builtin: Vec<String>,
    /// What those of the web may reach.
    pub web: WebSpec,
    /// Programs.
    pub cli: Vec<CliTool>,
    /// Servers of tools.
    pub mcp: Vec<McpServer>,
    /// Skills.
    pub skills: Arc<[Skill]>,
    /// What is put before and behind its calls.
    pub hooks: Hooks,
}
