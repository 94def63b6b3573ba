//! What the next request of a session would be.

use axum::Json;
use axum::extract::State;
use outlive_protocol::Problem;
use outlive_protocol::context::ContextView;
use serde::Deserialize;

use crate::App;
use crate::body::{Path, Query, id};
use crate::problem::ApiResult;

/// What is about to be said.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Saying {
    message: Option<String>,
}

/// The exact next request and its tokens by part, as if this message were sent now. Nothing is sent or written.
#[utoipa::path(get, path = "/sessions/{id}/context", tag = "sessions",
    params(("id" = String, Path), ("message" = Option<String>, Query, description = "What is about to be said.")),
    responses((status = 200, body = ContextView), (status = 404, body = Problem)))]
pub(super) async fn show(
    State(app): State<App>,
    Path(session): Path<String>,
    Query(saying): Query<Saying>,
) -> ApiResult<Json<ContextView>> {
    let (model, preview) = app.runtime.context(id(&session)?, saying.message.as_deref()).await?;
    Ok(Json(ContextView::of(model, &preview)))
}
