//! Agents as files: read, write, delete, what they were before, export and import.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use outlive_core::agent::{Files, files_digest};
use outlive_core::digest::Digest;
use outlive_core::id::AgentName;
use outlive_protocol::agent_files::{AgentFiles, AgentVersion, AgentWritten, WriteAgent};
use outlive_protocol::archive::ARCHIVE_TYPE;
use outlive_protocol::{Page, Problem, code};
use outlive_runtime::Expected;
use serde::Deserialize;

use super::archives::file;
use crate::App;
use crate::body::{Body, Caller, Path, Query, id};
use crate::keyed::{asked, once};
use crate::large::whole;
use crate::problem::{ApiError, ApiResult};

/// Bytes of an agent's archive.
const ARCHIVE_BYTES: usize = 2 * outlive_core::agent::AGENT_BYTES;

/// How to import an agent.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct How {
    /// In place of another one of its name.
    #[serde(default)]
    replace: bool,
}

/// An agent's own files. The `ETag` is for `If-Match`.
#[utoipa::path(get, path = "/agents/{name}/files", tag = "agents", params(("name" = String, Path)),
    responses((status = 200, body = AgentFiles), (status = 404, body = Problem)))]
pub(super) async fn files(State(app): State<App>, Path(name): Path<String>) -> ApiResult<Response> {
    let name: AgentName = id(&name)?;
    let files = app.runtime.agent_files(&name)?;
    let digest = files_digest(&files);
    let (mut texts, mut binary) = (BTreeMap::new(), Vec::new());
    for (path, bytes) in files {
        match String::from_utf8(bytes) {
            Ok(text) => drop(texts.insert(path, text)),
            Err(_) => binary.push(path),
        }
    }
    let body = AgentFiles { name: name.to_string(), digest: digest.to_string(), files: texts, binary };
    Ok(([(header::ETAG, format!("\"{digest}\""))], Json(body)).into_response())
}

/// Writes an agent: all its files, checked before any is written, or a version that is kept.
#[utoipa::path(put, path = "/agents/{name}", tag = "agents", request_body = WriteAgent,
    params(("name" = String, Path), ("If-Match" = Option<String>, Header, description = "The `ETag` that is to be replaced"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only where there is no such agent")),
    responses((status = 200, body = AgentWritten), (status = 201, body = AgentWritten), (status = 409, body = Problem),
        (status = 412, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn write(
    State(app): State<App>,
    Path(name): Path<String>,
    (caller, headers): (Caller, HeaderMap),
    Body(body): Body<WriteAgent>,
) -> ApiResult<Response> {
    let name: AgentName = id(&name)?;
    let (request, expected) = (caller.request(None)?, expected(&headers)?);
    // Texts always serialize.
    let text = serde_json::to_vec(&body).unwrap_or_default();
    let asked = asked(request, format!("PUT /agents/{name}"), &format!("{expected:?}"), &text);
    let is_named = asked.is_some();
    once(&app, asked, async {
        let files = wanted(&app, &name, body)?;
        // As after a kill before the answer was kept: it was done, and nothing else is there since.
        let is_done = is_named && app.runtime.agent_files(&name).is_ok_and(|here| here == files);
        let expected = if is_done { Expected::Anything } else { expected };
        Ok(written(&name, app.runtime.write_agent(&name, files, expected)?))
    })
    .await
}

/// Returns the files that are to be there.
fn wanted(app: &App, name: &AgentName, body: WriteAgent) -> ApiResult<Files> {
    match (body.files, body.version) {
        (Some(texts), None) => Ok(with_binary(app, name, texts)),
        (None, Some(version)) => {
            let malformed = || ApiError::new(&code::MALFORMED_ID, "a version is named by its 64 hex digits");
            Ok(app.runtime.agent_version(name, &Digest::parse(&version).ok_or_else(malformed)?)?)
        }
        (Some(_), Some(_)) | (None, None) => {
            Err(ApiError::new(&code::INVALID, "send `files` or `version`, one of them"))
        }
    }
}

/// Takes an agent away. It is kept as a version; its sessions stay.
#[utoipa::path(delete, path = "/agents/{name}", tag = "agents",
    params(("name" = String, Path), ("If-Match" = Option<String>, Header, description = "The `ETag` that is to go")),
    responses((status = 204), (status = 404, body = Problem), (status = 412, body = Problem)))]
pub(super) async fn remove(
    State(app): State<App>,
    Path(name): Path<String>,
    (caller, headers): (Caller, HeaderMap),
) -> ApiResult<Response> {
    let (name, expected): (AgentName, _) = (id(&name)?, expected(&headers)?);
    let asked = asked(caller.request(None)?, format!("DELETE /agents/{name}"), &format!("{expected:?}"), b"");
    once(&app, asked, async {
        app.runtime.delete_agent(&name, expected)?;
        Ok(StatusCode::NO_CONTENT.into_response())
    })
    .await
}

/// What an agent was before, newest first: the last 20, also of one that was deleted.
#[utoipa::path(get, path = "/agents/{name}/versions", tag = "agents", params(("name" = String, Path)),
    responses((status = 200, body = Page<AgentVersion>)))]
