//! Who may come in, before any route sees the request: Host (a rebound page sends neither Origin nor Sec-Fetch-Site, so
//! Host decides), Origin, Sec-Fetch-Site, Content-Type, then the token. Health checks need no token.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use outlive_protocol::socket::{BEARER, ROUTE};
use outlive_protocol::{BASE, code};

use crate::App;
use crate::problem::{ApiError, ApiResult};

/// Routes outside the base that anybody on a good Host may ask.
const OPEN: [&str; 3] = ["/livez", "/readyz", "/version"];

pub(crate) async fn check(State(app): State<App>, request: Request, next: Next) -> Response {
    match admit(&app, request.method(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

fn admit(app: &App, method: &Method, uri: &Uri, headers: &HeaderMap) -> ApiResult<()> {
    host(app, uri, headers)?;
    origin(app, headers)?;
    content_type(method, headers)?;
    if OPEN.contains(&uri.path()) {
        return Ok(());
    }
    let is_socket = uri.path().strip_prefix(BASE) == Some(ROUTE);
    if is_socket && offered(headers).is_some_and(|shown| app.settings.token.is(&shown)) {
        return Ok(());
    }
    token(app, headers)
}

fn host(app: &App, uri: &Uri, headers: &HeaderMap) -> ApiResult<()> {
    // Two names are none: what stands before this server may have looked at the other one.
    let mut names = headers.get_all(header::HOST).iter();
    let (first, second) = (names.next(), names.next());
    let from_header = first.filter(|_| second.is_none()).and_then(|value| value.to_str().ok());
    if first.is_some() && from_header.is_none() {
        return Err(ApiError::new(&code::FOREIGN_HOST, "send one Host header, in visible ASCII characters"));
    }
    let named = from_header.or_else(|| uri.authority().map(axum::http::uri::Authority::as_str)).unwrap_or_default();
    if is_ours(app, named) {
        return Ok(());
    }
    Err(ApiError::new(
        &code::FOREIGN_HOST,
        "the Host header must name this server: 127.0.0.1, localhost or a configured host",
    ))
}

fn is_ours(app: &App, authority: &str) -> bool {
    let name = match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => name,
        Some(_) | None => authority,
    };
    let name = name.to_ascii_lowercase();
    ["127.0.0.1", "localhost", "[::1]"].contains(&name.as_str()) || app.settings.hosts.contains(&name)
}

fn origin(app: &App, headers: &HeaderMap) -> ApiResult<()> {
    let refuse = || Err(ApiError::new(&code::FOREIGN_ORIGIN, "requests of other web pages are not answered"));
    if let Some(origin) = headers.get(header::ORIGIN) {
        let authority = origin.to_str().ok().and_then(|text| text.split_once("://")).map(|(_, authority)| authority);
        if !authority.is_some_and(|authority| is_ours(app, authority)) {
            return refuse();
        }
    }
    match headers.get("sec-fetch-site").map(|value| value.as_bytes()) {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => refuse(),
    }
}

fn content_type(method: &Method, headers: &HeaderMap) -> ApiResult<()> {
    let writes = [Method::POST, Method::PUT, Method::PATCH].contains(method);
    let has_body = headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0")
        || headers.contains_key(header::TRANSFER_ENCODING);
    if !writes || !has_body {
        return Ok(());
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (media, parameters) = kind.split_once(';').unwrap_or((kind, ""));
    let charset = parameters.trim().to_ascii_lowercase();
    let exact = media.trim().eq_ignore_ascii_case("application/json");
    if exact && ["", "charset=utf-8", "charset=\"utf-8\""].contains(&charset.as_str()) {
        return Ok(());
    }
    Err(ApiError::new(&code::UNSUPPORTED_MEDIA_TYPE, "send the body as `Content-Type: application/json`"))
}

/// The token of a page that opens a WebSocket: it can set no header but the subprotocols, `bearer` and then the token. Never
/// the URL: that ends up in logs and histories.
pub(crate) fn offered(headers: &HeaderMap) -> Option<Vec<u8>> {
    let all: Vec<&[u8]> =
        headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().map(|value| value.as_bytes()).collect();
    let all = all.join(&b',');
    let mut names = all.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let (first, second, third) = (names.next(), names.next(), names.next());
    second.filter(|_| first == Some(BEARER.as_bytes()) && third.is_none()).map(<[u8]>::to_vec)
}

fn token(app: &App, headers: &HeaderMap) -> ApiResult<()> {
    let shown = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
    let shown = shown.and_then(|value| value.split_at_checked(7));
    let shown = shown.filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer ")).map(|(_, token)| token);
    if shown.is_some_and(|shown| app.settings.token.is(shown)) {
        return Ok(());
    }
    Err(ApiError::new(
        &code::UNAUTHORIZED,
        "send `Authorization: Bearer TOKEN`; the token is in the workspace's file `token`",
    ))
}
