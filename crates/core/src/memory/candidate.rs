//! One entry of a model's answer, held to what it may be: whatever does not fit is left out, whatever is too wide is narrowed.

use serde_json::Value;

use super::{Kind, Priority, Scope};
use crate::id::Seq;
use crate::time::Timestamp;

/// Characters of a fact.
pub(super) const TEXT_CHARS: usize = 600;

/// What a model says is to be remembered, before it is held to what it was shown.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Candidate {
    pub(super) text: String,
    pub(super) kind: Kind,
    pub(super) scope: Scope,
    pub(super) priority: Priority,
    pub(super) sources: Vec<Seq>,
    pub(super) since: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    pub(super) replaces: Vec<String>,
}

impl Candidate {
    /// Reads an entry. One without a text, or with one that is too long, is none.
    pub(super) fn read(entry: &Value) -> Option<Self> {
        let text = one_line(entry.get("text")?.as_str()?);
        if text.is_empty() || text.chars().count() > TEXT_CHARS {
            return None;
        }
        let word = |key: &str| entry.get(key).cloned().unwrap_or_default();
        let list = |key: &str| entry.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        Some(Self {
            text,
            kind: serde_json::from_value(word("kind")).unwrap_or_default(),
            scope: serde_json::from_value(word("scope")).unwrap_or_default(),
            priority: serde_json::from_value(word("priority")).unwrap_or_default(),
            sources: list("sources").iter().filter_map(Value::as_u64).collect(),
            since: word("since").as_str().and_then(moment),
            until: word("until").as_str().and_then(moment),
            replaces: list("replaces").iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        })
    }
}

/// Reads a day or a moment.
fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    text.parse().ok().or_else(|| format!("{text}T00:00:00Z").parse().ok())
}

/// Returns a text as one line without control characters.
pub(super) fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// Returns what two texts that say the same in the same words have in common.
pub(super) fn gist(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

/// Gives words that say a day by the day of speaking their date. One with a capital may be a part of a name, and stays.
pub(super) fn dated(text: &str, at: Timestamp) -> String {
    const DAY_MS: i64 = 86_400_000_000;
    let on = |days: i64| {
        let shifted = Timestamp::from_micros(at.micros().saturating_add(days * DAY_MS)).to_string();
        format!("on {}", shifted.get(..10).unwrap_or_default())
    };
    let word = |word: &str| {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let days = match bare {
            "today" | "tonight" => 0,
            "yesterday" => -1,
            "tomorrow" => 1,
            _other => return word.to_owned(),
        };
        word.replacen(bare, &on(days), 1)
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}
