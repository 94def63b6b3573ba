//! One request to a server: its progress is heard, it is cancelled when it is stopped or takes too long, and what becomes of it
//! is told apart: answered, never sent, or unknown.

use std::collections::HashMap;
use std::error::Error as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use outlive_core::id::{CallId, SessionId};
use rmcp::RoleClient;
use rmcp::model::{
    CancelledNotificationParam, ClientRequest, ElicitRequestParams, ElicitResult, ProgressToken, RequestId,
    ServerResult,
};
use rmcp::service::{Peer, PeerRequestOptions, ServiceError};
use rmcp::transport::DynamicTransportError;
use rmcp::transport::streamable_http_client::StreamableHttpError;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::listing::plain;
use crate::{Asker, Invocation, Sink};

/// A request that shows progress may take so many times its limit.
const LONGEST: u32 = 10;
/// Later than anybody waits for.
const FAR: Duration = Duration::from_secs(365 * 86_400);
/// Time to tell a server that a request is not wanted any more.
const TELLING: Duration = Duration::from_secs(1);
/// Characters of a message of progress.
const PROGRESS_CHARS: usize = 1_000;
/// Bytes of all messages of progress of one call.
const PROGRESS_BYTES: usize = 1 << 20;

/// What became of a request that has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The server says no, or answers what makes no sense: in words.
    Refused(String),
    /// It never reached the server.
    NotSent(String),
    /// It was sent, and what the server did is not known.
    Unknown(String),
    /// Its time ran out; what the server did is not known.
    TimedOut(Duration),
    /// It was stopped; what the server did is not known.
    Stopped,
}

/// Whose request it is, and how long it may take.
pub(super) struct Asking<'a> {
    pub session: SessionId,
    pub call: CallId,
    pub sink: &'a Sink,
    pub asker: &'a Asker,
    pub stop: &'a CancellationToken,
    pub limit: Duration,
}

impl<'a> Asking<'a> {
    /// The request of a call.
    pub fn of(invocation: &'a Invocation, limit: Duration) -> Self {
        let Invocation { session, call, sink, asker, stop, .. } = invocation;
        Self { session: *session, call: *call, sink, asker, stop, limit }
    }
}

/// A request under way.
struct Under {
    session: SessionId,
    call: CallId,
    sink: Sink,
    told: usize,
    asker: Asker,
    alive: watch::Sender<Alive>,
}

/// How a request goes on.
#[derive(Clone, Copy)]
struct Alive {
    /// When it was heard of last.
    last: Instant,
    /// Since when a person is asked.
    asking: Option<Instant>,
    /// How long persons took.
    waited: Duration,
}

impl Alive {
    fn new() -> Self {
        Self { last: Instant::now(), asking: None, waited: Duration::ZERO }
    }

    /// Returns when its time runs out: not while a person thinks.
    fn deadline(&self, began: Instant, limit: Duration) -> Instant {
        match self.asking {
            Some(_) => Instant::now() + FAR,
            None => (self.last + limit).min(began + self.waited + limit * LONGEST),
        }
    }
}

/// Asks the person of one request, whose time does not run meanwhile.
pub(super) struct Inquirer {
    asker: Asker,
    alive: watch::Sender<Alive>,
}

impl Inquirer {
    /// Asks this of whoever the request belongs to; nothing where a person is asked for it already.
    pub async fn ask(&self, server: &str, asked: &ElicitRequestParams) -> Option<ElicitResult> {
        let mut was_asking = false;
        self.alive.send_modify(|alive| {
            was_asking = alive.asking.is_some();
            alive.asking.get_or_insert_with(Instant::now);
        });
        if was_asking {
            return None;
        }
        let _thinks = Thinks(&self.alive);
        Some(super::elicit::ask(server, asked, &self.asker).await)
    }
}

/// Lets the time of a request run again, however its question ends: answered, or taken back.
struct Thinks<'a>(&'a watch::Sender<Alive>);

