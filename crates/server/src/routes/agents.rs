//! Agents: what there is to talk to.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use outlive_core::agent::files_digest;
use outlive_core::id::AgentName;
use outlive_protocol::Page;
use outlive_protocol::agent::AgentView;
use outlive_runtime::kit::{Card, KitError};
use serde::Deserialize;

use crate::App;
use crate::body::{Path, Query, id, limit};
use crate::problem::ApiResult;

/// Which agents.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Range {
    /// 1 to 1000, which is the default.
    limit: Option<usize>,
    /// From the page before.
    cursor: Option<String>,
}

/// All agents; one with broken files is listed with what is wrong.
#[utoipa::path(get, path = "/agents", tag = "agents", params(Range),
    responses((status = 200, body = Page<AgentView>), (status = 422, body = outlive_protocol::Problem)))]
pub(super) async fn list(State(app): State<App>, Query(range): Query<Range>) -> ApiResult<Json<Page<AgentView>>> {
    let limit = limit(range.limit, 1_000, 1_000)?;
    let agents = app.runtime.agents();
    let view = |name: &AgentName| agents.card(name).map_or_else(|error| broken(name, &error), view);
    let mut names = agents.names()?;
    names.sort_unstable();
    names.retain(|name| range.cursor.as_deref().is_none_or(|cursor| name.as_str() > cursor));
    let next_cursor = names.get(limit).and_then(|_| names.get(limit - 1)).map(ToString::to_string);
    Ok(Json(Page { items: names.iter().take(limit).map(view).collect(), next_cursor }))
}

/// One agent.
#[utoipa::path(get, path = "/agents/{name}", tag = "agents", params(("name" = String, Path)),
    responses((status = 200, body = AgentView), (status = 404, body = outlive_protocol::Problem)))]
pub(super) async fn show(State(app): State<App>, Path(name): Path<String>) -> ApiResult<impl IntoResponse> {
    let name: AgentName = id(&name)?;
    let card = app.runtime.agents().card(&name)?;
    // Of its own files: what a write to it is held against.
    let own = app.runtime.agent_files(&name).ok().map(|files| files_digest(&files).to_string());
    let etag = own.unwrap_or_else(|| card.digest.clone());
    Ok(([(header::ETAG, format!("\"{etag}\""))], Json(view(card))))
}

fn view(card: Card) -> AgentView {
    AgentView {
        name: card.name.to_string(),
        description: card.description,
        version: card.version,
        model: card.model,
        fallback: card.fallback,
        digest: card.digest,
        tools: card.tools,
        skills: card.skills,
        works_in: card.works_in,
        warnings: card.warnings,
        error: None,
    }
}

fn broken(name: &AgentName, error: &KitError) -> AgentView {
    AgentView {
        name: name.to_string(),
        description: String::new(),
        version: None,
        model: String::new(),
        fallback: Vec::new(),
        digest: String::new(),
        tools: Vec::new(),
        skills: Vec::new(),
        works_in: String::new(),
        warnings: Vec::new(),
        error: Some(error.to_string()),
    }
}
