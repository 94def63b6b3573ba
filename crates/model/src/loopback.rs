//! A server on loopback that speaks every dialect over real HTTP with streaming, and refuses what the real APIs refuse: a
//! tool call without its result, roles out of order, empty texts, bad names, a missing key. The rehearsal answers, or
//! whatever a test plans.

mod check;
mod count;
mod gemini;
mod media;
mod ollama;
mod openrouter;
mod play;
mod responses;
mod schema;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use outlive_core::content::{Reply, Request};

/// What happens to a request.
#[derive(Debug, Clone)]
pub enum Plan {
    /// The rehearsal answers.
    Rehearse,
    /// This is answered.
    Reply(Reply),
    /// An error status, with a `Retry-After` in seconds.
    Status(u16, Option<u64>),
    /// The stream of this reply is cut after so many bytes.
    Cut(Reply, usize),
    /// These bytes are streamed as they are.
    Raw(Vec<u8>),
}

/// Which dialect was spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Anthropic Messages.
    Anthropic,
    /// OpenAI Chat Completions.
    OpenAi,
    /// Chat Completions as OpenRouter has them.
    OpenRouter,
    /// OpenAI Responses.
    Responses,
    /// Gemini.
    Gemini,
    /// Ollama.
    Ollama,
}

/// The key that the server accepts.
pub const KEY: &str = "sk-loopback";

/// The server. Stops when it is dropped.
#[derive(Clone)]
pub struct Loopback {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
    _stop: Arc<tokio::sync::watch::Sender<()>>,
}

/// A window, and how its owner counts.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Tokens that a request and its reply may have together.
    pub window: u64,
    /// Tokens that it counts for one of the rehearsal's.
    pub ratio: f64,
    /// Tokens that it adds to every request.
    pub fixed: u64,
}

impl Bounds {
    /// Returns the tokens that are counted for so many of the rehearsal's.
    fn counted(&self, tokens: u64) -> u64 {
        self.fixed + (tokens as f64 * self.ratio).round() as u64
    }

    /// Refuses a request that is too long, as each API does.
    fn refuse(&self, dialect: Dialect, request: &Request) -> Option<Response> {
        let (tokens, window) = (self.counted(crate::rehearsal::input_tokens(request)), self.window);
        let (kind, message) = match dialect {
            Dialect::Anthropic => {
                ("invalid_request_error", format!("prompt is too long: {tokens} tokens > {window} maximum"))
            }
            Dialect::OpenAi | Dialect::Responses => (
                "context_length_exceeded",
                format!(
                    "This model's maximum context length is {window} tokens. However, your messages resulted in {tokens} tokens."
                ),
            ),
            Dialect::OpenRouter => (
                "",
                format!(
                    "This endpoint's maximum context length is {window} tokens. However, you requested about {tokens} tokens."
                ),
            ),
            Dialect::Gemini => (
                "",
                format!("The input token count ({tokens}) exceeds the maximum number of tokens allowed ({window})."),
            ),
            Dialect::Ollama => {
                ("", format!("the request exceeds the available context size ({window} tokens), try increasing it"))
            }
        };
        (tokens > window).then(|| refuse(dialect, 400, kind, &message))
    }
}

#[derive(Default)]
struct Script {
    bounds: Option<Bounds>,
    plans: VecDeque<Plan>,
    bodies: Vec<Value>,
    wire: Vec<String>,
}

impl Loopback {
    /// Starts on a port; 0 picks a free one.
    ///
    /// # Errors
    ///
    /// The port is taken.
    pub async fn start(port: u16) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let script = Arc::<Mutex<Script>>::default();
        let (stop, mut stopped) = tokio::sync::watch::channel(());
        let router = Router::new()
            .route("/v1/messages", post(messages))
            .route("/v1/messages/count_tokens", post(count::messages))
            .route("/v1/chat/completions", post(completions))
            .route("/api/v1/chat/completions", post(routed))
            .route("/v1/responses", post(responses))
            .route("/v1/responses/input_tokens", post(count::responses))
            .route("/v1/models/{call}", post(contents))
            .route("/api/chat", post(chat))
            .route("/api/show", post(ollama::show))
            .route(
                "/api/tags",
                get(async || axum::Json(json!({"models": [{"name": "loopback", "model": "loopback"}]}))),
            )
            .route("/v1/models", get(models))
            .route("/api/v1/models", get(models))
            .with_state(Arc::clone(&script));
        let served = axum::serve(listener, router).with_graceful_shutdown(async move {
            stopped.changed().await.ok();
        });
        serve(async move {
            served.await.ok();
        });
        Ok(Self { address, script, _stop: Arc::new(stop) })
    }

    /// Returns where it listens, as a `base_url` of every dialect but OpenRouter's.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Returns where it listens as OpenRouter does.
    #[must_use]
    pub fn router_url(&self) -> String {
        format!("http://{}/api/v1", self.address)
    }

    /// Plans what happens to the next request that nothing is planned for.
    pub fn plan(&self, plan: Plan) {
        self.lock().plans.push_back(plan);
    }

    /// Refuses what is longer than this from now on, and counts as it says.
    pub fn bound(&self, bounds: Bounds) {
        self.lock().bounds = Some(bounds);
    }

    /// Returns the bodies that it was sent.
    #[must_use]
    pub fn bodies(&self) -> Vec<Value> {
        self.lock().bodies.clone()
    }

    /// Returns the bytes that it was sent.
    #[must_use]
    pub fn wire(&self) -> Vec<String> {
        self.lock().wire.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(clippy::disallowed_methods, reason = "a server for tests, that ends with its handle")]