impl Drop for Thinks<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|alive| {
            alive.waited += alive.asking.take().map(|since| since.elapsed()).unwrap_or_default();
            alive.last = Instant::now();
        });
    }
}

/// The requests of one connection that are under way.
#[derive(Clone, Default)]
pub(super) struct Calls(Arc<Mutex<HashMap<(ProgressToken, RequestId), Under>>>);

impl Calls {
    fn lock(&self) -> MutexGuard<'_, HashMap<(ProgressToken, RequestId), Under>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes a message of progress on, within bounds. One that belongs to nothing is left alone.
    pub fn progress(&self, token: &ProgressToken, text: Option<String>) {
        let mut calls = self.lock();
        let Some(under) = calls.iter_mut().find(|((of, _), _)| of == token).map(|(_, under)| under) else { return };
        under.alive.send_modify(|alive| alive.last = Instant::now());
        let Some(text) = text else { return };
        let line: String = plain(&text).chars().take(PROGRESS_CHARS).chain(['\n']).collect();
        if under.told + line.len() <= PROGRESS_BYTES {
            under.told += line.len();
            (under.sink)(line);
        }
    }

    /// Returns who is asked what a server asks: the person of the request that it names, or of the only one under way. Where
    /// it could be another's, nobody is.
    pub fn inquirer(&self, of: Option<&RequestId>) -> Option<Inquirer> {
        let calls = self.lock();
        let theirs = |key: &(ProgressToken, RequestId)| of.is_none_or(|id| key.1 == *id);
        let mut found = calls.iter().filter(|(key, _)| theirs(key)).map(|(_, under)| under);
        let first = found.next()?;
        let is_only = found.all(|other| (other.session, other.call) == (first.session, first.call));
        is_only.then(|| Inquirer { asker: Arc::clone(&first.asker), alive: first.alive.clone() })
    }

    /// Sends a request and waits for its answer.
    pub async fn ask(
        &self,
        peer: &Peer<RoleClient>,
        request: ClientRequest,
        asking: &Asking<'_>,
    ) -> Result<ServerResult, Failure> {
        let sent = peer.send_cancellable_request(request, PeerRequestOptions::no_options()).await;
        let handle = sent.map_err(|error| Failure::NotSent(trouble(&error).0))?;
        let (alive, mut heard) = watch::channel(Alive::new());
        let key = (handle.progress_token.clone(), handle.id.clone());
        let Asking { session, call, sink, asker, stop, limit } = asking;
        let (sink, asker) = (Arc::clone(sink), Arc::clone(asker));
        let under = Under { session: *session, call: *call, sink, told: 0, asker, alive };
        let _entered = self.enter(key.clone(), under);
        let began = Instant::now();
        let answer = handle.await_response();
        tokio::pin!(answer);
        loop {
            let deadline = heard.borrow_and_update().deadline(began, *limit);
            let failed = tokio::select! {
                biased;
                answer = &mut answer => return answer.map_err(|error| failure(&error)),
                () = stop.cancelled() => Failure::Stopped,
                Ok(()) = heard.changed() => continue,
                () = tokio::time::sleep_until(deadline) => Failure::TimedOut(began.elapsed()),
            };
            let reason = if failed == Failure::Stopped { "stopped" } else { "its time ran out" };
            let params = CancelledNotificationParam::new(Some(key.1), Some(reason.to_owned()));
            // It is only a courtesy: a server that does not listen keeps nobody waiting.
            drop(tokio::time::timeout(TELLING, peer.notify_cancelled(params)).await);
            return Err(failed);
        }
    }

    fn enter(&self, key: (ProgressToken, RequestId), under: Under) -> Entered<'_> {
        self.lock().insert(key.clone(), under);
        Entered { calls: self, key }
    }
}

