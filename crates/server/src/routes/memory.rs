//! What is remembered: listed, found, told where it comes from.

use axum::Json;
use axum::extract::State;
use outlive_core::id::{AgentName, MemoryId, SessionId};
use outlive_core::memory::Scope;
use outlive_core::time::Timestamp;
use outlive_protocol::memory::{
    MemoryEdit, MemoryOrigin, MemoryPage, MemoryRow, MemoryStory, MemoryUse, Nature, ScorePart,
};
use outlive_protocol::{Problem, code};
use outlive_runtime::{Author, Provenance, RecallHit, RecallQuery, Remembered, RememberedQuery, Sight};
use serde::Deserialize;

use crate::App;
use crate::body::{Path, Query, id, limit};
use crate::problem::{ApiError, ApiResult};

/// Which memories.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// A question or words: the best are shown, not the newest. No character of it has a meaning.
    q: Option<String>,
    /// With `q`: what this agent may know. Else: what its sessions noted.
    agent: Option<String>,
    /// With `q`: what this session may know. Else: what it noted.
    session: Option<String>,
    /// Only of this scope: `session`, `project`, `agent` or `all`.
    scope: Option<String>,
    /// With `q`: what held then, as `2026-01-31` (its end, in UTC) or RFC 3339.
    as_of: Option<String>,
    /// Whether those are shown, too, whose place another took.
    superseded: Option<bool>,
    /// 1 to 100; 20 by default.
    limit: Option<usize>,
    /// From the page before.
    cursor: Option<String>,
}

/// Lists what is remembered, newest first; with `q`, finds in it, best first.
#[utoipa::path(get, path = "/memory", tag = "memory", params(Wanted),
    responses((status = 200, body = MemoryPage), (status = 422, body = Problem)))]
pub(super) async fn list(State(app): State<App>, Query(wanted): Query<Wanted>) -> ApiResult<Json<MemoryPage>> {
    let limit = limit(wanted.limit, 20, 100)?;
    let agent = wanted.agent.as_deref().map(id::<AgentName>).transpose()?.map(|agent| agent.to_string());
    let session = wanted.session.as_deref().map(id::<SessionId>).transpose()?;
    let scope = wanted.scope.as_deref().map(scope).transpose()?;
    let superseded = wanted.superseded.unwrap_or_default();
    let Some(text) = wanted.q else {
        if wanted.as_of.is_some() {
            return Err(ApiError::new(&code::INVALID, "as_of needs q: say what to look for"));
        }
        let after = wanted.cursor.as_deref().map(read_cursor).transpose()?;
        let query = RememberedQuery { agent, session, scope, superseded, after, limit, known_to: None };
        let page = app.runtime.remembered(query).await?;
        let last = page.rows.last().filter(|_| page.more);
        let next_cursor = last.map(|row| format!("{}.{}", row.at.micros(), row.memory.id));
        let items = page.rows.into_iter().map(shown).collect();
        return Ok(Json(MemoryPage { items, next_cursor, behind: page.behind, notes: Vec::new() }));
    };
    if text.trim().is_empty() {
        return Err(ApiError::new(&code::INVALID, "q is empty: say what to look for"));
    }
    let as_of = wanted.as_of.as_deref().map(moment).transpose()?;
    let sight = Sight { agent, session, project: None };
    let query = RecallQuery { text, sight, scope, as_of, superseded, limit, ..RecallQuery::default() };
    let found = app.runtime.recall(query).await?;
    let items = found.hits.into_iter().map(hit).collect();
    Ok(Json(MemoryPage { items, next_cursor: None, behind: found.behind, notes: found.notes }))
}

/// Says where a memory comes from, what became of it, and who saw it.
#[utoipa::path(get, path = "/memory/{id}", tag = "memory", params(("id" = String, Path, description = "The memory")),
    responses((status = 200, body = MemoryStory), (status = 404, body = Problem)))]
pub(super) async fn show(State(app): State<App>, Path(memory): Path<String>) -> ApiResult<Json<MemoryStory>> {
    let memory = id::<MemoryId>(&memory)?;
    let Some(found) = app.runtime.memory(memory).await? else {
        return Err(ApiError::new(&code::MEMORY_NOT_FOUND, format!("there is no memory {memory}")));
    };
    let Provenance { row, edits, superseded, superseders, uses, used } = found;
    let edits = edits.into_iter().map(|(at, by)| MemoryEdit { at, by }).collect();
    let uses = uses.into_iter().map(|one| MemoryUse {
        session_id: one.session.to_string(),
        seq: one.seq,
        call: one.call.to_string(),
        at: one.at,
    });
    let rows = |rows: Vec<Remembered>| rows.into_iter().map(shown).collect();
    let (superseded, superseders) = (rows(superseded), rows(superseders));
    let uses = uses.collect();
    Ok(Json(MemoryStory { memory: shown(row), edits, superseded, superseders, uses, used }))
}

fn scope(word: &str) -> ApiResult<Scope> {
    match word {
        "session" => Ok(Scope::Session),
        "project" => Ok(Scope::Project),
        "agent" => Ok(Scope::Agent),
        "all" => Ok(Scope::All),
        _ => Err(ApiError::new(&code::INVALID, "scope is session, project, agent or all")),
    }
}

/// Reads a day, which is meant to its end, or a moment.
fn moment(text: &str) -> ApiResult<Timestamp> {
    let whole = if text.len() == 10 { format!("{text}T23:59:59.999999Z") } else { text.to_owned() };
    let wrong = || ApiError::new(&code::INVALID, "as_of is a day as 2026-01-31, or an RFC 3339 time");
    whole.parse().map_err(|_| wrong())
}

fn read_cursor(text: &str) -> ApiResult<(Timestamp, MemoryId)> {
    let read = || {
        let (at, memory) = text.split_once('.')?;
        Some((Timestamp::from_micros(at.parse().ok()?), memory.parse().ok()?))
    };
    read().ok_or_else(|| ApiError::new(&code::INVALID, "cursor is not one that this list gave out"))
}

fn hit(hit: RecallHit) -> MemoryRow {
    let part = |(part, adds): (&str, f64)| ScorePart { part: part.to_owned(), adds };
    let explain = hit.explain.into_iter().map(part).collect();
    MemoryRow { score: Some(hit.score), explain, ..shown(hit.row) }
}

fn shown(row: Remembered) -> MemoryRow {
    let (by, named) = match row.by {
        Author::Observer(model) => ("observer".to_owned(), model),
        Author::Reflection(model) => ("reflection".to_owned(), model),
        Author::Somebody(origin) => {
            let kind = serde_json::to_value(origin.kind).ok();
            (kind.and_then(|kind| kind.as_str().map(str::to_owned)).unwrap_or_default(), origin.sender)
        }
    };
    let memory = row.memory;
    let ids = |ids: Vec<MemoryId>| ids.iter().map(ToString::to_string).collect();
    MemoryRow {
        id: memory.id.to_string(),
        nature: Nature { kind: memory.kind, priority: memory.priority, scope: memory.scope },
        text: memory.text,
        since: memory.since,
        until: memory.until,
        origin: MemoryOrigin {
            session_id: row.session.to_string(),
            agent: row.agent,
            project: row.project,
            seq: row.seq,
            at: row.at,
            by,
            named,
            sources: memory.sources,
            edited_at: row.edited.map(|(at, _)| at),
        },
        supersedes: ids(memory.supersedes),
        superseded_by: ids(row.superseded_by),
        score: None,
        explain: Vec::new(),
    }
}
