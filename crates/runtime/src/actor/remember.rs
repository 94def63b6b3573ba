//! What a session remembers: what its requests begin with of it, and what is done beside its turns.
//!
//! Invariant: requests begin with the same bytes until the journal says that they do not.

use std::sync::Arc;

use outlive_core::command::Report;
use outlive_core::content::{Failure, FailureKind};
use outlive_core::context::{Counter, Layer, Layers};
use outlive_core::event::{ContextRebuilt, Event, Line, RebuildCause};
use outlive_core::id::{Seq, TurnId};
use outlive_core::memory::pack::{Part, choose, render};
use outlive_core::memory::{Memory, Mode};
use outlive_core::session::{Beside, Fact, Notes as Allowed, Shown};
use outlive_store::StoreError;
use tracing::Instrument as _;

use super::Actor;
use super::batch::Batch;
use crate::SubmitError;
use crate::hands::{self, Notes};
use crate::kit::{Kit, KitError};
use crate::memory::{of_session, seen_by};

/// How long a provider keeps the beginning of a request, in milliseconds: after that nothing is lost by another one.
const CACHED_MS: u64 = 300_000;

/// The rows of both packs.
struct Packs {
    global: Vec<Memory>,
    session: Vec<Memory>,
}

impl Actor {
    /// Returns what stands in this session's requests of what is remembered, made anew where that is due.
    pub(super) async fn layers(
        &mut self,
        batch: &mut Batch,
        (turn, kit): (TurnId, &Kit),
    ) -> Result<Layers, StoreError> {
        if kit.keeper.memory.is_none() {
            return Ok(Layers::default());
        }
        let begins = self.state.remembering();
        self.record(batch, begins.into_iter().collect());
        if !self.state.upkeep.memories.reads() {
            return Ok(Layers::default());
        }
        let cause = match &self.state.upkeep.memories.shown {
            None => Some(RebuildCause::Load),
            Some(shown) => shown.stale,
        };
        if let Some(layers) = self.equipment.layers.as_ref().filter(|_| cause.is_none()) {
            return Ok(layers.clone());
        }
        let is_cached = |shown: &&Shown| self.shell.moments.now().ms_since(shown.asked_at) < CACHED_MS;
        let before = self.state.upkeep.memories.shown.as_ref().filter(is_cached).filter(|_| cause.is_none()).cloned();
        if let Some(shown) = before
            && let Some(layers) = self.as_before(&shown, batch).await?
        {
            self.equipment.layers = Some(layers.clone());
            return Ok(layers);
        }
        self.rebuild(batch, (turn, kit), cause.unwrap_or(RebuildCause::Load)).await
    }

    async fn rebuild(
        &mut self,
        batch: &mut Batch,
        (turn, kit): (TurnId, &Kit),
        cause: RebuildCause,
    ) -> Result<Layers, StoreError> {
        let window = &kit.voices.at(0).frame.window;
        let cap = kit.keeper.memory.as_ref().and_then(|memory| memory.global_tokens);
        let own = self.own_rows(batch).await?;
        let others = seen_by(&self.shell.store, &self.state).await?;
        let packs = Packs {
            global: choose(others, Part::Global.tokens(window, cap)),
            session: choose(own, Part::Session.tokens(window, cap)),
        };
        let layers = packs.layers(&**self.shell.kits.scales().counter());
        let ids = |memories: &[Memory]| memories.iter().map(|memory| memory.id).collect();
        let (global, session) = (ids(&packs.global), ids(&packs.session));
        let rebuilt = Event::ContextRebuilt(ContextRebuilt { cause, blocks: layers.blocks(), global, session });
        self.record(batch, vec![Fact::of_turn(turn, rebuilt)]);
        self.equipment.layers = Some(layers.clone());
        Ok(layers)
    }

    /// Renders the same rows again; none where they do not say the same any more.
    async fn as_before(&self, shown: &Shown, batch: &Batch) -> Result<Option<Layers>, StoreError> {
        let own = self.own_rows_all(batch).await?;
        let mut packs = Packs { global: Vec::new(), session: Vec::new() };
        for id in &shown.session {
            packs.session.extend(own.get(*id).map(|row| row.memory.clone()));
        }
        for id in &shown.global {
            packs.global.extend(self.shell.store.memories.get(*id).await?.map(|known| known.row.memory));
        }
        let layers = packs.layers(&**self.shell.kits.scales().counter());
        Ok((layers.blocks() == shown.blocks).then_some(layers))
    }

    async fn own_rows(&self, batch: &Batch) -> Result<Vec<Memory>, StoreError> {
        let rows = self.own_rows_all(batch).await?;
        Ok(rows.live().into_iter().map(|row| row.memory.clone()).collect())
    }

    async fn own_rows_all(&self, batch: &Batch) -> Result<outlive_core::memory::Rows, StoreError> {
        let mut rows = of_session(&self.shell.store, self.id, batch.before()).await?;
        batch.entries().for_each(|entry| rows.apply(entry));
        Ok(rows)
    }

    /// Returns what the agent's files allow between turns to be done for what is to be remembered. They are read only where
    /// there is something to do.
    pub(super) fn allowed_notes(&self) -> Allowed {
        let memories = &self.state.upkeep.memories;
        let nothing = Allowed { observes: false, room: u64::MAX };
        if memories.mode != Some(Mode::On) || (memories.said_at <= memories.observed_to && memories.noted == 0) {
            return nothing;
        }
        // Where they cannot be read now, that is found when it is begun.
        self.kit_beside().map_or(Allowed { observes: true, room: u64::MAX }, |kit| kit.notes())
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
                Beside::Erase | Beside::Condense(_) => {}
            }
            drop(at_work);
        };
        Some(self.shell.tasks.spawn("notes", task.instrument(span)))
    }

    /// Puts lines in the place of others, and believes what the journal says then. What requests begin with is read anew.
    pub(super) async fn scrub(&mut self, lines: Vec<Line>) -> Result<(), SubmitError> {
        self.equipment.layers = None;
        if lines.is_empty() {
            return Ok(());
        }
        let scrubbed = self.shell.store.journals.scrub(self.id, self.epoch, lines).await;
        scrubbed.map_err(SubmitError::Store)?;
        self.reload().await?;
        self.shell.store.index.note(crate::list::row(&self.state, self.id));
        Ok(())
    }

    fn report_beside(&self, beside: Beside, failure: Failure) -> tokio::task::AbortHandle {
        let (errand, to) = (self.errand.clone(), self.observed_to(beside));
        let report = match beside {
            Beside::Reflect => Report::Reflected { model: None, answer: Err(failure) },
            Beside::Observe(_) | Beside::Erase | Beside::Condense(_) => {
                Report::Observed { to, model: None, answer: Err(failure) }
            }
        };
        self.shell.tasks.spawn("report", async move { errand.report(report).await })
    }

    fn observed_to(&self, beside: Beside) -> Seq {
        match beside {
            Beside::Observe(to) => to,
            Beside::Reflect | Beside::Erase | Beside::Condense(_) => self.state.upkeep.memories.said_at,
        }
    }
}

impl Packs {
    fn layers(&self, counter: &dyn Counter) -> Layers {
        let layer = |part: Part, rows: &[Memory]| render(part, rows).map(|text| Layer::new(part.name(), text, counter));
        let layers = [layer(Part::Global, &self.global), layer(Part::Session, &self.session)];
        Layers(layers.into_iter().flatten().collect())
    }
}
