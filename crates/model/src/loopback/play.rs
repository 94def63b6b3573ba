//! Replies as the wire has them: the events of each dialect, in pieces as a model would stream them.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, StreamExt as _};
use outlive_core::content::{Reply, ReplyBlock, Request, StopReason};
use serde_json::{Value, json};

use super::{Bounds, Dialect, gemini, ollama, openrouter, responses};
use crate::Model as _;
use crate::rehearsal::Rehearsal;

fn headers(dialect: Dialect) -> [(header::HeaderName, &'static str); 1] {
    let lines = dialect == Dialect::Ollama;
    [(header::CONTENT_TYPE, if lines { "application/x-ndjson" } else { "text/event-stream" })]
}

/// The rehearsal answers, at its own pace.
pub(super) fn rehearse(dialect: Dialect, request: Request, bounds: Option<Bounds>) -> Response {
    let body = stream::once(async move {
        let reply = Rehearsal::instant().stream(request, Arc::new(|_| {})).await;
        let reply = reply.map(|mut reply| {
            if let Some(bounds) = bounds {
                let usage = &mut reply.usage;
                usage.input_tokens = bounds.counted(usage.input_tokens);
                usage.output_tokens = (usage.output_tokens as f64 * bounds.ratio).round() as u64;
            }
            reply
        });
        let frames = reply.map(|reply| frames(dialect, &reply)).unwrap_or_default();
        stream::iter(frames).then(async |frame| {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            Ok::<_, Infallible>(Bytes::from(frame))
        })
    });
    (headers(dialect), Body::from_stream(body.flatten())).into_response()
}

pub(super) fn stream(dialect: Dialect, frames: Vec<String>) -> Response {
    let frames = frames.into_iter().map(|frame| Ok::<_, Infallible>(Bytes::from(frame)));
    (headers(dialect), Body::from_stream(stream::iter(frames))).into_response()
}

pub(super) fn raw(dialect: Dialect, bytes: Vec<u8>) -> Response {
    (headers(dialect), bytes).into_response()
}

/// Returns the events of a reply, as text.
pub(super) fn frames(dialect: Dialect, reply: &Reply) -> Vec<String> {
    match dialect {
        Dialect::Anthropic => anthropic(reply),
        Dialect::OpenAi => openai(reply),
        Dialect::OpenRouter => openrouter::frames(reply),
        Dialect::Responses => responses::frames(reply),
        Dialect::Gemini => gemini::frames(reply),
        Dialect::Ollama => ollama::frames(reply),
    }
}

/// Cuts a text into pieces of a few characters.
pub(super) fn pieces(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(7).map(|piece| piece.iter().collect()).collect()
}

fn anthropic(reply: &Reply) -> Vec<String> {
    let event = |name: &str, data: Value| format!("event: {name}\ndata: {data}\n\n");
    let usage = &reply.usage;
    let input = json!({"input_tokens": usage.input_tokens, "output_tokens": 1,
        "cache_read_input_tokens": usage.cache_read_tokens, "cache_creation_input_tokens": usage.cache_write_tokens});
    let mut frames = vec![
        event(
            "message_start",
            json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant",
                "model": reply.model, "content": [], "stop_reason": null, "usage": input}}),
        ),
        event("ping", json!({"type": "ping"})),
    ];
    for (index, block) in reply.content.iter().enumerate() {
        let (start, deltas) = anthropic_block(index, block);
        frames.push(event(
            "content_block_start",
            json!({"type": "content_block_start", "index": index, "content_block": start}),
        ));
        for delta in deltas {
            frames.push(event(
                "content_block_delta",
                json!({"type": "content_block_delta", "index": index, "delta": delta}),
            ));
        }
        frames.push(event("content_block_stop", json!({"type": "content_block_stop", "index": index})));
    }
    let stop = match reply.stop_reason {
        StopReason::EndTurn => "end_turn",
        StopReason::ToolUse => "tool_use",
        StopReason::MaxTokens => "max_tokens",
        StopReason::StopSequence => "stop_sequence",
        StopReason::Refusal => "refusal",
    };
    let ended = json!({"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": usage.output_tokens}});
    frames.push(event("message_delta", ended));
    frames.push(event("message_stop", json!({"type": "message_stop"})));
    frames
}

fn anthropic_block(index: usize, block: &ReplyBlock) -> (Value, Vec<Value>) {
    match block {
        ReplyBlock::Text(text) => {
            let deltas = pieces(text).into_iter().map(|piece| json!({"type": "text_delta", "text": piece}));
            (json!({"type": "text", "text": ""}), deltas.collect())
        }
        ReplyBlock::Thinking { thinking, signature } => {
            let deltas = pieces(thinking).into_iter().map(|piece| json!({"type": "thinking_delta", "thinking": piece}));
            let seal = signature.iter().map(|signature| json!({"type": "signature_delta", "signature": signature}));
            (json!({"type": "thinking", "thinking": "", "signature": ""}), deltas.chain(seal).collect())
        }
        ReplyBlock::RedactedThinking(data) => (json!({"type": "redacted_thinking", "data": data}), Vec::new()),
        ReplyBlock::ToolUse { name, arguments } => {
            let deltas =
                pieces(arguments).into_iter().map(|piece| json!({"type": "input_json_delta", "partial_json": piece}));
            (json!({"type": "tool_use", "id": format!("toolu_{index}"), "name": name, "input": {}}), deltas.collect())
        }
    }
}

pub(super) fn openai(reply: &Reply) -> Vec<String> {
    let said = |choices: Value, usage: Value| {
        json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": reply.model, "choices": choices,
            "usage": usage})
    };
    let chunk = |delta: Value, finish: Value| {
        format!("data: {}\n\n", said(json!([{"index": 0, "delta": delta, "finish_reason": finish}]), Value::Null))
    };
    let mut frames = vec![chunk(json!({"role": "assistant"}), Value::Null)];
    let mut calls = 0;
    for block in &reply.content {
        match block {
            ReplyBlock::Text(text) => {
                frames.extend(pieces(text).into_iter().map(|piece| chunk(json!({"content": piece}), Value::Null)));
            }
            ReplyBlock::Thinking { thinking, .. } => {
                let piece = |piece| chunk(json!({"reasoning_content": piece}), Value::Null);
                frames.extend(pieces(thinking).into_iter().map(piece));
            }
            ReplyBlock::RedactedThinking(_) => {}
            ReplyBlock::ToolUse { name, arguments } => {
                let call = |function: Value| json!({"tool_calls": [{"index": calls, "function": function}]});
                let mut first = call(json!({"name": name, "arguments": ""}));
                first["tool_calls"][0]["id"] = format!("call_{calls}").into();
                frames.push(chunk(first, Value::Null));
                frames.extend(
                    pieces(arguments).into_iter().map(|piece| chunk(call(json!({"arguments": piece})), Value::Null)),
                );
                calls += 1;
            }
        }
    }
    let finish = match reply.stop_reason {
        StopReason::EndTurn | StopReason::StopSequence | StopReason::Refusal => "stop",
        StopReason::ToolUse => "tool_calls",
        StopReason::MaxTokens => "length",
    };
    frames.push(chunk(json!({}), finish.into()));
    let usage = &reply.usage;
    let counted = json!({"prompt_tokens": usage.all_input(), "completion_tokens": usage.output_tokens,
        "total_tokens": usage.all_input() + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read_tokens}});
    frames.push(format!("data: {}\n\n", said(json!([]), counted)));
    frames.push("data: [DONE]\n\n".to_owned());
    frames
}
