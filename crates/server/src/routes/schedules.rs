//! Schedules: made, shown, changed, paused, run, removed.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use outlive_core::digest::Digest;
use outlive_core::id::{RequestId, RunId, ScheduleId, Seq};
use outlive_core::schedule::{Plan, Schedule, ScheduleCommand};
use outlive_protocol::event::Events;
use outlive_protocol::schedule::{AsideView, PauseSchedule, PostSchedule, ScheduleView, Schedules};
use outlive_protocol::{BASE, Problem, code};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::App;
use crate::body::{Body, Caller, Path, Query, id, limit};
use crate::keyed::{asked, once};
use crate::problem::{ApiError, ApiResult};

/// Which part of the list.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Range {
    /// 1 to 1000; 100 when absent.
    limit: Option<usize>,
    /// From the page before.
    cursor: Option<String>,
}

/// Which part of a journal.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Part {
    /// Behind this event; from the first one when absent.
    after: Option<Seq>,
    /// 1 to 1000; 100 when absent.
    limit: Option<usize>,
}

fn plan(body: &PostSchedule) -> ApiResult<Plan> {
    body.plan().map_err(|why| ApiError::new(&code::SCHEDULE_INVALID, why))
}

fn whole(app: &App, schedule: &Schedule) -> ScheduleView {
    ScheduleView::whole(schedule, schedule.next(app.runtime.zones()))
}

/// Bits that are the same for the same request, if it has a name.
fn bits(app: &App, of: &str, key: Option<&RequestId>) -> u128 {
    let named = |key: &RequestId| Digest::of(format!("{of} {key}").as_bytes()).bits();
    key.map_or_else(|| app.runtime.moments().moment().ids.fresh(), named)
}

/// All schedules, in the order of their ids.
#[utoipa::path(get, path = "/schedules", tag = "schedules", params(Range),
    responses((status = 200, body = Schedules), (status = 422, body = Problem)))]
pub(super) async fn list(State(app): State<App>, Query(range): Query<Range>) -> ApiResult<Json<Schedules>> {
    let limit = limit(range.limit, 100, 1_000)?;
    let after = range.cursor.as_deref().map(id::<ScheduleId>).transpose()?;
    let known = app.runtime.schedules().await?;
    let mut rest = known.schedules.iter().filter(|schedule| after.is_none_or(|after| schedule.id > after)).peekable();
    let items: Vec<ScheduleView> = rest
        .by_ref()
        .take(limit)
        .map(|schedule| ScheduleView::brief(schedule, schedule.next(app.runtime.zones())))
        .collect();
    let next_cursor = rest.peek().and(items.last()).map(|last| last.id.to_string());
    let aside = known.aside.into_iter().map(|(id, why)| AsideView { id, why }).collect();
    Ok(Json(Schedules { items, next_cursor, aside }))
}

/// Has something said at times: in a session, or each time in a fresh session of an agent.
#[utoipa::path(post, path = "/schedules", tag = "schedules", request_body = PostSchedule,
    responses((status = 201, body = ScheduleView), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 422, body = Problem)))]
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<PostSchedule>,
) -> ApiResult<Response> {
    let (request, plan) = (caller.request(None)?, plan(&body)?);
    let schedule = ScheduleId::from_bits(bits(&app, "schedule", request.as_ref()));
    // Texts and numbers always serialize.
    let text = serde_json::to_vec(&body).unwrap_or_default();
    once(app, asked(request, "POST /schedules".to_owned(), "", &text), |app| async move {
        let made = app.runtime.create_schedule(schedule, plan, caller.by).await?;
        let location = [(header::LOCATION, format!("{BASE}/schedules/{schedule}"))];
        Ok((StatusCode::CREATED, location, Json(whole(&app, &made))).into_response())
    })
    .await
}

/// One schedule.
#[utoipa::path(get, path = "/schedules/{id}", tag = "schedules", params(("id" = String, Path)),
    responses((status = 200, body = ScheduleView), (status = 404, body = Problem)))]
pub(super) async fn show(State(app): State<App>, Path(schedule): Path<String>) -> ApiResult<Json<ScheduleView>> {
    let schedule = app.runtime.schedule(id(&schedule)?).await?;
    Ok(Json(whole(&app, &schedule)))
}

