//! What is done beside turns: it begins once its intent is durable, holds up nothing, and reports like any hand.

use std::collections::BTreeSet;

use outlive_core::command::{Command, Report};
use outlive_core::id::{CallId, CompactionId, NoticeId};
use outlive_core::session::{Beside, Held, Refusal};
use tracing::Instrument as _;

use super::Actor;
use super::batch::Batch;
use crate::SubmitError;
use crate::hands::{self, Condense, KeeperVoice, Notes, Voice};

impl Actor {
    /// Begins what is to be done beside the turn.
    pub(super) fn begin_beside(&mut self, wanted: &[Beside]) {
        for beside in wanted {
            let task = match beside {
                Beside::Condense(compaction) => self.condense(*compaction),
                Beside::Observe(_) | Beside::Reflect | Beside::Erase => self.begin_notes(*beside),
                Beside::Tell(notice) => self.begin_telling(*notice),
            };
            self.running.beside.extend(task.map(|task| (*beside, task)));
        }
    }

    fn condense(&self, compaction: CompactionId) -> Option<tokio::task::AbortHandle> {
        let under_way = self.state.upkeep.view.under_way.clone().filter(|it| it.compaction == compaction)?;
        let profile = self.state.profile.as_ref()?;
        let base =
            under_way.started.base.and_then(|base| self.state.upkeep.view.version(base)).map(|version| version.seq);
        let voice = match under_way.started.model.as_deref() {
            None => Voice::Nobody,
            Some(name) => self.voice(name).unwrap_or_else(Voice::Missing),
        };
        let (aside, store) = (profile.aside.clone(), self.shell.store.clone());
        let condense = Condense { under_way, base, aside, store, voice };
        let (errand, at_work) = (self.errand.clone(), self.shell.brake.work(self.id));
        let span = tracing::info_span!("compaction", id = %compaction);
        let task = async move {
            hands::condense(errand, condense).await;
            drop(at_work);
        };
        Some(self.shell.tasks.spawn("condense", task.instrument(span)))
    }

    /// Returns who condenses under this name, or why nobody does.
    fn voice(&self, name: &str) -> Result<Voice, String> {
        let kit = self.kit_beside().map_err(|error| error.to_string())?;
        let keeper = kit.keeper(name);
        let (model, window) = keeper.ok_or_else(|| format!("the agent asks no model `{name}` any more"))?;
        let notes = Notes { shell: self.shell.clone(), kit, state: self.state.clone() };
        Ok(Voice::Keeper(Box::new(KeeperVoice { model, window, name: name.to_owned(), notes })))
    }

    /// Forgets what a report says has ended.
    pub(super) fn release_beside(&mut self, report: &Report) {
        let ended = |beside: &Beside| match (beside, report) {
            (Beside::Condense(id), Report::Condensed { compaction, .. }) => id == compaction,
            // There is one at a time, and it may have looked at a part.
            (Beside::Observe(_), Report::Observed { .. })
            | (Beside::Reflect, Report::Reflected { .. })
            | (Beside::Erase, Report::Erased { .. }) => true,
            (Beside::Tell(id), Report::Told { notice, .. }) => id == notice,
            (Beside::Condense(_) | Beside::Observe(_) | Beside::Reflect | Beside::Erase | Beside::Tell(_), _) => false,
        };
        self.held.beside.retain(|beside| !ended(beside));
        // Somebody else may have reported it: then it goes on for nothing.
        let over = self.running.beside.extract_if(.., |beside, _| ended(beside));
        over.for_each(|(_, task)| task.abort());
    }

    /// A report that came too late has ended, too: what it held up may be owed.
    pub(super) async fn go_on_after(&mut self, command: &Command, refusal: &Refusal) -> Result<(), SubmitError> {
        let Command::Report(report) = command else { return Ok(()) };
        let before = self.held.beside.len();
        self.release_beside(report);
        if *refusal != Refusal::Stale || self.held.beside.len() == before {
            return Ok(());
        }
        let mut batch = Batch::new(&self.state, self.held.clone(), self.counting());
        match self.settle(&mut batch).await {
            Ok(()) => self.commit(batch).await,
            Err(error) => Err(self.go_back(batch, error).await),
        }
    }

    /// Ends a compaction that is not under way any more, and what tells of what nobody is to be told any more: whatever they say would
    /// come too late.
    pub(super) fn end_cancelled(&mut self) {
        let under_way = self.state.upkeep.view.under_way.as_ref().map(|it| it.compaction);
        let notices: BTreeSet<NoticeId> = self.state.upkeep.notices.all.iter().map(|notice| notice.notice).collect();
        self.keep_beside(|beside| match beside {
            Beside::Condense(id) => Some(*id) == under_way,
            Beside::Tell(id) => notices.contains(id),
            Beside::Observe(_) | Beside::Reflect | Beside::Erase => true,
        });
    }

    /// Ends what has read the journal: something of it is erased. It is owed again, and what is reported of it is not believed.
    pub(super) fn void(&mut self) {
        self.errand.round += 1;
        self.keep_beside(|beside| *beside == Beside::Erase);
    }

    /// Returns what is under way; what erases is not of it, and what tells has read what it tells anew.
    pub(crate) fn under_way(&self) -> Held {
        let mut held = self.held.clone();
        held.beside.retain(|beside| !matches!(beside, Beside::Erase | Beside::Tell(_)));
        held
    }

    /// Says whether nothing of this is under way any more.
    pub(crate) fn has_ended(&self, before: &Held) -> bool {
        let same = |(call, attempt): (&CallId, &u32)| self.held.calls.get(call) == Some(attempt);
        let is_asked = before.step.is_some() && before.step == self.held.step;
        !is_asked && !before.calls.iter().any(same) && before.beside.is_disjoint(&self.held.beside)
    }

    fn keep_beside(&mut self, is_kept: impl Fn(&Beside) -> bool) {
        let ended = self.running.beside.iter().filter(|(beside, _)| !is_kept(beside));
        ended.for_each(|(_, task)| task.abort());
        self.running.beside.retain(|beside, _| is_kept(beside));
        self.held.beside.retain(is_kept);
    }

    /// Says whether nothing was erased since a look of this round began.
    pub(crate) fn is_round(&self, round: u64) -> bool {
        self.errand.round == round
    }

    pub(crate) fn round(&self) -> u64 {
        self.errand.round
    }

    /// Ends all of it: it is owed again.
    pub(super) fn end_beside(&mut self) {
        self.running.beside.values().for_each(tokio::task::AbortHandle::abort);
        self.running.beside.clear();
        self.held.beside.clear();
    }
}
