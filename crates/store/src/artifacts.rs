//! Keeps large outputs under the hash of their content.

use outlive_core::digest::Digest;

use crate::{Pending, StoreError};

/// Large outputs by content.
pub trait Artifacts: Send + Sync {
    /// Keeps these bytes; durable when it returns. Keeping the same bytes twice is keeping them once.
    fn put(&self, bytes: Vec<u8>) -> Pending<'_, Result<Digest, StoreError>>;

    /// Returns the bytes, checked against the hash.
    fn get(&self, hash: Digest) -> Pending<'_, Result<Option<Vec<u8>>, StoreError>>;
}
