//! What waits for a person, and the person's decision.

use axum::Json;
use axum::extract::State;
use outlive_core::command::{Command, Decision};
use outlive_protocol::approval::{ApprovalView, Decide, InboxItem};
use outlive_protocol::session::Done;
use outlive_protocol::{Page, Problem};
use outlive_runtime::Approval;

use super::control::done;
use crate::App;
use crate::body::{Body, Caller, Path, id};
use crate::problem::ApiResult;

/// At most this many sessions are looked into for the inbox.
const INBOX: usize = 200;

fn view(approval: Approval) -> ApprovalView {
    ApprovalView {
        session_id: approval.session,
        call: approval.call,
        tool: approval.tool,
        summary: approval.summary,
        rule: approval.rule,
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
) -> ApiResult<Json<Done>> {
    let request = caller.request(body.request_id.as_deref())?;
    let decision = Decision { call: id(&call)?, verdict: body.decision, reason: body.reason, by: caller.by };
    let accepted = app.runtime.submit(id(&session)?, Command::Decide(decision), request).await?;
    Ok(Json(done(accepted)))
}

/// Everything that waits for a person, in all sessions.
#[utoipa::path(get, path = "/inbox", tag = "approvals", responses((status = 200, body = Page<InboxItem>)))]
pub(super) async fn inbox(State(app): State<App>) -> ApiResult<Json<Page<InboxItem>>> {
    let waiting = app.runtime.inbox(INBOX).await?;
    let items = waiting.into_iter().map(|approval| InboxItem::Approval(view(approval))).collect();
    Ok(Json(Page { items, next_cursor: None }))
}
