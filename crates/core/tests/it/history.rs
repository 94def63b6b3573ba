//! Forks and rewinds.

use std::sync::Arc;

use super::desk::{Desk, by, call_reply, reply, text, told};
use outlive_core::command::{Command, Fork, Rewind};
use outlive_core::content::Block;
use outlive_core::context::Transcript;
use outlive_core::event::{Aside, Effect, Ending, Entry, Event, OnLost, Parent};
use outlive_core::id::{Seq, SessionId};
use outlive_core::session::{Decided, Refusal, Ruling, State, Status};

/// A desk that begins as another one did.
pub fn fork(desk: &mut Desk, at: usize) -> Desk {
    let mut other = Desk::empty();
    let parent = Parent { session: desk.state.profile.as_ref().unwrap().session, seq: at as Seq };
    let entries = Arc::new(desk.entries[..at].to_vec());
    let command = Command::Fork(Fork { parent, at: None, entries, title: Some("other".into()), by: by() });
    let decided = other.state.decide(SessionId::from_bits(77), &command, None, &mut desk.moment).unwrap();
    let Decided::Shared(entries) = decided else { panic!("{decided:?}") };
    for entry in entries {
        other.state.apply(&entry);
        other.transcript.apply(&entry);
        other.entries.push(entry);
    }
    let facts = other.state.parted(Some(&"other".to_owned()), &by());
    other.record(facts, None);
    other
}

pub fn rewind(desk: &mut Desk, to: Seq) -> Result<(), Refusal> {
    let (mut then, mut calm) = (State::default(), 0);
    for entry in desk.entries.iter().filter(|entry| entry.seq <= to) {
        then.apply(entry);
        let between = entry.turn.is_none() || matches!(entry.event, Event::TurnEnded(_));
        calm = if between && then.turn.is_none() { entry.seq } else { calm };
    }
    let command = Command::Rewind(Rewind { to_seq: to, then: Arc::new(then), calm, by: by() });
    desk.command(command)?;
    let aside = &desk.state.profile.as_ref().unwrap().aside;
    desk.transcript = Transcript::default();
    let kept: Vec<&Entry> = desk.entries.iter().filter(|entry| !Aside::holds(aside, entry.seq)).collect();
    kept.into_iter().for_each(|entry| desk.transcript.apply(entry));
    Ok(())
}

fn turn(desk: &mut Desk, said: &str, answer: &str) -> Seq {
    desk.say(said).unwrap();
    desk.start_step(1, 1);
    desk.answer(1, 1, Ok(reply(vec![text(answer)]))).unwrap();
    desk.settle();
    desk.state.head
}

fn heard(desk: &Desk) -> Vec<String> {
    let text = |block| if let Block::Text { text } = block { Some(text) } else { None };
    told(desk).into_iter().filter_map(text).collect()
}

#[test]
fn a_fork_at_any_event_is_a_session_at_rest_that_takes_the_next_message() {
    let mut desk = Desk::with_running_call(Effect::Effectful, OnLost::Report);
    desk.say("later").unwrap();
    desk.finish_call(0);
    desk.start_step(2, 1);
    desk.answer(2, 1, Ok(call_reply(&["bash", "bash"]))).unwrap();
    desk.rule(
        0,
        Ruling::Ask {
            summary: "ls".into(),
            rule: "bash:ls".into(),
            because: vec![],
            effect: Effect::Effectful,
            on_lost: OnLost::Ask,
            ruled: None,
        },
    );
    desk.command(Command::Pause { by: by(), reason: None }).unwrap();
    for at in 1..=desk.entries.len() {
        let mut other = fork(&mut desk, at);
        assert_eq!((other.state.status(), other.owed()), (Status::Idle, vec![]), "at {at}");
        assert!(other.state.queue.items.is_empty());
        let profile = other.state.profile.clone().unwrap();
        assert_eq!((profile.session, profile.title.as_deref()), (SessionId::from_bits(77), Some("other")));
        assert_eq!(profile.parent.map(|parent| parent.seq), Some(at as Seq));
        for (own, shared) in other.entries.iter().zip(&desk.entries[..at]).skip(1) {
            assert_eq!((own.seq, own.at, &own.event, &own.asked), (shared.seq, shared.at, &shared.event, &None));
        }
        turn(&mut other, "and now", "fine");
        assert_eq!(other.state.last.as_ref().map(|last| last.ending), Some(Ending::Complete), "at {at}");
    }
}

#[test]
fn a_fork_of_nothing_is_no_session() {
    // A fork that is asked for again brings no events; it may have been deleted since it was seen.
    let mut desk = Desk::with_session();
    let parent = Parent { session: SessionId::from_bits(1), seq: 1 };
    let command = Command::Fork(Fork { parent, at: None, entries: Arc::default(), title: None, by: by() });
    let decided = State::default().decide(SessionId::from_bits(77), &command, None, &mut desk.moment);
    assert_eq!(decided, Err(Refusal::NoSession));
}

