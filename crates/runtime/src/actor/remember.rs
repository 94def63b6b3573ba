//! What a session remembers: what its requests begin with of it, and what is done beside its turns.
//!
//! Invariant: requests begin with the same bytes until the journal says that they do not.

use std::sync::Arc;

use outlive_core::command::Report;
use outlive_core::content::{Failure, FailureKind, Usage};
use outlive_core::context::{Frame, Layers};
use outlive_core::event::{ContextRebuilt, Event, Line, RebuildCause};
use outlive_core::id::{Seq, TurnId};
use outlive_core::memory::Rows;
use outlive_core::session::{Beside, Fact, Refusal};
use outlive_store::{Row, StoreError};
use tracing::Instrument as _;

use super::Actor;
use super::batch::Batch;
use crate::SubmitError;
use crate::hands::{self, Notes};
use crate::kit::{Kit, KitError};
use crate::memory::of_session;
use crate::prefix::{Begins, Prefix, is_due, shows};

impl Actor {
    /// Returns what stands in this session's requests behind what its agent is, made anew where that is due.
    pub(super) async fn layers(
        &mut self,
        batch: &mut Batch,
        (turn, kit): (TurnId, &Kit),
        frame: &Frame,
    ) -> Result<Layers, StoreError> {
        let begins = self.transcript(batch).await?.begins().to_vec();
        if !shows(&self.state, kit) {
            let (layers, cause) = (Layers::default(), RebuildCause::Reload);
            let blocks = frame.blocks(&layers);
            if !begins.is_empty() && begins != blocks {
                let rebuilt = ContextRebuilt { cause, blocks, global: Vec::new(), session: Vec::new() };
                self.record(batch, vec![Fact::of_turn(turn, Event::ContextRebuilt(rebuilt))]);
            }
            return Ok(layers);
        }
        let takes_part = self.state.remembering();
        self.record(batch, takes_part.into_iter().collect());
        let due = is_due(&self.state, frame, &begins);
        let (changes, before) = (self.shell.feeds.changes(), self.equipment.layers.clone().filter(|_| due.is_none()));
        if let Some(layers) = before.as_ref().filter(|_| self.equipment.changes == changes) {
            return Ok(layers.clone());
        }
        // What comes after this is seen before the next step.
        self.equipment.changes = changes;
        let rows = self.own_rows(batch).await?;
        let prefix = Prefix { shell: &self.shell, state: &self.state, kit, frame, rows };
        let due = match before {
            Some(layers) => match prefix.changed_elsewhere().await? {
                None => return Ok(layers),
                cause => cause,
            },
            None => due,
        };
        let layers = match prefix.begin(due).await? {
            Begins::AsBefore(layers) => layers,
            Begins::Anew(layers, rebuilt) => {
                self.record(batch, vec![Fact::of_turn(turn, Event::ContextRebuilt(rebuilt))]);
                layers
            }
        };
        self.equipment.layers = Some(layers.clone());
        Ok(layers)
    }

    /// Sees to it that what was forgotten or said otherwise is not used any more.
    pub(super) fn heed(&mut self, batch: &Batch) {
        let has = |is: fn(&Event) -> bool| batch.entries().any(|entry| is(&entry.event));
        if has(|event| matches!(event, Event::MemoryForgotten(_) | Event::MemoryEdited(_))) {
            self.shell.feeds.change();
        }
        if has(|event| matches!(event, Event::MemoryForgotten(_))) {
            self.void();
        }
        // Words that were erased may stand in rows of any session that shares them.
        if has(|event| matches!(event, Event::MemoryErased(_))) {
            self.shell.door.folds.clear();
        }
    }

    async fn own_rows(&self, batch: &Batch) -> Result<Arc<Rows>, StoreError> {
        let mut rows = of_session(&self.shell, self.id, batch.before()).await?;
        for entry in batch.entries().filter(|entry| Rows::hears(&entry.event)) {
            Arc::make_mut(&mut rows).apply(entry);
        }
        Ok(rows)
    }

    pub(super) fn kit_beside(&self) -> Result<Arc<Kit>, KitError> {
        let profile = self.state.profile.as_ref().ok_or(KitError::NoTurn)?;
        self.shell.kits.kit(&profile.agent)
    }

