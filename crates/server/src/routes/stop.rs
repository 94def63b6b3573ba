//! The emergency stop.

use axum::Json;
use axum::extract::State;
use outlive_core::limits::REASON_BYTES;
use outlive_protocol::stop::{StopAll, StopView};
use outlive_protocol::{Problem, code};
use outlive_runtime::Stop;

use crate::App;
use crate::body::{Body, Caller};
use crate::problem::{ApiError, ApiResult};

fn view(stop: Option<Stop>) -> StopView {
    match stop {
        Some(Stop { at, by, reason }) => {
            StopView { stopped: true, at: Some(at), by: Some(by), reason, ending: Vec::new() }
        }
        None => StopView::default(),
    }
}

/// Says whether everything is stopped.
#[utoipa::path(get, path = "/stop", tag = "stop", responses((status = 200, body = StopView)))]
pub(super) async fn show(State(app): State<App>) -> Json<StopView> {
    Json(view(app.runtime.stopped()))
}

/// Ends every step, call and background task at once. Nothing starts until the stop is lifted, also not after a restart.
/// A second stop changes nothing.
#[utoipa::path(post, path = "/stop", tag = "stop", request_body = StopAll,
    responses((status = 200, body = StopView), (status = 422, body = Problem), (status = 507, body = Problem)))]
pub(super) async fn stop(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<StopAll>,
) -> ApiResult<Json<StopView>> {
    if body.reason.as_ref().is_some_and(|reason| reason.len() > REASON_BYTES) {
        return Err(ApiError::new(&code::REASON_TOO_LONG, format!("a reason has at most {REASON_BYTES} bytes")));
    }
    let stopped = app.runtime.stop_all(caller.by, body.reason).await?;
    Ok(Json(StopView { ending: stopped.ending, ..view(Some(stopped.stop)) }))
}

/// Lifts the stop. What was interrupted stays so: people say what goes on.
#[utoipa::path(delete, path = "/stop", tag = "stop",
    responses((status = 200, body = StopView), (status = 429, body = Problem)))]
pub(super) async fn lift(State(app): State<App>) -> ApiResult<Json<StopView>> {
    app.runtime.lift().await?;
    Ok(Json(view(app.runtime.stopped())))
}
