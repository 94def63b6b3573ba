//! The transcript as a text for people: who said what, calls folded with their results, what is set aside marked.
//!
//! Invariant: what somebody said cannot pass for what somebody else said, nor for a heading: results stand in fences that
//! they cannot end, and words are indented where they would begin a heading or a fold of their own.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::messages::{MessageItem, MessageRole, ToolCallItem};
use crate::id::{CallId, SessionId};

/// What stands above a transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    /// The session.
    pub session: SessionId,
    /// Its name for people.
    pub title: Option<String>,
    /// The agent.
    pub agent: String,
    /// When it was made, and last changed.
    pub dates: (String, String),
}

/// Writes a transcript as Markdown.
#[must_use]
pub fn markdown(heading: &Heading, items: &[MessageItem]) -> String {
    let title = heading.title.as_deref().unwrap_or("A conversation");
    let mut text = format!("# {}\n\n", one_line(title));
    // Writing to a String cannot fail.
    writeln!(text, "- session: `{}`", heading.session).ok();
    writeln!(text, "- agent: `{}`", heading.agent).ok();
    writeln!(text, "- from {} to {}", heading.dates.0, heading.dates.1).ok();
    let of_tools = items.iter().filter_map(|item| Some((item.call?, item)));
    let results: BTreeMap<CallId, &MessageItem> = of_tools.collect();
    for item in items {
        match item.role {
            MessageRole::User => said(&mut text, item, &person(item)),
            MessageRole::Assistant => {
                said(&mut text, item, &heading.agent);
                item.tool_calls.iter().for_each(|call| folded(&mut text, call, results.get(&call.id).copied()));
            }
            // It stands with its call.
            MessageRole::Tool => {}
        }
    }
    text
}

fn person(item: &MessageItem) -> String {
    let sender = item.origin.as_ref().and_then(|origin| origin.sender.as_deref());
    one_line(sender.unwrap_or("You"))
}

fn said(text: &mut String, item: &MessageItem, who: &str) {
    let aside = if item.set_aside { " (set aside)" } else { "" };
    writeln!(text, "\n## {who}{aside}\n\n*{}, event {}*", item.at, item.seq).ok();
    if !item.content.trim().is_empty() {
        writeln!(text, "\n{}", quiet(&item.content)).ok();
    }
}

/// A call with its result, shut until somebody opens it.
fn folded(text: &mut String, call: &ToolCallItem, result: Option<&MessageItem>) {
    let outcome = result.and_then(|result| result.outcome.as_deref()).unwrap_or("no result yet");
    let arguments = serde_json::to_string_pretty(&call.arguments).unwrap_or_default();
    writeln!(text, "\n<details>\n<summary>{}: {}</summary>\n", escaped(&call.name), escaped(outcome)).ok();
    writeln!(text, "{}", fenced("json", &arguments)).ok();
    if let Some(result) = result.filter(|result| !result.content.is_empty()) {
        writeln!(text, "\n{}", fenced("text", &result.content)).ok();
    }
    writeln!(text, "\n</details>").ok();
}

/// A fence longer than any that is in it.
fn fenced(kind: &str, content: &str) -> String {
    let longest = content.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{kind}\n{}\n{fence}", content.trim_end_matches('\n'))
}

/// Words whose lines begin no heading and no fold.
fn quiet(content: &str) -> String {
    let line = |line: &str| {
        let begins = line.trim_start();
        let loud = begins.starts_with('#') || begins.starts_with("<details") || begins.starts_with("</details");
        if loud { format!("\\{begins}") } else { line.to_owned() }
    };
    content.trim_end().lines().map(line).collect::<Vec<_>>().join("\n")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn escaped(text: &str) -> String {
    one_line(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
