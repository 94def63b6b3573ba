//! How a server at an address is reached: what each request carries, what is followed, and how often a stream is taken up again.
//!
//! Invariant: no redirect is followed, so no token and no header reaches another host.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::common::client_side_sse::SseRetryPolicy;
use rmcp::transport::streamable_http_client::{StreamableHttpClient, StreamableHttpClientTransportConfig};

use super::FRAME_BYTES;

/// Time for a connection to be made.
const CONNECTING: Duration = Duration::from_secs(10);
/// Times that a stream is taken up again in a row.
const AGAIN: usize = 8;
/// Pause before that: first, and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(20));

/// What each request to a server carries.
pub(super) struct Carried {
    all: HashMap<HeaderName, HeaderValue>,
    authorization: Option<HeaderValue>,
}

impl Carried {
    /// Reads the headers that an agent's definition names.
    pub fn of(headers: &BTreeMap<String, String>) -> Result<Self, String> {
        let read = |(name, value): (&String, &String)| {
            let name = HeaderName::try_from(name).map_err(|_| format!("header `{name}` is no name of a header"))?;
            let value = HeaderValue::try_from(value);
            let mut value = value.map_err(|_| format!("what header `{name}` says cannot be sent"))?;
            value.set_sensitive(true);
            Ok::<_, String>((name, value))
        };
        let mut all = headers.iter().map(read).collect::<Result<HashMap<_, _>, String>>()?;
        let authorization = all.remove(&AUTHORIZATION);
        Ok(Self { all, authorization })
    }

    /// Makes what sends requests.
    pub fn client(&self) -> Result<reqwest::Client, String> {
        let authorization: HeaderMap = self.authorization.iter().map(|value| (AUTHORIZATION, value.clone())).collect();
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).referer(false);
        let http = http.connect_timeout(CONNECTING).default_headers(authorization).build();
        http.map_err(|error| format!("no HTTP client can be made: {error}"))
    }

    /// Makes the transport.
    pub fn transport<C: StreamableHttpClient + Sync>(self, url: &str, client: C) -> StreamableHttpClientTransport<C> {
        let config = StreamableHttpClientTransportConfig::with_uri(url).custom_headers(self.all);
        let mut config = config.max_sse_event_size(FRAME_BYTES);
        config.retry_config = Arc::new(Patience);
        StreamableHttpClientTransport::with_client(client, config)
    }
}

/// How often a stream is taken up again: not for ever, and not without a pause.
#[derive(Debug)]
struct Patience;

impl SseRetryPolicy for Patience {
    fn retry(&self, times: usize) -> Option<Duration> {
        let doubled = 2_u32.saturating_pow(u32::try_from(times).unwrap_or(u32::MAX).min(16));
        (times < AGAIN).then(|| PAUSE.0.saturating_mul(doubled).min(PAUSE.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_taken_up_again_with_longer_pauses_and_not_for_ever() {
        let pauses: Vec<_> = (0..10).map(|times| Patience.retry(times).map(|pause| pause.as_millis())).collect();
        let some = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 20_000, 20_000].map(Some);
        assert_eq!(pauses, some.into_iter().chain([None, None]).collect::<Vec<_>>());
    }

    #[test]
    fn a_header_that_cannot_be_sent_is_refused_by_its_name() {
        let of = |name: &str, value: &str| Carried::of(&[(name.to_owned(), value.to_owned())].into()).err();
        assert_eq!(of("X-Key", "v"), None);
        assert_eq!(of("X Key", "v").as_deref(), Some("header `X Key` is no name of a header"));
        assert_eq!(of("X-Key", "v\nInjected: yes").as_deref(), Some("what header `x-key` says cannot be sent"));
    }
}
