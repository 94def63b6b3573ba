//! What comes by itself: follow-ups, and what the session waits for.

use std::collections::BTreeMap;

use outlive_core::event::{Event, WaitReason, WaitTerms};
use outlive_core::id::{InputId, WaitId};
use outlive_core::media::with_attachments;
use outlive_core::time::Timestamp;

use super::moment;
use crate::clean::label;

/// What comes by itself.
#[derive(Debug, Clone, Default)]
pub struct Later {
    /// Follow-ups that wait for the running turn, oldest first.
    pub queue: Vec<(InputId, String)>,
    /// What the session waits for.
    pub waits: BTreeMap<WaitId, Sleep>,
}

/// Something that is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sleep {
    /// When the clock ends it.
    pub until: Option<Timestamp>,
    /// The signal that ends it.
    pub signal: Option<String>,
    /// What it is for.
    pub reason: String,
}

impl Sleep {
    /// Shows what ends it and what it is for, at this moment.
    #[must_use]
    pub fn shown(&self, now: Timestamp) -> String {
        let signal = self.signal.as_deref().map(label);
        let left = |at: Timestamp| format!("{} (in {})", moment(at), left(at.ms_since(now)));
        let until = match (signal, self.until) {
            (Some(signal), Some(at)) => format!("until signal `{signal}`, or {}", left(at)),
            (Some(signal), None) => format!("until signal `{signal}`"),
            (None, Some(at)) => format!("until {}", left(at)),
            (None, None) => String::new(),
        };
        format!("{until}: {}", label(&self.reason))
    }
}

impl From<&WaitTerms> for Sleep {
    fn from(terms: &WaitTerms) -> Self {
        let signal = terms.signal.as_ref().map(|signal| signal.name.clone());
        Self { until: terms.over_at(), signal, reason: terms.reason.clone() }
    }
}

impl Later {
    /// Returns what ends first.
    #[must_use]
    pub fn next(&self) -> Option<&Sleep> {
        self.waits.values().min_by_key(|sleep| (sleep.until.is_none(), sleep.until))
    }

    /// Hears an event; returns what is to be said of it.
    #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else comes by itself")]
    pub fn hear(&mut self, event: &Event) -> Option<String> {
        match event {
            Event::InputQueued(queued) => {
                // It may be known already to whoever came in the middle.
                self.queue.retain(|(input, _)| *input != queued.input);
                self.queue.push((queued.input, with_attachments(&queued.content, &queued.attachments)));
            }
            Event::InputEdited(edited) => {
                let found = self.queue.iter_mut().find(|(input, _)| *input == edited.input);
                if let Some((_, content)) = found {
                    content.clone_from(&edited.content);
                }
            }
            Event::InputRemoved(removed) => self.queue.retain(|(input, _)| *input != removed.input),
            Event::WaitArmed(armed) => {
                self.waits.insert(armed.wait, Sleep::from(&armed.terms));
            }
            Event::WaitMoved(moved) => {
                let wait = self.waits.get_mut(&moved.wait)?;
                wait.until = Some(moved.over_at);
                return Some(format!("⏲ {} is put to {}", wait.reason, moment(moved.over_at)));
            }
            Event::WaitEnded(ended) => {
                let reason = self.waits.remove(&ended.wait).map(|wait| wait.reason).unwrap_or_default();
                let how = match ended.reason {
                    WaitReason::Due => "over",
                    WaitReason::Signal => "over: its signal came",
                    WaitReason::Cancelled => "called off",
                    WaitReason::Expired => "over: too late",
                };
                return Some(format!("⏲ {reason}: {how}"));
            }
            Event::SignalReceived(signal) => return Some(format!("⚡ signal `{}`", signal.name)),
            _other => {}
        }
        None
    }
}

/// A span, short: the two largest units of it.
#[must_use]
pub fn left(ms: u64) -> String {
    let seconds = ms.div_ceil(1_000);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::left;

    #[test]
    fn a_countdown_has_two_units() {
        let check = |ms: u64, expected: &str| assert_eq!(left(ms), expected);
        check(0, "0 s");
        check(1, "1 s");
        check(59_000, "59 s");
        check(61_000, "1 min 1 s");
        check(3_599_001, "1 h 0 min");
        check(7_380_000, "2 h 3 min");
        check(14 * 86_400_000 + 5 * 3_600_000, "14 d 5 h");
    }
}