#[test]
fn what_runs_in_the_original_is_never_run_by_a_fork() {
    let mut desk = Desk::with_running_call(Effect::Idempotent, OnLost::Report);
    let at = desk.entries.len();
    let other = fork(&mut desk, at);
    let lost = |entry: &Entry| matches!(&entry.event, Event::CallLost(_));
    assert_eq!(other.entries.iter().filter(|entry| lost(entry)).count(), 1);
    let Block::ToolResult { content, .. } = &told(&other)[0] else { panic!() };
    assert!(content.contains("in the session that this one comes from"), "{content}");
}

#[test]
fn a_rewound_session_goes_on_as_if_what_came_after_had_not_been_said() {
    let mut desk = Desk::with_session();
    let first = turn(&mut desk, "one", "1");
    let second = turn(&mut desk, "two", "2");
    rewind(&mut desk, first).unwrap();
    assert_eq!(desk.state.profile.as_ref().unwrap().aside, [Aside { first: first + 1, last: second }]);
    turn(&mut desk, "three", "3");
    let branch = desk.state.head;
    desk.say("four").unwrap();
    assert_eq!(desk.transcript_text(), ["one", "1", "three", "3", "four"]);
    desk.command(Command::Interrupt { by: by() }).unwrap();
    desk.settle();
    // A rewind can be rewound: what it set aside is back, what came after it is not.
    rewind(&mut desk, second).unwrap();
    desk.say("five").unwrap();
    assert_eq!(desk.transcript_text(), ["one", "1", "two", "2", "five"]);
    desk.command(Command::Interrupt { by: by() }).unwrap();
    desk.settle();
    rewind(&mut desk, branch).unwrap();
    desk.say("six").unwrap();
    assert_eq!(desk.transcript_text(), ["one", "1", "three", "3", "six"]);
    assert_eq!(heard(&desk), ["six"]);
}

#[test]
fn a_question_that_waited_then_waits_again() {
    let mut desk = Desk::with_question();
    let asked = desk.state.head;
    let open = desk.state.open_questions();
    let answers = vec![vec!["red".to_owned()]];
    desk.command(Command::Answer { question: open[0].question, answers, by: by() }).unwrap();
    desk.command(Command::Interrupt { by: by() }).unwrap();
    desk.settle();
    assert!(desk.state.open_questions().is_empty());
    rewind(&mut desk, asked).unwrap();
    assert_eq!((desk.state.open_questions(), desk.state.status()), (open.clone(), Status::Asking));
    let answers = vec![vec!["blue".to_owned()]];
    desk.command(Command::Answer { question: open[0].question, answers, by: by() }).unwrap();
    let Block::ToolResult { content, .. } = &told(&desk)[0] else { panic!() };
    assert_eq!(content, "Which?\nblue");
}

#[test]
fn a_session_is_rewound_between_turns_and_to_a_place_between_turns() {
    let mut desk = Desk::with_session();
    let first = turn(&mut desk, "one", "1");
    desk.say("two").unwrap();
    assert_eq!(rewind(&mut desk, first), Err(Refusal::TurnRunning));
    desk.command(Command::Interrupt { by: by() }).unwrap();
    desk.settle();
    let code = |refused| if let Err(Refusal::Invalid { code, .. }) = refused { code } else { "" };
    let head = desk.state.head;
    for (to, expected) in [
        (0, "seq_out_of_range"),
        (head, "seq_out_of_range"),
        (head + 5, "seq_out_of_range"),
        (2, "seq_in_turn"),
        (4, "seq_in_turn"),
    ] {
        assert_eq!(code(rewind(&mut desk, to)), expected, "to {to}");
    }
    desk.command(Command::Archive { archived: true, by: by() }).unwrap();
    assert_eq!(rewind(&mut desk, first), Err(Refusal::Archived));
}

#[test]
fn follow_ups_wait_for_a_person_after_a_rewind() {
    let mut desk = Desk::with_question();
    let asked = desk.state.head;
    turn(&mut desk, "never mind", "fine");
    desk.say("go").unwrap();
    desk.say("later").unwrap();
    desk.command(Command::Pause { by: by(), reason: None }).unwrap();
    desk.command(Command::Interrupt { by: by() }).unwrap();
    desk.settle();
    rewind(&mut desk, asked - 1).unwrap_err();
    rewind(&mut desk, 1).unwrap();
    desk.command(Command::Interrupt { by: by() }).unwrap();
    assert!(desk.state.queue.held && desk.owed().is_empty());
}
