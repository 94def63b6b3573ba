//! What a session has used: what budgets are held against.
//!
//! Invariants: what was used stays used, whatever is rewound; a fork begins with nothing, however much the session had used
//! whose beginning it shares.

use serde::{Deserialize, Serialize};

use super::State;
use crate::content::Usage;
use crate::id::Seq;
use crate::time::Timestamp;

/// What a session has used of tokens, money and steps. Steps of before they were counted are not in it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Spending {
    /// In all.
    pub all: Usage,
    /// The day of its last answered step, in days since 1970.
    pub day: i64,
    /// On that day.
    pub today: Usage,
}

impl Spending {
    /// Says whether nothing was used.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns what was used on this day.
    #[must_use]
    pub fn on(&self, day: i64) -> Usage {
        if day == self.day { self.today } else { Usage::default() }
    }

    pub(super) fn add(&mut self, usage: Usage, at: Timestamp) {
        if usage.steps == 0 {
            return;
        }
        self.all.add(usage);
        let mut today = self.on(at.day());
        today.add(usage);
        (self.day, self.today) = (at.day(), today);
    }
}

impl State {
    /// Says whether an event is this session's own, and not of the beginning that it shares with another.
    pub(super) fn is_own(&self, seq: Seq) -> bool {
        let parent = self.profile.as_ref().and_then(|profile| profile.parent.as_ref());
        parent.is_none_or(|parent| seq > parent.seq)
    }
}
