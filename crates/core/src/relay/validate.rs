//! Whether something can be a relay: one validator for files, bodies and tools. It reports every fault, each with its place and
//! the way out.

mod kinds;
mod read;
mod routes;

use std::fmt;

use serde_json::Value;

use super::definition::{Definition, Guard, Retry, Span, StateSpec, Work};
use super::node::{Node, Tree};
use super::schema;
use crate::limits::{RELAY_BYTES, RELAY_ENTRIES, RELAY_STATES, RELAY_TEXT_CHARS};
use crate::yaml::YamlError;
use read::Fields;

/// Something that keeps a definition from being a relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where: `states[2].timeout`; empty where the whole is meant.
    pub path: String,
    /// Line and column, from 1, where it comes from a file.
    pub place: Option<(u64, u64)>,
    /// What is wrong, and the way out.
    pub what: String,
}

/// Everything that keeps a definition from being a relay.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Faults {
    /// The file that it comes from, if it is one.
    pub file: Option<String>,
    /// In the order of their places: at least one.
    pub all: Vec<Fault>,
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.all.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            match (&self.file, fault.place) {
                (Some(file), Some((line, column))) => write!(f, "{file}:{line}:{column}: ")?,
                (Some(file), None) => write!(f, "{file}: ")?,
                (None, _) => {}
            }
            if !fault.path.is_empty() {
                write!(f, "{}: ", fault.path)?;
            }
            f.write_str(&fault.what)?;
        }
        Ok(())
    }
}

/// Names that relays cannot have: routes and commands do.
pub const RESERVED_NAMES: [&str; 5] = ["validate", "start", "history", "new", "list"];
/// Names that states cannot have: templates, answers and overrides use them.
pub const RESERVED_STATES: [&str; 6] = ["input", "states", "relay", "agent", "person", "cancel"];

const KEYS: [&str; 7] = ["apiVersion", "kind", "name", "prompt", "first", "guard", "states"];

/// The shortest time of a guard. Times that are past follow one another at once: only a guard ends that.
const WITHIN: Span = Span(60_000);

/// Reads the text of a file that is to be a relay.
///
/// # Errors
///
/// Every fault.
pub fn read_text(text: &str, file: &str) -> Result<Definition, Faults> {
    let of_file = |faults: Vec<Fault>| Faults { file: Some(file.to_owned()), all: faults };
    if text.len() > RELAY_BYTES {
        return Err(of_file(vec![too_long()]));
    }
    let node: Node = crate::yaml::read(text, file).map_err(|YamlError { line, column, message, .. }| {
        of_file(vec![Fault { path: String::new(), place: (line > 0).then_some((line, column)), what: message }])
    })?;
    let stem = file.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map(|(stem, _)| stem);
    definition(&node, stem).map_err(of_file)
}

/// Reads a value that is to be a relay.
///
/// # Errors
///
/// Every fault.
pub fn read_value(value: &Value) -> Result<Definition, Faults> {
    let of_none = |all| Faults { file: None, all };
    if value.to_string().len() > RELAY_BYTES {
        return Err(of_none(vec![too_long()]));
    }
    if !crate::session::is_shallow(value) {
        let what = "is nested too deeply: nothing of a relay is".to_owned();
        return Err(of_none(vec![Fault { path: String::new(), place: None, what }]));
    }
    definition(&Node::from(value), None).map_err(of_none)
}

fn too_long() -> Fault {
    let what = format!("a relay has at most {RELAY_BYTES} bytes: keep long texts in files, and name those");
    Fault { path: String::new(), place: None, what }
}

/// Says whether this is a name as relays have: of lowercase letters, digits and `-`.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    text.len() <= 63 && text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(is_part)
}

fn is_state_name(text: &str) -> bool {
    is_name(&text.replace('_', "-"))
}

fn definition(node: &Node, stem: Option<&str>) -> Result<Definition, Vec<Fault>> {
    let mut faults = Vec::new();
    let read = whole(node, stem, &mut faults);
    if let Some(definition) = &read {
        routes::check(definition, &mut faults);
    }
    routes::place(node, &mut faults);
    faults.sort_by_key(|fault| fault.place);
    match read {
        Some(definition) if faults.is_empty() => Ok(definition),
        Some(_) | None => Err(faults),
    }
}

fn whole(node: &Node, stem: Option<&str>, faults: &mut Vec<Fault>) -> Option<Definition> {
    let mut top = Fields::of(node, String::new(), faults)?;
    top.known(&KEYS);
    for (key, wanted) in [("apiVersion", "outlive/v1"), ("kind", "Relay")] {
        if top.text(key).is_some_and(|said| said != wanted) {
            top.wrong(key, format!("is `{wanted}`, or left out"));
        }
    }
    let name = top.needed(&["name"]).then(|| top.text("name")).flatten();
    if let Some(name) = &name {
        if !is_name(name) {
            top.wrong(
                "name",
                format!("`{name}` is no name: a lowercase letter, then up to 62 of `a-z`, `0-9` and `-`"),
            );
        } else if RESERVED_NAMES.contains(&name.as_str()) {
            top.wrong("name", format!("`{name}` is reserved: choose another name"));
        } else if let Some(stem) = stem.filter(|stem| stem != name) {
            top.wrong("name", format!("is `{name}`, and the file's is `{stem}`: they must be the same"));
        }
    }
    let prompt = top.needed(&["prompt"]).then(|| top.long_text("prompt", RELAY_TEXT_CHARS)).flatten();
    let usual = Guard { entries: 200, within: Span(86_400_000) };
    let guard = top.below("guard", guard).unwrap_or(Some(usual)).unwrap_or(usual);
    let states = states(&mut top);
    let first = top.text("first").or_else(|| states.first().map(|state| state.name.clone()));
    let whole = Definition { name: name?, prompt: prompt?, first: first?, guard, states };
    (!whole.states.is_empty()).then_some(whole)
}

