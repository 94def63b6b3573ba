//! What a reader hears, in order, becomes a conversation: answers are parted into steps, results find their calls, and
//! everything is cut to what a journal takes.
//!
//! A step goes on until a call of it has its result; a key, where a program gives its answers one, says it better.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::record::{Aside, LeftOut, Read};
use super::{CallResult, Part, Source, Step, Talk, Turn, cut};
use crate::compaction::Change;
use crate::content::Usage;
use crate::digest::Digest;
use crate::limits::{
    CALLS_PER_STEP, CONVERSATION_BYTES, CONVERSATION_PARTS, LABEL_BYTES, MESSAGE_BYTES, OUTCOME_BYTES, REPLY_BYTES,
    TITLE_CHARS,
};
use crate::session::is_shallow;
use crate::time::Timestamp;

/// Who answers, and when.
#[derive(Debug, Clone, Copy)]
pub struct Voice<'a> {
    /// When; `None` for right after what was before.
    pub at: Option<Timestamp>,
    /// The program's id of the answer, if it has one: what has the same belongs together.
    pub key: Option<&'a str>,
    /// The model.
    pub model: &'a str,
}

/// Where a call stands: its turn, its step there, its part there.
type Place = (usize, usize, usize);

/// A conversation while it is read.
#[derive(Debug, Default)]
pub struct Gathering {
    pub(super) title: Option<String>,
    pub(super) cwd: Option<String>,
    pub(super) kept: Option<Change>,
    pub(super) aside: Aside,
    pub(super) left_out: LeftOut,
    began: Option<Timestamp>,
    now: Timestamp,
    turns: Vec<Turn>,
    calls: BTreeMap<String, Place>,
    key: Option<String>,
    bytes: usize,
    parts: usize,
}

impl Gathering {
    /// Begins; `file` is what damages are said to be in.
    #[must_use]
    pub fn of(file: &str) -> Self {
        Self { aside: Aside::of(file), ..Self::default() }
    }

    /// Notes when the conversation began, if that is known beforehand.
    pub fn began(&mut self, at: Option<Timestamp>) {
        self.began = self.began.or(at);
        self.tick(at);
    }

    /// Counts what is left out on purpose.
    pub fn leave_out(&mut self, what: &'static str, count: u64) {
        if count > 0 {
            *self.left_out.entry(what).or_default() += count;
        }
    }

    /// Hears what a person says: a turn begins.
    pub fn said(&mut self, at: Option<Timestamp>, text: &str) {
        if text.trim().is_empty() || self.is_full(text.len()) {
            return;
        }
        let said = Some(self.keep(text, MESSAGE_BYTES));
        let at = self.tick(at);
        self.turns.push(Turn { at, said, steps: Vec::new() });
        self.parts += 1;
        self.key = None;
    }

    /// Hears a text of the model.
    pub fn text(&mut self, voice: Voice<'_>, text: &str) {
        if !text.trim().is_empty() && !self.is_full(text.len()) {
            let text = self.keep(text, REPLY_BYTES / 2);
            self.add(voice, Part::Text { text });
        }
    }

    /// Hears the model think.
    pub fn thinking(&mut self, voice: Voice<'_>, text: &str) {
        if !text.trim().is_empty() && !self.is_full(text.len()) {
            let text = self.keep(text, REPLY_BYTES / 2);
            self.add(voice, Part::Thinking { text });
        }
    }

    /// Hears of a call. `id` is the program's; one that waits for its result already is set aside.
    pub fn call(&mut self, voice: Voice<'_>, (line, id): (u64, &str), tool: &str, arguments: &Value) {
        // Some providers number their calls anew in each answer.
        if self.waits_for(id) {
            self.aside.add(line, format!("call `{}` is there twice", super::record::shown(id)));
            return;
        }
        let tool: String = if tool.trim().is_empty() { "unknown" } else { tool.trim() }.chars().take(128).collect();
        let arguments = object(arguments);
        if self.is_full(tool.len() + arguments.to_string().len()) {
            return;
        }
        let place = self.add(voice, Part::Call { tool, arguments, result: None });
        self.calls.insert(id.to_owned(), place);
    }

