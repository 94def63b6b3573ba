//! Tells of what the policy or a tool refuses to an agent, once that is durable.

use std::sync::{Arc, Mutex, PoisonError};

use outlive_core::event::{Decider, Entry, Event};
use outlive_core::id::{AgentName, CallId, SessionId};
use outlive_core::session::State;
use outlive_core::time::Timestamp;

/// A call that did not simply run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// When.
    pub at: Timestamp,
    /// Its session.
    pub session: SessionId,
    /// The call.
    pub call: CallId,
    /// Whose.
    pub agent: Option<AgentName>,
    /// The tool.
    pub tool: String,
    /// `call.denied`, by the policy or by the tool's own care; `call.asked`, of a person.
    pub what: &'static str,
    /// The rule that denies it, or whose care it was.
    pub rule: Option<String>,
}

/// Who hears of it. It must not wait for anything.
pub type Ear = Arc<dyn Fn(Refused) + Send + Sync>;

/// Whoever hears of refusals, if anybody. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Refusals(Arc<Mutex<Option<Ear>>>);

impl Refusals {
    pub(crate) fn hear(&self, ear: Ear) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(ear);
    }

    /// Tells of what happened in a session, each with the call's tool.
    pub(crate) fn tell<'a>(
        &self,
        session: SessionId,
        state: &State,
        happened: impl Iterator<Item = (&'a Entry, &'a str)>,
    ) {
        let Some(ear) = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone() else { return };
        for (entry, tool) in happened {
            let Some((call, what, rule)) = refused(&entry.event) else { continue };
            let agent = state.profile.as_ref().map(|profile| profile.agent.clone());
            ear(Refused { at: entry.at, session, call, agent, tool: tool.to_owned(), what, rule });
        }
    }
}

/// Returns which call an event refuses or asks about, and how.
#[expect(clippy::wildcard_enum_match_arm, reason = "only refusals are looked for")]
pub(crate) fn refused(event: &Event) -> Option<(CallId, &'static str, Option<String>)> {
    match event {
        Event::CallDenied(denied) => match &denied.by {
            Decider::Policy(rule) => Some((denied.call, "call.denied", Some(rule.clone()))),
            Decider::Runtime => Some((denied.call, "call.denied", Some("the tool's own care".to_owned()))),
            // Whoever denied it was entered when they did.
            Decider::Person(_) | Decider::Grant(_) => None,
        },
        // The rule that an `always` would store is what runs: content.
        Event::ApprovalRequested(asked) => Some((asked.call, "call.asked", None)),
        _no_refusal => None,
    }
}
