//! One run: says its message in its session, and hears how the turn ends. Says it again after whatever comes between.

use std::sync::{Arc, Weak};
use std::time::Duration;

use outlive_core::command::{Command, Create, Message};
use outlive_core::event::{Behavior, Ending, Event, OnDisconnect, Origin, OriginKind, RunEnded};
use outlive_core::id::{ScheduleId, TurnId};
use outlive_core::schedule::Run;
use outlive_core::session::Refusal;
use outlive_store::Class;

use crate::subscribe::{Signal, Subscription};
use crate::{Accepted, Runtime, SubmitError};

/// A run that is under way.
pub(super) struct Errand {
    pub(super) schedule: ScheduleId,
    pub(super) run: Run,
    /// What its session is called where it is a fresh one.
    pub(super) title: String,
}

/// The first pause before what is not taken now is said again, and the longest; each doubles.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// How an attempt ended, with why if it failed.
type End = (Ending, Option<String>);

impl Errand {
    /// Sees to its end; `None` where the runtime ends before.
    pub(super) async fn end(self, runtime: Weak<Runtime>) -> Option<RunEnded> {
        let mut pause = PAUSE;
        loop {
            let alive = runtime.upgrade()?;
            let begun = self.begin(&alive).await;
            let mut changes = alive.shell.brake.changes();
            match begun {
                Ok(Accepted { turn: None, .. }) => return Some(self.ended((Ending::Complete, None))),
                Ok(Accepted { turn: Some(turn), seq, .. }) => {
                    let listening = alive.subscribe(self.run.session, seq.saturating_sub(1));
                    drop(alive);
                    match hear(listening, turn).await {
                        Some(end) => return Some(self.ended(end)),
                        None if runtime.upgrade()?.closing().is_cancelled() => return None,
                        // Whoever says it again finds out.
                        None => {}
                    }
                }
                Err(SubmitError::Closing) => return None,
                Err(error) if is_for_now(&error) => {
                    tracing::warn!(schedule = %self.schedule, run = %self.run.run, %error, "a run waits");
                }
                Err(error) => return Some(self.ended((Ending::Failed, Some(error.to_string())))),
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // An emergency stop was lifted.
                _ = changes.changed() => {}
            }
            pause = (pause * 2).min(LONGEST);
        }
    }

    fn ended(&self, (outcome, error): End) -> RunEnded {
        RunEnded { run: self.run.run, attempt: self.run.attempt, outcome, error }
    }

    async fn begin(&self, runtime: &Arc<Runtime>) -> Result<Accepted, SubmitError> {
        let by = Origin { kind: OriginKind::Schedule, sender: Some(self.schedule.to_string()) };
        if let Some(agent) = &self.run.agent {
            let kit = runtime.shell.kits.kit(agent).map_err(SubmitError::Agent)?;
            let create = Create {
                agent: agent.clone(),
                agent_digest: kit.voices.at(0).frame.agent_digest.clone(),
                title: Some(self.title.clone()).filter(|title| !title.is_empty()),
                project: None,
                task: None,
                memory: None,
                on_disconnect: OnDisconnect::Continue,
                labels: [("schedule".to_owned(), self.schedule.to_string())].into(),
                by: by.clone(),
            };
            runtime.find_or_make(self.run.session, create, None).await?;
        }
        let message = Message::text(self.run.said(), Behavior::FollowUp, by);
        let request = self.run.request().parse().ok();
        runtime.submit_in_turn(self.run.session, Command::Message(message), request).await
    }
}

/// Says whether the same may be taken later.
fn is_for_now(error: &SubmitError) -> bool {
    match error {
        SubmitError::Busy { .. } | SubmitError::Stopped(_) | SubmitError::Refused(Refusal::QueueFull) => true,
        SubmitError::Store(error) => matches!(error.class(), Class::Busy | Class::Lost),
        SubmitError::Refused(_) | SubmitError::Agent(_) | SubmitError::Closing => false,
    }
}

/// Hears how a turn ends, also one that waits in the queue; `None` where nothing more is told.
#[expect(clippy::wildcard_enum_match_arm, reason = "only what ends the turn matters")]
async fn hear(mut listening: Subscription, turn: TurnId) -> Option<End> {
    let mut input = None;
    loop {
        let Ok(Some(signal)) = listening.next().await else { return None };
        let Signal::Event(_, entry) = signal else { continue };
        match &entry.event {
            Event::InputQueued(queued) if queued.starts == turn => input = Some(queued.input),
            Event::InputRemoved(removed) if Some(removed.input) == input => {
                return Some((Ending::Interrupted, Some("it was taken out of the session's queue".to_owned())));
            }
            Event::TurnEnded(ended) if entry.turn == Some(turn) => {
                return Some((ended.ending, ended.error.as_ref().map(|error| error.message.clone())));
            }
            _other => {}
        }
    }
}
