//! Which of an agent's models is asked, when the first of them is down.
//!
//! A model that failed [`Lineup::after`] times in a row, or that asked for a long pause, gives way to the next in the
//! lineup, and is tried again after [`Lineup::rest_ms`]. Where all have given way nothing is gained by resting: each is
//! tried again after its own pause. With one model this is plain back-off.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::content::FailureKind;
use crate::limits::{FALLBACK_AFTER, FALLBACK_REST_MS, OUTAGES_REMEMBERED, RETRY_FIRST_MS};
use crate::time::Timestamp;

/// A pause that is longer than this is not waited for where another model can answer, in milliseconds.
const LONG_PAUSE_MS: i64 = 30 * RETRY_FIRST_MS as i64;

/// The models that an agent may ask, best first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineup {
    /// Each as `provider/name`.
    pub models: Arc<[String]>,
    /// Failures in a row, after which the next one stands in.
    pub after: u32,
    /// How long a model rests that gave way, in milliseconds.
    pub rest_ms: u64,
}

impl Default for Lineup {
    fn default() -> Self {
        Self { models: Arc::from([]), after: FALLBACK_AFTER, rest_ms: FALLBACK_REST_MS }
    }
}

/// What a session knows of models that failed. A model that answers is forgotten.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Outages {
    /// The model that was asked and has not answered; empty when there is none.
    asked: String,
    /// Those that failed since they last answered, oldest first.
    down: Vec<Outage>,
    /// Failures of the current step that were bad replies.
    #[serde(default)]
    bad_replies: u32,
}

/// A model that failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Outage {
    model: String,
    failures: u32,
    /// When it failed last.
    at: Timestamp,
    /// When it may be asked again.
    until: Timestamp,
}

impl Outage {
    fn gives_way(&self, lineup: &Lineup) -> bool {
        self.failures >= lineup.after || self.until.micros() - self.at.micros() > LONG_PAUSE_MS * 1_000
    }
}

impl Outages {
    /// Says whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the model that was asked and has not answered.
    #[must_use]
    pub fn asked(&self) -> Option<&str> {
        Some(self.asked.as_str()).filter(|asked| !asked.is_empty())
    }

    /// Says whether the model that was asked last stands in for another.
    #[must_use]
    pub fn stands_in(&self, lineup: &Lineup) -> bool {
        lineup.models.iter().skip(1).any(|model| *model == self.asked)
    }

    /// Returns when a model is asked again at the earliest, of those that wait at `now`.
    #[must_use]
    pub fn next_try(&self, now: Timestamp) -> Option<Timestamp> {
        self.down.iter().map(|outage| outage.until).filter(|until| *until > now).min()
    }

    /// Decides which place of the lineup is asked next, and from when on that makes sense: a turn that begins does not
    /// wait for it.
    #[must_use]
    pub fn next(&self, now: Timestamp, lineup: &Lineup) -> (usize, Timestamp) {
        let mut soonest: Option<(Timestamp, usize)> = None;
        for (at, model) in lineup.models.iter().enumerate() {
            let Some(outage) = self.of(model) else { return (at, now) };
            let rested = outage.until.max(outage.at.plus_ms(lineup.rest_ms));
            if !outage.gives_way(lineup) || now >= rested {
                return (at, outage.until);
            }
            soonest = Some(soonest.map_or((outage.until, at), |best| best.min((outage.until, at))));
        }
        let asked = || self.of(&self.asked).map_or(now, |outage| outage.until);
        soonest.map_or_else(|| (0, asked()), |(until, at)| (at, until))
    }

    /// Returns how often the current step was answered with a reply that is none.
    #[must_use]
    pub fn bad_replies(&self) -> u32 {
        self.bad_replies
    }

    /// Returns how often the model that was asked last has failed in a row.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.of(&self.asked).map_or(0, |outage| outage.failures)
    }

    fn of(&self, model: &str) -> Option<&Outage> {
        self.down.iter().find(|outage| outage.model == model)
    }

    /// A model is asked.
    pub(crate) fn ask(&mut self, model: &str) {
        if self.asked != model {
            model.clone_into(&mut self.asked);
        }
    }

    /// The model that was asked has answered.
    pub(crate) fn answered(&mut self) {
        self.down.retain(|outage| outage.model != self.asked);
        self.asked.clear();
        self.bad_replies = 0;
    }

    /// The model that was asked has failed.
    pub(crate) fn failed(&mut self, at: Timestamp, until: Timestamp, kind: FailureKind) {
        let is_bad_reply = matches!(kind, FailureKind::Truncated | FailureKind::OffSchema);
        self.bad_replies = self.bad_replies.saturating_add(u32::from(is_bad_reply));
        match self.down.iter_mut().find(|outage| outage.model == self.asked) {
            Some(outage) => (outage.failures, outage.at, outage.until) = (outage.failures.saturating_add(1), at, until),
            None => self.down.push(Outage { model: self.asked.clone(), failures: 1, at, until }),
        }
        let surplus = self.down.len().saturating_sub(OUTAGES_REMEMBERED);
        self.down.drain(..surplus);
    }

    /// The turn ended. A model that ended it for good is asked again by the next: what a person did about it, nobody knows.
    pub(crate) fn after(mut self, failed: bool) -> Self {
        if failed {
            self.answered();
        }
        self.asked.clear();
        self.bad_replies = 0;
        self
    }
}
