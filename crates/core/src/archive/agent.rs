//! An agent in an archive: its files under `agent/DIGEST/`.

use super::{AgentPart, ArchiveError, Entries, Kind, Manifest, Packer, unpack, wrong};
use crate::agent::{Files, check_files, files_digest};
use crate::id::AgentName;

/// An agent, without its name's folder.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentArchive {
    /// Its name.
    pub name: AgentName,
    /// Its files: path relative to its folder → bytes.
    pub files: Files,
}

impl AgentArchive {
    /// Writes it.
    ///
    /// # Errors
    ///
    /// A path or the whole is too long.
    pub fn write(&self) -> Result<Vec<u8>, ArchiveError> {
        let mut packer = Packer::default();
        let digest = files_digest(&self.files);
        for (path, content) in &self.files {
            packer.add(&format!("agent/{digest}/{path}"), content)?;
        }
        let part = AgentPart { name: self.name.clone(), digest: Some(digest), left_out: None };
        packer.finish(Manifest::new(Kind::Agent, part))
    }

    /// Reads it.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn read(bytes: &[u8]) -> Result<Self, ArchiveError> {
        let (manifest, entries) = unpack(bytes)?;
        if manifest.kind != Kind::Agent || manifest.session.is_some() || manifest.head.is_some() {
            return Err(wrong("it holds a session, not an agent alone; `outlive session import` takes it"));
        }
        let files = files(&manifest.agent, &entries)?.ok_or_else(|| wrong("it has no files of an agent"))?;
        if files.len() != entries.len() {
            return Err(wrong("it holds more than an agent's files"));
        }
        Ok(Self { name: manifest.agent.name, files })
    }
}

/// Returns the agent's files among the entries, checked; `None` where they were left out.
pub(super) fn files(part: &AgentPart, entries: &Entries<'_>) -> Result<Option<Files>, ArchiveError> {
    let Some(digest) = &part.digest else { return Ok(None) };
    let folder = format!("agent/{digest}/");
    let own =
        entries.iter().filter_map(|(path, content)| Some((path.strip_prefix(&folder)?.to_owned(), content.to_vec())));
    let files: Files = own.collect();
    check_files(&files).map_err(|why| wrong(format!("agent `{}`: {why}", part.name)))?;
    if files_digest(&files) == *digest {
        Ok(Some(files))
    } else {
        Err(wrong(format!("the files of agent `{}` do not have the digest {digest}", part.name)))
    }
}
