//! Coding sessions from a seed, for benches and tests: what people and agents say, what tools print, and a provider that
//! counts it in its own way.

use serde_json::json;

use crate::content::{Block, StopReason, ToolSpec, Usage};
use crate::event::{
    Behavior, CallFinished, Entry, Event, MessageReceived, Origin, OriginKind, Outcome, StepFinished, StepStarted,
};
use crate::id::CallId;
use crate::time::Timestamp;

use super::{Calibration, Counter, Frame, FrameParts, Transcript, Weight, Window, added, assemble};

/// How a provider counts, which nobody is told.
#[derive(Debug, Clone, Copy)]
pub struct Hidden {
    /// Its tokens for one of ours.
    pub ratio: f64,
    /// What it adds to every request.
    pub fixed: u64,
    /// What it adds around each piece.
    pub piece: u64,
    /// By how much of its size a piece differs from the ratio, at most, up or down.
    pub spread: f64,
}

/// One request of a session.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Asked {
    /// What was estimated before.
    pub estimated: u64,
    /// What the provider counted.
    pub actual: u64,
    /// Its bytes, divided by four.
    pub rough: u64,
}

impl Asked {
    /// Returns how far an estimate is from what was counted, as a part of that.
    #[must_use]
    pub fn error(&self, estimate: u64) -> f64 {
        estimate.abs_diff(self.actual) as f64 / self.actual.max(1) as f64
    }
}

/// Numbers that look like chance and are the same each time.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Begins with a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Returns a number below `most`.
    pub fn throw(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most.max(1)
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        let at = self.throw(words.len() as u64) as usize;
        words.get(at).copied().unwrap_or_default()
    }

    /// Returns so many sentences.
    pub fn prose(&mut self, sentences: u64) -> String {
        let mut text = String::new();
        for _ in 0..sentences {
            let words: Vec<&str> = (0..6 + self.throw(12)).map(|_| self.pick(&WORDS)).collect();
            text.push_str(&words.join(" "));
            text.push_str(". ");
        }
        text
    }

    /// Returns so many lines of a program.
    pub fn code(&mut self, lines: u64) -> String {
        let mut text = String::new();
        for line in 0..lines {
            let (name, kind, other) = (self.pick(&WORDS), self.pick(&KINDS), self.pick(&WORDS));
            let next = match self.throw(4) {
                0 => format!("    let {name} = self.{other}.iter().filter(|it| it.{name}() > {line}).count();\n"),
                1 => format!("pub fn {name}_{other}({name}: &{kind}) -> Result<{kind}, Error> {{\n"),
                2 => format!("    // {} {name} {} the {other}\n", self.pick(&WORDS), self.pick(&WORDS)),
                _ => format!("        {name}.push({other}.get({line})?.clone());\n    }}\n"),
            };
            text.push_str(&next);
        }
        text
    }
}

const WORDS: [&str; 28] = [
    "session", "request", "token", "parse", "window", "state", "buffer", "index", "reader", "writer", "the", "when",
    "because", "returns", "fails", "after", "before", "journal", "append", "fold", "test", "value", "which", "empty",
    "again", "error", "cache", "line",
];
const KINDS: [&str; 6] = ["String", "u64", "Vec<Entry>", "Option<usize>", "BTreeMap<String, Line>", "Path"];

/// A session that is simulated.
struct Session<'a> {
    dice: Dice,
    hidden: Hidden,
    counter: &'a dyn Counter,
    calibration: &'a mut Calibration,
    transcript: Transcript,
    frame: Frame,
    seq: u64,
    /// What the provider counts for all that was said so far.
    counted: f64,
    bytes: u64,
    asked: Vec<Asked>,
}

/// Plays a session of so many turns, and learns from what its provider reports.
#[must_use]
pub fn play(
    seed: u64,
    turns: u64,
    hidden: Hidden,
    (counter, calibration): (&dyn Counter, &mut Calibration),
) -> Vec<Asked> {
    let mut dice = Dice::new(seed);
    let (system, tools) = (vec![dice.prose(40)], (0..8).map(|at| tool(&mut dice, at)).collect());
    let frame = Frame::new(FrameParts {
        system,
        tools,
        max_output_tokens: 8_192,
        temperature: None,
        model: "simulated/model".to_owned(),
        agent_digest: String::new(),
        window: Window::default(),
    });
    let mut session = Session {
        dice,
        hidden,
        counter,
        calibration,
        transcript: Transcript::default(),
        frame,
        seq: 0,
        counted: 0.0,
        bytes: 0,
        asked: Vec::new(),
    };
    session.frame.count(counter);
    let all = session.frame.weight().all();
    session.counted = hidden.fixed as f64 + all.tokens as f64 * hidden.ratio;
    session.bytes = all.tokens * 4;
    for _ in 0..turns {
        session.turn();
    }
    session.asked
}

