//! What requests over HTTP carry, and who lets them in: a token is asked for before each one, and once more where the server
//! refuses it.
//!
//! Invariants: no redirect is followed, so that no token and no header reaches another host; a refused request is tried once
//! more at most.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};
use rmcp::model::ClientJsonRpcMessage;
use rmcp::transport::streamable_http_client::{
    StreamableHttpClient, StreamableHttpClientTransportConfig, StreamableHttpError, StreamableHttpPostResponse,
};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::common::client_side_sse::BoxedSseResponse;

use super::{Bearer, FRAME_BYTES};

/// Time for a connection to be made.
const CONNECTING: Duration = Duration::from_secs(10);

/// Sends requests to one server.
#[derive(Clone)]
pub(super) struct Web {
    http: reqwest::Client,
    bearer: Option<Arc<dyn Bearer>>,
}

type Error = StreamableHttpError<reqwest::Error>;
type Headers = HashMap<HeaderName, HeaderValue>;

impl Web {
    /// Makes the transport to a server.
    pub fn transport(
        url: &str,
        headers: &BTreeMap<String, String>,
        bearer: Option<Arc<dyn Bearer>>,
    ) -> Result<StreamableHttpClientTransport<Self>, String> {
        let read = |(name, value): (&String, &String)| {
            let name = HeaderName::try_from(name).map_err(|_| format!("header `{name}` is no name of a header"))?;
            let mut value =
                HeaderValue::try_from(value).map_err(|_| format!("what header `{name}` says cannot be sent"))?;
            value.set_sensitive(true);
            Ok::<_, String>((name, value))
        };
        let mut headers = headers.iter().map(read).collect::<Result<Headers, String>>()?;
        // One that is set there is the agent's own matter; the SDK keeps it for itself.
        let own = headers.remove(&reqwest::header::AUTHORIZATION);
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(CONNECTING)
            .default_headers(own.map(|value| (reqwest::header::AUTHORIZATION, value)).into_iter().collect());
        let http = http.build().map_err(|error| format!("no HTTP client can be made: {error}"))?;
        let config = StreamableHttpClientTransportConfig::with_uri(url).custom_headers(headers);
        let config = config.max_sse_event_size(FRAME_BYTES);
        Ok(StreamableHttpClientTransport::with_client(Self { http, bearer }, config))
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

impl StreamableHttpClient for Web {
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
        self.let_in(|token| {
            let (uri, session, last, headers) = (uri.clone(), session.clone(), last.clone(), headers.clone());
            self.http.get_stream_with_max_sse_event_size(uri, session, last, token, headers, most)
        })
        .await
    }
}
