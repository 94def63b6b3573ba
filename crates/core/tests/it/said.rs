//! What people say beside text: files, and the form of the answer.

use std::sync::Arc;

use outlive_core::command::{Command, Message, QueueItem};
use outlive_core::content::{Block, Failure, FailureKind, Request, Role};
use outlive_core::context::{Frame, FrameParts, assemble, fold_messages};
use outlive_core::digest::Digest;
use outlive_core::event::{Behavior, Ending, Event};
use outlive_core::limits::{ATTACHMENTS, FILES_BYTES, TRUNCATED_ATTEMPTS};
use outlive_core::media::{Attachment, File};
use outlive_core::session::{Debt, Refusal};
use serde_json::{Value, json};

use super::desk::{Desk, by, reply, text};

pub fn photo() -> Attachment {
    let (media_type, name) = ("image/png".to_owned(), Some("photo.png".to_owned()));
    Attachment { hash: Digest::of(b"photo"), media_type, name, bytes: 12_345 }
}

pub fn message(content: &str, attachments: Vec<Attachment>, schema: Option<Value>) -> Command {
    let output_schema = schema.map(Arc::new);
    Command::Message(Message { attachments, output_schema, ..Message::text(content, Behavior::FollowUp, by()) })
}

fn frame() -> Frame {
    frame_of("m")
}

fn refused(attachments: Vec<Attachment>, schema: Option<Value>) -> (String, String) {
    match Desk::with_session().command(message("look", attachments, schema)) {
        Err(Refusal::Invalid { code, what }) => (code.to_owned(), what),
        other => panic!("{other:?}"),
    }
}

#[test]
fn files_alone_are_a_message_and_stand_before_the_text_in_the_request() {
    let mut desk = Desk::with_session();
    desk.command(message("", vec![photo()], None)).unwrap();
    desk.command(message("look", vec![photo()], None)).unwrap();
    desk.start_step(1, 1);
    let (request, _) = assemble(&frame(), &desk.transcript);
    assert_eq!(
        (request.messages[0].role, &request.messages[0].content[..]),
        (Role::User, &[Block::Media(photo())][..])
    );
    desk.answer(1, 1, Ok(reply(vec![text("a photo")]))).unwrap();
    desk.settle();
    let (request, _) = assemble(&frame(), &desk.transcript);
    let both = [Block::Media(photo()), Block::Text { text: "look".into() }];
    assert_eq!(request.messages[2].content, both);
    let items = fold_messages(&desk.entries);
    assert_eq!((items[0].attachments.len(), items[2].attachments.len()), (1, 1));
    assert_eq!(desk.state.profile.unwrap().opening.unwrap(), "[image photo.png, 12 kB]");
}

#[test]
fn a_follow_up_keeps_its_files_and_its_schema_while_its_text_is_edited() {
    let mut desk = Desk::with_session();
    desk.say("go").unwrap();
    desk.start_step(1, 1);
    let schema = json!({"type": "object"});
    desk.command(message("look", vec![photo()], Some(schema.clone()))).unwrap();
    let queued = desk.state.queue.items[0].clone();
    assert_eq!((&queued.attachments[..], queued.output_schema.as_deref()), (&[photo()][..], Some(&schema)));
    let edit = |content: &str| {
        let items = vec![QueueItem { input: Some(queued.input), content: content.into() }];
        Command::SetQueue { items, by: by() }
    };
    desk.command(edit("")).unwrap();
    desk.answer(1, 1, Ok(reply(vec![text("gone")]))).unwrap();
    desk.settle();
    let (request, plan) = assemble(&frame(), &desk.transcript);
    assert_eq!(request.messages[2].content, [Block::Media(photo())]);
    assert_eq!(request.output_schema.as_deref(), Some(&schema));
    assert!(plan.blocks.iter().any(|block| block.part == "output_schema"));
}

