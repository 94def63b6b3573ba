//! What a session's model sees: condensing it, looking at checkpoints, choosing another.

use axum::Json;
use axum::extract::State;
use outlive_core::command::{Command, ContextCommand};
use outlive_core::compaction::{Summary, written};
use outlive_core::event::Sizes;
use outlive_core::id::SessionId;
use outlive_core::session::View;
use outlive_protocol::checkpoint::{ChangeCheckpoint, CheckpointRow, CheckpointView, Checkpoints, Compact, Compacting};
use outlive_protocol::session::Done;
use outlive_protocol::{Problem, code};
use outlive_runtime::checkpoints::Made;

use super::control::done;
use crate::App;
use crate::body::{Body, Caller, Path, id};
use crate::problem::{ApiError, ApiResult};

/// Makes a checkpoint now, beside whatever the session does; or shows what that would do.
#[utoipa::path(post, path = "/sessions/{id}/compact", tag = "checkpoints", params(("id" = String, Path)), request_body = Compact,
    responses((status = 200, body = Compacting), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn compact(
    State(app): State<App>,
    Path(session): Path<String>,
    caller: Caller,
    Body(body): Body<Compact>,
) -> ApiResult<Json<Compacting>> {
    let session = id(&session)?;
    let request = caller.request(body.request_id.as_deref())?;
    if body.preview {
        return Ok(Json(preview(&app, session, body).await?));
    }
    let what = ContextCommand::Compact { focus: body.focus, model: body.model, plan: None };
    let accepted = app.runtime.submit(session, Command::Context { what, by: caller.by }, request).await?;
    let Some(begun) = app.runtime.begun(session, accepted.seq).await? else {
        return Err(ApiError::new(&code::SESSION_NOT_FOUND, "what was begun is not in the session's history any more"));
    };
    let Sizes { before, covered, room } = begun.tokens;
    Ok(Json(Compacting {
        seq: Some(accepted.seq),
        covers: Some(begun.covers),
        model: begun.model,
        focus: begun.focus,
        tokens_before: before,
        tokens_after: before.saturating_sub(covered).saturating_add(room),
        summary: None,
    }))
}

/// Shows what it would do.
async fn preview(app: &App, session: SessionId, body: Compact) -> ApiResult<Compacting> {
    let preview = app.runtime.preview(session, body.model.as_deref()).await?;
    let covered = preview.plan.map_or(0, |plan| plan.tokens.covered);
    let added = preview.plan.map_or(0, |_| preview.summary.tokens());
    let summary = if body.all { app.runtime.gist(session).await? } else { preview.summary };
    Ok(Compacting {
        seq: None,
        covers: preview.plan.map(|plan| plan.covers),
        model: Some(preview.model),
        focus: body.focus,
        tokens_before: preview.tokens,
        tokens_after: preview.tokens.saturating_sub(covered).saturating_add(added),
        summary: Some(summary),
    })
}

/// Every checkpoint, oldest first.
#[utoipa::path(get, path = "/sessions/{id}/checkpoints", tag = "checkpoints", params(("id" = String, Path)),
    responses((status = 200, body = Checkpoints), (status = 404, body = Problem)))]
pub(super) async fn list(State(app): State<App>, Path(session): Path<String>) -> ApiResult<Json<Checkpoints>> {
    let (made, view) = app.runtime.checkpoints(id(&session)?).await?;
    let items = made.iter().map(|made| row(made, &view)).collect();
    Ok(Json(Checkpoints { items, tail_from: view.tail_from, compacting: view.under_way.is_some() }))
}

/// One checkpoint, with what it says.
#[utoipa::path(get, path = "/sessions/{id}/checkpoints/{checkpoint}", tag = "checkpoints",
    params(("id" = String, Path), ("checkpoint" = String, Path)),
    responses((status = 200, body = CheckpointView), (status = 404, body = Problem)))]
pub(super) async fn show(
    State(app): State<App>,
    Path((session, checkpoint)): Path<(String, String)>,
) -> ApiResult<Json<CheckpointView>> {
    let (made, view) = app.runtime.checkpoint(id(&session)?, id(&checkpoint)?).await?;
    let text = made.created.shown();
    Ok(Json(CheckpointView { row: row(&made, &view), summary: made.created.summary, text }))
}

/// Changes what the model sees; the history stays as it is.
#[utoipa::path(post, path = "/sessions/{id}/checkpoints", tag = "checkpoints", params(("id" = String, Path)),
    request_body = ChangeCheckpoint,
    responses((status = 200, body = Done), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 422, body = Problem)))]
pub(super) async fn change(
    State(app): State<App>,
    Path(session): Path<String>,
    caller: Caller,
    Body(body): Body<ChangeCheckpoint>,
) -> ApiResult<Json<Done>> {
    let request = caller.request(None)?;
    let what = match body {
        ChangeCheckpoint::Activate { checkpoint: None } => ContextCommand::Activate(None),
        ChangeCheckpoint::Activate { checkpoint: Some(checkpoint) } => ContextCommand::Activate(Some(id(&checkpoint)?)),
        ChangeCheckpoint::Edit { checkpoint, summary } => {
            ContextCommand::Edit { checkpoint: id(&checkpoint)?, summary: read(summary)? }
        }
        ChangeCheckpoint::Pin { item } => ContextCommand::Pin { item, pinned: true, summary: None },
        ChangeCheckpoint::Unpin { item } => ContextCommand::Pin { item, pinned: false, summary: None },
        ChangeCheckpoint::Seed { summary } => ContextCommand::Seed { summary: read(summary)? },
        ChangeCheckpoint::Clear => ContextCommand::Clear { summary: None },
        ChangeCheckpoint::Reset => ContextCommand::Reset,
        ChangeCheckpoint::Cancel => ContextCommand::Cancel,
    };
    let command = Command::Context { what, by: caller.by };
    Ok(Json(done(app.runtime.submit(id(&session)?, command, request).await?)))
}

fn read(summary: serde_json::Value) -> ApiResult<Summary> {
    written(summary).map_err(|why| ApiError::new(&code::CHECKPOINT_INVALID, why))
}

fn row(made: &Made, view: &View) -> CheckpointRow {
    let is_active = view.checkpoint == Some(made.created.checkpoint);
    CheckpointRow::of(&made.created, (made.seq, made.at), is_active)
}
