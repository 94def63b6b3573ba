//! What people are told outside of any client: who, and what has not arrived.

use axum::Json;
use axum::extract::State;
use outlive_core::command::NoticeCommand;
use outlive_protocol::notice::{NoticeView, TargetView, Tried};
use outlive_protocol::session::Done;
use outlive_protocol::{Page, Problem, code};
use outlive_runtime::Outgoing;

use super::control::done;
use super::waits::{Wanted, cursor};
use crate::App;
use crate::body::{Caller, Path, Query, id};
use crate::problem::{ApiError, ApiResult};

/// Notices that nobody has yet: the next to be tried first, last those that are given up.
#[utoipa::path(get, path = "/notices", tag = "notices", params(Wanted),
    responses((status = 200, body = Page<NoticeView>), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn list(State(app): State<App>, Query(wanted): Query<Wanted>) -> ApiResult<Json<Page<NoticeView>>> {
    let query = wanted.query(&app).await?;
    let limit = query.limit;
    let found = app.runtime.outgoing(query).await?;
    let next_cursor = found.last().filter(|_| found.len() == limit).map(|last| cursor(last.place));
    let view = |found: Outgoing| NoticeView::of(found.session.to_string(), found.notice);
    Ok(Json(Page { items: found.into_iter().map(view).collect(), next_cursor }))
}

/// Tries a notice once more, from now on as if it were new.
#[utoipa::path(post, path = "/notices/{id}/retry", tag = "notices", params(("id" = String, Path)),
    responses((status = 200, body = Done), (status = 404, body = Problem)))]
pub(super) async fn retry(State(app): State<App>, Path(notice): Path<String>, caller: Caller) -> ApiResult<Json<Done>> {
    decide(&app, NoticeCommand::Retry(id(&notice)?), caller).await
}

/// Tells nobody of it.
#[utoipa::path(post, path = "/notices/{id}/drop", tag = "notices", params(("id" = String, Path)),
    responses((status = 200, body = Done), (status = 404, body = Problem)))]
pub(super) async fn discard(
    State(app): State<App>,
    Path(notice): Path<String>,
    caller: Caller,
) -> ApiResult<Json<Done>> {
    decide(&app, NoticeCommand::Drop(id(&notice)?), caller).await
}

async fn decide(app: &App, what: NoticeCommand, caller: Caller) -> ApiResult<Json<Done>> {
    let request = caller.request(None)?;
    Ok(Json(done(app.runtime.decide_notice(what, caller.by, request).await?)))
}

/// Who is told of what, as the configuration says.
#[utoipa::path(get, path = "/targets", tag = "notices", responses((status = 200, body = Page<TargetView>)))]
pub(super) async fn targets(State(app): State<App>) -> Json<Page<TargetView>> {
    Json(Page { items: app.runtime.targets().iter().map(TargetView::of).collect(), next_cursor: None })
}

/// Tells one of them, now, that nothing has happened: whether it arrives is the answer.
#[utoipa::path(post, path = "/targets/{name}/test", tag = "notices", params(("name" = String, Path)),
    responses((status = 200, body = Tried), (status = 404, body = Problem)))]
pub(super) async fn test(State(app): State<App>, Path(name): Path<String>) -> ApiResult<Json<Tried>> {
    let unknown = || ApiError::new(&code::TARGET_NOT_FOUND, format!("`notify` in outlive.yaml names no `{name}`"));
    let tried = app.runtime.try_target(&name).await?.ok_or_else(unknown)?;
    Ok(Json(Tried { delivered: tried.is_ok(), error: tried.err().map(|undelivered| undelivered.why) }))
}
