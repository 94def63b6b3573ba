//! Ollama's API as it is, and stricter in what it leaves unchecked; and the lines of a reply.

use std::sync::Arc;

use outlive_core::content::{Block, Message, Reply, ReplyBlock, Role, StopReason};
use serde_json::{Value, json};

use super::check::{Calls, Checked, push, said, text};
use super::media;
use super::play::pieces;

const OPTIONS: [&str; 3] = ["num_ctx", "num_predict", "temperature"];

pub(super) fn messages(body: &Value, calls: &mut Calls) -> Checked<Vec<Arc<Message>>> {
    let options = body["options"].as_object().into_iter().flatten();
    if let Some((key, _)) =
        options.into_iter().find(|(key, value)| !OPTIONS.contains(&key.as_str()) || !value.is_number())
    {
        return Err(format!("invalid option provided: {key}"));
    }
    let mut messages: Vec<Message> = Vec::new();
    for message in body["messages"].as_array().into_iter().flatten() {
        let content = &message["content"];
        match message["role"].as_str().unwrap_or_default() {
            "system" => {}
            "user" => {
                calls.must_be_closed()?;
                let mut said_here = media::ollama(calls, message)?;
                if !said_here.is_empty() && is_blind(&text(&body["model"])) {
                    return Err("this model is missing data required for image input".to_owned());
                }
                if said_here.is_empty() || content != "" {
                    said_here.push(said(text(content))?);
                }
                push(&mut messages, Role::User, said_here);
            }
            "tool" => {
                if text(&message["tool_name"]).is_empty() {
                    return Err("a tool message needs its tool_name".to_owned());
                }
                let id = calls.answered(&text(&message["tool_call_id"]))?;
                let result = Block::ToolResult { id, content: text(content), is_error: false };
                push(&mut messages, Role::User, vec![result]);
            }
            "assistant" => {
                calls.must_be_closed()?;
                push(&mut messages, Role::Assistant, reply(message, calls)?);
            }
            other => return Err(format!("invalid role: {other}")),
        }
    }
    calls.must_be_closed()?;
    if messages.is_empty() {
        return Err("messages: must not be empty".to_owned());
    }
    Ok(messages.into_iter().map(Arc::new).collect())
}

/// Says which models here look at nothing: those that are named so.
fn is_blind(model: &str) -> bool {
    model.contains("blind")
}

/// What a model can do.
pub(super) async fn show(axum::Json(asked): axum::Json<Value>) -> axum::Json<Value> {
    let sees = (!is_blind(&text(&asked["model"]))).then_some("vision");
    let can: Vec<&str> = ["completion", "tools"].into_iter().chain(sees).collect();
    axum::Json(json!({"capabilities": can}))
}

fn reply(message: &Value, calls: &mut Calls) -> Checked<Vec<Block>> {
    let mut content = Vec::new();
    if let Some(said) = message["content"].as_str().filter(|said| !said.is_empty()) {
        content.push(Block::Text { text: said.to_owned() });
    }
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        let (name, input) = (text(&call["function"]["name"]), call["function"]["arguments"].clone());
        if !input.is_object() {
            return Err("json: cannot unmarshal arguments: must be an object".to_owned());
        }
        content.push(Block::ToolUse { id: calls.used(&text(&call["id"]), &name)?, name, input, malformed: None });
    }
    if content.is_empty() { Err("an assistant message needs content or tool_calls".to_owned()) } else { Ok(content) }
}

/// Returns the lines of a reply. Calls come whole, and there are no seals.
pub(super) fn frames(reply: &Reply) -> Vec<String> {
    let line = |mut message: Value| {
        message["role"] = "assistant".into();
        format!("{}\n", json!({"model": reply.model, "message": message, "done": false}))
    };
    let mut frames = Vec::new();
    for block in &reply.content {
        match block {
            ReplyBlock::Text(text) => {
                frames.extend(pieces(text).into_iter().map(|piece| line(json!({"content": piece}))));
            }
            ReplyBlock::Thinking { thinking, .. } => {
                let piece = |piece| line(json!({"content": "", "thinking": piece}));
                frames.extend(pieces(thinking).into_iter().map(piece));
            }
            ReplyBlock::RedactedThinking(_) => {}
            ReplyBlock::ToolUse { name, arguments } => {
                let arguments: Value = serde_json::from_str(arguments).unwrap_or_else(|_| json!({}));
                let call = json!({"function": {"name": name, "arguments": arguments}});
                frames.push(line(json!({"content": "", "tool_calls": [call]})));
            }
        }
    }
    let reason = match reply.stop_reason {
        StopReason::EndTurn | StopReason::ToolUse | StopReason::StopSequence | StopReason::Refusal => "stop",
        StopReason::MaxTokens => "length",
    };
    let done = json!({"model": reply.model, "message": {"role": "assistant", "content": ""}, "done": true,
        "done_reason": reason, "prompt_eval_count": reply.usage.all_input(), "eval_count": reply.usage.output_tokens});
    frames.push(format!("{done}\n"));
    frames
}
