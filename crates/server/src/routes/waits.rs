//! What sessions wait for, and the signals that end it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use outlive_core::command::{Command, NewSignal, NewWait, Until, WaitCommand};
use outlive_core::event::{Awaited, Event, WaitOwner};
use outlive_core::id::{Seq, SessionId, WaitId};
use outlive_core::time::{Timestamp, milliseconds};
use outlive_protocol::session::Done;
use outlive_protocol::token::Scope;
use outlive_protocol::wait::{ArmWait, MoveWait, PostSignal, WaitArmed, WaitView};
use outlive_protocol::{Page, Problem, code};
use outlive_runtime::{WaitQuery, Waiting};
use serde::Deserialize;

use super::control::done;
use crate::App;
use crate::body::{Body, Caller, Path, Query, id, limit};
use crate::problem::{ApiError, ApiResult};

/// Which waits, or notices.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Only of this session.
    session: Option<String>,
    /// 1 to 200; 50 by default.
    limit: Option<usize>,
    /// From the page before.
    cursor: Option<String>,
}

impl Wanted {
    pub(super) async fn query(&self, app: &App) -> ApiResult<WaitQuery> {
        let session = self.session.as_deref().map(id::<SessionId>).transpose()?;
        if let Some(session) = session {
            // Nothing is said of a session that is not there, not even that it waits for nothing.
            app.runtime.head(session).await?;
        }
        let after = self.cursor.as_deref().map(read_cursor).transpose()?;
        Ok(WaitQuery { session, after, limit: limit(self.limit, 50, 200)?, ..WaitQuery::default() })
    }
}

/// What sessions wait for: the first to end first, last what no time ends.
#[utoipa::path(get, path = "/waits", tag = "waits", params(Wanted),
    responses((status = 200, body = Page<WaitView>), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn list(State(app): State<App>, Query(wanted): Query<Wanted>) -> ApiResult<Json<Page<WaitView>>> {
    let query = wanted.query(&app).await?;
    let limit = query.limit;
    let found = app.runtime.waits(query).await?;
    let next_cursor = found.last().filter(|_| found.len() == limit).map(|last| cursor(last.place));
    let view = |found: Waiting| WaitView::of(found.session.to_string(), found.wait);
    Ok(Json(Page { items: found.into_iter().map(view).collect(), next_cursor }))
}

/// Has a session wait: its agent is told when it is over.
#[utoipa::path(post, path = "/sessions/{id}/waits", tag = "waits", params(("id" = String, Path)), request_body = ArmWait,
    responses((status = 201, body = WaitArmed), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn arm(
    State(app): State<App>,
    Path(session): Path<String>,
    caller: Caller,
    Body(body): Body<ArmWait>,
) -> ApiResult<(StatusCode, Json<WaitArmed>)> {
    let request = caller.request(body.request_id.as_deref())?;
    let session = id(&session)?;
    let until = until(body.span.as_deref(), body.until)?;
    if body.signal.is_none() && body.fits.is_some() {
        return Err(ApiError::new(&code::WAIT_INVALID, "`match` is about a signal: name it with `signal`"));
    }
    let signal = body.signal.map(|name| Awaited { name, fits: body.fits });
    let new = NewWait { until, signal, overdue: body.overdue, reason: body.reason };
    let command = Command::Wait { what: WaitCommand::Arm(new), by: caller.by };
    let accepted = app.runtime.submit(session, command, request).await?;
    let wait_id = armed(&app, session, accepted.seq).await?;
    Ok((StatusCode::CREATED, Json(WaitArmed { wait_id, done: done(accepted) })))
}

/// Returns which wait this event armed; the same request again is answered by the same one.
async fn armed(app: &App, session: SessionId, seq: Seq) -> ApiResult<WaitId> {
    let lines = app.runtime.entries(session, seq.saturating_sub(1), 1).await?;
    match lines.first().and_then(|line| line.read().ok()).map(|entry| entry.event) {
        Some(Event::WaitArmed(armed)) => Ok(armed.wait),
        Some(_) | None => Err(ApiError::new(&code::INTERNAL, "the journal does not say which wait was armed")),
    }
}

/// Sends a signal: it ends the first wait that it fits, now or later, and is durable when this answers.
#[utoipa::path(post, path = "/sessions/{id}/signals", tag = "waits", params(("id" = String, Path)), request_body = PostSignal,
    responses((status = 202, body = Done), (status = 404, body = Problem), (status = 429, body = Problem)))]
