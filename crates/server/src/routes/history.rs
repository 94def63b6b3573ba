//! Moving through history: fork, rewind.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use outlive_protocol::session::{Done, ForkSession, RewindSession, SessionView};
use outlive_protocol::{BASE, Problem};
use outlive_runtime::NewFork;

use super::control::done;
use super::sessions::{new_id, view};
use crate::App;
use crate::body::{Body, Caller, Path, id};
use crate::problem::ApiResult;

/// Makes a session that begins as this one did. What this one has under way stays with it.
#[utoipa::path(post, path = "/sessions/{id}/fork", tag = "history", params(("id" = String, Path)), request_body = ForkSession,
    responses((status = 201, body = SessionView), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn fork(
    State(app): State<App>,
    Path(parent): Path<String>,
    caller: Caller,
    Body(body): Body<ForkSession>,
) -> ApiResult<impl IntoResponse> {
    let request = caller.request(body.request_id.as_deref())?;
    let session = new_id(&app, &format!("fork {parent}"), request.as_ref());
    let fork = NewFork { session, of: (id(&parent)?, body.at_seq), title: body.title, by: caller.by };
    app.runtime.fork(fork, request).await?;
    let location = format!("{BASE}/sessions/{session}");
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(view(&app, session).await?)))
}

/// Goes on from an earlier event: what came after it stays in the journal, set aside.
#[utoipa::path(post, path = "/sessions/{id}/rewind", tag = "history", params(("id" = String, Path)),
    request_body = RewindSession,
    responses((status = 200, body = Done), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 422, body = Problem)))]
pub(super) async fn rewind(
    State(app): State<App>,
    Path(session): Path<String>,
    caller: Caller,
    Body(body): Body<RewindSession>,
) -> ApiResult<Json<Done>> {
    let request = caller.request(body.request_id.as_deref())?;
    let accepted = app.runtime.rewind(id(&session)?, body.to_seq, (caller.by, request)).await?;
    Ok(Json(done(accepted)))
}
