//! Takes connections and serves them until told to stop.
//!
//! Invariants: a connection that says nothing, half of something, or takes nothing is closed: it holds a descriptor for a
//! while, not for ever. What comes in plain from beyond this machine comes from a declared proxy, or not at all.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::Service as _;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use outlive_protocol::{Problem, code};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Settings;
use crate::patient::Patient;
use crate::peer::Peer;
use crate::seats::{Place, Seat, Seats};
use crate::tls::Tls;

/// Time for the head of a request, from the end of the one before it.
const HEAD: Duration = Duration::from_secs(60);
/// Time to agree on TLS.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Pause where no connection can be taken now: there are too many.
const FULL: Duration = Duration::from_millis(200);
/// Bytes that are read ahead. A head that does not fit is answered with 431.
const AHEAD: usize = 128 << 10;
/// An address at which a server listens.
#[derive(Debug)]
pub struct Entrance {
    listener: TcpListener,
    tls: Option<Tls>,
    only: Option<Vec<IpAddr>>,
}

impl Entrance {
    /// Whoever can reach it comes in, and what is said is in plain: for loopback.
    #[must_use]
    pub fn plain(listener: TcpListener) -> Self {
        Self { listener, tls: None, only: None }
    }

    /// What is said is encrypted.
    #[must_use]
    pub fn tls(listener: TcpListener, tls: Tls) -> Self {
        Self { listener, tls: Some(tls), only: None }
    }

    /// In plain, for these alone: proxies that speak TLS to everybody else.
    #[must_use]
    pub fn behind(listener: TcpListener, proxies: &[IpAddr]) -> Self {
        Self { listener, tls: None, only: Some(proxies.iter().map(IpAddr::to_canonical).collect()) }
    }

    fn lets_in(&self, from: IpAddr) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&from))
    }
}

/// What all connections share.
#[derive(Clone)]
struct House {
    router: Router,
    seats: Arc<Seats>,
    take: Duration,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// Serves until `stop` is cancelled; requests under way then have a moment to end.
pub(crate) async fn serve(entrances: Vec<Entrance>, router: Router, settings: &Settings, stop: CancellationToken) {
    let (seats, tasks) = (Seats::new(&settings.limits, &settings.proxies), TaskTracker::new());
    let house = House { router, seats, take: settings.limits.take, stop, tasks };
    futures_util::future::join_all(entrances.into_iter().map(|entrance| listen(entrance, house.clone()))).await;
    house.tasks.close();
    house.tasks.wait().await;
}

async fn listen(entrance: Entrance, house: House) {
    loop {
        let taken = tokio::select! {
            taken = entrance.listener.accept() => taken,
            () = house.stop.cancelled() => return,
        };
        match taken {
            Ok((stream, from)) => came(&entrance, &house, (stream, from)),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be taken now");
                tokio::time::sleep(FULL).await;
            }
        }
    }
}

fn came(entrance: &Entrance, house: &House, (stream, from): (TcpStream, SocketAddr)) {
    let from = from.ip().to_canonical();
    if !entrance.lets_in(from) {
        tracing::warn!(%from, "connection refused: it comes from no declared proxy");
        return;
    }
    let Some(seat) = house.seats.take(from) else {
        if entrance.tls.is_none() {
            // Whoever does not hear it sees the connection closed.
            stream.try_write(no_room().as_bytes()).ok();
        }
        return;
    };
    // Fragments are small, and each is waited for. A socket that does not know how is only slower.
    stream.set_nodelay(true).ok();
    let (tls, task) = (entrance.tls.clone(), house.clone());
    house.tasks.spawn(async move {
        match tls {
            Some(tls) => encrypted(stream, tls, task, (from, seat)).await,
            None => connection(stream, task, (from, seat)).await,
        }
    });
}

async fn encrypted(stream: TcpStream, tls: Tls, house: House, (from, seat): (IpAddr, Seat)) {
    let agreed = tokio::select! {
        agreed = tokio::time::timeout(HANDSHAKE, tls.0.accept(stream)) => agreed,
        () = house.stop.cancelled() => return,
    };
    match agreed {
        Ok(Ok(stream)) => connection(stream, house, (from, seat)).await,
        Ok(Err(error)) => tracing::debug!(%error, "no TLS"),
        Err(_) => tracing::debug!("no TLS in time"),
    }
}

/// Serves one connection; told to stop, it ends with the request under way.
async fn connection<S>(stream: S, house: House, (from, seat): (IpAddr, Seat))
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stream = TokioIo::new(Patient::new(stream, house.take));
    let place = Place(Arc::new(seat));
    let inner = TowerToHyperService::new(house.router);
    let with_peer = hyper::service::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(Peer(from));
        request.extensions_mut().insert(place.clone());
        inner.call(request)
    });
    let open = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(AHEAD)
        .serve_connection(stream, with_peer)
        .with_upgrades();
    let mut open = pin!(open);
    let served = tokio::select! {
        served = open.as_mut() => served,
        () = house.stop.cancelled() => {
            open.as_mut().graceful_shutdown();
            open.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "connection ended");
    }
}

/// What is said to a connection for which there is no room.
fn no_room() -> String {
    let problem = Problem::new(&code::BUSY, "there are too many connections: come back in a moment".to_owned());
    // A problem of strings always serializes.
    let body = serde_json::to_string(&problem).unwrap_or_default();
    let (kind, length) = (Problem::MEDIA_TYPE, body.len());
    format!(
        "HTTP/1.1 429 Too Many Requests\r\ncontent-type: {kind}\r\nretry-after: 1\r\nconnection: close\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
}

/// Whether only the connection that was about to be taken is gone.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
