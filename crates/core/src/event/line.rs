//! The exact bytes of an event: one JSON object a line, sealed by a CRC-32C over everything before it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Asked, Entry, Event};
use crate::id::{RequestId, Seq, TurnId};
use crate::limits::LINE_BYTES;
use crate::redact::Redactor;
use crate::time::Timestamp;

/// One journal line, without its newline, as it is on disk, in the commit log and in SSE. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Line {
    seq: Seq,
    text: Arc<str>,
}

/// A line that is not an event. The tail of a journal may hold one; anywhere else the journal is damaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what it is")]
pub enum LineError {
    #[error("line is not UTF-8")]
    NotUtf8,
    #[error("line has no crc at its end")]
    NoCrc,
    #[error("crc is {found}, but the bytes give {computed}")]
    WrongCrc { found: String, computed: String },
    #[error("line is longer than {LINE_BYTES} bytes")]
    TooLong,
    #[error("line is not an event: {0}")]
    NotAnEvent(String),
}

/// `,"crc":"` + 8 digits + `"}`.
const SEAL: usize = 8 + 8 + 2;
const SEAL_HEAD: &str = ",\"crc\":\"";

#[derive(Deserialize)]
struct Head<'a> {
    seq: Seq,
    at: Timestamp,
    #[serde(rename = "type", borrow)]
    name: std::borrow::Cow<'a, str>,
    #[serde(default = "one")]
    v: u32,
    #[serde(default)]
    turn: Option<TurnId>,
    #[serde(default)]
    step: Option<u32>,
    #[serde(default)]
    tokens: Option<u32>,
    #[serde(default)]
    request_id: Option<RequestId>,
    #[serde(default)]
    request_digest: Option<String>,
}

type Map = serde_json::Map<String, Value>;

/// What says where a line belongs.
const HEAD: [&str; 9] = ["seq", "at", "type", "v", "turn", "step", "tokens", "request_id", "request_digest"];

