//! Who is to be told of what happens: written with it, and told beside everything else.

use outlive_core::id::NoticeId;
use tracing::Instrument as _;

use super::Actor;
use super::batch::Batch;
use crate::hands::{self, About, Tell};

impl Actor {
    /// Records who is to be told of what is in the batch. Says whether anybody is.
    pub(super) fn announce(&mut self, batch: &mut Batch) -> bool {
        let worth_telling = batch.worth_telling();
        let Some(courier) = self.shell.kits.courier().cloned() else { return false };
        if worth_telling.is_empty() || self.astray {
            return false;
        }
        let mut moment = self.shell.moments.moment();
        let (facts, left_out) = self.state.told(&worth_telling, courier.targets(), &mut moment);
        if left_out > 0 {
            tracing::warn!(session = %self.id, left_out, "nobody is told: too many notices of this session wait already");
        }
        !facts.is_empty() && self.record(batch, facts)
    }

    /// Begins to tell somebody of something.
    pub(super) fn begin_telling(&self, id: NoticeId) -> Option<tokio::task::AbortHandle> {
        let notice = self.state.upkeep.notices.get(id)?.clone();
        let tell = Tell { notice, shell: self.shell.clone(), about: About::of(&self.state) };
        let (errand, at_work) = (self.errand.clone(), self.shell.brake.work(self.id));
        let task = async move {
            hands::tell(errand, tell).await;
            drop(at_work);
        };
        Some(self.shell.tasks.spawn("tell", task.instrument(crate::log::session(self.id))))
    }
}
