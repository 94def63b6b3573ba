//! A conversation of another program, imported, makes requests that every API takes, whatever became of its calls.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use outlive_core::content::Block;
use outlive_core::context::{Frame, FrameParts, Transcript, assemble};
use outlive_core::digest::Digest;
use outlive_core::event::OnDisconnect;
use outlive_core::import::{Adopted, Records, claude_code, codex, journal};
use outlive_core::time::Timestamp;

fn check(mut reader: Box<dyn Records>, file: &[u8]) {
    let lines: Vec<&[u8]> = file.split(|byte| *byte == b'\n').collect();
    lines.iter().zip(1..).for_each(|(line, number)| reader.line(number, line));
    let talk = reader.finish(Digest::of(file)).talk.unwrap();
    let adopted = Adopted {
        agent: "default".parse().unwrap(),
        agent_digest: String::new(),
        on_disconnect: OnDisconnect::Continue,
        talk: Arc::new(talk),
    };
    let entries = journal(adopted.talk.session(), &adopted, Timestamp::from_micros(1_900_000_000_000_000));
    for end in 0..=entries.len() {
        let mut transcript = Transcript::default();
        entries[..end].iter().for_each(|entry| transcript.apply(entry));
        let frame = Frame::new(FrameParts {
            window: outlive_core::context::Window::default(),
            system: Vec::new(),
            tools: Vec::new(),
            max_output_tokens: 1_000,
            temperature: None,
            model: "anthropic/claude-sonnet-4-5".to_owned(),
            agent_digest: String::new(),
        });
        let (request, _) = assemble(&frame, &transcript);
        assert_eq!(outlive_model::wellformed::check(&request), Ok(()), "after {end} events");
        let thinks = |block: &Block| matches!(block, Block::Thinking { .. });
        assert!(!request.messages.iter().any(|message| message.content.iter().any(thinks)), "its seal is not ours");
    }
}

#[test]
fn an_imported_conversation_is_well_formed_for_every_model_wherever_it_ends() {
    check(
        Box::new(claude_code::Reader::new("calls", "1")),
        include_bytes!("../../core/tests/imports/claude_code/calls.jsonl"),
    );
    check(
        Box::new(claude_code::Reader::new("branches", "2")),
        include_bytes!("../../core/tests/imports/claude_code/branches.jsonl"),
    );
    check(
        Box::new(codex::Reader::new("envelope", "3")),
        include_bytes!("../../core/tests/imports/codex/envelope.jsonl"),
    );
}
