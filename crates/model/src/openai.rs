//! The OpenAI Chat Completions dialect, which many other endpoints speak; OpenRouter with additions of its own.

mod reasoning;
mod request;
mod stream;

use outlive_core::content::{Failure, Reply, Request};

use crate::settings::Settings;
use crate::{Description, Model, Pending, Sink, http};
use request::Place;
pub(crate) use request::sees;

/// A model that is asked in the Chat Completions dialect.
pub struct OpenAi {
    http: reqwest::Client,
    settings: Settings,
}

const BASE: &str = "https://api.openai.com/v1";

impl OpenAi {
    /// Makes it; nothing is asked yet.
    #[must_use]
    pub fn new(http: reqwest::Client, settings: Settings) -> Self {
        Self { http, settings }
    }

    fn place(&self) -> Place {
        match base(&self.settings) {
            _ if self.settings.provider == "openrouter" => Place::Router,
            BASE => Place::Own,
            _elsewhere if self.settings.structured => Place::Structured,
            _elsewhere => Place::Elsewhere,
        }
    }
}

impl Model for OpenAi {
    fn describe(&self) -> Description {
        self.settings.describe()
    }

    fn stream(&self, request: Request, sink: Sink) -> Pending<'_, Result<Reply, Failure>> {
        Box::pin(async move {
            let (base, place) = (base(&self.settings), self.place());
            let mut body = request::body(&self.settings.name, &request, place);
            if place == Place::Router {
                request::route(&mut body);
            }
            let call = self.settings.bearer(self.http.post(format!("{base}/chat/completions")).json(&body));
            // What else speaks this dialect may leave out the mark at the end.
            let is_strict = matches!(place, Place::Own | Place::Router);
            let reader = if is_strict { stream::ChunkReader::strict() } else { stream::ChunkReader::default() };
            http::ask(call, reader, &sink).await
        })
    }

    fn holds(&self, request: &Request) -> bool {
        request.output_schema.as_ref().is_some_and(|schema| request::holds(self.place(), schema))
    }

    fn offered(&self) -> Pending<'_, Result<Vec<String>, Failure>> {
        Box::pin(offered(&self.http, &self.settings))
    }
}

/// Where OpenAI's API is, or what stands in for it.
pub(crate) fn base(settings: &Settings) -> &str {
    settings.base_url.as_deref().unwrap_or(BASE).trim_end_matches('/')
}

/// Asks OpenAI's API, or what stands in for it, for its models.
pub(crate) async fn offered(http: &reqwest::Client, settings: &Settings) -> Result<Vec<String>, Failure> {
    let call = settings.bearer(http.get(format!("{}/models", base(settings))));
    http::list(call, "data", |model| model.get("id")?.as_str()).await
}

/// Reads a recorded stream, which must end with its mark.
///
/// # Errors
///
/// Why it is not a complete reply.
pub fn parse_stream(bytes: &[u8]) -> Result<Reply, Failure> {
    http::parse(bytes, stream::ChunkReader::strict())
}
