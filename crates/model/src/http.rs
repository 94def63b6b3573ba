//! One streamed request over HTTP: sends it, tells apart what can go wrong by what can be done about it, and hands the
//! events of the answer to a dialect.

use std::time::Duration;

use futures_util::StreamExt as _;
use outlive_core::compaction::says_too_long;
use outlive_core::content::{Failure, FailureKind, Reply};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::Value;

use crate::Sink;
use crate::sse::{Decoder, Event, Framing};

/// Bytes of a body that is no stream. A router's list of models is the largest.
const BODY: usize = 4 << 20;

/// Time without a byte of such a body, after which what came is all.
const BODY_SILENCE: Duration = Duration::from_secs(120);

/// Time for an answer that is no model's.
const PATIENCE: Duration = Duration::from_secs(30);

/// Turns a dialect's events into a reply.
pub(crate) trait Reader: Send {
    /// What its stream is made of.
    const FRAMING: Framing = Framing::Events;
    /// Time without a byte, after which it counts as dead: a model may think that long without a word.
    const SILENCE: Duration = Duration::from_secs(600);
    /// Takes the next event.
    fn take(&mut self, event: &Event, sink: &Sink) -> Result<(), Failure>;
    /// Says whether the stream has said that it is complete: whatever comes after belongs to nobody.
    fn is_ended(&self) -> bool;
    /// Takes a whole reply that did not come as a stream, where the dialect has one.
    fn whole(&mut self, body: &str, sink: &Sink) -> Result<(), Failure>;
    /// Returns the reply, if the stream ended as a complete one does.
    fn finish(self, provider_request_id: Option<String>) -> Result<Reply, Failure>;
}

/// Makes a failure.
pub(crate) fn failure(kind: FailureKind, message: impl Into<String>) -> Failure {
    Failure { kind, message: message.into(), retry_after_ms: None }
}

/// What a reply that makes no sense is.
pub(crate) fn garbled(what: &str) -> Failure {
    failure(FailureKind::Truncated, format!("the reply cannot be read: {what}"))
}

/// What an error within a stream is.
pub(crate) fn broke_off(error: &Value) -> Failure {
    let message = worded(error).unwrap_or_else(|| "no reason given".to_owned());
    let kind = of_length(kind_of_error(error), &reason(error), &message);
    failure(kind, format!("the provider broke off: {message}"))
}

/// Returns the text at a place of a document; empty where there is none.
pub(crate) fn text_at(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Sends a request and reads its stream.
pub(crate) async fn ask<R: Reader>(request: RequestBuilder, mut reader: R, sink: &Sink) -> Result<Reply, Failure> {
    let response = request.send().await.map_err(|error| unreachable_by(&error))?;
    if !response.status().is_success() {
        return Err(refused(response).await);
    }
    let id = request_id(response.headers());
    match content_type(response.headers()) {
        Content::Stream => {}
        Content::Json => {
            let body = body(response).await;
            reader.whole(&String::from_utf8_lossy(&body), sink)?;
            return reader.finish(id);
        }
        Content::Other(what) => {
            let place = response.url().host_str().unwrap_or("the provider").to_owned();
            let message = format!("{place} answers with {what} and no stream: is `base_url` the API's address?");
            return Err(failure(FailureKind::InvalidRequest, message));
        }
    }
    let mut bytes = response.bytes_stream();
    let mut decoder = Decoder::new(R::FRAMING);
    loop {
        let chunk = match tokio::time::timeout(R::SILENCE, bytes.next()).await {
            Ok(Some(Ok(chunk))) => chunk,
            Ok(Some(Err(error))) => return Err(failure(FailureKind::Truncated, format!("the stream broke: {error}"))),
            Ok(None) => return reader.finish(id),
            Err(_) => return Err(failure(FailureKind::Timeout, "the stream fell silent")),
        };
        let events = decoder.push(&chunk).map_err(|error| failure(FailureKind::Truncated, error.to_string()))?;
        for event in events {
            reader.take(&event, sink)?;
        }
        // A connection that is kept open, or breaks now, takes nothing away.
        if reader.is_ended() {
            return reader.finish(id);
        }
    }
}

/// Asks for a small document.
pub(crate) async fn json(call: RequestBuilder) -> Result<Value, Failure> {
    let response = call.timeout(PATIENCE).send().await.map_err(|error| unreachable_by(&error))?;
    if !response.status().is_success() {
        return Err(refused(response).await);
    }
    Ok(serde_json::from_slice(&body(response).await).unwrap_or_default())
}

/// Asks for a number of tokens.
pub(crate) async fn count(call: RequestBuilder, key: &str) -> Result<Option<u64>, Failure> {
    let told = json(call).await?;
    let count = told.get(key).and_then(Value::as_u64);
    count.map(Some).ok_or_else(|| garbled(&format!("it has no number `{key}`")))
}

/// Asks for a list, and takes a name from each entry that has one.
pub(crate) async fn list(
    call: RequestBuilder,
    key: &str,
    name: fn(&Value) -> Option<&str>,
) -> Result<Vec<String>, Failure> {
    let response = call.timeout(PATIENCE).send().await.map_err(|error| unreachable_by(&error))?;
    if !response.status().is_success() {
        return Err(refused(response).await);
    }
    let place = response.url().host_str().unwrap_or("the provider").to_owned();
    let listed: Value = serde_json::from_slice(&body(response).await).unwrap_or_default();
    let Some(entries) = listed.get(key).and_then(Value::as_array) else {
        let why = format!("{place} answers with no list of models: is `base_url` the API's address?");
        return Err(failure(FailureKind::InvalidRequest, why));
    };
    Ok(entries.iter().filter_map(name).map(str::to_owned).collect())
}

/// What an answer is, by its headers.
enum Content {
    Stream,
    Json,
    Other(String),
}

fn content_type(headers: &HeaderMap) -> Content {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/json" => Content::Json,
        // Some servers stream without saying so.
        "" | "text/event-stream" | "text/plain" | "application/octet-stream" | "application/x-ndjson" => {
            Content::Stream
        }
        other => Content::Other(other.to_owned()),
    }
}

