//! The one place where a deed that belongs to no one session is done once under a client's name for it, and answered the
//! same from then on. What belongs to a session has its names in the journal.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use outlive_core::digest::Digest;
use outlive_core::id::RequestId;
use outlive_protocol::code;
use outlive_runtime::Asked;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::App;
use crate::problem::{ApiError, ApiResult};

/// Names under which something is being done: the same one waits, and gets the answer. Others that share its lock wait, too.
#[derive(Clone, Default)]
pub(crate) struct Names(Arc<[Mutex<()>; 32]>);

impl Names {
    fn lock_of(&self, name: &Digest) -> Option<&Mutex<()>> {
        let at = name.as_str().get(..2).and_then(|hex| usize::from_str_radix(hex, 16).ok());
        self.0.get(at.unwrap_or_default() % self.0.len())
    }
}

/// An answer as it is kept.
#[derive(Serialize, Deserialize)]
struct Said {
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
}

/// Headers that are part of an answer.
const TOLD: [HeaderName; 3] = [header::CONTENT_TYPE, header::LOCATION, header::ETAG];
/// More than any answer has.
const MOST: usize = 16 << 20;

/// Names what is asked: `of` is method and path; `how` and `body` are all else that counts.
pub(crate) fn asked(request: Option<RequestId>, of: String, how: &str, body: &[u8]) -> Option<Asked> {
    request.map(|request| Asked { request, of, what: Digest::chain(&Digest::of(how.as_bytes()), body) })
}

/// Does what is asked, unless it was done under this name; answers that are no success are not kept.
pub(crate) async fn once(
    app: &App,
    asked: Option<Asked>,
    deed: impl Future<Output = ApiResult<Response<Body>>>,
) -> ApiResult<Response<Body>> {
    let Some(asked) = asked else { return deed.await };
    let _alone = match app.names.lock_of(&asked.name()) {
        Some(lock) => Some(lock.lock().await),
        None => None,
    };
    if let Some(said) = app.runtime.answered(&asked)? {
        return again(&said);
    }
    let answer = deed.await?;
    if !answer.status().is_success() {
        return Ok(answer);
    }
    let (head, body) = answer.into_parts();
    let broken = |_| ApiError::new(&code::INTERNAL, "the answer could not be made; the same request gives it");
    let bytes = to_bytes(body, MOST).await.map_err(broken)?;
    let told =
        TOLD.iter().filter_map(|name| Some((name.to_string(), head.headers.get(name)?.to_str().ok()?.to_owned())));
    let said = Said {
        status: head.status.as_u16(),
        headers: told.collect(),
        body: String::from_utf8_lossy(&bytes).into_owned(),
    };
    // Numbers and strings always serialize.
    app.runtime.keep_answer(&asked, serde_json::to_string(&said).unwrap_or_default());
    Ok(Response::from_parts(head, Body::from(bytes)))
}

/// Makes an answer of one that was kept.
fn again(said: &str) -> ApiResult<Response<Body>> {
    let unread =
        || ApiError::new(&code::INTERNAL, "the first answer cannot be read; send the request under another key");
    let said: Said = serde_json::from_str(said).map_err(|_| unread())?;
    let mut response = Response::new(Body::from(said.body));
    *response.status_mut() = StatusCode::from_u16(said.status).map_err(|_| unread())?;
    for name in TOLD {
        if let Some(value) = said.headers.get(name.as_str()).and_then(|value| HeaderValue::from_str(value).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}
