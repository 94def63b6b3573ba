//! `todo`: writes the agent's list of what is to be done. Never run: the list is part of the session.

use outlive_core::content::ToolSpec;
use outlive_core::event::{Effect, OnLost};
use outlive_core::policy::{Reach, Subject};
use outlive_core::session::{LIST_TOOL, read_todos};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::shape;
use crate::{Assessment, Finished, Invocation, Pending, Place, Span, Tool};

/// Writes the list.
pub struct TodoList;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The whole list, in order. It replaces the one before.
    items: Vec<Item>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it only makes the schema; the session reads the list")]
struct Item {
    /// What is to be done.
    text: String,
    /// How far it is.
    status: Status,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Status {
    Pending,
    InProgress,
    Done,
}

impl Tool for TodoList {
    fn spec(&self) -> ToolSpec {
        shape::spec::<Arguments>(
            LIST_TOOL,
            "Keeps your list of what is to be done, for work of several steps: the person sees it, and it survives \
             restarts. Send the whole list each time; have at most one item in progress.",
        )
    }

    fn assess(&self, arguments: &Value, _place: &Place) -> Result<Assessment, String> {
        let Arguments { items } = shape::read(arguments)?;
        read_todos(arguments)?;
        let subject = Subject { tool: LIST_TOOL.to_owned(), target: String::new(), reach: Reach::Within };
        let summary = format!("keep a list of {} items", items.len());
        Ok(Assessment { effect: Effect::Read, on_lost: OnLost::Report, subject, summary, span: Span::Call })
    }

    fn run(&self, _invocation: Invocation) -> Pending<'_, Finished> {
        Box::pin(std::future::ready(Finished::error("lists are kept by the session; this one was not")))
    }
}
