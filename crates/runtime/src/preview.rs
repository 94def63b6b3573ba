//! What the next request of a session would be: to be shown, and to be held against a plan to make it shorter.

use std::sync::Arc;

use outlive_core::context::preview::{Known, Preview, preview};
use outlive_core::context::{Frame, Layers, Transcript};
use outlive_core::id::SessionId;
use outlive_core::session::{Refusal, State};

use crate::kit::Kit;
use crate::prefix::of_next;
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
        let next = self.next_with(session, load::Sight::of_turn).await?;
        let (frame, scales) = (next.frame(), self.shell.kits.scales());
        let known = Known { counter: &**scales.counter(), calibration: &scales.calibration(&frame.model) };
        Ok((frame.model.clone(), preview((frame, &next.layers), &next.transcript, message, &known)))
    }

    /// Reads what the next request of a session is made of, as its actor would.
    pub(crate) async fn next(&self, session: SessionId) -> Result<Next, SubmitError> {
        self.next_with(session, load::Sight::of).await
    }

    async fn next_with(&self, session: SessionId, sight: fn(&State) -> load::Sight) -> Result<Next, SubmitError> {
        let viewed = self.viewed(session).await?;
        let state = Arc::clone(&viewed.state);
        if state.profile.is_none() {
            return Err(SubmitError::Refused(Refusal::NoSession));
        }
        let kit = self.shell.kit_of(&state).map_err(SubmitError::Agent)?;
        let redactor = self.secrets().now();
        let read = load::transcript(&self.shell.store, session, sight(&state), redactor);
        let transcript = read.await.map_err(missing)?;
        let outages = state.turn.as_ref().map(|turn| &turn.outages);
        let outages = outages.or(state.last.as_ref().map(|last| &last.outages));
        let place = outages.map_or(0, |outages| outages.next(self.shell.moments.now(), kit.voices.lineup()).0);
        let frame = &kit.voices.at(place).frame;
        frame.count(&**self.shell.kits.scales().counter());
        let (of, before) = ((&self.shell, session, &*state), (transcript.begins(), viewed.layers.as_ref()));
        let layers = of_next(of, (&kit, frame), before).await.map_err(SubmitError::Store)?;
        Ok(Next { state, kit, transcript, layers, place })
    }
}
