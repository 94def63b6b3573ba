//! What the next request of a session would be: to be shown, and to be held against a plan to make it shorter.

use std::sync::Arc;

use outlive_core::context::preview::{Known, Preview, preview};
use outlive_core::context::{Frame, Layers, Transcript};
use outlive_core::id::SessionId;
use outlive_core::session::{Refusal, State};
use outlive_store::StoreError;

use crate::actor::Viewed;
use crate::kit::Kit;
use crate::memory::of_session;
use crate::prefix::{Prefix, is_due, shows};
use crate::query::missing;
use crate::{Runtime, SubmitError, load};

/// What the next request is made of.
pub(crate) struct Next {
    pub(crate) state: Arc<State>,
    pub(crate) kit: Arc<Kit>,
    pub(crate) transcript: Transcript,
    pub(crate) layers: Layers,
    place: usize,
}

impl Next {
    /// Returns the stable part of it.
    pub(crate) fn frame(&self) -> &Frame {
        &self.kit.voices.at(self.place).frame
    }
}

impl Runtime {
    /// Makes the next request of a session, as if this were said to it now. Nothing is sent or written.
    ///
    /// # Errors
    ///
    /// As for [`Runtime::view`]; the agent cannot run.
    pub async fn context(&self, session: SessionId, message: Option<&str>) -> Result<(String, Preview), SubmitError> {
        let next = self.next(session).await?;
        let (frame, scales) = (next.frame(), self.shell.kits.scales());
        let known = Known { counter: &**scales.counter(), calibration: &scales.calibration(&frame.model) };
        Ok((frame.model.clone(), preview((frame, &next.layers), &next.transcript, message, &known)))
    }

    /// Reads what the next request of a session is made of, as its actor would.
    pub(crate) async fn next(&self, session: SessionId) -> Result<Next, SubmitError> {
        let viewed = self.viewed(session).await?;
        let state = Arc::clone(&viewed.state);
        let profile = state.profile.as_ref().ok_or(SubmitError::Refused(Refusal::NoSession))?;
        let kit = self.shell.kits.kit(&profile.agent).map_err(SubmitError::Agent)?;
        let redactor = self.secrets().now();
        let read = load::transcript(&self.shell.store, session, load::Sight::of(&state), redactor);
        let transcript = read.await.map_err(missing)?;
        let outages = state.turn.as_ref().map(|turn| &turn.outages);
        let outages = outages.or(state.last.as_ref().map(|last| &last.outages));
        let place = outages.map_or(0, |outages| outages.next(self.shell.moments.now(), kit.voices.lineup()).0);
        let frame = &kit.voices.at(place).frame;
        frame.count(&**self.shell.kits.scales().counter());
        let layers = self.layers((session, &viewed), (&kit, frame), &transcript).await.map_err(SubmitError::Store)?;
        Ok(Next { state, kit, transcript, layers, place })
    }

    /// Returns what the next request begins with behind what the agent is.
    async fn layers(
        &self,
        (session, viewed): (SessionId, &Viewed),
        (kit, frame): (&Kit, &Frame),
        transcript: &Transcript,
    ) -> Result<Layers, StoreError> {
        let state = &viewed.state;
        if !shows(state, kit) {
            return Ok(Layers::default());
        }
        let due = is_due(state, frame, transcript.begins());
        if let Some(layers) = viewed.layers.as_ref().filter(|_| due.is_none()) {
            return Ok(layers.clone());
        }
        let rows = of_session(&self.shell, session, state.head).await?;
        Ok(Prefix { shell: &self.shell, state, kit, frame, rows }.begin(due).await?.layers())
    }
}
