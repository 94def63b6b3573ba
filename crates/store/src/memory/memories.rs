//! What is remembered, in memory: the same tables, made anew for each question.

use outlive_core::id::MemoryId;

use super::Memory;
use crate::follow::Kept as _;
use crate::memories::{Table, asked};
use crate::{
    Catching, Measured, MemoryIndex, Pending, Provenance, RecallQuery, Recalled, RememberedPage, RememberedQuery,
    Space, StoreError,
};

impl Memory {
    fn remembered(&self) -> Result<Table, StoreError> {
        let wrong = |error: crate::sqlite::FileError| error.of("memory.db", "is made anew");
        let mut table = Table::in_memory().map_err(wrong)?;
        let world = self.world();
        let news: Vec<_> = world
            .journals
            .iter()
            .filter_map(|(session, journal)| {
                let lines = journal.lines.get(..journal.acknowledged).filter(|lines| !lines.is_empty())?;
                Some(Table::news(*session, 0, lines))
            })
            .collect();
        table.add(&news).map_err(wrong)?;
        for (space, vectors) in &world.listed.vectors {
            asked::keep(&mut table, space, vectors)?;
        }
        Ok(table)
    }
}

impl MemoryIndex for Memory {
    fn recall(&self, query: RecallQuery) -> Pending<'_, Result<Recalled, StoreError>> {
        Box::pin(async move { asked::recall(&self.remembered()?, &query) })
    }

    fn list(&self, query: RememberedQuery) -> Pending<'_, Result<RememberedPage, StoreError>> {
        Box::pin(async move { asked::list(&self.remembered()?, &query) })
    }

    fn get(&self, memory: MemoryId) -> Pending<'_, Result<Option<Provenance>, StoreError>> {
        Box::pin(async move { asked::get(&self.remembered()?, memory) })
    }

    fn unmeasured(&self, model: String, limit: usize) -> Pending<'_, Result<Vec<Measured<()>>, StoreError>> {
        Box::pin(async move { asked::missing(&self.remembered()?, &model, limit) })
    }

    fn measured(&self, space: Space, vectors: Vec<Measured<Vec<f32>>>) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.world().listed.vectors.push((space, vectors));
            Ok(())
        })
    }

    fn catch_up(&self) -> Pending<'_, Result<Catching, StoreError>> {
        Box::pin(async move { Ok(Catching { sessions: self.world().journals.len(), behind: 0 }) })
    }

    fn begin_anew(&self) -> Pending<'_, Result<Catching, StoreError>> {
        Box::pin(async move {
            let mut world = self.world();
            world.listed.vectors.clear();
            Ok(Catching { sessions: world.journals.len(), behind: 0 })
        })
    }
}
