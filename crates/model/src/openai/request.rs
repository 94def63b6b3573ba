//! A request as Chat Completions takes it: results are messages of their own, before what the person says next.

use outlive_core::content::{Block, Message, Request, Role};
use serde_json::{Value, json};

use super::reasoning;

pub(super) fn body(model: &str, request: &Request, limit: &str) -> Value {
    let mut messages: Vec<Value> = Vec::new();
    if !request.system.is_empty() {
        messages.push(json!({"role": "system", "content": request.system.join("\n\n")}));
    }
    for message in &request.messages {
        match message.role {
            Role::User => user(message, &mut messages),
            Role::Assistant => messages.push(assistant(message)),
        }
    }
    let mut body =
        json!({"model": model, "stream": true, "stream_options": {"include_usage": true}, "messages": messages});
    body[limit] = request.max_output_tokens.into();
    if !request.tools.is_empty() {
        let tool = |tool: &outlive_core::content::ToolSpec| {
            let function = json!({"name": tool.name, "description": tool.description, "parameters": tool.input_schema});
            json!({"type": "function", "function": function})
        };
        body["tools"] = request.tools.iter().map(tool).collect();
    }
    if let Some(temperature) = request.temperature {
        body["temperature"] = temperature.into();
    }
    body
}

/// Adds what OpenRouter wants to be asked for: the cost; and for Anthropic's models where a cache ends.
pub(super) fn route(body: &mut Value) {
    body["usage"] = json!({"include": true});
    let is_anthropic = body["model"].as_str().is_some_and(|model| model.starts_with("anthropic/"));
    let Some(messages) = body["messages"].as_array_mut().filter(|_| is_anthropic) else { return };
    let is = |message: &&mut Value, role: &str| message["role"] == role;
    cache(messages.first_mut().filter(|first| is(first, "system")));
    cache(messages.iter_mut().rfind(|message| is(message, "user")));
}

fn cache(message: Option<&mut Value>) {
    if let Some(content) = message.and_then(|message| message.get_mut("content")) {
        *content = json!([{"type": "text", "text": content, "cache_control": {"type": "ephemeral"}}]);
    }
}

fn user(message: &Message, messages: &mut Vec<Value>) {
    let mut said = Vec::new();
    for block in &message.content {
        match block {
            Block::ToolResult { id, content, .. } => {
                messages.push(json!({"role": "tool", "tool_call_id": id, "content": content}));
            }
            Block::Text { text } => said.push(text.as_str()),
            Block::Thinking { .. } | Block::RedactedThinking { .. } | Block::ToolUse { .. } => {}
        }
    }
    if !said.is_empty() {
        messages.push(json!({"role": "user", "content": said.join("\n\n")}));
    }
}

/// Reasoning is sent back only as OpenRouter's details.
fn assistant(message: &Message) -> Value {
    let mut said = Vec::new();
    let mut calls = Vec::new();
    let details: Vec<Value> = message.content.iter().filter_map(reasoning::detail).collect();
    for block in &message.content {
        match block {
            Block::Text { text } => said.push(text.as_str()),
            Block::ToolUse { id, name, input, .. } => {
                let function = json!({"name": crate::settings::tool_name(name), "arguments": input.to_string()});
                calls.push(json!({"id": id, "type": "function", "function": function}));
            }
            Block::Thinking { .. } | Block::RedactedThinking { .. } | Block::ToolResult { .. } => {}
        }
    }
    let content = if said.is_empty() { Value::Null } else { said.join("\n\n").into() };
    let mut message = json!({"role": "assistant", "content": content});
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    if !details.is_empty() {
        message["reasoning_details"] = details.into();
    }
    message
}
