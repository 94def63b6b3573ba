//! One open WebSocket: what comes from the client, what its sessions tell, and signs of life, one thing after the other.
//!
//! Invariants: there is one frame on its way out, and no queue: while a client does not take it nothing more is read for
//! it, and its sessions go on; it is given the journal later. One command is done at a time, in the order they came. A
//! client that gives no sign of life, or takes nothing for too long, is let go.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::future::{BoxFuture, OptionFuture};
use futures_util::stream::{SelectAll, unfold};
use futures_util::{Stream, StreamExt as _};
use outlive_core::event::Origin;
use outlive_core::id::SessionId;
use outlive_protocol::event::{SSE_DELTA, SSE_EVENT, SSE_LIVE};
use outlive_protocol::socket::{END, ServerFrame};
use outlive_runtime::StoreError;
use outlive_runtime::subscribe::{Signal, Subscription};
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;

use super::commands::{self, Done, Then};
use crate::App;
use crate::problem::ApiError;
use crate::tokens::Identity;

/// Time for a client to take one frame.
const TAKE: Duration = Duration::from_secs(60);
/// Time for a client to take the last one.
const FAREWELL: Duration = Duration::from_secs(1);
/// Sessions that one connection listens to.
pub(super) const SESSIONS: usize = 64;

/// Why a connection ends: the codes of RFC 6455, and two of ours.
mod close {
    pub(super) const AWAY: u16 = 1001;
    pub(super) const PROTOCOL: u16 = 1002;
    pub(super) const UNSUPPORTED: u16 = 1003;
    pub(super) const TOO_LARGE: u16 = 1009;
    pub(super) const NO_TOKEN: u16 = 4401;
    pub(super) const NO_SIGN_OF_LIFE: u16 = 4408;
}

/// Who is at the other end.
#[derive(Clone)]
pub(super) struct Client {
    /// Through which door.
    pub(super) by: Origin,
    /// By which token.
    pub(super) who: Identity,
    /// From where.
    pub(super) from: IpAddr,
}

pub(super) struct Talk {
    app: App,
    client: Client,
    socket: WebSocket,
    heard: SelectAll<Heard>,
    stops: BTreeMap<SessionId, CancellationToken>,
    /// The command that is being done.
    pending: Option<BoxFuture<'static, Done>>,
    /// Whether the client was heard since it was last asked for a sign of life.
    lives: bool,
}

/// Frames of one session.
type Heard = Pin<Box<dyn Stream<Item = (SessionId, Told)> + Send>>;

enum Told {
    Frame(String),
    /// The last one.
    Over(String),
}

enum Next {
    Came(Option<Result<Message, axum::Error>>),
    Done(Done),
    Told(SessionId, Told),
    Ping,
    Closing,
    /// The token does not hold any more.
    Revoked,
    /// It has lasted long enough.
    Lasted,
}

/// How a connection ends.
enum Ended {
    /// The client has gone, or does not take anything.
    Gone,
    /// It is told why.
    Because(u16, String),
}

impl Talk {
    pub(super) fn new(app: App, client: Client, socket: WebSocket) -> Self {
        let (heard, stops) = (SelectAll::new(), BTreeMap::new());
        Self { app, client, socket, heard, stops, pending: None, lives: true }
    }

    /// Talks until one of both goes.
    pub(super) async fn run(mut self) {
        let period = self.app.settings.ping;
        let mut pings = interval_at(Instant::now() + period, period);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let closing = self.app.runtime.closing();
        let over = self.client.who.over(self.app.runtime.moments().now());
        let lasted = tokio::time::sleep(self.app.settings.limits.stream);
        let (mut over, mut lasted) = (Box::pin(over), Box::pin(lasted));
        let ended = loop {
            let next = tokio::select! {
                // A sign of life counts before the time for it is over.
                biased;
                () = &mut over => Next::Revoked,
                came = self.socket.recv(), if self.pending.is_none() => Next::Came(came),
                Some(done) = OptionFuture::from(self.pending.as_mut()), if self.pending.is_some() => Next::Done(done),
                Some((session, told)) = self.heard.next(), if !self.heard.is_empty() => Next::Told(session, told),
                _ = pings.tick() => Next::Ping,
                () = closing.cancelled() => Next::Closing,
                () = &mut lasted => Next::Lasted,
            };
            if let Err(ended) = self.take(next).await {
                break ended;
            }
        };
        if let Ended::Because(code, reason) = ended {
            tracing::debug!(code, reason, "socket closed");
            let frame = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
            // Whoever is gone need not be told.
            timeout(FAREWELL, self.socket.send(frame)).await.ok();
        }
    }

