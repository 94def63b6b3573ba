//! `mcp_SERVER_TOOL`: a tool of a server.

use std::sync::Arc;
use std::time::Duration;

use outlive_core::content::ToolSpec;
use outlive_core::event::{Effect, OnLost, Outcome};
use outlive_core::policy::{Reach, Subject};
use rmcp::model::{CallToolRequest, CallToolRequestParams, ClientRequest, ServerResult};
use serde_json::{Value, json};

use super::call::{Asking, Failure};
use super::listing::Listed;
use super::result::answered;
use super::rounds::{self, Given};
use super::server::Server;
use crate::{Assessment, Finished, Invocation, Pending, Place, Span, Tool};

/// Characters of arguments that a person is shown.
const SHOWN: usize = 4_000;

/// A tool of a server, as it was described when it was listed.
pub(crate) struct Remote {
    server: Arc<Server>,
    tool: Listed,
    name: String,
}

impl Remote {
    pub fn new(server: Arc<Server>, tool: Listed, name: String) -> Self {
        Self { server, tool, name }
    }

    fn target(&self) -> String {
        format!("{}/{}", self.server.name(), self.tool.name)
    }

    /// What this server offers under this name now must be what was ruled on.
    fn is_current(&self, server: &Server) -> bool {
        let listing = server.listing();
        let now = listing.iter().flat_map(|listing| &listing.tools).find(|tool| tool.name == self.tool.name);
        now.is_some_and(|now| now.digest == self.tool.digest)
    }

    async fn call(&self, invocation: &Invocation) -> Result<Finished, Finished> {
        let reached = self.server.reach(&invocation.stop).await;
        let (server, connection) = reached.map_err(|why| Finished::error(format!("not called: {why}")))?;
        if !self.is_current(&server) {
            return Err(Finished::error(format!(
                "not called: `{}` is not what it was when it was offered to you. Look at its description, and call again",
                self.target()
            )));
        }
        let Value::Object(arguments) = invocation.arguments.clone() else {
            return Err(Finished::error("not called: the arguments are no object"));
        };
        let asking = Asking::of(invocation, Duration::from_millis(server.setup.server.timeout_ms));
        let request = |given: Given| {
            let mut params = CallToolRequestParams::new(self.tool.name.clone()).with_arguments(arguments.clone());
            (params.input_responses, params.request_state) = (given.responses, given.state);
            ClientRequest::CallToolRequest(CallToolRequest::new(params))
        };
        match rounds::ask(&connection, &asking, request).await {
            Ok(ServerResult::CallToolResult(result)) => Ok(answered(result, &self.target())),
            Ok(_other) => Err(failed(Failure::Unknown("its answer makes no sense".to_owned()), &self.target())),
            Err(failure) => Err(failed(failure, &self.target())),
        }
    }
}

/// Tells what became of a request without an answer, so that nobody takes the unknown for undone.
pub(super) fn failed(failure: Failure, target: &str) -> Finished {
    let unknown = "it may have done all, some or none of its work: check before you repeat it";
    let (outcome, content, is_known) = match failure {
        Failure::Refused(why) => (Outcome::Error, format!("`{target}` failed: {why}"), true),
        Failure::NotSent(why) => (Outcome::Error, format!("not called: `{target}` was not reached: {why}"), true),
        Failure::Unknown(why) => {
            (Outcome::Error, format!("The outcome of `{target}` is unknown: {why}; {unknown}"), false)
        }
        Failure::TimedOut(after) => {
            let why = format!("no answer within {} ms, and it was asked to stop", after.as_millis());
            (Outcome::Timeout, format!("The outcome of `{target}` is unknown: {why}; {unknown}"), false)
        }
        Failure::Stopped => {
            (Outcome::Interrupted, format!("`{target}` was stopped, and its server asked to stop; {unknown}"), false)
        }
    };
    let details = (!is_known).then(|| json!({"outcome_unknown": true}));
    Finished { outcome, content, details, whole: None }
}

impl Tool for Remote {
    fn spec(&self) -> ToolSpec {
        let mut input_schema = self.tool.schema.clone();
        if let Some(schema) = input_schema.as_object_mut() {
            schema.remove("$schema");
            schema.entry("type").or_insert_with(|| "object".into());
            schema.entry("properties").or_insert_with(|| json!({}));
        }
        let description = format!("{}\n(of the mcp server `{}`)", self.tool.description, self.server.name());
        ToolSpec { name: self.name.clone(), description: description.trim_start().to_owned(), input_schema }
    }

    fn assess(&self, arguments: &Value, _place: &Place) -> Result<Assessment, String> {
        let effect = match (self.tool.reads, self.tool.idempotent) {
            (true, _) => Effect::Read,
            (false, true) => Effect::Idempotent,
            (false, false) => Effect::Effectful,
        };
        let subject = Subject { tool: "mcp".to_owned(), target: self.target(), reach: Reach::Beyond };
        let shown: String = arguments.to_string().chars().take(SHOWN).collect();
        let changed = match self.server.has_changed(&self.tool.name, &self.tool.digest) {
            true => " (its description or what it takes has changed since it was listed first)",
            false => "",
        };
        let summary = format!("mcp {} {shown}{changed}", self.target());
        Ok(Assessment { effect, on_lost: OnLost::Report, subject, summary, span: Span::Call })
    }

    fn run(&self, invocation: Invocation) -> Pending<'_, Finished> {
        Box::pin(async move { self.call(&invocation).await.unwrap_or_else(|failed| failed) })
    }

    fn pin(&self) -> Option<&str> {
        Some(&self.tool.digest)
    }
}
