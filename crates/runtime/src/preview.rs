//! What the next request of a session would be.

use outlive_core::context::preview::{Known, Preview, preview};
use outlive_core::id::SessionId;
use outlive_core::session::Refusal;

use crate::{Runtime, SubmitError, load};

impl Runtime {
    /// Makes the next request of a session, as if this were said to it now. Nothing is sent or written.
    ///
    /// # Errors
    ///
    /// As for [`Runtime::view`]; the agent cannot run.
    pub async fn context(&self, session: SessionId, message: Option<&str>) -> Result<(String, Preview), SubmitError> {
        let state = self.view(session).await?;
        let profile = state.profile.as_ref().ok_or(SubmitError::Refused(Refusal::NoSession))?;
        let kit = self.shell.kits.kit(&profile.agent).map_err(SubmitError::Agent)?;
        let redactor = self.secrets().now();
        let read = load::transcript(&self.shell.store, session, load::Sight::of(&state), redactor);
        let transcript = read.await.map_err(SubmitError::Store)?;
        let outages = state.turn.as_ref().map(|turn| &turn.outages);
        let outages = outages.or(state.last.as_ref().map(|last| &last.outages));
        let place = outages.map_or(0, |outages| outages.next(self.shell.moments.now(), kit.voices.lineup()).0);
        let frame = &kit.voices.at(place).frame;
        let scales = self.shell.kits.scales();
        let known = Known { counter: &**scales.counter(), calibration: &scales.calibration(&frame.model) };
        Ok((frame.model.clone(), preview(frame, &transcript, message, &known)))
    }
}
