//! `wait`: has the agent woken later. Never run: what is waited for is part of the session.

use outlive_core::content::ToolSpec;
use outlive_core::event::{Effect, OnLost};
use outlive_core::policy::{Reach, Subject};
use outlive_core::session::{WAIT_TOOL, read_wait};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::shape;
use crate::{Assessment, Finished, Invocation, Pending, Place, Span, Tool};

/// Arms a wait.
pub struct WaitFor;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it only makes the schema; the session reads the wait")]
struct Arguments {
    /// What you wait for, in a few words: you are told so when you are woken.
    reason: String,
    /// How long, such as 90s, 10m, 2h or 14d. With `signal`: how long at most.
    #[serde(rename = "for", default)]
    span: Option<String>,
    /// Until when, as RFC 3339 with its offset. With `signal`: until when at most.
    #[serde(default)]
    until: Option<String>,
    /// Name of a signal that somebody outside sends to this session.
    #[serde(default)]
    signal: Option<String>,
    /// What the signal's payload must hold, such as {"action": "opened"}.
    #[serde(rename = "match", default)]
    fits: Option<serde_json::Map<String, Value>>,
}

impl Tool for WaitFor {
    fn spec(&self) -> ToolSpec {
        shape::spec::<Arguments>(
            WAIT_TOOL,
            "Ends your turn and has you woken later: at a time, or when a signal comes. It costs nothing meanwhile and \
             survives restarts, so use it rather than `sleep` for whatever takes longer than a minute. Give `for`, `until` \
             or `signal`.",
        )
    }

    fn assess(&self, arguments: &Value, _place: &Place) -> Result<Assessment, String> {
        let wait = read_wait(arguments)?;
        let subject = Subject { tool: WAIT_TOOL.to_owned(), target: String::new(), reach: Reach::Within };
        let summary = format!("wait: {}", wait.reason);
        Ok(Assessment { effect: Effect::Read, on_lost: OnLost::Report, subject, summary, span: Span::Call })
    }

    fn run(&self, _invocation: Invocation) -> Pending<'_, Finished> {
        Box::pin(std::future::ready(Finished::error("waits are kept by the session; this one was not")))
    }
}