fn states(top: &mut Fields<'_, '_>) -> Vec<StateSpec> {
    if !top.needed(&["states"]) {
        return Vec::new();
    }
    let Some(node) = top.node("states") else { return Vec::new() };
    let Tree::List(list) = &node.tree else {
        top.wrong("states", "is a list of states".to_owned());
        return Vec::new();
    };
    if !(1..=RELAY_STATES).contains(&list.len()) {
        top.wrong("states", format!("1 to {RELAY_STATES} states are needed, these are {}", list.len()));
    }
    let mut read = Vec::new();
    for (at, node) in list.iter().enumerate().take(RELAY_STATES) {
        read.extend(state(node, format!("states[{at}]"), top.faults()));
    }
    read
}

fn state(node: &Node, path: String, faults: &mut Vec<Fault>) -> Option<StateSpec> {
    let mut fields = Fields::of(node, path, faults)?;
    let name = fields.needed(&["name"]).then(|| fields.text("name")).flatten();
    if let Some(name) = &name {
        if !is_state_name(name) {
            let rule = "a lowercase letter, then up to 62 of `a-z`, `0-9`, `-` and `_`";
            fields.wrong("name", format!("`{name}` is no name: {rule}"));
        } else if RESERVED_STATES.contains(&name.as_str()) {
            fields.wrong("name", format!("`{name}` is reserved: choose another name"));
        }
    }
    let work = kinds::work(&mut fields, name.as_deref());
    let input_schema = input_schema(&mut fields);
    let retry = fields.below("retry", retry).flatten();
    let guard = fields.below("guard", guard).flatten();
    let (next, on_failure) = (fields.text("next"), fields.text("on_failure"));
    let description = fields.long_text("description", 2_000);
    let work: Work = work?;
    let (keys, why): (&[&str], &str) = match &work {
        Work::Agent(_) | Work::Script(_) => (&[], ""),
        Work::Poll(_) => (&["retry"], "a poll looks again by itself: say how often with `error_budget`"),
        Work::Timer(_) | Work::Signal(_) | Work::Park(_) => {
            (&["retry"], "what is waited for is not tried: leave it out")
        }
        Work::Terminal(_) => {
            (&["retry", "on_failure", "next"], "an end is not tried, and nothing comes after it: leave it out")
        }
    };
    for key in keys.iter().filter(|key| fields.node(key).is_some()).copied().collect::<Vec<_>>() {
        fields.wrong(key, why.to_owned());
    }
    Some(StateSpec { name: name?, description, input_schema, next, on_failure, retry, guard, work })
}

fn input_schema(fields: &mut Fields<'_, '_>) -> Option<Value> {
    let schema = fields.node("input_schema")?.value();
    for (below, why) in schema::faults(&schema) {
        fields.wrong(&format!("input_schema{below}"), why);
    }
    Some(schema)
}

fn guard(fields: &mut Fields<'_, '_>) -> Option<Guard> {
    fields.known(&["entries", "within"]);
    if !fields.needed(&["entries", "within"]) {
        return None;
    }
    let entries = fields.number("entries", (1, RELAY_ENTRIES as u64));
    let within = fields.span("within", None);
    if within.is_some_and(|within| within < WITHIN) {
        fields.wrong(
            "within",
            format!("is at least {WITHIN}: within less, too much would begin before a person is asked"),
        );
    }
    Some(Guard { entries: u32::try_from(entries?).ok()?, within: within? })
}

fn retry(fields: &mut Fields<'_, '_>) -> Option<Retry> {
    fields.known(&["attempts", "backoff", "longest", "jitter", "final_codes"]);
    if !fields.needed(&["attempts"]) {
        return None;
    }
    let attempts = fields.number("attempts", (1, 1_000));
    let backoff = fields.span("backoff", None).unwrap_or(Span(10_000));
    let longest = fields.span("longest", None).unwrap_or(Span(3_600_000).max(backoff));
    if longest < backoff {
        fields.wrong("longest", format!("is {longest}, shorter than the first pause of {backoff}"));
    }
    let jitter = fields.share("jitter").unwrap_or(0.1);
    let final_codes = fields.codes("final_codes").unwrap_or_default();
    Some(Retry { attempts: u32::try_from(attempts?).ok()?, backoff, longest, jitter, final_codes })
}
