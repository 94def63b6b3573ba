//! Inbound webhooks: taken by their signature, once.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use outlive_core::command::{Command, Create, Message, NewSignal};
use outlive_core::digest::Digest;
use outlive_core::event::{Behavior, OnDisconnect, Origin, OriginKind};
use outlive_core::id::{AgentName, RequestId, SessionId};
use outlive_core::secret::Secret;
use outlive_core::session::Refusal;
use outlive_core::webhook::{Begun, NoRoute, Sent, Webhook, verify};
use outlive_protocol::wait::HookTaken;
use outlive_protocol::{Problem, code};
use outlive_runtime::SubmitError;
use serde_json::Value;

use crate::App;
use crate::body::{Path, Raw};
use crate::problem::{ApiError, ApiResult};

/// Takes what a webhook's sender tells, by its signature: it needs no token. Delivered again, it has no second effect.
#[utoipa::path(post, path = "/hooks/{name}", tag = "waits", params(("name" = String, Path)),
    request_body(content = Value, description = "Whatever its sender sends, as JSON"), security(()),
    responses((status = 200, body = HookTaken), (status = 202, body = HookTaken), (status = 401, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem)))]
pub(super) async fn take(
    State(app): State<App>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Raw(body): Raw,
) -> ApiResult<(StatusCode, Json<HookTaken>)> {
    let unknown = || ApiError::new(&code::WEBHOOK_NOT_FOUND, "there is no webhook of this name in outlive.yaml");
    let kept = app.settings.webhooks.get(&name).ok_or_else(unknown)?;
    let taken = deliver(&app, (&name, kept), (&headers, &body)).await;
    // Its sender may never look at what it was answered.
    taken.inspect_err(|error| {
        tracing::warn!(webhook = name, code = error.code(), why = error.why(), "a delivery is refused")
    })
}

async fn deliver(
    app: &App,
    (name, (hook, secret)): (&str, &(Webhook, Option<Secret>)),
    (headers, body): (&HeaderMap, &[u8]),
) -> ApiResult<(StatusCode, Json<HookTaken>)> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let sent = Sent { header: &header, body };
    let refuse = |what: String| ApiError::new(&code::WEBHOOK_REFUSED, what);
    let Some(secret) = secret else {
        return Err(refuse(format!("the variable `{}` of this hook has no value here", hook.secret)));
    };
    let delivery = verify(hook.scheme, secret.reveal(), sent, app.runtime.moments().now());
    let delivery = delivery.map_err(|why| refuse(why.to_string()))?;
    let payload: Value = serde_json::from_slice(body)
        .map_err(|error| ApiError::new(&code::INVALID, format!("the body is not JSON: {error}")))?;
    if let Some(challenge) = hook.scheme.challenge(&payload) {
        let challenge = Some(challenge.to_owned());
        return Ok((StatusCode::OK, Json(HookTaken { challenge, ..HookTaken::default() })));
    }
    let begun = match hook.begins((name, &delivery.id), &payload) {
        Ok(begun) => begun,
        Err(NoRoute::Unasked) => return Ok((StatusCode::ACCEPTED, Json(HookTaken::default()))),
        Err(NoRoute::Unfit(why)) => return Err(ApiError::new(&code::INVALID, why)),
    };
    let by = Origin { kind: OriginKind::Webhook, sender: Some(name.to_owned()) };
    let request = request(name, &delivery.id)?;
    let (session, command) = match begun {
        Begun::Signal(session, signal) => (session, Command::Signal(NewSignal { name: signal, payload, origin: by })),
        Begun::Message(agent, session, text) => {
            make(app, (session, agent), &by).await?;
            (session, Command::Message(Message::text(text, Behavior::FollowUp, by)))
        }
    };
    let accepted = app.runtime.submit(session, command, Some(request)).await?;
    let (session_id, seq) = (Some(session.to_string()), Some(accepted.seq));
    let taken = HookTaken { session_id, seq, duplicate: accepted.duplicate, challenge: None };
    Ok((StatusCode::ACCEPTED, Json(taken)))
}

/// Makes the session where it is not there.
async fn make(app: &App, (session, agent): (SessionId, AgentName), by: &Origin) -> ApiResult<()> {
    match app.runtime.view(session).await {
        Ok(_) => return Ok(()),
        Err(SubmitError::Refused(Refusal::NoSession)) => {}
        Err(error) => return Err(error.into()),
    }
    let card = app.runtime.agents().card(&agent)?;
    let create = Create {
        agent,
        agent_digest: card.digest,
        title: None,
        project: None,
        task: None,
        memory: None,
        on_disconnect: OnDisconnect::Continue,
        labels: std::collections::BTreeMap::new(),
        by: by.clone(),
    };
    match app.runtime.submit(session, Command::Create(create), None).await {
        // Another delivery was faster.
        Ok(_) | Err(SubmitError::Refused(Refusal::Exists)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The name under which a delivery acts once.
fn request(name: &str, id: &str) -> ApiResult<RequestId> {
    let digest = Digest::of(id.as_bytes());
    let text = format!("hook.{name}.{}", digest.as_str().get(..32).unwrap_or_default());
    text.parse().map_err(|_| ApiError::new(&code::INTERNAL, "a delivery's name does not fit"))
}
