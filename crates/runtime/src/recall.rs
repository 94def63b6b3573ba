//! Finds what is remembered, and says where it comes from.

use outlive_core::id::MemoryId;
use outlive_store::{Provenance, RecallQuery, Recalled, RememberedPage, RememberedQuery, StoreError};

use crate::meaning::{Meanings, service};
use crate::{Runtime, load};

impl Runtime {
    /// Finds memories by what they say, asked now; and by what they mean, where the agent that asks names a service for that.
    /// Where that does not answer well and in time, by what they say alone; a note says so.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub async fn recall(&self, mut query: RecallQuery) -> Result<Recalled, StoreError> {
        query.now = self.shell.moments.now();
        if let (None, Some(session)) = (&query.sight.agent, query.sight.session) {
            let state = load::state(&self.shell.store, session).await?.state;
            query.sight.agent = state.profile.map(|profile| profile.agent.to_string());
        }
        let found = service(&self.shell, &query.sight);
        let (service, vector) = match found {
            Ok(None) => return self.shell.store.memories.recall(query).await,
            Ok(Some(service)) => {
                let vector = self.vector(&service, &query.text).await;
                (service, vector)
            }
            Err(why) => (Meanings::new(), Err(why)),
        };
        let (vector, why) = vector.map_or_else(|why| (None, Some(why)), |vector| (Some(vector), None));
        query.vector = vector;
        let mut recalled = self.shell.store.memories.recall(query).await?;
        let trouble = service.iter().find_map(|(_, meaning)| meaning.trouble());
        let note = match (why, recalled.unmeasured) {
            (Some(why), _) => Some(format!("vectors: unavailable because {why}; found by words alone")),
            (None, 0) => None,
            (None, missing) => {
                service.iter().for_each(|(agent, meaning)| meaning.begin(&self.shell, agent));
                let because = trouble.map(|why| format!(" because {why}")).unwrap_or_default();
                Some(format!("vectors: {missing} memories have none yet{because}; these are found by words alone"))
            }
        };
        let redactor = self.shell.kits.secrets().now();
        recalled.notes.extend(note.map(|note| redactor.text(&note).into_owned()));
        Ok(recalled)
    }

    async fn vector(&self, service: &Meanings, text: &str) -> Result<(outlive_store::Space, Vec<f32>), String> {
        let Some((_, meaning)) = service.first() else { return Err("no agent names a service".to_owned()) };
        if self.shell.brake.stop().is_some() {
            return Err("everything is stopped".to_owned());
        }
        // What is known to be secret leaves with nobody's question.
        let text = self.shell.kits.secrets().now().text(text).into_owned();
        meaning.of(&text).await
    }

    /// Lists memories, newest first.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub async fn remembered(&self, query: RememberedQuery) -> Result<RememberedPage, StoreError> {
        self.shell.store.memories.list(query).await
    }

    /// Returns one with all that is known of it; none where there is none, or where it is forgotten.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub async fn memory(&self, memory: MemoryId) -> Result<Option<Provenance>, StoreError> {
        self.shell.store.memories.get(memory).await
    }
}
