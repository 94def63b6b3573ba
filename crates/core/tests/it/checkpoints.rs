//! What people do to checkpoints, and what a model is shown with one.

use std::sync::Arc;

use outlive_core::command::{Command, Condensed, ContextCommand, Decision, Planned, Report, Verdict};
use outlive_core::compaction::{Form, Item, Plan, Section, Summary};
use outlive_core::content::{Block, Usage};
use outlive_core::context::Transcript;
use outlive_core::digest::Digest;
use outlive_core::event::{
    Aside, Behavior, CheckpointCreated, ContextPruned, Effect, Event, MessageReceived, OnLost, Sizes, Todo,
    TodoChanged, TodoStatus,
};
use outlive_core::id::{CallId, CheckpointId, Seq};
use outlive_core::media::Attachment;
use outlive_core::session::{Fact, Refusal};

use crate::desk::{Desk, by, reply, text};

fn item(id: &str, text: &str) -> Item {
    Item { id: id.into(), section: Section::Facts, text: text.into(), sources: vec![3], pinned: false }
}

fn context(desk: &mut Desk, what: ContextCommand) -> Result<Seq, Refusal> {
    desk.command(Command::Context { what, by: by() }).map(|(seq, _)| seq)
}

fn made(desk: &Desk) -> Vec<CheckpointCreated> {
    let made = |event: &Event| if let Event::CheckpointCreated(made) = event { Some(made.clone()) } else { None };
    desk.entries.iter().filter_map(|entry| made(&entry.event)).collect()
}

fn newest(desk: &Desk) -> CheckpointCreated {
    made(desk).pop().unwrap()
}

/// A conversation whose first turns are condensed to this; `newest` is the last message of a person.
fn condensed(desk: &mut Desk, summary: Summary, newest: Option<Seq>, schema_from: Option<Seq>) -> CheckpointId {
    let (first, last) = (1, desk.state.head);
    let tokens = Sizes { before: 100_000, covered: 99_000, room: 8_000 };
    let plan = Plan { covers: Aside { first, last }, tail_from: last + 1, tokens };
    let plan = Some(Box::new(Planned { plan, newest, schema_from, model: None }));
    context(desk, ContextCommand::Compact { focus: None, model: None, plan }).unwrap();
    let compaction = desk.state.upkeep.view.under_way.as_ref().unwrap().compaction;
    let piece = Condensed::Piece { change: Box::default(), usage: Usage::default(), part: 0 };
    for condensed in [piece, Condensed::Whole(Box::new(summary))] {
        desk.command(Command::Report(Report::Condensed { compaction, to: last, answer: Ok(condensed) })).unwrap();
    }
    desk.state.upkeep.view.checkpoint.unwrap()
}

fn talked() -> Desk {
    let mut desk = Desk::with_session();
    desk.say("build it").unwrap();
    desk.start_step(1, 1);
    desk.answer(1, 1, Ok(reply(vec![text("built")]))).unwrap();
    desk.settle();
    desk
}

fn list(desk: &mut Desk, items: &[(&str, TodoStatus)]) {
    let items = items.iter().map(|(text, status)| Todo { text: (*text).to_owned(), status: *status }).collect();
    let changed = Event::TodoChanged(TodoChanged { call: CallId::from_bits(7), items });
    desk.record(vec![Fact::of_session(changed)], None);
}

fn ids(made: &CheckpointCreated) -> Vec<&str> {
    made.summary.items.iter().map(|item| item.id.as_str()).collect()
}

#[test]
fn what_is_open_is_as_it_is_now_wherever_somebody_changes_what_is_shown() {
    let begun = || {
        let mut desk = talked();
        list(&mut desk, &[("weed", TodoStatus::Pending), ("plant", TodoStatus::Pending)]);
        let checkpoint =
            condensed(&mut desk, Summary { items: vec![item("f1", "x")], ..Summary::default() }, None, None);
        assert_eq!(ids(&newest(&desk)), ["f1", "todo1", "todo2"]);
        list(&mut desk, &[("weed", TodoStatus::Done), ("plant", TodoStatus::InProgress)]);
        (desk, checkpoint)
    };
    let open = |desk: &Desk| {
        let made = newest(desk);
        let open = made.summary.items.iter().filter(|item| item.is_own());
        open.map(|item| format!("{} {} {}", item.id, item.section.as_str(), item.text)).collect::<Vec<_>>()
    };
    let now = ["todo1 in_progress plant"];
    let (mut desk, checkpoint) = begun();
    let summary = newest(&desk).summary;
    context(&mut desk, ContextCommand::Edit { checkpoint, summary }).unwrap();
    assert_eq!(open(&desk), now);
    let (mut desk, _) = begun();
    let summary = Some(Box::new(newest(&desk).summary));
    context(&mut desk, ContextCommand::Pin { item: "f1".into(), pinned: true, summary }).unwrap();
    assert_eq!(open(&desk), now);
    let (mut desk, _) = begun();
    let summary = Some(Box::new(newest(&desk).summary));
    context(&mut desk, ContextCommand::Clear { summary }).unwrap();
    assert_eq!((open(&desk), desk.state.upkeep.view.tail_from), (now.map(str::to_owned).to_vec(), desk.state.head - 1));
    // Where nothing has changed no version is made.
    let versions = made(&desk).len();
    let summary = Some(Box::new(newest(&desk).summary));
    context(&mut desk, ContextCommand::Clear { summary }).unwrap();
    assert_eq!(made(&desk).len(), versions);
    assert!(newest(&desk).shown().contains("say how it was then"));
}

