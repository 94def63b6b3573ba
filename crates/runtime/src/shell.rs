//! What every part of a runtime shares.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use outlive_core::budget::Limits;
use outlive_core::session::{Notes, State};
use outlive_store::Store;
use tokio_util::sync::CancellationToken;

use crate::Runtime;
use crate::clock::Moments;
use crate::feeds::Feeds;
use crate::hearers::Hearers;
use crate::kit::Kits;
use crate::ledger::Ledger;
use crate::memory::Folds;
use crate::meter::Meter;
use crate::scheduler::Scheduler;
use crate::stop::Brake;
use crate::tasks::Tasks;

/// What every part of a runtime shares. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Shell {
    pub(crate) store: Store,
    pub(crate) kits: Arc<dyn Kits>,
    pub(crate) moments: Moments,
    pub(crate) tasks: Tasks,
    pub(crate) feeds: Feeds,
    pub(crate) scheduler: Scheduler,
    pub(crate) ledger: Ledger,
    pub(crate) meter: Meter,
    pub(crate) hearers: Hearers,
    pub(crate) settings: Settings,
    pub(crate) brake: Brake,
    pub(crate) door: Door,
}

impl Shell {
    /// Returns what a session's agent allows to be done for what is to be remembered. Its files are read only where there is
    /// something to do.
    pub(crate) fn notes(&self, state: &State) -> Notes {
        let agent = state.profile.as_ref().map(|profile| &profile.agent).filter(|_| state.may_note());
        // Where they cannot be read now, that is found when it is begun.
        agent.and_then(|agent| self.kits.kit(agent).ok()).map_or_else(Notes::default, |kit| kit.notes())
    }
}

/// The way to the one door for what works within the runtime: what tools ask of sessions, and what is erased in several.
#[derive(Clone, Default)]
pub struct Door {
    runtime: Arc<OnceLock<Weak<Runtime>>>,
    /// Cancelled when it is shut.
    pub(crate) closing: CancellationToken,
    /// Cancelled once every session that the start found unsettled has been woken.
    pub(crate) recovered: CancellationToken,
    /// Held from the reading of lines to their being written anew: what two erase of one line is gone of both.
    pub(crate) erasing: Arc<tokio::sync::Mutex<()>>,
    /// What was read of journals, and is let go when something is erased.
    pub(crate) folds: Folds,
}

impl Door {
    pub(crate) fn open(&self, runtime: &Arc<Runtime>) {
        // It is opened once, by the start that made it.
        self.runtime.set(Arc::downgrade(runtime)).ok();
    }

    /// Leads where the other one does.
    pub(crate) fn lead_to(&self, other: &Self) {
        if let Some(runtime) = other.runtime.get() {
            self.runtime.set(runtime.clone()).ok();
        }
    }

    /// Returns the runtime; none before it has started, and once it is gone.
    #[must_use]
    pub fn runtime(&self) -> Option<Arc<Runtime>> {
        self.runtime.get().and_then(Weak::upgrade)
    }
}

/// Limits of a runtime.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Commands that may wait for one session; more are refused as busy.
    pub inbox: usize,
    /// Time without anything to do, after which a session leaves memory.
    pub idle_evict: Duration,
    /// Sessions in memory, beyond which one that has nothing to do leaves it at once.
    pub crowd: usize,
    /// Time that running calls have to end at shutdown.
    pub closing: Duration,
    /// What all sessions may use in one day, in UTC.
    pub budget: Limits,
    /// Time that a deleted session lies in the trash before it is erased; for ever where there is none.
    pub keep_deleted: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            inbox: 64,
            idle_evict: Duration::from_secs(60),
            crowd: 1_024,
            closing: Duration::from_secs(3),
            budget: Limits::default(),
            keep_deleted: Some(Duration::from_secs(30 * 86_400)),
        }
    }
}
