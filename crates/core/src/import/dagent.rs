//! Reads dagent's `chat.json` and `session.json`: one JSON file with the messages of a conversation.
//!
//! Either the file is a list of messages, or an object that has one (`messages`, `entries`, `history`, at the top or in
//! `session` or `chat`). A checkpoint (`checkpoint`, or `summary`) that stands beside it is taken over. What a message lacks is left away: a message without its time follows the one before it.

use serde_json::Value;

use super::Read;
use super::gather::{Gathering, Voice};
use super::kept::kept;
use super::record::{shown, text, time, time_ms};
use crate::digest::Digest;
use crate::event::Outcome;
use crate::limits::CONVERSATION_BYTES;
use crate::time::Timestamp;

/// The program's name in labels.
pub const PROGRAM: &str = "dagent";

/// The file beside a conversation that may hold its checkpoint.
pub const CHECKPOINT: &str = "checkpoint.json";
/// Bytes of a file that is read.
pub const FILE_BYTES: usize = 2 * CONVERSATION_BYTES;
/// Bytes of an id.
const ID_BYTES: usize = 256;
const LISTS: [&str; 3] = ["messages", "entries", "history"];
const CHECKPOINTS: [&str; 2] = ["checkpoint", "summary"];
const TIMES: [&str; 4] = ["timestamp", "createdAt", "created_at", "time"];

/// Reads one file, and the checkpoint that may lie in a file beside it. `file` is what damages are said to be in, and its id where it
/// has none of its own.
#[must_use]
pub fn read(file: &str, bytes: Option<&[u8]>, beside: Option<&[u8]>) -> Read {
    let mut reader = Reader { gathering: Gathering::of(file) };
    let Some(bytes) = bytes.filter(|bytes| bytes.len() <= FILE_BYTES) else {
        reader.damage(0, format!("is longer than the {FILE_BYTES} bytes that a file may have"));
        return reader.gathering.finish(PROGRAM, file, Digest::of(b""));
    };
    let id = reader.whole(bytes).unwrap_or_else(|| file.to_owned());
    if reader.gathering.kept.is_none()
        && let Some(checkpoint) = beside.and_then(|bytes| serde_json::from_slice::<Value>(bytes).ok())
    {
        reader.checkpoint(checkpoint.get("checkpoint").unwrap_or(&checkpoint));
    }
    reader.gathering.finish(PROGRAM, &short(&id), Digest::of(bytes))
}

/// Cuts an id at its beginning: the end of a path tells more.
fn short(id: &str) -> String {
    let mut from = id.len().saturating_sub(ID_BYTES);
    while !id.is_char_boundary(from) {
        from += 1;
    }
    id.get(from..).filter(|id| !id.is_empty()).unwrap_or("unnamed").to_owned()
}

struct Reader {
    gathering: Gathering,
}

impl Reader {
    fn damage(&mut self, record: u64, why: impl Into<String>) {
        self.gathering.aside.add(record, why);
    }

    /// Reads all of it, and returns the id that it has itself.
    fn whole(&mut self, bytes: &[u8]) -> Option<String> {
        let value = match std::str::from_utf8(bytes)
            .map_err(|_| "is not UTF-8".to_owned())
            .and_then(|text| serde_json::from_str::<Value>(text).map_err(|error| format!("is not JSON: {error}")))
        {
            Ok(value) => value,
            Err(why) => {
                self.damage(0, why);
                return None;
            }
        };
        let head = [Some(&value), value.get("session"), value.get("chat")];
        let found = head.into_iter().flatten().find_map(|head| Some((head, list(head)?)));
        let Some((head, messages)) = found else {
            self.damage(0, "has no list of messages");
            return None;
        };
        self.gathering.title =
            ["title", "name"].iter().map(|key| text(head, key)).find(|t| !t.is_empty()).map(str::to_owned);
        self.gathering.began(when(head));
        for place in [head, &value] {
            CHECKPOINTS.iter().filter_map(|key| place.get(key)).for_each(|checkpoint| self.checkpoint(checkpoint));
        }
        for (message, number) in messages.iter().zip(1..) {
            self.message(number, message);
        }
        let id = ["id", "sessionId", "session_id"].iter().map(|key| text(head, key)).find(|id| !id.is_empty());
        id.map(str::to_owned)
    }

    /// Takes over the first that says something.
    fn checkpoint(&mut self, checkpoint: &Value) {
        if let Some((kept, left_out)) = kept(checkpoint).filter(|_| self.gathering.kept.is_none()) {
            self.gathering.kept = Some(kept);
            self.gathering.leave_out("items of checkpoints", left_out);
        }
    }

