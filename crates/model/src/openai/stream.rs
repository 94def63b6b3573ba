//! A streamed reply of Chat Completions: chunks, ended by a finish reason and a last mark; without them nothing is complete.
//! Tolerant of servers that leave out indices and ids, send whole calls at once, or (where it is not asked for) no mark.

use outlive_core::content::{Delta, Failure, FailureKind, Reply, ReplyBlock, StopReason, Usage};
use serde_json::Value;

use super::reasoning::Details;
use crate::Sink;
use crate::http::{Reader, broke_off, failure, garbled};
use crate::sse::Event;

#[derive(Default)]
pub(super) struct ChunkReader {
    text: String,
    thinking: String,
    refusal: String,
    calls: Vec<PartialCall>,
    model: String,
    usage: Usage,
    finish: Option<String>,
    served_by: Option<String>,
    details: Details,
    mark: Mark,
}

/// Whether the stream has said that nothing more comes.
#[derive(Default, PartialEq)]
enum Mark {
    /// It need not say so.
    #[default]
    Optional,
    /// It must say so yet.
    Missing,
    /// It has said so.
    Seen,
}

#[derive(Default)]
struct PartialCall {
    id: String,
    name: String,
    arguments: String,
}

/// No reply has more calls: an index beyond is garbage.
const CALLS: usize = 256;

impl Reader for ChunkReader {
    fn take(&mut self, event: &Event, sink: &Sink) -> Result<(), Failure> {
        if event.data.trim() == "[DONE]" {
            self.mark = Mark::Seen;
            return Ok(());
        }
        let chunk: Value = serde_json::from_str(&event.data).map_err(|_| garbled("a chunk is not JSON"))?;
        if let Some(error) = chunk.get("error").filter(|error| !error.is_null()) {
            return Err(broke_off(error));
        }
        if let Some(model) = chunk.get("model").and_then(Value::as_str) {
            model.clone_into(&mut self.model);
        }
        if let Some(provider) = chunk.get("provider").and_then(Value::as_str) {
            self.served_by = Some(provider.chars().take(128).collect());
        }
        self.count(chunk.get("usage"));
        let Some(choice) = chunk.pointer("/choices/0") else { return Ok(()) };
        if let Some(delta) = choice.get("delta").or_else(|| choice.get("message")) {
            self.delta(delta, sink)?;
        }
        if let Some(finish) = choice.get("finish_reason").and_then(Value::as_str) {
            self.finish = Some(finish.to_owned());
        }
        Ok(())
    }

    fn is_ended(&self) -> bool {
        self.mark == Mark::Seen
    }

    /// A server that does not stream sends the same, with a message in place of deltas.
    fn whole(&mut self, body: &str, sink: &Sink) -> Result<(), Failure> {
        self.mark = Mark::Seen;
        self.take(&Event { name: String::new(), data: body.to_owned() }, sink)
    }

    fn finish(self, provider_request_id: Option<String>) -> Result<Reply, Failure> {
        let stop_reason = match self.finish.as_deref() {
            None => return Err(failure(FailureKind::Truncated, "the stream ended before the reply did")),
            Some(_) if self.mark == Mark::Missing => {
                return Err(failure(FailureKind::Truncated, "the stream ended before it said so"));
            }
            // A router's provider broke off and left no more words than this.
            Some("error") => return Err(failure(FailureKind::Overloaded, "the provider broke off")),
            Some("content_filter") => return Err(failure(FailureKind::Refused, "the provider filtered the answer")),
            Some("tool_calls" | "function_call") if self.calls.is_empty() => {
                return Err(failure(FailureKind::Truncated, "the reply asks for calls and names none"));
            }
            Some("tool_calls" | "function_call") => StopReason::ToolUse,
            Some("length") => StopReason::MaxTokens,
            Some(_) if !self.refusal.is_empty() => StopReason::Refusal,
            Some(_stop) => StopReason::EndTurn,
        };
        let mut content = Vec::new();
        if !self.details.is_empty() {
            content.extend(self.details.into_blocks());
        } else if !self.thinking.is_empty() {
            content.push(ReplyBlock::Thinking { thinking: self.thinking, signature: None });
        }
        let text = if self.text.is_empty() { self.refusal } else { self.text };
        if !text.is_empty() {
            content.push(ReplyBlock::Text(text));
        }
        // A call without a name is none that can be run; the model is told so as of any unknown tool.
        let call = |call: PartialCall| ReplyBlock::ToolUse { name: call.name, arguments: call.arguments };
        let is_one = |call: &PartialCall| !(call.id.is_empty() && call.name.is_empty() && call.arguments.is_empty());
        content.extend(self.calls.into_iter().filter(is_one).map(call));
        let Self { usage, model, served_by, .. } = self;
        Ok(Reply { content, stop_reason, usage, model, provider_request_id, served_by })
    }
}

