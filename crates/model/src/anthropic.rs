//! The Anthropic Messages dialect.

mod request;
mod stream;

use outlive_core::content::{Failure, Reply, Request};

use crate::settings::Settings;
use crate::{Description, Model, Pending, Sink, http};

/// A model that is asked in the Messages dialect.
pub struct Anthropic {
    http: reqwest::Client,
    settings: Settings,
}

const BASE: &str = "https://api.anthropic.com";
const VERSION: &str = "2023-06-01";

impl Anthropic {
    /// Makes it; nothing is asked yet.
    #[must_use]
    pub fn new(http: reqwest::Client, settings: Settings) -> Self {
        Self { http, settings }
    }
}

impl Model for Anthropic {
    fn describe(&self) -> Description {
        self.settings.describe()
    }

    fn stream(&self, request: Request, sink: Sink) -> Pending<'_, Result<Reply, Failure>> {
        Box::pin(async move {
            let base = self.settings.base_url.as_deref().unwrap_or(BASE).trim_end_matches('/');
            let base = base.strip_suffix("/v1").unwrap_or(base);
            let body = request::body(&self.settings.name, &request);
            let mut call =
                self.http.post(format!("{base}/v1/messages")).header("anthropic-version", VERSION).json(&body);
            if let Some(key) = &self.settings.key {
                call = call.header("x-api-key", key.reveal());
            }
            http::ask(call, stream::MessageReader::default(), &sink).await
        })
    }
}

/// Reads a recorded stream.
///
/// # Errors
///
/// Why it is not a complete reply.
pub fn parse_stream(bytes: &[u8]) -> Result<Reply, Failure> {
    http::parse(bytes, stream::MessageReader::default())
}
