//! The one word of each kind that is counted, as the journal has it.

use outlive_core::content::FailureKind;
use outlive_core::event::{Ending, Outcome};

/// How turns end.
pub const ENDINGS: [&str; 5] = ["complete", "ask", "sleep", "interrupted", "failed"];
/// How steps fail.
pub const FAILURES: [&str; 10] = [
    "overloaded",
    "rate_limited",
    "timeout",
    "network",
    "invalid_request",
    "auth",
    "refused",
    "truncated",
    "off_schema",
    "overflow",
];
/// How calls end, those that never ran included.
pub const CALLS: [&str; 6] = ["ok", "error", "timeout", "interrupted", "denied", "lost"];
/// What is done about what models see.
pub const CONTEXT: [&str; 9] = [
    "context.pruned",
    "context.rebuilt",
    "compaction.started",
    "compaction.progressed",
    "compaction.failed",
    "compaction.cancelled",
    "compaction.skipped",
    "checkpoint.created",
    "checkpoint.activated",
];
/// What is done about what is remembered.
pub const MEMORY: [&str; 7] = [
    "memory.observed",
    "memory.reflected",
    "memory.added",
    "memory.edited",
    "memory.forgotten",
    "memory.erased",
    "memory.failed",
];
/// What tokens are.
pub const TOKENS: [&str; 4] = ["input", "output", "cache_read", "cache_write"];

/// Returns how a turn ended.
#[must_use]
pub fn ending(ending: Ending) -> &'static str {
    match ending {
        Ending::Complete => "complete",
        Ending::Ask => "ask",
        Ending::Sleep => "sleep",
        Ending::Interrupted => "interrupted",
        Ending::Failed => "failed",
    }
}

/// Returns how a step failed.
#[must_use]
pub fn failure(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Overloaded => "overloaded",
        FailureKind::RateLimited => "rate_limited",
        FailureKind::Timeout => "timeout",
        FailureKind::Network => "network",
        FailureKind::InvalidRequest => "invalid_request",
        FailureKind::Auth => "auth",
        FailureKind::Refused => "refused",
        FailureKind::Truncated => "truncated",
        FailureKind::OffSchema => "off_schema",
        FailureKind::Overflow => "overflow",
    }
}

/// Returns how a call ended.
#[must_use]
pub fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::Error => "error",
        Outcome::Timeout => "timeout",
        Outcome::Interrupted => "interrupted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: serde::de::DeserializeOwned>(words: &[&str], word: fn(T) -> &'static str) {
        for expected in words {
            let kind: T = serde_json::from_value((*expected).into()).unwrap();
            assert_eq!(word(kind), *expected);
        }
    }

    #[test]
    fn words_are_those_of_the_journal() {
        check(&ENDINGS, ending);
        check(&FAILURES, failure);
        check(&CALLS[..4], outcome);
    }
}
