//! How many tokens a request has: sums of what was counted once, held against providers that count in their own way.

use outlive_core::compaction::Summary;
use outlive_core::content::{Block, StopReason, Usage};
use outlive_core::context::preview::{Known, preview};
use outlive_core::context::sample::{Hidden, play};
use outlive_core::context::{
    Anchor, Calibration, Counter, FILES, Frame, FrameParts, Layer, Layers, Load, Rough, Transcript, Weight, Window,
    added, assemble, assemble_with,
};
use outlive_core::event::{
    ActivationCause, Aside, Behavior, CheckpointActivated, CheckpointCreated, CompactionTrigger, Entry, Event, Made,
    MessageReceived, StepFinished, StepStarted, Strategy,
};
use outlive_core::id::CheckpointId;
use outlive_core::time::Timestamp;
use proptest::prelude::*;

use crate::desk::by;

/// Counts exactly, as far as these tests go: a token a byte.
struct Bytes;

impl Counter for Bytes {
    fn count(&self, text: &str) -> u32 {
        u32::try_from(text.len()).unwrap()
    }
}

pub fn frame(model: &str) -> Frame {
    Frame::new(FrameParts {
        window: Window::default(),
        system: vec!["You are a helper.".into(), "A directive.".into()],
        tools: Vec::new(),
        max_output_tokens: 100,
        temperature: None,
        model: model.into(),
        agent_digest: String::new(),
    })
    .with_own(1)
}

/// A checkpoint that says this.
fn condensed(goal: &str) -> CheckpointCreated {
    let summary = Summary { goal: goal.to_owned(), ..Summary::default() };
    CheckpointCreated {
        checkpoint: CheckpointId::from_bits(1),
        version: 1,
        parent: None,
        compaction: None,
        covers: Aside { first: 1, last: 9 },
        tail_from: 10,
        made: Made {
            trigger: CompactionTrigger::Asked,
            strategy: Strategy::Edited,
            model: None,
            usage: Usage::default(),
        },
        schema_from: None,
        carried: None,
        tokens: (10, 1),
        summary,
    }
}

#[derive(Default)]
struct Talk {
    transcript: Transcript,
    seq: u64,
}

impl Talk {
    fn add(&mut self, event: Event) {
        self.seq += 1;
        let tokens = added(&event, &Bytes);
        let at = Timestamp::from_micros(0);
        self.transcript.apply(&Entry { seq: self.seq, at, turn: None, step: None, asked: None, tokens, event });
    }

    fn hear(&mut self, content: &str) {
        self.add(Event::MessageReceived(MessageReceived {
            content: content.into(),
            attachments: vec![],
            output_schema: None,
            behavior: Behavior::FollowUp,
            origin: by(),
            input: None,
        }));
    }

    fn ask(&mut self, frame: &Frame) {
        let (_, plan) = assemble(frame, &self.transcript);
        self.add(Event::StepStarted(StepStarted {
            model: plan.model,
            attempt: 1,
            request: plan.request,
            blocks: plan.blocks,
            tokens_estimated: plan.tokens_estimated,
            agent_digest: plan.agent_digest,
            messages: plan.messages,
            capped: None,
            room: Some(plan.room),
        }));
    }

    fn answer(&mut self, content: Vec<Block>, (input_tokens, output_tokens): (u64, u64)) {
        self.add(Event::StepFinished(StepFinished {
            attempt: 1,
            content,
            stop_reason: StopReason::EndTurn,
            usage: Usage { input_tokens, output_tokens, ..Usage::default() },
            latency_ms: 1,
            provider_request_id: None,
            model: "m".into(),
            served_by: None,
        }));
    }

    fn load(&self, frame: &Frame) -> Load {
        assemble(frame, &self.transcript).1.load
    }
}

fn said(text: &str) -> Block {
    Block::Text { text: text.into() }
}

fn weight(tokens: u64, pieces: u64) -> Weight {
    Weight { tokens, pieces, reasoning: 0 }
}

#[test]
fn a_request_goes_on_from_what_its_provider_counted_last() {
    let (mut talk, frame) = (Talk::default(), frame("p/m"));
    talk.hear("0123456789");
    assert_eq!(talk.load(&frame).anchor, None);
    assert_eq!(talk.load(&frame).messages, weight(10, 1));
    talk.ask(&frame);
    talk.answer(vec![said("01234")], (500, 7));
    talk.hear("0123456");
    talk.hear("012");
    let anchor = Anchor { input: 500, output: 7, reply: weight(5, 1), new: weight(10, 2) };
    assert_eq!(talk.load(&frame).anchor, Some(anchor));
    assert_eq!(talk.load(&frame).messages, weight(25, 4));
}