#[test]
fn the_schema_goes_with_its_turn_and_no_further() {
    let mut desk = Desk::with_session();
    desk.command(message("count", vec![], Some(json!({"type": "object"})))).unwrap();
    let schema = |desk: &Desk| assemble(&frame(), &desk.transcript).0.output_schema;
    assert!(schema(&desk).is_some());
    desk.start_step(1, 1);
    desk.say_as("only even ones", None, Behavior::Steer).unwrap();
    desk.answer(1, 1, Ok(reply(vec![text("{}")]))).unwrap();
    assert!(schema(&desk).is_some(), "a steer changes nothing about the form");
    desk.start_step(2, 1);
    desk.answer(2, 1, Ok(reply(vec![text("{}")]))).unwrap();
    desk.settle();
    desk.say("thanks").unwrap();
    assert_eq!(schema(&desk), None);
}

#[test]
fn what_does_not_fit_of_files_and_schemas_is_refused_with_its_place() {
    let with = |change: fn(&mut Attachment)| {
        let mut file = photo();
        change(&mut file);
        vec![file]
    };
    for (files, why) in [
        (vec![photo(); ATTACHMENTS + 1], "a message has at most 20 attachments, this one has 21"),
        (with(|file| file.bytes = FILES_BYTES as u64 + 1), "the attachments of a message have at most 14680064 bytes"),
        (with(|file| file.name = Some("a\nb".into())), "attachments[0].name: at most 200 characters, on one line"),
        (with(|file| file.name = Some("x".repeat(201))), "attachments[0].name"),
    ] {
        let (code, what) = refused(files, None);
        assert_eq!(code, "attachment_invalid");
        assert!(what.starts_with(why), "{what}");
    }
    let deep = (0..70).fold(json!({}), |inner, _| json!({ "not": inner }));
    for (schema, why) in [
        (json!({"description": "x".repeat(70_000)}), "output_schema: at most 65536 bytes"),
        (json!(true), "output_schema: a JSON object is needed"),
        (deep, "output_schema: a JSON object is needed, nested at most 64 levels"),
    ] {
        let (code, what) = refused(vec![], Some(schema));
        assert_eq!(code, "schema_invalid");
        assert!(what.starts_with(why), "{what}");
    }
}

#[test]
fn the_same_text_with_other_files_or_another_schema_is_another_request() {
    let plain = Message::text("look", Behavior::FollowUp, by());
    let digest = |command: &Command| command.digest();
    let all = [
        digest(&Command::Message(plain)),
        digest(&message("look", vec![photo()], None)),
        digest(&message("look", vec![], Some(json!({})))),
    ];
    assert!(all[0] != all[1] && all[1] != all[2] && all[0] != all[2], "{all:?}");
}

#[test]
fn an_answer_off_its_schema_is_asked_again_a_few_times_and_then_fails_the_turn() {
    let mut desk = Desk::with_session();
    desk.command(message("count", vec![], Some(json!({"type": "object"})))).unwrap();
    let off = || Failure { kind: FailureKind::OffSchema, message: "no".into(), retry_after_ms: None };
    for attempt in 1..=TRUNCATED_ATTEMPTS {
        assert!(!matches!(desk.owed()[..], [Debt::End { .. }]), "{attempt}");
        desk.start_step(1, attempt);
        desk.answer(1, attempt, Err(off())).unwrap();
    }
    let [Debt::End { ending: Ending::Failed, error: Some(error) }] = &desk.owed()[..] else { panic!() };
    assert_eq!(error.code, "output_invalid");
}

fn frame_of(model: &str) -> Frame {
    Frame::new(FrameParts {
        window: outlive_core::context::Window::default(),
        system: vec!["s".into()],
        tools: vec![],
        max_output_tokens: 1,
        temperature: None,
        model: model.into(),
        agent_digest: "0".into(),
    })
}

/// Says whether a model is not shown the photo, since its provider refused it.
fn is_refused(desk: &Desk, model: &str) -> bool {
    assemble(&frame_of(model), &desk.transcript).0.files.get(&photo().hash) == Some(&File::Refused)
}

