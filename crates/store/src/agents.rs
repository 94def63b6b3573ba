//! Reads and makes agents' folders, and lets nothing outside of them in.
//!
//! Invariants: a path is relative, goes down, and has at most [`DEPTH`] parts; no file is above [`FILE_BYTES`], no folder
//! above [`FILES`] files.

use std::collections::BTreeMap;

use outlive_core::id::AgentName;

use crate::StoreError;

/// Bytes of one file of an agent.
pub const FILE_BYTES: usize = 1 << 20;
/// Files of one agent.
pub const FILES: usize = 256;
/// Folders deep.
pub const DEPTH: usize = 8;
/// What the workspace's policy is called among an agent's files.
pub const WORKSPACE_POLICY: &str = "../../policy.yaml";

/// The files of agents, as bytes; what they mean is `core::agent`'s matter.
pub trait AgentFolders: Send + Sync {
    /// Returns the names of the folders under `agents/`, sorted; names that are not agent names are left out.
    fn names(&self) -> Result<Vec<String>, StoreError>;

    /// Returns a value that changes when any file of the agent, or the workspace policy, changes: cheap (no file is read).
    fn stamp(&self, name: &str) -> Result<Option<u64>, StoreError>;

    /// Reads the agent's folder, plus the workspace's `policy.yaml` under that name with the path `../../policy.yaml`:
    /// path relative to the folder → bytes. `None` if there is no such folder.
    fn read(&self, name: &str) -> Result<Option<BTreeMap<String, Vec<u8>>>, StoreError>;

    /// Writes a new agent's files; refuses to touch an existing folder.
    fn create(&self, name: &str, files: BTreeMap<String, Vec<u8>>) -> Result<(), StoreError>;
}

fn refused(name: &str, why: impl Into<String>) -> StoreError {
    StoreError::Refused { what: format!("agent `{name}`"), why: why.into() }
}

/// Checks what a new agent is made of: its name, its paths, its sizes.
pub(crate) fn check_new(name: &str, files: &BTreeMap<String, Vec<u8>>) -> Result<(), StoreError> {
    let _: AgentName = name.parse().map_err(|e: outlive_core::id::AgentNameError| refused(name, e.to_string()))?;
    if files.len() > FILES {
        return Err(refused(name, format!("{} files; at most {FILES} fit", files.len())));
    }
    for (path, bytes) in files {
        if !goes_down(path) {
            return Err(refused(name, format!("`{path}` does not lie in its folder")));
        }
        if bytes.len() > FILE_BYTES {
            return Err(too_large(name, path));
        }
    }
    Ok(())
}

pub(crate) fn taken(name: &str) -> StoreError {
    refused(name, "it exists already; choose another name, or remove its folder first")
}

fn too_large(name: &str, path: &str) -> StoreError {
    refused(name, format!("`{path}` is larger than {FILE_BYTES} bytes"))
}

fn goes_down(path: &str) -> bool {
    let mut parts = path.split('/');
    path.split('/').count() <= DEPTH
        && parts.all(|part| !matches!(part, "" | "." | "..") && !part.contains(['\\', '\0']))
}
