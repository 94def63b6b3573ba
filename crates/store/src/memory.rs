//! Keeps everything in memory, for tests: the promises of the file store, and faults on demand.
//!
//! Deterministic: no thread, no clock. An append gives way to other tasks once before it writes and once after, so that a
//! test can kill its caller on both sides. A caller that goes away after the write leaves the lines acknowledged, as a
//! disk would.

mod answers;
mod beside;
mod faults;
mod folders;
mod journals;
mod memories;
mod relays;
mod schedules;
mod search;
mod stops;
mod trash;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use outlive_core::digest::Digest;
use outlive_core::event::Line;
use outlive_core::id::{ScheduleId, Seq, SessionId};
use tokio::sync::Notify;

pub use faults::{Fault, Faults};

use crate::{Answer, Epoch, House, Measured, Row, Space, Stop, Store};

/// Makes an empty store, and the handle that breaks it.
#[must_use]
pub fn store() -> (Store, Faults) {
    let memory = Memory(Arc::new(Shared::default()));
    (memory.store(), Faults(memory))
}

#[derive(Default)]
struct Shared {
    world: Mutex<World>,
    released: Notify,
}

#[derive(Clone)]
struct Memory(Arc<Shared>);

/// All that is kept. What outlives a crash, and what does not, is [`World::crash`]'s matter.
#[derive(Default)]
struct World {
    journals: BTreeMap<SessionId, Journal>,
    last_epoch: u64,
    leases: BTreeMap<SessionId, Epoch>,
    snapshots: BTreeMap<SessionId, String>,
    artifacts: BTreeMap<Digest, Vec<u8>>,
    listed: Listed,
    trash: trash::Trashed,
    answers: Vec<Answer>,
    stop: Option<Stop>,
    schedules: BTreeMap<ScheduleId, Vec<Line>>,
    folders: folders::Folders,
    plan: faults::Plan,
}

/// What is derived from the journals.
#[derive(Default)]
struct Listed {
    rows: BTreeMap<SessionId, Row>,
    /// The rows are to be made anew.
    lost: bool,
    vectors: Vec<(Space, Vec<Measured<Vec<f32>>>)>,
}

#[derive(Default)]
struct Journal {
    lines: Vec<Line>,
    /// How many of them were acknowledged, from the first. Only a fault or a running append leaves others.
    acknowledged: usize,
}

impl Journal {
    fn head(&self) -> Seq {
        seq(self.acknowledged)
    }

    fn settle(&mut self) {
        self.acknowledged = self.lines.len();
    }
}

fn seq(count: usize) -> Seq {
    Seq::try_from(count).unwrap_or(Seq::MAX)
}

impl World {
    /// The process died: leases and faults in force end; whatever was written is there.
    fn crash(&mut self) {
        self.leases.clear();
        self.plan.crash();
        self.journals.retain(|_, journal| !journal.lines.is_empty());
        self.journals.values_mut().for_each(Journal::settle);
    }
}

impl Memory {
    fn world(&self) -> MutexGuard<'_, World> {
        self.0.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self) -> Store {
        let memory = Arc::new(self.clone());
        Store {
            journals: memory.clone(),
            directory: memory.clone(),
            leases: memory.clone(),
            snapshots: memory.clone(),
            artifacts: memory.clone(),
            index: memory.clone(),
            search: memory.clone(),
            memories: memory.clone(),
            trash: memory.clone(),
            house: House { answers: memory.clone(), stops: memory.clone(), schedules: memory.clone() },
            agents: memory,
        }
    }
}
