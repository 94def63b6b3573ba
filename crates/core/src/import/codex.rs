//! Reads Codex CLI's `sessions/YYYY/MM/DD/rollout-*.jsonl`.
//!
//! Each line is `{timestamp, type, payload}`; in the files of 2025's first half it is the payload itself. The
//! conversation is what the model was sent and sent back (`response_item`); of what was shown beside it (`event_msg`) only
//! names and what was taken back are read. What the program says in the person's place is left out.

use serde_json::{Value, json};

use super::Read;
use super::gather::{Gathering, Voice};
use super::record::{Aside, Objects, number, shown, text, time};
use crate::content::Usage;
use crate::digest::Digest;
use crate::event::Outcome;
use crate::time::Timestamp;

/// The program's name in labels.
pub const PROGRAM: &str = "codex";

/// How what the program writes in the person's place begins.
const OWN_WORDS: [&str; 8] = [
    "<environment_context>",
    "<user_instructions>",
    "<turn_aborted>",
    "<permissions instructions>",
    "<skill>",
    "<subagent_notification>",
    "# AGENTS.md instructions",
    "<INSTRUCTIONS>",
];

/// Reads one session's file.
pub struct Reader {
    id: Option<String>,
    stem: String,
    model: String,
    gathering: Gathering,
}

impl Reader {
    /// Begins; `file` is what damages are said to be in, `stem` the name of the file, for files that do not name the
    /// session.
    #[must_use]
    pub fn new(file: &str, stem: &str) -> Self {
        Self { id: None, stem: stem.to_owned(), model: String::new(), gathering: Gathering::of(file) }
    }

    fn take(&mut self, line: u64, value: &Value) {
        let at = time(value, "timestamp");
        let payload = value.get("payload");
        match (text(value, "type"), payload) {
            ("session_meta", Some(meta)) => self.meta(meta, at),
            ("turn_context", Some(context)) => {
                self.model = text(context, "model").to_owned();
                self.work_in(context);
            }
            ("response_item", Some(item)) => self.item((line, at), item),
            ("event_msg", Some(event)) => self.event(event),
            ("compacted" | "session_state" | "world_state" | "inter_agent_communication_metadata", Some(_)) => {
                self.gathering.leave_out("bookkeeping", 1)
            }
            // Files from before there was an envelope.
            ("", None) if value.get("record_type").is_some() => self.gathering.leave_out("bookkeeping", 1),
            ("", None) if value.get("id").is_some() => self.meta(value, at),
            ("", _) => self.aside().add(line, "has no type"),
            (_, None) => self.item((line, at), value),
            (kind, Some(_)) => self.gathering.aside.add(line, format!("has an unknown type, `{}`", shown(kind))),
        }
    }

    /// The first one is the session's own; a fork has that of its original after it.
    fn meta(&mut self, meta: &Value, at: Option<Timestamp>) {
        if self.id.is_none() {
            let named = meta.get("id").or_else(|| meta.get("session_id")).and_then(Value::as_str);
            self.id = named.map(str::to_owned);
            self.gathering.began(time(meta, "timestamp").or(at));
            self.work_in(meta);
        }
    }

    fn work_in(&mut self, value: &Value) {
        let named = value.get("cwd").and_then(Value::as_str);
        self.gathering.cwd = self.gathering.cwd.take().or(named.map(str::to_owned));
    }

    fn event(&mut self, event: &Value) {
        match text(event, "type") {
            "thread_rolled_back" => {
                self.gathering.go_back(usize::try_from(number(event, "/num_turns")).unwrap_or(usize::MAX));
            }
            "thread_name_updated" => self.gathering.title = Some(text(event, "thread_name").to_owned()),
            "token_count" => self.gathering.usage(usage(event)),
            // Everything else is said in other records, too.
            _ => {}
        }
    }

    fn item(&mut self, (line, at): (u64, Option<Timestamp>), item: &Value) {
        let model = std::mem::take(&mut self.model);
        let voice = Voice { at, key: None, model: &model };
        let to = &mut self.gathering;
        match text(item, "type") {
            "message" => message(to, voice, (line, item)),
            "reasoning" => to.thinking(voice, &reasoning(item)),
            "function_call" => to.call(voice, (line, call_id(item)), text(item, "name"), &arguments(item)),
            "custom_tool_call" => {
                let arguments = json!({ "input": text(item, "input") });
                to.call(voice, (line, call_id(item)), text(item, "name"), &arguments);
            }
            "local_shell_call" => {
                let arguments = item.get("action").cloned().unwrap_or_default();
                to.call(voice, (line, call_id(item)), "local_shell", &arguments);
            }
            "function_call_output" | "custom_tool_call_output" => {
                let (outcome, content) = output(item.get("output"));
                to.result((line, text(item, "call_id")), at, (outcome, &content));
            }
            "web_search_call" | "image_generation_call" | "tool_search_call" | "tool_search_output" => {
                to.leave_out("searches and images of the provider", 1);
            }
            "ghost_snapshot" | "compaction" | "compaction_summary" | "compaction_trigger" | "context_compaction"
            | "additional_tools" | "agent_message" | "other" => to.leave_out("bookkeeping", 1),
            "" => to.aside.add(line, "has an item without a type"),
            kind => to.aside.add(line, format!("has an item of an unknown type, `{}`", shown(kind))),
        }
        self.model = model;
    }
}

