//! What is remembered on SQLite, from outside of the thread that alone touches the file.

use outlive_core::id::MemoryId;

use super::table::Table;
use super::{
    Measured, MemoryIndex, Provenance, RecallQuery, Recalled, RememberedPage, RememberedQuery, Space, find, read,
    vectors,
};
use crate::follow::Following;
use crate::{Catching, Pending, StoreError};

/// What is remembered, on SQLite.
pub(crate) type Memories = Following<Table>;

impl MemoryIndex for Memories {
    fn recall(&self, query: RecallQuery) -> Pending<'_, Result<Recalled, StoreError>> {
        Box::pin(async move {
            let (hits, behind) = self.ask(move |table| find::recall(table, &query)).await?;
            Ok(Recalled { hits, behind, notes: Vec::new() })
        })
    }

    fn list(&self, query: RememberedQuery) -> Pending<'_, Result<RememberedPage, StoreError>> {
        Box::pin(async move {
            let (page, behind) = self.ask(move |table| read::list(table, &query)).await?;
            Ok(RememberedPage { behind, ..page })
        })
    }

    fn get(&self, memory: MemoryId) -> Pending<'_, Result<Option<Provenance>, StoreError>> {
        Box::pin(async move { Ok(self.ask(move |table| read::get(table, memory)).await?.0) })
    }

    fn unmeasured(&self, model: String, limit: usize) -> Pending<'_, Result<Vec<Measured<()>>, StoreError>> {
        Box::pin(async move { Ok(self.ask(move |table| vectors::missing(table, &model, limit)).await?.0) })
    }

    fn measured(&self, space: Space, vectors: Vec<Measured<Vec<f32>>>) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.ask(move |table| vectors::keep(table, &space, &vectors)).await?;
            Ok(())
        })
    }

    fn catch_up(&self) -> Pending<'_, Result<Catching, StoreError>> {
        Box::pin(Following::catch_up(self))
    }

    fn begin_anew(&self) -> Pending<'_, Result<Catching, StoreError>> {
        Box::pin(Following::begin_anew(self))
    }
}
