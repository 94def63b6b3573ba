//! What finds nothing yet.

use outlive_core::id::MemoryId;

use super::{
    Measured, MemoryIndex, Provenance, RecallQuery, Recalled, RememberedPage, RememberedQuery, Space,
};
use crate::{Catching, Pending, StoreError};

/// Finds nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwritten;

impl MemoryIndex for Unwritten {
    fn recall(&self, _query: RecallQuery) -> Pending<'_, Result<Recalled, StoreError>> {
        Box::pin(async { Ok(Recalled::default()) })
    }

    fn list(&self, _query: RememberedQuery) -> Pending<'_, Result<RememberedPage, StoreError>> {
        Box::pin(async { Ok(RememberedPage::default()) })
    }

    fn get(&self, _memory: MemoryId) -> Pending<'_, Result<Option<Provenance>, StoreError>> {
        Box::pin(async { Ok(None) })
    }

    fn unmeasured(&self, _model: String, _limit: usize) -> Pending<'_, Result<Vec<Measured<()>>, StoreError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn measured(&self, _space: Space, _vectors: Vec<Measured<Vec<f32>>>) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }

    fn begin_anew(&self) -> Pending<'_, Result<Catching, StoreError>> {
        Box::pin(async { Ok(Catching::default()) })
    }
}
