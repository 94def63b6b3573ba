//! What of a line goes when something is forgotten.
//!
//! A row goes by its id, however short it is: wherever it stands, its copies in forks included, where a recalled result shows it, and
//! where a call had it noted. Anywhere else go words alone that tell, as whole words: what is said by chance stays.
//!
//! A message that is to go goes wherever its event stands: forks share it.
//!
//! Invariants: ids, keys, titles, projects and agents' names stay as they are; what a person said stays unless the messages are to go,
//! too; a line that has nothing of it keeps every byte.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Memory;
use super::pack::harmless;
use crate::digest::Digest;
use crate::event::{ArtifactRef, Entry, Event, Line, LineError};
use crate::id::{MemoryId, Seq};
use crate::redact::{FORGOTTEN, Redactor, is_forgotten};
use crate::secret::Secret;

/// How much goes with what is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// Its words.
    Words,
    /// The messages that it comes from, too.
    Sources,
}

/// What goes of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Going {
    /// All but those themselves: as long as they stand there, they say what is looked for.
    Traces,
    /// They, too.
    Rows,
    /// And those that were made of them: nobody can have them forgotten where they are.
    Derived,
}

/// What tells: so much text, in so many words. A character of a script that has a sign for a word counts as a word, and for three.
const TELLING: (usize, usize) = (24, 4);
/// What says what a line is about, and what is said of a session by people.
const NAMES: [&str; 7] = ["type", "request_id", "title", "project", "agent", "labels", "model"];
/// What people say.
const MESSAGES: [&str; 4] = ["message.received", "input.queued", "input.edited", "question.answered"];
/// The tool by which something is noted, and what the summary of its calls begins with.
const NOTES: (&str, &str) = ("remember", "remember: ");

/// What is known of what is to be forgotten, while its journal is read.
#[derive(Debug, Default)]
pub struct Gathering {
    forgetting: BTreeMap<MemoryId, Extent>,
    /// What the rows said, and whether that goes from messages, too.
    texts: BTreeMap<String, Extent>,
    sources: BTreeSet<Seq>,
    spared: BTreeSet<Seq>,
    /// The events that go whole.
    gone: BTreeMap<Seq, Entry>,
}

/// What is looked for.
#[derive(Debug)]
pub struct Traces {
    ids: BTreeMap<String, Extent>,
    /// What the rows said, word by word.
    texts: BTreeSet<String>,
    words: Redactor,
    /// The same, of what goes from messages, too.
    from_messages: Redactor,
    gone: BTreeMap<Seq, Entry>,
    /// What waited in a queue before it was one of these.
    inputs: BTreeSet<String>,
}

impl Gathering {
    /// Begins with what is to be forgotten.
    #[must_use]
    pub fn of(forgetting: &BTreeMap<MemoryId, Extent>) -> Self {
        Self { forgetting: forgetting.clone(), ..Self::default() }
    }

    /// Learns from an event of the journal what the rows said, and where that came from.
    pub fn row(&mut self, event: &Event) {
        self.rows(rows_of(event));
        if let Event::MemoryEdited(edited) = event
            && let Some(extent) = self.forgetting.get(&edited.memory).copied()
        {
            self.text(&edited.text, extent);
        }
    }

    /// Learns an event that is to go: others may have repeated word by word what it says.
    pub fn said(&mut self, entry: Entry) {
        for text in super::sources::said(&entry.event) {
            self.text(&text, Extent::Sources);
        }
        self.gone.insert(entry.seq, entry);
    }

    /// Returns the events that go whole.
    #[must_use]
    pub fn sources(&self) -> &BTreeSet<Seq> {
        &self.sources
    }

    /// Returns the events that something of it comes from and that stay.
    #[must_use]
    pub fn spared(&self) -> BTreeSet<Seq> {
        self.spared.difference(&self.sources).copied().collect()
    }

