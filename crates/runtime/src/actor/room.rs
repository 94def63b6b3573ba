//! Makes room for a step before it is asked: what is done about a long request is recorded, or waited for, or ends the turn.

use std::sync::Arc;

use outlive_core::command::{Command, ContextCommand};
use outlive_core::compaction::{Summary, plan};
use outlive_core::content::Request;
use outlive_core::context::assemble_with;
use outlive_core::event::{Event, TurnError};
use outlive_core::id::TurnId;
use outlive_core::session::{Refusal, Relief, Sized, StepPlan};
use outlive_store::StoreError;

use super::Actor;
use super::batch::Batch;
use crate::SubmitError;
use crate::kit::{Kit, Voice};
use crate::prefix::of_next;

/// What becomes of a step's request.
pub(super) enum Room {
    /// It is sent.
    There(Box<(Request, StepPlan)>),
    /// It waits for a compaction, whose report wakes the session.
    Awaited,
    /// It cannot be sent.
    None(TurnError),
}

impl Actor {
    /// Returns the request of the next step once there is room for it.
    pub(super) async fn room(
        &mut self,
        batch: &mut Batch,
        (turn, kit): (TurnId, &Kit),
        voice: &Voice,
    ) -> Result<Room, StoreError> {
        voice.frame.count(&*self.errand.counter);
        loop {
            let layers = self.layers(batch, (turn, kit), &voice.frame).await?;
            self.transcript(batch).await?;
            let transcript = self.transcript.get_or_insert_default();
            let (request, plan) = assemble_with(&voice.frame, &layers, transcript);
            let plan = self.weigh(plan);
            let transcript = self.transcript.get_or_insert_default();
            let sized = Sized {
                tokens: plan.tokens_estimated,
                counted: plan.load.counted(),
                window: &voice.frame.window,
                keeper: &kit.keeper.name,
                compacts: kit.keeper.compacts,
            };
            let mut moment = self.shell.moments.moment();
            match self.state.relieve(transcript, &sized, &mut moment) {
                Relief::None => return Ok(Room::There(Box::new((request, plan)))),
                Relief::Wait => return Ok(Room::Awaited),
                Relief::Fail(error) => return Ok(Room::None(error)),
                Relief::Facts(facts) => {
                    if !self.record(batch, facts) {
                        return Ok(Room::There(Box::new((request, plan))));
                    }
                }
            }
        }
    }

    /// Brings what a change to what the model sees is decided with: only the shell knows the conversation.
    pub(super) async fn prepared(&mut self, command: &Command) -> Result<Option<Command>, SubmitError> {
        if let Command::Report(report) = command {
            self.check_parts(report).await?;
        }
        let Command::Context { what, by } = command else { return Ok(None) };
        let what = match what {
            ContextCommand::Compact { focus, model, plan: None } => {
                let plan = self.planned(model.as_deref()).await?.map(Box::new);
                ContextCommand::Compact { focus: focus.clone(), model: model.clone(), plan }
            }
            ContextCommand::Pin { item, pinned, summary: None } => {
                ContextCommand::Pin { item: item.clone(), pinned: *pinned, summary: self.in_use().await? }
            }
            ContextCommand::Clear { summary: None } => ContextCommand::Clear { summary: self.in_use().await? },
            ContextCommand::Compact { .. }
            | ContextCommand::Pin { .. }
            | ContextCommand::Cancel
            | ContextCommand::Activate(_)
            | ContextCommand::Edit { .. }
            | ContextCommand::Clear { .. }
            | ContextCommand::Seed { .. }
            | ContextCommand::Reset => return Ok(None),
        };
        Ok(Some(Command::Context { what, by: by.clone() }))
    }

    /// Returns what the checkpoint in use says.
    async fn in_use(&self) -> Result<Option<Box<Summary>>, SubmitError> {
        let Some(active) = self.state.upkeep.view.active() else { return Ok(None) };
        let redactor = self.errand.secrets.now();
        let created = crate::load::checkpoint(&self.shell.store, self.id, active.seq, &redactor).await;
        Ok(created.map_err(SubmitError::Store)?.map(|created| Box::new(created.summary)))
    }

    async fn planned(&mut self, model: Option<&str>) -> Result<Option<outlive_core::command::Planned>, SubmitError> {
        let Some(profile) = &self.state.profile else { return Ok(None) };
        let kit = self.shell.kits.kit(&profile.agent).map_err(SubmitError::Agent)?;
        let model = kit.condenser(model)?;
        let batch = Batch::new(&self.state, self.held.clone(), self.counting());
        self.transcript(&batch).await.map_err(SubmitError::Store)?;
        let (head, frame) = (self.state.head, &kit.voices.at(0).frame);
        frame.count(&*self.errand.counter);
        let transcript = self.transcript.get_or_insert_default();
        let (of, before) = ((&self.shell, self.id, &self.state), (transcript.begins(), self.equipment.layers.as_ref()));
        let layers = of_next(of, (&kit, frame), before).await.map_err(SubmitError::Store)?;
        let load = assemble_with(frame, &layers, transcript).1.load;
        let tokens = self.shell.kits.scales().calibration(&frame.model).estimate(&load);
        let marks = transcript.marks_in((tokens, load.counted()));
        let plan = plan(&marks, head, (tokens, &frame.window), false);
        Ok(plan.map(|plan| transcript.planned(plan, Some(model))))
    }

    /// Forgets the conversation as it was read where the model sees another part of it now.
    pub(super) fn look_again(&mut self, batch: &Batch) {
        let changes = |event: &Event| matches!(event, Event::CheckpointActivated(_) | Event::SessionRewound(_));
        if batch.entries().any(|entry| changes(&entry.event)) {
            self.transcript = None;
        }
    }
}

impl Kit {
    /// Returns the name of whoever condenses, where this one is asked for or none.
    pub(crate) fn condenser(&self, asked: Option<&str>) -> Result<String, SubmitError> {
        match asked {
            None => Ok(self.keeper.name.clone()),
            Some(name) if self.keeper(name).is_some() => Ok(name.to_owned()),
            Some(name) => {
                let what = format!("the agent asks no model `{name}`: name one of its own, as `provider/name`");
                Err(SubmitError::Refused(Refusal::Invalid { code: "model_unknown", what }))
            }
        }
    }

    /// Returns who condenses under this name: whoever keeps the agent's conversations, or one of the models that it asks.
    #[must_use]
    pub fn keeper(&self, name: &str) -> Option<(Arc<dyn outlive_model::Model>, outlive_core::context::Window)> {
        if name == self.keeper.name {
            return Some((Arc::clone(&self.keeper.model), self.keeper.window));
        }
        let places = 0..self.voices.lineup().models.len();
        let voice = places.map(|place| self.voices.at(place)).find(|voice| voice.frame.model == name)?;
        Some((Arc::clone(&voice.model), voice.frame.window))
    }
}
