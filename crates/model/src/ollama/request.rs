//! A request as Ollama takes it. A conversation that does not fit is refused, never cut in silence.

use std::collections::BTreeMap;

use outlive_core::content::{Block, Message, Request, Role, ToolSpec};
use outlive_core::id::CallId;
use outlive_core::media::{Files, MediaType};
use serde_json::{Value, json};

use crate::media::{Part, part};
use crate::schema::in_words;
use crate::settings::{Settings, tool_name};

/// Whether a model looks at images.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Sight {
    /// It does, or nobody knows.
    Sees,
    /// It does not.
    Blind,
}

pub(super) fn body(settings: &Settings, request: &Request, sight: Sight) -> Value {
    let mut messages: Vec<Value> = Vec::new();
    let schema = request.output_schema.as_deref();
    // Held to a schema, a model cannot call tools.
    let told = schema.filter(|_| !request.tools.is_empty()).map(in_words);
    let system: Vec<&str> = request.system.iter().map(String::as_str).chain(told.as_deref()).collect();
    if !system.is_empty() {
        messages.push(json!({"role": "system", "content": system.join("\n\n")}));
    }
    let mut names = BTreeMap::new();
    for message in &request.messages {
        match message.role {
            Role::User => user(message, &names, (&request.files, sight), &mut messages),
            Role::Assistant => messages.push(assistant(message, &mut names)),
        }
    }
    let mut options = json!({"num_predict": request.max_output_tokens});
    if let Some(tokens) = settings.context_window {
        options["num_ctx"] = tokens.into();
    }
    if let Some(temperature) = request.temperature {
        options["temperature"] = temperature.into();
    }
    let mut body = json!({"model": settings.name, "stream": true, "messages": messages, "options": options,
        "truncate": false, "shift": false});
    if !request.tools.is_empty() {
        body["tools"] = request.tools.iter().map(tool).collect();
    }
    if let Some(schema) = schema.filter(|_| request.tools.is_empty()) {
        body["format"] = schema.clone();
    }
    if let Some(time) = &settings.keep_alive {
        // A bare number is one of seconds, and -1 for ever.
        body["keep_alive"] = time.parse::<i64>().map_or_else(|_| time.as_str().into(), Value::from);
    }
    body
}

fn tool(tool: &ToolSpec) -> Value {
    let function = json!({"name": tool.name, "description": tool.description, "parameters": tool.input_schema});
    json!({"type": "function", "function": function})
}

/// A result names the tool that it comes from; images stand beside the text.
fn user(
    message: &Message,
    names: &BTreeMap<CallId, String>,
    (files, sight): (&Files, Sight),
    messages: &mut Vec<Value>,
) {
    let takes = |kind| sight == Sight::Sees && matches!(kind, MediaType::Png | MediaType::Jpeg | MediaType::Webp);
    let (mut said, mut images) = (Vec::new(), Vec::new());
    for block in &message.content {
        match block {
            Block::ToolResult { id, content, .. } => {
                let name = names.get(id).map_or("unnamed", String::as_str);
                messages.push(json!({"role": "tool", "tool_name": name, "tool_call_id": id, "content": content}));
            }
            Block::Text { text } => said.push(text.clone()),
            Block::Media(attachment) => match part(attachment, files, takes) {
                Part::Text(text) => said.push(text),
                Part::Image { data, .. } => images.push(data),
                // It takes none.
                Part::Pdf { .. } => {}
            },
            Block::Thinking { .. } | Block::RedactedThinking { .. } | Block::ToolUse { .. } => {}
        }
    }
    if !said.is_empty() || !images.is_empty() {
        let mut message = json!({"role": "user", "content": said.join("\n\n")});
        if !images.is_empty() {
            message["images"] = images.into();
        }
        messages.push(message);
    }
}

fn assistant(message: &Message, names: &mut BTreeMap<CallId, String>) -> Value {
    let (mut said, mut thought, mut calls) = (Vec::new(), Vec::new(), Vec::new());
    for block in &message.content {
        match block {
            Block::Text { text } => said.push(text.as_str()),
            Block::Thinking { thinking, .. } => thought.push(thinking.as_str()),
            Block::ToolUse { id, name, input, .. } => {
                let name = tool_name(name);
                calls.push(json!({"id": id, "function": {"name": name, "arguments": input}}));
                names.insert(*id, name);
            }
            Block::RedactedThinking { .. } | Block::ToolResult { .. } | Block::Media(_) => {}
        }
    }
    let mut message = json!({"role": "assistant", "content": said.join("\n\n")});
    if !thought.is_empty() {
        message["thinking"] = thought.join("\n\n").into();
    }
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    message
}
