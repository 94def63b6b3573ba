//! What signals are called, and which of them is waited for.

use serde_json::Value;

use super::decide::Refusal;
use crate::event::Awaited;
use crate::limits::{MATCH_BYTES, NAME_CHARS};

impl Awaited {
    /// Says whether such a signal is waited for.
    pub(super) fn is_met_by(&self, name: &str, payload: &Value) -> bool {
        self.name == name && self.fits.as_ref().is_none_or(|fits| holds(payload, fits))
    }
}

/// Says whether a payload holds what is asked for: of an object each key, of anything else the whole.
pub(crate) fn holds(payload: &Value, asked: &Value) -> bool {
    match (payload, asked) {
        (Value::Object(payload), Value::Object(asked)) => {
            asked.iter().all(|(key, asked)| payload.get(key).is_some_and(|payload| holds(payload, asked)))
        }
        (payload, asked) => payload == asked,
    }
}

/// Refuses a name that no signal can have.
pub(super) fn check_name(name: &str) -> Result<(), Refusal> {
    let what = || format!("name: a signal's {SIGNAL_NAME}");
    if is_signal_name(name) { Ok(()) } else { Err(Refusal::Invalid { code: "signal_invalid", what: what() }) }
}

/// What the names of signals are made of.
pub(crate) const SIGNAL_NAME: &str = "has 1 to 200 of `a-z A-Z 0-9 . _ - : /`";

/// Says whether a signal can have this name.
pub(crate) fn is_signal_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-:/".contains(c);
    (1..=NAME_CHARS).contains(&name.len()) && name.chars().all(fits)
}

/// Says whether a payload can be held to this.
pub(crate) fn is_match(fits: &Value) -> bool {
    super::is_shallow(fits) && fits.to_string().len() <= MATCH_BYTES
}
