//! Reads what a request carries, strictly: bodies with the place of an error, ids matched whole before storage is touched.

use std::str::FromStr;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use outlive_core::event::{Origin, OriginKind};
use outlive_core::id::{RequestId, Seq};
use outlive_protocol::{code, token};
use serde::de::DeserializeOwned;

use crate::App;
use crate::problem::{ApiError, ApiResult};
use crate::tokens::Identity;

/// A JSON body. An empty one stands for `{}`.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> ApiResult<Self> {
        json(request, app, app.settings.body_bytes).await.map(Self)
    }
}

/// A JSON body that holds a whole conversation. Its route has [`LARGE_BYTES`] as its limit.
pub(crate) struct Large<T>(pub(crate) T);

/// Bytes of such a body: texts of 32 MiB, written as JSON.
pub(crate) const LARGE_BYTES: usize = 64 << 20;

impl<T: DeserializeOwned> FromRequest<App> for Large<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> ApiResult<Self> {
        json(request, app, LARGE_BYTES).await.map(Self)
    }
}

/// A body as it came.
pub(crate) struct Raw(pub(crate) Bytes);

impl FromRequest<App> for Raw {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> ApiResult<Self> {
        raw(request, app, app.settings.body_bytes).await.map(Self)
    }
}

async fn raw(request: Request, app: &App, limit: usize) -> ApiResult<Bytes> {
    match tokio::time::timeout(app.settings.body_time, Bytes::from_request(request, app)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Err(ApiError::new(&code::TOO_LARGE, format!("a body has at most {limit} bytes")))
        }
        Ok(Err(_)) => Err(ApiError::new(&code::BAD_REQUEST, "the body did not arrive whole")),
        Err(_) => Err(ApiError::new(&code::TIMEOUT, "the body did not arrive in time")),
    }
}

async fn json<T: DeserializeOwned>(request: Request, app: &App, limit: usize) -> ApiResult<T> {
    let bytes = raw(request, app, limit).await?;
    let text = if bytes.is_empty() { b"{}".as_slice() } else { &bytes };
    // A list would be taken for the fields in their order.
    if text.trim_ascii_start().first() == Some(&b'[') {
        return Err(ApiError::new(&code::INVALID, "body: a JSON object is needed, not a list"));
    }
    serde_json::from_slice(text).map_err(|error| {
        let refused = if error.is_data() { &code::INVALID } else { &code::MALFORMED_JSON };
        ApiError::new(refused, format!("body: {error}"))
    })
}

/// Reads an id of a path.
pub(crate) fn id<T: FromStr<Err: std::fmt::Display>>(text: &str) -> ApiResult<T> {
    text.parse().map_err(|error: T::Err| ApiError::new(&code::MALFORMED_ID, error.to_string()))
}

/// Reads how many items a page may have.
pub(crate) fn limit(asked: Option<usize>, usual: usize, most: usize) -> ApiResult<usize> {
    match asked {
        Some(0) => Err(ApiError::new(&code::INVALID, format!("limit is 1 to {most}"))),
        asked => Ok(asked.unwrap_or(usual).min(most)),
    }
}

/// Reads the seq before which a page ends, if it is asked for; `other` is the parameter that goes the other way.
pub(crate) fn position_before(
    before: Option<Seq>,
    other: Option<Seq>,
    (name, head): (&str, Seq),
) -> ApiResult<Option<Seq>> {
    let refuse = |what: String| Err(ApiError::new(&code::INVALID, what));
    match (before, other) {
        (Some(_), Some(_)) => refuse(format!("`before` and `{name}` go opposite ways; send one of them")),
        (Some(before), None) if before == 0 || before > head + 1 => {
            refuse(format!("before: the journal ends with {head}; send 1 to {}", head + 1))
        }
        (before, _) => Ok(before),
    }
}

/// What stands in a path.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> ApiResult<Self> {
        match axum::extract::Path::<T>::from_request_parts(parts, app).await {
            Ok(axum::extract::Path(path)) => Ok(Self(path)),
            Err(error) => Err(ApiError::new(&code::MALFORMED_ID, format!("path: {}", error.body_text()))),
        }
    }
}

/// A query string's values.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<App> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> ApiResult<Self> {
        match axum::extract::Query::<T>::from_request_parts(parts, app).await {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(error) => Err(ApiError::new(&code::INVALID, format!("query: {}", error.body_text()))),
        }
    }
}

/// Who asks, and by which name.
pub(crate) struct Caller {
    /// Through which door.
    pub(crate) by: Origin,
    /// By which token.
    pub(crate) who: Option<Identity>,
    key: Option<RequestId>,
}

impl Caller {
    /// Lets do what needs more than the route does.
    pub(crate) fn needs(&self, scope: token::Scope) -> ApiResult<()> {
        self.who.as_ref().map_or(Ok(()), |who| who.needs(scope))
    }

    /// Returns the request's name: header `Idempotency-Key` and body `request_id` are the same thing.
    pub(crate) fn request(&self, in_body: Option<&str>) -> ApiResult<Option<RequestId>> {
        let in_body = in_body.map(RequestId::from_str).transpose();
        let in_body = in_body.map_err(|error| ApiError::new(&code::INVALID, format!("request_id: {error}")))?;
        match (&self.key, in_body) {
            (Some(key), Some(body)) if *key != body => {
                Err(ApiError::new(&code::INVALID, "`Idempotency-Key` and `request_id` differ; send one of them"))
            }
            (Some(key), _) => Ok(Some(key.clone())),
            (None, body) => Ok(body),
        }
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> ApiResult<Self> {
        let unreadable =
            |_| ApiError::new(&code::INVALID, "Idempotency-Key: only visible ASCII characters can be read");
        let key = parts.headers.get("idempotency-key").map(|value| value.to_str()).transpose().map_err(unreadable)?;
        let key = key.map(str::parse).transpose();
        let key = key.map_err(|error| ApiError::new(&code::INVALID, format!("Idempotency-Key: {error}")))?;
        let kind = match header(&parts.headers, "outlive-client") {
            Some("cli") => OriginKind::Cli,
            Some("web") => OriginKind::Web,
            Some("gateway") => OriginKind::Gateway,
            Some(_) | None => OriginKind::Api,
        };
        let sender = parts.headers.get("outlive-sender").and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
        let who = parts.extensions.get::<Identity>().cloned();
        // Who does not say so is called as the token is.
        let of_token = || who.as_ref().filter(|who| !who.is_owner()).map(|who| who.name.to_string());
        let sender = sender.and_then(named).or_else(of_token);
        Ok(Self { by: Origin { kind, sender }, who, key })
    }
}

/// A sender's name: one line, no longer than people's names are.
pub(crate) fn named(name: &str) -> Option<String> {
    let name: String = name.chars().filter(|c| !c.is_control()).take(128).collect();
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
