//! A conversation of many messages, in this process: reading all of it, and what one more costs until its request is there.

use outlive_core::content::{Block, StopReason, Usage};
use outlive_core::context::sample::Dice;
use outlive_core::context::{Counter, Frame, FrameParts, Transcript, Window, added, assemble};
use outlive_core::event::{
    Behavior, Ending, Entry, Event, Line, MessageReceived, Origin, OriginKind, StepFinished, Trigger, TurnEnded,
    TurnStarted,
};
use outlive_core::id::TurnId;
use outlive_core::session::{Fact, State};
use outlive_core::time::Timestamp;

use super::bare::ms;
use super::{Bar, Figure, Scale, percentile};
use crate::exit::Failure;

/// Messages that are added.
const ADDED: usize = 300;

/// Measures it.
///
/// # Errors
///
/// An event cannot be written.
pub(super) fn measure(scale: Scale, counter: &dyn Counter) -> Result<Vec<Figure>, Failure> {
    let (mut talk, mut dice) = (Talk::new(), Dice::new(3));
    let messages = scale.of(10_000);
    // A question and its answer.
    for _ in 0..messages / 2 {
        talk.ask(dice.prose(1), counter)?;
        talk.answer(dice.prose(1), counter)?;
    }
    let mut took = Vec::new();
    for _ in 0..ADDED {
        let said = dice.prose(1);
        let began = ms();
        talk.ask(said, counter)?;
        took.push(ms() - began);
        talk.answer(dice.prose(1), counter)?;
    }
    let began = ms();
    let read = Talk::read(&talk.lines)?;
    let (request, _) = assemble(&read.frame, &read.transcript);
    let opened = ms() - began;
    if request.messages.len() != messages / 2 * 2 + 2 * ADDED + 1 {
        return Err(Failure::failed("the conversation is not what was said"));
    }
    let name = |what: &str| format!("conversation of {messages} messages: {what}");
    Ok(vec![
        Figure::new(name("a message, p99, until its request is there"), percentile(&took, 99), "ms")
            .bar(Bar::AtMost(5.0)),
        Figure::new(name("read and folded"), opened, "ms").bar(Bar::AtMost(100.0)),
    ])
}

struct Talk {
    state: State,
    transcript: Transcript,
    frame: Frame,
    lines: Vec<Line>,
    turn: TurnId,
}

impl Talk {
    fn new() -> Self {
        let frame = Frame::new(FrameParts {
            system: vec!["bench".to_owned()],
            tools: Vec::new(),
            max_output_tokens: 1_000,
            temperature: None,
            model: "bench/model".to_owned(),
            agent_digest: String::new(),
            window: Window::default(),
        });
        let (state, transcript) = (State::default(), Transcript::default());
        Self { state, transcript, frame, lines: Vec::new(), turn: TurnId::from_bits(0) }
    }

    fn read(lines: &[Line]) -> Result<Self, Failure> {
        let mut talk = Self::new();
        for line in lines {
            let entry = line.read().map_err(Failure::failed)?;
            talk.state.apply(&entry);
            talk.transcript.apply(&entry);
        }
        Ok(talk)
    }

    fn ask(&mut self, content: String, counter: &dyn Counter) -> Result<(), Failure> {
        self.turn = TurnId::from_bits(u128::from(self.state.head) + 1);
        let message = MessageReceived {
            content,
            attachments: Vec::new(),
            output_schema: None,
            behavior: Behavior::FollowUp,
            origin: Origin::of(OriginKind::Api),
            input: None,
        };
        self.add(Event::MessageReceived(message), counter)?;
        self.add(Event::TurnStarted(TurnStarted { trigger: Trigger::Message }), counter)?;
        let (_request, plan) = assemble(&self.frame, &self.transcript);
        let Fact { event, .. } = plan.started(self.turn, 1, 1);
        self.add(event, counter)
    }

    fn answer(&mut self, text: String, counter: &dyn Counter) -> Result<(), Failure> {
        let finished = StepFinished {
            attempt: 1,
            content: vec![Block::Text { text }],
            stop_reason: StopReason::EndTurn,
            usage: Usage::default(),
            latency_ms: 1,
            provider_request_id: None,
            model: "model".to_owned(),
            served_by: None,
        };
        self.add(Event::StepFinished(finished), counter)?;
        let usage = Usage::default();
        let ended = TurnEnded { ending: Ending::Complete, wake_at: None, error: None, usage, cost: None };
        self.add(Event::TurnEnded(ended), counter)
    }

    fn add(&mut self, event: Event, counter: &dyn Counter) -> Result<(), Failure> {
        let (turn, tokens, at) = (Some(self.turn), added(&event, counter), Timestamp::from_micros(0));
        let entry = Entry { seq: self.state.head + 1, at, turn, step: None, asked: None, tokens, event };
        self.lines.push(Line::write(&entry).map_err(Failure::failed)?);
        self.state.apply(&entry);
        self.transcript.apply(&entry);
        Ok(())
    }
}
