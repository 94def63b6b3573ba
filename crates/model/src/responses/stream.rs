//! A streamed reply of the Responses API: items, ended by the response as a whole; without it nothing is complete.

use std::collections::BTreeMap;

use outlive_core::content::{Delta, Failure, FailureKind, Reply, ReplyBlock, StopReason, Usage};
use serde_json::Value;

use super::PHASE;
use crate::Sink;
use crate::http::{Reader, broke_off, failure, garbled, text_at};
use crate::sse::Event;

#[derive(Default)]
pub(super) struct ItemReader {
    /// Items that are done: what they hold counts, and not every server names them again at the end.
    items: BTreeMap<u64, Value>,
    ended: Option<Value>,
}

impl Reader for ItemReader {
    fn take(&mut self, event: &Event, sink: &Sink) -> Result<(), Failure> {
        // Some servers end as Chat Completions do, too.
        if event.data.trim() == "[DONE]" {
            return Ok(());
        }
        let mut data: Value = serde_json::from_str(&event.data).map_err(|_| garbled("an event is not JSON"))?;
        match data.get("type").and_then(Value::as_str).unwrap_or(&event.name) {
            "response.output_text.delta" | "response.refusal.delta" => {
                sink(Delta::Text { text: text_at(&data, "/delta") })
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                sink(Delta::Thinking { text: text_at(&data, "/delta") })
            }
            "response.output_item.done" => {
                let index = data.get("output_index").and_then(Value::as_u64);
                self.items.insert(index.unwrap_or(self.items.len() as u64), taken(&mut data, "item"));
            }
            "response.completed" | "response.incomplete" | "response.failed" => {
                self.end(taken(&mut data, "response"))?
            }
            "error" => return Err(broke_off(data.get("error").unwrap_or(&data))),
            _progress_or_unknown => {}
        }
        Ok(())
    }

    fn is_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// A server that does not stream sends what a stream would end with.
    fn whole(&mut self, body: &str, _sink: &Sink) -> Result<(), Failure> {
        let response: Value = serde_json::from_str(body).map_err(|_| garbled("the answer is not JSON"))?;
        if response.get("output").is_none_or(|output| !output.is_array()) {
            let why = "the provider answers with something else than a response: is `base_url` a Responses API?";
            return Err(failure(FailureKind::InvalidRequest, why));
        }
        self.end(response)
    }

    fn finish(self, provider_request_id: Option<String>) -> Result<Reply, Failure> {
        let Some(mut response) = self.ended else {
            return Err(failure(FailureKind::Truncated, "the stream ended before the reply did"));
        };
        let named = taken(&mut response, "output");
        let mut items: Vec<Value> = self.items.into_values().collect();
        if let Value::Array(named) = named
            && named.len() > items.len()
        {
            items = named;
        }
        let is = |item: &Value, kind: &str| item.get("type").and_then(Value::as_str) == Some(kind);
        let refusal = |item: &Value| item.pointer("/content/0").is_some_and(|part| is(part, "refusal"));
        let stop_reason = if is_incomplete(&response)? {
            StopReason::MaxTokens
        } else if items.iter().any(|item| is(item, "function_call")) {
            StopReason::ToolUse
        } else if items.iter().any(refusal) {
            StopReason::Refusal
        } else {
            StopReason::EndTurn
        };
        Ok(Reply {
            content: items.iter().flat_map(blocks).collect(),
            stop_reason,
            usage: usage(&response["usage"]),
            model: text_at(&response, "/model"),
            provider_request_id,
            served_by: None,
        })
    }
}

impl ItemReader {
    fn end(&mut self, response: Value) -> Result<(), Failure> {
        match response.get("status").and_then(Value::as_str) {
            Some("completed" | "incomplete") => self.ended = Some(response),
            Some("failed") => return Err(broke_off(&response["error"])),
            Some(_) | None => return Err(garbled("the response has not ended")),
        }
        Ok(())
    }
}

/// Takes what a document holds under a key.
fn taken(document: &mut Value, key: &str) -> Value {
    document.get_mut(key).map(Value::take).unwrap_or_default()
}

/// Says whether the reply was cut at its limit.
fn is_incomplete(response: &Value) -> Result<bool, Failure> {
    match response.pointer("/incomplete_details/reason").and_then(Value::as_str) {
        None if text_at(response, "/status") == "completed" => Ok(false),
        Some("max_output_tokens") => Ok(true),
        Some("content_filter") => Err(failure(FailureKind::Refused, "the provider filtered the answer")),
        Some(_) | None => Err(failure(FailureKind::Truncated, "the provider ended the reply without saying why")),
    }
}

/// A message says in which phase of the work it is said, which goes back with it.
fn blocks(item: &Value) -> impl Iterator<Item = ReplyBlock> {
    let phase = item.get("phase").and_then(Value::as_str).filter(|_| item["type"] == "message");
    phase.map(|phase| ReplyBlock::RedactedThinking(format!("{PHASE}{phase}"))).into_iter().chain(block(item))
}

