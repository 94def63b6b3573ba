//! Every error as a problem detail: a stable code, what happened, the way out; never an identity, a path or a stack.

use std::any::Any;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use outlive_core::session::Refusal;
use outlive_protocol::code::{self, Code};
use outlive_protocol::problem::Problem;
use outlive_runtime::StoreError;
use outlive_runtime::SubmitError;
use outlive_runtime::kit::KitError;

use crate::App;

/// An error on its way out.
#[derive(Debug)]
pub(crate) struct ApiError {
    problem: Box<Problem>,
    retry_after_s: Option<u64>,
}

pub(crate) type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    pub(crate) fn new(code: &Code, detail: impl Into<String>) -> Self {
        Self { problem: Box::new(Problem::new(code, detail.into())), retry_after_s: None }
    }

    /// Returns its stable code.
    pub(crate) fn code(&self) -> String {
        self.problem.code.to_string()
    }

    /// Returns what is told of it.
    pub(crate) fn into_problem(self) -> Problem {
        *self.problem
    }

    /// Returns what is wrong, for the log.
    pub(crate) fn why(&self) -> &str {
        &self.problem.detail
    }

    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    pub(crate) fn with(mut self, key: &str, value: serde_json::Value) -> Self {
        self.problem.more.insert(key.to_owned(), value);
        self
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response<Body> {
        let status = StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // A problem of strings always serializes.
        let body = serde_json::to_vec(&self.problem).unwrap_or_default();
        let mut response = (status, body).into_response();
        response.extensions_mut().insert(crate::audit::Problem(self.problem.code.to_string()));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(Problem::MEDIA_TYPE));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> Self {
        let detail = error.to_string();
        match error {
            SubmitError::Refused(refusal) => refused(&refusal, detail),
            SubmitError::Busy { retry_after_ms } => {
                Self::new(&code::BUSY, detail).retry_after(retry_after_ms.div_ceil(1_000))
            }
            SubmitError::Agent(error) => error.into(),
            SubmitError::Store(error) => error.into(),
            SubmitError::Stopped(_) => Self::new(&code::STOPPED, detail),
            SubmitError::Closing => Self::new(&code::CLOSING, detail).retry_after(2),
        }
    }
}

fn refused(refusal: &Refusal, detail: String) -> ApiError {
    let code = match refusal {
        Refusal::NoSession => &code::SESSION_NOT_FOUND,
        Refusal::Exists => &code::SESSION_EXISTS,
        Refusal::RequestReused(_) => &code::REQUEST_REUSED,
        Refusal::Invalid { code, .. } => code::ALL.iter().find(|known| known.name == *code).unwrap_or(&code::INVALID),
        Refusal::Archived => &code::SESSION_ARCHIVED,
        Refusal::TurnRunning => &code::TURN_RUNNING,
        Refusal::QueueFull => &code::QUEUE_FULL,
        Refusal::NoApproval(_) => &code::APPROVAL_NOT_FOUND,
        Refusal::AlreadyDecided(_) => &code::ALREADY_DECIDED,
        Refusal::NoQuestion(_) => &code::QUESTION_NOT_FOUND,
        Refusal::AlreadyAnswered(_) => &code::ALREADY_ANSWERED,
        Refusal::NoInput(_) => &code::INPUT_NOT_FOUND,
        Refusal::NoWait(_) => &code::WAIT_NOT_FOUND,
        Refusal::WaitEnded(_) => &code::WAIT_ENDED,
        Refusal::NoNotice(_) => &code::NOTICE_NOT_FOUND,
        Refusal::SignalsFull => &code::SIGNALS_FULL,
        Refusal::Stale => &code::CONFLICT,
    };
    let error = ApiError::new(code, detail);
    match refusal {
        // A decision of ids, words and times always serializes.
        Refusal::AlreadyDecided(past) => error.with("first", serde_json::to_value(past).unwrap_or_default()),
        Refusal::AlreadyAnswered(past) => error.with("first", serde_json::to_value(past).unwrap_or_default()),
        Refusal::WaitEnded(past) => error.with("first", serde_json::to_value(past).unwrap_or_default()),
        Refusal::NoSession
        | Refusal::NoWait(_)
        | Refusal::NoNotice(_)
        | Refusal::SignalsFull
        | Refusal::NoQuestion(_)
        | Refusal::Exists
        | Refusal::RequestReused(_)
        | Refusal::Invalid { .. }
        | Refusal::Archived
        | Refusal::TurnRunning
        | Refusal::QueueFull
        | Refusal::NoApproval(_)
        | Refusal::NoInput(_)
        | Refusal::Stale => error,
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let detail = error.to_string();
        match error {
            StoreError::NotFound(_) => Self::new(&code::SESSION_NOT_FOUND, detail),
            StoreError::Conflict { .. } => Self::new(&code::CONFLICT, detail).retry_after(1),
            StoreError::Fenced(_) => Self::new(&code::FENCED, detail).retry_after(5),
            StoreError::Refused { .. } => Self::new(&code::INVALID, detail),
            StoreError::NoSpace => Self::new(&code::NO_SPACE, detail).retry_after(30),
            // Why may hold a path: the log has it.
            StoreError::Poisoned(_) => {
                let what =
                    "storage is closed after a failed write; restart the server to read back what is on the disk";
                Self::new(&code::STORE_POISONED, what)
            }
            StoreError::Corrupt { .. } | StoreError::Damaged { .. } => Self::new(&code::JOURNAL_CORRUPT, detail),
            // The system's words may hold a path: they go to the log.
            StoreError::Io { .. } => {
                tracing::error!(%error, "storage failed");
                Self::new(&code::IO, "storage failed; the server's log says how")
            }
        }
    }
}

impl From<KitError> for ApiError {
    fn from(error: KitError) -> Self {
        let detail = error.to_string();
        match error {
            KitError::Unknown(_) => Self::new(&code::AGENT_NOT_FOUND, detail),
            KitError::Invalid { .. } | KitError::NoTurn => Self::new(&code::AGENT_INVALID, detail),
        }
    }
}

/// Takes known secrets out of a problem on its way out: an error may name what it was given.
pub(crate) async fn redacted(State(app): State<App>, response: Response<Body>) -> Response<Body> {
    let is_problem = |kind: &HeaderValue| kind.as_bytes() == Problem::MEDIA_TYPE.as_bytes();
    if !response.headers().get(header::CONTENT_TYPE).is_some_and(is_problem) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // It was made from one piece.
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let redactor = app.runtime.secrets().now();
    if !redactor.finds(&body) {
        return Response::from_parts(parts, body.into());
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    let mut problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    redactor.value(&mut problem);
    Response::from_parts(parts, problem.to_string().into())
}

/// Answers for a route that panicked.
pub(crate) fn panicked(_panic: Box<dyn Any + Send + 'static>) -> Response<Body> {
    ApiError::new(&code::INTERNAL, "the request broke something; the server goes on, its log says what").into_response()
}
