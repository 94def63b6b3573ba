//! What a provider's refusal of a request that is too long says of the window.

/// The windows that are believed, in tokens.
const BELIEVED: std::ops::RangeInclusive<u64> = 512..=100_000_000;

/// What stands before the limit where a refusal has no `>` in it.
const BEFORE: [&str; 8] = [
    "maximum context length is",
    "maximum context length of",
    "maximum number of tokens allowed",
    "context window of",
    "context length of",
    "context length is only",
    "context size",
    "context length (",
];

/// Returns the window that a refusal names: the tokens that the model takes at most.
#[must_use]
pub fn taught(message: &str) -> Option<u64> {
    let message = message.to_lowercase();
    let behind = |words: &str| message.split_once(words).and_then(|(_, rest)| number(rest));
    let compared = || message.split_once("tokens >").and_then(|(_, rest)| number(rest));
    let found = compared().or_else(|| BEFORE.iter().find_map(|words| behind(words)))?;
    BELIEVED.contains(&found).then_some(found)
}

/// The first number of a text, if it comes soon.
fn number(text: &str) -> Option<u64> {
    let text = text.trim_start_matches(|c: char| !c.is_ascii_digit() && c != '.' && c != ';');
    let digits: String = text.chars().take_while(|c| c.is_ascii_digit() || matches!(c, ',' | '_')).collect();
    digits.replace([',', '_'], "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_teaches_the_window_whoever_refuses() {
        for (message, window) in [
            ("the provider answers 400: prompt is too long: 208310 tokens > 200000 maximum", Some(200_000)),
            (
                "This model's maximum context length is 128000 tokens. However, your messages resulted in 140211 tokens.",
                Some(128_000),
            ),
            ("This endpoint's maximum context length is 1,048,576 tokens.", Some(1_048_576)),
            (
                "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
                Some(1_048_576),
            ),
            ("the request exceeds the available context size (4096 tokens), try increasing it", Some(4_096)),
            ("input length and `max_tokens` exceed context limit", None),
            ("maximum context length is 3 tokens", None),
            ("maximum context length is 999999999999999999999999", None),
            ("tokens > ", None),
            ("", None),
        ] {
            assert_eq!(taught(message), window, "{message}");
        }
    }
}
