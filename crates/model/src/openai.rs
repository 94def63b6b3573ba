//! The OpenAI Chat Completions dialect, which many other endpoints speak; OpenRouter with additions of its own.

mod reasoning;
mod request;
mod stream;

use outlive_core::content::{Failure, Reply, Request};

use crate::settings::Settings;
use crate::{Description, Model, Pending, Sink, http};

/// A model that is asked in the Chat Completions dialect.
pub struct OpenAi {
    http: reqwest::Client,
    settings: Settings,
}

pub(crate) const BASE: &str = "https://api.openai.com/v1";

impl OpenAi {
    /// Makes it; nothing is asked yet.
    #[must_use]
    pub fn new(http: reqwest::Client, settings: Settings) -> Self {
        Self { http, settings }
    }
}

impl Model for OpenAi {
    fn describe(&self) -> Description {
        self.settings.describe()
    }

    fn stream(&self, request: Request, sink: Sink) -> Pending<'_, Result<Reply, Failure>> {
        Box::pin(async move {
            let base = self.settings.base_url.as_deref().unwrap_or(BASE).trim_end_matches('/');
            let is_router = self.settings.provider == "openrouter";
            let limit = if base == BASE { "max_completion_tokens" } else { "max_tokens" };
            let mut body = request::body(&self.settings.name, &request, limit);
            if is_router {
                request::route(&mut body);
            }
            let mut call = self.http.post(format!("{base}/chat/completions")).json(&body);
            if let Some(key) = &self.settings.key {
                call = call.bearer_auth(key.reveal());
            }
            // What else speaks this dialect may leave out the mark at the end.
            let is_strict = is_router || base == BASE;
            let reader = if is_strict { stream::ChunkReader::strict() } else { stream::ChunkReader::default() };
            http::ask(call, reader, &sink).await
        })
    }
}

/// Reads a recorded stream, which must end with its mark.
///
/// # Errors
///
/// Why it is not a complete reply.
pub fn parse_stream(bytes: &[u8]) -> Result<Reply, Failure> {
    http::parse(bytes, stream::ChunkReader::strict())
}
