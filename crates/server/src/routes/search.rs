//! The search over what was said, and the making anew of what it reads.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use outlive_core::context::MessageRole;
use outlive_core::id::{AgentName, SessionId};
use outlive_protocol::search::{Indexed, SearchHit, SearchPage};
use outlive_protocol::{Problem, code};
use outlive_runtime::{Catching, Hit, Row, SearchQuery};
use serde::Deserialize;

use crate::App;
use crate::body::{Query, id, limit};
use crate::problem::{ApiError, ApiResult};

/// Hits that can be paged through.
const DEPTH: usize = 1_000;

/// What is looked for.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Words; all of them must be in a message. `"…"` is a phrase, `wor*` the beginning of a word; no other character has
    /// a meaning.
    q: String,
    /// Only in sessions of this agent.
    agent: Option<String>,
    /// Only in this session.
    session: Option<String>,
    /// Only what these said: `user`, `assistant` or `tool`.
    role: Option<String>,
    /// 1 to 100; 20 by default.
    limit: Option<usize>,
    /// From the page before.
    cursor: Option<String>,
}

/// Finds messages in all sessions, best first, of those that are alike the newest first.
#[utoipa::path(get, path = "/search", tag = "search", params(Wanted),
    responses((status = 200, body = SearchPage), (status = 422, body = Problem)))]
pub(super) async fn find(State(app): State<App>, Query(wanted): Query<Wanted>) -> ApiResult<Json<SearchPage>> {
    if wanted.q.trim().is_empty() {
        return Err(ApiError::new(&code::INVALID, "q is empty: say which words to look for"));
    }
    let limit = limit(wanted.limit, 20, 100)?;
    let skip = wanted.cursor.as_deref().map(read_cursor).transpose()?.unwrap_or(0);
    let query = SearchQuery {
        text: wanted.q,
        agent: wanted.agent.map(|agent| id::<AgentName>(&agent)).transpose()?.map(|agent| agent.to_string()),
        session: wanted.session.as_deref().map(id::<SessionId>).transpose()?,
        role: wanted.role.as_deref().map(role).transpose()?,
        skip,
        limit,
    };
    let found = app.runtime.search(query).await?;
    let next = skip + limit;
    let more = found.more && next < DEPTH;
    let sessions = found.hits.iter().map(|hit| hit.session).collect::<std::collections::BTreeSet<_>>();
    let rows = app.runtime.rows(sessions.into_iter().collect()).await?;
    let rows: HashMap<SessionId, Row> = rows.into_iter().map(|row| (row.session, row)).collect();
    let items = found.hits.into_iter().map(|hit| shown(hit, &rows)).collect();
    Ok(Json(SearchPage { items, next_cursor: more.then(|| next.to_string()), behind: found.behind }))
}

fn read_cursor(text: &str) -> ApiResult<usize> {
    let skip = text.parse().ok().filter(|skip| (1..DEPTH).contains(skip) && text == skip.to_string());
    skip.ok_or_else(|| ApiError::new(&code::INVALID, "cursor is not one that this search gave out"))
}

fn role(word: &str) -> ApiResult<MessageRole> {
    match word {
        "user" => Ok(MessageRole::User),
        "assistant" => Ok(MessageRole::Assistant),
        "tool" => Ok(MessageRole::Tool),
        _ => Err(ApiError::new(&code::INVALID, "role is user, assistant or tool")),
    }
}

fn shown(hit: Hit, rows: &HashMap<SessionId, Row>) -> SearchHit {
    let row = rows.get(&hit.session);
    SearchHit {
        session_id: hit.session.to_string(),
        title: row.and_then(|row| row.title.clone()),
        agent: row.map(|row| row.agent.clone()).unwrap_or_default(),
        seq: hit.seq,
        at: hit.at,
        role: hit.role,
        snippet: hit.snippet,
    }
}

fn indexed(catching: Catching) -> Json<Indexed> {
    Json(Indexed { sessions: catching.sessions, behind: catching.behind })
}

/// How far the search has followed the journals.
#[utoipa::path(get, path = "/reindex", tag = "search", responses((status = 200, body = Indexed)))]
pub(super) async fn progress(State(app): State<App>) -> ApiResult<Json<Indexed>> {
    Ok(indexed(app.runtime.catching().await?))
}

/// Makes the list and the search anew from the journals. The search goes on by itself after the answer.
#[utoipa::path(post, path = "/reindex", tag = "search", responses((status = 202, body = Indexed)))]
pub(super) async fn reindex(State(app): State<App>) -> ApiResult<(StatusCode, Json<Indexed>)> {
    Ok((StatusCode::ACCEPTED, indexed(app.runtime.reindex().await?)))
}
