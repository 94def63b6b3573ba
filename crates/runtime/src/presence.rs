//! What becomes of a turn when its last client goes: with `on_disconnect: continue`, the default, nothing. With `pause` the
//! session is paused at the next safe point, by an ordinary command, and resumed when a client comes back.

use std::sync::Weak;

use outlive_core::command::Command;
use outlive_core::event::{OnDisconnect, Origin, OriginKind};
use outlive_core::id::{Seq, SessionId};
use outlive_core::session::Hold;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::subscribe::Subscription;
use crate::{Runtime, SubmitError};

/// The reason in the journal: a session paused for it is resumed by the next client.
const LAST_CLIENT_LEFT: &str = "the last client left (on_disconnect: pause)";

/// Pauses sessions whose last client went, until the runtime is gone.
pub(crate) async fn watch(runtime: Weak<Runtime>, mut silent: mpsc::Receiver<SessionId>, closing: CancellationToken) {
    loop {
        let session = tokio::select! {
            session = silent.recv() => session,
            () = closing.cancelled() => return,
        };
        let (Some(session), Some(runtime)) = (session, runtime.upgrade()) else { return };
        // A session that is not in memory runs nothing that could be paused.
        if runtime.is_live(session)
            && let Err(error) = runtime.left(session).await
        {
            tracing::debug!(%session, %error, "not paused");
        }
    }
}

impl Runtime {
    /// Listens to a session as a client does: the last one to go may pause it, the next one to come resumes it.
    ///
    /// # Errors
    ///
    /// As for [`Runtime::view`].
    pub async fn attach(&self, session: SessionId, after: Seq) -> Result<Subscription, SubmitError> {
        let subscription = self.subscribe(session, after);
        let state = self.view(session).await?;
        if matches!(&state.hold, Hold::Paused { reason: Some(reason), .. } if reason == LAST_CLIENT_LEFT) {
            self.submit(session, Command::Resume { by: Origin::of(OriginKind::Runtime) }, None).await?;
        }
        Ok(subscription)
    }

    async fn left(&self, session: SessionId) -> Result<(), SubmitError> {
        let state = self.view(session).await?;
        let pauses = state.profile.as_ref().is_some_and(|profile| profile.on_disconnect == OnDisconnect::Pause);
        if pauses && state.turn.is_some() && !self.is_heard(session) {
            let reason = Some(LAST_CLIENT_LEFT.to_owned());
            self.submit(session, Command::Pause { by: Origin::of(OriginKind::Runtime), reason }, None).await?;
        }
        Ok(())
    }
}
