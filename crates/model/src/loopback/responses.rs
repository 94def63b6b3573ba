//! The Responses API as it is: what it refuses, and the events of a reply.

use std::sync::Arc;

use outlive_core::content::{Block, Message, Reply, ReplyBlock, Role, StopReason};
use serde_json::{Value, json};

use super::check::{Calls, Checked, push, said, text};
use super::play::pieces;

pub(super) fn messages(body: &Value, calls: &mut Calls) -> Checked<Vec<Arc<Message>>> {
    if body["store"] != false {
        return Err("store: this server keeps nothing".to_owned());
    }
    if body["max_output_tokens"].as_u64().is_none_or(|tokens| tokens < 16) {
        return Err("max_output_tokens: integer below minimum value, expected >= 16".to_owned());
    }
    let mut messages: Vec<Message> = Vec::new();
    let items: Vec<&Value> = body["input"].as_array().into_iter().flatten().collect();
    for (at, item) in items.iter().enumerate() {
        let (role, block) = match item["type"].as_str().unwrap_or_default() {
            "message" => message(item)?,
            "reasoning" => {
                let next = items.get(at + 1).map(|item| &item["type"]);
                (Role::Assistant, reasoning(item, next)?)
            }
            "function_call" => {
                let (id, name) = (text(&item["call_id"]), text(&item["name"]));
                let input = serde_json::from_str(&text(&item["arguments"]))
                    .map_err(|_| format!("input[{at}].arguments: must be JSON"))?;
                (Role::Assistant, Block::ToolUse { id: calls.used(&id, &name)?, name, input, malformed: None })
            }
            "function_call_output" => {
                let id = calls.answered(&text(&item["call_id"]))?;
                (Role::User, Block::ToolResult { id, content: text(&item["output"]), is_error: false })
            }
            other => return Err(format!("input[{at}]: invalid value `{other}`")),
        };
        if matches!(block, Block::Text { .. }) {
            calls.must_be_closed()?;
        }
        push(&mut messages, role, vec![block]);
    }
    calls.must_be_closed()?;
    if messages.is_empty() {
        return Err("input: must not be empty".to_owned());
    }
    Ok(messages.into_iter().map(Arc::new).collect())
}

fn message(item: &Value) -> Checked<(Role, Block)> {
    let part = &item["content"][0];
    match (item["role"].as_str().unwrap_or_default(), part["type"].as_str().unwrap_or_default()) {
        ("user", "input_text") => Ok((Role::User, said(text(&part["text"]))?)),
        ("assistant", "output_text") => Ok((Role::Assistant, said(text(&part["text"]))?)),
        (role, kind) => Err(format!("invalid content `{kind}` of role `{role}`")),
    }
}

fn reasoning(item: &Value, next: Option<&Value>) -> Checked<Block> {
    let id = text(&item["id"]);
    if text(&item["encrypted_content"]).is_empty() {
        return Err(format!("item with id `{id}` not found: items are not persisted when `store` is false"));
    }
    if !item["summary"].is_array() {
        return Err(format!("item `{id}`: missing required parameter `summary`"));
    }
    if next.is_none_or(|next| next == "function_call_output") {
        return Err(format!("item `{id}` of type `reasoning` was provided without its required following item"));
    }
    Ok(Block::Thinking { thinking: text(&item["summary"][0]["text"]), signature: Some(id) })
}

/// Returns the events of a reply. A seal is the item's id and its sealed content.
pub(super) fn frames(reply: &Reply) -> Vec<String> {
    let mut events = vec![
        json!({"type": "response.created", "response": {"id": "resp_1", "status": "in_progress", "output": []}}),
        json!({"type": "response.in_progress", "response": {"id": "resp_1", "status": "in_progress", "output": []}}),
    ];
    let mut output = Vec::new();
    for block in &reply.content {
        let (item, deltas) = item(output.len(), block);
        let mut begun = item.clone();
        begun["status"] = "in_progress".into();
        events.push(json!({"type": "response.output_item.added", "output_index": output.len(), "item": begun}));
        events.extend(deltas);
        events.push(json!({"type": "response.output_item.done", "output_index": output.len(), "item": item}));
        output.push(item);
    }
    let usage = &reply.usage;
    let (status, details) = match reply.stop_reason {
        StopReason::MaxTokens => ("incomplete", json!({"reason": "max_output_tokens"})),
        StopReason::EndTurn | StopReason::ToolUse | StopReason::StopSequence | StopReason::Refusal => {
            ("completed", Value::Null)
        }
    };
    let response = json!({"id": "resp_1", "object": "response", "status": status, "incomplete_details": details,
        "error": null, "model": reply.model, "output": output, "usage": {"input_tokens": usage.all_input(),
        "input_tokens_details": {"cached_tokens": usage.cache_read_tokens}, "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0}}});
    events.push(json!({"type": format!("response.{status}"), "response": response}));
    let frame = |(number, mut event): (usize, Value)| {
        event["sequence_number"] = number.into();
        format!("event: {}\ndata: {event}\n\n", text(&event["type"]))
    };
    events.into_iter().enumerate().map(frame).collect()
}

fn item(at: usize, block: &ReplyBlock) -> (Value, Vec<Value>) {
    let delta = |kind: &str, text: &str| -> Vec<Value> {
        let of = |piece| json!({"type": format!("response.{kind}.delta"), "output_index": at, "delta": piece});
        pieces(text).into_iter().map(of).collect()
    };
    match block {
        ReplyBlock::Text(text) => {
            let content = json!([{"type": "output_text", "text": text, "annotations": []}]);
            let item = json!({"type": "message", "id": format!("msg_{at}"), "role": "assistant", "status": "completed",
                "content": content});
            (item, delta("output_text", text))
        }
        ReplyBlock::Thinking { thinking, signature } => {
            let seal = signature.as_deref().unwrap_or_default();
            let (id, sealed) = seal.split_once(' ').unwrap_or(("rs_0", seal));
            let summary = json!([{"type": "summary_text", "text": thinking}]);
            let item = json!({"type": "reasoning", "id": id, "summary": summary, "encrypted_content": sealed});
            (item, delta("reasoning_summary_text", thinking))
        }
        ReplyBlock::RedactedThinking(sealed) => {
            let item = json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": sealed});
            (item, Vec::new())
        }
        ReplyBlock::ToolUse { name, arguments } => {
            let item = json!({"type": "function_call", "id": format!("fc_{at}"), "call_id": format!("call_{at}"),
                "name": name, "arguments": arguments, "status": "completed"});
            (item, delta("function_call_arguments", arguments))
        }
    }
}