    /// Returns what is to be looked for.
    #[must_use]
    pub fn traces(self) -> Traces {
        let telling = |least: Extent| {
            let texts = self.texts.iter().filter(|(text, extent)| **extent >= least && is_telling(text));
            let secrets: Vec<Secret> = texts.map(|(text, _)| Secret::new(text.clone())).collect();
            Redactor::forgetting(&secrets)
        };
        Traces {
            words: telling(Extent::Words),
            from_messages: telling(Extent::Sources),
            ids: self.forgetting.iter().map(|(id, extent)| (id.to_string(), *extent)).collect(),
            texts: self.texts.into_keys().collect(),
            inputs: self.gone.values().filter_map(super::sources::waited_as).map(|input| input.to_string()).collect(),
            gone: self.gone,
        }
    }

    fn rows(&mut self, memories: &[Memory]) {
        for memory in memories {
            let Some(extent) = self.forgetting.get(&memory.id).copied() else { continue };
            self.text(&memory.text, extent);
            let sources = if extent == Extent::Sources { &mut self.sources } else { &mut self.spared };
            sources.extend(&memory.sources);
        }
    }

    fn text(&mut self, text: &str, extent: Extent) {
        for text in [text.trim().to_owned(), harmless(text)] {
            if !is_forgotten(&text) {
                let known = self.texts.entry(text).or_insert(extent);
                *known = extent.max(*known);
            }
        }
    }
}

/// Says whether a text is one that nobody says by chance.
fn is_telling(text: &str) -> bool {
    let is_sign = |c: char| c.is_alphanumeric() && c.len_utf8() >= 3;
    let signs = text.chars().filter(|c| is_sign(*c)).count();
    let words = text.split(|c: char| !c.is_alphanumeric() || is_sign(c)).filter(|word| !word.is_empty()).count();
    let (length, least) = TELLING;
    text.chars().count() + 2 * signs >= length && words + signs >= least
}

impl Traces {
    /// Returns what tells, to be looked for in what is no line.
    #[must_use]
    pub fn words(&self) -> &Redactor {
        &self.words
    }

    /// Returns the line without what is looked for, where it has some of it.
    ///
    /// # Errors
    ///
    /// [`LineError`] where it is no event, or would be none.
    pub fn without(&self, line: &Line, going: Going) -> Result<Option<Line>, LineError> {
        if let Some(gone) = self.gone.get(&line.seq()) {
            let mut entry = line.read()?;
            if is_same(&entry, gone) && super::sources::blank(&mut entry) {
                return Line::write(&entry).map(Some);
            }
        }
        let text = line.as_str();
        let waits = !self.inputs.is_empty() && text.contains("\"input.");
        let may = waits || self.names(text) || text.contains(NOTES.0) || self.words.finds(text.as_bytes());
        if may { line.changed(|map| self.change(map, going)) } else { Ok(None) }
    }

    /// Returns the rows of a line that were made of what is looked for and say something still, each with how much is to go with it.
    ///
    /// # Errors
    ///
    /// [`LineError`] where it is no event.
    pub fn made(&self, line: &Line) -> Result<Vec<(MemoryId, Extent)>, LineError> {
        if !(line.as_str().contains("\"supersedes\"") && self.names(line.as_str())) {
            return Ok(Vec::new());
        }
        let event = line.read()?.event;
        let says = |row: &&Memory| !is_forgotten(&row.text) && !self.ids.contains_key(&row.id.to_string());
        let made = |row: &Memory| {
            let extents = row.supersedes.iter().filter_map(|old| self.ids.get(&old.to_string()));
            extents.max().map(|extent| (row.id, *extent))
        };
        Ok(rows_of(&event).iter().filter(says).filter_map(made).collect())
    }

    /// Says whether one of them is named.
    fn names(&self, text: &str) -> bool {
        text.contains(MemoryId::PREFIX) && self.ids.keys().any(|id| text.contains(id.as_str()))
    }

