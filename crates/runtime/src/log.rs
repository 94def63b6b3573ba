//! What the log says of a session: one line for each event that an operator asks about, ids and numbers as fields.
//!
//! Invariant: no text of a conversation, no argument, no output, at any level: what people and models say is in the journal,
//! and nowhere else.

use outlive_core::event::{Entry, Event, Line};
use outlive_core::id::{CallId, SessionId, TurnId};
use tracing::Span;

use crate::meter::word;

/// Returns the span of a session's actor.
pub(crate) fn session(id: SessionId) -> Span {
    tracing::info_span!("session", session = %id)
}

/// The span of the turn that runs, in that of its session.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turn(Option<(TurnId, Span)>);

impl Turn {
    /// Goes on with this turn's, or without one.
    pub(crate) fn enter(&mut self, turn: Option<TurnId>) {
        if self.0.as_ref().map(|(id, _)| *id) != turn {
            self.0 = turn.map(|id| (id, tracing::info_span!("turn", turn = %id)));
        }
    }

    fn span(&self) -> Option<tracing::span::Id> {
        self.0.as_ref().and_then(|(_, span)| span.id())
    }

    /// Returns the span of a model request.
    pub(crate) fn step(&self, step: u32, attempt: u32) -> Span {
        tracing::info_span!(parent: self.span(), "step", step, attempt)
    }

    /// Returns the span of a tool call.
    pub(crate) fn call(&self, call: CallId, attempt: u32, tool: &str) -> Span {
        tracing::info_span!(parent: self.span(), "call", %call, attempt, tool)
    }
}

/// Writes down what became durable.
pub(crate) fn note(happened: &[(Line, Entry)]) {
    happened.iter().for_each(|(_, entry)| one(entry));
}

#[expect(clippy::wildcard_enum_match_arm, reason = "most events are in the journal alone")]
fn one(entry: &Entry) {
    let turn = entry.turn.map(tracing::field::display);
    let (turn, step) = (turn.as_ref(), entry.step);
    match &entry.event {
        Event::SessionCreated(created) => tracing::info!(agent = %created.agent, "session created"),
        Event::TurnStarted(_) => tracing::debug!(turn, "turn started"),
        Event::TurnEnded(ended) => {
            let (ending, usage) = (word::ending(ended.ending), ended.usage);
            let error = ended.error.as_ref().map(|error| error.code.as_str());
            let (input, output) = (usage.all_input(), usage.output_tokens);
            tracing::info!(turn, ending, error, input_tokens = input, output_tokens = output, "turn ended");
        }
        Event::StepStarted(started) => {
            tracing::debug!(turn, step, attempt = started.attempt, model = started.model, "step started");
        }
        Event::StepFinished(finished) => {
            let (attempt, ms) = (finished.attempt, finished.latency_ms);
            tracing::debug!(turn, step, attempt, latency_ms = ms, "step finished");
        }
        Event::StepFailed(failed) => {
            let (attempt, kind, again) = (failed.attempt, word::failure(failed.kind), failed.retry_at.is_some());
            tracing::warn!(turn, step, attempt, kind, retried = again, "step failed");
        }
        Event::CallStarted(started) => {
            let (attempt, tool) = (started.attempt, started.tool.as_str());
            tracing::debug!(turn, call = %started.call, attempt, tool, "call started");
        }
        Event::CallFinished(finished) => {
            let (outcome, ms) = (word::outcome(finished.outcome), finished.duration_ms);
            tracing::debug!(turn, call = %finished.call, outcome, duration_ms = ms, "call finished");
        }
        Event::CallLost(lost) => tracing::warn!(turn, call = %lost.call, "call lost"),
        Event::ApprovalRequested(asked) => {
            tracing::info!(turn, call = %asked.call, tool = asked.tool, "approval requested");
        }
        Event::RecoveryNoted(noted) => {
            let (lost, resumed) = (noted.calls_lost.len(), noted.calls_resumed.len());
            tracing::warn!(turn, cut_bytes = noted.cut_bytes, lost, resumed, "recovery noted");
        }
        other => tracing::trace!(turn, event = other.name(), "event recorded"),
    }
}
