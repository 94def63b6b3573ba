//! What holds for every journal and every conversation, however it came to be.

use super::desk::{self, Desk, call_reply, reply, text};
use outlive_core::content::{Block, Role, ToolSpec};
use outlive_core::context::{Frame, FrameParts, Transcript, assemble};
use outlive_core::event::{Effect, Entry, Line, OnLost};
use outlive_core::session::{Allowance, Held, Ruling, State, read_snapshot, write_snapshot};
use outlive_core::time::Timestamp;
use proptest::prelude::*;

/// Every kind of event that a long story has, to be shuffled, cut and repeated.
fn stock() -> Vec<Entry> {
    let mut desk = Desk::with_approval();
    desk.say("queued").unwrap();
    desk.command(outlive_core::command::Command::Interrupt { by: desk::by() }).unwrap();
    desk.settle();
    desk.start_step(1, 1);
    desk.answer(1, 1, Ok(call_reply(&["look", "write"]))).unwrap();
    desk.rule(0, Ruling::Allowed { by: desk::policy(), effect: Effect::Read, on_lost: OnLost::Report, ruled: None });
    desk.rule(1, Ruling::Denied { by: desk::policy(), content: "no".into() });
    desk.start_call(0);
    desk.die();
    desk.recover();
    desk.finish_call(0);
    desk.start_step(2, 1);
    desk.answer(2, 1, Ok(reply(vec![text("  "), text("done")]))).unwrap();
    desk.settle();
    let mut entries = desk.entries;
    let mut asking = Desk::with_question();
    let question = asking.state.open_questions()[0].question;
    let answer = outlive_core::command::Command::Answer { question, answers: vec![vec!["red".into()]], by: desk::by() };
    asking.command(answer).unwrap();
    entries.extend(asking.entries);
    entries.extend(super::iteration::looped().entries);
    entries.extend(super::waiting::slept().entries);
    entries
}

fn frame() -> Frame {
    Frame::new(FrameParts {
        window: outlive_core::context::Window::default(),
        system: vec!["s".into()],
        tools: vec![ToolSpec { name: "t".into(), description: String::new(), input_schema: serde_json::json!({}) }],
        max_output_tokens: 1,
        temperature: None,
        model: "m".into(),
        agent_digest: "d".into(),
    })
}

pub(super) fn check_well_formed(transcript: &Transcript) {
    let (request, plan) = assemble(&frame(), transcript);
    let mut open = Vec::new();
    for (at, message) in request.messages.iter().enumerate() {
        assert_eq!(message.role, if at % 2 == 0 { Role::User } else { Role::Assistant }, "roles alternate");
        assert!(!message.content.is_empty());
        let results: Vec<_> = message
            .content
            .iter()
            .filter_map(|b| if let Block::ToolResult { id, .. } = b { Some(*id) } else { None })
            .collect();
        assert_eq!(results, open, "every use has its result, in order, in the next message");
        open = message
            .content
            .iter()
            .filter_map(|b| if let Block::ToolUse { id, .. } = b { Some(*id) } else { None })
            .collect();
    }
    assert_eq!(request.messages.last().map(|last| last.role), Some(Role::User));
    assert_eq!(plan.messages as usize, request.messages.len());
    assert_eq!(assemble(&frame(), transcript).1, plan, "the same conversation has the same digest");
}

proptest! {
    #[test]
    fn no_journal_however_scrambled_panics_or_poisons_a_session(order in prop::collection::vec(0usize..1_000, 0..60)) {
        let stock = stock();
        let (mut state, mut transcript) = (State::default(), Transcript::default());
        for (at, pick) in order.into_iter().enumerate() {
            let entry = Entry { seq: at as u64 + 1, ..stock[pick % stock.len()].clone() };
            state.apply(&entry);
            transcript.apply(&entry);
            state.owed(Timestamp::from_micros(i64::MAX), &Held::default(), &Allowance::default()).iter().for_each(|debt| drop(state.settle(debt)));
            check_well_formed(&transcript);
        }
        prop_assert_eq!(read_snapshot(&write_snapshot(&state).unwrap()), Some(state));
    }

    #[test]
    fn a_snapshot_and_the_rest_is_the_whole(cut in 0usize..1_000) {
        let stock = stock();
        let cut = cut % (stock.len() + 1);
        let fold = |mut state: State, entries: &[Entry]| { entries.iter().for_each(|e| state.apply(e)); state };
        let part = fold(State::default(), &stock[..cut]);
        let restored = read_snapshot(&write_snapshot(&part).unwrap()).unwrap();
        prop_assert_eq!(fold(restored, &stock[cut..]), fold(State::default(), &stock));
    }

    #[test]
    fn a_line_reads_back_as_it_was_written(text in ".*", pick in 0usize..1_000) {
        let stock = stock();
        let mut entry = stock[pick % stock.len()].clone();
        if let outlive_core::event::Event::MessageReceived(message) = &mut entry.event {
            message.content = text;
        }
        let line = Line::write(&entry).unwrap();
        prop_assert_eq!(line.read().unwrap(), entry);
        prop_assert_eq!(Line::check(line.as_str().as_bytes()).unwrap(), line);
    }

    #[test]
    fn no_bytes_make_the_line_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(Line::check(&bytes).map(|line| line.read()));
    }
}
