//! Sessions as files: export, import.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use outlive_core::archive::ARCHIVE_BYTES;
use outlive_core::context::{Heading, MessageItem, markdown};
use outlive_core::digest::Digest;
use outlive_core::event::Origin;
use outlive_core::id::{RequestId, SessionId};
use outlive_protocol::archive::{ARCHIVE_TYPE, SessionImported, SessionTranscript};
use outlive_protocol::{BASE, Problem};
use outlive_runtime::{AgentFate, NewImport};
use serde::Deserialize;

use super::sessions::{new_id, view};
use crate::App;
use crate::body::{Caller, Path, Query, id};
use crate::keyed::{asked, once};
use crate::large::whole;
use crate::problem::ApiResult;

/// In which form.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Form {
    /// `archive` (which an import takes; the default), `markdown` (for people) or `json` (the folded transcript).
    #[serde(default)]
    #[param(value_type = String)]
    format: Format,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    #[default]
    Archive,
    Markdown,
    Json,
}

/// How to import.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct How {
    /// Under a fresh id: a copy that begins as the session did, as a fork does.
    #[serde(default)]
    as_new: bool,
}

/// A session as one file, up to its last event at this moment.
#[utoipa::path(get, path = "/sessions/{id}/export", tag = "archives", params(("id" = String, Path), Form),
    responses((status = 200, content((Vec<u8> = "application/x-tar"), (String = "text/markdown"),
        (SessionTranscript = "application/json"))), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn export(
    State(app): State<App>,
    Path(session): Path<String>,
    Query(form): Query<Form>,
) -> ApiResult<Response> {
    let session: SessionId = id(&session)?;
    match form.format {
        Format::Archive => Ok(file(&format!("{session}.tar"), ARCHIVE_TYPE, app.runtime.export(session).await?)),
        Format::Markdown => {
            let view = view(&app, session).await?;
            let dates = (view.row.created_at.to_string(), view.row.updated_at.to_string());
            let heading = Heading { session, title: view.row.title, agent: view.row.agent, dates };
            let text = markdown(&heading, &said(&app, session).await?);
            Ok(file(&format!("{session}.md"), "text/markdown; charset=utf-8", text.into_bytes()))
        }
        Format::Json => {
            let view = view(&app, session).await?;
            let exported = SessionTranscript { session: view, messages: said(&app, session).await? };
            // A transcript of texts and JSON always serializes.
            let text = serde_json::to_vec_pretty(&exported).unwrap_or_default();
            Ok(file(&format!("{session}.json"), "application/json", text))
        }
    }
}

/// All that was said.
async fn said(app: &App, session: SessionId) -> ApiResult<Vec<MessageItem>> {
    Ok(app.runtime.messages(session, 0, usize::MAX).await?)
}

/// Takes a session in from an archive. What was under way at the export starts nothing by itself.
#[utoipa::path(post, path = "/sessions/import", tag = "archives", params(How),
    request_body(content_type = "application/x-tar", description = "What an export gave, up to 256 MiB"),
    responses((status = 200, body = SessionImported, description = "It was there already"),
        (status = 201, body = SessionImported), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn import(
    State(app): State<App>,
    Query(how): Query<How>,
    caller: Caller,
    request: Request,
) -> ApiResult<Response> {
    let key = caller.request(None)?;
    let body = whole(&app, request, ARCHIVE_BYTES).await?;
    let asked = asked(key.clone(), "POST /sessions/import".to_owned(), &format!("{how:?}"), &body.bytes);
    once(&app, asked, take(&app, (body.bytes.clone(), how), (caller.by, key))).await
}

/// Takes in what was sent, as `how` says.
async fn take(app: &App, (bytes, how): (Bytes, How), (by, key): (Origin, Option<RequestId>)) -> ApiResult<Response> {
    let copy = how.as_new.then(|| new_id(app, &format!("import {}", Digest::of(&bytes)), key.as_ref()));
    let import = NewImport { bytes, copy, by };
    let done = app.runtime.import(import, key).await?;
    let view = view(app, done.session).await?;
    let (agent, fate) = done.agent;
    let imported = SessionImported {
        id: done.session.to_string(),
        head: view.row.head,
        status: view.row.status,
        was_there: done.was_there,
        agent: agent.to_string(),
        agent_was: was(fate).to_owned(),
        artifacts: done.artifacts,
    };
    let status = if done.was_there { StatusCode::OK } else { StatusCode::CREATED };
    let location = format!("{BASE}/sessions/{}", done.session);
    Ok((status, [(header::LOCATION, location)], Json(imported)).into_response())
}

fn was(fate: AgentFate) -> &'static str {
    match fate {
        AgentFate::Made => "made",
        AgentFate::Same => "same",
        AgentFate::Kept => "kept",
        AgentFate::Missing => "missing",
    }
}

/// Offers bytes as a file to keep.
pub(super) fn file(name: &str, content_type: &'static str, bytes: Vec<u8>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    (headers, bytes).into_response()
}
