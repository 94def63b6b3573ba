//! The Gemini dialect: `generateContent`, streamed.

mod request;
mod stream;

use outlive_core::content::{Failure, Reply, Request};

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

    fn url(&self) -> String {
        let base = self.settings.base_url.as_deref().unwrap_or(BASE).trim_end_matches('/');
        let version = if base.ends_with("/v1") || base.ends_with("/v1beta") { "" } else { "/v1beta" };
        format!("{base}{version}/models/{}:streamGenerateContent?alt=sse", self.name())
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
            let mut call = self.http.post(self.url()).json(&request::body(self.name(), &request));
            if let Some(key) = &self.settings.key {
                call = call.header("x-goog-api-key", key.reveal());
            }
            http::ask(call, stream::PartReader::default(), &sink).await
        })
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
