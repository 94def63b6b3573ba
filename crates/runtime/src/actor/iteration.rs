//! A loop goes on: what the checkpoint in use says is brought, and the next round is recorded.

use outlive_core::compaction::Summary;
use outlive_core::event::Event;
use outlive_core::session::Round;
use outlive_store::StoreError;

use super::Actor;
use super::batch::Batch;

impl Actor {
    /// Records the next round of the loop; says whether it could be written.
    pub(super) async fn go_round(&mut self, batch: &mut Batch, round: Round) -> Result<bool, StoreError> {
        let base = match round {
            Round::Iterate | Round::End => self.summary(batch).await?,
            Round::Check => None,
        };
        let mut moment = self.shell.moments.moment();
        let facts = self.state.go_round(round, base.as_ref(), &mut moment);
        let is_written = self.record(batch, facts);
        self.look_again(batch);
        Ok(is_written)
    }

    /// What the checkpoint in use says. Only just made, it is not in the journal yet.
    async fn summary(&self, batch: &Batch) -> Result<Option<Summary>, StoreError> {
        let Some(active) = self.state.upkeep.view.active() else { return Ok(None) };
        let fresh = batch.entries().find(|entry| entry.seq == active.seq);
        if let Some(Event::CheckpointCreated(created)) = fresh.map(|entry| &entry.event) {
            return Ok(Some(created.summary.clone()));
        }
        let created =
            crate::load::checkpoint(&self.shell.store, self.id, active.seq, &self.errand.secrets.now()).await?;
        Ok(created.map(|created| created.summary))
    }
}
