//! The keys of a mapping, read one by one: what does not fit is a fault, and the others are read all the same.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Fault;
use crate::relay::definition::Span;
use crate::relay::node::{Key, Node, Tree};
use crate::yaml::nearest;

/// The longest time that anything waits: ten years.
const LONGEST: Span = Span(315_360_000_000);

/// A mapping that is being read.
pub(super) struct Fields<'a, 'f> {
    path: String,
    entries: &'a [(Key, Node)],
    place: Option<(u64, u64)>,
    faults: &'f mut Vec<Fault>,
}

impl<'a, 'f> Fields<'a, 'f> {
    pub(super) fn of(node: &'a Node, path: String, faults: &'f mut Vec<Fault>) -> Option<Self> {
        match &node.tree {
            Tree::Map(entries) => Some(Self { path, entries, place: node.place, faults }),
            Tree::Plain(_) | Tree::List(_) => {
                let what = "is a mapping of keys to values".to_owned();
                faults.push(Fault { path, place: node.place, what });
                None
            }
        }
    }

    pub(super) fn faults(&mut self) -> &mut Vec<Fault> {
        self.faults
    }

    /// What is null was left out.
    pub(super) fn node(&self, key: &str) -> Option<&'a Node> {
        let found = self.entries.iter().find(|(known, _)| known.text == key).map(|(_, node)| node);
        found.filter(|node| node.tree != Tree::Plain(Value::Null))
    }

    /// Notes a fault at this key, or below it where more of a path follows.
    pub(super) fn wrong(&mut self, key: &str, what: String) {
        let first = key.split(['.', '[']).next().unwrap_or_default();
        let at = self.entries.iter().find(|(known, _)| known.text == first);
        let place = at.and_then(|(known, _)| known.place).or(self.place);
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        self.faults.push(Fault { path, place, what });
    }

    /// Refuses all other keys.
    pub(super) fn known(&mut self, known: &[&str]) {
        let unknown: Vec<&str> =
            self.entries.iter().map(|(key, _)| key.text.as_str()).filter(|key| !known.contains(key)).collect();
        for key in unknown {
            let nearest = nearest(key, known.iter().copied()).unwrap_or_default();
            self.wrong(key, format!("unknown key: the nearest is `{nearest}`"));
        }
    }

    /// Says whether all of these are there.
    pub(super) fn needed(&mut self, keys: &[&str]) -> bool {
        let missing: Vec<&str> = keys.iter().copied().filter(|key| self.node(key).is_none()).collect();
        for key in &missing {
            self.wrong(key, "is missing".to_owned());
        }
        missing.is_empty()
    }

    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        let text = match &self.node(key)?.tree {
            Tree::Plain(Value::String(text)) => text.clone(),
            Tree::Plain(_) | Tree::List(_) | Tree::Map(_) => {
                self.wrong(key, "is a text: put it in quotes".to_owned());
                return None;
            }
        };
        if text.trim().is_empty() {
            self.wrong(key, "is empty: say something, or leave it out".to_owned());
            return None;
        }
        if text.contains('\0') {
            self.wrong(key, "has a NUL, which no text of a relay can have".to_owned());
            return None;
        }
        Some(text)
    }

    pub(super) fn long_text(&mut self, key: &str, chars: usize) -> Option<String> {
        let text = self.text(key)?;
        let count = text.chars().count();
        if count > chars {
            self.wrong(key, format!("has {count} characters, of at most {chars}"));
        }
        Some(text)
    }

    pub(super) fn number(&mut self, key: &str, (least, most): (u64, u64)) -> Option<u64> {
        let value = self.node(key)?.value();
        let number = value.as_u64().filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.wrong(key, format!("is a number from {least} to {most}, not {value}"));
        }
        number
    }

    pub(super) fn share(&mut self, key: &str) -> Option<f64> {
        let value = self.node(key)?.value();
        let share = value.as_f64().filter(|share| (0.0..=1.0).contains(share));
        if share.is_none() {
            self.wrong(key, format!("is a number from 0 to 1, not {value}"));
        }
        share
    }

    pub(super) fn codes(&mut self, key: &str) -> Option<Vec<i64>> {
        let value = self.node(key)?.value();
        let code = |code: &Value| code.as_i64().filter(|code| (0..=255).contains(code));
        let codes: Option<Vec<i64>> = value.as_array().and_then(|list| list.iter().map(code).collect());
        let codes = codes.filter(|codes| !codes.is_empty());
        if codes.is_none() {
            self.wrong(key, "is a list of exit codes from 0 to 255".to_owned());
        }
        codes
    }

    /// A length of time, no longer than this, or than ten years.
    pub(super) fn span(&mut self, key: &str, most: Option<Span>) -> Option<Span> {
        let node = self.node(key)?;
        let (value, most) = (node.value(), most.unwrap_or(LONGEST));
        let span = value.as_str().and_then(Span::parse);
        match span {
            None => self.wrong(key, format!("{value} is not a time such as 90s, 10m, 1h, 14d")),
            Some(span) if span > most => self.wrong(key, format!("is {span}, of at most {most}")),
            Some(_) => {}
        }
        span.filter(|span| *span <= most)
    }

    pub(super) fn texts(&mut self, key: &str) -> Option<Vec<String>> {
        let value = self.node(key)?.value();
        let text = |one: &Value| one.as_str().filter(|text| !text.contains('\0')).map(str::to_owned);
        let texts: Option<Vec<String>> = value.as_array().and_then(|list| list.iter().map(text).collect());
        if texts.is_none() {
            self.wrong(key, "is a list of texts: put each in quotes".to_owned());
        }
        texts
    }

    pub(super) fn map(&mut self, key: &str) -> Option<BTreeMap<String, String>> {
        let value = self.node(key)?.value();
        let one = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
        let map: Option<BTreeMap<_, _>> = value.as_object().and_then(|map| map.iter().map(one).collect());
        if map.is_none() {
            self.wrong(key, "is a mapping of names to texts: put the values in quotes".to_owned());
        }
        if map.iter().flatten().any(|(_, value)| value.contains('\0')) {
            self.wrong(key, "has a NUL, which no text of a relay can have".to_owned());
        }
        map
    }

    /// Reads the mapping below a key.
    pub(super) fn below<T>(&mut self, key: &str, read: impl FnOnce(&mut Fields<'_, '_>) -> T) -> Option<T> {
        let node = self.node(key)?;
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        let mut below = Fields::of(node, path, self.faults)?;
        Some(read(&mut below))
    }
}
