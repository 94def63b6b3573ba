//! What the real APIs refuse, written apart from the code that must satisfy it: from a raw body to a request, or the reason
//! why not.

use std::collections::BTreeMap;
use std::sync::Arc;

use outlive_core::content::{Block, Message, Purpose, Request, Role, ToolSpec};
use outlive_core::id::CallId;
use outlive_core::media::Files;
use serde_json::Value;

use super::{Dialect, gemini, media, ollama, responses, schema};

pub(super) type Checked<T> = Result<T, String>;

pub(super) fn read(dialect: Dialect, body: &Value) -> Checked<Request> {
    // Gemini has both in the address.
    if dialect != Dialect::Gemini {
        if body["model"].as_str().is_none_or(str::is_empty) {
            return Err("model: field required".to_owned());
        }
        if body["stream"] != true {
            return Err("stream: this server only streams".to_owned());
        }
    }
    let mut calls = Calls::default();
    let messages = match dialect {
        Dialect::Anthropic => anthropic(body, &mut calls)?,
        Dialect::OpenAi | Dialect::OpenRouter => openai(body, &mut calls)?,
        Dialect::Responses => responses::messages(body, &mut calls)?,
        Dialect::Gemini => gemini::messages(body, &mut calls)?,
        Dialect::Ollama => ollama::messages(body, &mut calls)?,
    };
    let tools = tools(dialect, body)?;
    let output_schema = schema::read(dialect, body)?.map(Arc::new);
    let system = match dialect {
        Dialect::Anthropic => texts(&body["system"]),
        Dialect::OpenAi | Dialect::OpenRouter | Dialect::Ollama => Vec::new(),
        Dialect::Responses => vec![text(&body["instructions"])],
        Dialect::Gemini => texts(&body["systemInstruction"]["parts"]),
    };
    let files = calls.files;
    Ok(Request {
        purpose: purpose(body, &system),
        system: system.into(),
        tools: tools.into(),
        messages,
        max_output_tokens: 1,
        files,
        output_schema,
        ..Request::default()
    })
}