    async fn take(&mut self, next: Next) -> Result<(), Ended> {
        match next {
            Next::Came(came) => self.came(came),
            Next::Done(done) => self.done(done).await,
            Next::Told(_, Told::Frame(frame)) => self.send(Message::Text(frame.into())).await,
            Next::Told(session, Told::Over(frame)) => {
                self.stops.remove(&session);
                self.send(Message::Text(frame.into())).await
            }
            // While a command is being done nothing is read, and so no sign of life.
            Next::Ping if !std::mem::replace(&mut self.lives, self.pending.is_some()) => {
                Err(Ended::Because(close::NO_SIGN_OF_LIFE, "no answer to a ping".to_owned()))
            }
            Next::Ping => self.send(Message::Ping(bytes::Bytes::new())).await,
            Next::Closing => Err(Ended::Because(close::AWAY, "the server is shutting down".to_owned())),
            Next::Revoked => Err(Ended::Because(close::NO_TOKEN, "the token does not hold any more".to_owned())),
            Next::Lasted => Err(Ended::Because(close::AWAY, "come back and go on where you were".to_owned())),
        }
    }

    fn came(&mut self, came: Option<Result<Message, axum::Error>>) -> Result<(), Ended> {
        self.lives = true;
        match came {
            Some(Ok(Message::Text(text))) => {
                self.pending = Some(Box::pin(commands::act(self.app.clone(), self.client.clone(), text.to_string())));
                Ok(())
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(()),
            Some(Ok(Message::Binary(_))) => {
                Err(Ended::Because(close::UNSUPPORTED, "send JSON in text frames".to_owned()))
            }
            Some(Ok(Message::Close(_))) | None => Err(Ended::Gone),
            Some(Err(error)) => Err(broken(&error.to_string(), self.app.settings.body_bytes)),
        }
    }

    async fn done(&mut self, done: Done) -> Result<(), Ended> {
        self.pending = None;
        let Done { request_id, answer, then } = done;
        let answer = match then {
            Some(Then::Listen(..)) if self.heard.len() >= SESSIONS => {
                let what = format!("a connection listens to at most {SESSIONS} sessions: unsubscribe, or open another");
                Err(ApiError::new(&outlive_protocol::code::BUSY, what))
            }
            Some(then) => {
                self.send(Message::Text(commands::reply(request_id, answer).into())).await?;
                self.follow(then);
                return Ok(());
            }
            None => answer,
        };
        self.send(Message::Text(commands::reply(request_id, answer).into())).await
    }

    fn follow(&mut self, then: Then) {
        let (session, subscription) = match then {
            Then::Listen(session, subscription) => (session, Some(subscription)),
            Then::Forget(session) => (session, None),
        };
        if let Some(before) = self.stops.remove(&session) {
            before.cancel();
        }
        if let Some(subscription) = subscription {
            let stop = CancellationToken::new();
            self.heard.push(Box::pin(told(session, *subscription).take_until(stop.clone().cancelled_owned())));
            self.stops.insert(session, stop);
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), Ended> {
        match timeout(TAKE, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Ended::Gone),
        }
    }
}

/// What a frame that could not be read says of the client.
fn broken(error: &str, most: usize) -> Ended {
    if error.contains("too long") || error.contains("too large") {
        return Ended::Because(close::TOO_LARGE, format!("a frame has at most {most} bytes"));
    }
    // The reason of a close frame has at most 123 bytes.
    Ended::Because(close::PROTOCOL, error.chars().filter(char::is_ascii).take(120).collect())
}

fn told(session: SessionId, subscription: Subscription) -> impl Stream<Item = (SessionId, Told)> + Send {
    unfold(Some(subscription), move |subscription| async move {
        let mut subscription = subscription?;
        let signal = subscription.next().await;
        let told = frame(session, signal, subscription.cursor());
        let next = matches!(told, Told::Frame(_)).then_some(subscription);
        Some(((session, told), next))
    })
}

fn frame(session: SessionId, signal: Result<Option<Signal>, StoreError>, cursor: u64) -> Told {
    let of = |event: &str, data: Value| {
        let (session, event) = (Some(session.to_string()), event.to_owned());
        // A frame of JSON values always serializes.
        let frame = ServerFrame { session, event, id: None, request_id: None, status: None, data };
        serde_json::to_string(&frame).unwrap_or_default()
    };
    match signal {
        Ok(Some(Signal::Event(line, _))) => {
            let (seq, line) = (line.seq(), line.as_str());
            Told::Frame(format!(r#"{{"session":"{session}","event":"{SSE_EVENT}","id":{seq},"data":{line}}}"#))
        }
        Ok(Some(Signal::Delta(delta))) => Told::Frame(of(SSE_DELTA, serde_json::to_value(delta).unwrap_or_default())),
        Ok(Some(Signal::Live)) => Told::Frame(of(SSE_LIVE, json!(cursor))),
        Ok(None) => Told::Over(of(END, json!({"reason": "the session is no more"}))),
        Err(error) => {
            tracing::error!(%session, %error, "stream ended");
            Told::Over(of(END, json!(ApiError::from(error).into_problem())))
        }
    }
}
