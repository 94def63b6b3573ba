//! How full the model's window is: the size of the last request, and what it had.

use serde::{Deserialize, Serialize};

use crate::context::{Level, Room};
use crate::event::Event;

/// How full the model's window is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filled {
    /// Tokens of the last request: as estimated, and once it is answered as counted, with its reply.
    pub tokens: u64,
    /// What it might have.
    pub room: Room,
}

impl Filled {
    /// Returns how full that is.
    #[must_use]
    pub fn level(&self) -> Level {
        self.room.level(self.tokens)
    }

    /// Returns how much of what is usable that is, in percent.
    #[must_use]
    pub fn percent(&self) -> u64 {
        self.room.percent(self.tokens)
    }

    /// Returns how full it is after an event.
    #[must_use]
    #[expect(clippy::wildcard_enum_match_arm, reason = "only requests fill it, and what changes them empties it")]
    pub fn after(before: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::StepStarted(started) => {
                started.room.map(|room| Self { tokens: started.tokens_estimated, room }).or(before)
            }
            Event::StepFinished(finished) if finished.usage.all_input() > 0 => {
                let tokens = finished.usage.all_input().saturating_add(finished.usage.output_tokens);
                before.map(|filled| Self { tokens, ..filled })
            }
            // Nobody knows before the next request.
            Event::CheckpointActivated(_) => None,
            _of_no_request => before,
        }
    }
}
