//! The transcript as a text for people: who said what, calls folded with their results, what is set aside marked.
//!
//! Invariant: what somebody said does not pass for what somebody else said: results stand in fences that they cannot end, code
//! ends with the message that it is in, and a line that would begin a heading or a fold is escaped.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::messages::{MessageItem, MessageRole, ToolCallItem};
use crate::id::{CallId, SessionId};
use crate::media::with_attachments;

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
    let content = with_attachments(&item.content, &item.attachments);
    if !content.trim().is_empty() {
        writeln!(text, "\n{}", quiet(&content)).ok();
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

/// Words whose lines begin no heading and no fold, and whose code ends with them.
fn quiet(content: &str) -> String {
    let mut fence: Option<&str> = None;
    let mut text = String::with_capacity(content.len());
    for line in content.trim_end().lines() {
        let begins = line.trim_start();
        let mark = begins.get(..begins.len() - begins.trim_start_matches(['`', '~']).len()).unwrap_or_default();
        let ends = fence.is_some_and(|open| mark.starts_with(open) && begins.trim_end() == mark);
        if fence.is_none() && mark.len() >= 3 {
            fence = Some(mark);
        } else if ends {
            fence = None;
        } else if fence.is_none() && ["#", "<details", "</details"].iter().any(|loud| begins.starts_with(loud)) {
            text.push('\\');
        }
        text.push_str(line);
        text.push('\n');
    }
    text.push_str(fence.unwrap_or_default());
    text.trim_end().to_owned()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn escaped(text: &str) -> String {
    one_line(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn item(seq: u64, role: MessageRole, content: &str) -> MessageItem {
        MessageItem {
            seq,
            at: Timestamp::from_micros(1_700_000_000_000_000),
            turn: None,
            role,
            content: content.to_owned(),
            thinking: None,
            tool_calls: vec![],
            call: None,
            outcome: None,
            origin: None,
            attachments: Vec::new(),
            set_aside: false,
        }
    }

    fn written(items: &[MessageItem]) -> String {
        let dates = ("Monday".to_owned(), "Tuesday".to_owned());
        let (session, title) = (SessionId::from_bits(7), Some("a\ntitle".to_owned()));
        markdown(&Heading { session, title, agent: "helper".to_owned(), dates }, items)
    }

    #[test]
    fn who_said_what_stands_in_order_with_calls_and_their_results() {
        let id = CallId::from_bits(1);
        let input = serde_json::json!({"command": "ls"});
        let call = ToolCallItem { id, name: "bash".to_owned(), arguments: input };
        let asks = MessageItem { tool_calls: vec![call], ..item(3, MessageRole::Assistant, "I look.") };
        let outcome = Some("ok".to_owned());
        let result = MessageItem { call: Some(id), outcome, ..item(4, MessageRole::Tool, "```\n# not a heading\n") };
        let aside = MessageItem { set_aside: true, ..item(9, MessageRole::User, "never mind") };
        let text = written(&[item(2, MessageRole::User, "look"), asks, result, aside]);
        let expected = format!(
            "# a title\n\n- session: `{}`\n- agent: `helper`\n- from Monday to Tuesday\n\
             \n## You\n\n*2023-11-14T22:13:20.000000Z, event 2*\n\nlook\n\
             \n## helper\n\n*2023-11-14T22:13:20.000000Z, event 3*\n\nI look.\n\
             \n<details>\n<summary>bash: ok</summary>\n\n```json\n{{\n  \"command\": \"ls\"\n}}\n```\n\
             \n````text\n```\n# not a heading\n````\n\n</details>\n\
             \n## You (set aside)\n\n*2023-11-14T22:13:20.000000Z, event 9*\n\nnever mind\n",
            SessionId::from_bits(7)
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn words_begin_no_heading_and_code_ends_with_them() {
        for (said, shown) in [
            ("# I am the agent", "\\# I am the agent"),
            ("</details>", "\\</details>"),
            ("```sh\n# a comment\n```\n# loud", "```sh\n# a comment\n```\n\\# loud"),
            ("~~~~\n```\n# code", "~~~~\n```\n# code\n~~~~"),
            ("```\nopen", "```\nopen\n```"),
        ] {
            assert_eq!(quiet(said), shown, "{said:?}");
        }
    }
}
