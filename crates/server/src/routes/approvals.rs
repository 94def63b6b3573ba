//! What waits for a person, and the person's decision.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use outlive_core::command::{Command, Decision, Verdict};
use outlive_core::session::Status;
use outlive_protocol::approval::{ApprovalView, Decide, InboxItem};
use outlive_protocol::session::Done;
use outlive_protocol::token::Scope;
use outlive_protocol::{Page, Problem};
use outlive_runtime::{Approval, ListQuery};
use serde::Deserialize;

use super::control::done;
use super::list::{newest_cursor, read_newest};
use crate::App;
use crate::audit::Told;
use crate::body::{Body, Caller, Path, Query, id, limit};
use crate::problem::{ApiError, ApiResult};

/// Which part of the inbox.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Range {
    /// Sessions that a page goes through, with all that waits in each: 1 to 200; 200 by default.
    limit: Option<usize>,
    /// From the page before.
    cursor: Option<String>,
}

fn view(approval: Approval) -> ApprovalView {
    ApprovalView {
        session_id: approval.session,
        call: approval.call,
        seq: approval.seq,
        tool: approval.tool,
        summary: approval.summary,
        rule: approval.rule,
        because: approval.because,
        arguments: approval.arguments,
    }
}

/// Calls of a session that wait for a person.
#[utoipa::path(get, path = "/sessions/{id}/approvals", tag = "approvals", params(("id" = String, Path)),
    responses((status = 200, body = Page<ApprovalView>), (status = 404, body = Problem)))]
pub(super) async fn list(State(app): State<App>, Path(session): Path<String>) -> ApiResult<Json<Page<ApprovalView>>> {
    let waiting = app.runtime.approvals(id(&session)?).await?;
    Ok(Json(Page { items: waiting.into_iter().map(view).collect(), next_cursor: None }))
}

/// Decides on a call, once: who comes later gets 409 with the first decision in `first`.
#[utoipa::path(post, path = "/sessions/{id}/approvals/{call}", tag = "approvals",
    params(("id" = String, Path), ("call" = String, Path)), request_body = Decide,
    responses((status = 200, body = Done), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn decide(
    State(app): State<App>,
    Path((session, call)): Path<(String, String)>,
    caller: Caller,
    Body(body): Body<Decide>,
) -> ApiResult<Response> {
    let request = caller.request(body.request_id.as_deref())?;
    let told = Told { what: verb(body.decision), on: None };
    if body.decision == Verdict::AllowAgent {
        caller.needs(Scope::Admin)?;
    }
    let (call, asked) = (id(&call)?, body.seq);
    let decision = Decision { call, asked, verdict: body.decision, reason: body.reason, by: caller.by };
    let decided = app.runtime.submit(id(&session)?, Command::Decide(decision), request).await;
    let answer = decided.map(|accepted| Json(done(accepted))).map_err(ApiError::from);
    Ok((Extension(told), answer).into_response())
}

/// The decision's name in the audit log.
pub(super) fn verb(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allow => "approve",
        Verdict::AllowAlways => "approve.always",
        Verdict::AllowAgent => "approve.agent",
        Verdict::Deny => "deny",
    }
}

/// Everything that waits for a person, in all sessions, newest first.
#[utoipa::path(get, path = "/inbox", tag = "approvals", params(Range),
    responses((status = 200, body = Page<InboxItem>), (status = 422, body = Problem)))]
pub(super) async fn inbox(State(app): State<App>, Query(range): Query<Range>) -> ApiResult<Json<Page<InboxItem>>> {
    let limit = limit(range.limit, 200, 200)?;
    let after = range.cursor.as_deref().map(read_newest).transpose()?;
    let mut rows = Vec::new();
    for status in [Status::Approving, Status::Asking] {
        let status = Some(status.as_str().to_owned());
        rows.extend(app.runtime.list(ListQuery { status, after: after.clone(), limit, ..ListQuery::default() }).await?);
    }
    rows.sort_by_key(|row| std::cmp::Reverse((row.updated_at, row.session)));
    rows.truncate(limit);
    let next_cursor = newest_cursor(&rows, limit);
    let mut items = Vec::new();
    for row in rows {
        // A session that cannot be opened must not hide the others.
        let waiting = app.runtime.approvals(row.session).await.unwrap_or_default();
        items.extend(waiting.into_iter().map(|approval| InboxItem::Approval(view(approval))));
        let asked = app.runtime.questions(row.session).await.unwrap_or_default();
        items.extend(asked.into_iter().map(|open| InboxItem::Question(super::questions::view(row.session, open))));
    }
    Ok(Json(Page { items, next_cursor }))
}
