//! Finds what is remembered, and says where it comes from.

use std::time::Duration;

use outlive_core::id::MemoryId;
use outlive_model::embeddings::{Embedder, TEXTS};
use outlive_store::{Measured, Provenance, RecallQuery, Recalled, RememberedPage, RememberedQuery, Space, StoreError};

use crate::Runtime;

/// How long a question waits for its vector; then it is looked for by its words.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long vectors of what is remembered are waited for.
const MEASURING: Duration = Duration::from_secs(20);

impl Runtime {
    /// Finds memories by what they say, asked now.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub async fn recall(&self, query: RecallQuery) -> Result<Recalled, StoreError> {
        let now = self.shell.moments.now();
        self.shell.store.memories.recall(RecallQuery { now, ..query }).await
    }

    /// Finds memories by what they say and by what they mean, as this service says it. Where it does not answer well and in
    /// time, by what they say alone; a note says so.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub async fn recall_by(&self, query: RecallQuery, embedder: &Embedder) -> Result<Recalled, StoreError> {
        let text = [query.text.clone()];
        let (vector, note) = match tokio::time::timeout(PATIENCE, embedder.vectors(&text)).await {
            Ok(Ok(vectors)) => (vectors.into_iter().next(), None),
            Ok(Err(failure)) => (None, Some(failure.message)),
            Err(_) => (None, Some("the embedding service does not answer".to_owned())),
        };
        let space = |vector: &Vec<f32>| Space { model: embedder.name(), dimensions: vector.len() };
        let vector = vector.map(|vector| (space(&vector), vector));
        let mut recalled = self.recall(RecallQuery { vector, ..query }).await?;
        recalled.notes.extend(note.map(|why| format!("found by words alone: {why}")));
        Ok(recalled)
    }

    /// Asks for vectors of memories that have none yet, the newest ones, as many as one request takes. Returns how many are
    /// kept; asks nothing where none is missing.
    ///
    /// # Errors
    ///
    /// What the store says. A service that does not answer well is no error: none is kept.
    pub async fn measure(&self, embedder: &Embedder) -> Result<usize, StoreError> {
        let memories = &self.shell.store.memories;
        let missing = memories.unmeasured(embedder.name(), TEXTS).await?;
        if missing.is_empty() {
            return Ok(0);
        }
        let texts: Vec<String> = missing.iter().map(|one| one.text.clone()).collect();
        let Ok(Ok(vectors)) = tokio::time::timeout(MEASURING, embedder.vectors(&texts)).await else {
            tracing::warn!("the embedding service does not answer well: memories are found by words alone");
            return Ok(0);
        };
        let Some(dimensions) = vectors.first().map(Vec::len) else { return Ok(0) };
        let space = Space { model: embedder.name(), dimensions };
        let together = missing.into_iter().zip(vectors);
        let measured: Vec<Measured<Vec<f32>>> =
            together.map(|(one, vector)| Measured { memory: one.memory, text: one.text, vector }).collect();
        let count = measured.len();
        memories.measured(space, measured).await?;
        Ok(count)
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
