//! One bounded look at an address of the web: judged, pinned, timed, cut where it has no end.
//!
//! Invariants: a connection goes only to an address that [`Egress`] admitted for this very request, redirects included; no
//! redirect leads to another host than the one that was ruled on; what is read is bounded in bytes and time, before and after
//! it is unpacked.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{Client, Request, RequestBuilder, Response, Url};
use tokio::time::Instant;

use crate::egress::{Egress, Names};

/// What one look may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of a body, unpacked.
    pub bytes: usize,
    /// From the first question to the last byte.
    pub time: Duration,
    /// Redirects that are followed.
    pub redirects: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 5 << 20, time: Duration::from_secs(30), redirects: 5 }
    }
}

/// Time for a connection.
const CONNECTING: Duration = Duration::from_secs(10);
/// Who asks.
const AGENT: &str = concat!("outlive/", env!("CARGO_PKG_VERSION"));
/// What is liked best.
const LIKED: &str = "text/markdown, text/html;q=0.9, application/xhtml+xml;q=0.9, text/plain;q=0.8, */*;q=0.5";

/// How the web is reached.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) egress: Egress,
    pub(super) names: Arc<dyn Names>,
    pub(super) limits: Limits,
}

/// What came.
#[derive(Debug)]
pub(super) struct Page {
    /// Where it came from, after redirects.
    pub(super) url: Url,
    /// The status line.
    pub(super) status: reqwest::StatusCode,
    /// The media type, without parameters, in small letters; empty where none is named.
    pub(super) media: String,
    /// The character set that is named.
    pub(super) charset: Option<String>,
    /// The body.
    pub(super) bytes: Vec<u8>,
    /// Why that is not all of it.
    pub(super) cut: Option<String>,
}

/// What became of a look.
#[derive(Debug)]
pub(super) enum Got {
    /// A page.
    Page(Page),
    /// A redirect to where nobody ruled that this call may go.
    Elsewhere(Url),
}

impl Line {
    /// Looks at an address.
    pub(super) async fn get(&self, url: Url) -> Result<Got, String> {
        let deadline = Instant::now() + self.limits.time;
        let asked = target(&url);
        let mut at = url;
        for _hop in 0..=self.limits.redirects {
            let (client, url) = (self.client(&at).await?, at.clone());
            let request = client.get(url).header(ACCEPT, LIKED);
            let response = send(request, deadline).await?;
            let Some(next) = redirect(&response, &at)? else {
                return Ok(Got::Page(self.page(response, deadline).await));
            };
            if target(&next) != asked {
                return Ok(Got::Elsewhere(next));
            }
            at = next;
        }
        Err(format!("it redirects more than {} times, lately to {at}", self.limits.redirects))
    }

    /// Sends one request, without following anything.
    pub(super) async fn send(&self, request: Request) -> Result<Page, String> {
        let deadline = Instant::now() + self.limits.time;
        let client = self.client(request.url()).await?;
        let response = send(RequestBuilder::from_parts(client, request), deadline).await?;
        Ok(self.page(response, deadline).await)
    }

    /// A client that can reach this address and nothing else.
    async fn client(&self, url: &Url) -> Result<Client, String> {
        let host = url.host_str().ok_or("the address has no host")?;
        let port = url.port_or_known_default().ok_or("the address has no port")?;
        let pinned = self.egress.pin(&*self.names, host, port).await.map_err(|refused| refused.to_string())?;
        let client =
            Client::builder().no_proxy().http1_only().referer(false).redirect(reqwest::redirect::Policy::none());
        let client = client.connect_timeout(CONNECTING).user_agent(AGENT).resolve_to_addrs(host, &pinned);
        client.build().map_err(|error| told(&error))
    }

    async fn page(&self, mut response: Response, deadline: Instant) -> Page {
        let (url, status) = (response.url().clone(), response.status());
        let (media, charset) = media(response.headers());
        let mut body = Body::new(response.headers(), self.limits.bytes);
        let cut = loop {
            match tokio::time::timeout_at(deadline, response.chunk()).await {
                Err(_late) => break Some(format!("it did not end within {} s", self.limits.time.as_secs_f32())),
                Ok(Err(error)) => break Some(format!("it broke off: {}", told(&error))),
                Ok(Ok(None)) => break body.end(),
                Ok(Ok(Some(chunk))) => {
                    if let Some(cut) = body.take(&chunk) {
                        break Some(cut);
                    }
                }
            }
        };
        Page { url, status, media, charset, bytes: body.bytes(), cut }
    }
}

