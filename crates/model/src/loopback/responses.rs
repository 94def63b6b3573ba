//! The Responses API as it is: what it refuses, and the events of a reply.

use std::sync::Arc;

use outlive_core::content::{Block, Message, Reply, ReplyBlock, Role, StopReason};
use serde_json::{Value, json};

use super::check::{Calls, Checked, push, said, text};
use super::media;
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
        // A message need not say that it is one.
        let (role, blocks) = match item["type"].as_str().unwrap_or("message") {
            "message" => message(item, calls)?,
            "reasoning" => {
                let next = items.get(at + 1).map(|item| &item["type"]);
                (Role::Assistant, vec![reasoning(item, next)?])
            }
            "function_call" => {
                let (id, name) = (text(&item["call_id"]), text(&item["name"]));
                let input = serde_json::from_str(&text(&item["arguments"]))
                    .map_err(|_| format!("input[{at}].arguments: must be JSON"))?;
                (Role::Assistant, vec![Block::ToolUse { id: calls.used(&id, &name)?, name, input, malformed: None }])
            }
            "function_call_output" => {
                let id = calls.answered(&text(&item["call_id"]))?;
                (Role::User, vec![Block::ToolResult { id, content: text(&item["output"]), is_error: false }])
            }
            other => return Err(format!("input[{at}]: invalid value `{other}`")),
        };
        if blocks.iter().any(|block| matches!(block, Block::Text { .. } | Block::Media(_))) {
            calls.must_be_closed()?;
        }
        push(&mut messages, role, blocks);
    }
    calls.must_be_closed()?;
    if messages.is_empty() {
        return Err("input: must not be empty".to_owned());
    }
    Ok(messages.into_iter().map(Arc::new).collect())
}

/// A content is a text, or a list of parts; what the model said as parts must be a whole item.
fn message(item: &Value, calls: &mut Calls) -> Checked<(Role, Vec<Block>)> {
    let role = match item["role"].as_str().unwrap_or_default() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        other => return Err(format!("invalid role `{other}`")),
    };
    if item["content"].is_string() {
        return Ok((role, vec![said(text(&item["content"]))?]));
    }
    let parts = item["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    let block = |part: &Value| match (role, part["type"].as_str().unwrap_or_default()) {
        (Role::User, _) => media::responses(calls, part),
        (Role::Assistant, "output_text") if item["id"].is_string() && part["annotations"].is_array() => {
            said(text(&part["text"]))
        }
        (Role::Assistant, kind) => Err(format!("invalid content `{kind}`")),
    };
    Ok((role, parts.iter().map(block).collect::<Checked<Vec<Block>>>()?))
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
        let (item, begun, between) = item(output.len(), block);
        events.push(json!({"type": "response.output_item.added", "output_index": output.len(), "item": begun}));
        events.extend(between);
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
        "input_tokens_details": {"cached_tokens": usage.cache_read_tokens, "cache_write_tokens": usage.cache_write_tokens},
        "output_tokens": usage.output_tokens, "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.all_input() + usage.output_tokens}});
    events.push(json!({"type": format!("response.{status}"), "response": response}));
    let frame = |(number, mut event): (usize, Value)| {
        event["sequence_number"] = number.into();
        format!("event: {}\ndata: {event}\n\n", text(&event["type"]))
    };
    events.into_iter().enumerate().map(frame).collect()
}

/// An item when it is done, when it has begun, and the events between.
fn item(at: usize, block: &ReplyBlock) -> (Value, Value, Vec<Value>) {
    let streamed = |kind: &str, item: &Value, text: &str| -> Vec<Value> {
        let event = |piece| {
            json!({"type": format!("response.{kind}.delta"), "item_id": item["id"], "output_index": at,
                "content_index": 0, "summary_index": 0, "delta": piece})
        };
        pieces(text).into_iter().map(event).collect()
    };
    let with = |item: &Value, key: &str, value: Value| {
        let mut item = item.clone();
        item[key] = value;
        item
    };
    match block {
        ReplyBlock::Text(text) => {
            let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": []});
            let item = json!({"type": "message", "id": format!("msg_{at}"), "role": "assistant", "status": "completed",
                "content": [part(text)]});
            let of_part = |kind: &str, text: &str| {
                json!({"type": format!("response.content_part.{kind}"), "item_id": item["id"], "output_index": at,
                    "content_index": 0, "part": part(text)})
            };
            let mut events = vec![of_part("added", "")];
            events.extend(streamed("output_text", &item, text));
            events.push(of_part("done", text));
            (item.clone(), with(&item, "content", json!([])), events)
        }
        ReplyBlock::Thinking { thinking, signature } => {
            let seal = signature.as_deref().unwrap_or_default();
            let (id, sealed) = seal.split_once(' ').unwrap_or(("rs_0", seal));
            let summary = json!([{"type": "summary_text", "text": thinking}]);
            let item = json!({"type": "reasoning", "id": id, "summary": summary, "encrypted_content": sealed});
            let events = streamed("reasoning_summary_text", &item, thinking);
            (item.clone(), with(&item, "summary", json!([])), events)
        }
        ReplyBlock::RedactedThinking(sealed) => {
            let item = json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": sealed});
            (item.clone(), item, Vec::new())
        }
        ReplyBlock::ToolUse { name, arguments } => {
            let item = json!({"type": "function_call", "id": format!("fc_{at}"), "call_id": format!("call_{at}"),
                "name": name, "arguments": arguments, "status": "completed"});
            let events = streamed("function_call_arguments", &item, arguments);
            (item.clone(), with(&item, "arguments", "".into()), events)
        }
    }
}