fn serve(server: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(server);
}

/// Returns the bytes that a dialect streams for a reply.
#[must_use]
pub fn recording(dialect: Dialect, reply: &Reply) -> Vec<u8> {
    play::frames(dialect, reply).concat().into_bytes()
}

type Shared = State<Arc<Mutex<Script>>>;

async fn messages(state: Shared, headers: HeaderMap, body: Bytes) -> Response {
    let shown = headers.get("x-api-key").is_some_and(|key| key == KEY) || is_bearer(&headers);
    let versioned = headers.contains_key("anthropic-version");
    answer(state, Dialect::Anthropic, (shown, versioned), &body).await
}

async fn completions(state: Shared, headers: HeaderMap, body: Bytes) -> Response {
    answer(state, Dialect::OpenAi, (is_bearer(&headers), true), &body).await
}

async fn routed(state: Shared, headers: HeaderMap, body: Bytes) -> Response {
    answer(state, Dialect::OpenRouter, (is_bearer(&headers), true), &body).await
}

async fn responses(state: Shared, headers: HeaderMap, body: Bytes) -> Response {
    answer(state, Dialect::Responses, (is_bearer(&headers), true), &body).await
}

async fn contents(
    state: Shared,
    Path(call): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if call.ends_with(":countTokens") {
        return count::contents(&call, &headers, &body);
    }
    if !call.ends_with(":streamGenerateContent") || query.as_deref() != Some("alt=sse") {
        return refuse(Dialect::Gemini, 404, "NOT_FOUND", "this server only streams, as events");
    }
    let shown = headers.get("x-goog-api-key").is_some_and(|key| key == KEY);
    answer(state, Dialect::Gemini, (shown, true), &body).await
}

/// Ollama asks for no key on the own machine; one that is shown must be right.
async fn chat(state: Shared, headers: HeaderMap, body: Bytes) -> Response {
    let shown = !headers.contains_key(header::AUTHORIZATION) || is_bearer(&headers);
    answer(state, Dialect::Ollama, (shown, true), &body).await
}

/// The list of every dialect that has it here.
async fn models(headers: HeaderMap) -> Response {
    let keyed = |name: &str| headers.get(name).is_some_and(|key| key == KEY);
    if !(is_bearer(&headers) || keyed("x-api-key") || keyed("x-goog-api-key")) {
        return refuse(Dialect::OpenAi, 401, WRONG_KEY, "invalid API key");
    }
    let of = |name: &str, method: &str| json!({"name": name, "supportedGenerationMethods": [method]});
    let models = [of("models/loopback", "generateContent"), of("models/other", "embedContent")];
    axum::Json(json!({"data": [{"id": "loopback"}], "models": models})).into_response()
}

fn is_bearer(headers: &HeaderMap) -> bool {
    headers.get(header::AUTHORIZATION).is_some_and(|key| key == &format!("Bearer {KEY}"))
}

async fn answer(State(script): Shared, dialect: Dialect, (shown, versioned): (bool, bool), bytes: &[u8]) -> Response {
    if !shown {
        // Gemini says so only in the details.
        let status = if dialect == Dialect::Gemini { 400 } else { 401 };
        return refuse(dialect, status, WRONG_KEY, "invalid API key");
    }
    let Ok(body) = serde_json::from_slice::<Value>(bytes) else {
        return refuse(dialect, 400, "invalid_request_error", "the body is not JSON");
    };
    let read = check::read(dialect, &body);
    let request: Request = match read {
        Ok(_) if !versioned => {
            return refuse(dialect, 400, "invalid_request_error", "anthropic-version: header is required");
        }
        Ok(request) => request,
        Err(why) => return refuse(dialect, 400, "invalid_request_error", &why),
    };
    let (plan, bounds) = {
        let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
        script.bodies.push(body);
        script.wire.push(String::from_utf8_lossy(bytes).into_owned());
        (script.plans.pop_front().unwrap_or(Plan::Rehearse), script.bounds)
    };
    if let Some(refused) = bounds.and_then(|bounds| bounds.refuse(dialect, &request)) {
        return refused;
    }
    match plan {
        Plan::Rehearse => play::rehearse(dialect, request, bounds),
        Plan::Reply(reply) => play::stream(dialect, play::frames(dialect, &reply)),
        Plan::Status(status, retry_after) => {
            let mut response = refuse(dialect, status, "api_error", "planned");
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            response
        }
        Plan::Cut(reply, at) => {
            let mut bytes = recording(dialect, &reply);
            bytes.truncate(at);
            play::raw(dialect, bytes)
        }
        Plan::Raw(bytes) => play::raw(dialect, bytes),
    }
}

/// What is wrong with a key.
const WRONG_KEY: &str = "authentication_error";

fn refuse(dialect: Dialect, status: u16, kind: &str, message: &str) -> Response {
    let error = json!({"type": kind, "message": message});
    let body = match dialect {
        Dialect::Anthropic => json!({"type": "error", "error": error}),
        Dialect::OpenAi | Dialect::Responses => json!({"error": error}),
        Dialect::OpenRouter => json!({"error": {"code": status, "message": message}}),
        Dialect::Ollama => json!({"error": message}),
        Dialect::Gemini => {
            let reason = if kind == WRONG_KEY { "API_KEY_INVALID" } else { "" };
            let details = json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}]);
            json!({"error": {"code": status, "message": message, "status": "INVALID_ARGUMENT", "details": details}})
        }
    };
    (StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), axum::Json(body)).into_response()
}
