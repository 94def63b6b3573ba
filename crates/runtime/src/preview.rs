//! What the next request of a session would be.

use outlive_core::context::preview::{Known, Preview, preview};
use outlive_core::context::{Frame, Layers, Transcript};
use outlive_core::id::SessionId;
use outlive_core::session::Refusal;
use outlive_store::StoreError;

use crate::actor::Viewed;
use crate::kit::Kit;
use crate::memory::of_session;
use crate::prefix::{Prefix, is_due, shows};
use crate::{Runtime, SubmitError, load};

impl Runtime {
    /// Makes the next request of a session, as if this were said to it now. Nothing is sent or written.
    ///
    /// # Errors
    ///
    /// As for [`Runtime::view`]; the agent cannot run.
    pub async fn context(&self, session: SessionId, message: Option<&str>) -> Result<(String, Preview), SubmitError> {
        let seen = self.seen(session).await?;
        let state = &seen.state;
        let profile = state.profile.as_ref().ok_or(SubmitError::Refused(Refusal::NoSession))?;
        let kit = self.shell.kits.kit(&profile.agent).map_err(SubmitError::Agent)?;
        let redactor = self.secrets().now();
        let read = load::transcript(&self.shell.store, session, load::Sight::of(state), redactor);
        let transcript = read.await.map_err(SubmitError::Store)?;
        let outages = state.turn.as_ref().map(|turn| &turn.outages);
        let outages = outages.or(state.last.as_ref().map(|last| &last.outages));
        let place = outages.map_or(0, |outages| outages.next(self.shell.moments.now(), kit.voices.lineup()).0);
        let frame = &kit.voices.at(place).frame;
        let scales = self.shell.kits.scales();
        frame.count(&**scales.counter());
        let known = Known { counter: &**scales.counter(), calibration: &scales.calibration(&frame.model) };
        let layers = self.layers((session, &seen), (&kit, frame), &transcript).await.map_err(SubmitError::Store)?;
        Ok((frame.model.clone(), preview((frame, &layers), &transcript, message, &known)))
    }

    /// Returns what the next request begins with behind what the agent is.
    async fn layers(
        &self,
        (session, seen): (SessionId, &Viewed),
        (kit, frame): (&Kit, &Frame),
        transcript: &Transcript,
    ) -> Result<Layers, StoreError> {
        let state = &seen.state;
        if !shows(state, kit) {
            return Ok(Layers::default());
        }
        let due = is_due(state, frame, transcript.begins());
        if let Some(layers) = seen.layers.as_ref().filter(|_| due.is_none()) {
            return Ok(layers.clone());
        }
        let rows = of_session(&self.shell.store, session, state.head).await?;
        Ok(Prefix { shell: &self.shell, state, kit, frame, rows }.begin(due).await?.layers())
    }
}
