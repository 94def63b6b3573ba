//! Takes connections and serves them until told to stop.
//!
//! Invariant: a connection that says nothing, or half of something, is closed: it holds a descriptor for a while, not for
//! ever.

use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Time for the head of a request, from the end of the one before it.
const HEAD: Duration = Duration::from_secs(60);
/// Pause where no connection can be taken now: there are too many.
const FULL: Duration = Duration::from_millis(200);

/// Serves until `stop` is cancelled; requests under way then have a moment to end.
pub(crate) async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) -> io::Result<()> {
    let tasks = TaskTracker::new();
    loop {
        let taken = tokio::select! {
            taken = listener.accept() => taken,
            () = stop.cancelled() => break,
        };
        match taken {
            Ok((stream, _)) => {
                // Fragments are small, and each is waited for. A socket that does not know how is only slower.
                stream.set_nodelay(true).ok();
                tasks.spawn(connection(stream, router.clone(), stop.clone()));
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be taken now");
                tokio::time::sleep(FULL).await;
            }
        }
    }
    drop(listener);
    tasks.close();
    tasks.wait().await;
    Ok(())
}

/// Serves one connection; told to stop, it ends with the request under way.
async fn connection(stream: TcpStream, router: Router, stop: CancellationToken) {
    let open = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .with_upgrades();
    let mut open = pin!(open);
    let served = tokio::select! {
        served = open.as_mut() => served,
        () = stop.cancelled() => {
            open.as_mut().graceful_shutdown();
            open.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "connection ended");
    }
}

/// Whether only the connection that was about to be taken is gone.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
