//! The Gemini API as it is: what it refuses, and the chunks of a reply.

use std::sync::Arc;

use outlive_core::content::{Block, Message, Reply, ReplyBlock, Role, StopReason};
use serde_json::{Value, json};

use super::check::{Calls, Checked, said, text};
use super::media;
use super::play::pieces;

const KEYS: [&str; 4] = ["contents", "systemInstruction", "tools", "generationConfig"];

pub(super) fn messages(body: &Value, calls: &mut Calls) -> Checked<Vec<Arc<Message>>> {
    if let Some(key) =
        body.as_object().into_iter().flatten().map(|(key, _)| key).find(|key| !KEYS.contains(&key.as_str()))
    {
        return Err(format!("invalid JSON payload received: unknown name `{key}`"));
    }
    let mut messages: Vec<Arc<Message>> = Vec::new();
    for (at, content) in body["contents"].as_array().into_iter().flatten().enumerate() {
        let role = match content["role"].as_str() {
            Some("user") => Role::User,
            Some("model") => Role::Assistant,
            _ => return Err("please use a valid role: user, model".to_owned()),
        };
        if role == Role::Assistant {
            calls.must_be_closed()?;
        }
        let parts: Vec<&Value> = content["parts"].as_array().into_iter().flatten().collect();
        if parts.is_empty() {
            return Err(format!("contents[{at}].parts: must not be empty"));
        }
        let first = parts.iter().find(|part| part.get("functionCall").is_some());
        if first.is_some_and(|call| text(&call["thoughtSignature"]).is_empty()) {
            return Err(format!("function call in the {at}. content block is missing a `thought_signature`"));
        }
        let mut content = Vec::new();
        for part in parts {
            content.push(block(part, role, calls)?);
        }
        if role == Role::User {
            calls.must_be_closed()?;
        }
        messages.push(Arc::new(Message { role, content }));
    }
    match messages.first().map(|first| first.role) {
        Some(Role::User) => Ok(messages),
        Some(Role::Assistant) => Err("a function call turn comes after a user turn".to_owned()),
        None => Err("contents: is not specified".to_owned()),
    }
}

fn block(part: &Value, role: Role, calls: &mut Calls) -> Checked<Block> {
    if let Some(call) = part.get("functionCall").filter(|_| role == Role::Assistant) {
        let name = text(&call["name"]);
        let id = calls.used(&text(&call["id"]), &name)?;
        if !call["args"].is_object() {
            return Err("functionCall.args: must be an object".to_owned());
        }
        return Ok(Block::ToolUse { id, name, input: call["args"].clone(), malformed: None });
    }
    if let Some(result) = part.get("functionResponse").filter(|_| role == Role::User) {
        if text(&result["name"]).is_empty() || !result["response"].is_object() {
            return Err("functionResponse: name and response are required".to_owned());
        }
        let id = calls.answered(&text(&result["id"]))?;
        let (output, error) = (&result["response"]["output"], &result["response"]["error"]);
        let content = text(if output.is_null() { error } else { output });
        return Ok(Block::ToolResult { id, content, is_error: !error.is_null() });
    }
    if let Some(inline) = part.get("inlineData").filter(|_| role == Role::User) {
        return media::gemini(calls, inline);
    }
    match part.get("thoughtSignature").and_then(Value::as_str) {
        Some(seal) if part["text"] == "" => Ok(Block::RedactedThinking { data: seal.to_owned() }),
        Some(_) | None => said(text(&part["text"])),
    }
}

/// Returns the chunks of a reply. A seal comes with the next call, or alone where there is none.
pub(super) fn frames(reply: &Reply) -> Vec<String> {
    let usage = &reply.usage;
    let counted = json!({"promptTokenCount": usage.all_input(), "candidatesTokenCount": usage.output_tokens,
        "cachedContentTokenCount": usage.cache_read_tokens});
    let chunk = |part: Value, finish: Value| {
        let candidate = json!({"index": 0, "content": {"role": "model", "parts": [part]}, "finishReason": finish});
        let chunk = json!({"candidates": [candidate], "usageMetadata": counted, "modelVersion": reply.model});
        format!("data: {chunk}\r\n\r\n")
    };
    let mut parts = Vec::new();
    let mut seal = None;
    for block in &reply.content {
        match block {
            ReplyBlock::Text(text) => parts.extend(pieces(text).into_iter().map(|piece| json!({"text": piece}))),
            ReplyBlock::Thinking { thinking, signature } => {
                parts.extend(pieces(thinking).into_iter().map(|piece| json!({"text": piece, "thought": true})));
                seal = signature.clone();
            }
            ReplyBlock::RedactedThinking(data) => parts.push(json!({"text": "", "thoughtSignature": data})),
            ReplyBlock::ToolUse { name, arguments } => {
                let args: Value = serde_json::from_str(arguments).unwrap_or_else(|_| json!({}));
                let mut part = json!({"functionCall": {"name": name, "args": args}});
                if let Some(seal) = seal.take() {
                    part["thoughtSignature"] = seal.into();
                }
                parts.push(part);
            }
        }
    }
    let finish = match reply.stop_reason {
        StopReason::EndTurn | StopReason::ToolUse | StopReason::StopSequence | StopReason::Refusal => "STOP",
        StopReason::MaxTokens => "MAX_TOKENS",
    };
    let mut last = json!({"text": ""});
    if let Some(seal) = seal {
        last["thoughtSignature"] = seal.into();
    }
    let frames = parts.into_iter().map(|part| chunk(part, Value::Null));
    frames.chain([chunk(last, finish.into())]).collect()
}
