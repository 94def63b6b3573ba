//! Breaks the memory store on demand: appends that fail, hang, or end with their outcome unknown; and the crash after.

use std::collections::VecDeque;
use std::num::NonZeroU64;

use super::Memory;
use crate::{Store, StoreError};

/// What happens to an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The disk is full: nothing is written.
    NoSpace,
    /// The system says no: nothing is written.
    Io,
    /// The sync fails, but the lines are there after the next crash. Until then every append fails.
    PoisonedKept,
    /// The sync fails, and the lines are gone. Until the next crash every append fails.
    PoisonedLost,
    /// Nothing is written until [`Faults::release`].
    HangBefore,
    /// Written, but neither seen nor acknowledged until [`Faults::release`]. A crash keeps the lines.
    HangAfter,
}

/// What is to go wrong, and what has.
#[derive(Default)]
pub(super) struct Plan {
    next: VecDeque<Option<Fault>>,
    every: Option<(NonZeroU64, Fault)>,
    appends: u64,
    acknowledged: u64,
    pub(super) hanging: u64,
    pub(super) releases: u64,
    poisoned: bool,
    pub(super) is_unreadable: bool,
    /// Lines of journals that were read.
    pub(super) lines_read: u64,
    /// How often the list was asked.
    pub(super) listed: u64,
    /// Whether the next lines that are written anew are, and nobody is told.
    pub(super) cuts_scrub: bool,
}

impl Plan {
    /// Counts an append and returns what is to happen to it.
    pub(super) fn draw(&mut self) -> Option<Fault> {
        self.appends += 1;
        let due = self.every.filter(|(n, _)| self.appends.is_multiple_of(n.get())).map(|(_, fault)| fault);
        self.next.pop_front().unwrap_or(due)
    }

    pub(super) fn count_acknowledged(&mut self) {
        self.acknowledged += 1;
    }

    pub(super) fn poison(&mut self) -> StoreError {
        self.poisoned = true;
        StoreError::Poisoned("injected".to_owned())
    }

    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.poisoned { Err(StoreError::Poisoned("injected".to_owned())) } else { Ok(()) }
    }

    pub(super) fn crash(&mut self) {
        self.poisoned = false;
        self.next.clear();
        self.every = None;
        self.is_unreadable = false;
    }
}

/// Breaks a memory store. Clones break the same one.
#[derive(Clone)]
pub struct Faults(pub(super) Memory);

impl Faults {
    /// Lets this happen to the next append that no earlier call has planned for.
    pub fn next(&self, fault: Fault) {
        self.0.world().plan.next.push_back(Some(fault));
    }

    /// Lets this happen to the append after `spared` ones that go well.
    pub fn after(&self, spared: usize, fault: Fault) {
        let mut world = self.0.world();
        world.plan.next.extend(std::iter::repeat_n(None, spared));
        world.plan.next.push_back(Some(fault));
    }

    /// Lets this happen to every `n`-th append, counted from the first one ever. 0 is never.
    pub fn every(&self, n: u64, fault: Fault) {
        self.0.world().plan.every = NonZeroU64::new(n).map(|n| (n, fault));
    }

    /// Lets journals be unreadable, or readable again.
    pub fn unreadable(&self, is_so: bool) {
        self.0.world().plan.is_unreadable = is_so;
    }

    /// Returns the store once more, as another process would open it.
    #[must_use]
    pub fn store(&self) -> Store {
        self.0.store()
    }

    /// Plans nothing more. Poison stays.
    pub fn clear(&self) {
        let mut world = self.0.world();
        world.plan.next.clear();
        world.plan.every = None;
    }

    /// The next lines that are written anew are written, and whoever asked hears that they could not be.
    pub fn cut_scrub(&self) {
        self.0.world().plan.cuts_scrub = true;
    }

    /// Lets go of all appends that hang.
    pub fn release(&self) {
        let mut world = self.0.world();
        world.plan.releases += 1;
        if world.plan.check().is_ok() {
            world.journals.values_mut().for_each(super::Journal::settle);
        }
        drop(world);
        self.0.0.released.notify_waiters();
    }

    /// Returns how many appends hang now.
    #[must_use]
    pub fn hanging(&self) -> u64 {
        self.0.world().plan.hanging
    }

    /// Returns how many appends were tried.
    #[must_use]
    pub fn appends(&self) -> u64 {
        self.0.world().plan.appends
    }

    /// Returns how many lines of journals were read.
    #[must_use]
    pub fn lines_read(&self) -> u64 {
        self.0.world().plan.lines_read
    }

    /// Returns how often the list was asked, for sessions or for waits.
    #[must_use]
    pub fn listed(&self) -> u64 {
        self.0.world().plan.listed
    }

    /// Returns how many appends were acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.0.world().plan.acknowledged
    }

    /// The process dies: leases are forgotten, planned faults and poison end, nothing acknowledged is lost. What was
    /// written without an acknowledgement is there from now on.
    pub fn crash(&self) {
        self.0.world().crash();
    }

    /// Dies as in [`Faults::crash`] and opens the store again: writers of before are fenced.
    #[must_use]
    pub fn reopen(&self) -> Store {
        self.crash();
        self.0.store()
    }

    /// Loses the list, as if `index.db` had been deleted. Meant for just before [`Faults::reopen`].
    pub fn lose_index(&self) {
        let mut world = self.0.world();
        world.listed.rows.clear();
        world.listed.lost = true;
    }

    /// Writes a file of an agent, as a person with an editor would; what begins with `../../` is the workspace's.
    pub fn write_agent_file(&self, name: &str, path: &str, bytes: impl Into<Vec<u8>>) {
        let mut world = self.0.world();
        if path.starts_with(outlive_core::agent::WORKSPACE) {
            world.folders.shared.insert(path.to_owned(), bytes.into());
        } else {
            world.folders.agents.entry(name.to_owned()).or_default().insert(path.to_owned(), bytes.into());
        }
    }
}
