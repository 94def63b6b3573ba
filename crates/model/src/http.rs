//! One streamed request over HTTP: sends it, tells apart what can go wrong by what can be done about it, and hands the
//! events of the answer to a dialect.

use std::time::Duration;

use futures_util::StreamExt as _;
use outlive_core::content::{Failure, FailureKind, Reply};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::Value;

use crate::Sink;
use crate::sse::{Decoder, Event};

/// Time without a byte, after which a stream counts as dead.
const SILENCE: Duration = Duration::from_secs(120);

/// Turns a dialect's events into a reply.
pub(crate) trait Reader: Send {
    /// Takes the next event.
    fn take(&mut self, event: &Event, sink: &Sink) -> Result<(), Failure>;
    /// Returns the reply, if the stream ended as a complete one does.
    fn finish(self, provider_request_id: Option<String>) -> Result<Reply, Failure>;
}

/// Makes a failure.
pub(crate) fn failure(kind: FailureKind, message: impl Into<String>) -> Failure {
    Failure { kind, message: message.into(), retry_after_ms: None }
}

/// Sends a request and reads its stream.
pub(crate) async fn ask<R: Reader>(request: RequestBuilder, mut reader: R, sink: &Sink) -> Result<Reply, Failure> {
    let response = request.send().await.map_err(|error| unreachable_by(&error))?;
    if !response.status().is_success() {
        return Err(refused(response).await);
    }
    let id = request_id(response.headers());
    let mut bytes = response.bytes_stream();
    let mut decoder = Decoder::default();
    loop {
        let chunk = match tokio::time::timeout(SILENCE, bytes.next()).await {
            Ok(Some(Ok(chunk))) => chunk,
            Ok(Some(Err(error))) => return Err(failure(FailureKind::Truncated, format!("the stream broke: {error}"))),
            Ok(None) => return reader.finish(id),
            Err(_) => return Err(failure(FailureKind::Timeout, "the stream fell silent")),
        };
        let events = decoder.push(&chunk).map_err(|error| failure(FailureKind::Truncated, error.to_string()))?;
        for event in events {
            reader.take(&event, sink)?;
        }
    }
}

/// Reads a whole recorded stream: for tests and fuzzing.
pub(crate) fn parse<R: Reader>(bytes: &[u8], mut reader: R) -> Result<Reply, Failure> {
    let sink: Sink = std::sync::Arc::new(|_| {});
    let events = Decoder::default().push(bytes).map_err(|error| failure(FailureKind::Truncated, error.to_string()))?;
    for event in events {
        reader.take(&event, &sink)?;
    }
    reader.finish(None)
}

fn unreachable_by(error: &reqwest::Error) -> Failure {
    let kind = if error.is_timeout() { FailureKind::Timeout } else { FailureKind::Network };
    // The address may carry what must not be told: only what went wrong is.
    let why = std::error::Error::source(error).map_or_else(|| "no connection".to_owned(), ToString::to_string);
    failure(kind, format!("the provider cannot be reached: {why}"))
}

fn request_id(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("request-id").or_else(|| headers.get("x-request-id"))?;
    value.to_str().ok().map(|id| id.chars().take(128).collect())
}

async fn refused(response: Response) -> Failure {
    let (status, retry_after_ms) = (response.status(), retry_after(response.headers()));
    let body = response.bytes().await.unwrap_or_default();
    let said = said(body.get(..body.len().min(64 << 10)).unwrap_or_default());
    let kind = kind_of(status, &said);
    let message = format!("the provider answers {}: {said}", status.as_u16());
    Failure { kind, message, retry_after_ms }
}

/// The message of an error body, in whichever shape it comes.
fn said(body: &[u8]) -> String {
    let parsed: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = parsed.get("error").unwrap_or(&parsed);
    let message = error.get("message").and_then(Value::as_str).or_else(|| error.as_str());
    let text = message.map_or_else(|| String::from_utf8_lossy(body).into_owned(), str::to_owned);
    let shown: String = text.chars().take(500).collect();
    if shown.trim().is_empty() { "no reason given".to_owned() } else { shown }
}

fn kind_of(status: StatusCode, said: &str) -> FailureKind {
    match status.as_u16() {
        401..=403 => FailureKind::Auth,
        408 | 504 => FailureKind::Timeout,
        429 if said.contains("insufficient_quota") || said.contains("billing") => FailureKind::Auth,
        429 => FailureKind::RateLimited,
        409 | 500..=599 => FailureKind::Overloaded,
        _ => FailureKind::InvalidRequest,
    }
}

/// Classifies an error that comes within a stream, by its type's name.
pub(crate) fn kind_of_error(name: &str) -> FailureKind {
    match name {
        "overloaded_error" | "api_error" | "server_error" | "internal_error" => FailureKind::Overloaded,
        "rate_limit_error" | "rate_limit_exceeded" | "tokens" | "requests" => FailureKind::RateLimited,
        "authentication_error" | "permission_error" | "billing_error" | "insufficient_quota" => FailureKind::Auth,
        "timeout_error" => FailureKind::Timeout,
        "invalid_request_error" | "not_found_error" | "request_too_large" => FailureKind::InvalidRequest,
        _ => FailureKind::Overloaded,
    }
}

/// Milliseconds until the provider wants to be asked again: seconds, or its own header in milliseconds.
fn retry_after(headers: &HeaderMap) -> Option<u64> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let seconds = headers.get(RETRY_AFTER).and_then(|_| number("retry-after"));
    let ms = number("retry-after-ms").or_else(|| seconds.map(|seconds| seconds * 1_000.0))?;
    // Longer than a day is not believed.
    (0.0..=86_400_000.0).contains(&ms).then_some(ms as u64)
}
