//! A request as the Responses API takes it: one list of items, in the order in which things were said.

use outlive_core::content::{Block, Message, Request, Role, ToolSpec};
use serde_json::{Value, json};

use super::PHASE;

/// The API takes no smaller limit.
const LEAST: u32 = 16;

pub(super) fn body(model: &str, request: &Request) -> Value {
    let input: Vec<Value> = request.messages.iter().flat_map(|message| items(message)).collect();
    let limit = request.max_output_tokens.max(LEAST);
    let mut body = json!({"model": model, "stream": true, "store": false, "max_output_tokens": limit, "input": input});
    if is_reasoning(model) {
        body["include"] = json!(["reasoning.encrypted_content"]);
    }
    if !request.system.is_empty() {
        body["instructions"] = request.system.join("\n\n").into();
    }
    if !request.tools.is_empty() {
        body["tools"] = request.tools.iter().map(tool).collect();
    }
    if let Some(temperature) = request.temperature {
        body["temperature"] = temperature.into();
    }
    body
}

/// Says whether a model has reasoning to seal: one that has none refuses to be asked for it.
fn is_reasoning(model: &str) -> bool {
    let name = model.strip_prefix("ft:").unwrap_or(model);
    !["gpt-3", "gpt-4", "chatgpt-", "gpt-5-chat"].iter().any(|plain| name.starts_with(plain))
}

/// A strict schema must name every property as required: ours need not.
fn tool(tool: &ToolSpec) -> Value {
    json!({"type": "function", "name": tool.name, "description": tool.description, "parameters": tool.input_schema,
        "strict": false})
}

fn items(message: &Message) -> impl Iterator<Item = Value> {
    let mut phase = None;
    message.content.iter().filter_map(move |block| match block {
        Block::Text { text } => Some(match message.role {
            Role::User => json!({"type": "message", "role": "user", "content": text}),
            Role::Assistant => reply(text, phase.take()),
        }),
        Block::Thinking { thinking, signature } => reasoning(thinking, signature.as_deref()?),
        Block::RedactedThinking { data } => {
            phase = data.strip_prefix(PHASE);
            None
        }
        Block::ToolUse { id, name, input, .. } => {
            let name = crate::settings::tool_name(name);
            Some(json!({"type": "function_call", "call_id": id, "name": name, "arguments": input.to_string()}))
        }
        Block::ToolResult { id, content, .. } => {
            Some(json!({"type": "function_call_output", "call_id": id, "output": content}))
        }
    })
}

fn reply(text: &str, phase: Option<&str>) -> Value {
    let mut message = json!({"type": "message", "role": "assistant", "content": text});
    if let Some(phase) = phase {
        message["phase"] = phase.into();
    }
    message
}

/// The seal holds the item's id and its sealed content.
fn reasoning(thinking: &str, seal: &str) -> Option<Value> {
    let (id, sealed) = seal.split_once(' ')?;
    let summary = Some(thinking).filter(|text| !text.is_empty());
    let summary: Vec<Value> = summary.iter().map(|text| json!({"type": "summary_text", "text": text})).collect();
    Some(json!({"type": "reasoning", "id": id, "summary": summary, "encrypted_content": sealed}))
}
