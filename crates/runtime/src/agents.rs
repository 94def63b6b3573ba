//! Changes agents: their files are checked whole before any is written, and what they were is kept.

use outlive_core::agent::{Agent, Files, Lookup, WORKSPACE, files_digest, own_files};
use outlive_core::archive::AgentArchive;
use outlive_core::digest::Digest;
use outlive_core::id::AgentName;
use outlive_core::session::Refusal;
use outlive_store::{Changed, Expected, Version};
use outlive_tools::sandbox::Sandbox;

use crate::kit::KitError;
use crate::{Runtime, SubmitError};

/// A change to an agent that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentWritten {
    /// The digest of its files now.
    pub digest: Digest,
    /// Whether there was such an agent before.
    pub was_there: bool,
    /// What its files ask for that this version does not have.
    pub warnings: Vec<String>,
}

/// Checks files as `agent validate` does; returns the warnings.
///
/// # Errors
///
/// [`KitError::Invalid`] with file, line and column.
pub fn check(name: &AgentName, files: &Files, lookup: &Lookup<'_>) -> Result<Vec<String>, KitError> {
    let invalid = |why: String| KitError::Invalid { agent: name.clone(), why };
    let agent = Agent::read(name, files, lookup).map_err(|error| invalid(error.to_string()))?;
    Sandbox::of(&agent.tools.sandbox).map_err(invalid)?;
    match agent.policy.unreadable {
        Some(why) => Err(invalid(why)),
        None => Ok(agent.warnings),
    }
}

impl Runtime {
    /// Returns an agent's own files.
    ///
    /// # Errors
    ///
    /// There is no such agent, or what the store says.
    pub fn agent_files(&self, name: &AgentName) -> Result<Files, SubmitError> {
        let here = self.shell.store.agents.read(name.as_str()).map_err(SubmitError::Store)?;
        here.map(own_files).ok_or_else(|| SubmitError::Agent(KitError::Unknown(name.clone())))
    }

    /// Writes an agent's files in place of those that are there, all of them.
    ///
    /// # Errors
    ///
    /// They are no agent, or another one is there than expected; then nothing is written.
    pub fn write_agent(&self, name: &AgentName, files: Files, expected: Expected) -> Result<AgentWritten, SubmitError> {
        outlive_core::agent::check_files(&files)
            .map_err(|why| SubmitError::Agent(KitError::Invalid { agent: name.clone(), why }))?;
        let mut whole = files.clone();
        whole.extend(self.shared_files(name)?);
        let warnings = self.shell.kits.check(name, &whole).map_err(SubmitError::Agent)?;
        let digest = files_digest(&files);
        let was_there = self.change_agent(name, Some(files), expected)?;
        Ok(AgentWritten { digest, was_there, warnings })
    }

    /// Takes an agent away. Its sessions stay, and go on when there is one of its name again.
    ///
    /// # Errors
    ///
    /// There is none, or another one than expected.
    pub fn delete_agent(&self, name: &AgentName, expected: Expected) -> Result<(), SubmitError> {
        if self.change_agent(name, None, expected)? {
            Ok(())
        } else {
            Err(SubmitError::Agent(KitError::Unknown(name.clone())))
        }
    }

    fn change_agent(&self, name: &AgentName, files: Option<Files>, expected: Expected) -> Result<bool, SubmitError> {
        let is_new_only = expected == Expected::Nothing;
        match self.shell.store.agents.change(name, files, expected).map_err(SubmitError::Store)? {
            Changed::Done { was_there } => Ok(was_there),
            Changed::Stale if is_new_only => {
                let what = format!("there is another agent `{name}` already: replace it, or take it away first");
                Err(SubmitError::Refused(Refusal::Invalid { code: "agent_exists", what }))
            }
            Changed::Stale => {
                let what = format!("agent `{name}` is not what it was when you read it: read it again");
                Err(SubmitError::Refused(Refusal::Invalid { code: "agent_changed", what }))
            }
        }
    }

    /// Returns what an agent was before, newest first.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub fn agent_versions(&self, name: &AgentName) -> Result<Vec<Version>, SubmitError> {
        self.shell.store.agents.versions(name).map_err(SubmitError::Store)
    }

    /// Returns the files of a version that is kept.
    ///
    /// # Errors
    ///
    /// It is not kept.
    pub fn agent_version(&self, name: &AgentName, digest: &Digest) -> Result<Files, SubmitError> {
        let kept = self.shell.store.agents.version(name, digest).map_err(SubmitError::Store)?;
        let what =
            || format!("no version {digest} of agent `{name}` is kept; `outlive agent versions {name}` lists them");
        kept.ok_or_else(|| SubmitError::Refused(Refusal::Invalid { code: "not_found", what: what() }))
    }

    /// Returns an agent as one file.
    ///
    /// # Errors
    ///
    /// There is none, or it is too large for an archive.
    pub fn export_agent(&self, name: &AgentName) -> Result<Vec<u8>, SubmitError> {
        let files = self.agent_files(name)?;
        let invalid = |why: String| SubmitError::Agent(KitError::Invalid { agent: name.clone(), why });
        outlive_core::agent::check_files(&files).map_err(invalid)?;
        AgentArchive { name: name.clone(), files }.write().map_err(|error| invalid(error.to_string()))
    }

    /// Takes an agent in from an archive. The same one, already there, is left as it is.
    ///
    /// # Errors
    ///
    /// It is no archive of an agent that is right; another one is there, and nobody said to replace it.
    pub fn import_agent(&self, bytes: &[u8], replaces: bool) -> Result<(AgentName, AgentWritten), SubmitError> {
        let invalid = |what: String| SubmitError::Refused(Refusal::Invalid { code: "archive_invalid", what });
        let read =
            AgentArchive::read(bytes).map_err(|error| invalid(format!("this is no archive of an agent: {error}")));
        let AgentArchive { name, files } = read?;
        let is_same = self.agent_files(&name).is_ok_and(|here| here == files);
        let expected = if replaces || is_same { Expected::Anything } else { Expected::Nothing };
        Ok((name.clone(), self.write_agent(&name, files, expected)?))
    }

    /// Returns what the workspace gives to all its agents.
    fn shared_files(&self, name: &AgentName) -> Result<Files, SubmitError> {
        let agents = &self.shell.store.agents;
        // It is read beside an agent's files: beside any other's while this one is not there.
        let others = agents.names().map_err(SubmitError::Store)?;
        for other in [name.to_string()].iter().chain(&others) {
            if let Some(mut files) = agents.read(other).map_err(SubmitError::Store)? {
                files.retain(|path, _| path.starts_with(WORKSPACE));
                return Ok(files);
            }
        }
        Ok(Files::new())
    }
}
