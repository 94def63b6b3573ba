//! What the rehearsal notes: sentences in which a person says something of themselves or asks to have something remembered, word by
//! word. The same conversation always gives the same notes.

use outlive_core::content::{Block, Request};
use serde_json::{Value, json};

/// What a sentence begins with that is noted, with what it is.
const TELLING: [(&str, &str, &str); 8] = [
    ("remember that ", "fact", "agent"),
    ("remember ", "fact", "agent"),
    ("my ", "fact", "all"),
    ("i am ", "fact", "all"),
    ("i like ", "preference", "all"),
    ("i prefer ", "preference", "all"),
    ("we decided ", "decision", "project"),
    ("we use ", "fact", "project"),
];

/// Notes of what is shown to be looked at.
pub(super) fn observe(request: &Request) -> String {
    let mut memories: Vec<Value> = Vec::new();
    for line in lines(request).filter(|line| line["who"] == "user") {
        for sentence in line["text"].as_str().unwrap_or_default().split(['.', '\n', '!']) {
            memories.extend(noted(sentence.trim(), &line));
        }
    }
    json!({ "memories": memories }).to_string()
}

fn noted(sentence: &str, line: &Value) -> Option<Value> {
    let lower = sentence.to_lowercase();
    let (begin, kind, scope) = TELLING.into_iter().find(|(begin, ..)| lower.starts_with(begin))?;
    let text = if begin.starts_with("remember") { sentence.get(begin.len()..)? } else { sentence };
    let (sources, since) = (json!([line["seq"]]), &line["day"]);
    Some(json!({
        "text": text, "kind": kind, "scope": scope, "priority": "medium", "sources": sources,
        "since": since, "until": null, "replaces": [],
    }))
}

/// Puts notes together that begin with the same two words.
pub(super) fn reflect(request: &Request) -> String {
    let mut groups: Vec<(String, Vec<Value>)> = Vec::new();
    for line in lines(request) {
        let begin: Vec<String> =
            line["text"].as_str().unwrap_or_default().split_whitespace().take(2).map(str::to_lowercase).collect();
        let begin = begin.join(" ");
        match groups.iter_mut().find(|(known, _)| *known == begin) {
            Some((_, group)) => group.push(line),
            None => groups.push((begin, vec![line])),
        }
    }
    let memories: Vec<Value> =
        groups.into_iter().filter(|(_, group)| group.len() > 1).map(|(_, group)| one(&group)).collect();
    json!({ "memories": memories }).to_string()
}

fn one(group: &[Value]) -> Value {
    let texts: Vec<&str> = group.iter().filter_map(|line| line["text"].as_str()).collect();
    let labels: Vec<&Value> = group.iter().map(|line| &line["label"]).collect();
    json!({
        "text": texts.join("; "), "kind": "fact", "scope": "agent", "priority": "medium", "sources": [],
        "since": null, "until": null, "replaces": labels,
    })
}

/// The JSON lines of what was asked.
fn lines(request: &Request) -> impl Iterator<Item = Value> {
    let text = request.messages.first().and_then(|message| message.content.first()).and_then(|block| match block {
        Block::Text { text } => Some(text.as_str()),
        Block::Thinking { .. }
        | Block::RedactedThinking { .. }
        | Block::ToolUse { .. }
        | Block::ToolResult { .. }
        | Block::Media(_) => None,
    });
    let objects = text.unwrap_or_default().lines().filter(|line| line.starts_with('{'));
    objects.filter_map(|line| serde_json::from_str::<Value>(line).ok())
}
