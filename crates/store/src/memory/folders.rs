//! Agents' files in memory.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use outlive_core::agent::{Files, files_digest, own_files};
use outlive_core::digest::Digest;
use outlive_core::id::AgentName;
use outlive_core::policy::LOCAL_POLICY;

use super::Memory;
use crate::agents::{check_new, granted, refused, taken};
use crate::{AgentFolders, AgentGrants, Changed, Expected, StoreError, VERSIONS, Version};

/// Agents' files, and what they were before.
#[derive(Default)]
pub(super) struct Folders {
    pub(super) agents: BTreeMap<String, Files>,
    /// Oldest first.
    kept: BTreeMap<AgentName, Vec<(Version, Files)>>,
    /// The workspace's own, as its agents see them.
    pub(super) shared: Files,
    /// Definitions of relays, by their names.
    pub(super) relays: BTreeMap<String, String>,
}

impl Folders {
    fn agent(&self, name: &str) -> Option<Files> {
        let mut files = self.agents.get(name)?.clone();
        files.extend(self.shared.clone());
        Some(files)
    }

    fn keep(&mut self, name: &AgentName, files: Files) {
        let kept = self.kept.entry(name.clone()).or_default();
        let digest = files_digest(&files);
        let number = kept.last().map_or(1, |(version, _)| version.number + 1);
        kept.retain(|(version, _)| version.digest != digest);
        kept.push((Version { number, digest, kept_at: None }, files));
        kept.drain(..kept.len().saturating_sub(VERSIONS));
    }
}

impl AgentGrants for Memory {
    fn grant(&self, name: &AgentName, rule: &str) -> Result<(), StoreError> {
        let folders = &mut self.world().folders;
        let files = folders.agents.get_mut(name.as_str());
        let files = files.ok_or_else(|| refused(name.as_str(), "there is no such agent"))?;
        let before = files.get(LOCAL_POLICY).cloned().unwrap_or_default();
        files.insert(LOCAL_POLICY.to_owned(), granted(name, &before, rule)?);
        Ok(())
    }
}

impl AgentFolders for Memory {
    fn names(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.world().folders.agents.keys().cloned().collect())
    }

    fn stamp(&self, name: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.world().folders.agent(name).map(|files| {
            let mut hasher = DefaultHasher::new();
            files.hash(&mut hasher);
            hasher.finish()
        }))
    }

    fn read(&self, name: &str) -> Result<Option<Files>, StoreError> {
        Ok(self.world().folders.agent(name))
    }

    fn create(&self, name: &str, files: Files) -> Result<(), StoreError> {
        check_new(name, &files)?;
        let folders = &mut self.world().folders;
        if folders.agents.contains_key(name) {
            return Err(taken(name));
        }
        folders.agents.insert(name.to_owned(), files);
        Ok(())
    }

    fn change(&self, name: &AgentName, files: Option<Files>, expected: Expected) -> Result<Changed, StoreError> {
        if let Some(files) = &files {
            check_new(name.as_str(), files)?;
        }
        let folders = &mut self.world().folders;
        if !expected.holds(folders.agent(name.as_str()).as_ref()) {
            return Ok(Changed::Stale);
        }
        let here = folders.agents.remove(name.as_str());
        let local = here.as_ref().and_then(|files| files.get(LOCAL_POLICY).cloned());
        let present = here.map(own_files);
        let was_there = present.is_some();
        if let Some(present) = present.filter(|present| files.as_ref() != Some(present)) {
            folders.keep(name, present);
        }
        folders.agents.extend(files.map(|mut files| {
            files.extend(local.map(|local| (LOCAL_POLICY.to_owned(), local)));
            (name.to_string(), files)
        }));
        Ok(Changed::Done { was_there })
    }

    fn keep(&self, name: &AgentName, files: Files) -> Result<(), StoreError> {
        check_new(name.as_str(), &files)?;
        self.world().folders.keep(name, files);
        Ok(())
    }

    fn versions(&self, name: &AgentName) -> Result<Vec<Version>, StoreError> {
        let kept = self.world().folders.kept.get(name).cloned().unwrap_or_default();
        Ok(kept.into_iter().rev().map(|(version, _)| version).collect())
    }

    fn version(&self, name: &AgentName, digest: &Digest) -> Result<Option<Files>, StoreError> {
        let kept = self.world().folders.kept.get(name).cloned().unwrap_or_default();
        Ok(kept.into_iter().find(|(version, _)| version.digest == *digest).map(|(_, files)| files))
    }
}
