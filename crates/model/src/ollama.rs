//! Ollama's own dialect: replies as lines of JSON, the context as large as the agent says, the model kept loaded as long.

mod request;
mod stream;

use outlive_core::content::{Failure, FailureKind, Reply, Request};
use serde_json::{Value, json};

use crate::settings::Settings;
use crate::{Description, Model, Pending, Sink, http};
use request::Sight;

/// A model that is asked in Ollama's dialect.
pub struct Ollama {
    http: reqwest::Client,
    settings: Settings,
}

/// Where a local Ollama listens.
pub const BASE: &str = "http://127.0.0.1:11434";

impl Ollama {
    /// Makes it; nothing is asked yet.
    #[must_use]
    pub fn new(http: reqwest::Client, settings: Settings) -> Self {
        Self { http, settings }
    }

    /// Returns an address of the API; the one that speaks Chat Completions is taken for it, too.
    fn url(&self, path: &str) -> String {
        let base = self.settings.base_url.as_deref().unwrap_or(BASE).trim_end_matches('/');
        format!("{}/api/{path}", base.strip_suffix("/v1").unwrap_or(base))
    }

    /// Asks whether the model looks at images: one that does not refuses them. Who gives no answer is not blamed for it.
    async fn sight(&self) -> Sight {
        let call = self.http.post(self.url("show")).json(&json!({"model": self.settings.name}));
        let told = http::json(self.settings.bearer(call)).await.unwrap_or_default();
        match told.get("capabilities").and_then(Value::as_array) {
            Some(can) if !can.iter().any(|one| one == "vision") => Sight::Blind,
            Some(_) | None => Sight::Sees,
        }
    }
}

impl Model for Ollama {
    fn describe(&self) -> Description {
        self.settings.describe()
    }

    fn stream(&self, request: Request, sink: Sink) -> Pending<'_, Result<Reply, Failure>> {
        Box::pin(async move {
            let sight = if request.attachments().next().is_some() { self.sight().await } else { Sight::Sees };
            let call = self.http.post(self.url("chat")).json(&request::body(&self.settings, &request, sight));
            let reply = http::ask(self.settings.bearer(call), stream::LineReader::default(), &sink).await;
            reply.map_err(with_way_out)
        })
    }

    /// Held to a schema, a model cannot call tools.
    fn holds(&self, request: &Request) -> bool {
        request.tools.is_empty()
    }

    fn offered(&self) -> Pending<'_, Result<Vec<String>, Failure>> {
        let call = self.settings.bearer(self.http.get(self.url("tags")));
        Box::pin(http::list(call, "models", |model| model.get("name")?.as_str()))
    }
}

/// Ollama's default context is small, and nothing in its words says where it is set.
fn with_way_out(mut failure: Failure) -> Failure {
    let is_too_long = ["context length", "context size"].iter().any(|words| failure.message.contains(words));
    if matches!(failure.kind, FailureKind::InvalidRequest | FailureKind::Overflow) && is_too_long {
        failure.message.push_str(": set model.context_window to what the machine can hold");
    }
    failure
}

/// Reads a recorded stream.
///
/// # Errors
///
/// Why it is not a complete reply.
pub fn parse_stream(bytes: &[u8]) -> Result<Reply, Failure> {
    http::parse(bytes, stream::LineReader::default())
}
