//! What is done beside turns: it begins once its intent is durable, holds up nothing, and reports like any hand.

use outlive_core::command::Report;
use outlive_core::session::Beside;

use super::Actor;

impl Actor {
    /// Begins what is to be done beside the turn.
    pub(super) fn begin_beside(&mut self, wanted: &[Beside]) {
        for beside in wanted {
            let task = match beside {
                Beside::Condense(_) => None::<tokio::task::AbortHandle>,
                Beside::Observe(_) | Beside::Reflect | Beside::Erase => self.begin_notes(*beside),
            };
            self.running.beside.extend(task.map(|task| (*beside, task)));
        }
    }

    /// Forgets what a report says has ended.
    pub(super) fn release_beside(&mut self, report: &Report) {
        let ended = |beside: &Beside| match (beside, report) {
            (Beside::Condense(id), Report::Condensed { compaction, .. }) => id == compaction,
            // There is one at a time, and it may have looked at a part.
            (Beside::Observe(_), Report::Observed { .. })
            | (Beside::Reflect, Report::Reflected { .. })
            | (Beside::Erase, Report::Erased { .. }) => true,
            (Beside::Condense(_) | Beside::Observe(_) | Beside::Reflect | Beside::Erase, _) => false,
        };
        self.held.beside.retain(|beside| !ended(beside));
        self.running.beside.retain(|beside, _| !ended(beside));
    }

    /// Ends all of it: it is owed again.
    pub(super) fn end_beside(&mut self) {
        self.running.beside.values().for_each(tokio::task::AbortHandle::abort);
        self.running.beside.clear();
        self.held.beside.clear();
    }
}