#[test]
fn what_the_session_names_itself_is_not_pinned_and_a_person_s_own_items_have_other_names() {
    let mut desk = talked();
    list(&mut desk, &[("weed", TodoStatus::Pending)]);
    let checkpoint = condensed(&mut desk, Summary::default(), None, None);
    let summary = newest(&desk).summary;
    let pin = ContextCommand::Pin { item: "todo1".into(), pinned: true, summary: Some(Box::new(summary.clone())) };
    let Err(Refusal::Invalid { code, .. }) = context(&mut desk, pin) else { panic!("it is pinned") };
    assert_eq!(code, "checkpoint_invalid");
    for (id, section, pinned, taken) in [
        ("todo9", Section::Constraints, false, false),
        ("call1", Section::Facts, true, false),
        ("calls1", Section::Constraints, true, true),
        ("todo", Section::Decisions, false, true),
    ] {
        let mut summary = summary.clone();
        summary.items.push(Item { section, pinned, ..item(id, "mine") });
        let edited = context(&mut desk, ContextCommand::Edit { checkpoint, summary });
        assert_eq!(edited.is_ok(), taken, "{id}: {edited:?}");
        assert_eq!(ids(&newest(&desk)).contains(&id), taken, "{id}");
    }
}

#[test]
fn an_item_of_a_summary_that_no_person_could_write_can_be_pinned() {
    let mut desk = talked();
    let long = "x".repeat(100_000);
    condensed(
        &mut desk,
        Summary { last_request: long, items: vec![item("f1", "x")], ..Summary::default() },
        None,
        None,
    );
    let summary = Some(Box::new(newest(&desk).summary));
    context(&mut desk, ContextCommand::Pin { item: "f1".into(), pinned: true, summary }).unwrap();
    assert!(newest(&desk).summary.items[0].pinned);
}

#[test]
fn a_version_that_is_made_by_hand_in_a_running_turn_keeps_its_schema_and_its_request() {
    let mut desk = Desk::with_running_call(Effect::Read, OnLost::Report);
    let checkpoint =
        condensed(&mut desk, Summary { items: vec![item("f1", "x")], ..Summary::default() }, Some(2), Some(2));
    assert_eq!((newest(&desk).schema_from, newest(&desk).carried), (Some(2), Some(2)));
    let summary = newest(&desk).summary;
    context(&mut desk, ContextCommand::Edit { checkpoint, summary: summary.clone() }).unwrap();
    assert_eq!((newest(&desk).schema_from, newest(&desk).carried), (Some(2), Some(2)));
    let pin = ContextCommand::Pin { item: "f1".into(), pinned: true, summary: Some(Box::new(summary)) };
    context(&mut desk, pin).unwrap();
    assert_eq!((newest(&desk).schema_from, newest(&desk).carried), (Some(2), Some(2)));
}

#[test]
fn a_piece_may_end_within_an_event_and_the_next_goes_on_there() {
    let mut desk = talked();
    let last = desk.state.head;
    let tokens = Sizes { before: 100_000, covered: 99_000, room: 8_000 };
    let plan = Plan { covers: Aside { first: 1, last }, tail_from: last + 1, tokens };
    let plan = Some(Box::new(Planned { plan, newest: None, schema_from: None, model: None }));
    context(&mut desk, ContextCommand::Compact { focus: None, model: None, plan }).unwrap();
    let compaction = desk.state.upkeep.view.under_way.as_ref().unwrap().compaction;
    for (to, part, is_taken) in [
        (1, 500, true),
        (1, 500, false),
        (1, 0, false),
        (1, 900, true),
        (2, 0, true),
        (last, 7, false),
        (last, 0, true),
    ] {
        let piece = Condensed::Piece { change: Box::default(), usage: Usage::default(), part };
        let report = Report::Condensed { compaction, to, answer: Ok(piece) };
        let taken = desk.command(Command::Report(report));
        assert_eq!(taken.is_ok(), is_taken, "{to} and {part} bytes: {taken:?}");
        let under_way = desk.state.upkeep.view.under_way.as_ref().unwrap();
        assert!(!is_taken || (under_way.done_to, under_way.part) == (to, part));
    }
}

