//! A request as Gemini takes it. A signature goes back in the part in which it came: reasoning with a seal stands before
//! the call that carried it, a seal alone is an empty text.

use std::collections::BTreeMap;

use outlive_core::content::{Block, Message, Request, Role, ToolSpec};
use outlive_core::id::CallId;
use outlive_core::media::{Attachment, Files, MediaType};
use serde_json::{Value, json};

use crate::media::{Part, part};
use crate::schema::in_words;

/// What the API takes as the signature of a call that its model did not make.
const FOREIGN: &str = "skip_thought_signature_validator";

/// Models that ask for no signature.
const UNSIGNED: [&str; 3] = ["gemini-1", "gemini-2", "gemma"];

/// Says whether the API holds the answer to a schema: older models are held to one or call functions, not both.
pub(super) fn holds(model: &str, request: &Request) -> bool {
    model.starts_with("gemini-3") || request.tools.is_empty()
}

pub(super) fn body(model: &str, request: &Request) -> Value {
    let is_signed = !UNSIGNED.iter().any(|old| model.starts_with(old));
    let mut names = BTreeMap::new();
    let mut contents = Vec::new();
    for message in &request.messages {
        let parts = parts(message, &request.files, &mut names);
        contents.push(match message.role {
            Role::User => json!({"role": "user", "parts": parts}),
            Role::Assistant => json!({"role": "model", "parts": if is_signed { signed(parts) } else { parts }}),
        });
    }
    let mut body = json!({"contents": contents, "generationConfig": {"maxOutputTokens": request.max_output_tokens}});
    // Older ones may have no thoughts, and refuse to be asked for them.
    if model.starts_with("gemini-3") {
        body["generationConfig"]["thinkingConfig"] = json!({"includeThoughts": true});
    }
    if let Some(temperature) = request.temperature {
        body["generationConfig"]["temperature"] = temperature.into();
    }
    let schema = request.output_schema.as_deref();
    let is_held = holds(model, request);
    if let Some(schema) = schema.filter(|_| is_held) {
        body["generationConfig"]["responseMimeType"] = "application/json".into();
        body["generationConfig"]["responseJsonSchema"] = schema.clone();
    }
    let told = schema.filter(|_| !is_held).map(in_words);
    let system: Vec<&str> = request.system.iter().map(String::as_str).chain(told.as_deref()).collect();
    if !system.is_empty() {
        let parts: Vec<Value> = system.iter().map(|text| json!({"text": text})).collect();
        body["systemInstruction"] = json!({"parts": parts});
    }
    if !request.tools.is_empty() {
        let tools: Vec<Value> = request.tools.iter().map(tool).collect();
        body["tools"] = json!([{"functionDeclarations": tools}]);
    }
    body
}

/// Returns what is sent to have a request's tokens counted.
pub(super) fn counted(model: &str, request: &Request) -> Value {
    let mut body = self::body(model, request);
    body["model"] = format!("models/{model}").into();
    json!({"generateContentRequest": body})
}

/// A tool without parameters has no schema: an object without properties is refused.
fn tool(tool: &ToolSpec) -> Value {
    let mut declared = json!({"name": tool.name, "description": tool.description});
    if tool.input_schema["properties"].as_object().is_some_and(|properties| !properties.is_empty()) {
        declared["parametersJsonSchema"] = tool.input_schema.clone();
    }
    declared
}

/// A result names the function that it comes from.
fn parts(message: &Message, files: &Files, names: &mut BTreeMap<CallId, String>) -> Vec<Value> {
    let mut parts: Vec<Value> = Vec::new();
    let mut seal: Option<&str> = None;
    for block in &message.content {
        if !matches!(block, Block::ToolUse { .. }) {
            parts.extend(seal.take().map(sealed));
        }
        match block {
            Block::Text { text } => parts.push(json!({"text": text})),
            Block::Media(attachment) => parts.push(shown(attachment, files)),
            Block::Thinking { signature, .. } => seal = signature.as_deref(),
            Block::RedactedThinking { data } => parts.push(sealed(data)),
            Block::ToolUse { id, name, input, .. } => {
                let name = crate::settings::tool_name(name);
                let mut part = json!({"functionCall": {"id": id, "name": name, "args": input}});
                if let Some(seal) = seal.take() {
                    part["thoughtSignature"] = seal.into();
                }
                parts.push(part);
                names.insert(*id, name);
            }
            Block::ToolResult { id, content, is_error } => {
                let name = names.get(id).map_or("unnamed", String::as_str);
                let mut response = json!({});
                response[if *is_error { "error" } else { "output" }] = content.as_str().into();
                parts.push(json!({"functionResponse": {"id": id, "name": name, "response": response}}));
            }
        }
    }
    parts.extend(seal.map(sealed));
    parts
}

/// Every type but GIF, which the API does not take.
fn shown(attachment: &Attachment, files: &Files) -> Value {
    let inline = |media_type: &str, data: String| json!({"inlineData": {"mimeType": media_type, "data": data}});
    match part(attachment, files, |kind| kind != MediaType::Gif) {
        Part::Text(text) => json!({"text": text}),
        Part::Image { media_type, data } => inline(media_type, data),
        Part::Pdf { data, .. } => inline("application/pdf", data),
    }
}

fn sealed(seal: &str) -> Value {
    json!({"text": "", "thoughtSignature": seal})
}

/// The first call of a message must be signed, also where another model made it.
fn signed(mut parts: Vec<Value>) -> Vec<Value> {
    if let Some(call) = parts.iter_mut().find(|part| part.get("functionCall").is_some())
        && call.get("thoughtSignature").is_none()
    {
        call["thoughtSignature"] = FOREIGN.into();
    }
    parts
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn only_a_model_that_surely_thinks_is_asked_for_its_thoughts_and_only_a_strict_one_gets_the_mark() {
        let id = CallId::from_bits(1);
        let call = Block::ToolUse { id, name: "bash".into(), input: json!({}), malformed: None };
        let request = Request {
            system: Arc::new([]),
            tools: Arc::new([]),
            messages: vec![Arc::new(Message { role: Role::Assistant, content: vec![call] })],
            max_output_tokens: 1,
            ..Request::default()
        };
        for (model, thoughts, mark) in [
            ("gemini-3-pro-preview", json!(true), json!(FOREIGN)),
            ("gemini-flash-latest", Value::Null, json!(FOREIGN)),
            ("gemini-2.5-pro", Value::Null, Value::Null),
            ("gemma-3-27b-it", Value::Null, Value::Null),
        ] {
            let body = body(model, &request);
            let part = &body["contents"][0]["parts"][0];
            assert_eq!(body["generationConfig"]["thinkingConfig"]["includeThoughts"], thoughts, "{model}");
            assert_eq!(part["thoughtSignature"], mark, "{model}");
        }
    }
}
