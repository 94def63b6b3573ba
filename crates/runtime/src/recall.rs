//! Finds what is remembered, and says where it comes from.

use outlive_core::id::MemoryId;
use outlive_store::{Provenance, RecallQuery, Recalled, RememberedPage, RememberedQuery, StoreError};

use crate::Runtime;

impl Runtime {
    /// Finds memories by what they say.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub async fn recall(&self, query: RecallQuery) -> Result<Recalled, StoreError> {
        self.shell.store.memories.recall(query).await
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
