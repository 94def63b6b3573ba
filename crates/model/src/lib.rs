//! Asks models: one file per wire dialect, the rehearsal, a scripted model and a loopback server for tests.

pub mod anthropic;
pub mod embeddings;
pub mod gemini;
mod http;
#[cfg(feature = "loopback")]
pub mod loopback;
mod media;
pub mod ollama;
pub mod openai;
pub mod rehearsal;
pub mod responses;
mod schema;
pub mod scripted;
mod settings;
pub mod sse;
pub mod tokens;
pub mod wellformed;

pub use settings::{ConnectError, Key, PROVIDERS, Settings, connect, is_trusted, key_variable};

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use outlive_core::content::{Delta, Failure, Reply, Request};

/// A future that a model returns. Dropping it abandons the request.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a model is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// `anthropic`, `openai`, `rehearsal`, …
    pub provider: String,
    /// The model's name, as the provider knows it.
    pub name: String,
    /// Tokens that a request and its reply may have together, where known.
    pub context_window: Option<u64>,
}

/// Takes fragments of a reply while it streams. Must not block: it may drop them.
pub type Sink = Arc<dyn Fn(Delta) + Send + Sync>;

/// A model that can be asked.
pub trait Model: Send + Sync {
    /// Returns what it is.
    fn describe(&self) -> Description;

    /// Asks once, without retrying: the journal decides about that. Fragments go to `sink` as they come; the whole reply
    /// is returned only if the stream ended as its dialect says a complete one does.
    fn stream(&self, request: Request, sink: Sink) -> Pending<'_, Result<Reply, Failure>>;

    /// Says whether its API holds the answer to the request's schema. Where it does not, the model is told it in words.
    fn holds(&self, _request: &Request) -> bool {
        false
    }

    /// Counts the tokens of a request as its provider does, without asking the model; `None` where the provider does not
    /// offer that.
    fn count_tokens(&self, _request: Request) -> Pending<'_, Result<Option<u64>, Failure>> {
        Box::pin(async { Ok(None) })
    }

    /// Returns the names of the models that its provider offers to this key; its own where the provider has no list.
    fn offered(&self) -> Pending<'_, Result<Vec<String>, Failure>> {
        Box::pin(async { Ok(vec![self.describe().name]) })
    }
}
