//! A streamed reply of the Messages API: blocks by index, ended by `message_stop`; without it nothing is complete.

use std::collections::BTreeMap;
use std::time::Duration;

use outlive_core::content::{Delta, Failure, FailureKind, Reply, ReplyBlock, StopReason, Usage};
use serde_json::Value;

use crate::Sink;
use crate::http::{Reader, broke_off, failure, garbled, text_at};
use crate::sse::Event;

#[derive(Default)]
pub(super) struct MessageReader {
    blocks: BTreeMap<u64, Part>,
    model: String,
    usage: Usage,
    stop: Option<StopReason>,
    is_ended: bool,
}

enum Part {
    Text(String),
    Thinking { thinking: String, signature: String },
    Redacted(String),
    Tool { name: String, arguments: String, given: Option<Value> },
    Unknown,
}

/// No reply has more blocks: an index beyond is garbage.
const BLOCKS: u64 = 1_024;

impl Reader for MessageReader {
    /// It says that it lives while the model thinks.
    const SILENCE: Duration = Duration::from_secs(120);

    fn take(&mut self, event: &Event, sink: &Sink) -> Result<(), Failure> {
        let data: Value = serde_json::from_str(&event.data).map_err(|_| garbled("an event is not JSON"))?;
        match data.get("type").and_then(Value::as_str).unwrap_or(&event.name) {
            "message_start" => {
                self.model = text_at(&data, "/message/model");
                self.count(data.pointer("/message/usage"));
            }
            "content_block_start" => self.start(&data)?,
            "content_block_delta" => self.delta(&data, sink)?,
            "message_delta" => {
                self.count(data.get("usage"));
                if let Some(reason) = data.pointer("/delta/stop_reason").and_then(Value::as_str) {
                    self.stop = Some(stop_reason(reason));
                }
            }
            "message_stop" => self.is_ended = true,
            "error" => return Err(broke_off(data.get("error").unwrap_or(&data))),
            _ping_or_unknown => {}
        }
        Ok(())
    }

    fn is_ended(&self) -> bool {
        self.is_ended
    }

    fn whole(&mut self, _body: &str, _sink: &Sink) -> Result<(), Failure> {
        let why = "the provider answers with one JSON document and no stream: is `base_url` the Messages API?";
        Err(failure(FailureKind::InvalidRequest, why))
    }

    fn finish(self, provider_request_id: Option<String>) -> Result<Reply, Failure> {
        let Some(stop_reason) = self.stop.filter(|_| self.is_ended) else {
            return Err(failure(FailureKind::Truncated, "the stream ended before the reply did"));
        };
        let content = self.blocks.into_values().filter_map(finished).collect();
        Ok(Reply { content, stop_reason, usage: self.usage, model: self.model, provider_request_id, served_by: None })
    }
}

impl MessageReader {
    fn start(&mut self, data: &Value) -> Result<(), Failure> {
        let index = index(data)?;
        let block = data.get("content_block").cloned().unwrap_or_default();
        let part = match block.get("type").and_then(Value::as_str) {
            Some("text") => Part::Text(text_at(&block, "/text")),
            Some("thinking") => {
                Part::Thinking { thinking: text_at(&block, "/thinking"), signature: text_at(&block, "/signature") }
            }
            Some("redacted_thinking") => Part::Redacted(text_at(&block, "/data")),
            Some("tool_use") => {
                let given = block.get("input").filter(|input| input.as_object().is_some_and(|map| !map.is_empty()));
                Part::Tool { name: text_at(&block, "/name"), arguments: String::new(), given: given.cloned() }
            }
            Some(_) | None => Part::Unknown,
        };
        self.blocks.insert(index, part);
        Ok(())
    }

    fn delta(&mut self, data: &Value, sink: &Sink) -> Result<(), Failure> {
        let part = self.blocks.get_mut(&index(data)?).ok_or_else(|| garbled("a fragment belongs to no block"))?;
        match (text_at(data, "/delta/type").as_str(), part) {
            ("text_delta", Part::Text(text)) => {
                let piece = text_at(data, "/delta/text");
                text.push_str(&piece);
                sink(Delta::Text { text: piece });
            }
            ("thinking_delta", Part::Thinking { thinking, .. }) => {
                let piece = text_at(data, "/delta/thinking");
                thinking.push_str(&piece);
                sink(Delta::Thinking { text: piece });
            }
            ("signature_delta", Part::Thinking { signature, .. }) => {
                signature.push_str(&text_at(data, "/delta/signature"))
            }
            ("input_json_delta", Part::Tool { arguments, .. }) => {
                arguments.push_str(&text_at(data, "/delta/partial_json"))
            }
            _unknown => {}
        }
        Ok(())
    }

    /// Later counts replace earlier ones: the last is the whole.
    fn count(&mut self, usage: Option<&Value>) {
        let set = |slot: &mut u64, key: &str| {
            if let Some(count) = usage.and_then(|usage| usage.get(key)).and_then(Value::as_u64) {
                *slot = count;
            }
        };
        set(&mut self.usage.input_tokens, "input_tokens");
        set(&mut self.usage.output_tokens, "output_tokens");
        set(&mut self.usage.cache_read_tokens, "cache_read_input_tokens");
        set(&mut self.usage.cache_write_tokens, "cache_creation_input_tokens");
    }
}

fn index(data: &Value) -> Result<u64, Failure> {
    let index = data.get("index").and_then(Value::as_u64).filter(|index| *index < BLOCKS);
    index.ok_or_else(|| garbled("a block's index is out of range"))
}

fn stop_reason(reason: &str) -> StopReason {
    match reason {
        "tool_use" => StopReason::ToolUse,
        "max_tokens" | "model_context_window_exceeded" => StopReason::MaxTokens,
        "stop_sequence" => StopReason::StopSequence,
        "refusal" => StopReason::Refusal,
        _end_turn_or_unknown => StopReason::EndTurn,
    }
}

fn finished(part: Part) -> Option<ReplyBlock> {
    Some(match part {
        Part::Text(text) => ReplyBlock::Text(text),
        Part::Thinking { thinking, signature } => {
            ReplyBlock::Thinking { thinking, signature: Some(signature).filter(|signature| !signature.is_empty()) }
        }
        Part::Redacted(data) => ReplyBlock::RedactedThinking(data),
        Part::Tool { name, arguments, given } => {
            let arguments =
                if arguments.is_empty() { given.map(|given| given.to_string()).unwrap_or_default() } else { arguments };
            ReplyBlock::ToolUse { name, arguments }
        }
        Part::Unknown => return None,
    })
}