pub(super) async fn versions(State(app): State<App>, Path(name): Path<String>) -> ApiResult<Json<Page<AgentVersion>>> {
    let versions = app.runtime.agent_versions(&id(&name)?)?;
    let view = |version: outlive_runtime::Version| AgentVersion {
        digest: version.digest.to_string(),
        kept_at: version.kept_at.map(|at| at.to_string()),
    };
    Ok(Json(Page { items: versions.into_iter().map(view).collect(), next_cursor: None }))
}

/// An agent as one file.
#[utoipa::path(get, path = "/agents/{name}/export", tag = "archives", params(("name" = String, Path)),
    responses((status = 200, content_type = "application/x-tar"), (status = 404, body = Problem)))]
pub(super) async fn export(State(app): State<App>, Path(name): Path<String>) -> ApiResult<Response> {
    let name: AgentName = id(&name)?;
    Ok(file(&format!("{name}.tar"), ARCHIVE_TYPE, app.runtime.export_agent(&name)?))
}

/// Takes an agent in from an archive. Another one of its name is replaced only with `replace`.
#[utoipa::path(post, path = "/agents", tag = "archives", params(How),
    request_body(content_type = "application/x-tar", description = "What an agent's export gave"),
    responses((status = 200, body = AgentWritten), (status = 201, body = AgentWritten), (status = 409, body = Problem),
        (status = 422, body = Problem)))]
pub(super) async fn import(
    State(app): State<App>,
    Query(how): Query<How>,
    caller: Caller,
    request: Request,
) -> ApiResult<Response> {
    let body = whole(&app, request, ARCHIVE_BYTES).await?;
    let asked = asked(caller.request(None)?, "POST /agents".to_owned(), &format!("{how:?}"), &body.bytes);
    once(&app, asked, async {
        let (name, done) = app.runtime.import_agent(&body.bytes, how.replace)?;
        Ok(written(&name, done))
    })
    .await
}

fn written(name: &AgentName, done: outlive_runtime::AgentWritten) -> Response {
    let etag = [(header::ETAG, format!("\"{}\"", done.digest))];
    let status = if done.was_there { StatusCode::OK } else { StatusCode::CREATED };
    let (name, digest) = (name.to_string(), done.digest.to_string());
    (status, etag, Json(AgentWritten { name, digest, warnings: done.warnings })).into_response()
}

/// Adds the files that are no text and are not written anew: they cannot be said in JSON, and stay.
fn with_binary(app: &App, name: &AgentName, texts: BTreeMap<String, String>) -> Files {
    let mut files = app.runtime.agent_files(name).unwrap_or_default();
    files.retain(|_, bytes| std::str::from_utf8(bytes).is_err());
    files.extend(texts.into_iter().map(|(path, text)| (path, text.into_bytes())));
    files
}

/// Reads what the writer believes to be there.
fn expected(headers: &HeaderMap) -> ApiResult<Expected> {
    let value = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default().trim());
    let unread = |what: &str| Err(ApiError::new(&code::INVALID, what.to_owned()));
    match (value(header::IF_MATCH), value(header::IF_NONE_MATCH)) {
        (None, None) => Ok(Expected::Anything),
        (Some("*"), None) => Ok(Expected::Something),
        (None, Some("*")) => Ok(Expected::Nothing),
        (Some(etag), None) => match Digest::parse(etag.trim_matches('"')) {
            Some(digest) => Ok(Expected::Digest(digest)),
            None => unread("If-Match: send one ETag as `GET /agents/{name}/files` gave it, or *"),
        },
        (None, Some(_)) => unread("If-None-Match: only * is understood"),
        (Some(_), Some(_)) => unread("send If-Match or If-None-Match, one of them"),
    }
}
