//! What of a line goes when something is forgotten, and what stays.

use std::collections::BTreeMap;

use outlive_core::digest::Digest;
use outlive_core::event::{ArtifactRef, Line};
use outlive_core::id::{CallId, InputId, MemoryId, TurnId};
use outlive_core::memory::forget::{Extent, Gathering, Going, Traces, beside, kept_beside};
use outlive_core::redact::FORGOTTEN;
use serde_json::{Value, json};

use crate::desk;

/// The one that is forgotten, and one that stays.
const FORGOTTEN_ONE: u128 = 7;
const OTHER: u128 = 8;

fn id(n: u128) -> String {
    MemoryId::from_bits(n).to_string()
}

/// A line whose event has these fields.
fn line(seq: u64, name: &str, fields: Value) -> Line {
    // Any line does: its fields are put in the place of its own.
    let line = Line::write(&desk::Desk::with_session().entries[0]).unwrap();
    let changed = line.changed(|map| {
        map.clear();
        map.extend([("seq".to_owned(), seq.into()), ("at".to_owned(), "2026-03-10T12:00:00Z".into())]);
        map.extend([("type".to_owned(), name.into()), ("v".to_owned(), 1.into())]);
        map.extend(fields.as_object().unwrap().clone());
        true
    });
    let text = changed.unwrap().unwrap().as_str().to_owned();
    Line::check(text.as_bytes()).unwrap()
}

fn row(n: u128, text: &str) -> Value {
    json!({ "id": id(n), "text": text, "since": "2026-01-02T00:00:00Z", "scope": "agent", "sources": [3] })
}

fn added(n: u128, text: &str) -> Line {
    line(5, "memory.added", json!({ "memory": row(n, text), "by": { "kind": "cli" } }))
}

/// What is looked for, once a note that says this, and comes from this event, is forgotten.
fn traces(text: &str, extent: Extent, source: Option<&Line>) -> Traces {
    let mut gathering = Gathering::of(&BTreeMap::from([(MemoryId::from_bits(FORGOTTEN_ONE), extent)]));
    gathering.row(&added(FORGOTTEN_ONE, text).read().unwrap().event);
    let source = source.filter(|line| gathering.sources().contains(&line.seq()));
    source.into_iter().for_each(|line| gathering.said(line.read().unwrap()));
    gathering.traces()
}

fn without(traces: &Traces, (line, going): (&Line, Going)) -> String {
    let clean = traces.without(line, going).unwrap();
    assert!(clean.as_ref() != Some(line), "a line that is the same is none");
    clean.unwrap_or_else(|| line.clone()).as_str().to_owned()
}

/// What is left of a line, once a note that says this is forgotten.
fn left(text: &str, extent: Extent, line: &Line) -> String {
    without(&traces(text, extent, None), (line, Going::Rows))
}

fn stays(text: &str, line: &Line) {
    assert_eq!(left(text, Extent::Words, line), line.as_str(), "{text}");
}

fn goes(text: &str, line: &Line) {
    let left = left(text, Extent::Words, line);
    assert!(!left.contains(text) && left.contains(FORGOTTEN), "{left}");
}

const LONG: &str = "Ada has a dog that is called Rex.";

#[test]
fn a_row_goes_by_its_id_however_short_it_is_and_wherever_it_stands() {
    for text in ["O+", "PIN 123", "住在东京都港区", LONG] {
        let covers = json!({ "first": 1, "last": 4 });
        let both = json!([row(OTHER, "Another."), row(FORGOTTEN_ONE, text)]);
        goes(text, &added(FORGOTTEN_ONE, text));
        goes(text, &line(5, "memory.observed", json!({ "covers": covers, "memories": both })));
        goes(text, &line(5, "memory.reflected", json!({ "memories": both })));
        let by = json!({ "kind": "cli" });
        goes(text, &line(6, "memory.edited", json!({ "memory": id(FORGOTTEN_ONE), "text": text, "by": by })));
    }
    stays("O+", &added(OTHER, "O+"));
    goes(LONG, &added(OTHER, LONG));
}

