//! The services by which agents find memories: read from their files alone, since nothing else of theirs is to begin for it.

use std::sync::{Arc, PoisonError};

use outlive_core::agent::{Agent, EmbeddingSpec, MemorySpec};
use outlive_core::id::AgentName;
use outlive_model::embeddings::Embedder;
use outlive_store::StoreError;

use super::Catalog;
use crate::kit::Kits as _;
use crate::meaning::Meaning;

/// What an agent's files said of it when they were read last.
pub(super) struct Named {
    stamp: u64,
    named: Option<(EmbeddingSpec, Arc<Meaning>)>,
}

impl Catalog {
    pub(super) fn meanings_of(&self, agent: Option<&AgentName>) -> Result<Vec<(AgentName, Arc<Meaning>)>, StoreError> {
        let names = match agent {
            Some(agent) => vec![agent.clone()],
            None => self.names()?,
        };
        let mut found = Vec::new();
        for name in names {
            let meaning = self.meaning_of(&name)?;
            found.extend(meaning.map(|meaning| (name, meaning)));
        }
        Ok(found)
    }

    /// Files that cannot be read now change nothing.
    fn meaning_of(&self, name: &AgentName) -> Result<Option<Arc<Meaning>>, StoreError> {
        let Some(stamp) = self.sources.folders.stamp(name.as_str())? else { return Ok(None) };
        let mut all = self.meanings.lock().unwrap_or_else(PoisonError::into_inner);
        let before = all.remove(name).unwrap_or(Named { stamp: !stamp, named: None });
        let now = if before.stamp == stamp { before } else { Named { stamp, named: self.named(name, before)? } };
        let meaning = now.named.as_ref().map(|(_, meaning)| Arc::clone(meaning));
        all.insert(name.clone(), now);
        Ok(meaning)
    }

    fn named(&self, name: &AgentName, before: Named) -> Result<Option<(EmbeddingSpec, Arc<Meaning>)>, StoreError> {
        let files = self.sources.folders.read(name.as_str())?;
        let read = files.and_then(|files| Agent::read(name, &files, &*self.sources.variables).ok());
        let Some(agent) = read else { return Ok(before.named) };
        let memory = agent.upkeep.memory.filter(MemorySpec::is_on);
        let Some(spec) = memory.and_then(|memory| memory.embedding) else { return Ok(None) };
        if let Some(same) = before.named.filter(|(other, _)| *other == spec) {
            return Ok(Some(same));
        }
        let embedder = self.sources.models.embedder(&spec);
        let embedder = embedder.unwrap_or_else(|why| Embedder::unable(spec.clone(), why));
        Ok(Some((spec, Arc::new(Meaning::new(embedder)))))
    }
}
