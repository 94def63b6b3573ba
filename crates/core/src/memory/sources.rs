//! Events that something remembered comes from: what they say, and what is left of them when that is to go.

use crate::content::Block;
use crate::event::{Entry, Event};
use crate::id::InputId;
use crate::redact::FORGOTTEN;

/// Puts a mark in the place of all that an event says; says whether it said something.
#[expect(clippy::wildcard_enum_match_arm, reason = "nothing else is a source")]
pub(super) fn blank(entry: &mut Entry) -> bool {
    let forgotten = || FORGOTTEN.to_owned();
    match &mut entry.event {
        Event::MessageReceived(message) if message.content != FORGOTTEN || !message.attachments.is_empty() => {
            (message.content, message.attachments) = (forgotten(), Vec::new());
        }
        Event::CallFinished(finished) if finished.content != FORGOTTEN => {
            (finished.content, finished.details, finished.artifact) = (forgotten(), None, None);
        }
        Event::QuestionAnswered(answered) if answered.content != FORGOTTEN => {
            answered.content = forgotten();
            answered.answers = answered.answers.iter().map(|_| vec![forgotten()]).collect();
        }
        Event::StepFinished(finished) => {
            let is_changed = finished.content.iter_mut().fold(false, |any, it| blank_block(it) | any);
            if !is_changed {
                return false;
            }
        }
        _no_source => return false,
    }
    entry.tokens = None;
    true
}

fn blank_block(block: &mut Block) -> bool {
    match block {
        Block::Text { text } if text != FORGOTTEN => *text = FORGOTTEN.to_owned(),
        Block::Thinking { thinking, signature } if thinking != FORGOTTEN => {
            (*thinking, *signature) = (FORGOTTEN.to_owned(), None);
        }
        Block::ToolUse { input, .. } => {
            let empty = serde_json::Value::Object(serde_json::Map::new());
            if *input == empty {
                return false;
            }
            *input = empty;
        }
        Block::Text { .. }
        | Block::Thinking { .. }
        | Block::RedactedThinking { .. }
        | Block::ToolResult { .. }
        | Block::Media(_) => return false,
    }
    true
}

/// Returns what a message was in the queue.
pub(super) fn waited_as(entry: &Entry) -> Option<InputId> {
    if let Event::MessageReceived(message) = &entry.event { message.input } else { None }
}

/// Returns what an event says, where others may have repeated it word by word.
#[expect(clippy::wildcard_enum_match_arm, reason = "nothing else is a source")]
pub(super) fn said(event: &Event) -> Vec<String> {
    match event {
        Event::MessageReceived(message) => vec![message.content.clone()],
        Event::CallFinished(finished) => vec![finished.content.clone()],
        Event::StepFinished(finished) => finished.content.iter().filter_map(text).collect(),
        _no_source => Vec::new(),
    }
}

fn text(block: &Block) -> Option<String> {
    match block {
        Block::Text { text } => Some(text.clone()),
        Block::Thinking { .. }
        | Block::RedactedThinking { .. }
        | Block::ToolUse { .. }
        | Block::ToolResult { .. }
        | Block::Media(_) => None,
    }
}