struct Entered<'a> {
    calls: &'a Calls,
    key: (ProgressToken, RequestId),
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.calls.lock().remove(&self.key);
    }
}

fn failure(error: &ServiceError) -> Failure {
    let (words, sent) = trouble(error);
    match sent {
        Sent::Answered => Failure::Refused(words),
        Sent::Never => Failure::NotSent(words),
        Sent::Perhaps => Failure::Unknown(words),
    }
}

/// How far a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    Answered,
    Never,
    Perhaps,
}

/// Says in words what went wrong, and how far the request came.
#[expect(clippy::wildcard_enum_match_arm, reason = "what else the SDK says is told in its words")]
pub(crate) fn trouble(error: &ServiceError) -> (String, Sent) {
    match error {
        ServiceError::McpError(said) => {
            (format!("it says: {} (code {})", words(&said.message), said.code.0), Sent::Answered)
        }
        ServiceError::UnexpectedResponse => ("its answer makes no sense".to_owned(), Sent::Perhaps),
        ServiceError::TransportClosed => ("the connection was lost".to_owned(), Sent::Perhaps),
        ServiceError::Cancelled { .. } => ("the server cancelled it".to_owned(), Sent::Perhaps),
        ServiceError::TransportSend(error) => in_transport(error),
        other => (words(&other.to_string()), Sent::Perhaps),
    }
}

/// The same of what the transport says.
pub(super) fn in_transport(error: &DynamicTransportError) -> (String, Sent) {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error.error.as_ref());
    while let Some(current) = cause {
        if let Some(http) = current.downcast_ref::<StreamableHttpError<reqwest::Error>>() {
            return over_http(http);
        }
        if current.downcast_ref::<std::io::Error>().is_some() {
            // A line that was not written whole is no request.
            return (format!("it cannot be written to: {current}"), Sent::Never);
        }
        cause = current.source();
    }
    (words(&error.to_string()), Sent::Perhaps)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what else the SDK says is told in its words")]
fn over_http(error: &StreamableHttpError<reqwest::Error>) -> (String, Sent) {
    match error {
        StreamableHttpError::Client(error) => {
            let mut told = error.to_string();
            if let Some(url) = error.url() {
                // What stands in it may be a secret.
                told = told.replace(url.as_str(), "its address");
            }
            let mut cause = error.source();
            while let Some(below) = cause {
                told.push_str(&format!(": {below}"));
                cause = below.source();
            }
            let sent = match error.status() {
                Some(status) if status.is_client_error() || status.is_redirection() => Sent::Never,
                _ if error.is_connect() || error.is_builder() => Sent::Never,
                _ => Sent::Perhaps,
            };
            (words(&told), sent)
        }
        StreamableHttpError::Io(why) => (words(&why.to_string()), Sent::Never),
        StreamableHttpError::Auth(why) => (words(&format!("no authorization: {why}")), Sent::Never),
        StreamableHttpError::AuthRequired(_) => {
            ("it asks for an authorization that is missing".to_owned(), Sent::Never)
        }
        StreamableHttpError::InsufficientScope(_) => {
            ("it asks for an authorization that reaches further".to_owned(), Sent::Never)
        }
        StreamableHttpError::SessionExpired | StreamableHttpError::ReservedHeaderConflict(_) => {
            (words(&error.to_string()), Sent::Never)
        }
        // What begins with such a status was not taken up.
        StreamableHttpError::UnexpectedServerResponse(said)
            if ["HTTP 3", "HTTP 4"].iter().any(|it| said.starts_with(it)) =>
        {
            (words(said), Sent::Never)
        }
        StreamableHttpError::HttpStatus(said) if said.status == 429 => (words(&said.to_string()), Sent::Never),
        other => (words(&other.to_string()), Sent::Perhaps),
    }
}

/// What a stranger said, fit for a line of ours.
pub(super) fn words(text: &str) -> String {
    plain(text).replace('\n', " ").chars().take(500).collect()
}