    fn change(&self, map: &mut Map<String, Value>, going: Going) -> bool {
        let name = map.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        if going == Going::Traces && name.starts_with("memory.") {
            return self.change_others(map);
        }
        let by_id = self.by_id(&name, map, going);
        let words = if MESSAGES.contains(&name.as_str()) { &self.from_messages } else { &self.words };
        let said = map.iter_mut().filter(|(key, _)| !NAMES.contains(&key.as_str()));
        let by_words = said.fold(false, |found, (_, value)| clean(words, value) | found);
        by_id | by_words
    }

    /// Takes the words out of other rows of the line.
    fn change_others(&self, map: &mut Map<String, Value>) -> bool {
        let listed = map.get_mut("memories").and_then(Value::as_array_mut).into_iter().flatten();
        let others = listed.filter(|row| !self.is_of(row.get("id")));
        let found = others.fold(false, |found, row| clean(&self.words, row) | found);
        if self.is_of(map.get("memory")) || map.get("memory").is_some_and(|row| self.is_of(row.get("id"))) {
            return found;
        }
        let alone = map.iter_mut().filter(|(key, _)| ["memory", "text"].contains(&key.as_str()));
        alone.fold(found, |found, (_, value)| clean(&self.words, value) | found)
    }

    /// Takes out rows, and what shows them.
    fn by_id(&self, name: &str, map: &mut Map<String, Value>, going: Going) -> bool {
        let blank_row = |row: &mut Value| {
            let made = row.get("supersedes").and_then(Value::as_array).into_iter().flatten();
            let is_made = going == Going::Derived && made.into_iter().any(|old| self.is_of(Some(old)));
            (is_made || self.is_of(row.get("id"))) && blank(row.get_mut("text"))
        };
        match name {
            "memory.observed" | "memory.reflected" => {
                let rows = map.get_mut("memories").and_then(Value::as_array_mut).into_iter().flatten();
                rows.fold(false, |found, row| blank_row(row) | found)
            }
            "memory.added" => map.get_mut("memory").is_some_and(blank_row),
            "memory.edited" => self.is_of(map.get("memory")) && blank(map.get_mut("text")),
            "call.finished" => self.shown(map),
            "call.started" => is_noting(map.get("tool")) && self.noted(map.get_mut("arguments")),
            "call.approval_requested" => self.summed_up(map.get_mut("summary")),
            "step.finished" => {
                let blocks = map.get_mut("content").and_then(Value::as_array_mut).into_iter().flatten();
                blocks.fold(false, |found, block| {
                    (is_noting(block.get("name")) && self.noted(block.get_mut("input"))) | found
                })
            }
            "input.queued" | "input.edited" => self.waited(map),
            _shows_none => false,
        }
    }

    /// What is to go was said here first.
    fn waited(&self, map: &mut Map<String, Value>) -> bool {
        let input = map.get("input").and_then(Value::as_str);
        let is_gone = input.is_some_and(|input| self.inputs.contains(input));
        is_gone && (blank(map.get_mut("content")) | map.remove("attachments").is_some())
    }

    fn is_of(&self, id: Option<&Value>) -> bool {
        id.and_then(Value::as_str).is_some_and(|id| self.ids.contains_key(id))
    }

    /// A recalled result has each row on a line that begins with its id.
    fn shown(&self, map: &mut Map<String, Value>) -> bool {
        let listed = map.get("details").and_then(|details| details.get("memories")).and_then(Value::as_array);
        if !listed.is_some_and(|ids| ids.iter().any(|id| self.is_of(Some(id)))) {
            return false;
        }
        let Some(Value::String(content)) = map.get_mut("content") else { return false };
        let anew = |line: &str| {
            let mut parts = line.splitn(3, "  ");
            let (id, day) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            let is_row = self.ids.contains_key(id) && parts.next().is_some();
            if is_row { format!("{id}  {day}  {FORGOTTEN}") } else { line.to_owned() }
        };
        let clean = content.split('\n').map(anew).collect::<Vec<_>>().join("\n");
        let is_changed = clean != *content;
        *content = clean;
        is_changed
    }

    /// A call that had it noted says the same.
    fn noted(&self, arguments: Option<&mut Value>) -> bool {
        let text = arguments.and_then(|arguments| arguments.get_mut("text"));
        let says = |text: &Value| text.as_str().is_some_and(|text| self.texts.contains(&harmless(text)));
        text.is_some_and(|text| says(text) && blank(Some(text)))
    }

