//! The transcript as people read it: one item for each thing said, by whom, with the calls and their outcomes.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::content::Block;
use crate::event::{Entry, Event, Origin};
use crate::id::{CallId, Seq, TurnId};
use crate::media::Attachment;
use crate::time::Timestamp;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageRole {
    /// A person.
    User,
    /// The agent.
    Assistant,
    /// A tool.
    Tool,
}

/// One message of the transcript.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MessageItem {
    /// The event it comes from.
    pub seq: Seq,
    /// When.
    pub at: Timestamp,
    /// Its turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<TurnId>,
    /// Who speaks.
    pub role: MessageRole,
    /// The text.
    pub content: String,
    /// Files that came with a person's message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// The agent's reasoning, where the provider shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<String>,
    /// The calls that the agent asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCallItem>,
    /// The call that a tool's message answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallId>,
    /// How that call ended: `ok`, `error`, `timeout`, `interrupted`, `denied`, `lost`, `answered`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Where a person's message came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Whether a rewind has set it aside: the agent does not see it any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub set_aside: bool,
}

/// One call that the agent asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolCallItem {
    /// Its id.
    pub id: CallId,
    /// The tool.
    pub name: String,
    /// What it is given.
    pub arguments: Value,
}

/// Folds entries, in order, into messages.
pub fn fold_messages<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<MessageItem> {
    entries.into_iter().filter_map(item).collect()
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "only what somebody said is a message; a new event is silent until it is given a voice"
)]
fn item(entry: &Entry) -> Option<MessageItem> {
    let blank = |role, content: &str| MessageItem {
        seq: entry.seq,
        at: entry.at,
        turn: entry.turn,
        role,
        content: content.to_owned(),
        attachments: Vec::new(),
        thinking: None,
        tool_calls: Vec::new(),
        call: None,
        outcome: None,
        origin: None,
        set_aside: false,
    };
    let result = |call: CallId, content: &str, outcome: &str| MessageItem {
        call: Some(call),
        outcome: Some(outcome.to_owned()),
        ..blank(MessageRole::Tool, content)
    };
    match &entry.event {
        Event::MessageReceived(message) => Some(MessageItem {
            origin: Some(message.origin.clone()),
            attachments: message.attachments.clone(),
            ..blank(MessageRole::User, &message.content)
        }),
        Event::StepFinished(finished) => Some(MessageItem {
            thinking: thinking(&finished.content),
            tool_calls: finished.content.iter().filter_map(tool_call).collect(),
            ..blank(MessageRole::Assistant, &text(&finished.content))
        }),
        Event::CallFinished(finished) => {
            let outcome = match finished.outcome {
                crate::event::Outcome::Ok => "ok",
                crate::event::Outcome::Error => "error",
                crate::event::Outcome::Timeout => "timeout",
                crate::event::Outcome::Interrupted => "interrupted",
            };
            Some(result(finished.call, &finished.content, outcome))
        }
        Event::CallDenied(denied) => Some(result(denied.call, &denied.content, "denied")),
        // Of a call that goes on: its result is still to come.
        Event::QuestionAnswered(answered) if answered.attempt.is_some() => None,
        Event::QuestionAnswered(answered) => Some(result(answered.call, &answered.content, "answered")),
        Event::CallLost(lost) => Some(result(lost.call, &lost.known, "lost")),
        _silent => None,
    }
}

/// Joins the texts of a reply.
fn text(content: &[Block]) -> String {
    let texts: Vec<&str> =
        content.iter().filter_map(|b| if let Block::Text { text } = b { Some(text.as_str()) } else { None }).collect();
    texts.join("\n\n")
}

fn thinking(content: &[Block]) -> Option<String> {
    let texts: Vec<&str> = content
        .iter()
        .filter_map(|b| if let Block::Thinking { thinking, .. } = b { Some(thinking.as_str()) } else { None })
        .collect();
    let joined = texts.join("\n\n");
    (!joined.is_empty()).then_some(joined)
}

fn tool_call(block: &Block) -> Option<ToolCallItem> {
    match block {
        Block::ToolUse { id, name, input, .. } => {
            Some(ToolCallItem { id: *id, name: name.clone(), arguments: input.clone() })
        }
        Block::Text { .. }
        | Block::Thinking { .. }
        | Block::RedactedThinking { .. }
        | Block::ToolResult { .. }
        | Block::Media(_) => None,
    }
}
