//! The audit log, newest entries first.

use axum::Json;
use axum::extract::State;
use outlive_core::time::Timestamp;
use outlive_protocol::audit::AuditRow;
use outlive_protocol::{Page, Problem, code};
use outlive_runtime::audit::AuditEntry;
use serde::Deserialize;

use crate::App;
use crate::body::{Query, limit};
use crate::problem::{ApiError, ApiResult};

/// Which entries.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Only of whoever has this name.
    who: Option<String>,
    /// Only with this name: `approve`, `call.denied`; one that ends with a point stands for all that begin so.
    what: Option<String>,
    /// Only on this session.
    session: Option<String>,
    /// Only from this moment on, in RFC 3339.
    since: Option<String>,
    /// 1 to 1000; 100 by default.
    limit: Option<usize>,
    /// From the page before.
    cursor: Option<u64>,
}

/// Lists who approved, denied, changed and read what, newest first.
#[utoipa::path(get, path = "/audit", tag = "audit", params(Which),
    responses((status = 200, body = Page<AuditRow>), (status = 422, body = Problem)))]
pub(super) async fn list(State(app): State<App>, Query(which): Query<Which>) -> ApiResult<Json<Page<AuditRow>>> {
    let limit = limit(which.limit, 100, 1_000)?;
    let since = which.since.as_deref().map(str::parse::<Timestamp>).transpose();
    let since = since.map_err(|_| ApiError::new(&code::INVALID, "since: a moment in RFC 3339 is needed"))?;
    let fits = |entry: &AuditEntry| {
        let act = &entry.act;
        let is_what = |what: &String| *what == act.what || (what.ends_with('.') && act.what.starts_with(what.as_str()));
        which.cursor.is_none_or(|before| entry.seq < before)
            && which.who.as_ref().is_none_or(|who| *who == act.who)
            && which.what.as_ref().is_none_or(is_what)
            && which.session.as_ref().is_none_or(|session| act.on.get("session") == Some(session))
            && since.is_none_or(|since| act.at >= since)
    };
    let Some(log) = app.settings.audit.log() else { return Ok(Json(Page { items: Vec::new(), next_cursor: None })) };
    let mut newest = log.newest(limit, &fits)?;
    newest.reverse();
    let next_cursor = newest.last().filter(|_| newest.len() == limit).map(|entry| entry.seq.to_string());
    let row = |entry: AuditEntry| AuditRow {
        seq: entry.seq,
        at: entry.act.at,
        who: entry.act.who,
        sender: entry.act.sender,
        from: entry.act.from,
        what: entry.act.what,
        on: entry.act.on,
        outcome: entry.act.outcome,
        prev: entry.prev.to_string(),
        hash: entry.hash.to_string(),
    };
    Ok(Json(Page { items: newest.into_iter().map(row).collect(), next_cursor }))
}
