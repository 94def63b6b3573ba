//! Reads what a model answers when it is asked for what is to be remembered: bounded, and tolerant of what surrounds it. What is
//! no such answer is an error, never half of one.

use serde_json::Value;

/// Bytes of an answer that are looked at; a longer one is none.
const REPLY_BYTES: usize = 512 << 10;
/// Places at which the answer is looked for.
const TRIES: usize = 64;

/// Returns the entries of `memories` in an answer, whatever prose or fence stands around them.
///
/// # Errors
///
/// Why it is no such answer.
pub(super) fn entries(text: &str) -> Result<Vec<Value>, String> {
    if text.len() > REPLY_BYTES {
        return Err(format!("the answer has {} bytes, of at most {REPLY_BYTES}", text.len()));
    }
    if text.trim().is_empty() {
        return Err("the answer is empty".to_owned());
    }
    let starts = text.char_indices().filter(|(_, c)| *c == '{' || *c == '[').map(|(at, _)| at);
    for start in starts.take(TRIES) {
        let rest = text.get(start..).unwrap_or_default();
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        let Some(Ok(value)) = values.next() else { continue };
        match value {
            Value::Object(mut object) => {
                if let Some(Value::Array(entries)) = object.remove("memories") {
                    return Ok(entries);
                }
                return Err("the answer is JSON without a list `memories`".to_owned());
            }
            // A list alone is taken where it is one of objects.
            Value::Array(entries) if entries.iter().all(Value::is_object) => return Ok(entries),
            Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    Err("the answer is not JSON".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_found_whatever_stands_around_it() {
        for text in [
            r#"{"memories":[{"text":"a"}]}"#,
            "Sure! Here it is:\n```json\n{\"memories\":[{\"text\":\"a\"}]}\n```\nAnything else?",
            r#"As asked [in JSON]: [{"text":"a"}]"#,
        ] {
            assert_eq!(entries(text), Ok(vec![serde_json::json!({ "text": "a" })]), "{text}");
        }
        assert_eq!(entries(r#"{"memories":[]}"#), Ok(Vec::new()));
    }

    #[test]
    fn a_hostile_answer_is_an_error_and_never_half_an_answer() {
        for text in [
            "",
            "   \n",
            "I cannot help with that.",
            r#"{"error":{"type":"overloaded_error","message":"try again"}}"#,
            r#"{"memories":[{"text":"cut in the mid"#,
            r#"{"memories":"none"}"#,
            "[1, 2, 3]",
            &"[".repeat(100_000),
            &format!("{{\"memories\":[{{\"text\":\"{}\"}}]}}", "x".repeat(REPLY_BYTES)),
        ] {
            assert!(entries(text).is_err(), "{:.60}", text);
        }
    }
}
