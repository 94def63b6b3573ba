//! Loops: begin one, end it.

use axum::Json;
use axum::extract::State;
use outlive_core::command::{Command, LoopCommand, NewLoop};
use outlive_protocol::Problem;
use outlive_protocol::iteration::StartLoop;
use outlive_protocol::session::Done;

use super::control::done;
use crate::App;
use crate::body::{Body, Caller, Path, id};
use crate::problem::ApiResult;

/// Has the session work towards a goal, turn after turn with a fresh context each, until its checks pass.
#[utoipa::path(post, path = "/sessions/{id}/loop", tag = "control", params(("id" = String, Path)), request_body = StartLoop,
    responses((status = 200, body = Done), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 422, body = Problem)))]
pub(super) async fn start(
    State(app): State<App>,
    Path(session): Path<String>,
    caller: Caller,
    Body(body): Body<StartLoop>,
) -> ApiResult<Json<Done>> {
    let request = caller.request(body.request_id.as_deref())?;
    let new = NewLoop { goal: body.goal, checks: body.checks, limit: body.iterations };
    let command = Command::Loop { what: LoopCommand::Start(new), by: caller.by };
    Ok(Json(done(app.runtime.submit(id(&session)?, command, request).await?)))
}

/// Ends the loop, with the turn that runs.
#[utoipa::path(delete, path = "/sessions/{id}/loop", tag = "control", params(("id" = String, Path)),
    responses((status = 200, body = Done), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn abort(
    State(app): State<App>,
    Path(session): Path<String>,
    caller: Caller,
) -> ApiResult<Json<Done>> {
    let request = caller.request(None)?;
    let command = Command::Loop { what: LoopCommand::Abort, by: caller.by };
    Ok(Json(done(app.runtime.submit(id(&session)?, command, request).await?)))
}
