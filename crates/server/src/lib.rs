//! HTTP, SSE and OpenAPI over the runtime; no decisions.
//!
//! | Where | What |
//! |---|---|
//! | [`serve`] | listens until told to stop |
//! | `guard` | who may come in: Host, Origin, Sec-Fetch-Site, Content-Type, token, in this order |
//! | `routes` | a file per resource: translate, submit, answer |
//! | `body` | reads bodies and ids, strictly |
//! | `large` | archives as bodies, one large one at a time |
//! | `keyed` | deeds that belong to no one session, done once under a key |
//! | `problem` | every error as a problem detail |
//!
//! Absent on purpose: no route decides anything about a session, none writes but through `Runtime::submit`.

mod body;
mod door;
mod guard;
mod keyed;
mod large;
mod problem;
mod routes;

pub use routes::openapi;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use outlive_runtime::Runtime;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How a server behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What clients must show. Never printed.
    pub token: Token,
    /// Names besides the loopback ones that the Host header may carry.
    pub hosts: Vec<String>,
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// Time for a request's body to arrive.
    pub body_time: Duration,
    /// Pause between two signs of life that a WebSocket's client is asked for; without one it is taken for dead.
    pub ping: Duration,
}

impl Settings {
    /// Limits for a server on loopback.
    #[must_use]
    pub fn new(token: Token) -> Self {
        Self {
            token,
            hosts: Vec::new(),
            body_bytes: 2 << 20,
            body_time: Duration::from_secs(30),
            ping: Duration::from_secs(20),
        }
    }
}

/// The API token. Does not print itself.
#[derive(Clone)]
pub struct Token(Arc<str>);

impl Token {
    /// Takes a token.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Compares without telling by its time where the first difference is.
    fn is(&self, shown: &[u8]) -> bool {
        use subtle::ConstantTimeEq as _;
        self.0.as_bytes().ct_eq(shown).into()
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// What every route sees.
#[derive(Clone)]
pub(crate) struct App {
    runtime: Arc<Runtime>,
    settings: Arc<Settings>,
    /// Open WebSockets: they outlive the requests that they began with.
    sockets: TaskTracker,
    names: keyed::Names,
    room: large::Room,
}

impl App {
    fn new(runtime: Arc<Runtime>, settings: Settings) -> Self {
        let (settings, sockets) = (Arc::new(settings), TaskTracker::new());
        Self { runtime, settings, sockets, names: keyed::Names::default(), room: large::Room::default() }
    }
}

/// Returns the whole API over a runtime.
pub fn router(runtime: Arc<Runtime>, settings: Settings) -> Router {
    over(App::new(runtime, settings))
}

fn over(app: App) -> Router {
    let limit = app.settings.body_bytes;
    routes::all()
        .fallback(routes::not_found)
        .method_not_allowed_fallback(routes::method_not_allowed)
        .layer(axum::middleware::from_fn_with_state(app.clone(), guard::check))
        .layer(axum::middleware::map_response_with_state(app.clone(), problem::redacted))
        .layer(DefaultBodyLimit::max(limit))
        .layer(tower_http::catch_panic::CatchPanicLayer::custom(problem::panicked))
        .with_state(app)
}

/// Serves until `stop` is cancelled; requests under way then have a moment to end.
///
/// # Errors
///
/// What the listener says.
pub async fn serve(
    listener: TcpListener,
    runtime: Arc<Runtime>,
    settings: Settings,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let app = App::new(runtime, settings);
    door::serve(listener, over(app.clone()), stop).await?;
    app.sockets.close();
    app.sockets.wait().await;
    Ok(())
}
