//! Who may come in, before any route sees the request: Host (a rebound page sends neither Origin nor Sec-Fetch-Site, so
//! Host decides), Origin, Sec-Fetch-Site, Content-Type, then the token, and whether it is for this. Health checks need no
//! token.
//!
//! Invariant: behind it each request carries the [`Identity`] of whoever asks and its [`Address`], and an event
//! stream ends when its token does.

use axum::body::{Body, HttpBody as _};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use outlive_protocol::archive::ARCHIVE_TYPE;
use outlive_protocol::socket::{BEARER, ROUTE};
use outlive_protocol::{BASE, code};

use crate::App;
use crate::audit::Deed;
use crate::peer::{self, Address};
use crate::problem::{ApiError, ApiResult};
use crate::scopes::{self, OPEN, SIGNED};
use crate::tokens::Identity;

/// Where files are sent, whose route knows their types.
const FILES: &str = "/api/v1/artifacts";

pub(crate) async fn check(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let from = peer::of(request.extensions(), request.headers(), &app.settings.proxies);
    request.extensions_mut().insert(from);
    let mut seen = None;
    match admit(&app, &request, from, &mut seen) {
        Ok(None) => next.run(request).await,
        Ok(Some(who)) => {
            request.extensions_mut().insert(who.clone());
            held(&app, who, next.run(request).await)
        }
        Err(error) => {
            if let Some(mut deed) = Deed::of(&request) {
                deed.who = seen.map_or(deed.who, |who| who.name.to_string());
                app.settings.audit.turned_away(deed, &error, app.runtime.moments().now());
            }
            error.into_response()
        }
    }
}

/// Says who asks; nobody where anybody may. `seen` is whoever asks, let in or not.
fn admit(app: &App, request: &Request, from: Address, seen: &mut Option<Identity>) -> ApiResult<Option<Identity>> {
    let (method, uri, headers) = (request.method(), request.uri(), request.headers());
    head(app, uri, headers)?;
    host(app, uri, headers)?;
    origin(app, headers)?;
    // Files come as what they are.
    if uri.path() != FILES {
        content_type(uri, headers)?;
    }
    app.rates.address(from.0)?;
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    if OPEN.contains(&uri.path()) {
        return Ok(None);
    }
    // Who sends webhooks shares its addresses with strangers: wrong ones of theirs keep no right one out.
    if route == Some(SIGNED) {
        return Ok(None);
    }
    let who = identity(app, (uri, headers), from)?;
    *seen = Some(who.clone());
    who.needs(scopes::needed(method, route))?;
    app.rates.token(&who, from.0)?;
    Ok(Some(who))
}

/// Ends an event stream when its token does not hold any more, and after a day: its client comes back.
fn held(app: &App, who: Identity, response: Response) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE).map(|value| value.as_bytes());
    if !kind.is_some_and(|kind| kind.starts_with(b"text/event-stream")) || response.body().is_end_stream() {
        return response;
    }
    let over = tokio::time::timeout(app.settings.limits.stream, who.over(app.runtime.moments().now()));
    response.map(|body| Body::from_stream(body.into_data_stream().take_until(Box::pin(over))))
}

/// How much stands before the body.
fn head(app: &App, uri: &Uri, headers: &HeaderMap) -> ApiResult<()> {
    let limits = &app.settings.limits;
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    let address = uri.path().len() + uri.query().map_or(0, str::len);
    if headers.len() <= limits.headers && bytes + address <= limits.head_bytes {
        return Ok(());
    }
    let what = format!(
        "a request has at most {} headers, which have with its address at most {} bytes",
        limits.headers, limits.head_bytes
    );
    Err(ApiError::new(&code::HEAD_TOO_LARGE, what))
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
    let refuse = |what: &str| Err(ApiError::new(&code::FOREIGN_ORIGIN, what));
    if let Some(origin) = headers.get(header::ORIGIN) {
        let authority = origin.to_str().ok().and_then(|text| text.split_once("://")).map(|(_, authority)| authority);
        if !authority.is_some_and(|authority| is_ours(app, authority)) {
            return refuse("requests of other web pages are not answered: `Origin` names one");
        }
    }
    let mut sites = headers.get_all("sec-fetch-site").iter().map(|value| value.as_bytes());
    if sites.all(|site| [b"same-origin".as_slice(), b"none"].contains(&site)) {
        return Ok(());
    }
    refuse("requests of other web pages are not answered: `Sec-Fetch-Site` says that one asks")
}

fn content_type(uri: &Uri, headers: &HeaderMap) -> ApiResult<()> {
    let has_body = headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0")
        || headers.contains_key(header::TRANSFER_ENCODING);
    if !has_body {
        return Ok(());
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (media, parameters) = kind.split_once(';').unwrap_or((kind, ""));
    // Like JSON, no form of a foreign page can send it.
    let takes_archives =
        uri.path().strip_prefix(BASE).is_some_and(|path| ["/sessions/import", "/agents"].contains(&path));
    if takes_archives && media.trim().eq_ignore_ascii_case(ARCHIVE_TYPE) {
        return Ok(());
    }
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

/// Says whose token was sent. An address that has sent many that are none is not listened to for a while; on this machine,
/// whose users share one address, only its wrong ones are not.
fn identity(app: &App, (uri, headers): (&Uri, &HeaderMap), from: Address) -> ApiResult<Identity> {
    if !from.0.is_loopback() {
        app.rates.may_try(from.0)?;
    }
    let now = app.runtime.moments().now();
    let is_socket = uri.path().strip_prefix(BASE) == Some(ROUTE);
    let of_page = offered(headers).filter(|_| is_socket).and_then(|shown| app.settings.tokens.who(&shown, now));
    let shown = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
    let bearer = shown.and_then(|value| value.split_at_checked(7));
    let bearer = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer ")).map(|(_, token)| token);
    if let Some(who) = of_page.or_else(|| app.settings.tokens.who(bearer?, now)) {
        return Ok(who);
    }
    // Who shows nothing has not guessed.
    if shown.is_some() || offered(headers).is_some() {
        app.rates.failed(from.0)?;
    }
    Err(ApiError::new(
        &code::UNAUTHORIZED,
        "send `Authorization: Bearer TOKEN`; the token is in the workspace's file `token`, or one that was made with \
         `outlive token create` and neither expired nor was revoked",
    ))
}
