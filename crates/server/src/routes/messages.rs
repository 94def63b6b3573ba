//! Messages: say something, read what was said.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use outlive_core::command::{Command, Message};
use outlive_core::id::{Seq, SessionId};
use outlive_protocol::message::{MessageAccepted, Messages, PostMessage, TurnResult};
use outlive_protocol::{Problem, code};
use outlive_runtime::Accepted;
use serde::Deserialize;

use super::artifacts;
use crate::App;
use crate::body::{Body, Caller, Path, Query, id, limit, position_before};
use crate::problem::{ApiError, ApiResult};

/// How long to hold the answer.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wait {
    /// Seconds to wait for the turn's ending, 0 to 3600.
    wait: Option<f64>,
}

/// Says something. 202 once it is durable; with `?wait` 200 when its turn has ended, or 202 when the time is over first.
#[utoipa::path(post, path = "/sessions/{id}/messages", tag = "messages", params(("id" = String, Path), Wait),
    request_body = PostMessage,
    responses((status = 200, body = TurnResult), (status = 202, body = MessageAccepted), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub(super) async fn post(
    State(app): State<App>,
    Path(session): Path<String>,
    Query(wait): Query<Wait>,
    caller: Caller,
    Body(body): Body<PostMessage>,
) -> ApiResult<Response> {
    let session = id(&session)?;
    let held = wait.wait.map(seconds_of).transpose()?;
    let request = caller.request(body.request_id.as_deref())?;
    let request_id = request.as_ref().map(ToString::to_string);
    let message = Message {
        attachments: artifacts::named(&app, body.attachments).await?,
        content: body.content,
        output_schema: body.output_schema,
        behavior: body.behavior,
        origin: caller.by,
    };
    let accepted = app.runtime.submit(session, Command::Message(message), request).await?;
    if let Some(held) = held {
        let ended = tokio::time::timeout(held, ending(&app, session, &accepted, request_id.clone()));
        let result = match &caller.who {
            Some(who) => who.while_it_holds(app.runtime.moments().now(), ended).await?,
            None => ended.await,
        };
        if let Ok(result) = result {
            return Ok((StatusCode::OK, Json(result?)).into_response());
        }
    }
    let Accepted { seq, turn, duplicate, .. } = accepted;
    Ok((StatusCode::ACCEPTED, Json(MessageAccepted { seq, turn_id: turn, request_id, duplicate })).into_response())
}

fn seconds_of(seconds: f64) -> ApiResult<Duration> {
    let fits = (0.0..=3_600.0).contains(&seconds);
    let duration = Duration::try_from_secs_f64(seconds).ok().filter(|_| fits);
    duration.ok_or_else(|| ApiError::new(&code::INVALID, "wait is a number of seconds from 0 to 3600"))
}

async fn ending(
    app: &App,
    session: SessionId,
    accepted: &Accepted,
    request_id: Option<String>,
) -> ApiResult<TurnResult> {
    let Some(turn) = accepted.turn else {
        return Err(ApiError::new(&code::CONFLICT, "the message belongs to no turn"));
    };
    let outcome = app.runtime.outcome(session, turn, accepted.seq).await?;
    Ok(TurnResult {
        turn_id: outcome.turn,
        ending: outcome.ending,
        message: outcome.message,
        usage: outcome.usage,
        cost: outcome.usage.charged(),
        error: outcome.error,
        seq: accepted.seq,
        request_id,
        duplicate: accepted.duplicate,
    })
}

/// Which messages.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Range {
    /// 1 to 1000; 200 by default.
    limit: Option<usize>,
    /// From the page before.
    cursor: Option<u64>,
    /// Only messages before this seq, the newest of them: 1 to the head + 1. Not with `cursor`.
    before: Option<Seq>,
}

/// The transcript, oldest first; with `before` its last messages before there, and in `earlier` what to ask next.
#[utoipa::path(get, path = "/sessions/{id}/messages", tag = "messages", params(("id" = String, Path), Range),
    responses((status = 200, body = Messages), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn list(
    State(app): State<App>,
    Path(session): Path<String>,
    Query(range): Query<Range>,
) -> ApiResult<Json<Messages>> {
    let limit = limit(range.limit, 200, 1_000)?;
    let session = id(&session)?;
    let head = app.runtime.head(session).await?;
    if let Some(before) = position_before(range.before, range.cursor, ("cursor", head))? {
        let items = app.runtime.messages_before(session, before, limit).await?;
        let earlier = items.first().filter(|_| items.len() == limit).map(|first| first.seq);
        return Ok(Json(Messages { items, next_cursor: None, earlier }));
    }
    if let Some(cursor) = range.cursor.filter(|cursor| *cursor > head) {
        let what = format!("cursor: no page ended with {cursor}, the journal ends with {head}");
        return Err(ApiError::new(&code::INVALID, what));
    }
    let items = app.runtime.messages(session, range.cursor.unwrap_or(0), limit).await?;
    let next_cursor = items.last().filter(|_| items.len() == limit).map(|last| last.seq.to_string());
    Ok(Json(Messages { items, next_cursor, earlier: None }))
}