#[test]
fn what_is_archived_is_condensed_no_more() {
    let mut desk = talked();
    let last = desk.state.head;
    let plan = Plan { covers: Aside { first: 1, last }, tail_from: last + 1, tokens: Sizes::default() };
    let plan = Some(Box::new(Planned { plan, newest: None, schema_from: None, model: None }));
    context(&mut desk, ContextCommand::Compact { focus: None, model: None, plan }).unwrap();
    desk.command(Command::Archive { archived: true, by: by() }).unwrap();
    assert_eq!(desk.state.upkeep.view.under_way, None);
    assert!(made(&desk).is_empty());
}

#[test]
fn a_session_begins_with_what_another_has_come_to_and_nobody_has_said_it() {
    let mut desk = talked();
    let rule = Item { section: Section::Constraints, ..item("k1", "never push") };
    let summary = Summary { goal: "plant".into(), items: vec![rule], last_id: 1, ..Summary::default() };
    context(&mut desk, ContextCommand::Seed { summary: summary.clone() }).unwrap();
    let seeded = newest(&desk);
    assert_eq!((seeded.parent, &seeded.summary), (None, &summary));
    assert_eq!(desk.state.upkeep.view.tail_from, seeded.tail_from);
    let heard = |entry: &&outlive_core::event::Entry| matches!(entry.event, Event::MessageReceived(_));
    assert_eq!(desk.entries.iter().filter(heard).count(), 1, "it is no message");
    desk.say("go on").unwrap();
    let running = context(&mut desk, ContextCommand::Seed { summary });
    assert_eq!(running, Err(Refusal::TurnRunning));
}

/// A message with an image, which the checkpoint carries.
fn carried() -> (CheckpointCreated, MessageReceived) {
    let mut desk = talked();
    condensed(&mut desk, Summary { last_request: "what is this?".into(), ..Summary::default() }, Some(2), None);
    let message = MessageReceived {
        content: "what is this?".into(),
        attachments: vec![Attachment {
            hash: Digest::of(b"image"),
            bytes: 9_000,
            media_type: "image/png".into(),
            name: Some("tree.png".into()),
        }],
        output_schema: Some(Arc::new(serde_json::json!({"type": "object"}))),
        behavior: Behavior::FollowUp,
        origin: by(),
        input: None,
    };
    (newest(&desk), message)
}

#[test]
fn the_files_of_a_carried_message_are_shown_and_its_request_is_still_to_be_answered() {
    let (checkpoint, message) = carried();
    let shown = Transcript::after((&checkpoint, None), Some(&message), None);
    let plain = Transcript::after((&checkpoint, None), None, None);
    let first = |transcript: &Transcript| {
        let frame = crate::accounting::frame("p/m");
        outlive_core::context::assemble(&frame, transcript).0.messages[0].content.clone()
    };
    assert!(matches!(&first(&shown)[0], Block::Media(file) if file.name.as_deref() == Some("tree.png")));
    let Block::Text { text } = &first(&plain)[0] else { panic!("{:?}", first(&plain)) };
    assert!(text.ends_with("go on with that."), "{text}");
    assert!(shown.marks()[0].tokens > plain.marks()[0].tokens + 1_000, "an image has a weight");
}

#[test]
fn a_result_of_a_call_that_a_person_allowed_stays_whole() {
    let mut desk = Desk::with_approval();
    let call = desk.call(0);
    let (verdict, reason, asked) = (Verdict::Allow, None, None);
    desk.command(Command::Decide(Decision { call, asked, verdict, reason, by: by() })).unwrap();
    desk.start_call(0);
    desk.finish_call(0);
    assert_eq!(desk.transcript.kept()[0].form, Form::Always);
    // What the journal says is done.
    let prune = ContextPruned { calls: vec![call], tokens_freed: 0, tokens_before: 0 };
    desk.record(vec![Fact::of_session(Event::ContextPruned(prune))], None);
    assert_eq!(desk.transcript.kept()[0].form, Form::Line);
}
