//! Journals and leases in memory.

use outlive_core::digest::Digest;
use outlive_core::event::Line;
use outlive_core::id::{Seq, SessionId};

use super::{Fault, Journal, Memory, World, seq};
use crate::files::named_in;
use crate::journals::in_place_of;
use crate::{Append, Directory, Epoch, Journals, Leases, Opened, Pending, StoreError, Trash};

/// An append that hangs; counted until it is let go or its caller is gone.
struct Hanging<'a>(&'a Memory);

impl Drop for Hanging<'_> {
    fn drop(&mut self) {
        self.0.world().plan.hanging -= 1;
    }
}

/// Acknowledges what was written, even if the caller goes away before it is told.
struct Written<'a> {
    memory: &'a Memory,
    journal: SessionId,
    count: usize,
}

impl Drop for Written<'_> {
    fn drop(&mut self) {
        let mut world = self.memory.world();
        if let Some(journal) = world.journals.get_mut(&self.journal) {
            journal.acknowledged = journal.acknowledged.max(self.count.min(journal.lines.len()));
        }
        world.plan.count_acknowledged();
    }
}

impl Memory {
    async fn append_lines(&self, append: Append) -> Result<(), StoreError> {
        let fault = self.world().plan.draw();
        tokio::task::yield_now().await;
        match fault {
            None => {}
            Some(Fault::NoSpace) => return Err(StoreError::NoSpace),
            Some(Fault::Io) => {
                return Err(StoreError::Io { what: "write commit log".to_owned(), why: "injected".to_owned() });
            }
            Some(Fault::PoisonedKept) => {
                self.write(&append)?;
                return Err(self.world().plan.poison());
            }
            Some(Fault::PoisonedLost) => {
                self.admit(&append)?;
                return Err(self.world().plan.poison());
            }
            Some(Fault::HangBefore) => self.hang().await,
            Some(Fault::HangAfter) => {
                let count = self.write(&append)?;
                self.hang().await;
                // Acknowledged when it is let go, even if another append has poisoned the store meanwhile.
                drop(Written { memory: self, journal: append.journal, count });
                return Ok(());
            }
        }
        let count = self.write(&append)?;
        let written = Written { memory: self, journal: append.journal, count };
        tokio::task::yield_now().await;
        drop(written);
        Ok(())
    }

    fn admit(&self, append: &Append) -> Result<(), StoreError> {
        let world = self.world();
        world.plan.check()?;
        if world.leases.get(&append.journal) != Some(&append.epoch) {
            return Err(StoreError::Fenced(append.journal));
        }
        append.follows(world.journals.get(&append.journal).map_or(0, |journal| seq(journal.lines.len())))?;
        if world.trash.holds(append.journal) {
            let why = "it is in the trash; bring it back first, or delete it for good".to_owned();
            return Err(StoreError::Refused { what: format!("append to {}", append.journal), why });
        }
        Ok(())
    }

    /// Writes without acknowledging and returns how many lines there are now.
    fn write(&self, append: &Append) -> Result<usize, StoreError> {
        self.admit(append)?;
        let mut world = self.world();
        let journal = world.journals.entry(append.journal).or_default();
        journal.lines.extend(append.lines.iter().cloned());
        Ok(journal.lines.len())
    }

    fn write_anew(&self, journal: SessionId, epoch: Epoch, lines: Vec<Line>) -> Result<(), StoreError> {
        let mut world = self.world();
        world.plan.check()?;
        let World { journals, leases, snapshots, .. } = &mut *world;
        let found = journals.get_mut(&journal).filter(|found| found.head() > 0);
        let found = found.ok_or(StoreError::NotFound(journal))?;
        if leases.get(&journal) != Some(&epoch) {
            return Err(StoreError::Fenced(journal));
        }
        let old = found.write_anew(journal, lines)?;
        snapshots.remove(&journal);
        world.let_go(&old);
        Ok(())
    }

    async fn hang(&self) {
        let releases = {
            let mut world = self.world();
            world.plan.hanging += 1;
            world.plan.releases
        };
        let _hanging = Hanging(self);
        loop {
            let released = self.0.released.notified();
            if self.world().plan.releases > releases {
                return;
            }
            released.await;
        }
    }

