//! What the model answers when it condenses and takes notes: sometimes well, sometimes as no model should.

use outlive_core::content::{Block, Purpose, Reply, ReplyBlock, Request, StopReason};
use serde_json::{Value, json};

use crate::hands::SimModel;

impl SimModel {
    /// Of each line of a person what they forbid.
    pub fn condensed(&self, calm: bool, said: &str) -> Reply {
        let (record, piece) = said.split_once("The conversation goes on:\n").unwrap_or((said, ""));
        let mut add: Vec<Value> = forbidden(piece)
            .map(|(seq, what)| json!({"section": "constraints", "text": format!("Never touch {what}."), "sources": [seq]}))
            .collect();
        add.push(json!({"section": "completed", "text": "words were said", "sources": []}));
        let ids: Vec<&str> = record.split("\"id\":\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let update: Vec<Value> =
            ids.iter().map(|id| json!({"id": id, "text": "nothing", "section": "facts"})).collect();
        let text = match self.rng.below(if calm { 1 } else { 14 }) {
            0..5 => json!({"add": add, "update": [], "resolve": [], "drop": [], "goal": "talk", "next_step": "go on"}),
            5 => json!({"add": add, "update": update, "resolve": ids, "drop": ids, "goal": "nothing", "next_step": ""}),
            6 => {
                let long = "much was said ".repeat(40);
                let facts = (0..40).map(|n| json!({"section": "facts", "text": format!("{n} {long}"), "sources": []}));
                json!({"add": add.into_iter().chain(facts).collect::<Vec<_>>(), "update": [], "resolve": [], "drop": []})
            }
            7 => json!({"add": "everything", "drop": 7, "goal": ["x"]}),
            8 => json!({"error": {"message": "overloaded"}}),
            9 => json!({"goal": "I'm sorry, I cannot do that"}),
            10 => json!("I think that much was said."),
            11 => Value::Null,
            _ => return self.says(if self.rng.chance(50) { "" } else { "{\"add\": [{\"section\": \"constr" }, calm),
        };
        self.says(&text.to_string(), calm)
    }

    /// A note of each line that somebody said; of notes, one in the place of two.
    pub fn noted(&self, calm: bool, request: &Request, said: &str) -> Reply {
        let Some(Block::Text { text }) = request.messages[0].content.first() else { return self.says(said, calm) };
        let lines: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let labels: Vec<&Value> = lines.iter().map(|line| &line["label"]).filter(|label| label.is_string()).collect();
        let scope = || ["session", "agent", "all"][usize::try_from(self.rng.below(3)).unwrap()];
        let note = |line: &Value| {
            let replaced: Vec<&Value> = labels.iter().copied().filter(|_| self.rng.chance(5)).collect();
            let text = format!("{} is a note of this", self.world.word());
            json!({"text": text, "scope": scope(), "sources": [line["seq"]], "replaces": replaced})
        };
        let memories: Vec<Value> = if request.purpose == Purpose::Observe {
            lines.iter().filter(|line| line["seq"].is_number()).map(note).collect()
        } else {
            let two = |pair: &[&Value]| json!({"text": format!("{} stands for two", self.world.word()), "replaces": pair, "sources": []});
            labels.chunks_exact(2).take(3).map(two).collect()
        };
        let unknown = json!({"text": "of what nobody said", "sources": [999_999], "replaces": ["m99999"]});
        let text = match self.rng.below(if calm { 1 } else { 10 }) {
            0..5 => json!({"memories": memories}),
            5 => json!({"memories": [unknown, {"text": 7}, "x", {"sources": [1]}]}),
            6 => json!({"memories": "none"}),
            7 => json!({"error": 1}),
            8 => json!("I cannot."),
            _ => return self.says(if self.rng.chance(50) { "" } else { "{\"memories\":[{\"text\":\"cut" }, calm),
        };
        self.says(&text.to_string(), calm)
    }

    fn says(&self, text: &str, calm: bool) -> Reply {
        let stops = [StopReason::EndTurn, StopReason::EndTurn, StopReason::MaxTokens, StopReason::Refusal];
        let stop = if calm { StopReason::EndTurn } else { stops[usize::try_from(self.rng.below(4)).unwrap()] };
        Reply { content: vec![ReplyBlock::Text(text.to_owned())], stop_reason: stop, ..self.reply(true, "") }
    }
}

/// What is forbidden in a piece, and in which of its lines.
fn forbidden(piece: &str) -> impl Iterator<Item = (u64, &str)> {
    let mut at = 0;
    let lines = piece.lines().map(move |line| {
        at = line.strip_prefix('#').and_then(|rest| rest.split(' ').next()?.parse().ok()).unwrap_or(at);
        (at, line)
    });
    lines.flat_map(|(at, line)| {
        let forbidden = line.split("Never touch ").skip(1).filter_map(|rest| rest.split('.').next());
        forbidden.map(move |what| (at, what))
    })
}
