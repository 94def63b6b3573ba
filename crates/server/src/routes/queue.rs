//! Follow-ups that wait for the running turn.

use axum::Json;
use axum::extract::State;
use outlive_core::command::{Command, QueueItem};
use outlive_core::id::SessionId;
use outlive_protocol::Problem;
use outlive_protocol::queue::{PutQueue, QueueView, QueuedView};

use crate::App;
use crate::body::{Body, Caller, Path, id};
use crate::problem::ApiResult;

async fn view(app: &App, session: SessionId) -> ApiResult<Json<QueueView>> {
    let state = app.runtime.view(session).await?;
    let items = state.queue.items.iter().map(|queued| QueuedView {
        id: queued.input,
        content: queued.content.clone(),
        attachments: queued.attachments.clone(),
        origin: queued.origin.clone(),
        turn_id: queued.starts,
    });
    Ok(Json(QueueView { items: items.collect() }))
}

/// Follow-ups, oldest first.
#[utoipa::path(get, path = "/sessions/{id}/queue", tag = "queue", params(("id" = String, Path)),
    responses((status = 200, body = QueueView), (status = 404, body = Problem)))]
pub(super) async fn show(State(app): State<App>, Path(session): Path<String>) -> ApiResult<Json<QueueView>> {
    view(&app, id(&session)?).await
}

/// Replaces the queue: what is not named is removed, what has another text is edited, what has no id is new.
#[utoipa::path(put, path = "/sessions/{id}/queue", tag = "queue", params(("id" = String, Path)), request_body = PutQueue,
    responses((status = 200, body = QueueView), (status = 404, body = Problem), (status = 429, body = Problem)))]
pub(super) async fn replace(
    State(app): State<App>,
    Path(session): Path<String>,
    caller: Caller,
    Body(body): Body<PutQueue>,
) -> ApiResult<Json<QueueView>> {
    let session = id(&session)?;
    let request = caller.request(body.request_id.as_deref())?;
    let items = body.items.into_iter().map(|item| QueueItem { input: item.id, content: item.content }).collect();
    app.runtime.submit(session, Command::SetQueue { items, by: caller.by }, request).await?;
    view(&app, session).await
}
