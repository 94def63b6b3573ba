//! The seam for servers that ask who comes: something that yields a token for an address, asked before each request, and once
//! more where the server refuses it.
//!
//! Invariant: a refused request is tried once more at most.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};
use rmcp::model::ClientJsonRpcMessage;
use rmcp::transport::common::client_side_sse::BoxedSseResponse;
use rmcp::transport::streamable_http_client::{StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse};

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::FRAME_BYTES;
use crate::Pending;

/// Yields tokens for one server.
pub trait Bearer: Debug + Send + Sync {
    /// Returns the token to send now; none where there is none yet. It is asked before every request, so it must be quick: a
    /// token that has run out is renewed here.
    ///
    /// # Errors
    ///
    /// Why there is none, and what a person can do, in one line.
    fn token(&self) -> Pending<'_, Result<Option<String>, String>>;

    /// The server refused a request: 401, or 403 for want of scope. Returns a token that is worth trying once more.
    ///
    /// # Errors
    ///
    /// Why there is none, and what a person can do, in one line: `outlive …`, or an address to open.
    fn challenged<'a>(&'a self, challenge: &'a str) -> Pending<'a, Result<String, String>>;
}

/// Pause between two streams that are opened, whatever the server proposes: at first, and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(20));

/// Sends requests to one server, with whoever lets them in.
#[derive(Clone)]
pub(super) struct LetIn {
    http: reqwest::Client,
    bearer: Option<Arc<dyn Bearer>>,
    /// When the last stream was opened, and the pause before the next.
    opened: Arc<Mutex<Option<(Instant, Duration)>>>,
}

type Error = StreamableHttpError<reqwest::Error>;
type Headers = HashMap<HeaderName, HeaderValue>;

impl LetIn {
    pub fn new(http: reqwest::Client, bearer: Option<Arc<dyn Bearer>>) -> Self {
        Self { http, bearer, opened: Arc::default() }
    }

    /// Waits until another stream may be opened. A server that ends each at once, and wants the next at once, waits longer each
    /// time.
    async fn turn(&self) {
        let mut opened = self.opened.lock().await;
        let mut pause = PAUSE.0;
        if let Some((at, before)) = *opened {
            if at.elapsed() < before * 2 {
                pause = (before * 2).min(PAUSE.1);
            }
            tokio::time::sleep_until(at + before).await;
        }
        *opened = Some((Instant::now(), pause));
    }

    /// Sends with a token, and once more with another where the server refuses.
    async fn let_in<T, F: Future<Output = Result<T, Error>>>(
        &self,
        send: impl Fn(Option<String>) -> F,
    ) -> Result<T, Error> {
        let Some(bearer) = &self.bearer else { return send(None).await };
        let missing = |why: String| Error::Io(std::io::Error::other(why));
        let refused = match send(bearer.token().await.map_err(missing)?).await {
            Err(Error::AuthRequired(refused)) => refused.www_authenticate_header,
            Err(Error::InsufficientScope(refused)) => refused.www_authenticate_header,
            done => return done,
        };
        let token = bearer.challenged(&refused).await.map_err(missing)?;
        send(Some(token)).await
    }
}

impl StreamableHttpClient for LetIn {
    type Error = reqwest::Error;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        auth: Option<String>,
        headers: Headers,
    ) -> Result<StreamableHttpPostResponse, Error> {
        self.post_message_with_max_sse_event_size(uri, message, session, auth, headers, FRAME_BYTES).await
    }

    async fn post_message_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        _auth: Option<String>,
        headers: Headers,
        most: usize,
    ) -> Result<StreamableHttpPostResponse, Error> {
        self.let_in(|token| {
            let (uri, message, session, headers) = (uri.clone(), message.clone(), session.clone(), headers.clone());
            self.http.post_message_with_max_sse_event_size(uri, message, session, token, headers, most)
        })
        .await
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session: Arc<str>,
        _auth: Option<String>,
        headers: Headers,
    ) -> Result<(), Error> {
        self.let_in(|token| self.http.delete_session(uri.clone(), session.clone(), token, headers.clone())).await
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last: Option<String>,
        auth: Option<String>,
        headers: Headers,
    ) -> Result<BoxedSseResponse, Error> {
        self.get_stream_with_max_sse_event_size(uri, session, last, auth, headers, FRAME_BYTES).await
    }

    async fn get_stream_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last: Option<String>,
        _auth: Option<String>,
        headers: Headers,
        most: usize,
    ) -> Result<BoxedSseResponse, Error> {
        self.turn().await;
        self.let_in(|token| {
            let (uri, session, last, headers) = (uri.clone(), session.clone(), last.clone(), headers.clone());
            self.http.get_stream_with_max_sse_event_size(uri, session, last, token, headers, most)
        })
        .await
    }
}