/// Reads a body that should be small; what is beyond that is left.
async fn body(response: Response) -> Vec<u8> {
    let mut whole = Vec::new();
    let mut bytes = response.bytes_stream();
    while whole.len() < BODY
        && let Ok(Some(Ok(chunk))) = tokio::time::timeout(BODY_SILENCE, bytes.next()).await
    {
        whole.extend_from_slice(&chunk);
    }
    whole
}

/// Reads a whole recorded stream: for tests and fuzzing.
pub(crate) fn parse<R: Reader>(bytes: &[u8], mut reader: R) -> Result<Reply, Failure> {
    let sink: Sink = std::sync::Arc::new(|_| {});
    let events = Decoder::new(R::FRAMING).push(bytes);
    let events = events.map_err(|error| failure(FailureKind::Truncated, error.to_string()))?;
    for event in events {
        reader.take(&event, &sink)?;
    }
    reader.finish(None)
}

fn unreachable_by(error: &reqwest::Error) -> Failure {
    let kind = if error.is_timeout() { FailureKind::Timeout } else { FailureKind::Network };
    // The address may carry what must not be told: only its host is, and what went wrong at last.
    let host = error.url().and_then(|url| url.host_str()).unwrap_or("the provider");
    let port = error.url().and_then(reqwest::Url::port).map(|port| format!(":{port}")).unwrap_or_default();
    let mut why: &dyn std::error::Error = error;
    while let Some(cause) = why.source() {
        why = cause;
    }
    // Its own words would name the whole address.
    let why = if why.is::<reqwest::Error>() { "no connection".to_owned() } else { why.to_string() };
    failure(kind, format!("{host}{port} cannot be reached: {why}"))
}

fn request_id(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("request-id").or_else(|| headers.get("x-request-id"))?;
    value.to_str().ok().map(|id| id.chars().take(128).collect())
}

async fn refused(response: Response) -> Failure {
    let (status, retry_after_ms) = (response.status(), retry_after(response.headers()));
    let body = body(response).await;
    let parsed: Value = serde_json::from_slice(&body).unwrap_or_default();
    let error = parsed.get("error").unwrap_or(&parsed);
    let kind = kind_of(status, &reason(error));
    let retry_after_ms = retry_after_ms.or_else(|| retry_delay(error));
    let message = format!("the provider answers {}: {}", status.as_u16(), said(&parsed, &body));
    Failure { kind: of_length(kind, &reason(error), &message), message, retry_after_ms }
}

/// The message of an error body, in whichever shape it comes.
fn said(parsed: &Value, body: &[u8]) -> String {
    let text = || String::from_utf8_lossy(&body[..body.len().min(2_000)]).chars().take(500).collect();
    let shown = worded(parsed.get("error").unwrap_or(parsed)).unwrap_or_else(text);
    if shown.trim().is_empty() { "no reason given".to_owned() } else { shown }
}

/// The words of an error, and of the provider behind a router, which alone say what is wrong.
fn worded(error: &Value) -> Option<String> {
    let message = error.get("message").and_then(Value::as_str).or_else(|| error.as_str())?;
    let behind = error.pointer("/metadata/raw").and_then(Value::as_str).map(|raw| format!(": {raw}"));
    Some(format!("{message}{}", behind.unwrap_or_default()).chars().take(500).collect())
}

