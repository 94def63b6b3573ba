//! The trash: look into it, bring back, empty it.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use outlive_protocol::session::SessionView;
use outlive_protocol::trash::{Emptied, TrashRow};
use outlive_protocol::{Page, Problem, code};
use outlive_runtime::Note;
use serde::Deserialize;

use super::list::row;
use super::sessions::view;
use crate::App;
use crate::body::{Caller, Path, Query, id, limit};
use crate::keyed::{asked, once};
use crate::problem::{ApiError, ApiResult};

/// Which page.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// 1 to 200; 50 by default.
    limit: Option<usize>,
    /// From the page before.
    cursor: Option<String>,
}

/// Lists what is in the trash, what was deleted last first.
#[utoipa::path(get, path = "/trash", tag = "trash", params(Which),
    responses((status = 200, body = Page<TrashRow>), (status = 422, body = Problem)))]
pub(super) async fn list(State(app): State<App>, Query(which): Query<Which>) -> ApiResult<Json<Page<TrashRow>>> {
    let limit = limit(which.limit, 50, 200)?;
    let after = which.cursor.as_deref().map(read_cursor).transpose()?;
    let place = |note: &Note| (note.at.micros(), note.row.session);
    let mut notes = app.runtime.discarded().await?;
    notes.retain(|note| after.is_none_or(|after| place(note) < after));
    let more = notes.len() > limit;
    notes.truncate(limit);
    let last = notes.last().filter(|_| more).map(place);
    let next_cursor = last.map(|(at, session)| format!("{at}.{session}"));
    let shown = |note: Note| TrashRow { row: row(note.row), deleted_at: note.at, deleted_by: note.by };
    Ok(Json(Page { items: notes.into_iter().map(shown).collect(), next_cursor }))
}

fn read_cursor(text: &str) -> ApiResult<(i64, outlive_core::id::SessionId)> {
    let read = || {
        let (at, session) = text.split_once('.')?;
        Some((at.parse().ok()?, session.parse().ok()?))
    };
    read().ok_or_else(|| ApiError::new(&code::INVALID, "cursor is not one that this list gave out"))
}

/// Erases everything in the trash: nothing of it is left in any file.
#[utoipa::path(delete, path = "/trash", tag = "trash", responses((status = 200, body = Emptied)))]
pub(super) async fn empty(State(app): State<App>, caller: Caller) -> ApiResult<Response> {
    let asked = asked(caller.request(None)?, "DELETE /trash".to_owned(), "", b"");
    once(&app, asked, async { Ok(Json(Emptied { erased: app.runtime.empty_trash().await? }).into_response()) }).await
}

/// Brings a session back from the trash, whole. One that is not in the trash stays as it is.
#[utoipa::path(post, path = "/sessions/{id}/restore", tag = "trash", params(("id" = String, Path)),
    responses((status = 200, body = SessionView), (status = 404, body = Problem)))]
pub(super) async fn restore(State(app): State<App>, Path(session): Path<String>) -> ApiResult<Json<SessionView>> {
    let session = id(&session)?;
    app.runtime.restore(session).await?;
    Ok(Json(view(&app, session).await?))
}