fn finished(details: Value, content: &str) -> Line {
    let call = CallId::from_bits(1).to_string();
    let fields = json!({ "call": call, "attempt": 1, "outcome": "ok", "content": content, "details": details,
        "duration_ms": 1 });
    line(9, "call.finished", fields)
}

#[test]
fn where_it_was_recalled_or_noted_it_goes_however_short_it_is() {
    let (seven, eight) = (id(FORGOTTEN_ONE), id(OTHER));
    let content = format!("<notes>\n{eight}  2026-01-02  Blood group: O+\n{seven}  2026-01-02  O+\n</notes>");
    let recalled = finished(json!({ "memories": [seven, eight] }), &content);
    let left = left("O+", Extent::Words, &recalled);
    assert!(left.contains(&format!("{seven}  2026-01-02  {FORGOTTEN}\\n")) && left.contains("group: O+"), "{left}");
    let call = CallId::from_bits(1).to_string();
    let noting = |text: &str| {
        let input = json!({ "text": text, "scope": "agent" });
        let block = json!({ "type": "tool_use", "id": call, "name": "remember", "input": input });
        let usage = json!({ "input_tokens": 1, "output_tokens": 1 });
        let fields = json!({ "attempt": 1, "content": [block], "stop_reason": "tool_use", "usage": usage, "model": "m",
            "latency_ms": 1 });
        line(9, "step.finished", fields)
    };
    goes("O+", &noting("O+"));
    stays("O+", &noting("O+ is rare"));
    let started = json!({ "call": call, "tool": "remember", "arguments": { "text": "O+" }, "attempt": 1,
        "effect": "idempotent", "idempotency_key": "k" });
    goes("O+", &line(9, "call.started", started));
}

#[test]
fn elsewhere_only_words_go_that_nobody_says_by_chance_and_only_whole_ones() {
    for text in ["TypeScript", "main.rs is", "Likes green tea.", "a b c d e f", "Donaudampfschifffahrtsgesellschaft"] {
        stays(text, &finished(Value::Null, &format!("before {text} after")));
    }
    for text in [LONG, "住在东京都港区六本木，养了一只猫。"] {
        goes(text, &finished(Value::Null, &format!("before: {text} after")));
        goes(text, &finished(json!({ "deep": [{ "er": format!("\n{text}") }] }), "x"));
        goes(text, &finished(Value::Null, &json!({ "text": format!("\n{text}\n") }).to_string()));
    }
    let open = "Ada has a dog that is called Rex";
    stays(open, &finished(Value::Null, "Ada has a dog that is called Rexina"));
    stays(open, &finished(Value::Null, "NAda has a dog that is called Rex"));
    goes(open, &finished(Value::Null, "(Ada has a dog that is called Rex)"));
}

#[test]
fn names_keys_and_what_people_said_stay() {
    let created = Line::write(&desk::Desk::with_session().entries[0]).unwrap();
    let named = created.changed(|map| {
        map.insert("title".to_owned(), LONG.into());
        map.insert("project".to_owned(), LONG.into());
        map.insert("labels".to_owned(), json!({ "about": LONG }));
        true
    });
    stays(LONG, &named.unwrap().unwrap());
    stays(LONG, &finished(json!({ LONG: 1 }), "x"));
    let said = json!({ "content": LONG, "behavior": "follow_up", "origin": { "kind": "cli" } });
    let message = line(3, "message.received", said);
    stays(LONG, &message);
    // Unless they ask for it to go.
    assert!(!left(LONG, Extent::Sources, &message).contains(LONG));
}

/// What a person said in this turn, with a file, after it waited.
fn said(seq: u64, turn: u128, text: &str) -> Line {
    let file = json!({ "hash": Digest::of(b"file").as_str(), "bytes": 4, "media_type": "text/plain" });
    let fields = json!({ "turn": TurnId::from_bits(turn).to_string(), "content": text, "attachments": [file],
        "behavior": "follow_up", "origin": { "kind": "cli" }, "input": InputId::from_bits(turn).to_string() });
    line(seq, "message.received", fields)
}

