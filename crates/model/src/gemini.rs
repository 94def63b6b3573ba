//! The Gemini dialect: `generateContent`, streamed.

mod request;
mod stream;

use outlive_core::content::{Failure, Reply, Request};
use reqwest::RequestBuilder;

use crate::settings::Settings;
use crate::{Description, Model, Pending, Sink, http};

/// A model that is asked in the Gemini dialect.
pub struct Gemini {
    http: reqwest::Client,
    settings: Settings,
}

const BASE: &str = "https://generativelanguage.googleapis.com/v1beta";

impl Gemini {
    /// Makes it; nothing is asked yet.
    #[must_use]
    pub fn new(http: reqwest::Client, settings: Settings) -> Self {
        Self { http, settings }
    }

    fn url(&self, path: &str) -> String {
        let base = self.settings.base_url.as_deref().unwrap_or(BASE).trim_end_matches('/');
        let version = if base.ends_with("/v1") || base.ends_with("/v1beta") { "" } else { "/v1beta" };
        format!("{base}{version}/models{path}")
    }

    fn authorized(&self, call: RequestBuilder) -> RequestBuilder {
        match &self.settings.key {
            Some(key) => call.header("x-goog-api-key", key.reveal()),
            None => call,
        }
    }

    /// The model's name, which the API also gives with the collection that it is in.
    fn name(&self) -> &str {
        self.settings.name.strip_prefix("models/").unwrap_or(&self.settings.name)
    }
}

impl Model for Gemini {
    fn describe(&self) -> Description {
        self.settings.describe()
    }

    fn stream(&self, request: Request, sink: Sink) -> Pending<'_, Result<Reply, Failure>> {
        Box::pin(async move {
            let url = self.url(&format!("/{}:streamGenerateContent?alt=sse", self.name()));
            let call = self.http.post(url).json(&request::body(self.name(), &request));
            http::ask(self.authorized(call), stream::PartReader::default(), &sink).await
        })
    }

    fn count_tokens(&self, request: Request) -> Pending<'_, Result<Option<u64>, Failure>> {
        let url = self.url(&format!("/{}:countTokens", self.name()));
        let call = self.http.post(url).json(&request::counted(self.name(), &request));
        Box::pin(http::count(self.authorized(call), "totalTokens"))
    }

    fn holds(&self, request: &Request) -> bool {
        request::holds(&self.settings.name, request)
    }

    fn offered(&self) -> Pending<'_, Result<Vec<String>, Failure>> {
        let call = self.authorized(self.http.get(self.url("?pageSize=1000")));
        Box::pin(http::list(call, "models", |model| {
            let methods = model.get("supportedGenerationMethods")?.as_array()?;
            let name = model.get("name")?.as_str()?;
            methods
                .iter()
                .any(|method| method == "generateContent")
                .then(|| name.strip_prefix("models/").unwrap_or(name))
        }))
    }
}

/// Reads a recorded stream.
///
/// # Errors
///
/// Why it is not a complete reply.
pub fn parse_stream(bytes: &[u8]) -> Result<Reply, Failure> {
    http::parse(bytes, stream::PartReader::default())
}
