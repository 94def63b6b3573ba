//! `sandbox` of an agent: in what its commands run, what they may write, and what they may reach.

use serde::Deserialize;

/// How an agent's calls are confined. Left out, it is all that is left out here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SandboxSpec {
    /// In what they run.
    pub mode: SandboxMode,
    /// What they may reach.
    pub network: NetworkSpec,
    /// Of what a container is made, where Docker runs them.
    pub image: Option<String>,
    /// Folders that they may write, absolute or from the working folder; `workspace` is that folder itself.
    pub write: Vec<String>,
}

impl Default for SandboxSpec {
    fn default() -> Self {
        let write = vec!["workspace".to_owned()];
        Self { mode: SandboxMode::default(), network: NetworkSpec::default(), image: None, write }
    }
}

/// In what an agent's commands run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SandboxMode {
    /// bubblewrap where it works, else Docker, else they do not run.
    #[default]
    Auto,
    /// bubblewrap.
    Bubblewrap,
    /// Docker.
    Docker,
    /// None: they may do what the server may do.
    Trust,
}

impl SandboxMode {
    /// Returns its name in agent.yaml.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Bubblewrap => "bubblewrap",
            Self::Docker => "docker",
            Self::Trust => "trust",
        }
    }
}

/// What an agent's commands may reach.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "`true`, `false` or a list of hosts")]
pub enum NetworkSpec {
    /// `true`: every public address; `false`: nothing.
    All(bool),
    /// These hosts, as grants: `example.org`, `*.example.org`, `10.0.0.0/8`, each with a port where one is meant.
    Hosts(Vec<String>),
}

impl Default for NetworkSpec {
    fn default() -> Self {
        Self::All(false)
    }
}
