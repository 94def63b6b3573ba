//! A request as the Messages API takes it. Cache breakpoints are set on what stays the same: the last system block, the
//! last tool, the last message, and the user's message before it, where the cache of the request before ends.

use outlive_core::content::{Block, Message, Request, Role};
use outlive_core::media::Files;
use serde_json::{Value, json};

use crate::media::{Part, part};
use crate::schema::{in_words, is_closed};

pub(super) fn body(model: &str, request: &Request) -> Value {
    let mut system: Vec<Value> = request.system.iter().map(|text| json!({"type": "text", "text": text})).collect();
    let mut tools: Vec<Value> = request
        .tools
        .iter()
        .map(|tool| json!({"name": tool.name, "description": tool.description, "input_schema": tool.input_schema}))
        .collect();
    let mut messages: Vec<Value> =
        request.messages.iter().map(|message| self::message(message, &request.files)).collect();
    cache(system.last_mut());
    let schema = request.output_schema.as_deref();
    let (held, told) = schema
        .map_or((None, None), |schema| if holds(model, schema) { (Some(schema), None) } else { (None, Some(schema)) });
    // After the breakpoint: the cache of what stands before it is the same with a schema and without.
    system.extend(told.map(|schema| json!({"type": "text", "text": in_words(schema)})));
    cache(tools.last_mut());
    // The cache is looked for only a few blocks back from a breakpoint, and a step may add more.
    for message in messages.iter_mut().rev().step_by(2).take(2) {
        cache(message.get_mut("content").and_then(|content| content.as_array_mut()?.last_mut()));
    }
    let mut body =
        json!({"model": model, "max_tokens": request.max_output_tokens, "stream": true, "messages": messages});
    if !system.is_empty() {
        body["system"] = system.into();
    }
    if !tools.is_empty() {
        body["tools"] = tools.into();
    }
    if let Some(temperature) = request.temperature {
        body["temperature"] = temperature.into();
    }
    if let Some(schema) = held {
        body["output_config"] = json!({"format": {"type": "json_schema", "schema": schema}});
    }
    body
}

/// Returns what is sent to have a request's tokens counted: what costs any.
pub(super) fn counted(model: &str, request: &Request) -> Value {
    let mut body = self::body(model, request);
    if let Some(keys) = body.as_object_mut() {
        keys.retain(|key, _| !["max_tokens", "stream", "temperature", "output_config"].contains(&key.as_str()));
    }
    body
}

/// Says whether the API holds the answer to a schema.
pub(super) fn holds(model: &str, schema: &Value) -> bool {
    keeps_to(model) && is_closed(schema)
}

/// Says whether the API holds a model to a schema: not those before Claude 4.5.
fn keeps_to(model: &str) -> bool {
    let old =
        ["claude-2", "claude-3", "claude-sonnet-4-0", "claude-sonnet-4-2025", "claude-opus-4-0", "claude-opus-4-1"];
    !old.iter().any(|old| model.starts_with(old)) && !model.starts_with("claude-opus-4-2025")
}

fn cache(block: Option<&mut Value>) {
    if let Some(block) = block {
        block["cache_control"] = json!({"type": "ephemeral"});
    }
}

fn message(message: &Message, files: &Files) -> Value {
    let role = match message.role {
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    json!({"role": role, "content": message.content.iter().filter_map(|block| self::block(block, files)).collect::<Vec<_>>()})
}

fn block(block: &Block, files: &Files) -> Option<Value> {
    Some(match block {
        Block::Text { text } => json!({"type": "text", "text": text}),
        Block::Thinking { thinking, signature: Some(signature) } => {
            json!({"type": "thinking", "thinking": thinking, "signature": signature})
        }
        Block::Media(attachment) => match part(attachment, files, |_all| true) {
            Part::Text(text) => json!({"type": "text", "text": text}),
            Part::Image { media_type, data } => json!({"type": "image", "source": base64(media_type, &data)}),
            Part::Pdf { name, data } => {
                json!({"type": "document", "source": base64("application/pdf", &data), "title": name})
            }
        },
        // Reasoning without its seal is another provider's: this one would refuse it.
        Block::Thinking { signature: None, .. } => return None,
        Block::RedactedThinking { data } => json!({"type": "redacted_thinking", "data": data}),
        Block::ToolUse { id, name, input, .. } => {
            json!({"type": "tool_use", "id": id, "name": crate::settings::tool_name(name), "input": input})
        }
        Block::ToolResult { id, content, is_error } => {
            let content = if content.is_empty() { "(no output)" } else { content };
            json!({"type": "tool_result", "tool_use_id": id, "content": content, "is_error": is_error})
        }
    })
}

fn base64(media_type: &str, data: &str) -> Value {
    json!({"type": "base64", "media_type": media_type, "data": data})
}
