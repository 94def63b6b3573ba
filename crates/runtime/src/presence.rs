//! What becomes of a turn when its last client goes: with `on_disconnect: continue`, the default, nothing. With `pause` the
//! session is paused by an ordinary command once nobody has come back within the agent's `disconnect_grace`, and resumed
//! when a client comes.
//!
//! Invariants: a client that comes back in time changes nothing; a session with a client is not left paused for want of
//! one. A grace period is kept in memory alone: a restart cuts off every client, and so begins it anew.

use std::collections::{BTreeSet, HashMap};
use std::sync::Weak;
use std::time::Duration;

use outlive_core::command::Command;
use outlive_core::event::{OnDisconnect, Origin, OriginKind};
use outlive_core::id::{Seq, SessionId};
use outlive_core::session::{Hold, State};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::subscribe::Subscription;
use crate::{Runtime, SubmitError};

/// The reason in the journal: a session paused for it is resumed by the next client.
const LAST_CLIENT_LEFT: &str = "the last client left (on_disconnect: pause)";

/// Sessions whose last client went, and when they are paused. One that is left again waits from then on.
#[derive(Default)]
struct Graces {
    by_time: BTreeSet<(Instant, SessionId)>,
    by_session: HashMap<SessionId, Instant>,
}

impl Graces {
    fn begin(&mut self, session: SessionId, until: Instant) {
        if let Some(before) = self.by_session.insert(session, until) {
            self.by_time.remove(&(before, session));
        }
        self.by_time.insert((until, session));
    }

    fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(until, _)| *until)
    }

    fn take_over(&mut self, now: Instant) -> Option<SessionId> {
        self.next().filter(|until| *until <= now)?;
        let (_, session) = self.by_time.pop_first()?;
        self.by_session.remove(&session);
        Some(session)
    }
}

/// Pauses sessions whose last client went and did not come back, until the runtime is gone.
pub(crate) async fn watch(runtime: Weak<Runtime>, mut silent: mpsc::Receiver<SessionId>, closing: CancellationToken) {
    let mut graces = Graces::default();
    loop {
        let next = graces.next();
        let left = tokio::select! {
            biased;
            () = closing.cancelled() => return,
            session = silent.recv() => match session {
                Some(session) => Some(session),
                None => return,
            },
            () = tokio::time::sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => None,
        };
        let Some(runtime) = runtime.upgrade() else { return };
        if let Some(session) = left
            && let Some(grace) = runtime.grace(session).await
        {
            // One beyond all time is never over.
            Instant::now().checked_add(grace).into_iter().for_each(|until| graces.begin(session, until));
        }
        while let Some(session) = graces.take_over(Instant::now()) {
            if let Err(error) = runtime.leave_alone(session).await {
                tracing::debug!(%session, %error, "not paused");
            }
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
        self.welcome(session).await?;
        Ok(subscription)
    }

    /// Goes on where nobody was there to see it.
    async fn welcome(&self, session: SessionId) -> Result<(), SubmitError> {
        let state = self.view(session).await?;
        if matches!(&state.hold, Hold::Paused { reason: Some(reason), .. } if reason == LAST_CLIENT_LEFT) {
            let resumed = self.submit(session, Command::Resume { by: Origin::of(OriginKind::Runtime) }, None).await;
            // Where all is stopped it stays paused; whoever comes once that is lifted resumes it.
            if !matches!(resumed, Err(SubmitError::Stopped(_))) {
                resumed?;
            }
        }
        Ok(())
    }

    /// Returns how long a session that was left may go on, if it is to be paused at all.
    async fn grace(&self, session: SessionId) -> Option<Duration> {
        let state = self.view(session).await.ok().filter(|state| is_to_pause(state))?;
        let kit = self.agents().kit(&state.profile.as_ref()?.agent);
        Some(kit.map_or(crate::kit::Terms::default().disconnect_grace, |kit| kit.terms.disconnect_grace))
    }

    /// Pauses a session, if nobody has come back to it.
    async fn leave_alone(&self, session: SessionId) -> Result<(), SubmitError> {
        if self.is_heard(session) || !is_to_pause(&*self.view(session).await?) {
            return Ok(());
        }
        let reason = Some(LAST_CLIENT_LEFT.to_owned());
        self.submit(session, Command::Pause { by: Origin::of(OriginKind::Runtime), reason }, None).await?;
        // Whoever came while that was written found nothing to resume.
        if self.is_heard(session) { self.welcome(session).await } else { Ok(()) }
    }
}

/// Whether a session runs a turn that is not to go on unseen.
fn is_to_pause(state: &State) -> bool {
    let pauses = state.profile.as_ref().is_some_and(|profile| profile.on_disconnect == OnDisconnect::Pause);
    pauses && state.turn.is_some() && matches!(state.hold, Hold::Open)
}
