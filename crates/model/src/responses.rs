//! The OpenAI Responses dialect, used without state: nothing is stored there, and reasoning comes back sealed, so that the
//! journal stays the only state.

mod request;
mod stream;

use outlive_core::content::{Failure, Reply, Request};

use crate::settings::Settings;
use crate::{Description, Model, Pending, Sink, http, openai};

/// A model that is asked in the Responses dialect.
pub struct Responses {
    http: reqwest::Client,
    settings: Settings,
}

/// Before the phase of a message, where it stands among the reasoning of the one that said it.
const PHASE: &str = "phase ";

impl Responses {
    /// Makes it; nothing is asked yet.
    #[must_use]
    pub fn new(http: reqwest::Client, settings: Settings) -> Self {
        Self { http, settings }
    }
}

impl Model for Responses {
    fn describe(&self) -> Description {
        self.settings.describe()
    }

    fn stream(&self, request: Request, sink: Sink) -> Pending<'_, Result<Reply, Failure>> {
        Box::pin(async move {
            let body = request::body(&self.settings.name, &request);
            let call = self.http.post(format!("{}/responses", openai::base(&self.settings))).json(&body);
            http::ask(self.settings.bearer(call), stream::ItemReader::default(), &sink).await
        })
    }

    fn count_tokens(&self, request: Request) -> Pending<'_, Result<Option<u64>, Failure>> {
        let body = request::counted(&self.settings.name, &request);
        let call = self.http.post(format!("{}/responses/input_tokens", openai::base(&self.settings))).json(&body);
        Box::pin(http::count(self.settings.bearer(call), "input_tokens"))
    }

    fn holds(&self, request: &Request) -> bool {
        request.output_schema.as_ref().is_some_and(|schema| crate::schema::is_object(schema))
    }

    fn offered(&self) -> Pending<'_, Result<Vec<String>, Failure>> {
        Box::pin(openai::offered(&self.http, &self.settings))
    }
}

/// Reads a recorded stream.
///
/// # Errors
///
/// Why it is not a complete reply.
pub fn parse_stream(bytes: &[u8]) -> Result<Reply, Failure> {
    http::parse(bytes, stream::ItemReader::default())
}