    fn summed_up(&self, summary: Option<&mut Value>) -> bool {
        let Some(Value::String(summary)) = summary else { return false };
        let Some(said) = summary.strip_prefix(NOTES.1) else { return false };
        // It is cut.
        let is_of = !said.is_empty() && self.texts.iter().any(|text| text.starts_with(said));
        if is_of {
            *summary = format!("{}{FORGOTTEN}", NOTES.1);
        }
        is_of
    }
}

/// Returns the rows that an event brings.
#[expect(clippy::wildcard_enum_match_arm, reason = "nothing else brings any")]
fn rows_of(event: &Event) -> &[Memory] {
    match event {
        Event::MemoryObserved(observed) => &observed.memories,
        Event::MemoryReflected(reflected) => &reflected.memories,
        Event::MemoryAdded(added) => std::slice::from_ref(&added.memory),
        _brings_none => &[],
    }
}

/// Says whether a journal shares this event of another one, whatever is left of what it says.
fn is_same(entry: &Entry, other: &Entry) -> bool {
    let is_there = (entry.seq, entry.at, entry.turn) == (other.seq, other.at, other.turn);
    is_there && entry.event.name() == other.event.name()
}

fn is_noting(name: Option<&Value>) -> bool {
    name.and_then(Value::as_str) == Some(NOTES.0)
}

fn blank(text: Option<&mut Value>) -> bool {
    let Some(text) = text.filter(|text| text.as_str() != Some(FORGOTTEN)) else { return false };
    *text = FORGOTTEN.into();
    true
}

/// Takes words out of every text of a value, keys left out. Reasoning that was changed goes without its seal.
fn clean(words: &Redactor, value: &mut Value) -> bool {
    match value {
        Value::String(text) => words.clean(text),
        Value::Array(items) => items.iter_mut().fold(false, |found, item| clean(words, item) | found),
        Value::Object(map) => {
            let is_thought = map.get_mut("thinking").is_some_and(|thinking| clean(words, thinking));
            if is_thought {
                map.remove("signature");
            }
            map.values_mut().fold(is_thought, |found, item| clean(words, item) | found)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Says whether an event says something that can be forgotten with what comes from it.
#[must_use]
pub fn says(event: &Event) -> bool {
    super::sources::said(event).iter().any(|text| !is_forgotten(text))
}

/// Returns the output that a line keeps beside itself.
#[must_use]
#[expect(clippy::wildcard_enum_match_arm, reason = "nothing else keeps one")]
pub fn kept_beside(line: &Line) -> Option<ArtifactRef> {
    let may = ["\"artifact\":", "\"artifact.stored\""].iter().any(|key| line.as_str().contains(key));
    match line.read().ok().filter(|_| may)?.event {
        Event::CallFinished(finished) => finished.artifact,
        Event::ArtifactStored(stored) => Some(stored.artifact),
        _keeps_none => None,
    }
}

/// Returns the line with another output kept beside it.
///
/// # Errors
///
/// [`LineError`] where it would be no event.
pub fn beside(line: &Line, old: &Digest, new: &ArtifactRef) -> Result<Option<Line>, LineError> {
    line.changed(|map| map.iter_mut().fold(false, |found, (_, value)| renamed(value, old.as_str(), new) | found))
}

fn renamed(value: &mut Value, old: &str, new: &ArtifactRef) -> bool {
    match value {
        Value::String(text) if text.contains(old) => {
            *text = text.replace(old, new.hash.as_str());
            true
        }
        Value::Array(items) => items.iter_mut().fold(false, |found, item| renamed(item, old, new) | found),
        Value::Object(map) => {
            if map.get("hash").and_then(Value::as_str) == Some(old) {
                map.insert("bytes".to_owned(), new.bytes.into());
            }
            map.values_mut().fold(false, |found, item| renamed(item, old, new) | found)
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
