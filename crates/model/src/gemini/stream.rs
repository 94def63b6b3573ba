//! A streamed reply of Gemini: parts, ended by a finish reason; without one nothing is complete.

use outlive_core::content::{Delta, Failure, FailureKind, Reply, ReplyBlock, StopReason, Usage};
use serde_json::Value;

use crate::Sink;
use crate::http::{Reader, broke_off, failure, garbled, text_at};
use crate::sse::Event;

#[derive(Default)]
pub(super) struct PartReader {
    content: Vec<ReplyBlock>,
    id: Option<String>,
    model: String,
    usage: Usage,
    finish: Option<String>,
}

impl Reader for PartReader {
    fn take(&mut self, event: &Event, sink: &Sink) -> Result<(), Failure> {
        let chunk: Value = serde_json::from_str(&event.data).map_err(|_| garbled("a chunk is not JSON"))?;
        if let Some(error) = chunk.get("error") {
            return Err(broke_off(error));
        }
        if let Some(reason) = chunk.pointer("/promptFeedback/blockReason").and_then(Value::as_str) {
            return Err(failure(FailureKind::Refused, format!("the provider blocked the request: {reason}")));
        }
        if let Some(model) = chunk.get("modelVersion").and_then(Value::as_str) {
            model.clone_into(&mut self.model);
        }
        if let Some(id) = chunk.get("responseId").and_then(Value::as_str) {
            self.id = Some(id.chars().take(128).collect());
        }
        self.count(chunk.get("usageMetadata"));
        let Some(candidate) = chunk.pointer("/candidates/0") else { return Ok(()) };
        for part in candidate.pointer("/content/parts").and_then(Value::as_array).into_iter().flatten() {
            self.part(part, sink);
        }
        if let Some(finish) = candidate.get("finishReason").and_then(Value::as_str) {
            self.finish = Some(finish.to_owned());
        }
        Ok(())
    }

    fn is_ended(&self) -> bool {
        self.finish.is_some()
    }

    /// A server that does not stream sends one chunk, or a list of all.
    fn whole(&mut self, body: &str, sink: &Sink) -> Result<(), Failure> {
        let whole: Value = serde_json::from_str(body).map_err(|_| garbled("the answer is not JSON"))?;
        let chunks = whole.as_array().map_or(std::slice::from_ref(&whole), Vec::as_slice);
        for chunk in chunks {
            self.take(&Event { name: String::new(), data: chunk.to_string() }, sink)?;
        }
        Ok(())
    }

    fn finish(self, provider_request_id: Option<String>) -> Result<Reply, Failure> {
        let calls = self.content.iter().any(|block| matches!(block, ReplyBlock::ToolUse { .. }));
        let stop_reason = match self.finish.as_deref() {
            None => return Err(failure(FailureKind::Truncated, "the stream ended before the reply did")),
            Some("STOP") if calls => StopReason::ToolUse,
            Some("STOP") => StopReason::EndTurn,
            Some("MAX_TOKENS") => StopReason::MaxTokens,
            Some(
                filter @ ("SAFETY" | "RECITATION" | "LANGUAGE" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII"
                | "MODEL_ARMOR"),
            ) => {
                return Err(failure(FailureKind::Refused, format!("the provider filtered the answer: {filter}")));
            }
            Some("MISSING_THOUGHT_SIGNATURE") => {
                let why = "the provider misses a signature of the model's reasoning";
                return Err(failure(FailureKind::InvalidRequest, why));
            }
            // The model's own slip: it may do better when it is asked again.
            Some(slip) => {
                return Err(failure(FailureKind::Truncated, format!("the provider ended the reply: {slip}")));
            }
        };
        let Self { content, model, usage, id, .. } = self;
        Ok(Reply {
            content,
            stop_reason,
            usage,
            model,
            provider_request_id: provider_request_id.or(id),
            served_by: None,
        })
    }
}

impl PartReader {
    fn part(&mut self, part: &Value, sink: &Sink) {
        let seal = part.get("thoughtSignature").and_then(Value::as_str).filter(|seal| !seal.is_empty());
        if let Some(call) = part.get("functionCall") {
            if let Some(seal) = seal {
                self.seal_next(seal);
            }
            let arguments = call.get("args").filter(|args| !args.is_null()).map(Value::to_string).unwrap_or_default();
            self.content.push(ReplyBlock::ToolUse { name: text_at(call, "/name"), arguments });
            return;
        }
        let text = text_at(part, "/text");
        if !text.is_empty() {
            self.text(text, part.get("thought") == Some(&Value::Bool(true)), sink);
        }
        // Kept by itself: what it came with is still being streamed.
        self.content.extend(seal.map(|seal| ReplyBlock::RedactedThinking(seal.to_owned())));
    }