#[test]
fn the_anchor_is_dropped_when_what_is_sent_is_not_a_continuation() {
    let (mut talk, here) = (Talk::default(), frame("p/m"));
    talk.hear("hello");
    talk.ask(&here);
    talk.answer(vec![said("hi")], (500, 7));
    talk.hear("go on");
    assert!(talk.load(&here).anchor.is_some());
    assert_eq!(talk.load(&frame("p/other")).anchor, None, "another model");
    let parts = FrameParts {
        window: Window::default(),
        system: vec!["You are another.".into()],
        tools: Vec::new(),
        max_output_tokens: 100,
        temperature: None,
        model: "p/m".into(),
        agent_digest: String::new(),
    };
    assert_eq!(talk.load(&Frame::new(parts)).anchor, None, "another system prompt");
    let cause = ActivationCause::Chosen;
    talk.add(Event::CheckpointActivated(CheckpointActivated { checkpoint: None, tail_from: 0, cause, by: by() }));
    assert_eq!(talk.load(&here).anchor, None, "another part of the conversation");
}

#[test]
fn what_the_answer_must_fit_is_a_part_of_the_request_while_it_must() {
    let (mut talk, frame) = (Talk::default(), frame("p/m"));
    let schema = serde_json::json!({"type": "object", "description": "x".repeat(6_000)});
    talk.hear("hello");
    talk.ask(&frame);
    talk.answer(vec![said("hi")], (500, 7));
    let without = talk.load(&frame);
    assert!(without.anchor.is_some());
    talk.add(Event::MessageReceived(MessageReceived {
        content: String::new(),
        attachments: vec![],
        output_schema: Some(schema.into()),
        behavior: Behavior::FollowUp,
        origin: by(),
        input: None,
    }));
    let with = talk.load(&frame);
    assert_eq!(with.anchor, None, "the request before had none");
    assert!(with.counted() > without.counted() + 2_000, "{with:?}");
    let (calibration, layers) = (Calibration::seeded("p/m"), Layers::default());
    let known = Known { counter: &Bytes, calibration: &calibration };
    let shown = preview((&frame, &layers), &talk.transcript, Some("and?"), &known);
    assert!(shown.parts.messages > 2_000 && shown.parts.total() == shown.total, "{:?}", shown.parts);
    talk.ask(&frame);
    talk.answer(vec![said("{}")], (2_600, 7));
    talk.hear("again");
    assert!(talk.load(&frame).anchor.is_some(), "the same schema is in both");
}

#[test]
fn a_provider_that_counts_nothing_is_no_anchor() {
    let (mut talk, frame) = (Talk::default(), frame("p/m"));
    talk.hear("hello");
    talk.ask(&frame);
    talk.answer(vec![said("hi")], (0, 0));
    talk.hear("go on");
    assert_eq!(talk.load(&frame).anchor, None);
}

#[test]
fn reasoning_is_counted_for_the_model_that_takes_it_back_and_for_no_other() {
    let (mut talk, frames) = (Talk::default(), [frame("p/m"), frame("p/other")]);
    talk.hear("hello");
    talk.ask(&frames[0]);
    let thinking = |signature: Option<&str>| Block::Thinking {
        thinking: "t".repeat(400),
        signature: signature.map(str::to_owned),
    };
    talk.answer(vec![thinking(Some("sealed")), thinking(None), said("01234567")], (0, 0));
    talk.hear("go on");
    let tokens = frames.map(|frame| talk.load(&frame).messages.tokens);
    assert_eq!(tokens, [5 + 400 + 8 + 5, 5 + 8 + 5]);
}

#[test]
fn what_is_hidden_in_a_reply_is_not_estimated_as_sent_back() {
    let calibration = Calibration::seeded("openai/gpt-5");
    let load = |output| Load {
        anchor: Some(Anchor { input: 1_000, output, reply: weight(50, 1), new: weight(0, 0) }),
        ..Load::default()
    };
    assert_eq!(calibration.estimate(&load(60)), 1_064, "as it was counted, and what stands around it");
    assert_eq!(calibration.estimate(&load(4_000)), 1_054, "without the reasoning");
}

