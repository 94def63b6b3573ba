//! Tokens: made, listed, revoked. The text of one is shown once, to whoever has it made.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use outlive_protocol::token::{PostToken, TokenMade, TokenView};
use outlive_protocol::{Page, Problem};

use crate::App;
use crate::audit::Told;
use crate::body::{Body, Caller, Path};
use crate::keyed::{asked, once};
use crate::problem::ApiResult;

/// Lists the further tokens by name, and what each is for. Never their texts: nobody keeps them.
#[utoipa::path(get, path = "/tokens", tag = "tokens", responses((status = 200, body = Page<TokenView>)))]
pub(super) async fn list(State(app): State<App>) -> Json<Page<TokenView>> {
    let items = app.settings.tokens.list(app.runtime.moments().now());
    Json(Page { items, next_cursor: None })
}

/// Makes a token. Its text is in this answer and nowhere else: an answer that is lost is a token to revoke. Not done once under
/// an `Idempotency-Key`, which would need the text to be kept; the same name is refused instead.
#[utoipa::path(post, path = "/tokens", tag = "tokens", request_body = PostToken,
    responses((status = 201, body = TokenMade), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn create(State(app): State<App>, Body(wanted): Body<PostToken>) -> ApiResult<impl IntoResponse> {
    let now = app.runtime.moments().now();
    let tokens = app.settings.tokens.clone();
    let made = app.runtime.see_through(async move { tokens.create(wanted, now) }).await??;
    tracing::info!(token = made.view.name, scopes = %made.view.scopes, "token made");
    let told = Told { what: "token.create", on: Some(("token", made.view.name.clone())) };
    let headers = [(axum::http::header::CACHE_CONTROL, "no-store")];
    Ok((StatusCode::CREATED, headers, Extension(told), Json(made)))
}

/// Revokes a token: at once, open streams end, too.
#[utoipa::path(delete, path = "/tokens/{name}", tag = "tokens", params(("name" = String, Path)),
    responses((status = 204, description = "It lets nobody in any more"), (status = 404, body = Problem)))]
pub(super) async fn revoke(State(app): State<App>, Path(name): Path<String>, caller: Caller) -> ApiResult<Response> {
    let asked = asked(caller.request(None)?, format!("DELETE /tokens/{name}"), "", b"");
    let revoke = |app: App| async move {
        app.settings.tokens.revoke(&name)?;
        tracing::info!(token = name, "token revoked");
        Ok(StatusCode::NO_CONTENT.into_response())
    };
    once(app, asked, revoke).await
}
