//! Conversations of other programs.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use outlive_core::event::OnDisconnect;
use outlive_core::id::{AgentName, RequestId};
use outlive_core::import::{Adopted, Talk};
use outlive_protocol::import::{ImportTalk, ImportedTalk};
use outlive_protocol::{BASE, Problem};
use outlive_runtime::kit::KitError;

use crate::App;
use crate::body::{Caller, Large, id};
use crate::keyed::{asked, once};
use crate::problem::ApiResult;

/// Makes a session of a conversation that another program had: all of it or nothing, and once. It is at rest then, and goes
/// on like any other.
#[utoipa::path(post, path = "/imports", tag = "history", request_body = ImportTalk,
    responses((status = 200, description = "It was there already", body = ImportedTalk),
        (status = 201, body = ImportedTalk), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 422, body = Problem)))]
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    Large(body): Large<ImportTalk>,
) -> ApiResult<Response> {
    let request = caller.request(body.request_id.as_deref())?;
    let agent: AgentName = id(&body.agent)?;
    // Only where it is named: a conversation may be long. It always serializes.
    let text = request.as_ref().map(|_| serde_json::to_vec(&body.talk).unwrap_or_default()).unwrap_or_default();
    let asked = asked(request.clone(), "POST /imports".to_owned(), agent.as_str(), &text);
    once(&app, asked, take(&app, (agent, body.talk), request)).await
}

async fn take(app: &App, (agent, talk): (AgentName, Talk), request: Option<RequestId>) -> ApiResult<Response> {
    let (agent_digest, on_disconnect) = match app.runtime.agents().card(&agent) {
        Ok(card) => (card.digest, card.on_disconnect),
        // One that cannot run now, as without its key: what it had said can be kept and read all the same.
        Err(KitError::Invalid { .. }) => (String::new(), OnDisconnect::default()),
        Err(error @ (KitError::Unknown(_) | KitError::NoTurn)) => return Err(error.into()),
    };
    let adopted = Adopted { agent, agent_digest, on_disconnect, talk: Arc::new(talk) };
    let imported = app.runtime.adopt(adopted, request).await?;
    let status = if imported.already { StatusCode::OK } else { StatusCode::CREATED };
    let location = format!("{BASE}/sessions/{}", imported.session);
    let body = ImportedTalk { id: imported.session.to_string(), already: imported.already, head: imported.head };
    Ok((status, [(header::LOCATION, location)], Json(body)).into_response())
}