impl ChunkReader {
    /// Makes one for a server that is known to end its streams with the mark.
    pub(super) fn strict() -> Self {
        Self { mark: Mark::Missing, ..Self::default() }
    }

    fn delta(&mut self, delta: &Value, sink: &Sink) -> Result<(), Failure> {
        let text = |key: &str| delta.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        if let Some(piece) = text("reasoning_content").or_else(|| text("reasoning")) {
            self.thinking.push_str(piece);
            sink(Delta::Thinking { text: piece.to_owned() });
        }
        for piece in delta.get("reasoning_details").and_then(Value::as_array).into_iter().flatten() {
            self.details.take(piece);
        }
        if let Some(piece) = text("content") {
            self.text.push_str(piece);
            sink(Delta::Text { text: piece.to_owned() });
        }
        if let Some(piece) = text("refusal") {
            self.refusal.push_str(piece);
        }
        for call in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            self.call(call)?;
        }
        Ok(())
    }

    fn call(&mut self, call: &Value) -> Result<(), Failure> {
        let text = |pointer: &str| call.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (id, name) = (text("/id"), text("/function/name"));
        let at = match call.get("index").and_then(Value::as_u64) {
            Some(index) => usize::try_from(index).unwrap_or(usize::MAX),
            // Without an index a new id, or a name without one, begins the next call.
            None if id.is_empty() && !name.is_empty() => self.calls.len(),
            None if !id.is_empty() && self.calls.last().is_none_or(|last| last.id != id) => self.calls.len(),
            None => self.calls.len().saturating_sub(1),
        };
        if at >= CALLS {
            return Err(garbled("a call's index is out of range"));
        }
        if self.calls.len() <= at {
            self.calls.resize_with(at + 1, PartialCall::default);
        }
        if let Some(slot) = self.calls.get_mut(at) {
            // Some servers say both again with each piece.
            for (known, said) in [(&mut slot.id, id), (&mut slot.name, name)] {
                if known != said {
                    known.push_str(said);
                }
            }
            match call.pointer("/function/arguments") {
                Some(Value::String(piece)) => slot.arguments.push_str(piece),
                // Some servers send the arguments as an object.
                Some(whole @ Value::Object(_)) => slot.arguments = whole.to_string(),
                Some(_) | None => {}
            }
        }
        Ok(())
    }

    fn count(&mut self, usage: Option<&Value>) {
        let Some(usage) = usage.filter(|usage| usage.is_object()) else { return };
        let count = |pointer: &str| usage.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
        let cached = count("/prompt_tokens_details/cached_tokens");
        let written = count("/prompt_tokens_details/cache_write_tokens");
        self.usage = Usage {
            input_tokens: count("/prompt_tokens").saturating_sub(cached).saturating_sub(written),
            output_tokens: count("/completion_tokens"),
            cache_read_tokens: cached,
            cache_write_tokens: written,
            cost_nano_usd: usage.get("cost").and_then(Value::as_f64).map_or(0, nano),
            ..Usage::default()
        };
    }
}

/// Billionths of a dollar; none where the number is no price.
fn nano(dollars: f64) -> u64 {
    if (0.0..1e6).contains(&dollars) { (dollars * 1e9).round() as u64 } else { 0 }
}