#[test]
fn a_message_that_something_comes_from_goes_whole_wherever_its_event_stands() {
    let message = said(3, 1, "It is O+.");
    let all = traces("O+", Extent::Sources, Some(&message));
    let left = without(&all, (&message, Going::Traces));
    assert!(!left.contains("It is") && !left.contains("hash"), "{left}");
    // In a fork that had it blanked already, but for its file.
    let blank = said(3, 1, FORGOTTEN);
    assert!(!without(&all, (&blank, Going::Rows)).contains("hash"));
    for other in [said(3, 2, "It is O+."), said(4, 1, "It is O+.")] {
        assert_eq!(without(&all, (&other, Going::Rows)), other.as_str(), "the same words by chance");
    }
    let waiting = |input: u128| {
        let fields = json!({ "input": InputId::from_bits(input).to_string(), "content": "It is O+.",
            "origin": { "kind": "cli" }, "starts": TurnId::from_bits(1).to_string() });
        line(2, "input.queued", fields)
    };
    assert!(!without(&all, (&waiting(1), Going::Rows)).contains("It is"));
    assert_eq!(without(&all, (&waiting(2), Going::Rows)), waiting(2).as_str());
    let words = traces("O+", Extent::Words, Some(&message));
    assert_eq!(without(&words, (&message, Going::Rows)), message.as_str());
}

#[test]
fn rows_stay_until_all_else_is_gone_and_what_was_made_of_them_is_found() {
    let all = traces(LONG, Extent::Words, None);
    let covers = json!({ "first": 1, "last": 4 });
    let both = json!([row(OTHER, LONG), row(FORGOTTEN_ONE, LONG)]);
    let noted = line(5, "memory.observed", json!({ "covers": covers, "memories": both }));
    assert_eq!(without(&all, (&noted, Going::Traces)).matches(LONG).count(), 1, "it says what is looked for");
    assert_eq!(without(&all, (&noted, Going::Rows)).matches(LONG).count(), 0);
    let own = added(FORGOTTEN_ONE, LONG);
    assert_eq!(without(&all, (&own, Going::Traces)), own.as_str());
    let made = |text: &str, of: u128| {
        let mut row = row(OTHER, text);
        row["supersedes"] = json!([id(of)]);
        line(5, "memory.reflected", json!({ "memories": [row] }))
    };
    let new = made("Rex.", FORGOTTEN_ONE);
    assert_eq!(all.made(&new).unwrap(), [(MemoryId::from_bits(OTHER), Extent::Words)]);
    assert_eq!(without(&all, (&new, Going::Rows)), new.as_str(), "its own journal forgets it");
    assert!(!without(&all, (&new, Going::Derived)).contains("Rex."));
    for other in [made("Rex.", OTHER), made(FORGOTTEN, FORGOTTEN_ONE), own] {
        assert_eq!(all.made(&other).unwrap(), []);
    }
}

#[test]
fn a_row_goes_from_a_line_that_it_names_as_its_source() {
    // Its sources are of other journals: a seq of its own one is there by chance.
    let line = line(3, "memory.added", json!({ "memory": row(FORGOTTEN_ONE, LONG), "by": { "kind": "cli" } }));
    for extent in [Extent::Words, Extent::Sources] {
        assert!(!left(LONG, extent, &line).contains(LONG), "{extent:?}");
    }
}

#[test]
fn a_line_names_the_output_that_is_kept_for_it_now() {
    let of = |text: &str| ArtifactRef {
        hash: Digest::of(text.as_bytes()),
        bytes: text.len() as u64,
        media_type: "text/plain".into(),
    };
    let (old, new) = (of("old words"), of("new"));
    let line = finished(Value::Null, &format!("… artifact {} has the rest", old.hash));
    let line = line.changed(|map| {
        map.insert("artifact".to_owned(), serde_json::to_value(&old).unwrap());
        true
    });
    let line = line.unwrap().unwrap();
    assert_eq!(kept_beside(&line), Some(old.clone()));
    let now = beside(&line, &old.hash, &new).unwrap().unwrap();
    assert_eq!(kept_beside(&now), Some(new));
    assert!(!now.as_str().contains(old.hash.as_str()), "{now:?}");
}
