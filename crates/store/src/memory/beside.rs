//! What lies beside journals, in memory: snapshots, artifacts, the list.

use outlive_core::digest::Digest;
use outlive_core::id::SessionId;

use super::{Memory, World};
use crate::index::{page, page_of_waits};
use crate::{Artifacts, Index, ListQuery, Pending, Row, Snapshots, StoreError, WaitQuery, WaitRow};

impl Snapshots for Memory {
    fn put(&self, journal: SessionId, text: String) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let mut world = self.world();
            if world.journals.get(&journal).is_none_or(|found| found.head() == 0) {
                return Err(StoreError::NotFound(journal));
            }
            world.snapshots.insert(journal, text);
            Ok(())
        })
    }

    fn get(&self, journal: SessionId) -> Pending<'_, Result<Option<String>, StoreError>> {
        Box::pin(async move { Ok(self.world().snapshots.get(&journal).cloned()) })
    }
}

impl Artifacts for Memory {
    fn put(&self, bytes: Vec<u8>) -> Pending<'_, Result<Digest, StoreError>> {
        Box::pin(async move {
            let hash = Digest::of(&bytes);
            self.world().artifacts.insert(hash.clone(), bytes);
            Ok(hash)
        })
    }

    fn get(&self, hash: Digest) -> Pending<'_, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(async move { Ok(self.world().artifacts.get(&hash).cloned()) })
    }
}

impl World {
    fn asked(&mut self) -> &super::Listed {
        self.plan.listed += 1;
        &self.listed
    }

    fn is_settled(&self, session: SessionId, head: u64) -> bool {
        self.listed.rows.get(&session).is_some_and(|row| !row.owed && row.head == head)
    }
}

impl Index for Memory {
    fn note(&self, row: Row) {
        self.world().listed.rows.insert(row.session, row);
    }

    fn forget(&self, session: SessionId) {
        self.world().listed.rows.remove(&session);
    }

    fn list(&self, query: ListQuery) -> Pending<'_, Result<Vec<Row>, StoreError>> {
        Box::pin(async move { Ok(page(self.world().asked().rows.values().cloned(), &query)) })
    }

    fn rows(&self, sessions: Vec<SessionId>) -> Pending<'_, Result<Vec<Row>, StoreError>> {
        Box::pin(async move {
            let mut world = self.world();
            let listed = world.asked();
            Ok(sessions.iter().filter_map(|session| listed.rows.get(session).cloned()).collect())
        })
    }

    fn waits(&self, query: WaitQuery) -> Pending<'_, Result<Vec<WaitRow>, StoreError>> {
        Box::pin(async move {
            let mut world = self.world();
            Ok(page_of_waits(world.asked().rows.values().flat_map(|row| row.waits.clone()), &query))
        })
    }

    fn unsettled(&self) -> Pending<'_, Result<Vec<SessionId>, StoreError>> {
        Box::pin(async move {
            let world = self.world();
            let heads = world.journals.iter().map(|(session, journal)| (*session, journal.head()));
            Ok(heads.filter(|(id, head)| *head > 0 && !world.is_settled(*id, *head)).map(|(id, _)| id).collect())
        })
    }

    fn needs_rebuild(&self) -> bool {
        let world = self.world();
        world.listed.lost && world.journals.keys().any(|session| !world.listed.rows.contains_key(session))
    }

    fn rebuild(&self, rows: Vec<Row>) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let mut world = self.world();
            world.listed.rows = rows.into_iter().map(|row| (row.session, row)).collect();
            world.listed.lost = false;
            Ok(())
        })
    }
}
