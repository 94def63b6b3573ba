//! Sessions: make, show, change, delete.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use outlive_core::command::{Command, Create, MemoryCommand};
use outlive_core::digest::Digest;
use outlive_core::id::{RequestId, SessionId};
use outlive_protocol::session::{CreateSession, SessionView, UpdateSession};
use outlive_protocol::{BASE, Problem, code};
use outlive_runtime::task::Found;
use serde::Deserialize;

use crate::App;
use crate::body::{Body, Caller, Path, Query, id};
use crate::problem::{ApiError, ApiResult};

/// Makes a session. With an `Idempotency-Key` the same request makes the same session; with a `task` everybody who asks for the
/// same task, role and state gets the same one.
#[utoipa::path(post, path = "/sessions", tag = "sessions", request_body = CreateSession,
    responses((status = 201, body = SessionView), (status = 200, description = "the task has this session already", body = SessionView),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<CreateSession>,
) -> ApiResult<impl IntoResponse> {
    let request = caller.request(body.request_id.as_deref())?;
    let project = project(&body)?;
    let card = app.runtime.agents().card(&id(&body.agent)?)?;
    let create = Create {
        agent: card.name,
        agent_digest: card.digest,
        title: body.title,
        project,
        task: body.task.map(Box::new),
        on_disconnect: body.on_disconnect.unwrap_or(card.on_disconnect),
        labels: body.labels,
        memory: body.memory,
        by: caller.by,
    };
    let (session, status) = match &create.task {
        None => {
            let session = new_id(&app, "create", request.as_ref());
            app.runtime.submit(session, Command::Create(create), request).await?;
            (session, StatusCode::CREATED)
        }
        Some(task) => {
            let session = task.session();
            match app.runtime.find_or_make(session, create, request).await? {
                Found::New => (session, StatusCode::CREATED),
                Found::Old => (session, StatusCode::OK),
            }
        }
    };
    let location = format!("{BASE}/sessions/{session}");
    Ok((status, [(header::LOCATION, location)], Json(view(&app, session).await?)))
}

/// The project that a new session belongs to: its task's, where it has one.
fn project(body: &CreateSession) -> ApiResult<Option<String>> {
    let of_task = body.task.as_ref().map(|task| &task.project);
    if let (Some(project), Some(other)) = (&body.project, of_task)
        && project != other
    {
        let what = format!("project is `{project}`, and `{other}` in task: leave one out");
        return Err(ApiError::new(&code::TASK_INVALID, what));
    }
    let project = body.project.as_ref().or(of_task);
    if let Some(project) = project.filter(|project| !is_project(project)) {
        let what = format!(
            "project `{project}` is not prefix-xxxxxxxx: small letters, digits or dashes, then a dash and 8 hex digits"
        );
        return Err(ApiError::new(&code::MALFORMED_ID, what));
    }
    Ok(project.cloned())
}

/// A project's id: a prefix, a dash, 8 hex digits.
fn is_project(id: &str) -> bool {
    let Some((prefix, hex)) = id.rsplit_once('-') else { return false };
    let of_prefix = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=32).contains(&prefix.len())
        && prefix.chars().all(of_prefix)
        && hex.len() == 8
        && hex.chars().all(|c| c.is_ascii_hexdigit())
}

/// The id of a new session. Made under a key, the same key finds the same session, after any restart.
pub(super) fn new_id(app: &App, deed: &str, key: Option<&RequestId>) -> SessionId {
    let Some(key) = key else { return SessionId::from_bits(app.runtime.moments().moment().ids.fresh()) };
    SessionId::from_bits(Digest::of(format!("{deed} {key}").as_bytes()).bits())
}

pub(super) async fn view(app: &App, session: SessionId) -> ApiResult<SessionView> {
    let state = app.runtime.view(session).await?;
    SessionView::of(session, &state).ok_or_else(|| ApiError::new(&code::SESSION_NOT_FOUND, "there is no such session"))
}

/// One session.
#[utoipa::path(get, path = "/sessions/{id}", tag = "sessions", params(("id" = String, Path)),
    responses((status = 200, body = SessionView), (status = 404, body = Problem)))]
pub(super) async fn show(State(app): State<App>, Path(session): Path<String>) -> ApiResult<Json<SessionView>> {
    Ok(Json(view(&app, id(&session)?).await?))
}

/// Renames, labels, archives or takes back out, or says how far it takes part in what is remembered.
#[utoipa::path(patch, path = "/sessions/{id}", tag = "sessions", params(("id" = String, Path)), request_body = UpdateSession,
    responses((status = 200, body = SessionView), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn update(
    State(app): State<App>,
    Path(session): Path<String>,
    caller: Caller,
    Body(body): Body<UpdateSession>,
) -> ApiResult<Json<SessionView>> {
    let session = id(&session)?;
    let request = caller.request(body.request_id.as_deref())?;
    let is_named = body.title.is_some() || body.labels.is_some();
    let by = caller.by;
    let command = match (body.archived, body.memory) {
        (Some(archived), None) if !is_named => Command::Archive { archived, by },
        (None, Some(mode)) if !is_named => Command::Memory { what: MemoryCommand::Mode(mode), by },
        (None, None) if is_named => Command::Update { title: body.title, labels: body.labels, by },
        (None, None) => {
            let what = "there is nothing to change: name title, labels, archived or memory";
            return Err(ApiError::new(&code::INVALID, what));
        }
        (Some(_) | None, Some(_)) | (Some(_), None) => {
            let what = "change title and labels, or archive, or set memory: one of them a request";
            return Err(ApiError::new(&code::INVALID, what));
        }
    };
    app.runtime.submit(session, command, request).await?;
    Ok(Json(view(&app, session).await?))
}

/// How a session is deleted.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct How {
    /// Not into the trash: nothing of it is left in any file.
    for_good: Option<bool>,
}

/// Deletes a session: it goes to the trash, from which it can be brought back; or, for good, nothing of it is left.
#[utoipa::path(delete, path = "/sessions/{id}", tag = "sessions", params(("id" = String, Path), How),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn remove(
    State(app): State<App>,
    Path(session): Path<String>,
    Query(how): Query<How>,
    caller: Caller,
) -> ApiResult<StatusCode> {
    let (session, request) = (id(&session)?, caller.request(None)?);
    if how.for_good == Some(true) {
        app.runtime.erase(session, request).await?;
    } else {
        app.runtime.discard(session, caller.by, request).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
