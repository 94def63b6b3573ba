//! Agents: what there is to talk to.

use axum::Json;
use axum::extract::State;
use outlive_core::id::AgentName;
use outlive_protocol::Page;
use outlive_protocol::agent::AgentView;
use outlive_runtime::kit::{Card, KitError};

use crate::App;
use crate::body::{Path, id};
use crate::problem::ApiResult;

/// All agents; one with broken files is listed with what is wrong.
#[utoipa::path(get, path = "/agents", tag = "agents", responses((status = 200, body = Page<AgentView>)))]
pub(super) async fn list(State(app): State<App>) -> ApiResult<Json<Page<AgentView>>> {
    let agents = app.runtime.agents();
    let view = |name: &AgentName| agents.card(name).map_or_else(|error| broken(name, &error), view);
    let items = agents.names()?.iter().map(view).collect();
    Ok(Json(Page { items, next_cursor: None }))
}

/// One agent.
#[utoipa::path(get, path = "/agents/{name}", tag = "agents", params(("name" = String, Path)),
    responses((status = 200, body = AgentView), (status = 404, body = outlive_protocol::Problem)))]
pub(super) async fn show(State(app): State<App>, Path(name): Path<String>) -> ApiResult<Json<AgentView>> {
    Ok(Json(view(app.runtime.agents().card(&id(&name)?)?)))
}

fn view(card: Card) -> AgentView {
    AgentView {
        name: card.name.to_string(),
        description: card.description,
        version: card.version,
        model: card.model,
        digest: card.digest,
        tools: card.tools,
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
        digest: String::new(),
        tools: Vec::new(),
        warnings: Vec::new(),
        error: Some(error.to_string()),
    }
}