    fn message(&mut self, number: u64, message: &Value) {
        if !message.is_object() {
            return self.damage(number, "is not a JSON object");
        }
        let role = [text(message, "role"), text(message, "type"), text(message, "sender")];
        let role = role.into_iter().find(|role| !role.is_empty()).unwrap_or_default();
        let Some(content) = content(message) else {
            return self.damage(number, "has no text");
        };
        let at = when(message);
        let voice = Voice { at, key: None, model: text(message, "model") };
        let to = &mut self.gathering;
        match role {
            "user" | "human" => to.said(at, &content),
            "assistant" | "agent" | "ai" | "pm" | "dev" | "qa" => {
                to.text(voice, &content);
                self.calls(voice, (number, message));
            }
            "tool" | "tool_result" => {
                let id = [text(message, "toolCallId"), text(message, "tool_call_id")];
                let id = id.into_iter().find(|id| !id.is_empty()).unwrap_or_default();
                to.result((number, id), at, (Outcome::Ok, &content));
            }
            "system" | "summary" | "checkpoint" => to.leave_out("instructions", 1),
            other => {
                let why = format!("has an unknown role, `{}`", shown(other));
                self.damage(number, why);
            }
        }
    }

    fn calls(&mut self, voice: Voice<'_>, (number, message): (u64, &Value)) {
        let calls = message.get("toolCalls").or_else(|| message.get("tool_calls")).and_then(Value::as_array);
        for call in calls.into_iter().flatten() {
            let function = call.get("function").unwrap_or(call);
            let given = ["arguments", "input", "args"].iter().find_map(|key| function.get(key)).cloned();
            let given = given.unwrap_or_default();
            let written = given.as_str().and_then(|text| serde_json::from_str(text).ok());
            let given = written.unwrap_or(given);
            let id = text(call, "id");
            self.gathering.call(voice, (number, id), text(function, "name"), &given);
            if let Some(result) = call.get("result").or_else(|| call.get("output")).filter(|result| !result.is_null()) {
                let result = result.as_str().map_or_else(|| result.to_string(), str::to_owned);
                self.gathering.result((number, id), voice.at, (Outcome::Ok, &result));
            }
        }
    }
}

fn list(head: &Value) -> Option<&Vec<Value>> {
    head.as_array().or_else(|| LISTS.iter().find_map(|key| head.get(key)?.as_array()))
}

/// Returns a message's text: as it is, or of the blocks that it is made of.
fn content(message: &Value) -> Option<String> {
    let content = ["content", "text", "message"].iter().find_map(|key| message.get(key))?;
    match content {
        Value::String(text) => Some(text.clone()),
        Value::Null => Some(String::new()),
        Value::Array(blocks) => {
            let texts = blocks.iter().filter_map(|block| block.as_str().or_else(|| block.get("text")?.as_str()));
            Some(texts.collect::<Vec<_>>().join("\n"))
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

fn when(value: &Value) -> Option<Timestamp> {
    TIMES.iter().find_map(|key| time(value, key).or_else(|| time_ms(value, &format!("/{key}"))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::Part;

    fn read_text(text: &str) -> Read {
        read("features/a/chat.json", Some(text.as_bytes()), None)
    }

    #[test]
    fn a_chat_is_a_conversation_however_its_list_is_wrapped() {
        let list = r#"[{"role":"user","content":"hello","timestamp":"2026-01-01T10:00:00Z"},
            {"role":"assistant","content":[{"type":"text","text":"look"}],
             "toolCalls":[{"id":"1","name":"ls","arguments":"{\"at\":\"/\"}","result":"a b"}]},
            {"role":"user","content":"thanks","timestamp":1767261720000}]"#;
        let mut whole = Vec::new();
        for text in [
            list.to_owned(),
            format!("{{\"messages\":{list}}}"),
            format!("{{\"session\":{{\"id\":\"s1\",\"history\":{list}}}}}"),
        ] {
            let read = read_text(&text);
            assert_eq!((read.damaged, read.too_large.is_none()), (0, true));
            let talk = read.talk.unwrap();
            assert_eq!(talk.turns.len(), 2);
            let parts = &talk.turns[0].steps[0].parts;
            assert!(matches!(&parts[1], Part::Call { tool, result: Some(_), .. } if tool == "ls"), "{parts:?}");
            whole.push(talk.source.id);
        }
        assert_eq!(whole, ["features/a/chat.json", "features/a/chat.json", "s1"]);
    }

    #[test]
    fn each_damaged_record_is_named_and_costs_no_other() {
        let read = read_text(
            r#"{"messages":[7,{"role":"user"},{"role":"x","content":"?"},{"role":"user","content":"good"},{"role":"system","content":"s"}]}"#,
        );
        let lines: Vec<u64> = read.damages.iter().map(|damage| damage.line).collect();
        assert_eq!((lines, read.damaged), (vec![1, 2, 3], 3));
        assert_eq!(read.talk.map(|talk| talk.turns.len()), Some(1));
        assert_eq!(read.left_out.get("instructions"), Some(&1));
        for odd in ["", "{", "7", "{}", "{\"messages\":{}}", "\u{0}"] {
            let read = read_text(odd);
            assert_eq!((read.damaged, read.talk), (1, None), "{odd}");
        }
        assert_eq!(super::read("x", None, None).damaged, 1);
        assert_eq!(super::read("x", Some(&[0xff]), None).damaged, 1);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            drop(read("x", Some(&bytes), Some(&bytes)));
        }
    }
}
