//! The tools that an agent is made with.

use super::spec::WebSpec;
use super::{CliTool, Skill};

/// The tools that an agent is made with.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tools {
    /// Names of the builtin ones: `bash`, `files`, `web`.
    pub builtin: Vec<String>,
    /// What those of the web may reach.
    pub web: WebSpec,
    /// Programs.
    pub cli: Vec<CliTool>,
    /// Skills.
    pub skills: Vec<Skill>,
}
