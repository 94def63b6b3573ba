//! A streamed reply of Ollama: a line of JSON for each piece, ended by one that is `done`; without it nothing is complete.

use outlive_core::content::{Delta, Failure, FailureKind, Reply, ReplyBlock, StopReason, Usage};
use serde_json::Value;

use crate::Sink;
use crate::http::{Reader, broke_off, failure, garbled, text_at};
use crate::sse::{Event, Framing};

#[derive(Default)]
pub(super) struct LineReader {
    text: String,
    thinking: String,
    calls: Vec<ReplyBlock>,
    /// The last line.
    done: Option<Value>,
}

impl Reader for LineReader {
    const FRAMING: Framing = Framing::Lines;

    fn take(&mut self, event: &Event, sink: &Sink) -> Result<(), Failure> {
        let line: Value = serde_json::from_str(&event.data).map_err(|_| garbled("a line is not JSON"))?;
        if let Some(error) = line.get("error") {
            return Err(broke_off(error));
        }
        let thinking = text_at(&line, "/message/thinking");
        if !thinking.is_empty() {
            self.thinking.push_str(&thinking);
            sink(Delta::Thinking { text: thinking });
        }
        let text = text_at(&line, "/message/content");
        if !text.is_empty() {
            self.text.push_str(&text);
            sink(Delta::Text { text });
        }
        for call in line.pointer("/message/tool_calls").and_then(Value::as_array).into_iter().flatten() {
            let arguments = call.pointer("/function/arguments").filter(|arguments| !arguments.is_null());
            let arguments = arguments.map(Value::to_string).unwrap_or_default();
            self.calls.push(ReplyBlock::ToolUse { name: text_at(call, "/function/name"), arguments });
        }
        if line.get("done") == Some(&Value::Bool(true)) {
            self.done = Some(line);
        }
        Ok(())
    }

    fn is_ended(&self) -> bool {
        self.done.is_some()
    }

    /// A server that does not stream sends one line.
    fn whole(&mut self, body: &str, sink: &Sink) -> Result<(), Failure> {
        self.take(&Event { name: String::new(), data: body.to_owned() }, sink)
    }

    fn finish(self, provider_request_id: Option<String>) -> Result<Reply, Failure> {
        let Some(done) = self.done else {
            return Err(failure(FailureKind::Truncated, "the stream ended before the reply did"));
        };
        let stop_reason = match done.get("done_reason").and_then(Value::as_str) {
            Some("length") => StopReason::MaxTokens,
            Some("load" | "unload") => return Err(garbled("the model was loaded and said nothing")),
            Some(_) | None if !self.calls.is_empty() => StopReason::ToolUse,
            Some(_) | None => StopReason::EndTurn,
        };
        let mut content = Vec::new();
        if !self.thinking.is_empty() {
            content.push(ReplyBlock::Thinking { thinking: self.thinking, signature: None });
        }
        if !self.text.is_empty() {
            content.push(ReplyBlock::Text(self.text));
        }
        content.extend(self.calls);
        let count = |key: &str| done.get(key).and_then(Value::as_u64).unwrap_or(0);
        let usage =
            Usage { input_tokens: count("prompt_eval_count"), output_tokens: count("eval_count"), ..Usage::default() };
        Ok(Reply { content, stop_reason, usage, model: text_at(&done, "/model"), provider_request_id, served_by: None })
    }
}

#[cfg(test)]
mod tests {
    use crate::ollama::parse_stream;

    use super::*;

    #[test]
    fn an_end_is_told_apart_by_what_it_says() {
        let call = r#"{"message":{"tool_calls":[{"function":{"name":"bash","arguments":{"a":1}}}]},"done":false}"#;
        let called = format!("{call}\n{{\"done\":true,\"done_reason\":\"stop\"}}\n");
        for (lines, expected) in [
            (called.as_str(), Ok(StopReason::ToolUse)),
            ("{\"message\":{\"content\":\"a\"},\"done\":true}\n", Ok(StopReason::EndTurn)),
            ("{\"done\":true,\"done_reason\":\"length\"}\n", Ok(StopReason::MaxTokens)),
            ("{\"done\":true,\"done_reason\":\"load\"}\n", Err(FailureKind::Truncated)),
            ("{\"done\":true}", Err(FailureKind::Truncated)),
            ("{\"done\":\"true\"}\n", Err(FailureKind::Truncated)),
            ("{\"error\":\"the runner died\"}\n", Err(FailureKind::Truncated)),
            ("[]\n", Err(FailureKind::Truncated)),
            ("\n", Err(FailureKind::Truncated)),
        ] {
            let got = parse_stream(lines.as_bytes());
            assert_eq!(got.map(|reply| reply.stop_reason).map_err(|failure| failure.kind), expected, "{lines}");
        }
        let reply = parse_stream(called.as_bytes()).unwrap();
        assert_eq!(reply.content, [ReplyBlock::ToolUse { name: "bash".into(), arguments: "{\"a\":1}".into() }]);
    }
}
