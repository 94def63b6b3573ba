//! HTTP, SSE and OpenAPI over the runtime; no decisions.
//!
//! | Where | What |
//! |---|---|
//! | [`serve`] | listens until told to stop |
//! | `door` | connections: how many, in TLS or not, and how slow they may be |
//! | `guard` | who may come in: Host, Origin, Sec-Fetch-Site, Content-Type, token, scope, in this order |
//! | `tokens` | whose token is whose, and what each is for |
//! | `scopes` | what each route needs of a token |
//! | `rate` | how much one caller may ask |
//! | `peer` | from where a request comes |
//! | `seats`, `patient`, `tls` | how many connections, how slow ones, how encrypted ones |
//! | `audit` | who did what, entered into the audit log |
//! | `routes` | a file per resource: translate, submit, answer |
//! | `body` | reads bodies and ids, strictly |
//! | `large` | archives as bodies, one large one at a time |
//! | `keyed` | deeds that belong to no one session, done once under a key |
//! | `problem` | every error as a problem detail |
//!
//! Absent on purpose: no route decides anything about a session, none writes but through `Runtime::submit`.

mod audit;
mod body;
mod door;
mod guard;
mod keyed;
mod large;
mod patient;
mod peer;
mod problem;
mod rate;
mod routes;
mod scopes;
mod seats;
mod tls;
mod tokens;

pub use audit::Trail;
pub use door::Entrance;
pub use peer::Address;
pub use rate::Rate;
pub use routes::openapi;
pub use tls::Tls;
pub use tokens::{Identity, Keep, OWNER, PREFIX, Token, Tokens};

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use outlive_core::secret::Secret;
use outlive_core::webhook::Webhook;
use outlive_runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How a server behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What clients must show, one of them. Never printed.
    pub tokens: Tokens,
    /// Where it is entered what is asked.
    pub audit: Trail,
    /// Webhooks that are taken, each with its secret, where that is there.
    pub webhooks: Webhooks,
    /// Names besides the loopback ones that the Host header may carry.
    pub hosts: Vec<String>,
    /// Addresses of proxies whose word on where a request comes from is taken.
    pub proxies: Vec<IpAddr>,
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// Time for a request's body to arrive.
    pub body_time: Duration,
    /// Pause between two signs of life that a WebSocket's client is asked for; without one it is taken for dead.
    pub ping: Duration,
    /// How much of everything else.
    pub limits: Limits,
}

/// Webhooks by their names, each with its secret, where that is there.
pub type Webhooks = std::collections::BTreeMap<String, (Webhook, Option<Secret>)>;

/// How much one caller, and all together, may take.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Connections at the same time.
    pub connections: usize,
    /// Of these, from one address. This machine is not held to it.
    pub connections_per_address: usize,
    /// Headers of a request.
    pub headers: usize,
    /// Bytes of a request's address and headers.
    pub head_bytes: usize,
    /// Requests with one token. The workspace's own on this machine is not held to it.
    pub of_token: Rate,
    /// Requests from one address. This machine is not held to it.
    pub of_address: Rate,
    /// Wrong tokens from one address.
    pub failures: Rate,
    /// How long an event stream or a WebSocket lasts; its client comes back and goes on where it was.
    pub stream: Duration,
    /// How long a client may take nothing of what it is sent.
    pub take: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4_096,
            connections_per_address: 256,
            headers: 64,
            head_bytes: 32 << 10,
            of_token: Rate { per_s: 100.0, burst: 500.0 },
            of_address: Rate { per_s: 200.0, burst: 1_000.0 },
            failures: Rate { per_s: 1.0, burst: 60.0 },
            stream: Duration::from_secs(24 * 3_600),
            take: Duration::from_secs(60),
        }
    }
}

impl Settings {
    /// What suits a server on loopback.
    #[must_use]
    pub fn new(tokens: impl Into<Tokens>) -> Self {
        Self {
            tokens: tokens.into(),
            audit: Trail::default(),
            webhooks: Webhooks::default(),
            hosts: Vec::new(),
            proxies: Vec::new(),
            body_bytes: 2 << 20,
            body_time: Duration::from_secs(30),
            ping: Duration::from_secs(20),
            limits: Limits::default(),
        }
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
    rates: rate::Rates,
}

impl App {
    fn new(runtime: Arc<Runtime>, settings: Settings) -> Self {
        let (settings, sockets) = (Arc::new(settings), TaskTracker::new());
        let rates = rate::Rates::new(&settings.limits);
        Self { runtime, settings, sockets, names: keyed::Names::default(), room: large::Room::default(), rates }
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
        .layer(axum::middleware::from_fn_with_state(app.clone(), audit::follow))
        .layer(axum::middleware::from_fn_with_state(app.clone(), guard::check))
        .layer(axum::middleware::map_response_with_state(app.clone(), problem::redacted))
        .layer(DefaultBodyLimit::max(limit))
        .layer(tower_http::catch_panic::CatchPanicLayer::custom(problem::panicked))
        .with_state(app)
}

/// Serves until `stop` is cancelled; requests under way then have a moment to end.
pub async fn serve(entrances: Vec<Entrance>, runtime: Arc<Runtime>, settings: Settings, stop: CancellationToken) {
    let app = App::new(runtime, settings);
    door::serve(entrances, over(app.clone()), &app.settings, stop).await;
    app.sockets.close();
    app.sockets.wait().await;
}