impl Objects for Reader {
    fn record(&mut self, number: u64, value: &Value) {
        self.take(number, value);
    }

    fn aside(&mut self) -> &mut Aside {
        &mut self.gathering.aside
    }

    fn read(self, digest: Digest) -> Read {
        let id = self.id.filter(|id| !id.is_empty()).unwrap_or(self.stem);
        self.gathering.finish(PROGRAM, &id, digest)
    }
}

fn message(to: &mut Gathering, voice: Voice<'_>, (line, item): (u64, &Value)) {
    let Some(content) = item.get("content").and_then(Value::as_array) else {
        return to.aside.add(line, "has a message without content");
    };
    let texts: Vec<String> = content.iter().filter_map(piece).collect();
    let said = texts.join("\n\n");
    match text(item, "role") {
        "user" if OWN_WORDS.iter().any(|own| said.trim_start().starts_with(own)) => to.leave_out("bookkeeping", 1),
        "user" => to.said(voice.at, &said),
        "assistant" => to.text(voice, &said),
        "developer" | "system" => to.leave_out("instructions", 1),
        role => to.aside.add(line, format!("has a message of an unknown role, `{}`", shown(role))),
    }
}

fn piece(block: &Value) -> Option<String> {
    match text(block, "type") {
        "input_text" | "output_text" | "text" => Some(text(block, "text").to_owned()),
        "input_image" => Some("[image left out]".to_owned()),
        _ => None,
    }
}

/// The summary is what a person was shown; the whole of it is there only where the provider does not hide it.
fn reasoning(item: &Value) -> String {
    let of = |key| item.get(key).and_then(Value::as_array).into_iter().flatten();
    let texts: Vec<&str> = of("summary").chain(of("content")).map(|block| text(block, "text")).collect();
    texts.join("\n\n")
}

fn call_id(item: &Value) -> &str {
    match text(item, "call_id") {
        "" => text(item, "id"),
        id => id,
    }
}

/// Arguments are JSON in a string.
fn arguments(item: &Value) -> Value {
    let written = text(item, "arguments");
    serde_json::from_str(written).unwrap_or_else(|_| json!({ "input": written }))
}

/// What a call gave: a text, a list of pieces, or a text and whether it succeeded. Shells write JSON of their own.
fn output(output: Option<&Value>) -> (Outcome, String) {
    match output {
        Some(Value::String(text)) => match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(shell)) if shell.get("output").is_some_and(Value::is_string) => {
                let shell = Value::Object(shell);
                let outcome = if number(&shell, "/metadata/exit_code") == 0 { Outcome::Ok } else { Outcome::Error };
                (outcome, self::text(&shell, "output").to_owned())
            }
            Ok(_) | Err(_) => (Outcome::Ok, text.clone()),
        },
        Some(Value::Array(pieces)) => (Outcome::Ok, pieces.iter().filter_map(piece).collect::<Vec<_>>().join("\n")),
        Some(Value::Object(object)) => {
            let failed = object.get("success").and_then(Value::as_bool) == Some(false);
            let content = object.get("content").and_then(Value::as_str).map(str::to_owned);
            let content = content.unwrap_or_else(|| Value::Object(object.clone()).to_string());
            (if failed { Outcome::Error } else { Outcome::Ok }, content)
        }
        Some(other @ (Value::Bool(_) | Value::Number(_))) => (Outcome::Ok, other.to_string()),
        Some(Value::Null) | None => (Outcome::Ok, String::new()),
    }
}

fn usage(event: &Value) -> Usage {
    let of = |key: &str| number(event, &format!("/info/last_token_usage/{key}"));
    let cached = of("cached_input_tokens");
    Usage {
        input_tokens: of("input_tokens").saturating_sub(cached),
        output_tokens: of("output_tokens"),
        cache_read_tokens: cached,
        cache_write_tokens: 0,
        ..Usage::default()
    }
}