#[test]
fn a_ratio_is_learned_from_what_comes_between_two_requests() {
    let mut calibration = Calibration::seeded("openai/gpt-5");
    assert!((calibration.ratio() - 1.0).abs() < 1e-9);
    for round in 1..40 {
        let new = weight(300 + 37 * (round % 7), 1 + round % 3);
        let anchor = Anchor { input: 10_000, output: 0, reply: weight(0, 0), new };
        let used = 10_000 + new.tokens * 16 / 10 + new.pieces * 12;
        let load = Load { frame: weight(9_000, 0), messages: new, anchor: Some(anchor) };
        calibration.learn(&load, used, None);
    }
    assert!((calibration.ratio() - 1.6).abs() < 0.02, "{calibration:?}");
    // A cache that vanished, files, another conversation: not what its tokens cost.
    let before = calibration.ratio();
    let anchor = Anchor { input: 10_000, output: 0, reply: weight(0, 0), new: weight(100, 1) };
    let load = Load { frame: weight(9_000, 0), messages: weight(100, 1), anchor: Some(anchor) };
    calibration.learn(&load, 900_000, None);
    calibration.learn(&load, 20, None);
    assert!((calibration.ratio() - before).abs() < 1e-9, "{calibration:?}");
}

#[test]
fn models_begin_with_what_is_known_of_their_family() {
    for (model, ratio) in [
        ("openai/gpt-5", 1.0),
        ("ollama/llama3.3", 1.0),
        ("gemini/gemini-flash-latest", 1.1),
        ("openrouter/deepseek/deepseek-v3.2", 1.04),
        ("ollama/qwen3:8b", 1.15),
        ("openrouter/mistralai/mistral-large", 1.15),
        ("anthropic/claude-3-5-sonnet-20241022", 1.2),
        ("anthropic/claude-sonnet-4-20250514", 1.2),
        ("anthropic/claude-opus-4-6", 1.2),
        ("openrouter/anthropic/claude-sonnet-4.5", 1.2),
        ("anthropic/claude-opus-4-7", 1.55),
        ("anthropic/claude-sonnet-5", 1.55),
        ("rehearsal/script", 1.0),
    ] {
        assert!((Calibration::seeded(model).ratio() - ratio).abs() < 1e-9, "{model}");
    }
}

/// Returns the error that 95 of 100 estimates stay below, from the second request on.
fn p95(seed: u64, ratio: f64) -> f64 {
    let hidden = Hidden { ratio, fixed: 350, piece: 9, spread: 0.05 };
    let mut calibration = Calibration::seeded("simulated/model");
    let asked = play(seed, 60, hidden, (&Rough, &mut calibration));
    let mut errors: Vec<f64> = asked.iter().skip(1).map(|asked| asked.error(asked.estimated)).collect();
    errors.sort_by(f64::total_cmp);
    errors[errors.len() * 95 / 100]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn estimates_of_a_session_are_within_a_percent_of_what_is_counted(seed in any::<u64>()) {
        for ratio in [1.0, 1.2, 1.6] {
            let error = p95(seed, ratio);
            prop_assert!(error <= 0.01, "seed {seed}, ratio {ratio}: {error}");
        }
    }

    #[test]
    fn the_parts_of_a_preview_sum_to_its_total(
        said in proptest::collection::vec("[a-z ]{0,200}", 0..6),
        message in proptest::option::of("\\PC{0,80}"),
        counted in proptest::option::of(1..100_000_u64),
        behind in proptest::collection::vec(("files|memory\\.global|memory\\.session", "[a-z ]{0,300}"), 0..4),
        goal in proptest::option::of("[a-z ]{1,80}"),
    ) {
        let (mut talk, frame) = (Talk::default(), frame("p/m"));
        talk.transcript = goal.as_ref().map_or_else(Transcript::default, |goal| Transcript::after((&condensed(goal), None), None, None));
        let part = |name: &str| [FILES, "memory.global", "memory.session"].into_iter().find(|part| *part == name);
        let layers = Layers(behind.iter().filter_map(|(name, text)| {
            Some(Layer::new(part(name)?, text.clone(), &Bytes))
        }).collect());
        for text in &said {
            talk.hear(text);
            talk.ask(&frame);
            talk.answer(vec![Block::Text { text: "done".into() }], (counted.unwrap_or(0), 3));
        }
        let calibration = Calibration::seeded("p/m");
        let known = Known { counter: &Bytes, calibration: &calibration };
        let shown = preview((&frame, &layers), &talk.transcript, message.as_deref(), &known);
        prop_assert_eq!(shown.parts.total(), shown.total);
        prop_assert_eq!(shown.tokens + shown.parts.reserve, shown.total);
        prop_assert!(shown.parts.agent > 0 && shown.parts.context > 0);
        let remembers = behind.iter().any(|(name, text)| name != FILES && text.len() > 100);
        prop_assert!(!remembers || shown.parts.memory > 0);
        prop_assert_eq!(shown.parts.checkpoint > 0, goal.is_some());
        // It is what is sent when that is said.
        if let Some(text) = message.filter(|text| !text.trim().is_empty()) {
            talk.hear(&text);
        }
        prop_assert_eq!(assemble_with(&frame, &layers, &talk.transcript).0, shown.request);
    }
}
