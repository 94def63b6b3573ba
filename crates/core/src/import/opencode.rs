//! Reads OpenCode's sessions: one record about the session, one for each message, one for each part of a message.
//!
//! They lie in a file each (`storage/session/PROJECT/ID.json`, `storage/message/SESSION/ID.json`,
//! `storage/part/MESSAGE/ID.json`), or, since 2026, in the rows of `opencode.db`, whose `data` is the same without the
//! ids. The digest is over the records without their ids, so that a session is the same in both. What was taken back
//! (`revert`), the sessions of subagents and what the program wrote in the person's place are left out.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Read;
use super::gather::{Gathering, Voice};
use super::record::{is_set, number, shown, text, time_ms};
use crate::content::Usage;
use crate::digest::Digest;
use crate::event::Outcome;
use crate::limits::CONVERSATION_BYTES;
use crate::time::Timestamp;

/// The program's name in labels.
pub const PROGRAM: &str = "opencode";

/// Keys that say where a record belongs: in a database they are columns.
const PLACES: [&str; 3] = ["id", "sessionID", "messageID"];

/// Reads one session.
pub struct Reader {
    id: String,
    gathering: Gathering,
    messages: BTreeMap<String, Message>,
    parts: BTreeMap<String, BTreeMap<String, Value>>,
    digests: BTreeMap<String, Digest>,
    reverted_from: Option<String>,
    is_child: bool,
    bytes: usize,
}

struct Message {
    created: Option<Timestamp>,
    is_user: bool,
    model: String,
    usage: Usage,
}

impl Reader {
    /// Begins; `id` is the session's.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            gathering: Gathering::of(id),
            messages: BTreeMap::new(),
            parts: BTreeMap::new(),
            digests: BTreeMap::new(),
            reverted_from: None,
            is_child: false,
            bytes: 0,
        }
    }

    /// Reads the record about the session. `file` is where it is, for damages.
    pub fn session(&mut self, file: &str, record: &[u8]) {
        let Some(value) = self.object(file, record) else { return };
        let named = |key| value.get(key).and_then(Value::as_str).map(str::to_owned);
        self.gathering.title = named("title");
        self.gathering.cwd = named("directory");
        self.gathering.began(time_ms(&value, "/time/created"));
        self.is_child = named("parentID").is_some_and(|parent| !parent.is_empty());
        self.reverted_from = value.pointer("/revert/messageID").and_then(Value::as_str).map(str::to_owned);
    }

    /// Reads a message.
    pub fn message(&mut self, file: &str, id: &str, record: &[u8]) {
        let Some(value) = self.object(file, record) else { return };
        let is_user = match text(&value, "role") {
            "user" => true,
            "assistant" => false,
            role => {
                let why = format!("has an unknown role, `{}`", shown(role));
                return self.gathering.aside.add(0, why);
            }
        };
        let message =
            Message { created: time_ms(&value, "/time/created"), is_user, model: model(&value), usage: usage(&value) };
        if self.messages.contains_key(id) {
            return self.gathering.aside.add(0, format!("message `{}` is there twice", shown(id)));
        }
        self.note(format!("message {id}"), &value);
        self.messages.insert(id.to_owned(), message);
    }

    /// Reads a part of a message.
    pub fn part(&mut self, file: &str, (message, id): (&str, &str), record: &[u8]) {
        let Some(mut value) = self.object(file, record) else { return };
        self.note(format!("part {id}"), &value);
        if let Some(part) = value.as_object_mut() {
            // The bytes of a file; its name is enough.
            part.remove("url");
        }
        self.bytes += record.len();
        if self.bytes <= 2 * CONVERSATION_BYTES {
            let parts = self.parts.entry(message.to_owned()).or_default();
            parts.insert(id.to_owned(), value);
        }
    }

    /// Hears of a record that is longer than a record may be, or cannot be read.
    pub fn unread(&mut self, file: &str, why: &str) {
        file.clone_into(&mut self.gathering.aside.file);
        self.gathering.aside.add(0, why);
    }

    /// Says what all of it was; `None` for the session of a subagent.
    #[must_use]
    pub fn finish(mut self) -> Option<Read> {
        if self.is_child {
            return None;
        }
        let mut messages: Vec<(String, Message)> = std::mem::take(&mut self.messages).into_iter().collect();
        messages.sort_by(|(id, a), (other, b)| (a.created, id).cmp(&(b.created, other)));
        let mut reverted = 0;
        let mut is_reverted = false;
        for (id, message) in messages {
            let parts = self.parts.remove(&id).unwrap_or_default();
            is_reverted |= self.reverted_from.as_ref() == Some(&id);
            if is_reverted {
                reverted += 1;
            } else if message.is_user {
                self.said(&message, &parts);
            } else {
                self.answered(&id, &message, parts);
            }
        }
        self.gathering.leave_out("messages that were taken back", reverted);
        let strays = self.parts.values().map(|parts| parts.len() as u64).sum();
        self.gathering.leave_out("parts of messages that are not there", strays);
        if self.bytes > 2 * CONVERSATION_BYTES {
            // Counted as what it is: too much.
            self.gathering.overflow(self.bytes);
        }
        let all: String = self.digests.iter().map(|(place, digest)| format!("{place} {digest}\n")).collect();
        Some(self.gathering.finish(PROGRAM, &self.id, Digest::of(all.as_bytes())))
    }

    fn object(&mut self, file: &str, record: &[u8]) -> Option<Value> {
        file.clone_into(&mut self.gathering.aside.file);
        if record.trim_ascii().is_empty() {
            self.gathering.aside.add(0, "is empty");
            return None;
        }
        self.gathering.aside.object(0, record)
    }

    fn note(&mut self, place: String, value: &Value) {
        let kept = value.as_object().into_iter().flatten().filter(|(key, _)| !PLACES.contains(&key.as_str()));
        // In the order of their names: it is not the same in files and rows.
        let sorted: BTreeMap<&String, &Value> = kept.collect();
        // Maps with string keys always serialize.
        let written = serde_json::to_string(&sorted).unwrap_or_default();
        self.digests.insert(place, Digest::of(written.as_bytes()));
    }

    fn said(&mut self, message: &Message, parts: &BTreeMap<String, Value>) {
        let texts = |own: bool| {
            let pieces = parts.values().filter(|part| !is_set(part, "ignored") && is_set(part, "synthetic") == own);
            pieces.filter_map(piece).collect::<Vec<_>>().join("\n\n")
        };
        let by_person = texts(false);
        let said = if by_person.trim().is_empty() { texts(true) } else { by_person };
        self.gathering.said(message.created, &said);
    }

    fn answered(&mut self, id: &str, message: &Message, parts: BTreeMap<String, Value>) {
        let mut steps = 0;
        for (place, part) in parts {
            let began = time_ms(&part, "/time/start").or_else(|| time_ms(&part, "/state/time/start"));
            let key = format!("{id} {steps}");
            let voice = Voice { at: began.or(message.created), key: Some(&key), model: &message.model };
            let to = &mut self.gathering;
            match text(&part, "type") {
                "text" if !is_set(&part, "ignored") => to.text(voice, text(&part, "text")),
                "reasoning" => to.thinking(voice, text(&part, "text")),
                "tool" => called(to, voice, &part),
                "step-start" => steps += 1,
                "step-finish" => to.usage(usage(&part)),
                "text" | "file" | "snapshot" | "patch" | "agent" | "retry" | "compaction" | "subtask" => {
                    to.leave_out("bookkeeping", 1);
                }
                kind => {
                    to.aside.file = format!("part {place}");
                    to.aside.add(0, format!("is a part of an unknown type, `{}`", shown(kind)));
                }
            }
        }
        if steps == 0 {
            self.gathering.usage(message.usage);
        }
    }
}

