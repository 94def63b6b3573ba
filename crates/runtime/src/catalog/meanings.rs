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
#[derive(Clone)]
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

    /// Files that cannot be read now change nothing. Nobody waits for another one's reading.
    fn meaning_of(&self, name: &AgentName) -> Result<Option<Arc<Meaning>>, StoreError> {
        let Some(stamp) = self.sources.folders.stamp(name.as_str())? else { return Ok(None) };
        let all = || self.meanings.lock().unwrap_or_else(PoisonError::into_inner);
        let meaning = |named: &Option<(EmbeddingSpec, Arc<Meaning>)>| named.as_ref().map(|(_, it)| Arc::clone(it));
        let before = all().get(name).cloned().unwrap_or(Named { stamp: !stamp, named: None });
        if before.stamp == stamp {
            return Ok(meaning(&before.named));
        }
        let mut named = self.named(name, before)?;
        let mut all = all();
        // Who has read the same meanwhile has made it: a service has one.
        let other = all.remove(name).and_then(|other| other.named);
        let same = |(spec, _): &(EmbeddingSpec, _)| named.as_ref().is_some_and(|(now, _)| now == spec);
        named = other.filter(same).or(named);
        let found = meaning(&named);
        all.insert(name.clone(), Named { stamp, named });
        Ok(found)
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
