//! Reads Duragent's `sessions/ID/`: `events.jsonl`, before it what was put away (`events.archive.jsonl`), and where older
//! events were discarded the conversation that the snapshot (`state.yaml`, `state.json` since 0.5) holds instead.
//!
//! Agents need no reader: an `agent.yaml` of `duragent/v1alpha1` is read by [`crate::agent`].

use serde::Deserialize;
use serde_json::Value;

use super::Read;
use super::gather::{Gathering, Voice};
use super::record::{Aside, Objects, number, shown, text, time};
use crate::content::Usage;
use crate::digest::Digest;
use crate::event::Outcome;
use crate::limits::RECORD_BYTES;
use crate::time::Timestamp;

/// The program's name in labels.
pub const PROGRAM: &str = "duragent";

/// Reads one session: first its snapshot, then the lines of its event logs, oldest first.
pub struct Reader {
    id: String,
    agent: Option<String>,
    gathering: Gathering,
    snapshot: Option<Snapshot>,
    /// Up to where the snapshot's conversation stands for the events.
    covered: u64,
    last: u64,
}

/// What is read of a snapshot.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Snapshot {
    agent: String,
    created_at: Option<Timestamp>,
    checkpoint_seq: u64,
    conversation: Vec<Value>,
}

impl Reader {
    /// Begins; `file` is what damages are said to be in, `id` the session's.
    #[must_use]
    pub fn new(file: &str, id: &str) -> Self {
        Self { id: id.to_owned(), agent: None, gathering: Gathering::of(file), snapshot: None, covered: 0, last: 0 }
    }

    /// Says which file the next lines are from.
    pub fn turn_to(&mut self, file: &str) {
        file.clone_into(&mut self.aside().file);
    }

    /// Reads the snapshot; JSON is YAML, too.
    pub fn snapshot(&mut self, bytes: &[u8]) {
        if bytes.len() > RECORD_BYTES {
            return self.aside().too_long(0);
        }
        let read = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned());
        match read.and_then(|text| {
            serde_saphyr::from_str(text).map_err(|error| format!("is not a snapshot: {}", shown(&error.to_string())))
        }) {
            Ok(snapshot) => self.snapshot = Some(snapshot),
            Err(why) => self.aside().add(0, why),
        }
    }

    /// Takes from the snapshot what the log does not have any more: all before its first event.
    fn begin(&mut self, first: u64) {
        let Some(snapshot) = self.snapshot.take() else { return };
        self.gathering.began(snapshot.created_at);
        self.agent = Some(snapshot.agent).filter(|agent| !agent.is_empty());
        if first <= 1 || snapshot.checkpoint_seq == 0 {
            return;
        }
        snapshot.conversation.iter().for_each(|message| self.past(message));
        self.covered = snapshot.checkpoint_seq;
    }

    fn past(&mut self, message: &Value) {
        let voice = Voice { at: None, key: None, model: "" };
        let to = &mut self.gathering;
        match text(message, "role") {
            "user" => to.said(None, text(message, "content")),
            "assistant" => {
                to.text(voice, text(message, "content"));
                for call in message.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
                    let function = call.get("function").cloned().unwrap_or_default();
                    let written = text(&function, "arguments");
                    let arguments = serde_json::from_str(written).unwrap_or_else(|_| Value::from(written));
                    to.call(voice, (0, text(call, "id")), text(&function, "name"), &arguments);
                }
            }
            "tool" => to.result((0, text(message, "tool_call_id")), None, (Outcome::Ok, text(message, "content"))),
            "system" | "steering" => to.leave_out("instructions", 1),
            role => to.aside.add(0, format!("has a message of an unknown role, `{}`", shown(role))),
        }
    }

    fn event(&mut self, line: u64, event: &Value) {
        let Some(seq) = event.get("seq").and_then(Value::as_u64) else {
            return self.aside().add(line, "has no seq");
        };
        if self.snapshot.is_some() {
            self.begin(seq);
        }
        if seq <= self.covered {
            return;
        }
        let last = self.last;
        if seq <= last {
            return self.aside().add(line, format!("has seq {seq}, but {last} came before"));
        }
        self.last = seq;
        let at = time(event, "timestamp");
        let voice = Voice { at, key: None, model: "" };
        let to = &mut self.gathering;
        match text(event, "type") {
            "session_start" => {
                self.agent = Some(text(event, "agent").to_owned());
                to.began(at);
            }
            "user_message" => to.said(at, text(event, "content")),
            "assistant_message" | "assistant_response" => answered(to, voice, (line, event)),
            "tool_call" => call(to, voice, (line, event)),
            "tool_result" => {
                let result = event.get("result").cloned().unwrap_or_default();
                let is_good = result.get("success").and_then(Value::as_bool).unwrap_or(true);
                let outcome = if is_good { Outcome::Ok } else { Outcome::Error };
                to.result((line, text(event, "call_id")), at, (outcome, text(&result, "content")));
            }
            "tools_skipped" | "tools_aborted" => skipped(to, at, (line, event)),
            "approval_required" | "approval_decision" | "status_change" | "session_end" => {
                to.leave_out("bookkeeping", 1)
            }
            "silent_message" => to.leave_out("messages that the model did not see", 1),
            "error" => to.leave_out("errors of the program", 1),
            kind => to.aside.add(line, format!("has an unknown type, `{}`", shown(kind))),
        }
    }
}

impl Objects for Reader {
    fn record(&mut self, number: u64, value: &Value) {
        self.event(number, value);
    }

    fn aside(&mut self) -> &mut Aside {
        &mut self.gathering.aside
    }

    fn read(mut self, digest: Digest) -> Read {
        // A log from which everything was discarded.
        self.begin(u64::MAX);
        let agent = self.agent.take().filter(|agent| !agent.is_empty());
        Read { agent, ..self.gathering.finish(PROGRAM, &self.id, digest) }
    }
}

fn answered(to: &mut Gathering, voice: Voice<'_>, (line, event): (u64, &Value)) {
    to.text(voice, text(event, "content"));
    for asked in event.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
        call(to, voice, (line, asked));
    }
    let usage = Usage {
        input_tokens: number(event, "/usage/prompt_tokens"),
        output_tokens: number(event, "/usage/completion_tokens"),
        ..Usage::default()
    };
    if usage != Usage::default() {
        to.usage(usage);
    }
}

/// Newer logs have a call in its answer and once more as an event of its own.
fn call(to: &mut Gathering, voice: Voice<'_>, (line, asked): (u64, &Value)) {
    let id = text(asked, "call_id");
    if !to.waits_for(id) {
        let arguments = asked.get("arguments").cloned().unwrap_or_default();
        to.call(voice, (line, id), text(asked, "tool_name"), &arguments);
    }
}

fn skipped(to: &mut Gathering, at: Option<Timestamp>, (line, event): (u64, &Value)) {
    let content = format!("Not started: {}", text(event, "reason"));
    for id in event.get("call_ids").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        to.result((line, id), at, (Outcome::Interrupted, &content));
    }
}
