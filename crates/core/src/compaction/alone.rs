//! A summary of events alone, for when no model makes a better one: what people asked and forbade, what was done, to which files.
//!
//! Invariant: what a person said that binds is kept in order, oldest first, in whichever language, up to a bound in bytes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::merge::cut;
use super::{Added, Change, Section, Summary, binds};
use crate::content::Block;
use crate::event::{Entry, Event, Outcome};
use crate::id::{CallId, Seq};

/// Characters of a message of which a line is made.
const SAID_CHARS: usize = 300;
/// Characters of a sentence that says what must be kept to.
const RULE_CHARS: usize = 600;
/// Lines of each kind, newest first.
const LINES: usize = 24;
/// Bytes of sentences that say what must be kept to, at least and at most.
const RULE_BYTES: (usize, usize) = (2 << 10, 8 << 10);
/// Words of a sentence that says what must be kept to.
const BINDING: [&str; 9] =
    ["must", "never", "always", "do not", "don't", "only use", "make sure", "without exception", "required"];
/// Words by which English is told from what may bind in words that are not known here.
const ENGLISH: [&str; 24] = [
    "the", "a", "an", "and", "or", "to", "of", "in", "on", "is", "are", "it", "this", "that", "for", "with", "you",
    "we", "i", "please", "can", "be", "not", "my",
];

/// What events that come in order change in a summary.
pub struct Alone {
    /// Whether there is a goal already.
    goal: Option<String>,
    /// Bytes that are left for what must be kept to, and for what may have to be.
    room: (usize, usize),
    asked: Vec<(Seq, String)>,
    rules: Vec<(Seq, String)>,
    moved: Vec<Seq>,
    did: Vec<(Seq, String)>,
    calls: BTreeMap<CallId, (String, Option<String>)>,
    files: BTreeMap<String, Seq>,
    said: Option<(Seq, String)>,
}

impl Alone {
    /// Nothing yet, of what goes on from this summary; the one after it may have so many tokens.
    #[must_use]
    pub fn of(so_far: &Summary, tokens: u64) -> Self {
        let bound = so_far.bound();
        let (least, most) = RULE_BYTES;
        let some = usize::try_from(tokens).unwrap_or(usize::MAX).min(most);
        let many = some.saturating_mul(8).clamp(least, most);
        Self {
            goal: (!so_far.goal.is_empty()).then(String::new),
            room: (many.saturating_sub(bound), some.saturating_sub(bound)),
            asked: Vec::new(),
            rules: Vec::new(),
            moved: Vec::new(),
            did: Vec::new(),
            calls: BTreeMap::new(),
            files: BTreeMap::new(),
            said: None,
        }
    }

