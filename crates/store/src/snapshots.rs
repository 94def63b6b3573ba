//! Keeps the folded state of a session beside its journal, to start faster.

use outlive_core::id::SessionId;

use crate::{Pending, StoreError};

/// Small derived files beside a journal (`state.yaml`): replaced whole, never needed for correctness.
pub trait Snapshots: Send + Sync {
    /// Replaces the snapshot of a journal that is there. Atomic; may be lost in a crash, which is no harm.
    fn put(&self, journal: SessionId, text: String) -> Pending<'_, Result<(), StoreError>>;

    /// Returns the snapshot, if there is one.
    fn get(&self, journal: SessionId) -> Pending<'_, Result<Option<String>, StoreError>>;
}
