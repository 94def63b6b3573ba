//! How a provider says that a request is too long.

/// Parts of what providers say then, in lower case. Few of them have a code for it.
const WORDS: [&str; 14] = [
    "context length",
    "context_length",
    "context window",
    "context limit",
    "context size",
    "maximum context",
    "prompt is too long",
    "prompt too long",
    "input is too long",
    "input token count",
    "too many tokens",
    "maximum number of tokens",
    "reduce the length",
    "request too large",
];

/// Says whether a provider's reason for not taking a request is its length.
#[must_use]
pub fn says_too_long(message: &str) -> bool {
    let said = message.to_lowercase();
    WORDS.iter().any(|words| said.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_say_in_their_own_words_that_a_request_is_too_long() {
        for message in [
            "This model's maximum context length is 8192 tokens",
            "prompt is too long: 212000 tokens > 200000 maximum",
            "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576).",
            "input length and `max_tokens` exceed context limit",
            "the request exceeds the available context size (4096 tokens), try increasing it",
            "Request too large for model",
        ] {
            assert!(says_too_long(message), "{message}");
        }
        assert!(!says_too_long("image is broken"));
    }
}