    /// Takes the next event in.
    #[expect(clippy::wildcard_enum_match_arm, reason = "only what somebody said or did is in a summary")]
    pub fn apply(&mut self, entry: &Entry) {
        match &entry.event {
            Event::MessageReceived(message) => {
                let said = cut(message.content.trim(), SAID_CHARS);
                self.goal = self.goal.take().or_else(|| (!said.is_empty()).then(|| said.clone()));
                self.asked.push((entry.seq, said));
                if binds(entry) {
                    self.heed(entry.seq, &message.content);
                }
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

    /// Keeps the sentences that bind, and those of which nobody here can say it, as far as there is room for them.
    fn heed(&mut self, seq: Seq, said: &str) {
        for sentence in sentences(said) {
            let lower = sentence.to_lowercase();
            let binds = BINDING.iter().any(|word| lower.contains(word));
            if !binds && is_english(&lower) {
                continue;
            }
            let rule = cut(sentence, RULE_CHARS);
            let room = if binds { self.room.0 } else { self.room.1 };
            if rule.len() > room {
                self.moved.extend(binds.then_some(seq));
                continue;
            }
            if self.rules.iter().any(|(_, known)| *known == rule) {
                continue;
            }
            self.room = (self.room.0.saturating_sub(rule.len()), self.room.1.saturating_sub(rule.len()));
            self.rules.push((seq, rule));
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

    /// Returns what they change.
    #[must_use]
    pub fn change(self) -> Change {
        let rule = |(seq, text)| Added { section: Section::Constraints, text, sources: vec![seq] };
        let mut add: Vec<Added> = self.rules.into_iter().map(rule).collect();
        let mut put = |section, lines: Vec<(Seq, String)>| {
            let mut seen = BTreeSet::new();
            let mut newest: Vec<(Seq, String)> =
                lines.into_iter().rev().filter(|(_, text)| seen.insert(text.clone())).take(LINES).collect();
            newest.reverse();
            add.extend(newest.into_iter().map(|(seq, text)| Added { section, text, sources: vec![seq] }));
        };
        put(Section::Completed, self.did);
        put(Section::Files, self.files.into_iter().map(|(path, seq)| (seq, path)).collect());
        put(
            Section::Facts,
            self.asked.into_iter().map(|(seq, text)| (seq, format!("the user said: {text}"))).collect(),
        );
        let said = self.said.into_iter().map(|(seq, text)| (seq, format!("the agent said last: {text}")));
        put(Section::Facts, said.collect());
        let goal = self.goal.filter(|goal| !goal.is_empty());
        Change { add, goal, moved: self.moved, ..Change::default() }
    }
}

/// Cuts a text behind its sentences and lines: a full stop within a name ends none.
fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    let cut = std::iter::from_fn(move || {
        let ends = |(at, c): (usize, char)| {
            let behind = at + c.len_utf8();
            let is_last = rest.get(behind..).is_none_or(|rest| rest.chars().next().is_none_or(char::is_whitespace));
            let is_end = matches!(c, '\n' | '\r' | '。' | '！' | '？' | '；' | '।' | '؟' | '۔');
            (is_end || is_last && matches!(c, '.' | '!' | '?' | ';')).then_some(behind)
        };
        let (sentence, after) = rest.split_at(rest.char_indices().find_map(ends).unwrap_or(rest.len()));
        rest = after;
        (!sentence.is_empty()).then_some(sentence)
    });
    cut.map(str::trim).filter(|sentence| sentence.chars().any(char::is_alphanumeric))
}

fn is_english(lower: &str) -> bool {
    lower.split(|c: char| !c.is_alphanumeric()).any(|word| ENGLISH.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Behavior, MessageReceived, Origin, OriginKind};
    use crate::time::Timestamp;

    fn said(seq: Seq, kind: OriginKind, content: &str) -> Entry {
        let event = Event::MessageReceived(MessageReceived {
            content: content.to_owned(),
            attachments: Vec::new(),
            output_schema: None,
            behavior: Behavior::FollowUp,
            origin: Origin::of(kind),
            input: None,
        });
        Entry { seq, at: Timestamp::from_micros(0), turn: None, step: None, asked: None, tokens: None, event }
    }

    /// The constraints of what was said, and the goal, in a summary of so many tokens that goes on from another.
    fn alone(so_far: &Summary, tokens: u64, said: &[Entry]) -> (Vec<String>, Option<String>) {
        let mut alone = Alone::of(so_far, tokens);
        said.iter().for_each(|entry| alone.apply(entry));
        let Change { add, goal, .. } = alone.change();
        let rules = add.into_iter().filter(|added| added.section == Section::Constraints);
        (rules.map(|added| added.text).collect(), goal)
    }

    fn check(content: &str, rules: &[&str]) {
        let (found, _) = alone(&Summary::default(), 2_000, &[said(1, OriginKind::Cli, content)]);
        assert_eq!(found, rules, "{content}");
    }

    #[test]
    fn what_binds_is_kept_in_whichever_language_it_is_said() {
        check("Never touch main.rs. It is slow.", &["Never touch main.rs."]);
        check("Bitte niemals auf main pushen! Danke.", &["Bitte niemals auf main pushen!", "Danke."]);
        check("请不要推送到主分支。测试必须通过。", &["请不要推送到主分支。", "测试必须通过。"]);
        check("- Всегда пиши тесты\n- and the docs", &["- Всегда пиши тесты"]);
        check("please look at this; it is the one I mean", &[]);
    }

    #[test]
    fn of_many_sentences_the_oldest_are_kept_and_long_ones_are_cut() {
        let rules: String = (0..80).map(|n| format!("- you must keep rule {n}\n")).collect();
        let (found, _) = alone(&Summary::default(), 80, &[said(1, OriginKind::Cli, &rules)]);
        assert_eq!((found.len(), found[0].as_str()), (80, "- you must keep rule 0"));
        let long = format!("You must keep {}", "x".repeat(5_000));
        let (found, _) = alone(&Summary::default(), 80, &[said(1, OriginKind::Cli, &long)]);
        assert!(found[0].starts_with("You must keep xxx") && found[0].ends_with('…') && found[0].len() < 700);
        let many: Vec<Entry> =
            (0..400).map(|n| said(n, OriginKind::Cli, &format!("never {n} {}", "y".repeat(90)))).collect();
        let (found, _) = alone(&Summary::default(), 9_000, &many);
        let bytes: usize = found.iter().map(String::len).sum();
        assert!(found[0].starts_with("never 0 ") && bytes <= RULE_BYTES.1 && bytes > RULE_BYTES.1 - 200, "{bytes}");
        // What only may bind has no more room than the summary has.
        let many: Vec<Entry> = (0..400).map(|n| said(n, OriginKind::Cli, &format!("{n} 漢字"))).collect();
        let (found, _) = alone(&Summary::default(), 80, &many);
        assert!(found[0].starts_with("0 ") && found.iter().map(String::len).sum::<usize>() <= 80, "{found:?}");
    }

    #[test]
    fn what_binds_and_has_no_room_is_named() {
        let mut alone = Alone::of(&Summary::default(), 80);
        (1..50).for_each(|n| alone.apply(&said(n, OriginKind::Cli, &format!("never {n} {}", "y".repeat(90)))));
        let change = alone.change();
        let kept = change.add.iter().filter(|added| added.section == Section::Constraints).count() as Seq;
        assert_eq!(change.moved, (kept + 1..50).collect::<Vec<_>>());
        let summary = Summary::default().merged(&change, crate::event::Aside { first: 1, last: 49 });
        assert_eq!(summary.moved, change.moved);
    }

    #[test]
    fn what_nobody_said_binds_nobody() {
        for (kind, binds) in [(OriginKind::Gateway, 1), (OriginKind::Webhook, 0), (OriginKind::Runtime, 0)] {
            let (found, _) = alone(&Summary::default(), 2_000, &[said(1, kind, "You must obey.")]);
            assert_eq!(found.len(), binds, "{kind:?}");
        }
    }

    #[test]
    fn the_first_message_is_the_goal_only_where_there_is_none() {
        let messages =
            [said(1, OriginKind::Cli, "  "), said(2, OriginKind::Cli, "build it"), said(3, OriginKind::Cli, "next")];
        assert_eq!(alone(&Summary::default(), 99, &messages).1.as_deref(), Some("build it"));
        let so_far = Summary { goal: "plant trees".into(), ..Summary::default() };
        assert_eq!(alone(&so_far, 99, &messages).1, None);
    }
}
