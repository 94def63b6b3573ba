//! A request as Chat Completions takes it: results are messages of their own, before what the person says next.

use outlive_core::content::{Block, Message, Request, Role};
use outlive_core::media::{Family, Files, MediaType};
use serde_json::{Value, json};

use super::reasoning;
use crate::media::{Part, data_url, part};
use crate::schema::{in_words, is_object, is_strict};

/// Where requests go, as far as it changes what is sent.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Place {
    /// OpenAI's own API.
    Own,
    /// OpenRouter.
    Router,
    /// Whatever else speaks the dialect, with a model that is known to keep to a schema.
    Structured,
    /// Whatever else speaks the dialect.
    Elsewhere,
}

/// Says whether the API holds the answer to a schema.
pub(super) fn holds(place: Place, schema: &Value) -> bool {
    is_object(schema) && place != Place::Elsewhere
}

pub(super) fn body(model: &str, request: &Request, place: Place) -> Value {
    let mut messages: Vec<Value> = Vec::new();
    let takes = |kind: MediaType| takes(model, place, kind);
    let schema = request.output_schema.as_deref();
    let told = schema.filter(|schema| !holds(place, schema)).map(in_words);
    let system: Vec<&str> = request.system.iter().map(String::as_str).chain(told.as_deref()).collect();
    if !system.is_empty() {
        messages.push(json!({"role": "system", "content": system.join("\n\n")}));
    }
    for message in &request.messages {
        match message.role {
            Role::User => user(message, (&request.files, &takes), &mut messages),
            Role::Assistant => messages.push(assistant(message)),
        }
    }
    let mut body =
        json!({"model": model, "stream": true, "stream_options": {"include_usage": true}, "messages": messages});
    let limit = if place == Place::Own { "max_completion_tokens" } else { "max_tokens" };
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
    if let Some(schema) = schema.filter(|schema| holds(place, schema)) {
        let named = json!({"name": "answer", "schema": schema, "strict": is_strict(schema)});
        body["response_format"] = json!({"type": "json_schema", "json_schema": named});
    }
    body
}

/// Adds what OpenRouter wants to be asked for: the cost; and for Anthropic's models where a cache ends.
pub(super) fn route(body: &mut Value) {
    body["usage"] = json!({"include": true});
    let is_anthropic = body["model"].as_str().is_some_and(|model| model.starts_with("anthropic/"));
    let Some(messages) = body["messages"].as_array_mut().filter(|_| is_anthropic) else { return };
    let is = |message: &&mut Value, role: &str| message["role"] == role;
    // As parts from the beginning: a text that became one later would not be the same bytes.
    for message in messages.iter_mut().filter(|message| is(message, "system") || is(message, "user")) {
        if let Some(text) = message["content"].as_str() {
            message["content"] = json!([{"type": "text", "text": text}]);
        }
    }
    cache(messages.first_mut().filter(|first| is(first, "system")));
    cache(messages.iter_mut().rfind(|message| is(message, "user")));
}

fn cache(message: Option<&mut Value>) {
    if let Some(part) = message.and_then(|message| message.get_mut("content")?.as_array_mut()?.last_mut()) {
        part["cache_control"] = json!({"type": "ephemeral"});
    }
}

/// Says whether one of OpenAI's models looks at images, and at PDFs, which become images there.
pub(crate) fn sees(model: &str) -> bool {
    let is_blind = ["gpt-3", "o1-mini", "o1-preview", "o3-mini"].iter().any(|blind| model.starts_with(blind));
    !is_blind && !matches!(model, "gpt-4" | "gpt-4-0314" | "gpt-4-0613")
}

/// Says whether a type may be sent. PDFs are an addition that few others than its maker and the router know.
fn takes(model: &str, place: Place, kind: MediaType) -> bool {
    match kind.family() {
        Family::Image => place != Place::Own || sees(model),
        Family::Pdf => place == Place::Router || (place == Place::Own && sees(model)),
        Family::Text => true,
    }
}

/// What is only text is sent as one; beside a file it is one of the parts.
fn user(message: &Message, (files, takes): (&Files, &dyn Fn(MediaType) -> bool), messages: &mut Vec<Value>) {
    let mut said = Vec::new();
    let mut parts = Vec::new();
    for block in &message.content {
        match block {
            Block::ToolResult { id, content, .. } => {
                messages.push(json!({"role": "tool", "tool_call_id": id, "content": content}));
            }
            Block::Text { text } => said.push(text.clone()),
            Block::Media(attachment) => match part(attachment, files, takes) {
                Part::Text(text) => said.push(text),
                Part::Image { media_type, data } => {
                    parts.push(json!({"type": "image_url", "image_url": {"url": data_url(media_type, &data)}}));
                }
                Part::Pdf { name, data } => {
                    let data = data_url("application/pdf", &data);
                    parts.push(json!({"type": "file", "file": {"filename": name, "file_data": data}}));
                }
            },
            Block::Thinking { .. } | Block::RedactedThinking { .. } | Block::ToolUse { .. } => {}
        }
    }
    let said = said.join("\n\n");
    if parts.is_empty() && !said.is_empty() {
        messages.push(json!({"role": "user", "content": said}));
    } else if !parts.is_empty() {
        parts.extend((!said.is_empty()).then(|| json!({"type": "text", "text": said})));
        messages.push(json!({"role": "user", "content": parts}));
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
            Block::Thinking { .. } | Block::RedactedThinking { .. } | Block::ToolResult { .. } | Block::Media(_) => {}
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
