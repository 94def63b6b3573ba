//! Counting tokens without an answer: each API takes what costs tokens, and refuses what would ask for an answer.

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{Dialect, KEY, WRONG_KEY, check, is_bearer, refuse};
use crate::rehearsal::input_tokens;

/// Anthropic's.
pub(super) async fn messages(headers: HeaderMap, body: Bytes) -> Response {
    let shown = headers.get("x-api-key").is_some_and(|key| key == KEY) && headers.contains_key("anthropic-version");
    let needed = json!({"max_tokens": 1, "stream": true});
    count(Dialect::Anthropic, shown, (read(&body), needed), "input_tokens")
}

/// OpenAI's.
pub(super) async fn responses(headers: HeaderMap, body: Bytes) -> Response {
    let needed = json!({"store": false, "max_output_tokens": 16, "stream": true});
    count(Dialect::Responses, is_bearer(&headers), (read(&body), needed), "input_tokens")
}

/// Gemini's.
pub(super) fn contents(call: &str, headers: &HeaderMap, body: &[u8]) -> Response {
    let shown = headers.get("x-goog-api-key").is_some_and(|key| key == KEY);
    let mut asked = read(body)["generateContentRequest"].take();
    let named = asked.as_object_mut().and_then(|keys| keys.remove("model"));
    let name = call.trim_end_matches(":countTokens");
    if named.as_ref().and_then(Value::as_str) != Some(&format!("models/{name}")) {
        return refuse(Dialect::Gemini, 400, "INVALID_ARGUMENT", "generate_content_request.model: not this model");
    }
    count(Dialect::Gemini, shown, (asked, json!({})), "totalTokens")
}

fn read(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_default()
}

/// Counts a body that would be a request with what is needed for an answer: that must not be there.
fn count(dialect: Dialect, shown: bool, (mut body, needed): (Value, Value), key: &str) -> Response {
    if !shown {
        return refuse(dialect, 401, WRONG_KEY, "invalid API key");
    }
    for (name, value) in needed.as_object().into_iter().flatten() {
        if body.get(name).is_some() {
            return refuse(dialect, 400, "invalid_request_error", &format!("{name}: extra inputs are not permitted"));
        }
        body[name] = value.clone();
    }
    match check::read(dialect, &body) {
        Ok(request) => axum::Json(json!({ (key): input_tokens(&request) })).into_response(),
        Err(why) => refuse(dialect, 400, "invalid_request_error", &why),
    }
}