    /// Hears the result of a call.
    pub fn result(
        &mut self,
        (line, id): (u64, &str),
        at: Option<Timestamp>,
        (outcome, content): (crate::event::Outcome, &str),
    ) {
        if self.is_full(content.len()) {
            return;
        }
        let content = self.keep(content, OUTCOME_BYTES);
        let at = self.tick(at);
        let (found, shown) = (self.calls.get(id).copied(), super::record::shown(id));
        match found.and_then(|place| self.slot(place)) {
            Some(slot @ None) => *slot = Some(CallResult { at, outcome, content }),
            Some(Some(_)) => self.aside.add(line, format!("call `{shown}` has its result already")),
            None => self.aside.add(line, format!("is the result of call `{shown}`, which is not there")),
        }
    }

    /// Says whether a call has no result yet.
    pub(super) fn waits_for(&mut self, id: &str) -> bool {
        let place = self.calls.get(id).copied();
        place.and_then(|place| self.slot(place)).is_some_and(|slot| slot.is_none())
    }

    /// Hears what the running answer cost.
    pub fn usage(&mut self, usage: Usage) {
        if let Some(step) = self.turns.last_mut().and_then(|turn| turn.steps.last_mut()) {
            step.usage = usage;
        }
    }

    /// Forgets the last turns: the person went back.
    pub fn go_back(&mut self, turns: usize) {
        let rest = self.turns.len().saturating_sub(turns);
        let gone: usize = self.turns.drain(rest..).map(|turn| 1 + turn.steps.len()).sum();
        self.calls.retain(|_, place| place.0 < rest);
        self.leave_out("messages that were taken back", gone as u64);
    }

    /// Notes that a reader held back what was too much.
    pub(super) fn overflow(&mut self, bytes: usize) {
        self.bytes = self.bytes.max(bytes);
    }

    /// Ends.
    #[must_use]
    pub fn finish(mut self, program: &str, id: &str, digest: Digest) -> Read {
        self.turns.retain(|turn| turn.said.is_some() || !turn.steps.is_empty());
        let source = Source { program: program.to_owned(), id: cut(id, LABEL_BYTES).to_owned(), digest };
        let title = self.title.as_deref().map(str::trim).filter(|title| !title.is_empty());
        let talk = Talk {
            source,
            created_at: self.began.or(self.turns.first().map(|turn| turn.at)).unwrap_or_default(),
            title: title.map(|title| title.chars().take(TITLE_CHARS).collect()),
            cwd: self.cwd.filter(|cwd| !cwd.is_empty()).map(|cwd| ending(&cwd, LABEL_BYTES)),
            kept: self.kept,
            turns: self.turns,
        };
        let too_large = too_large(self.bytes, self.parts);
        // A stable order: a reader that hears a tree finds some damage only in the end.
        self.aside.named.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        let is_talk = too_large.is_none() && !talk.turns.is_empty();
        Read {
            talk: is_talk.then_some(talk),
            too_large,
            agent: None,
            damages: self.aside.named,
            damaged: self.aside.count,
            left_out: self.left_out,
        }
    }

    /// Time never runs backwards.
    fn tick(&mut self, at: Option<Timestamp>) -> Timestamp {
        self.now = at.unwrap_or(self.now).max(self.now);
        if self.began.is_none() {
            self.began = at;
        }
        self.now
    }

    /// Counts what comes. Where there is no room for it nothing more is kept, and the whole is too large.
    fn is_full(&mut self, bytes: usize) -> bool {
        self.bytes = self.bytes.saturating_add(bytes);
        too_large(self.bytes, self.parts).is_some()
    }

    fn keep(&mut self, text: &str, most: usize) -> String {
        if text.len() <= most {
            return text.to_owned();
        }
        self.leave_out("texts that were cut", 1);
        // What is left must still say something.
        cut(text.trim_start(), most).to_owned()
    }

