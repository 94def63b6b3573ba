//! Turns that nobody sits at: one that needs a person's word on a call ends as `ask`, its calls wait, and the turn that begins
//! with the last decision goes on with them.
//!
//! Invariants: nothing of an ended turn runs; a call that waits has its result before the next step, whatever is said first.

use super::decide::Moment;
use super::settle::Fact;
use super::{Held, State};
use crate::event::{CallDenied, Decider, Event, Origin, OriginKind, Trigger, TurnStarted};
use crate::id::{CallId, TurnId};
use crate::time::Timestamp;
use crate::turn::{Call, Phase, Turn};

/// What the model is told of a call that a person spoke instead of deciding on.
const UNDECIDED: &str = "Not run: nobody had decided on it when the person wrote; see their message.";

impl Origin {
    /// Says whether nobody sits there who could be asked.
    #[must_use]
    pub fn is_unattended(&self) -> bool {
        use OriginKind::{Relay, Schedule, Signal, Wait, Webhook};
        matches!(self.kind, Schedule | Webhook | Wait | Signal | Relay)
    }

    /// Returns what a turn begins with that this begins.
    pub(super) fn trigger(&self) -> Trigger {
        match self.kind {
            OriginKind::Schedule => Trigger::Schedule,
            OriginKind::Webhook | OriginKind::Signal => Trigger::Signal,
            OriginKind::Wait => Trigger::Wake,
            OriginKind::Relay => Trigger::Relay,
            OriginKind::Cli
            | OriginKind::Api
            | OriginKind::Web
            | OriginKind::Gateway
            | OriginKind::Worker
            | OriginKind::Import
            | OriginKind::Runtime
            | OriginKind::Other => Trigger::Message,
        }
    }
}

impl State {
    /// Returns a call of the running turn, or one that an ended one has left waiting.
    #[must_use]
    pub fn call(&self, id: CallId) -> Option<&Call> {
        self.at_hand()?.call(id)
    }

    /// Returns the calls of the running turn, or those of an ended one of which some wait for a person.
    #[must_use]
    pub fn calls(&self) -> &[Call] {
        self.at_hand().map_or(&[], |turn| &turn.calls)
    }

    /// The running turn, or the one that ended with calls that wait.
    pub(super) fn at_hand(&self) -> Option<&Turn> {
        self.turn.as_ref().or(self.questions.parked.as_deref())
    }

    /// Says whether people are asked something after the end of a turn.
    pub(super) fn is_asking_after(&self) -> bool {
        self.turn.is_none() && (!self.questions.open.is_empty() || self.questions.parked.is_some())
    }

    /// Says whether the parked calls wait for nobody once this one is decided on.
    pub(super) fn is_last_word(&self, id: CallId) -> bool {
        let others = self.questions.open.iter().filter(|open| open.call != id).count();
        let parked = self.questions.parked.iter().flat_map(|turn| &turn.calls);
        let waiting = parked.filter(|call| call.id != id && matches!(call.phase, Phase::Awaiting { .. })).count();
        self.turn.is_none() && others + waiting == 0
    }

    /// Returns the facts of a decision on a parked call: the last one begins the turn that goes on.
    pub(super) fn decided_later(&self, decided: Fact, id: CallId, moment: &mut Moment) -> Vec<Fact> {
        if self.turn.is_some() || !self.is_last_word(id) {
            return vec![decided];
        }
        let turn = TurnId::from_bits(moment.ids.fresh());
        let started = Event::TurnStarted(TurnStarted { trigger: Trigger::Approval });
        vec![Fact { turn: Some(turn), ..decided }, Fact::of_turn(turn, started)]
    }

    /// Returns the facts that settle parked calls because a message came in their place.
    pub(super) fn undecided(&self, turn: TurnId) -> Vec<Fact> {
        let parked = self.questions.parked.iter().flat_map(|turn| &turn.calls);
        // A question has its answer in words.
        let waiting = parked.filter(|call| !matches!(call.phase, Phase::Settled | Phase::Asking(_)));
        let denied = |call: &Call| {
            let (by, content) = (Decider::Runtime, UNDECIDED.to_owned());
            Fact::of_turn(turn, Event::CallDenied(CallDenied { call: call.id, by, content, reason: None }))
        };
        waiting.map(denied).collect()
    }

    /// Begins a turn: with the calls that an ended one has left waiting, if it did.
    pub(super) fn begin(&mut self, id: TurnId, trigger: Trigger, at: Timestamp) {
        let outages = self.last.as_ref().map(|last| last.outages.clone()).unwrap_or_default();
        let fresh = Turn { outages, ..Turn::begin(id, trigger, at) };
        self.turn = Some(match self.questions.parked.take().filter(|parked| !parked.calls_settled()) {
            Some(parked) => Turn { step: parked.step, asking: parked.asking, calls: parked.calls, ..fresh },
            None => fresh,
        });
    }
}

impl Turn {
    /// Says whether nobody sits at it who could be asked at once.
    #[must_use]
    pub fn is_unattended(&self) -> bool {
        matches!(self.trigger, Trigger::Schedule | Trigger::Signal | Trigger::Wake | Trigger::Relay)
    }

    /// Says whether it ends until a person decides: nobody sits at it, nothing of it runs, and a call waits.
    pub(super) fn is_to_park(&self, held: &Held) -> bool {
        let waits = self.calls.iter().any(|call| matches!(call.phase, Phase::Awaiting { .. }));
        let runs = self.calls.iter().any(|call| call.phase == Phase::Running) || !held.calls.is_empty();
        self.is_unattended() && waits && !runs
    }
}