/// What a person's part says.
fn piece(part: &Value) -> Option<String> {
    match text(part, "type") {
        "text" => Some(text(part, "text").to_owned()),
        "file" => {
            let name = Some(text(part, "filename")).filter(|name| !name.is_empty()).unwrap_or("without a name");
            Some(format!("[file {name} ({}) left out]", text(part, "mime")))
        }
        "subtask" => Some(text(part, "prompt").to_owned()),
        _ => None,
    }
}

/// Hears of a call with what came of it.
fn called(to: &mut Gathering, voice: Voice<'_>, part: &Value) {
    let id = text(part, "callID");
    let state = part.get("state").cloned().unwrap_or_default();
    let arguments = state.get("input").cloned().unwrap_or_default();
    to.call(voice, (0, id), text(part, "tool"), &arguments);
    let end = time_ms(&state, "/time/end").or(voice.at);
    match text(&state, "status") {
        "completed" => to.result((0, id), end, (Outcome::Ok, text(&state, "output"))),
        "error" => to.result((0, id), end, (Outcome::Error, text(&state, "error"))),
        "pending" => to.result((0, id), end, (Outcome::Interrupted, "Not started: the turn ended before it was.")),
        // Nobody wrote down what came of it.
        _ => {}
    }
}

fn model(message: &Value) -> String {
    let (provider, model) = (text(message, "providerID"), text(message, "modelID"));
    if provider.is_empty() { model.to_owned() } else { format!("{provider}/{model}") }
}

fn usage(value: &Value) -> Usage {
    let of = |path: &str| number(value, &format!("/tokens/{path}"));
    Usage {
        input_tokens: of("input"),
        output_tokens: of("output").saturating_add(of("reasoning")),
        cache_read_tokens: of("cache/read"),
        cache_write_tokens: of("cache/write"),
        ..Usage::default()
    }
}
