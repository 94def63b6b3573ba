//! Events: the journal from a position, as a page or as a stream that goes on live.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::Stream;
use futures_util::stream::unfold;
use outlive_core::event::Line;
use outlive_core::id::{Seq, SessionId};
use outlive_protocol::event::{Events, SSE_DELTA, SSE_EVENT, SSE_LIVE};
use outlive_protocol::{Problem, code};
use outlive_runtime::StoreError;
use outlive_runtime::feeds::Published;
use outlive_runtime::subscribe::{Signal, Subscription};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::App;
use crate::body::{Path, Query, id, limit, position_before};
use crate::problem::{ApiError, ApiResult};

/// Pause between comments that keep a silent stream open.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// From where.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Range {
    /// Only events after this seq. `Last-Event-ID` counts before it.
    after: Option<Seq>,
    /// Only events before this seq, the last of them: 1 to the head + 1. Not with `after`, not for streams.
    before: Option<Seq>,
    /// 1 to 1000; 200 by default. Not for streams.
    limit: Option<usize>,
}

/// A session's journal. With `Accept: text/event-stream`: replayed, then live; `id:` is the seq; `event: delta` has none
/// and is never needed; `event: live` says that the replay is over.
#[utoipa::path(get, path = "/sessions/{id}/events", tag = "events", params(("id" = String, Path), Range),
    responses((status = 200, description = "A page of the journal, or its lines as server-sent events",
            content((Events = "application/json"), (String = "text/event-stream"))),
        (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn of_session(
    State(app): State<App>,
    Path(session): Path<String>,
    Query(range): Query<Range>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let session: SessionId = id(&session)?;
    let head = app.runtime.head(session).await?;
    let after = last_event_id(&headers)?.or(range.after).unwrap_or(0);
    // A page from there on is empty, and says where the end is; a stream would be silent for ever.
    if after > head && wants_stream(&headers) {
        let what = format!("there is no event {after} to go on after: the journal ends with {head}");
        return Err(ApiError::new(&code::INVALID, what));
    }
    let before = position_before(range.before, range.after, ("after", head))?;
    if before.is_some() && wants_stream(&headers) {
        return Err(ApiError::new(&code::INVALID, "before: a stream goes on after an event, with `after`"));
    }
    if wants_stream(&headers) {
        return Ok(stream(app.runtime.attach(session, after).await?, app.runtime.closing()).into_response());
    }
    let limit = limit(range.limit, 200, 1_000)?;
    let lines = match before {
        Some(before) => app.runtime.entries_before(session, before, limit).await?,
        None => app.runtime.entries(session, after, limit).await?,
    };
    let raw = |line: &Line| RawValue::from_string(line.as_str().to_owned());
    let items: Result<Vec<_>, _> = lines.iter().map(raw).collect();
    let items = items.map_err(|_| ApiError::new(&code::JOURNAL_CORRUPT, "an event is not JSON"))?;
    let head = head.max(lines.last().map_or(0, Line::seq));
    Ok(Json(Events { items, head }).into_response())
}

fn wants_stream(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/event-stream"))
}

fn last_event_id(headers: &HeaderMap) -> ApiResult<Option<Seq>> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let seq = value.to_str().ok().and_then(|text| text.parse().ok());
    seq.map(Some).ok_or_else(|| ApiError::new(&code::INVALID, "Last-Event-ID is the seq of an event"))
}

fn stream(
    subscription: Subscription,
    closing: CancellationToken,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let events = unfold((subscription, closing), async |(mut subscription, closing)| {
        let event = tokio::select! {
            signal = subscription.next() => frame(signal, subscription.cursor()),
            () = closing.cancelled() => None,
        };
        event.map(|event| (Ok(event), (subscription, closing)))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

fn frame(signal: Result<Option<Signal>, StoreError>, cursor: Seq) -> Option<Event> {
    match signal {
        Ok(Some(Signal::Event(line, _))) => {
            Some(Event::default().id(line.seq().to_string()).event(SSE_EVENT).data(line.as_str()))
        }
        // A delta of strings always serializes.
        Ok(Some(Signal::Delta(delta))) => {
            Some(Event::default().event(SSE_DELTA).data(serde_json::to_string(&delta).unwrap_or_default()))
        }
        Ok(Some(Signal::Live)) => Some(Event::default().event(SSE_LIVE).data(cursor.to_string())),
        Ok(None) => None,
        Err(error) => {
            tracing::error!(%error, "stream ended");
            None
        }
    }
}

/// All sessions' events from now on, each with its `session_id`. A client that is too slow is cut off: it reads the
/// journals it cares about and comes back.
#[utoipa::path(get, path = "/events", tag = "events",
    responses((status = 200, description = "Events of all sessions", body = String, content_type = "text/event-stream")))]
pub(super) async fn of_all(State(app): State<App>) -> impl IntoResponse {
    let receiver = app.runtime.subscribe_to_all();
    let start = (receiver, app, VecDeque::new());
    let events = unfold(start, async |(mut receiver, app, mut ready)| {
        let closing = app.runtime.closing();
        while ready.is_empty() {
            ready = tokio::select! {
                frames = next_of_all(&app, &mut receiver) => frames?.into(),
                () = closing.cancelled() => return None,
            };
        }
        let event = ready.pop_front()?;
        Some((Ok::<_, Infallible>(event), (receiver, app, ready)))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

/// An event with its session in front.
fn of(session: SessionId, line: &Line) -> Event {
    let rest = line.as_str().trim_start_matches('{');
    Event::default().event(SSE_EVENT).data(format!("{{\"session_id\":\"{session}\",{rest}"))
}

async fn next_of_all(app: &App, receiver: &mut Receiver<(SessionId, Published)>) -> Option<Vec<Event>> {
    match receiver.recv().await {
        Ok((session, Published::Events(events))) => Some(events.iter().map(|(line, _)| of(session, line)).collect()),
        Ok((session, Published::Written(range))) => {
            let (first, last) = range.into_inner();
            let count = usize::try_from(last + 1 - first).unwrap_or(0);
            // A session that was deleted meanwhile has nothing more to say.
            let lines = app.runtime.entries(session, first - 1, count).await.unwrap_or_default();
            Some(lines.iter().map(|line| of(session, line)).collect())
        }
        Ok((_, Published::Delta(_) | Published::Removed)) => Some(Vec::new()),
        Err(RecvError::Lagged(_) | RecvError::Closed) => None,
    }
}
