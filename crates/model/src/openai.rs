//! The OpenAI Chat Completions dialect, which many other endpoints speak.

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
            let limit = if base == BASE { "max_completion_tokens" } else { "max_tokens" };
            let body = request::body(&self.settings.name, &request, limit);
            let mut call = self.http.post(format!("{base}/chat/completions")).json(&body);
            if let Some(key) = &self.settings.key {
                call = call.bearer_auth(key.reveal());
            }
            http::ask(call, stream::ChunkReader::default(), &sink).await
        })
    }
}

/// Reads a recorded stream.
///
/// # Errors
///
/// Why it is not a complete reply.
pub fn parse_stream(bytes: &[u8]) -> Result<Reply, Failure> {
    http::parse(bytes, stream::ChunkReader::default())
}
