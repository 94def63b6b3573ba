//! The Anthropic Messages dialect.

mod request;
mod stream;

use outlive_core::content::{Failure, Reply, Request};
use reqwest::RequestBuilder;

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

    fn url(&self, path: &str) -> String {
        let base = self.settings.base_url.as_deref().unwrap_or(BASE).trim_end_matches('/');
        format!("{}/v1/{path}", base.strip_suffix("/v1").unwrap_or(base))
    }

    fn authorized(&self, call: RequestBuilder) -> RequestBuilder {
        let call = call.header("anthropic-version", VERSION);
        match &self.settings.key {
            Some(key) => call.header("x-api-key", key.reveal()),
            None => call,
        }
    }
}

impl Model for Anthropic {
    fn describe(&self) -> Description {
        self.settings.describe()
    }

    fn stream(&self, request: Request, sink: Sink) -> Pending<'_, Result<Reply, Failure>> {
        Box::pin(async move {
            let body = request::body(&self.settings.name, &request);
            let call = self.authorized(self.http.post(self.url("messages")).json(&body));
            http::ask(call, stream::MessageReader::default(), &sink).await
        })
    }

    fn count_tokens(&self, request: Request) -> Pending<'_, Result<Option<u64>, Failure>> {
        let body = request::counted(&self.settings.name, &request);
        let call = self.authorized(self.http.post(self.url("messages/count_tokens")).json(&body));
        Box::pin(http::count(call, "input_tokens"))
    }

    fn holds(&self, request: &Request) -> bool {
        request.output_schema.as_ref().is_some_and(|schema| request::holds(&self.settings.name, schema))
    }

    fn offered(&self) -> Pending<'_, Result<Vec<String>, Failure>> {
        let call = self.authorized(self.http.get(self.url("models?limit=1000")));
        Box::pin(http::list(call, "data", |model| model.get("id")?.as_str()))
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
