//! A summary of events alone, for when no model makes a better one: what people asked and forbade, what was done, to which files.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::merge::cut;
use super::{Added, Change, Section};
use crate::content::Block;
use crate::event::{Entry, Event, Outcome};
use crate::id::{CallId, Seq};

/// Characters of a message of which a line is made.
const SAID_CHARS: usize = 300;
/// Lines of each kind, newest first.
const LINES: usize = 24;
/// Words of a sentence that says what must be kept to.
const BINDING: [&str; 9] =
    ["must", "never", "always", "do not", "don't", "only use", "make sure", "without exception", "required"];

/// Returns what these events, in order, change in a summary.
#[must_use]
pub fn fallback<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Change {
    let mut seen = Seen::default();
    entries.into_iter().for_each(|entry| seen.apply(entry));
    seen.change()
}

#[derive(Default)]
struct Seen {
    asked: Vec<(Seq, String)>,
    binding: Vec<(Seq, String)>,
    did: Vec<(Seq, String)>,
    calls: BTreeMap<CallId, (String, Option<String>)>,
    files: BTreeMap<String, Seq>,
    said: Option<(Seq, String)>,
}

impl Seen {
    #[expect(clippy::wildcard_enum_match_arm, reason = "only what somebody said or did is in a summary")]
    fn apply(&mut self, entry: &Entry) {
        match &entry.event {
            Event::MessageReceived(message) => {
                self.asked.push((entry.seq, cut(message.content.trim(), SAID_CHARS)));
                let sentences = message.content.split_inclusive(['.', '\n', '!', ';']).map(str::trim);
                let binds = |sentence: &&str| {
                    let lower = sentence.to_lowercase();
                    sentence.chars().count() < 2 * SAID_CHARS && BINDING.iter().any(|word| lower.contains(word))
                };
                self.binding.extend(sentences.filter(binds).map(|it| (entry.seq, it.to_owned())));
            }
            Event::StepFinished(finished) => finished.content.iter().for_each(|block| self.hear(entry.seq, block)),
            Event::CallFinished(finished) => {
                let outcome = match finished.outcome {
                    Outcome::Ok => "done",
                    Outcome::Error => "failed",
                    Outcome::Timeout => "took too long",
                    Outcome::Interrupted => "interrupted",
                };
                self.did(entry.seq, finished.call, outcome);
            }
            Event::CallLost(lost) => self.did(entry.seq, lost.call, "outcome unknown"),
            Event::CallDenied(denied) => self.did(entry.seq, denied.call, "denied"),
            _silent => {}
        }
    }

    fn hear(&mut self, seq: Seq, block: &Block) {
        match block {
            Block::Text { text } if !text.trim().is_empty() => self.said = Some((seq, cut(text.trim(), SAID_CHARS))),
            Block::ToolUse { id, name, input, .. } => {
                let path = ["path", "file_path", "file"].iter().find_map(|key| input.get(key)?.as_str());
                if let Some(path) = path {
                    self.files.insert(path.to_owned(), seq);
                }
                let what = ["command", "path", "pattern", "url", "query"].iter().find_map(|key| input.get(key));
                let what = what.and_then(Value::as_str).map(|what| cut(what.trim(), 120));
                self.calls.insert(*id, (name.clone(), what));
            }
            Block::Text { .. }
            | Block::Thinking { .. }
            | Block::RedactedThinking { .. }
            | Block::ToolResult { .. }
            | Block::Media(_) => {}
        }
    }

    fn did(&mut self, seq: Seq, call: CallId, outcome: &str) {
        let Some((tool, what)) = self.calls.get(&call) else { return };
        let what = what.as_ref().map(|what| format!(" {what}")).unwrap_or_default();
        self.did.push((seq, format!("{tool}{what}: {outcome}")));
    }

    fn change(self) -> Change {
        let mut add = Vec::new();
        let mut put = |section, lines: Vec<(Seq, String)>| {
            let mut seen = BTreeSet::new();
            let mut newest: Vec<(Seq, String)> =
                lines.into_iter().rev().filter(|(_, text)| seen.insert(text.clone())).take(LINES).collect();
            newest.reverse();
            add.extend(newest.into_iter().map(|(seq, text)| Added { section, text, sources: vec![seq] }));
        };
        let goal = self.asked.first().map(|(_, text)| text.clone()).filter(|text| !text.is_empty());
        put(Section::Constraints, self.binding);
        put(Section::Completed, self.did);
        put(Section::Files, self.files.into_iter().map(|(path, seq)| (seq, path)).collect());
        put(
            Section::Facts,
            self.asked.into_iter().map(|(seq, text)| (seq, format!("the user said: {text}"))).collect(),
        );
        let said = self.said.into_iter().map(|(seq, text)| (seq, format!("the agent said last: {text}")));
        put(Section::Facts, said.collect());
        Change { add, goal, ..Change::default() }
    }
}