fn tool(dice: &mut Dice, at: usize) -> ToolSpec {
    let input_schema =
        json!({"type": "object", "properties": {"path": {"type": "string", "description": dice.prose(1)}}});
    ToolSpec { name: format!("tool_{at}"), description: dice.prose(3), input_schema }
}

impl Session<'_> {
    fn turn(&mut self) {
        let sentences = 1 + self.dice.throw(6);
        let content = self.dice.prose(sentences);
        let origin = Origin::of(OriginKind::Cli);
        let (behavior, attachments) = (Behavior::FollowUp, Vec::new());
        self.hear(Event::MessageReceived(MessageReceived {
            content,
            attachments,
            output_schema: None,
            behavior,
            origin,
            input: None,
        }));
        for _ in 0..1 + self.dice.throw(5) {
            let call = CallId::from_bits(u128::from(self.seq) + 1);
            let input = json!({"path": self.dice.prose(1), "text": self.code_of(20)});
            let text = Block::Text { text: self.prose_of(2) };
            self.ask(vec![text, Block::ToolUse { id: call, name: "tool_1".to_owned(), input, malformed: None }]);
            // Most outputs are short, some are whole files.
            let long = self.dice.throw(8) == 0;
            let content = if long { self.code_of(250) } else { self.code_of(40) };
            let (outcome, details, artifact) = (Outcome::Ok, None, None);
            let finished = CallFinished { call, attempt: 1, outcome, content, details, artifact, duration_ms: 1 };
            self.hear(Event::CallFinished(finished));
        }
        let said = self.prose_of(8);
        self.ask(vec![Block::Text { text: said }]);
    }

    fn prose_of(&mut self, most: u64) -> String {
        let sentences = 1 + self.dice.throw(most);
        self.dice.prose(sentences)
    }

    fn code_of(&mut self, most: u64) -> String {
        let lines = 1 + self.dice.throw(most);
        self.dice.code(lines)
    }

    /// Folds an event, and returns what the provider counts of its text.
    fn hear(&mut self, event: Event) -> f64 {
        let tokens = added(&event, self.counter);
        self.seq += 1;
        let at = Timestamp::from_micros(0);
        let entry = Entry { seq: self.seq, at, turn: None, step: None, asked: None, tokens, event };
        let weight = Weight::of(&entry);
        self.transcript.apply(&entry);
        let off = (self.dice.throw(2_001) as f64 / 1_000.0 - 1.0) * self.hidden.spread;
        let text = (weight.tokens as f64 * self.hidden.ratio * (1.0 + off)).round();
        self.counted += text + (weight.pieces * self.hidden.piece) as f64;
        self.bytes += Weight::of(&Entry { tokens: None, ..entry }).tokens * 4;
        text
    }

    /// Asks, is answered with this, and learns.
    fn ask(&mut self, content: Vec<Block>) {
        let (_, plan) = assemble(&self.frame, &self.transcript);
        let (load, actual) = (plan.load, self.counted.round() as u64);
        let estimated = self.calibration.estimate(&load);
        self.asked.push(Asked { estimated, actual, rough: self.bytes / 4 });
        self.hear(Event::StepStarted(StepStarted {
            model: plan.model,
            attempt: 1,
            request: plan.request,
            blocks: plan.blocks,
            tokens_estimated: estimated,
            agent_digest: plan.agent_digest,
            messages: plan.messages,
            capped: None,
            room: None,
        }));
        let finished = |output_tokens| {
            let usage = Usage { input_tokens: actual, output_tokens, ..Usage::default() };
            Event::StepFinished(StepFinished {
                attempt: 1,
                content: content.clone(),
                stop_reason: StopReason::EndTurn,
                usage,
                latency_ms: 1,
                provider_request_id: None,
                model: "model".to_owned(),
                served_by: None,
            })
        };
        // What the reply is counted as is drawn once, and is in the event itself.
        let mut before = self.dice.clone();
        let tokens = f64::from(added(&finished(0), self.counter).unwrap_or(0));
        let off = (before.throw(2_001) as f64 / 1_000.0 - 1.0) * self.hidden.spread;
        let output = (tokens * self.hidden.ratio * (1.0 + off)).round();
        self.hear(finished(output as u64));
        self.calibration.learn(&load, actual, self.transcript.last_reply());
    }
}
