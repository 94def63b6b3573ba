//! What an emergency stop does to a session.
//!
//! Invariant: a turn that would go on by itself is interrupted, so that nothing goes on by itself once the stop is lifted; one
//! that only waits for a person still waits.

use super::settle::Fact;
use super::{Allowance, Held, State};
use crate::event::{Event, InterruptRequested, Origin};
use crate::time::Timestamp;

impl State {
    /// Returns the fact that the running turn is interrupted because all sessions are stopped, unless that was said before,
    /// or nothing of the turn is under way or owed.
    #[must_use]
    pub fn stopped(&self, by: &Origin, now: Timestamp, held: &Held) -> Option<Fact> {
        let turn = self.turn.as_ref()?;
        if turn.interrupt.as_ref().is_some_and(|interrupt| interrupt.stopped) {
            return None;
        }
        let runs = held.step.is_some() || !held.calls.is_empty();
        if !runs && self.owed(now, held, &Allowance::default()).is_empty() {
            return None;
        }
        let requested = InterruptRequested { by: by.clone(), stopped: true };
        Some(Fact::of_turn(turn.id, Event::InterruptRequested(requested)))
    }
}
