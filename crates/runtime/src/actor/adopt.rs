//! A session that comes whole from another workspace: its journal is written at once, as it is.
//!
//! Invariants: nothing is added to it and nothing started; what it is owed is owed as after a crash.

use outlive_core::event::Line;
use outlive_core::session::Refusal;
use outlive_store::Append;

use super::Actor;
use crate::SubmitError;

impl Actor {
    /// Takes a journal over. `Ok` means durable.
    pub(super) async fn adopt(&mut self, lines: Vec<Line>) -> Result<(), SubmitError> {
        if self.astray {
            self.reload().await?;
        }
        if self.state.head > 0 {
            return Err(SubmitError::Refused(Refusal::Exists));
        }
        let append = Append { journal: self.id, epoch: self.epoch, expected: 0, lines: lines.clone() };
        let written = self.shell.store.journals.append(append).await;
        // Read back either way: whether it was written is not known where the store says that it is lost.
        self.astray = true;
        let read = self.reload().await;
        written.map_err(SubmitError::Store)?;
        read?;
        self.shell.store.index.note(crate::list::row(&self.shell, (self.id, &self.state)));
        let entry = |line: Line| line.read().ok().map(|entry| (line, entry));
        let events: Vec<_> = lines.into_iter().filter_map(entry).collect();
        self.shell.feeds.tell(self.id, &events);
        Ok(())
    }
}
