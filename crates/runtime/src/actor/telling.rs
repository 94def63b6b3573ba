//! Who is to be told of what happens: written with it, and told beside everything else.

use outlive_core::id::NoticeId;
use outlive_core::limits::NOTICES;
use outlive_core::session::Fact;
use tracing::Instrument as _;

use super::Actor;
use super::batch::Batch;
use crate::hands::{self, Tell};

impl Actor {
    /// Records who is to be told of what is in the batch. Says whether anybody is.
    pub(super) fn announce(&mut self, batch: &mut Batch) -> bool {
        let worth_telling = batch.worth_telling();
        let Some(courier) = self.shell.kits.courier().cloned() else { return false };
        if worth_telling.is_empty() || self.astray {
            return false;
        }
        if self.state.upkeep.notices.all.len() >= NOTICES {
            tracing::warn!(session = %self.id, "nobody is told: {NOTICES} notices of this session wait already");
        }
        let mut moment = self.shell.moments.moment();
        let told = |topic| self.state.told(topic, courier.targets(), &mut moment);
        let facts: Vec<Fact> = worth_telling.into_iter().flat_map(told).collect();
        !facts.is_empty() && self.record(batch, facts)
    }

    /// Begins to tell somebody of something.
    pub(super) fn begin_telling(&self, id: NoticeId) -> Option<tokio::task::AbortHandle> {
        let notice = self.state.upkeep.notices.get(id)?.clone();
        let (errand, shell, state) = (self.errand.clone(), self.shell.clone(), self.state.clone());
        let (span, at_work) = (crate::log::session(self.id), self.shell.brake.work(self.id));
        let task = async move {
            hands::tell(errand, Tell { notice, shell, state }).await;
            drop(at_work);
        };
        Some(self.shell.tasks.spawn("tell", task.instrument(span)))
    }
}