/// Takes secrets out of a value. A provider takes reasoning back only as it was: what was changed goes without its seal.
fn clean(redactor: &Redactor, value: &mut Value) -> bool {
    match value {
        Value::Object(block) => {
            let changed = block.get_mut("thinking").is_some_and(|thinking| redactor.value(thinking));
            if changed {
                block.remove("signature");
            }
            redactor.value(value) | changed
        }
        Value::Array(blocks) => blocks.iter_mut().fold(false, |found, block| clean(redactor, block) | found),
        Value::String(_) => redactor.value(value),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Returns where each text of a value is, as JSON pointers.
fn find_texts(value: &Value, at: &mut String, found: &mut Vec<String>) {
    let before = at.len();
    let mut below = |key: &str, value: &Value| {
        at.push('/');
        at.push_str(&key.replace('~', "~0").replace('/', "~1"));
        find_texts(value, at, found);
        at.truncate(before);
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| below(key, value)),
        Value::Array(items) => items.iter().enumerate().for_each(|(key, value)| below(&key.to_string(), value)),
        Value::String(_) => found.push(at.clone()),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn one() -> u32 {
    1
}

#[derive(Deserialize)]
struct SeqOnly {
    seq: Seq,
}

impl Line {
    /// Writes an entry.
    ///
    /// # Errors
    ///
    /// [`LineError::TooLong`] over [`LINE_BYTES`]; [`LineError::NotAnEvent`] if a payload cannot be JSON.
    pub fn write(entry: &Entry) -> Result<Self, LineError> {
        let payload = entry.event.payload().map_err(|e| LineError::NotAnEvent(e.to_string()))?;
        let mut text = String::with_capacity(payload.len() + 256);
        if let Event::Unknown { .. } = entry.event {
            text.push_str(payload.strip_suffix('}').unwrap_or(&payload));
        } else {
            write_head(&mut text, entry);
            let inner = payload.get(1..payload.len().saturating_sub(1)).unwrap_or_default();
            if !inner.is_empty() {
                text.push(',');
                text.push_str(inner);
            }
        }
        Self::sealed(entry.seq, text)
    }

    /// Takes the bytes of a line, without its newline, after checking its crc and reading its seq.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with it: see [`LineError`].
    pub fn check(bytes: &[u8]) -> Result<Self, LineError> {
        let text = verify(bytes)?;
        let head: SeqOnly = serde_json::from_str(text).map_err(|e| LineError::NotAnEvent(e.to_string()))?;
        Ok(Self { seq: head.seq, text: text.into() })
    }

    /// Reads the event.
    ///
    /// # Errors
    ///
    /// [`LineError::NotAnEvent`] where a known type lacks what it must have.
    pub fn read(&self) -> Result<Entry, LineError> {
        let refuse = |e: serde_json::Error| LineError::NotAnEvent(e.to_string());
        let head: Head<'_> = serde_json::from_str(&self.text).map_err(refuse)?;
        let known = Event::NAMES.contains(&head.name.as_ref());
        let body = if known { self.text.to_string() } else { format!("{}}}", self.unsealed()) };
        let event = Event::read(&head.name, head.v, &body).map_err(refuse)?;
        let asked = head
            .request_id
            .map(|request_id| Asked { request_id, request_digest: head.request_digest.unwrap_or_default() });
        let (turn, step, tokens) = (head.turn, head.step, head.tokens);
        Ok(Entry { seq: head.seq, at: head.at, turn, step, asked, tokens, event })
    }

    /// Returns it without secrets, sealed anew; `None` where there are none in it, which costs one look at its bytes.
    ///
    /// What the line is made of stays: its place, its time, the request that asked for it, and every word without which it
    /// would be no event.
    ///
    /// # Errors
    ///
    /// [`LineError::TooLong`] where the marks make it so.
    pub fn redacted(&self, redactor: &Redactor) -> Result<Option<Self>, LineError> {
        if !redactor.finds(self.text.as_bytes()) {
            return Ok(None);
        }
        let refuse = |e: serde_json::Error| LineError::NotAnEvent(e.to_string());
        let whole: Value = serde_json::from_str(&format!("{}}}", self.unsealed())).map_err(refuse)?;
        let Value::Object(before) = whole else { return Ok(None) };
        let mut after = before.clone();
        let cleaned = after.iter_mut().filter(|(key, _)| !HEAD.contains(&key.as_str()));
        if !cleaned.fold(false, |found, (_, value)| clean(redactor, value) | found) {
            return Ok(None);
        }
        let line = Self::seal(self.seq, &after)?;
        if line.read().is_ok() { Ok(Some(line)) } else { self.redacted_where_it_may_be(redactor, before) }
    }

    /// Returns it changed and sealed anew; `None` where nothing is changed. Its place stays as it is.
    ///
    /// # Errors
    ///
    /// [`LineError::NotAnEvent`] where it is none, or would be none; [`LineError::TooLong`].
    pub fn changed(&self, change: impl FnOnce(&mut Map) -> bool) -> Result<Option<Self>, LineError> {
        let refuse = |e: serde_json::Error| LineError::NotAnEvent(e.to_string());
        let mut line: Map = serde_json::from_str(&format!("{}}}", self.unsealed())).map_err(refuse)?;
        if !change(&mut line) {
            return Ok(None);
        }
        let line = Self::seal(self.seq, &line)?;
        line.read().map(|_| Some(line))
    }

    /// A word of ours is a secret of somebody's: it stays where the line would be no event without it.
    fn redacted_where_it_may_be(&self, redactor: &Redactor, before: Map) -> Result<Option<Self>, LineError> {
        let (mut line, mut texts) = (Value::Object(before), Vec::new());
        find_texts(&line, &mut String::new(), &mut texts);
        for place in texts.iter().filter(|place| !HEAD.iter().any(|key| place.strip_prefix('/') == Some(key))) {
            let Some(Value::String(text)) = line.pointer_mut(place) else { continue };
            let kept = text.clone();
            if !redactor.clean(text) {
                continue;
            }
            if Self::seal(self.seq, &line)?.read().is_err() {
                line.pointer_mut(place).into_iter().for_each(|text| *text = kept.as_str().into());
            } else if let Some(block) = place.strip_suffix("/thinking").and_then(|block| line.pointer_mut(block)) {
                block.as_object_mut().and_then(|block| block.remove("signature"));
            }
        }
        Self::seal(self.seq, &line).map(Some)
    }

    fn seal(seq: Seq, line: &impl Serialize) -> Result<Self, LineError> {
        let text = serde_json::to_string(line).map_err(|e| LineError::NotAnEvent(e.to_string()))?;
        Self::sealed(seq, text.strip_suffix('}').unwrap_or(&text).to_owned())
    }

    fn sealed(seq: Seq, mut text: String) -> Result<Self, LineError> {
        let crc = crc32c::crc32c(text.as_bytes());
        text.push_str(SEAL_HEAD);
        text.push_str(&format!("{crc:08x}\"}}"));
        if text.len() > LINE_BYTES { Err(LineError::TooLong) } else { Ok(Self { seq, text: text.into() }) }
    }

    /// Returns its position.
    #[must_use]
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// Returns its text, without a newline.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn unsealed(&self) -> &str {
        self.text.get(..self.text.len().saturating_sub(SEAL)).unwrap_or_default()
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

fn write_head(text: &mut String, entry: &Entry) {
    use std::fmt::Write as _;
    // Writing to a String cannot fail.
    write!(text, "{{\"seq\":{},\"at\":\"{}\",\"type\":\"{}\",\"v\":1", entry.seq, entry.at, entry.event.name()).ok();
    if let Some(turn) = entry.turn {
        write!(text, ",\"turn\":\"{turn}\"").ok();
    }
    if let Some(step) = entry.step {
        write!(text, ",\"step\":{step}").ok();
    }
    if let Some(tokens) = entry.tokens {
        write!(text, ",\"tokens\":{tokens}").ok();
    }
    if let Some(asked) = &entry.asked {
        let id = serde_json::Value::from(asked.request_id.as_str());
        let digest = serde_json::Value::from(asked.request_digest.as_str());
        write!(text, ",\"request_id\":{id},\"request_digest\":{digest}").ok();
    }
}

/// Checks length, UTF-8 and seal, and returns the text.
fn verify(bytes: &[u8]) -> Result<&str, LineError> {
    if bytes.len() > LINE_BYTES {
        return Err(LineError::TooLong);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| LineError::NotUtf8)?;
    let cut = bytes.len().checked_sub(SEAL).ok_or(LineError::NoCrc)?;
    let seal = text.get(cut..).ok_or(LineError::NoCrc)?;
    let found = seal.strip_prefix(SEAL_HEAD).and_then(|s| s.strip_suffix("\"}")).ok_or(LineError::NoCrc)?;
    let computed = format!("{:08x}", crc32c::crc32c(bytes.get(..cut).unwrap_or_default()));
    if found == computed { Ok(text) } else { Err(LineError::WrongCrc { found: found.to_owned(), computed }) }
}