    fn text(&mut self, text: String, is_thought: bool, sink: &Sink) {
        match (is_thought, self.content.last_mut()) {
            (true, Some(ReplyBlock::Thinking { thinking, signature: None })) => thinking.push_str(&text),
            (true, _) => self.content.push(ReplyBlock::Thinking { thinking: text.clone(), signature: None }),
            (false, Some(ReplyBlock::Text(said))) => said.push_str(&text),
            (false, _) => self.content.push(ReplyBlock::Text(text.clone())),
        }
        sink(if is_thought { Delta::Thinking { text } } else { Delta::Text { text } });
    }

    /// Sets the seal that comes with a call before it.
    fn seal_next(&mut self, seal: &str) {
        if let Some(ReplyBlock::Thinking { signature: signature @ None, .. }) = self.content.last_mut() {
            *signature = Some(seal.to_owned());
        } else {
            self.content.push(ReplyBlock::Thinking { thinking: String::new(), signature: Some(seal.to_owned()) });
        }
    }

    /// Each count is of the whole reply so far.
    fn count(&mut self, usage: Option<&Value>) {
        let Some(usage) = usage.filter(|usage| usage.is_object()) else { return };
        let count = |key: &str| usage.get(key).and_then(Value::as_u64).unwrap_or(0);
        let cached = count("cachedContentTokenCount");
        let input = count("promptTokenCount").saturating_add(count("toolUsePromptTokenCount"));
        self.usage = Usage {
            input_tokens: input.saturating_sub(cached),
            output_tokens: count("candidatesTokenCount").saturating_add(count("thoughtsTokenCount")),
            cache_read_tokens: cached,
            ..Usage::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::gemini::parse_stream;

    fn stream(chunks: &[Value]) -> Vec<u8> {
        chunks.iter().map(|chunk| format!("data: {chunk}\r\n\r\n")).collect::<String>().into_bytes()
    }

    fn chunk(parts: Value, finish: Option<&str>) -> Value {
        json!({"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": finish}]})
    }

    #[test]
    fn a_seal_stands_before_its_call_and_one_of_a_text_by_itself() {
        let thought = |text: &str| json!({"text": text, "thought": true});
        let call = |seal: Option<&str>| json!({"functionCall": {"name": "bash", "args": {}}, "thoughtSignature": seal});
        let reply = parse_stream(&stream(&[
            chunk(json!([thought("h"), thought("m")]), None),
            chunk(json!([call(Some("s1")), call(None)]), None),
            chunk(json!([{"text": "a"}]), None),
            chunk(json!([{"text": "b", "thoughtSignature": "s2"}, {"text": "", "thoughtSignature": "s3"}]), None),
            chunk(json!([call(Some("s4"))]), Some("STOP")),
        ]));
        let thinking =
            |text: &str, seal: &str| ReplyBlock::Thinking { thinking: text.into(), signature: Some(seal.into()) };
        let bash = || ReplyBlock::ToolUse { name: "bash".into(), arguments: "{}".into() };
        let alone = |seal: &str| ReplyBlock::RedactedThinking(seal.into());
        let text = ReplyBlock::Text("ab".into());
        let expected =
            [thinking("hm", "s1"), bash(), bash(), text, alone("s2"), alone("s3"), thinking("", "s4"), bash()];
        assert_eq!(reply.unwrap().content, expected);
    }

    #[test]
    fn an_end_is_told_apart_by_what_it_says() {
        for (event, expected) in [
            (chunk(json!([{"text": "a"}]), Some("STOP")), Ok(StopReason::EndTurn)),
            (chunk(json!([{"functionCall": {"name": "bash"}}]), Some("STOP")), Ok(StopReason::ToolUse)),
            (chunk(json!(null), Some("MAX_TOKENS")), Ok(StopReason::MaxTokens)),
            (chunk(json!(null), Some("SAFETY")), Err(FailureKind::Refused)),
            (chunk(json!(null), Some("MALFORMED_FUNCTION_CALL")), Err(FailureKind::Truncated)),
            (chunk(json!(null), Some("MISSING_THOUGHT_SIGNATURE")), Err(FailureKind::InvalidRequest)),
            (chunk(json!([{"text": "a"}]), None), Err(FailureKind::Truncated)),
            (json!({"promptFeedback": {"blockReason": "SAFETY"}}), Err(FailureKind::Refused)),
            (json!({"error": {"code": 503, "status": "UNAVAILABLE", "message": "m"}}), Err(FailureKind::Overloaded)),
            (json!([1]), Err(FailureKind::Truncated)),
        ] {
            let got = parse_stream(&stream(std::slice::from_ref(&event)));
            assert_eq!(got.map(|reply| reply.stop_reason).map_err(|failure| failure.kind), expected, "{event}");
        }
    }

    #[test]
    fn every_token_is_counted_once() {
        let mut last = chunk(json!([{"text": "a"}]), Some("STOP"));
        last["usageMetadata"] = json!({"promptTokenCount": 10, "cachedContentTokenCount": 4, "candidatesTokenCount": 2,
            "thoughtsTokenCount": 3, "totalTokenCount": 15});
        let usage = parse_stream(&stream(&[last])).unwrap().usage;
        assert_eq!(usage, Usage { input_tokens: 6, output_tokens: 5, cache_read_tokens: 4, ..Usage::default() });
    }
}
