//! What was called before, as a conversation has it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Transcript;
use crate::content::Block;
use crate::id::CallId;

/// A call that was asked for earlier.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Did<'a> {
    /// Which.
    pub id: CallId,
    /// The tool.
    pub tool: &'a str,
    /// What it was given.
    pub input: &'a Value,
    /// Whether the turn that asked for it still runs.
    pub this_turn: bool,
    /// How it went; nothing is known where it has no result yet.
    pub went_well: Option<bool>,
}

impl Transcript {
    /// Returns every call of the conversation, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<Did<'_>> {
        let mut results: BTreeMap<CallId, bool> = BTreeMap::new();
        for block in self.messages.iter().flat_map(|message| &message.content) {
            if let Block::ToolResult { id, is_error, .. } = block {
                results.insert(*id, !is_error);
            }
        }
        results.extend(self.results.iter().map(|(id, (_, failed))| (*id, !failed)));
        let calls = self
            .messages
            .iter()
            .enumerate()
            .flat_map(|(at, message)| message.content.iter().map(move |block| (at >= self.turn_from, block)));
        calls
            .filter_map(|(this_turn, block)| match block {
                Block::ToolUse { id, name, input, .. } => {
                    Some(Did { id: *id, tool: name, input, this_turn, went_well: results.get(id).copied() })
                }
                Block::Text { .. }
                | Block::Thinking { .. }
                | Block::RedactedThinking { .. }
                | Block::ToolResult { .. }
                | Block::Media(_) => None,
            })
            .collect()
    }
}
