//! The kit of a turn, and the tools in it that are not the agent's own: servers say what they offer, some of them late.
//!
//! Invariant: a step waits for them once, and never for long; the session takes commands meanwhile.

use std::sync::Arc;

use outlive_core::context::Layers;
use outlive_core::id::{Seq, TurnId};
use tokio_util::sync::CancellationToken;

use super::Actor;
use crate::kit::{Kit, KitError};

/// The kit of a turn.
#[derive(Default)]
pub(super) struct Equipment {
    kit: Option<(TurnId, Arc<Kit>)>,
    /// Which tools of servers the kit has.
    version: u64,
    /// Set while the next step waits for tools; cancelled once they are there, or given up.
    found: Option<CancellationToken>,
    /// What requests begin with of what is remembered, once it was needed.
    pub(super) layers: Option<Layers>,
    /// What had changed by then of what all sessions remember.
    pub(super) changes: u64,
    /// Where the conversation begins as it was read, where it is not the session's.
    pub(super) sees_from: Option<Seq>,
}

impl Actor {
    /// Returns the agent's kit, read afresh once for each turn, and where servers offer something else.
    pub(super) fn kit(&mut self) -> Result<Arc<Kit>, KitError> {
        let Some(turn) = self.state.turn.as_ref().map(|turn| turn.id) else { return Err(KitError::NoTurn) };
        if let Some((of, kit)) = &self.equipment.kit
            && *of == turn
        {
            return Ok(Arc::clone(kit));
        }
        let kit = self.shell.kit_of(&self.state)?;
        self.equipment.kit = Some((turn, Arc::clone(&kit)));
        Ok(kit)
    }

    /// Whether the next step waits for tools that are only being found out: then the session is woken once they are, or are
    /// given up.
    pub(super) fn waits_for_tools(&mut self) -> bool {
        let Some(profile) = &self.state.profile else { return false };
        let was_waiting = self.equipment.found.take();
        if let Some(found) = was_waiting.as_ref().filter(|found| !found.is_cancelled()) {
            self.equipment.found = Some(found.clone());
            return true;
        }
        let offered = self.shell.kits.offered(&profile.agent);
        if offered.version != self.equipment.version {
            self.equipment.version = offered.version;
            self.equipment.kit = None;
        }
        let Some(expected) = offered.expected.filter(|_| was_waiting.is_none()) else { return false };
        let (found, errand) = (CancellationToken::new(), self.errand.clone());
        self.equipment.found = Some(found.clone());
        self.shell.tasks.spawn("tools", async move {
            expected.await;
            found.cancel();
            errand.wake().await;
        });
        true
    }
}