fn refuse(desk: &mut Desk, attempt: u32, suspects: Vec<Attachment>) {
    let failure = Failure { kind: FailureKind::InvalidRequest, message: "400: bad image".into(), retry_after_ms: None };
    desk.start_step_of("m", 1, attempt);
    desk.answer_suspecting(suspects, (1, attempt), Err(failure)).unwrap();
}

#[test]
fn a_file_that_a_request_was_refused_for_is_not_shown_to_that_model_again() {
    let mut desk = Desk::with_session();
    desk.command(message("look", vec![photo()], None)).unwrap();
    refuse(&mut desk, 1, vec![photo()]);
    assert_eq!(desk.owed(), [Debt::StartStep { step: 1, attempt: 2, again: false }], "at once");
    let failed = |event: &Event| if let Event::StepFailed(failed) = event { Some(failed.clone()) } else { None };
    let failed = desk.entries.iter().find_map(|entry| failed(&entry.event)).unwrap();
    let (said, left_out) = (failed.message, failed.left_out);
    assert!(said.starts_with("400: bad image") && said.ends_with("image photo.png, 12 kB"), "{said}");
    assert_eq!(left_out, [photo()]);
    assert!(is_refused(&desk, "m") && !is_refused(&desk, "another"));
    desk.start_step_of("m", 1, 2);
    desk.answer(1, 2, Ok(reply(vec![text("what photo?")]))).unwrap();
    desk.settle();
    desk.command(message("and now?", vec![], None)).unwrap();
    assert!(is_refused(&desk, "m") && !is_refused(&desk, "another"));
    let sizes = ["m", "another"].map(|model| assemble(&frame_of(model), &desk.transcript).1.tokens_estimated);
    assert!(sizes[0] < sizes[1], "what is not sent is not counted: {sizes:?}");
    let digests = ["m", "another"].map(|model| assemble(&frame_of(model), &desk.transcript).1.request);
    assert_ne!(digests[0], digests[1]);
}

#[test]
fn a_file_is_not_blamed_where_the_request_is_refused_without_it_too() {
    let mut desk = Desk::with_session();
    desk.command(message("look", vec![photo()], None)).unwrap();
    refuse(&mut desk, 1, vec![photo()]);
    refuse(&mut desk, 2, vec![]);
    let [Debt::End { ending: Ending::Failed, error: Some(error) }] = &desk.owed()[..] else { panic!() };
    assert_eq!(error.code, "model_invalid_request");
    desk.settle();
    assert!(!is_refused(&desk, "m"));
}

#[test]
fn new_files_are_suspected_before_those_that_were_answered_and_text_never_is() {
    let file = |name: &str, media_type: &str| Attachment {
        hash: Digest::of(name.as_bytes()),
        media_type: media_type.to_owned(),
        name: Some(name.to_owned()),
        bytes: 1,
    };
    let (old, new, notes) = (file("old", "image/png"), file("new", "application/pdf"), file("notes", "text/plain"));
    let media = |files: &[&Attachment]| files.iter().map(|file| Block::Media((*file).clone())).collect::<Vec<_>>();
    let suspects = |last: &[&Attachment]| {
        let messages = [
            (Role::User, media(&[&old, &notes])),
            (Role::Assistant, vec![Block::Text { text: "seen".into() }]),
            (Role::User, media(last)),
        ];
        let messages = messages.map(|(role, content)| Arc::new(outlive_core::content::Message { role, content }));
        let mut request = Request { messages: messages.to_vec(), ..Request::default() };
        for file in [&old, &new, &notes] {
            request.files.add(file.hash.clone(), File::Whole(b"x".as_slice().into()));
        }
        let suspects: Vec<String> = request.suspects().into_iter().filter_map(|file| file.name).collect();
        suspects
    };
    assert_eq!(suspects(&[&new, &notes, &new]), ["new"]);
    assert_eq!(suspects(&[&notes]), ["old"]);
    let bare = Request::default();
    assert_eq!(bare.suspects(), []);
}
