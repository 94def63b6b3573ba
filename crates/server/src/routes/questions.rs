//! What the agent asks a person, and the answer.

use axum::Json;
use axum::extract::State;
use outlive_core::command::Command;
use outlive_core::id::SessionId;
use outlive_core::session::OpenQuestion;
use outlive_protocol::question::{PostAnswer, QuestionView};
use outlive_protocol::session::Done;
use outlive_protocol::{Page, Problem};

use super::control::done;
use crate::App;
use crate::body::{Body, Caller, Path, id};
use crate::problem::ApiResult;

pub(super) fn view(session_id: SessionId, open: OpenQuestion) -> QuestionView {
    QuestionView { session_id, question: open.question, call: open.call, questions: open.questions }
}

/// Questions of a session that wait for a person.
#[utoipa::path(get, path = "/sessions/{id}/questions", tag = "questions", params(("id" = String, Path)),
    responses((status = 200, body = Page<QuestionView>), (status = 404, body = Problem)))]
pub(super) async fn list(State(app): State<App>, Path(session): Path<String>) -> ApiResult<Json<Page<QuestionView>>> {
    let session: SessionId = id(&session)?;
    let open = app.runtime.questions(session).await?;
    Ok(Json(Page { items: open.into_iter().map(|one| view(session, one)).collect(), next_cursor: None }))
}

/// Answers a question, once: who comes later gets 409 with the first answer in `first`.
#[utoipa::path(post, path = "/sessions/{id}/questions/{question}", tag = "questions",
    params(("id" = String, Path), ("question" = String, Path)), request_body = PostAnswer,
    responses((status = 200, body = Done), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 422, body = Problem)))]
pub(super) async fn answer(
    State(app): State<App>,
    Path((session, question)): Path<(String, String)>,
    caller: Caller,
    Body(body): Body<PostAnswer>,
) -> ApiResult<Json<Done>> {
    let request = caller.request(body.request_id.as_deref())?;
    let answers = body.answers.into_iter().map(Vec::from).collect();
    let command = Command::Answer { question: id(&question)?, answers, by: caller.by };
    Ok(Json(done(app.runtime.submit(id(&session)?, command, request).await?)))
}