    fn acknowledged(&self, journal: SessionId, after: Seq, limit: usize) -> Result<Vec<Line>, StoreError> {
        let world = self.world();
        if world.plan.is_unreadable {
            return Err(StoreError::Io { what: "read journal".to_owned(), why: "injected".to_owned() });
        }
        let found = world.journals.get(&journal).filter(|found| found.head() > 0);
        Ok(found.ok_or(StoreError::NotFound(journal))?.page(after, limit))
    }
}

impl Journal {
    /// Puts lines in the place of those that have their seqs, and returns what these were.
    pub(super) fn write_anew(&mut self, journal: SessionId, lines: Vec<Line>) -> Result<Vec<Line>, StoreError> {
        let lines = in_place_of(journal, self.head(), lines)?;
        let places = self.lines.iter_mut().zip(1..);
        let anew = places.filter_map(|(place, seq)| lines.get(&seq).map(|line| std::mem::replace(place, line.clone())));
        Ok(anew.collect())
    }

    pub(super) fn page(&self, after: Seq, limit: usize) -> Vec<Line> {
        let after = usize::try_from(after).unwrap_or(usize::MAX);
        self.lines.iter().take(self.acknowledged).skip(after).take(limit).cloned().collect()
    }
}

impl World {
    /// Lets go of artifacts that only these lines named.
    pub(super) fn let_go(&mut self, old: &[Line]) {
        let named = named_in(old);
        let all = self.journals.values().chain(self.trash.journals()).flat_map(|journal| &journal.lines);
        let still: Vec<&Digest> =
            all.flat_map(|line| named.iter().filter(|hash| line.as_str().contains(hash.as_str()))).collect();
        self.artifacts.retain(|hash, _| !named.contains(hash) || still.contains(&hash));
    }
}

impl Journals for Memory {
    fn append(&self, append: Append) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(self.append_lines(append))
    }

    fn read(&self, journal: SessionId, after: Seq, limit: usize) -> Pending<'_, Result<Opened, StoreError>> {
        Box::pin(async move {
            let lines = self.acknowledged(journal, after, limit)?;
            self.world().plan.lines_read += lines.len() as u64;
            Ok(Opened { lines, cut_bytes: 0 })
        })
    }

    fn head(&self, journal: SessionId) -> Pending<'_, Result<Seq, StoreError>> {
        Box::pin(async move {
            let world = self.world();
            let head = world.journals.get(&journal).map_or(0, Journal::head);
            if head == 0 { Err(StoreError::NotFound(journal)) } else { Ok(head) }
        })
    }

    fn scrub(&self, journal: SessionId, epoch: Epoch, lines: Vec<Line>) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            self.write_anew(journal, epoch, lines)?;
            tokio::task::yield_now().await;
            let is_cut = std::mem::take(&mut self.world().plan.cuts_scrub);
            if is_cut { Err(StoreError::NoSpace) } else { Ok(()) }
        })
    }

    fn remove(&self, journal: SessionId) -> Pending<'_, Result<(), StoreError>> {
        Trash::erase(self, vec![journal], None)
    }
}

impl Leases for Memory {
    fn take(&self, journal: SessionId) -> Pending<'_, Result<Epoch, StoreError>> {
        Box::pin(async move {
            let mut world = self.world();
            world.last_epoch += 1;
            let epoch = Epoch(world.last_epoch);
            world.leases.insert(journal, epoch);
            Ok(epoch)
        })
    }

    fn release(&self, journal: SessionId, epoch: Epoch) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let mut world = self.world();
            if world.leases.get(&journal) == Some(&epoch) {
                world.leases.remove(&journal);
            }
            Ok(())
        })
    }
}

impl Directory for Memory {
    fn sessions(&self) -> Pending<'_, Result<Vec<SessionId>, StoreError>> {
        Box::pin(async move {
            let world = self.world();
            Ok(world.journals.iter().filter(|(_, found)| found.head() > 0).map(|(id, _)| *id).collect())
        })
    }
}
