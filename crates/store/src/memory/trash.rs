//! The trash in memory.

use std::collections::BTreeMap;

use outlive_core::event::Line;
use outlive_core::id::{Seq, SessionId};
use outlive_core::time::Timestamp;

use super::{Journal, Memory};
use crate::{Deed, Inside, Note, Pending, Row, StoreError, Trash};

/// What was deleted.
#[derive(Default)]
pub(super) struct Trashed {
    there: BTreeMap<SessionId, There>,
    answered: BTreeMap<(SessionId, String), Deed>,
}

struct There {
    journal: Journal,
    snapshot: Option<String>,
    note: Note,
}

impl Trashed {
    pub(super) fn holds(&self, session: SessionId) -> bool {
        self.there.contains_key(&session)
    }

    pub(super) fn journals(&self) -> impl Iterator<Item = &Journal> {
        self.there.values().map(|there| &there.journal)
    }
}

impl Inside for Memory {
    fn read(&self, journal: SessionId, after: Seq, limit: usize) -> Pending<'_, Result<Vec<Line>, StoreError>> {
        Box::pin(async move {
            let world = self.world();
            let there = world.trash.there.get(&journal).ok_or(StoreError::NotFound(journal))?;
            Ok(there.journal.page(after, limit))
        })
    }

    fn scrub(&self, journal: SessionId, lines: Vec<Line>, row: Row) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let mut world = self.world();
            world.plan.check()?;
            let there = world.trash.there.get_mut(&journal).ok_or(StoreError::NotFound(journal))?;
            let old = there.journal.write_anew(journal, lines)?;
            (there.note.row, there.snapshot) = (row, None);
            world.let_go(&old);
            Ok(())
        })
    }
}

impl Memory {
    fn move_there(&self, session: SessionId, note: Note) -> Result<(), StoreError> {
        let mut world = self.world();
        world.plan.check()?;
        let Some(journal) = world.journals.remove(&session) else { return Err(StoreError::NotFound(session)) };
        world.leases.remove(&session);
        world.listed.rows.remove(&session);
        if let Some(request) = &note.request {
            world.trash.answered.insert((session, request.clone()), Deed::Discarded);
        }
        let snapshot = world.snapshots.remove(&session);
        world.trash.there.insert(session, There { journal, snapshot, note });
        Ok(())
    }

    fn move_back(&self, session: SessionId) -> Result<(), StoreError> {
        let mut world = self.world();
        world.plan.check()?;
        if world.journals.contains_key(&session) {
            return Ok(());
        }
        let Some(there) = world.trash.there.remove(&session) else { return Err(StoreError::NotFound(session)) };
        world.journals.insert(session, there.journal);
        world.listed.rows.insert(session, there.note.row);
        world.snapshots.extend(there.snapshot.map(|snapshot| (session, snapshot)));
        Ok(())
    }
}

impl Trash for Memory {
    fn discard(&self, journal: SessionId, note: Note) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(async move { self.move_there(journal, note) })
    }

    fn restore(&self, journal: SessionId) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(async move { self.move_back(journal) })
    }

    fn discarded(&self) -> Pending<'_, Result<Vec<Note>, StoreError>> {
        Box::pin(async move {
            let mut notes: Vec<Note> = self.world().trash.there.values().map(|there| there.note.clone()).collect();
            crate::trash::newest_first(&mut notes);
            Ok(notes)
        })
    }

    fn inside(&self) -> &dyn Inside {
        self
    }

    fn erase(&self, journals: Vec<SessionId>, request: Option<String>) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let mut world = self.world();
            world.plan.check()?;
            let mut gone = Vec::new();
            for session in &journals {
                let there = world.trash.there.remove(session).is_some();
                if world.journals.remove(session).is_some() || there {
                    gone.push(*session);
                }
                world.leases.remove(session);
                world.snapshots.remove(session);
                world.listed.rows.remove(session);
            }
            let answers = gone.iter().filter_map(|session| Some(((*session, request.clone()?), Deed::Erased)));
            world.trash.answered.extend(answers);
            journals.first().filter(|_| gone.is_empty()).map_or(Ok(()), |first| Err(StoreError::NotFound(*first)))
        })
    }

    fn erase_discarded(&self, notes: Vec<Note>) -> Pending<'_, Result<usize, StoreError>> {
        Box::pin(async move {
            let mut world = self.world();
            world.plan.check()?;
            let is_there = |there: &There, note: &Note| there.note.at == note.at;
            let mut count = 0;
            for note in &notes {
                let session = note.row.session;
                if world.trash.there.get(&session).is_some_and(|there| is_there(there, note)) {
                    world.trash.there.remove(&session);
                    count += 1;
                }
            }
            Ok(count)
        })
    }

    fn sweep(&self, _before: Timestamp) -> Pending<'_, Result<usize, StoreError>> {
        // It does not know when what was stored.
        Box::pin(async { Ok(0) })
    }

    fn answered(&self, journal: SessionId, request: String) -> Pending<'_, Result<Option<Deed>, StoreError>> {
        Box::pin(async move { Ok(self.world().trash.answered.get(&(journal, request)).copied()) })
    }
}