    fn add(&mut self, voice: Voice<'_>, part: Part) -> Place {
        let at = self.tick(voice.at);
        self.parts += 1;
        if self.turns.is_empty() {
            self.turns.push(Turn { at, said: None, steps: Vec::new() });
        }
        let turn = self.turns.len() - 1;
        let is_new = self.turns.last().is_none_or(|turn| self.parts_here(turn, voice.key, &part));
        let Some(last) = self.turns.last_mut() else { return (0, 0, 0) };
        if is_new {
            let (model, usage) = (voice.model.chars().take(128).collect(), Usage::default());
            last.steps.push(Step { at, model, usage, parts: Vec::new() });
        }
        if let Some(key) = voice.key {
            self.key = Some(key.to_owned());
        }
        let step = last.steps.len() - 1;
        let Some(running) = last.steps.last_mut() else { return (turn, step, 0) };
        running.at = at;
        running.parts.push(part);
        (turn, step, running.parts.len() - 1)
    }

    /// Says whether a part begins a new step.
    fn parts_here(&self, turn: &Turn, key: Option<&str>, part: &Part) -> bool {
        let Some(step) = turn.steps.last() else { return true };
        let calls = step.parts.iter().filter(|part| matches!(part, Part::Call { .. })).count();
        let size: usize = step.parts.iter().map(size).sum();
        if calls >= CALLS_PER_STEP || size + self::size(part) > REPLY_BYTES {
            return true;
        }
        let is_answered = || step.parts.iter().any(|part| matches!(part, Part::Call { result: Some(_), .. }));
        match (key, &self.key) {
            (Some(key), Some(before)) if key == before => false,
            (Some(_), _) => calls > 0,
            (None, _) => is_answered(),
        }
    }

    fn slot(&mut self, (turn, step, part): Place) -> Option<&mut Option<CallResult>> {
        match self.turns.get_mut(turn)?.steps.get_mut(step)?.parts.get_mut(part)? {
            Part::Call { result, .. } => Some(result),
            Part::Text { .. } | Part::Thinking { .. } => None,
        }
    }
}

/// Says how much is too much.
fn too_large(bytes: usize, parts: usize) -> Option<String> {
    if bytes > CONVERSATION_BYTES {
        return Some(format!("its texts have {bytes} bytes, of {CONVERSATION_BYTES} that a conversation may have"));
    }
    let is_long = parts > CONVERSATION_PARTS;
    is_long.then(|| {
        format!("it has {parts} messages, texts and calls, of {CONVERSATION_PARTS} that a conversation may have")
    })
}

/// Bytes of what a model says in a part.
pub(super) fn size(part: &Part) -> usize {
    match part {
        Part::Text { text } | Part::Thinking { text } => text.len(),
        Part::Call { tool, arguments, .. } => tool.len() + arguments.to_string().len(),
    }
}

/// Bytes of arguments: as text in JSON each may take six.
const ARGUMENTS_BYTES: usize = REPLY_BYTES / 8;

/// Arguments are an object that a journal can nest; what is none stands in one.
fn object(arguments: &Value) -> Value {
    let written = || arguments.to_string();
    match arguments {
        Value::Null => json!({}),
        Value::String(text) => json!({ "input": cut(text, ARGUMENTS_BYTES) }),
        _ if !is_shallow(arguments) || written().len() > REPLY_BYTES / 2 => {
            json!({ "input": cut(&written(), ARGUMENTS_BYTES) })
        }
        Value::Object(_) => arguments.clone(),
        Value::Array(_) | Value::Bool(_) | Value::Number(_) => json!({ "input": arguments }),
    }
}

/// Keeps the end of a text that is too long.
fn ending(text: &str, bytes: usize) -> String {
    let mut from = text.len().saturating_sub(bytes);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text.get(from..).unwrap_or_default().to_owned()
}
