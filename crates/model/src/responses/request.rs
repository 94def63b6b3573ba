//! A request as the Responses API takes it: one list of items, in the order in which things were said.

use outlive_core::content::{Block, Message, Request, Role, ToolSpec};
use outlive_core::media::Attachment;
use serde_json::{Value, json};

use super::PHASE;
use crate::media::{Part, data_url, part};
use crate::openai;
use crate::schema::{in_words, is_object, is_strict};

/// The API takes no smaller limit.
const LEAST: u32 = 16;

pub(super) fn body(model: &str, request: &Request) -> Value {
    let shown = |attachment: &Attachment| shown(part(attachment, &request.files, |_kind| openai::sees(model)));
    let input: Vec<Value> = request.messages.iter().flat_map(|message| items(message, &shown)).collect();
    let limit = request.max_output_tokens.max(LEAST);
    let mut body = json!({"model": model, "stream": true, "store": false, "max_output_tokens": limit, "input": input});
    if is_reasoning(model) {
        body["include"] = json!(["reasoning.encrypted_content"]);
    }
    let schema = request.output_schema.as_deref();
    let told = schema.filter(|schema| !is_object(schema)).map(in_words);
    let system: Vec<&str> = request.system.iter().map(String::as_str).chain(told.as_deref()).collect();
    if !system.is_empty() {
        body["instructions"] = system.join("\n\n").into();
    }
    if let Some(schema) = schema.filter(|schema| is_object(schema)) {
        let format = json!({"type": "json_schema", "name": "answer", "schema": schema, "strict": is_strict(schema)});
        body["text"] = json!({"format": format});
    }
    if !request.tools.is_empty() {
        body["tools"] = request.tools.iter().map(tool).collect();
    }
    if let Some(temperature) = request.temperature {
        body["temperature"] = temperature.into();
    }
    body
}

/// Returns what is sent to have a request's tokens counted: what costs any.
pub(super) fn counted(model: &str, request: &Request) -> Value {
    let mut body = self::body(model, request);
    if let Some(keys) = body.as_object_mut() {
        keys.retain(|key, _| ["model", "input", "instructions", "tools", "text"].contains(&key.as_str()));
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

/// Beside a file, what a person says is one message with it.
fn items(message: &Message, shown: &dyn Fn(&Attachment) -> Value) -> Vec<Value> {
    let part = |block: &Block| match block {
        Block::Media(attachment) => Some(shown(attachment)),
        Block::Text { text } => Some(input_text(text)),
        Block::Thinking { .. } | Block::RedactedThinking { .. } | Block::ToolUse { .. } | Block::ToolResult { .. } => {
            None
        }
    };
    if !message.content.iter().any(|block| matches!(block, Block::Media(_))) {
        return single(message.role, message.content.iter()).collect();
    }
    let parts: Vec<Value> = message.content.iter().filter_map(part).collect();
    let said = json!({"type": "message", "role": "user", "content": parts});
    let rest = message.content.iter().filter(|block| part(block).is_none());
    single(message.role, rest).chain([said]).collect()
}

fn input_text(text: &str) -> Value {
    json!({"type": "input_text", "text": text})
}

fn shown(part: Part) -> Value {
    match part {
        Part::Text(text) => input_text(&text),
        Part::Image { media_type, data } => {
            json!({"type": "input_image", "image_url": data_url(media_type, &data), "detail": "auto"})
        }
        Part::Pdf { name, data } => {
            json!({"type": "input_file", "filename": name, "file_data": data_url("application/pdf", &data)})
        }
    }
}

/// Blocks that are an item each.
fn single<'a>(role: Role, blocks: impl Iterator<Item = &'a Block>) -> impl Iterator<Item = Value> {
    let mut phase = None;
    blocks.filter_map(move |block| match block {
        Block::Media(_) => None,
        Block::Text { text } => Some(match role {
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