/// What an error names as its reason: its code, else its type, else the reason among its details.
fn reason(error: &Value) -> String {
    // A router that moderates says so beside its code.
    if error.pointer("/metadata/reasons").is_some_and(Value::is_array) {
        return "moderation".to_owned();
    }
    let text = |key: &str| error.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let detail = || details(error).find_map(|detail| detail.get("reason")?.as_str());
    text("code").or_else(|| text("type")).or_else(detail).unwrap_or_default().to_owned()
}

fn details(error: &Value) -> impl Iterator<Item = &Value> {
    error.get("details").and_then(Value::as_array).into_iter().flatten()
}

/// Milliseconds until the provider wants to be asked again, where it says so among an error's details.
fn retry_delay(error: &Value) -> Option<u64> {
    let delay = details(error).find_map(|detail| detail.get("retryDelay")?.as_str())?;
    believed(delay.strip_suffix('s')?.parse::<f64>().ok()? * 1_000.0)
}

fn kind_of(status: StatusCode, reason: &str) -> FailureKind {
    match status.as_u16() {
        400 if reason == "API_KEY_INVALID" => FailureKind::Auth,
        403 if reason == "moderation" => FailureKind::Refused,
        401..=403 => FailureKind::Auth,
        408 | 504 => FailureKind::Timeout,
        // The account is empty: waiting does not fill it.
        429 if matches!(reason, "insufficient_quota" | "billing_hard_limit_reached" | "billing_error") => {
            FailureKind::Auth
        }
        429 => FailureKind::RateLimited,
        409 | 500..=599 => FailureKind::Overloaded,
        _ if is_policy(reason) => FailureKind::Refused,
        _ => FailureKind::InvalidRequest,
    }
}

/// Tells a request that is longer than the window from others that are not taken.
fn of_length(kind: FailureKind, reason: &str, message: &str) -> FailureKind {
    let is_ours = matches!(kind, FailureKind::InvalidRequest | FailureKind::Truncated);
    let is_too_long = says_too_long(reason) || says_too_long(message);
    if is_ours && is_too_long { FailureKind::Overflow } else { kind }
}

fn is_policy(reason: &str) -> bool {
    reason.ends_with("_policy") || reason.ends_with("policy_violation")
}

/// Classifies an error that comes within a stream: by a status as its code, else by its code's or type's name.
fn kind_of_error(error: &Value) -> FailureKind {
    let status = error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
    if let Some(status) = status.and_then(|status| StatusCode::from_u16(status).ok()) {
        return kind_of(status, &reason(error));
    }
    let name = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
    let by_code = kind_of_name(name("code"));
    if by_code == FailureKind::Truncated { kind_of_name(name("type")) } else { by_code }
}

fn kind_of_name(name: &str) -> FailureKind {
    match name {
        "overloaded_error" | "api_error" | "server_error" | "internal_error" | "server_is_overloaded" | "slow_down" => {
            FailureKind::Overloaded
        }
        "rate_limit_error" | "rate_limit_exceeded" | "tokens" | "requests" => FailureKind::RateLimited,
        "authentication_error" | "permission_error" | "billing_error" | "insufficient_quota" | "invalid_api_key" => {
            FailureKind::Auth
        }
        "timeout_error" | "vector_store_timeout" => FailureKind::Timeout,
        "invalid_request_error"
        | "not_found_error"
        | "request_too_large"
        | "invalid_prompt"
        | "context_length_exceeded"
        | "data_residency_mismatch" => FailureKind::InvalidRequest,
        _ if is_policy(name) => FailureKind::Refused,
        // `invalid_image`, `image_parse_error`, `empty_image_file` and more: the request's own.
        _ if name.contains("image") => FailureKind::InvalidRequest,
        // Unheard of: tried again a few times, as a stream that broke.
        _ => FailureKind::Truncated,
    }
}

/// Milliseconds until the provider wants to be asked again: seconds, a date beside the answer's own, or its own header in
/// milliseconds.
fn retry_after(headers: &HeaderMap) -> Option<u64> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let number = |name: &str| text(name)?.parse::<f64>().ok();
    let date = |name: &str| httpdate::parse_http_date(text(name)?).ok();
    let until = || Some(date("retry-after")?.duration_since(date("date")?).unwrap_or_default().as_secs_f64());
    let seconds = number("retry-after").or_else(until);
    believed(number("retry-after-ms").or_else(|| seconds.map(|seconds| seconds * 1_000.0))?)
}

/// Longer than a day is not believed.
fn believed(ms: f64) -> Option<u64> {
    (0.0..=86_400_000.0).contains(&ms).then_some(ms as u64)
}
