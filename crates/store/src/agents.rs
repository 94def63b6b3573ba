//! Reads and makes agents' folders, and lets nothing outside of them in.
//!
//! Invariants: what is written is what `core::agent` takes for an agent's own files: known places, bounded sizes. No file that
//! is read is above [`FILE_BYTES`], no folder above [`FILES`] files. A change keeps what it replaces.

use std::collections::BTreeMap;

use outlive_core::agent::{Files, check_files, files_digest, folder_digest, own_files};
use outlive_core::digest::Digest;
use outlive_core::id::AgentName;
use outlive_core::policy::with_grant;
use outlive_core::time::Timestamp;

use crate::{RelayFiles, StoreError};

/// Bytes of one file of an agent.
pub const FILE_BYTES: usize = outlive_core::agent::AGENT_FILE_BYTES;
/// Files of one agent.
pub const FILES: usize = outlive_core::agent::AGENT_FILES;
/// What the workspace's policy is called among an agent's files.
pub const WORKSPACE_POLICY: &str = "../../policy.yaml";

/// Writes down what a person allowed an agent for good.
pub trait AgentGrants: Send + Sync {
    /// Adds the rule to the agent's `policy.local.yaml`, which is made where there is none: whole or not at all.
    fn grant(&self, name: &AgentName, rule: &str) -> Result<(), StoreError>;
}

/// The files of agents, as bytes; what they mean is `core::agent`'s matter.
pub trait AgentFolders: AgentGrants + RelayFiles {
    /// Returns the names of the folders under `agents/`, sorted; names that are not agent names are left out.
    fn names(&self) -> Result<Vec<String>, StoreError>;

    /// Returns a value that changes when any file of the agent, or one that its workspace shares, changes: cheap (no file is
    /// read).
    fn stamp(&self, name: &str) -> Result<Option<u64>, StoreError>;

    /// Reads the agent's folder, plus what its workspace shares (`policy.yaml`, `directives/`, `skills/`) with `../../` before it:
    /// path relative to the folder → bytes. `None` if there is no such folder.
    fn read(&self, name: &str) -> Result<Option<BTreeMap<String, Vec<u8>>>, StoreError>;

    /// Writes a new agent's files; refuses to touch an existing folder.
    fn create(&self, name: &str, files: BTreeMap<String, Vec<u8>>) -> Result<(), StoreError>;

    /// Writes an agent's own files in place of those that are there, or with `None` takes the agent away: whole or not at
    /// all, also when the process dies. What was there is kept as a version.
    fn change(&self, name: &AgentName, files: Option<Files>, expected: Expected) -> Result<Changed, StoreError>;

    /// Keeps files as a version, beside what is there.
    fn keep(&self, name: &AgentName, files: Files) -> Result<(), StoreError>;

    /// Returns the versions that are kept, at most [`VERSIONS`], newest first.
    fn versions(&self, name: &AgentName) -> Result<Vec<Version>, StoreError>;

    /// Returns the files of a version that is kept.
    fn version(&self, name: &AgentName, digest: &Digest) -> Result<Option<Files>, StoreError>;
}

/// Versions of an agent that are kept, besides the present one.
pub const VERSIONS: usize = 20;

/// What must be there for a change to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Whatever is there, or nothing.
    Anything,
    /// No such agent.
    Nothing,
    /// An agent, whatever it is.
    Something,
    /// The agent with this digest, of its own files or with the workspace's policy.
    Digest(Digest),
}

impl Expected {
    /// Says whether it is what is there.
    pub(crate) fn holds(&self, here: Option<&Files>) -> bool {
        match (self, here) {
            (Self::Anything, _) | (Self::Nothing, None) | (Self::Something, Some(_)) => true,
            (Self::Digest(wanted), Some(files)) => {
                files_digest(&own_files(files.clone())) == *wanted || folder_digest(files) == *wanted
            }
            (Self::Nothing, Some(_)) | (Self::Something | Self::Digest(_), None) => false,
        }
    }
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It is done.
    Done {
        /// Whether there was such an agent before.
        was_there: bool,
    },
    /// What was expected is not there: nothing was done.
    Stale,
}

/// A version of an agent's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Counts up with each that is kept.
    pub number: u64,
    /// The digest of its files.
    pub digest: Digest,
    /// When it was kept, where that is known.
    pub kept_at: Option<Timestamp>,
}

pub(crate) fn refused(name: &str, why: impl Into<String>) -> StoreError {
    StoreError::Refused { what: format!("agent `{name}`"), why: why.into() }
}

/// Checks what an agent is to be made of: its name, its paths, its sizes.
pub(crate) fn check_new(name: &str, files: &Files) -> Result<AgentName, StoreError> {
    let parsed: AgentName = name.parse().map_err(|e: outlive_core::id::AgentNameError| refused(name, e.to_string()))?;
    check_files(files).map_err(|why| refused(name, why))?;
    Ok(parsed)
}

/// Returns what `policy.local.yaml` is to be.
pub(crate) fn granted(name: &AgentName, before: &[u8], rule: &str) -> Result<Vec<u8>, StoreError> {
    let text = std::str::from_utf8(before).map_err(|_| refused(name.as_str(), "policy.local.yaml is not UTF-8"))?;
    with_grant(text, rule).map(String::into_bytes).map_err(|why| refused(name.as_str(), why))
}

pub(crate) fn taken(name: &str) -> StoreError {
    refused(name, "it exists already; choose another name, or remove its folder first")
}