    /// Begins what is done beside the turn for what is remembered.
    pub(super) fn begin_notes(&self, beside: Beside) -> Option<tokio::task::AbortHandle> {
        let (errand, shell, state) = (self.errand.clone(), self.shell.clone(), self.state.clone());
        let span = crate::log::session(self.id);
        if beside == Beside::Erase {
            return Some(self.shell.tasks.spawn("erase", hands::erase(errand, shell, state).instrument(span)));
        }
        let kit = match self.kit_beside() {
            Ok(kit) => kit,
            Err(error) => {
                let message = error.to_string();
                let failure = Failure { kind: FailureKind::InvalidRequest, message, retry_after_ms: None };
                return Some(self.report_beside(beside, failure));
            }
        };
        let (notes, at_work) = (Notes { shell, kit, state }, self.shell.brake.work(self.id));
        let task = async move {
            match beside {
                Beside::Observe(to) => hands::observe(errand, notes, to).await,
                Beside::Reflect => hands::reflect(errand, notes).await,
                Beside::Erase | Beside::Condense(_) | Beside::Tell(_) => {}
            }
            drop(at_work);
        };
        Some(self.shell.tasks.spawn("notes", task.instrument(span)))
    }

    /// Has what is remembered now get its vectors, beside everything else: files are read for it.
    pub(super) fn have_measured(&self) {
        let Some(profile) = &self.state.profile else { return };
        let (shell, agent) = (self.shell.clone(), profile.agent.clone());
        self.shell.tasks.spawn("vectors", async move {
            // Where they cannot be read now, the next question finds what is missing.
            for (agent, meaning) in shell.kits.meanings(Some(&agent)).unwrap_or_default() {
                meaning.begin(&shell, &agent);
            }
        });
    }

    /// Puts lines in the place of others, and believes what the journal says then, also where only some of it was done: the rest is
    /// done later, by whoever has the mark.
    pub(super) async fn scrub(&mut self, lines: Vec<Line>) -> Result<(), SubmitError> {
        self.void();
        // The list's row has the beginning of what was said: it goes with the lines. Whoever starts after a death in between makes
        // it anew.
        let row = crate::list::row(&self.shell, (self.id, &self.state));
        self.shell.store.index.note(Row { title: None, owed: true, ..row });
        let scrubbed = self.shell.store.journals.scrub(self.id, self.epoch, lines).await;
        self.shell.door.folds.clear();
        self.astray = true;
        let read = self.reload().await;
        if read.is_ok() {
            self.shell.store.index.note(crate::list::row(&self.shell, (self.id, &self.state)));
        }
        scrubbed.map_err(SubmitError::Store)?;
        read?;
        // What stays of its memories is measured anew.
        self.have_measured();
        Ok(())
    }

    fn report_beside(&self, beside: Beside, failure: Failure) -> tokio::task::AbortHandle {
        let failed = (failure, Usage::default());
        let (errand, to) = (self.errand.clone(), self.observed_to(beside));
        let report = match beside {
            Beside::Reflect => {
                Report::Reflected { read: self.state.head, shown: Vec::new(), model: None, answer: Err(failed) }
            }
            Beside::Observe(_) | Beside::Erase | Beside::Condense(_) | Beside::Tell(_) => {
                Report::Observed { to, model: None, answer: Err(failed) }
            }
        };
        self.shell.tasks.spawn("report", async move { errand.report_read(report).await })
    }

    /// Sees to it that nothing is kept that was made of notes of other journals which have been forgotten, or said otherwise, since.
    /// What is forgotten from here on finds it: it is written by then.
    pub(super) async fn check_parts(&self, report: &Report) -> Result<(), SubmitError> {
        let Report::Reflected { shown, answer: Ok((made, _)), .. } = report else { return Ok(()) };
        if shown.is_empty() {
            return Ok(());
        }
        // What the index has not heard of yet is forgotten all the same.
        self.shell.store.memories.catch_up().await.map_err(SubmitError::Store)?;
        let parts = shown.iter().filter(|old| made.iter().any(|new| new.supersedes.contains(&old.id)));
        for old in parts {
            let known = self.shell.store.memories.get(old.id).await.map_err(SubmitError::Store)?;
            if known.is_none_or(|known| known.row.memory.text != old.text) {
                return Err(SubmitError::Refused(Refusal::Stale));
            }
        }
        Ok(())
    }

    fn observed_to(&self, beside: Beside) -> Seq {
        match beside {
            Beside::Observe(to) => to,
            Beside::Reflect | Beside::Erase | Beside::Condense(_) | Beside::Tell(_) => {
                self.state.upkeep.memories.said_at
            }
        }
    }
}