/// What rules look at: the host, and the port where it is not the scheme's own.
pub(super) fn target(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

async fn send(request: RequestBuilder, deadline: Instant) -> Result<Response, String> {
    let sent = tokio::time::timeout_at(deadline, request.header(ACCEPT_ENCODING, "gzip").send()).await;
    sent.map_err(|_late| "it did not answer in time".to_owned())?.map_err(|error| told(&error))
}

/// Where a response leads on, if it does.
fn redirect(response: &Response, at: &Url) -> Result<Option<Url>, String> {
    let leads = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let Some(location) = response.headers().get(LOCATION).filter(|_| leads) else { return Ok(None) };
    let location = String::from_utf8_lossy(location.as_bytes());
    let shown: String = location.chars().take(200).collect();
    let next =
        at.join(&location).map_err(|error| format!("it redirects to `{shown}`, which is no address: {error}"))?;
    super::admissible(&next).map_err(|why| format!("it redirects to `{shown}`: {why}"))?;
    Ok(Some(next))
}

/// Names an error and what is behind it.
fn told(error: &dyn std::error::Error) -> String {
    let mut chain = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !chain.iter().any(|known| known.contains(&cause_text)) {
            chain.push(cause_text);
        }
        next = cause.source();
    }
    chain.join(": ")
}

fn media(headers: &HeaderMap) -> (String, Option<String>) {
    let named = headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let named = named.unwrap_or_default();
    let (essence, parameters) = named.split_once(';').unwrap_or((&named, ""));
    let charset = parameters.split(';').filter_map(|parameter| parameter.split_once('='));
    let charset =
        charset.map(|(name, value)| (name.trim(), value)).find(|(name, _)| name.eq_ignore_ascii_case("charset"));
    let charset = charset.map(|(_, value)| value.trim().trim_matches(['"', '\'']).to_owned());
    (essence.trim().to_ascii_lowercase(), charset)
}

/// A body as it comes, unpacked and bounded.
enum Body {
    Plain(Bounded),
    Packed(Box<flate2::write::GzDecoder<Bounded>>),
    /// Packed in a way that nobody asked for.
    Foreign(String),
}

impl Body {
    fn new(headers: &HeaderMap, most: usize) -> Self {
        let bounded = Bounded { bytes: Vec::new(), most };
        let packed =
            headers.get(CONTENT_ENCODING).map(|value| String::from_utf8_lossy(value.as_bytes()).to_lowercase());
        match packed.as_deref().map(str::trim) {
            None | Some("" | "identity") => Self::Plain(bounded),
            Some("gzip" | "x-gzip") => Self::Packed(Box::new(flate2::write::GzDecoder::new(bounded))),
            Some(other) => Self::Foreign(format!("it is packed as `{}`, which was not asked for", short(other))),
        }
    }

    /// Takes a piece; says why no more is wanted.
    fn take(&mut self, piece: &[u8]) -> Option<String> {
        let taken = match self {
            Self::Plain(bounded) => bounded.write_all(piece),
            Self::Packed(packed) => packed.write_all(piece),
            Self::Foreign(why) => return Some(why.clone()),
        };
        taken.err().map(|error| self.why(&error))
    }

    /// Says what is wrong with its end.
    fn end(&mut self) -> Option<String> {
        match self {
            Self::Plain(_) => None,
            Self::Packed(packed) => packed.try_finish().err().map(|error| self.why(&error)),
            Self::Foreign(why) => Some(why.clone()),
        }
    }

    fn why(&self, error: &std::io::Error) -> String {
        match self {
            Self::Packed(packed) if packed.get_ref().bytes.len() < packed.get_ref().most => {
                format!("it is not packed as it says: {error}")
            }
            Self::Plain(bounded) => format!("it is longer than {} bytes", bounded.most),
            Self::Packed(packed) => format!("it is longer than {} bytes", packed.get_ref().most),
            Self::Foreign(why) => why.clone(),
        }
    }

    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Plain(bounded) => bounded.bytes,
            Self::Packed(mut packed) => std::mem::take(&mut packed.get_mut().bytes),
            Self::Foreign(_) => Vec::new(),
        }
    }
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Bytes, up to so many.
struct Bounded {
    bytes: Vec<u8>,
    most: usize,
}

impl std::io::Write for Bounded {
    fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
        let room = self.most - self.bytes.len();
        if room == 0 && !piece.is_empty() {
            return Err(std::io::Error::other("there is no room for more"));
        }
        let fits = piece.get(..room.min(piece.len())).unwrap_or_default();
        self.bytes.extend_from_slice(fits);
        Ok(fits.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