/// Guesses what the answer is for by what the instructions begin with, as no dialect says it.
fn purpose(body: &Value, system: &[String]) -> Purpose {
    let told = system.first().map_or_else(|| text(&body["messages"][0]["content"]), Clone::clone);
    let known = [
        ("You keep the notes of an assistant. You are shown a part of", Purpose::Observe),
        ("You keep the notes of an assistant. You are shown notes", Purpose::Reflect),
        ("You keep the record of a conversation", Purpose::Condense),
    ];
    known.into_iter().find(|(begins, _)| told.starts_with(begins)).map(|(_, purpose)| purpose).unwrap_or_default()
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(blocks: &Value) -> Vec<String> {
    blocks.as_array().into_iter().flatten().map(|block| text(&block["text"])).collect()
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

fn tools(dialect: Dialect, body: &Value) -> Checked<Vec<ToolSpec>> {
    let mut found = Vec::new();
    let listed = if dialect == Dialect::Gemini { &body["tools"][0]["functionDeclarations"] } else { &body["tools"] };
    for tool in listed.as_array().into_iter().flatten() {
        let (tool, schema) = match dialect {
            Dialect::Anthropic => (tool, &tool["input_schema"]),
            Dialect::OpenAi | Dialect::OpenRouter | Dialect::Ollama => {
                (&tool["function"], &tool["function"]["parameters"])
            }
            Dialect::Responses => (tool, &tool["parameters"]),
            Dialect::Gemini => (tool, &tool["parametersJsonSchema"]),
        };
        let name = text(&tool["name"]);
        if !is_name(&name) || found.iter().any(|other: &ToolSpec| other.name == name) {
            return Err(format!("tools: `{name}` is not a unique name"));
        }
        let has_none = dialect == Dialect::Gemini && schema.is_null();
        if schema["type"] != "object" && !has_none {
            return Err(format!("tools.{name}: the schema must be of type object"));
        }
        found.push(ToolSpec { name, description: text(&tool["description"]), input_schema: schema.clone() });
    }
    Ok(found)
}

/// The calls of a conversation, by the ids of the wire, and its files.
#[derive(Default)]
pub(super) struct Calls {
    ids: BTreeMap<String, CallId>,
    open: Vec<String>,
    /// The files that came with it.
    pub(super) files: Files,
}

impl Calls {
    pub(super) fn used(&mut self, id: &str, name: &str) -> Checked<CallId> {
        if !is_name(name) {
            return Err(format!("tool name `{name}` does not match ^[a-zA-Z0-9_-]{{1,64}}$"));
        }
        let call = CallId::from_bits(self.ids.len() as u128 + 1);
        if id.is_empty() || self.ids.insert(id.to_owned(), call).is_some() {
            return Err(format!("tool call ids must be unique, `{id}` is not"));
        }
        self.open.push(id.to_owned());
        Ok(call)
    }

    pub(super) fn answered(&mut self, id: &str) -> Checked<CallId> {
        let at = self.open.iter().position(|open| open == id);
        let at = at.ok_or_else(|| format!("unexpected tool result: `{id}` was not called in the message before"))?;
        self.open.remove(at);
        Ok(self.ids.get(id).copied().unwrap_or(CallId::from_bits(0)))
    }

    pub(super) fn must_be_closed(&self) -> Checked<()> {
        if self.open.is_empty() {
            Ok(())
        } else {
            Err(format!("tool calls without a result: {}", self.open.join(", ")))
        }
    }
}

pub(super) fn said(text: String) -> Checked<Block> {
    if text.trim().is_empty() {
        Err("text content blocks must be non-empty".to_owned())
    } else {
        Ok(Block::Text { text })
    }
}

fn anthropic(body: &Value, calls: &mut Calls) -> Checked<Vec<Arc<Message>>> {
    if body["max_tokens"].as_u64().is_none_or(|tokens| tokens == 0) {
        return Err("max_tokens: field required".to_owned());
    }
    if media::breakpoints(body) > 4 {
        return Err("a maximum of 4 blocks with cache_control may be provided".to_owned());
    }
    let mut messages: Vec<Arc<Message>> = Vec::new();
    for message in body["messages"].as_array().into_iter().flatten() {
        let role = match message["role"].as_str() {
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            _ => return Err("messages: role must be user or assistant".to_owned()),
        };
        let expected = if messages.len().is_multiple_of(2) { Role::User } else { Role::Assistant };
        if role != expected {
            return Err("messages: roles must alternate, beginning with user".to_owned());
        }
        if role == Role::Assistant {
            calls.must_be_closed()?;
        }
        let mut content = Vec::new();
        for block in message["content"].as_array().into_iter().flatten() {
            content.push(anthropic_block(block, role, &content, calls)?);
        }
        if role == Role::User {
            calls.must_be_closed()?;
        }
        if content.is_empty() {
            return Err("messages: content must not be empty".to_owned());
        }
        messages.push(Arc::new(Message { role, content }));
    }
    match messages.last().map(|last| last.role) {
        Some(Role::User) => Ok(messages),
        Some(Role::Assistant) | None => Err("messages: the last one must be the user's".to_owned()),
    }
}

fn anthropic_block(block: &Value, role: Role, before: &[Block], calls: &mut Calls) -> Checked<Block> {
    match (block["type"].as_str().unwrap_or_default(), role) {
        ("text", _) => said(text(&block["text"])),
        ("thinking", Role::Assistant) if text(&block["signature"]).is_empty() => {
            Err("thinking: signature is required".to_owned())
        }
        ("thinking", Role::Assistant) => {
            Ok(Block::Thinking { thinking: text(&block["thinking"]), signature: Some(text(&block["signature"])) })
        }
        ("redacted_thinking", Role::Assistant) => Ok(Block::RedactedThinking { data: text(&block["data"]) }),
        ("image" | "document", Role::User) => media::anthropic(calls, block),
        ("tool_use", Role::Assistant) => {
            let (id, name) = (text(&block["id"]), text(&block["name"]));
            if !block["input"].is_object() {
                return Err("tool_use.input: must be an object".to_owned());
            }
            let call = calls.used(&id, &name)?;
            Ok(Block::ToolUse { id: call, name, input: block["input"].clone(), malformed: None })
        }
        ("tool_result", Role::User) => {
            if before.iter().any(|block| matches!(block, Block::Text { .. } | Block::Media(_))) {
                return Err("tool_result blocks must come first".to_owned());
            }
            let call = calls.answered(&text(&block["tool_use_id"]))?;
            Ok(Block::ToolResult { id: call, content: text(&block["content"]), is_error: block["is_error"] == true })
        }
        (kind, _) => Err(format!("unexpected block `{kind}`")),
    }
}

fn openai(body: &Value, calls: &mut Calls) -> Checked<Vec<Arc<Message>>> {
    let mut messages: Vec<Message> = Vec::new();
    for message in body["messages"].as_array().into_iter().flatten() {
        let (role, content) = match message["role"].as_str().unwrap_or_default() {
            "system" | "developer" => continue,
            "tool" => {
                let call = calls.answered(&text(&message["tool_call_id"]))?;
                let content = text(&message["content"]);
                (Role::User, vec![Block::ToolResult { id: call, content, is_error: false }])
            }
            "user" => {
                calls.must_be_closed()?;
                let content = &message["content"];
                let said = match content.as_array() {
                    Some(parts) => parts.iter().map(|part| media::openai(calls, part)).collect(),
                    None => said(text(content)).map(|said| vec![said]),
                };
                (Role::User, said?)
            }
            "assistant" => {
                calls.must_be_closed()?;
                (Role::Assistant, openai_reply(message, calls)?)
            }
            other => return Err(format!("messages: unknown role `{other}`")),
        };
        push(&mut messages, role, content);
    }
    calls.must_be_closed()?;
    if messages.is_empty() {
        return Err("messages: must not be empty".to_owned());
    }
    Ok(messages.into_iter().map(Arc::new).collect())
}

/// Joins what one side says in several messages.
pub(super) fn push(messages: &mut Vec<Message>, role: Role, content: Vec<Block>) {
    match messages.last_mut() {
        Some(last) if last.role == role => last.content.extend(content),
        Some(_) | None => messages.push(Message { role, content }),
    }
}

fn openai_reply(message: &Value, calls: &mut Calls) -> Checked<Vec<Block>> {
    let mut content = Vec::new();
    if let Some(said) = message["content"].as_str().filter(|said| !said.is_empty()) {
        content.push(Block::Text { text: said.to_owned() });
    }
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        let (id, name) = (text(&call["id"]), text(&call["function"]["name"]));
        let input: Value = serde_json::from_str(&text(&call["function"]["arguments"]))
            .map_err(|_| "tool_calls.function.arguments: must be JSON".to_owned())?;
        let id = calls.used(&id, &name)?;
        content.push(Block::ToolUse { id, name, input, malformed: None });
    }
    if content.is_empty() { Err("an assistant message needs content or tool_calls".to_owned()) } else { Ok(content) }
}