fn block(item: &Value) -> Option<ReplyBlock> {
    match item.get("type").and_then(Value::as_str)? {
        "message" => {
            let text = texts(&item["content"], &["text", "refusal"]).concat();
            (!text.is_empty()).then_some(ReplyBlock::Text(text))
        }
        "function_call" => {
            Some(ReplyBlock::ToolUse { name: text_at(item, "/name"), arguments: text_at(item, "/arguments") })
        }
        "reasoning" => {
            let mut thinking = texts(&item["summary"], &["text"]);
            if thinking.is_empty() {
                thinking = texts(&item["content"], &["text"]);
            }
            let (thinking, sealed) = (thinking.join("\n\n"), text_at(item, "/encrypted_content"));
            let signature = (!sealed.is_empty()).then(|| format!("{} {sealed}", text_at(item, "/id")));
            (!thinking.is_empty() || signature.is_some()).then_some(ReplyBlock::Thinking { thinking, signature })
        }
        _unknown => None,
    }
}

fn texts<'a>(parts: &'a Value, keys: &[&str]) -> Vec<&'a str> {
    let text = |part: &'a Value| keys.iter().find_map(|key| part.get(key)?.as_str());
    parts.as_array().into_iter().flatten().filter_map(text).collect()
}

fn usage(usage: &Value) -> Usage {
    let count = |pointer: &str| usage.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    let cached = count("/input_tokens_details/cached_tokens");
    let written = count("/input_tokens_details/cache_write_tokens");
    Usage {
        input_tokens: count("/input_tokens").saturating_sub(cached).saturating_sub(written),
        output_tokens: count("/output_tokens"),
        cache_read_tokens: cached,
        cache_write_tokens: written,
        ..Usage::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::responses::parse_stream;

    fn stream(events: &[Value]) -> Vec<u8> {
        events.iter().map(|event| format!("data: {event}\n\n")).collect::<String>().into_bytes()
    }

    fn ended(status: &str, response: Value) -> Value {
        let mut event = json!({"type": format!("response.{status}"), "response": response});
        event["response"]["status"] = status.into();
        event
    }

    #[test]
    fn the_items_that_were_done_count_where_the_last_event_names_none() {
        let call = json!({"type": "function_call", "name": "bash", "arguments": "{}"});
        let done = json!({"type": "response.output_item.done", "output_index": 0, "item": call});
        let reply = parse_stream(&stream(&[done, ended("completed", json!({"output": []}))])).unwrap();
        assert_eq!(reply.content, [ReplyBlock::ToolUse { name: "bash".into(), arguments: "{}".into() }]);
        assert_eq!(reply.stop_reason, StopReason::ToolUse);
    }

    #[test]
    fn the_phase_of_a_message_stands_before_it() {
        let message =
            json!({"type": "message", "phase": "commentary", "content": [{"type": "output_text", "text": "a"}]});
        let reply = parse_stream(&stream(&[ended("completed", json!({"output": [message]}))])).unwrap();
        let phase = ReplyBlock::RedactedThinking("phase commentary".into());
        assert_eq!(reply.content, [phase, ReplyBlock::Text("a".into())]);
    }

    #[test]
    fn an_end_is_told_apart_by_what_it_says() {
        let text = json!([{"type": "message", "content": [{"type": "output_text", "text": "a"}]}]);
        let refusal = json!([{"type": "message", "content": [{"type": "refusal", "refusal": "no"}]}]);
        let incomplete = |reason: &str| json!({"output": text, "incomplete_details": {"reason": reason}});
        for (event, expected) in [
            (ended("completed", json!({"output": text})), Ok(StopReason::EndTurn)),
            (ended("completed", json!({"output": refusal})), Ok(StopReason::Refusal)),
            (ended("incomplete", incomplete("max_output_tokens")), Ok(StopReason::MaxTokens)),
            (ended("incomplete", incomplete("content_filter")), Err(FailureKind::Refused)),
            (ended("incomplete", json!({})), Err(FailureKind::Truncated)),
            (ended("failed", json!({"error": {"code": "server_error"}})), Err(FailureKind::Overloaded)),
            (ended("failed", json!({"error": {"code": "rate_limit_exceeded"}})), Err(FailureKind::RateLimited)),
            (ended("failed", json!({"error": {"code": "invalid_prompt"}})), Err(FailureKind::InvalidRequest)),
            (ended("failed", json!({"error": {"code": "image_parse_error"}})), Err(FailureKind::InvalidRequest)),
            (ended("failed", json!({"error": {"code": "bio_policy"}})), Err(FailureKind::Refused)),
            (json!({"type": "error", "code": "insufficient_quota"}), Err(FailureKind::Auth)),
            (json!({"type": "error", "error": {"code": "slow_down"}}), Err(FailureKind::Overloaded)),
            (ended("completed", json!(null)), Ok(StopReason::EndTurn)),
            (json!({"type": "response.completed"}), Err(FailureKind::Truncated)),
            (json!([1]), Err(FailureKind::Truncated)),
        ] {
            let got = parse_stream(&stream(std::slice::from_ref(&event)));
            assert_eq!(got.map(|reply| reply.stop_reason).map_err(|failure| failure.kind), expected, "{event}");
        }
    }
}
