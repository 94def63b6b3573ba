//! Relays: those that can be begun, and those of sessions.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use outlive_core::command::{Chosen, Command, Create, NewRelay, RelayCommand};
use outlive_core::event::{Origin, RelaySource};
use outlive_core::id::{AgentName, RequestId, SessionId};
use outlive_core::relay::{Definition, Faults, read_value};
use outlive_core::session::Refusal;
use outlive_protocol::relay::{ChangeRelay, KeepRelay, RelayRun, RelayStart, RelayView, StartRelay};
use outlive_protocol::session::Done;
use outlive_protocol::{Page, Problem, code};
use outlive_runtime::{Over, RelayFile, SubmitError};
use serde::Deserialize;

use super::control::done;
use super::sessions::new_id;
use crate::App;
use crate::body::{Body, Caller, Path, Query, id, limit};
use crate::keyed::{asked, once};
use crate::problem::{ApiError, ApiResult};

/// Which part of a list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Range {
    /// 1 to 200; 50 by default.
    limit: Option<usize>,
    /// From the page before.
    cursor: Option<String>,
}

/// The relays of the workspace; one whose file is none is listed with what is wrong.
#[utoipa::path(get, path = "/relays", tag = "relays", params(Range),
    responses((status = 200, body = Page<RelayView>), (status = 422, body = Problem)))]
pub(super) async fn list(State(app): State<App>, Query(range): Query<Range>) -> ApiResult<Json<Page<RelayView>>> {
    let limit = limit(range.limit, 50, 200)?;
    let mut files = app.runtime.relays()?;
    files.retain(|file| range.cursor.as_deref().is_none_or(|cursor| file.name.as_str() > cursor));
    let next_cursor = files.get(limit).and_then(|_| files.get(limit - 1)).map(|file| file.name.clone());
    let view = |RelayFile { name, definition }| match definition {
        Ok(definition) => RelayView::of(&definition),
        Err(faults) => RelayView::broken(name, faults.to_string()),
    };
    Ok(Json(Page { items: files.into_iter().take(limit).map(view).collect(), next_cursor }))
}

/// Keeps a relay in the workspace, as `relays/NAME.yaml`.
#[utoipa::path(post, path = "/relays", tag = "relays", request_body = KeepRelay,
    responses((status = 201, body = RelayView), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn keep(State(app): State<App>, caller: Caller, Body(body): Body<KeepRelay>) -> ApiResult<Response> {
    let definition = read(&body.definition)?;
    let (request, how) = (caller.request(body.request_id.as_deref())?, format!("replace: {}", body.replace));
    let asked = asked(request, "POST /relays".to_owned(), &how, body.definition.to_string().as_bytes());
    once(app, asked, |app| async move {
        // The same again changes nothing.
        let found = app.runtime.relay(&definition.name)?;
        if found.as_ref().is_none_or(|file| file.definition.as_ref() != Ok(&definition)) {
            if found.is_some() && !body.replace {
                let name = &definition.name;
                let what = format!("relay `{name}` is there already: send `replace: true`, or choose another name");
                return Err(ApiError::new(&code::RELAY_EXISTS, what));
            }
            let over = if body.replace { Over::Anything } else { Over::Nothing };
            app.runtime.keep_relay(&definition, over)?;
        }
        Ok((StatusCode::CREATED, Json(RelayView::whole(definition))).into_response())
    })
    .await
}

/// One relay.
#[utoipa::path(get, path = "/relays/{name}", tag = "relays", params(("name" = String, Path)),
    responses((status = 200, body = RelayView), (status = 404, body = Problem)))]
pub(super) async fn show(State(app): State<App>, Path(name): Path<String>) -> ApiResult<Json<RelayView>> {
    let RelayFile { name, definition } = find(&app, &name)?;
    Ok(Json(match definition {
        Ok(definition) => RelayView::whole(definition),
        Err(faults) => RelayView::broken(name, faults.to_string()),
    }))
}