pub(super) async fn signal(
    State(app): State<App>,
    Path(session): Path<String>,
    caller: Caller,
    Body(body): Body<PostSignal>,
) -> ApiResult<(StatusCode, Json<Done>)> {
    let request = caller.request(body.request_id.as_deref())?;
    let command = Command::Signal(NewSignal { name: body.name, payload: body.payload, origin: caller.by });
    let accepted = app.runtime.submit(id(&session)?, command, request).await?;
    Ok((StatusCode::ACCEPTED, Json(done(accepted))))
}

/// Ends a wait as if its time had come. A relay's takes a token that may approve.
#[utoipa::path(post, path = "/waits/{id}/fire", tag = "waits", params(("id" = String, Path)),
    responses((status = 200, body = Done), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn fire(State(app): State<App>, Path(wait): Path<String>, caller: Caller) -> ApiResult<Json<Done>> {
    end(&app, WaitCommand::Fire(id(&wait)?), caller, None).await
}

/// Lets a wait end at another time: a timer is due then, a signal given up. A relay's takes a token that may approve.
#[utoipa::path(post, path = "/waits/{id}/move", tag = "waits", params(("id" = String, Path)), request_body = MoveWait,
    responses((status = 200, body = Done), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn put_off(
    State(app): State<App>,
    Path(wait): Path<String>,
    caller: Caller,
    Body(body): Body<MoveWait>,
) -> ApiResult<Json<Done>> {
    let Some(until) = until(body.span.as_deref(), body.until)? else {
        return Err(ApiError::new(&code::WAIT_INVALID, "say until when: `for` or `until`"));
    };
    end(&app, WaitCommand::Move(id(&wait)?, until), caller, body.request_id.as_deref()).await
}

/// Ends a wait: the agent is not told, a relay's state goes where failures go, which takes a token that may approve. Where
/// something else came first, this says what.
#[utoipa::path(post, path = "/waits/{id}/cancel", tag = "waits", params(("id" = String, Path)),
    responses((status = 200, body = Done), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn cancel(State(app): State<App>, Path(wait): Path<String>, caller: Caller) -> ApiResult<Json<Done>> {
    end(&app, WaitCommand::Cancel(id(&wait)?), caller, None).await
}

async fn end(app: &App, what: WaitCommand, caller: Caller, request: Option<&str>) -> ApiResult<Json<Done>> {
    let request = caller.request(request)?;
    // A relay is steered by who may approve its commands, also by its waits.
    let may = |owner| match owner {
        WaitOwner::Relay => caller.needs(Scope::Approve),
        WaitOwner::Agent | WaitOwner::Person => Ok(()),
    };
    let (_, accepted) = app.runtime.end_wait(what, caller.by.clone(), request, may).await?;
    Ok(Json(done(accepted)))
}

fn until(span: Option<&str>, at: Option<Timestamp>) -> ApiResult<Option<Until>> {
    let wrong = |what: String| Err(ApiError::new(&code::WAIT_INVALID, what));
    match (span, at) {
        (Some(_), Some(_)) => wrong("give `for` or `until`, not both".to_owned()),
        (Some(span), None) => match milliseconds(span) {
            Some(ms) => Ok(Some(Until::In(ms))),
            None => wrong(format!("for: `{span}` is no time such as 90s, 10m, 2h or 14d")),
        },
        (None, at) => Ok(at.map(Until::At)),
    }
}

pub(super) fn cursor((at, wait): (Option<i64>, WaitId)) -> String {
    format!("{}.{wait}", at.map(|at| at.to_string()).unwrap_or_default())
}

fn read_cursor(text: &str) -> ApiResult<(Option<i64>, WaitId)> {
    let read = || {
        let (at, wait) = text.split_once('.')?;
        let at = if at.is_empty() { None } else { Some(at.parse().ok()?) };
        Some((at, wait.parse().ok()?))
    };
    read().ok_or_else(|| ApiError::new(&code::INVALID, "cursor is not one that this list gave out"))
}
