//! How a provider says that a request is too long.

use crate::content::{Failure, FailureKind};

/// Parts of what providers say then, in lower case.
const WORDS: [&str; 12] = [
    "context length",
    "context_length",
    "context window",
    "maximum context",
    "prompt is too long",
    "prompt too long",
    "input is too long",
    "input token count",
    "too many tokens",
    "exceeds the maximum number of tokens",
    "reduce the length",
    "request too large",
];

/// Says whether a provider refused a request for its length.
#[must_use]
pub fn is_overflow(failure: &Failure) -> bool {
    let said = failure.message.to_lowercase();
    let is_said = || failure.kind == FailureKind::InvalidRequest && WORDS.iter().any(|words| said.contains(words));
    failure.kind == FailureKind::Overflow || is_said()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_say_in_their_own_words_that_a_request_is_too_long() {
        let failure = |kind, message: &str| Failure { kind, message: message.to_owned(), retry_after_ms: None };
        for message in [
            "This model's maximum context length is 8192 tokens",
            "prompt is too long: 212000 tokens > 200000 maximum",
            "The input token count (1048577) exceeds the maximum",
        ] {
            assert!(is_overflow(&failure(FailureKind::InvalidRequest, message)), "{message}");
        }
        assert!(is_overflow(&failure(FailureKind::Overflow, "what the adapter already knows to be one")));
        assert!(!is_overflow(&failure(FailureKind::InvalidRequest, "image is broken")));
        assert!(!is_overflow(&failure(FailureKind::Overloaded, "maximum context length")));
    }
}
