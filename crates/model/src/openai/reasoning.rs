//! Reasoning as OpenRouter has it: `reasoning_details`, a list that goes back as it came. A block keeps the text of a detail
//! as its own, and the rest as its seal.

use outlive_core::content::{Block, ReplyBlock};
use serde_json::Value;

/// No reply has more details.
const MOST: usize = 1_024;

/// Details as they stream in, in order.
#[derive(Default)]
pub(super) struct Details(Vec<Value>);

impl Details {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes a piece: of the last detail, or a new one.
    pub(super) fn take(&mut self, piece: &Value) {
        let Some(key) = text_key(piece) else {
            if self.0.len() < MOST {
                self.0.push(piece.clone());
            }
            return;
        };
        let (kind, index) = (piece.get("type"), piece.get("index"));
        let has_room = self.0.len() < MOST;
        match self.0.last_mut().filter(|last| last.get("type") == kind && last.get("index") == index) {
            Some(last) => join(last, piece, key),
            None if has_room => self.0.push(piece.clone()),
            None => {}
        }
    }

    pub(super) fn into_blocks(self) -> impl Iterator<Item = ReplyBlock> {
        self.0.into_iter().map(|mut detail| {
            // Its place stays, so that it goes back where it was.
            let text = text_key(&detail).and_then(|key| Some(detail.get_mut(key)?.take()));
            match text {
                Some(Value::String(thinking)) => ReplyBlock::Thinking { thinking, signature: Some(detail.to_string()) },
                Some(_) | None => ReplyBlock::RedactedThinking(detail.to_string()),
            }
        })
    }
}

/// Returns the detail that a block was, if it was one.
pub(super) fn detail(block: &Block) -> Option<Value> {
    let read = |seal: &str| serde_json::from_str::<Value>(seal).ok();
    let is_one = |detail: &Value| detail["type"].as_str().is_some_and(|kind| kind.starts_with("reasoning."));
    match block {
        Block::Thinking { thinking, signature } => {
            let mut detail = read(signature.as_deref()?).filter(is_one)?;
            let key = text_key(&detail)?;
            detail[key] = thinking.as_str().into();
            Some(detail)
        }
        Block::RedactedThinking { data } => read(data).filter(is_one),
        Block::Text { .. } | Block::ToolUse { .. } | Block::ToolResult { .. } | Block::Media(_) => None,
    }
}

/// Where a detail has its text, which streams; the sealed ones come whole.
fn text_key(detail: &Value) -> Option<&'static str> {
    match detail.get("type").and_then(Value::as_str)? {
        "reasoning.text" => Some("text"),
        "reasoning.summary" => Some("summary"),
        _sealed => None,
    }
}

/// Adds a piece: its text to the text, whatever else it says in place of what was said before.
fn join(whole: &mut Value, piece: &Value, key: &str) {
    for (name, value) in piece.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        match (&mut whole[name.as_str()], value) {
            (Value::String(said), Value::String(more)) if name == key => said.push_str(more),
            (place, value) => *place = value.clone(),
        }
    }
}
