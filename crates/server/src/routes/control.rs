//! Interrupt, pause, resume.

use axum::Json;
use axum::extract::State;
use outlive_core::command::Command;
use outlive_core::event::Origin;
use outlive_protocol::Problem;
use outlive_protocol::session::{Control, Done};

use crate::App;
use crate::body::{Body, Caller, Path, id};
use crate::problem::ApiResult;

async fn submit(
    app: &App,
    session: &str,
    (caller, body): (Caller, Control),
    command: impl FnOnce(Origin, Option<String>) -> Command,
) -> ApiResult<Json<Done>> {
    let request = caller.request(body.request_id.as_deref())?;
    let accepted = app.runtime.submit(id(session)?, command(caller.by, body.reason), request).await?;
    Ok(Json(done(accepted)))
}

pub(super) fn done(accepted: outlive_runtime::Accepted) -> Done {
    Done { seq: accepted.seq, head: accepted.head, turn_id: accepted.turn, duplicate: accepted.duplicate }
}

/// Stops the running turn: its tools are ended within two seconds, what they said so far is kept, and so is the queue.
#[utoipa::path(post, path = "/sessions/{id}/interrupt", tag = "control", params(("id" = String, Path)), request_body = Control,
    responses((status = 200, body = Done), (status = 404, body = Problem)))]
pub(super) async fn interrupt(
    State(app): State<App>,
    Path(session): Path<String>,
    caller: Caller,
    Body(body): Body<Control>,
) -> ApiResult<Json<Done>> {
    submit(&app, &session, (caller, body), |by, _| Command::Interrupt { by }).await
}

/// Starts nothing new: what runs may end.
#[utoipa::path(post, path = "/sessions/{id}/pause", tag = "control", params(("id" = String, Path)), request_body = Control,
    responses((status = 200, body = Done), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn pause(
    State(app): State<App>,
    Path(session): Path<String>,
    caller: Caller,
    Body(body): Body<Control>,
) -> ApiResult<Json<Done>> {
    submit(&app, &session, (caller, body), |by, reason| Command::Pause { by, reason }).await
}

/// Goes on.
#[utoipa::path(post, path = "/sessions/{id}/resume", tag = "control", params(("id" = String, Path)), request_body = Control,
    responses((status = 200, body = Done), (status = 404, body = Problem)))]
pub(super) async fn resume(
    State(app): State<App>,
    Path(session): Path<String>,
    caller: Caller,
    Body(body): Body<Control>,
) -> ApiResult<Json<Done>> {
    submit(&app, &session, (caller, body), |by, _| Command::Resume { by }).await
}
