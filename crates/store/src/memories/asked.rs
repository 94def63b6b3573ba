//! The same questions to tables in memory.

use outlive_core::id::MemoryId;

use super::{
    Measured, Provenance, RecallQuery, Recalled, RememberedPage, RememberedQuery, Space, Table, Unmeasured, find, read,
    vectors,
};
use crate::StoreError;
use crate::sqlite::FileError;

fn wrong(error: FileError) -> StoreError {
    error.of("memory.db", "is made anew")
}

pub(crate) fn recall(table: &Table, query: &RecallQuery) -> Result<Recalled, StoreError> {
    find::recall(table, query).map_err(wrong)
}

pub(crate) fn list(table: &Table, query: &RememberedQuery) -> Result<RememberedPage, StoreError> {
    read::list(table, query).map_err(wrong)
}

pub(crate) fn get(table: &Table, memory: MemoryId) -> Result<Option<Provenance>, StoreError> {
    read::get(table, memory).map_err(wrong)
}

pub(crate) fn missing(table: &Table, query: &Unmeasured) -> Result<Vec<Measured<()>>, StoreError> {
    vectors::missing(table, query).map_err(wrong)
}

pub(crate) fn keep(table: &mut Table, space: &Space, vectors: &[Measured<Vec<f32>>]) -> Result<(), StoreError> {
    vectors::keep(table, space, vectors).map_err(wrong)
}
