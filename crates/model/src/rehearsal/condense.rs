//! What a script makes of a piece of a conversation: what was asked is a fact, what must be kept to a constraint, what was called is
//! done. Without any thought, and the same each time.

use outlive_core::content::{Block, ReplyBlock, Request};
use serde_json::{Value, json};

/// Characters of a line that are kept.
const KEPT: usize = 160;
/// Items of each kind.
const ITEMS: usize = 12;
const BINDING: [&str; 4] = ["must", "never", "always", "do not"];

/// Answers a request to condense.
pub(super) fn condensed(request: &Request) -> ReplyBlock {
    let blocks = request.messages.iter().flat_map(|message| &message.content);
    let text = blocks.rev().find_map(|block| if let Block::Text { text } = block { Some(text.as_str()) } else { None });
    let text = text.unwrap_or_default();
    let said = text.split_once("The conversation goes on:\n").map_or(text, |(_, said)| said);
    let lines: Vec<(u64, &str, &str)> = said.lines().filter_map(line).collect();
    let of = |who: &'static str| lines.iter().filter(move |(_, by, _)| *by == who).map(|(seq, _, text)| (*seq, *text));
    let binds = |(_, text): &(u64, &str)| BINDING.iter().any(|word| text.to_lowercase().contains(word));
    let mut add: Vec<Value> = of("user").filter(binds).map(|it| item("constraints", it)).collect();
    let newest = |items: Vec<Value>| items.into_iter().rev().take(ITEMS).rev().collect::<Vec<Value>>();
    add.extend(newest(of("user").filter(|it| !binds(it)).map(|it| item("facts", it)).collect()));
    let calls = of("agent").filter(|(_, text)| text.starts_with("calls "));
    add.extend(newest(calls.map(|it| item("completed", it)).collect()));
    let next = of("agent").next_back().map(|(_, text)| text.chars().take(KEPT).collect::<String>()).unwrap_or_default();
    let change = json!({ "add": add, "update": [], "resolve": [], "drop": [], "goal": "", "next_step": next });
    ReplyBlock::Text(change.to_string())
}

/// `#12 user: TEXT`.
fn line(line: &str) -> Option<(u64, &str, &str)> {
    let (seq, rest) = line.strip_prefix('#')?.split_once(' ')?;
    let (who, text) = rest.split_once(": ")?;
    Some((seq.parse().ok()?, who, text))
}

fn item(section: &str, (seq, text): (u64, &str)) -> Value {
    let text: String = text.chars().take(KEPT).collect();
    json!({ "section": section, "text": text, "sources": [seq] })
}
