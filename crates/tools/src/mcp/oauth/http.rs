//! Carries the requests of a login: judged, pinned, timed, bounded, and never redirected.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use rmcp::transport::auth::{OAuthHttpClient, OAuthHttpClientFuture, OAuthHttpRequest};

use crate::egress::{Egress, Grant, Names, SystemNames};

/// Requests for one login. A server that names thousands of authorization servers gets no answer from the rest.
const REQUESTS: u32 = 64;
/// Bytes of an answer.
const MOST: usize = 1 << 20;
/// Time for one request.
const PATIENCE: Duration = Duration::from_secs(20);
/// This machine's own addresses.
const OWN: [&str; 2] = ["127.0.0.0/8", "::1"];

/// What a login's requests go through.
pub(super) struct Wire {
    egress: Egress,
    names: Arc<dyn Names>,
    left: AtomicU32,
}

impl Wire {
    /// For a login to this server. What it names may be anywhere in public; within this machine only if the server is, and
    /// at a private address only if the server has that one, or if it was granted.
    pub(super) fn to(server: &Url, granted: &[Grant]) -> Self {
        let host = server.host_str().unwrap_or_default();
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let own: Vec<&str> = match super::is_own(server) {
            true => OWN.to_vec(),
            false => bare.parse::<std::net::IpAddr>().map(|_| bare).into_iter().collect(),
        };
        let own = own.into_iter().filter_map(|grant| grant.parse().ok());
        let egress = Egress::public().and(own).and(granted.iter().cloned());
        Self { egress, names: Arc::new(SystemNames), left: AtomicU32::new(REQUESTS) }
    }

    async fn send(&self, request: OAuthHttpRequest) -> Result<http::Response<Vec<u8>>, String> {
        let spent = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        spent.map_err(|_| format!("more than {REQUESTS} requests for one login"))?;
        let request = reqwest::Request::try_from(request.request).map_err(|error| error.to_string())?;
        let url = request.url();
        if !super::is_safe(url) {
            return Err(super::Refused::Address(super::clean(url.as_str())).to_string());
        }
        let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
        let pinned = self.egress.pin(&*self.names, host, port).await.map_err(|refused| refused.to_string())?;
        let client = Client::builder().no_proxy().referer(false).redirect(Policy::none());
        let client = client.timeout(PATIENCE).resolve_to_addrs(host, &pinned).build();
        let client = client.map_err(|error| super::chain(&error))?;
        let response = client.execute(request).await.map_err(|error| super::chain(&error.without_url()))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let (mut body, mut chunks) = (Vec::new(), response.bytes_stream());
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| super::chain(&error.without_url()))?;
            if body.len() + chunk.len() > MOST {
                return Err(format!("an answer has more than {MOST} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        let mut answer = http::Response::new(body);
        (*answer.status_mut(), *answer.headers_mut()) = (status, headers);
        Ok(answer)
    }
}

impl OAuthHttpClient for Wire {
    fn execute(&self, request: OAuthHttpRequest) -> OAuthHttpClientFuture<'_> {
        Box::pin(async move { self.send(request).await.map_err(Into::into) })
    }
}