async fn ask(app: &App, schedule: &str, command: ScheduleCommand, caller: Caller) -> ApiResult<Json<ScheduleView>> {
    let after = app.runtime.ask_schedule(id(schedule)?, command, caller.by).await?;
    Ok(Json(whole(app, &after)))
}

/// Lets a schedule be another. Runs that are not over keep what they were to say.
#[utoipa::path(put, path = "/schedules/{id}", tag = "schedules", params(("id" = String, Path)), request_body = PostSchedule,
    responses((status = 200, body = ScheduleView), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn change(
    State(app): State<App>,
    Path(schedule): Path<String>,
    caller: Caller,
    Body(body): Body<PostSchedule>,
) -> ApiResult<Json<ScheduleView>> {
    ask(&app, &schedule, ScheduleCommand::Update(Box::new(plan(&body)?)), caller).await
}

/// Lets nothing be due until it is resumed. What is under way goes on.
#[utoipa::path(post, path = "/schedules/{id}/pause", tag = "schedules", params(("id" = String, Path)),
    request_body = PauseSchedule,
    responses((status = 200, body = ScheduleView), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn pause(
    State(app): State<App>,
    Path(schedule): Path<String>,
    caller: Caller,
    Body(body): Body<PauseSchedule>,
) -> ApiResult<Json<ScheduleView>> {
    ask(&app, &schedule, ScheduleCommand::Pause { reason: body.reason }, caller).await
}

/// Lets it go on. What was due meanwhile is not made up for.
#[utoipa::path(post, path = "/schedules/{id}/resume", tag = "schedules", params(("id" = String, Path)),
    responses((status = 200, body = ScheduleView), (status = 404, body = Problem)))]
pub(super) async fn resume(
    State(app): State<App>,
    Path(schedule): Path<String>,
    caller: Caller,
) -> ApiResult<Json<ScheduleView>> {
    ask(&app, &schedule, ScheduleCommand::Resume, caller).await
}

/// Has it run now, also while it is paused. With an `Idempotency-Key` the same request is one run.
#[utoipa::path(post, path = "/schedules/{id}/run", tag = "schedules", params(("id" = String, Path)),
    responses((status = 202, body = ScheduleView), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn run(
    State(app): State<App>,
    Path(schedule): Path<String>,
    caller: Caller,
) -> ApiResult<(StatusCode, Json<ScheduleView>)> {
    let run = RunId::from_bits(bits(&app, &format!("run {schedule}"), caller.request(None)?.as_ref()));
    Ok((StatusCode::ACCEPTED, ask(&app, &schedule, ScheduleCommand::Run(run), caller).await?))
}

/// Removes a schedule with its history. What is under way goes on in its session.
#[utoipa::path(delete, path = "/schedules/{id}", tag = "schedules", params(("id" = String, Path)),
    responses((status = 204, description = "It is gone"), (status = 404, body = Problem)))]
pub(super) async fn remove(
    State(app): State<App>,
    Path(schedule): Path<String>,
    caller: Caller,
) -> ApiResult<Response> {
    let (schedule, asked) =
        (id(&schedule)?, asked(caller.request(None)?, format!("DELETE /schedules/{schedule}"), "", b""));
    once(app, asked, |app| async move {
        app.runtime.ask_schedule(schedule, ScheduleCommand::Remove, caller.by).await?;
        Ok(StatusCode::NO_CONTENT.into_response())
    })
    .await
}

/// A schedule's journal: all its runs.
#[utoipa::path(get, path = "/schedules/{id}/events", tag = "schedules", params(("id" = String, Path), Part),
    responses((status = 200, body = Events), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn events(
    State(app): State<App>,
    Path(schedule): Path<String>,
    Query(part): Query<Part>,
) -> ApiResult<Json<Events>> {
    let (schedule, limit) = (id(&schedule)?, limit(part.limit, 100, 1_000)?);
    let head = app.runtime.schedule(schedule).await?.head;
    let lines = app.runtime.schedule_lines(schedule, part.after.unwrap_or(0), limit).await?;
    let raw = |line: &outlive_core::event::Line| RawValue::from_string(line.as_str().to_owned());
    let items = lines.iter().map(raw).collect::<Result<_, _>>();
    let items = items.map_err(|error| ApiError::new(&code::INTERNAL, error.to_string()))?;
    Ok(Json(Events { items, head }))
}
