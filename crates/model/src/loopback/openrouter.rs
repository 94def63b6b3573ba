//! What OpenRouter adds to Chat Completions: comments, who served a reply, what it cost, and reasoning with its seals.

use outlive_core::content::{Reply, ReplyBlock};
use serde_json::{Value, json};

use super::play::{openai, pieces};

/// Who serves.
pub(super) const SERVED_BY: &str = "Loopback";

/// Returns the chunks of a reply. A seal is a detail of reasoning without its text.
pub(super) fn frames(reply: &Reply) -> Vec<String> {
    let (reasoning, said): (Vec<_>, Vec<_>) = reply.content.iter().cloned().partition(|block| match block {
        ReplyBlock::Thinking { .. } | ReplyBlock::RedactedThinking(_) => true,
        ReplyBlock::Text(_) | ReplyBlock::ToolUse { .. } => false,
    });
    let plain = openai(&Reply { content: said, ..reply.clone() });
    let mut frames = vec![": OPENROUTER PROCESSING\n\n".to_owned()];
    for detail in reasoning.iter().flat_map(details) {
        let delta = json!({"content": "", "reasoning": detail["text"], "reasoning_details": [detail]});
        frames.push(added(json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}]}), reply));
    }
    frames.extend(plain.into_iter().map(|frame| {
        let data = frame.strip_prefix("data: ").and_then(|data| serde_json::from_str(data.trim()).ok());
        data.map_or(frame, |data: Value| added(data, reply))
    }));
    frames
}

fn added(mut chunk: Value, reply: &Reply) -> String {
    chunk["provider"] = SERVED_BY.into();
    if let Some(usage) = chunk.get_mut("usage").filter(|usage| usage.is_object()) {
        usage["cost"] = reply.usage.charged().into();
        usage["prompt_tokens_details"]["cache_write_tokens"] = reply.usage.cache_write_tokens.into();
    }
    format!("data: {chunk}\n\n")
}

fn details(block: &ReplyBlock) -> Vec<Value> {
    let read = |seal: &str| serde_json::from_str::<Value>(seal).ok();
    match block {
        ReplyBlock::Thinking { thinking, signature } => {
            let piece = |text| json!({"type": "reasoning.text", "text": text, "index": 0});
            let seal = signature.as_deref().and_then(read);
            pieces(thinking).into_iter().map(piece).chain(seal).collect()
        }
        ReplyBlock::RedactedThinking(data) => read(data).into_iter().collect(),
        ReplyBlock::Text(_) | ReplyBlock::ToolUse { .. } => Vec::new(),
    }
}
