//! What a reader of records brings back, and how one record becomes a value: bounded, and never in silence.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Talk;
use crate::digest::Digest;
use crate::limits::{DAMAGES_NAMED, RECORD_BYTES};
use crate::time::Timestamp;

/// A record that was set aside.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Damage {
    /// The file, as it was found.
    pub file: String,
    /// Its line, from 1; 0 where the file is one record.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// What was left out on purpose, by what it is.
pub type LeftOut = BTreeMap<&'static str, u64>;

/// What a reader brings back.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Read {
    /// The conversation; `None` where there is none, or too much.
    pub talk: Option<Talk>,
    /// That it is too much, and how.
    pub too_large: Option<String>,
    /// The program's name of the agent, where it has such names.
    pub agent: Option<String>,
    /// The first records that were set aside.
    pub damages: Vec<Damage>,
    /// How many were, altogether.
    pub damaged: u64,
    /// What was left out on purpose.
    pub left_out: LeftOut,
}

/// Reads a file of records, a line each.
pub trait Records {
    /// Reads one line, without its newline. Blank ones are nothing.
    fn line(&mut self, number: u64, line: &[u8]);

    /// Hears of a line that is longer than [`RECORD_BYTES`].
    fn too_long(&mut self, number: u64);

    /// Says what all of it was. `digest` is that of all bytes.
    fn finish(self: Box<Self>, digest: Digest) -> Read;
}

/// Reads records that are JSON objects.
pub(super) trait Objects {
    /// Reads one.
    fn record(&mut self, number: u64, value: &Value);

    /// Where those go that are none.
    fn aside(&mut self) -> &mut Aside;

    /// See [`Records::finish`].
    fn read(self, digest: Digest) -> Read;
}

impl<T: Objects> Records for T {
    fn line(&mut self, number: u64, line: &[u8]) {
        if let Some(value) = self.aside().object(number, line) {
            self.record(number, &value);
        }
    }

    fn too_long(&mut self, number: u64) {
        self.aside().too_long(number);
    }

    fn finish(self: Box<Self>, digest: Digest) -> Read {
        self.read(digest)
    }
}

/// The records that are set aside.
#[derive(Debug, Clone, Default)]
pub(super) struct Aside {
    pub(super) file: String,
    pub(super) named: Vec<Damage>,
    pub(super) count: u64,
}

impl Aside {
    pub(super) fn of(file: &str) -> Self {
        Self { file: file.to_owned(), ..Self::default() }
    }

    pub(super) fn add(&mut self, line: u64, reason: impl Into<String>) {
        self.count += 1;
        if self.named.len() < DAMAGES_NAMED {
            self.named.push(Damage { file: self.file.clone(), line, reason: reason.into() });
        }
    }

    pub(super) fn too_long(&mut self, line: u64) {
        self.add(line, format!("is longer than the {RECORD_BYTES} bytes that a record may have"));
    }

    /// Reads a record; what is none is set aside.
    pub(super) fn object(&mut self, line: u64, bytes: &[u8]) -> Option<Value> {
        if bytes.trim_ascii().is_empty() {
            return None;
        }
        if bytes.len() > RECORD_BYTES {
            self.too_long(line);
            return None;
        }
        let read = std::str::from_utf8(bytes)
            .map_err(|_| "is not UTF-8".to_owned())
            .and_then(|text| serde_json::from_str::<Value>(text).map_err(|error| format!("is not JSON: {error}")));
        match read {
            Ok(value) if value.is_object() => Some(value),
            Ok(_) => {
                self.add(line, "is not a JSON object");
                None
            }
            Err(why) => {
                self.add(line, why);
                None
            }
        }
    }
}

/// Reads a text of a record; a missing one is empty.
pub(super) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Reads a number of a record; a missing one is 0.
pub(super) fn number(value: &Value, path: &str) -> u64 {
    value.pointer(path).and_then(Value::as_u64).unwrap_or_default()
}

/// Says whether a flag of a record is set.
pub(super) fn is_set(value: &Value, key: &str) -> bool {
    value.get(key).and_then(Value::as_bool).unwrap_or_default()
}

/// Reads a time of a record, as RFC 3339.
pub(super) fn time(value: &Value, key: &str) -> Option<Timestamp> {
    value.get(key)?.as_str()?.parse().ok()
}

/// Reads a time of a record, as milliseconds since 1970.
pub(super) fn time_ms(value: &Value, path: &str) -> Option<Timestamp> {
    let found = value.pointer(path)?;
    let ms = found.as_i64().or_else(|| found.as_f64().map(|ms| ms as i64))?;
    Some(Timestamp::from_micros(ms.saturating_mul(1_000)))
}

/// Names something of a record in an error, short.
pub(super) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}