/// Begins a relay of the workspace, in a session or in a fresh one. Whoever begins it approves its commands; what a rule denies
/// stays denied.
#[utoipa::path(post, path = "/relays/{name}/start", tag = "relays", params(("name" = String, Path)),
    request_body = StartRelay, responses((status = 201, body = RelayStart), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn start(
    State(app): State<App>,
    Path(name): Path<String>,
    caller: Caller,
    Body(body): Body<StartRelay>,
) -> ApiResult<(StatusCode, Json<RelayStart>)> {
    let request = caller.request(body.request_id.as_deref())?;
    let definition = find(&app, &name)?.definition.map_err(|faults| invalid(&faults))?;
    let new = NewRelay { definition, source: RelaySource::File, state: body.state, input: body.input };
    let session = match (&body.session, &body.agent) {
        (Some(_), Some(_)) => {
            return Err(ApiError::new(&code::INVALID, "give `session` or `agent`, not both: a session has its agent"));
        }
        (Some(session), None) => id(session)?,
        (None, Some(agent)) => fresh(&app, (&id(agent)?, &new), request.as_ref(), &caller.by).await?,
        (None, None) => {
            return Err(ApiError::new(&code::INVALID, "agent: name whose session it is to be, or a `session`"));
        }
    };
    let command = Command::Relay { what: RelayCommand::Start(Box::new(new)), by: caller.by };
    let accepted = app.runtime.submit(session, command, request).await?;
    let (seq, duplicate) = (accepted.seq, accepted.duplicate);
    Ok((StatusCode::CREATED, Json(RelayStart { session_id: session.to_string(), seq, duplicate })))
}

/// Makes the session of a relay: under the same name the same one.
async fn fresh(
    app: &App,
    (agent, new): (&AgentName, &NewRelay),
    request: Option<&RequestId>,
    by: &Origin,
) -> ApiResult<SessionId> {
    let card = app.runtime.agents().card(agent)?;
    let create = Create {
        agent: card.name,
        agent_digest: card.digest,
        title: Some(new.definition.name.clone()),
        project: None,
        task: None,
        memory: None,
        on_disconnect: card.on_disconnect,
        labels: BTreeMap::new(),
        by: by.clone(),
    };
    let session = new_id(app, "relay", request);
    // What cannot begin leaves no session behind.
    if app.runtime.view(session).await.is_err() {
        let checked = outlive_core::session::check_relay(new, by, &mut app.runtime.moments().moment());
        checked.map_err(SubmitError::Refused)?;
    }
    match app.runtime.submit(session, Command::Create(create), None).await {
        Ok(_) | Err(SubmitError::Refused(Refusal::Exists)) => Ok(session),
        Err(error) => Err(error.into()),
    }
}

/// The relay of a session, and what its relays did: a row for each attempt.
#[utoipa::path(get, path = "/sessions/{id}/relay", tag = "relays", params(("id" = String, Path), Range),
    responses((status = 200, body = RelayRun), (status = 404, body = Problem)))]
pub(super) async fn run(
    State(app): State<App>,
    Path(session): Path<String>,
    Query(range): Query<Range>,
) -> ApiResult<Json<RelayRun>> {
    let (session, limit) = (id(&session)?, limit(range.limit, 50, 200)?);
    let after = range.cursor.as_deref().map(str::parse::<u64>).transpose();
    let after = after.map_err(|_| ApiError::new(&code::INVALID, "cursor is not one that this list gave out"))?;
    let state = app.runtime.view(session).await?;
    let Some(relay) = state.relay() else {
        return Err(ApiError::new(&code::RELAY_NOT_FOUND, "no relay was begun in this session"));
    };
    let (rows, more) = app.runtime.relay_rows(session, after.unwrap_or(0), limit).await?;
    let next = rows.last().filter(|_| more).map(|row| row.seq.to_string());
    Ok(Json(RelayRun::of(relay, rows, next)))
}

/// Begins, steers or ends the relay of a session.
#[utoipa::path(post, path = "/sessions/{id}/relay", tag = "relays", params(("id" = String, Path)), request_body = ChangeRelay,
    responses((status = 200, body = Done), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 422, body = Problem)))]
pub(super) async fn change(
    State(app): State<App>,
    Path(session): Path<String>,
    caller: Caller,
    Body(body): Body<ChangeRelay>,
) -> ApiResult<Json<Done>> {
    let (what, request) = match body {
        ChangeRelay::Start { definition, state, input, request_id } => {
            let (definition, source) = (read(&definition)?, RelaySource::Api);
            let new = NewRelay { definition, source, state, input };
            (RelayCommand::Start(Box::new(new)), request_id)
        }
        ChangeRelay::Select { state, input, reason, request_id } => {
            (RelayCommand::Select(Chosen { state, input, reason }), request_id)
        }
        ChangeRelay::Redefine { definition, reason, request_id } => {
            (RelayCommand::Redefine { definition: Box::new(read(&definition)?), reason }, request_id)
        }
        ChangeRelay::Reopen { reason, state, input, request_id } => {
            let with = state.map(|state| Chosen { state, input, reason: Some(reason.clone()) });
            (RelayCommand::Reopen { reason, with }, request_id)
        }
        ChangeRelay::Cancel { reason, request_id } => (RelayCommand::Cancel { reason }, request_id),
    };
    let request = caller.request(request.as_deref())?;
    let command = Command::Relay { what, by: caller.by };
    Ok(Json(done(app.runtime.submit(id(&session)?, command, request).await?)))
}

fn find(app: &App, name: &str) -> ApiResult<RelayFile> {
    let missing = || {
        let shown: String = name.chars().take(80).collect();
        ApiError::new(&code::RELAY_NOT_FOUND, format!("there is no relay `{shown}`; `outlive relay list` shows them"))
    };
    if !outlive_core::relay::validate::is_name(name) {
        return Err(missing());
    }
    app.runtime.relay(name)?.ok_or_else(missing)
}

fn read(definition: &serde_json::Value) -> ApiResult<Definition> {
    read_value(definition).map_err(|faults| invalid(&faults))
}

fn invalid(faults: &Faults) -> ApiError {
    let all: Vec<String> = faults.all.iter().map(|fault| format!("{}: {}", fault.path, fault.what)).collect();
    ApiError::new(&code::RELAY_INVALID, faults.to_string()).with("faults", all.into())
}
