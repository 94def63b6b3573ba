//! One WebSocket for what a client hears and asks: the frames of the server-sent events, and commands with their replies.
//!
//! A token is shown before the handshake is answered: in the `Authorization` header, or by a page as the second of two
//! subprotocols, `bearer` and the token. There is no connection without one.

mod commands;
mod talk;

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::HeaderMap;
use axum::response::Response;
use outlive_core::event::OriginKind;
use outlive_protocol::socket::BEARER;
use outlive_protocol::{Problem, code};

use crate::App;
use crate::body::Caller;
use crate::guard::offered;
use crate::peer::Address;
use crate::problem::{ApiError, ApiResult};

/// A WebSocket: the client sends `ClientFrame`s, the server `ServerFrame`s, each a JSON object in a text frame. A page,
/// which cannot set `Authorization`, offers the subprotocols `bearer` and its token, in this order.
#[utoipa::path(get, path = "/ws", tag = "events",
    responses((status = 101, description = "The connection is a WebSocket now"), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn open(
    State(app): State<App>,
    caller: Caller,
    Extension(from): Extension<Address>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> ApiResult<Response> {
    let upgrade = upgrade.map_err(|refused| {
        ApiError::new(&code::BAD_REQUEST, format!("this route takes a WebSocket handshake: {}", refused.body_text()))
    })?;
    let mut by = caller.by;
    if offered(&headers).is_some() {
        by.kind = OriginKind::Web;
    }
    let most = app.settings.body_bytes;
    let upgrade = upgrade.protocols([BEARER]).max_message_size(most).max_frame_size(most);
    // The guard lets nobody in without one.
    let who = caller.who.ok_or_else(|| ApiError::new(&code::UNAUTHORIZED, "send a token"))?;
    let open = app.sockets.token();
    Ok(upgrade.on_upgrade(move |socket| async move {
        talk::Talk::new(app, talk::Client { by, who, from: from.0 }, socket).run().await;
        drop(open);
    }))
}
