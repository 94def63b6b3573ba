//! Changes to what is remembered.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use outlive_core::memory::forget::Extent;
use outlive_protocol::noting::{AddMemory, EditMemory, Edited, ForgottenView, LeftView, Noted, Reflect, Reflected};
use outlive_protocol::{Problem, code};
use outlive_runtime::{Left, Whose};
use serde::Deserialize;

use crate::App;
use crate::body::{Body, Caller, Path, Query, id};
use crate::problem::{ApiError, ApiResult};

fn whose(agent: Option<&String>, session: Option<&String>) -> ApiResult<Whose> {
    match (agent, session) {
        (None, Some(session)) => Ok(Whose::Session(id(session)?)),
        (Some(agent), None) => Ok(Whose::Agent(id(agent)?)),
        (Some(_), Some(_)) | (None, None) => {
            Err(ApiError::new(&code::INVALID, "name `agent` or `session`: one of them"))
        }
    }
}

/// Has something remembered.
#[utoipa::path(post, path = "/memory", tag = "memory", request_body = AddMemory,
    responses((status = 201, body = Noted), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 422, body = Problem)))]
pub(super) async fn add(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<AddMemory>,
) -> ApiResult<impl IntoResponse> {
    let request = caller.request(body.request_id.as_deref())?;
    let whose = whose(body.agent.as_ref(), body.session.as_ref())?;
    let (session, memory) = app.runtime.note(&whose, body.memory(), (caller.by, request)).await?;
    Ok((StatusCode::CREATED, Json(Noted { session, memory })))
}

/// Has a memory say something else.
#[utoipa::path(patch, path = "/memory/{id}", tag = "memory", params(("id" = String, Path)), request_body = EditMemory,
    responses((status = 200, body = Edited), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn edit(
    State(app): State<App>,
    Path(memory): Path<String>,
    caller: Caller,
    Body(body): Body<EditMemory>,
) -> ApiResult<Json<Edited>> {
    let request = caller.request(body.request_id.as_deref())?;
    if body.text.is_none() && body.scope.is_none() {
        return Err(ApiError::new(&code::INVALID, "there is nothing to change: give text, or scope"));
    }
    let session = app.runtime.rewrite(id(&memory)?, (body.text, body.scope), (caller.by, request)).await?;
    Ok(Json(Edited { session }))
}

/// How far a memory is forgotten.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct How {
    /// The messages that it comes from go, too.
    sources: Option<bool>,
    /// Only says how many lines would be written anew.
    dry_run: Option<bool>,
}

/// Forgets a memory, with all that was made of it: it is erased from every journal, and so are its words, as whole words, where they
/// are so many that nobody says them by chance. What people said stays, unless `sources` has it go, too; the answer names the lines in
/// which something is left.
#[utoipa::path(delete, path = "/memory/{id}", tag = "memory", params(("id" = String, Path), How),
    responses((status = 200, body = ForgottenView), (status = 404, body = Problem)))]
pub(super) async fn forget(
    State(app): State<App>,
    Path(memory): Path<String>,
    Query(how): Query<How>,
    caller: Caller,
) -> ApiResult<Json<ForgottenView>> {
    let request = caller.request(None)?;
    let memory = id(&memory)?;
    let extent = if how.sources == Some(true) { Extent::Sources } else { Extent::Words };
    let forgotten = if how.dry_run == Some(true) {
        app.runtime.would_forget(memory, extent).await?
    } else {
        app.runtime.forget_memory(memory, extent, (caller.by, request)).await?
    };
    let view = |left: Left| LeftView { session: left.session, seq: left.seq, damaged: left.is_damaged };
    let left = forgotten.left.into_iter().map(view).collect();
    Ok(Json(ForgottenView { memories: forgotten.memories, lines: forgotten.lines, left }))
}

/// Condenses what is remembered: the new memories take the place of exactly those that they name.
#[utoipa::path(post, path = "/memory/reflect", tag = "memory", request_body = Reflect,
    responses((status = 200, body = Reflected), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn reflect(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<Reflect>,
) -> ApiResult<Json<Reflected>> {
    let request = caller.request(body.request_id.as_deref())?;
    let whose = whose(body.agent.as_ref(), body.session.as_ref())?;
    let memories = app.runtime.reflect(&whose, body.dry_run, (caller.by, request)).await?;
    Ok(Json(Reflected { memories }))
}
