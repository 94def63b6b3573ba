//! Files and the form of answers through the real runtime: bytes reach the model, a file that has vanished bricks nothing,
//! and what does not fit a schema is never passed off as an answer.

use std::sync::Arc;

use outlive_core::command::{Command, Message};
use outlive_core::content::{FailureKind, Request};
use outlive_core::digest::Digest;
use outlive_core::event::{Ending, Event};
use outlive_core::limits::TRUNCATED_ATTEMPTS;
use outlive_core::media::{Attachment, File};
use outlive_core::session::Refusal;
use outlive_model::scripted::{Scripted, Step};
use outlive_runtime::{AttachError, Outcome, SubmitError};
use outlive_tools::registry::Toolbox;
use serde_json::{Value, json};

use super::house::{Agents, House, kit, message};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0crc.";

struct Desk {
    house: House,
    model: Scripted,
}

impl Desk {
    async fn with_session() -> Self {
        let model = Scripted::default();
        let kit = kit(model.clone(), Toolbox::new(vec![]), "mode: ask");
        Self { house: House::of(Agents::of(kit)).await, model }
    }

    async fn attached(&self, bytes: &[u8], media_type: &str) -> Result<Attachment, AttachError> {
        let hash = self.house.runtime.keep(bytes.to_vec()).await.unwrap().0;
        self.house.runtime.attachment(hash, media_type, Some("a".into())).await
    }

    async fn say(&self, attachments: Vec<Attachment>, schema: Option<Value>) -> Result<Outcome, SubmitError> {
        let output_schema = schema.map(Arc::new);
        let message = Message { attachments, output_schema, ..message("look") };
        let said = self.house.ask(1, Command::Message(message)).await?;
        Ok(self.house.outcome(1, said).await)
    }

    async fn failures(&self) -> Vec<FailureKind> {
        let kind = |event| if let Event::StepFailed(failed) = event { Some(failed.kind) } else { None };
        self.house.events(1).await.into_iter().filter_map(kind).collect()
    }
}

fn brought(request: &Request, bytes: &[u8]) -> Option<usize> {
    match request.files.get(&Digest::of(bytes)) {
        Some(File::Whole(bytes)) => Some(bytes.len()),
        Some(File::LeftOut | File::Refused) => Some(0),
        None => None,
    }
}

#[tokio::test(start_paused = true)]
async fn the_bytes_of_files_reach_the_model_in_every_request_that_shows_them() {
    let desk = Desk::with_session().await;
    for _ in 0..2 {
        desk.model.then(Step::text("seen"));
    }
    let photo = desk.attached(PNG, "image/png").await.unwrap();
    assert_eq!(desk.say(vec![photo], None).await.unwrap().ending, Ending::Complete);
    assert_eq!(desk.say(vec![], None).await.unwrap().ending, Ending::Complete);
    let found: Vec<_> = desk.model.requests().iter().map(|request| brought(request, PNG)).collect();
    assert_eq!(found, [Some(PNG.len()), Some(PNG.len())]);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_has_vanished_does_not_keep_its_session_from_going_on() {
    let desk = Desk::with_session().await;
    desk.model.then(Step::text("not seen"));
    let name = Some("gone.png".to_owned());
    let gone = Attachment { hash: Digest::of(b"gone"), media_type: "image/png".into(), name, bytes: 4 };
    assert_eq!(desk.say(vec![gone], None).await.unwrap().ending, Ending::Complete);
    assert_eq!(brought(&desk.model.requests()[0], b"gone"), None);
}

#[tokio::test(start_paused = true)]
async fn when_files_fill_a_request_the_newest_are_brought() {
    let desk = Desk::with_session().await;
    let pdf = |n: u8| [b"%PDF-1.7\n".as_slice(), &vec![n; 6 << 20]].concat();
    for n in 0..3 {
        desk.model.then(Step::text("read"));
        let file = desk.attached(&pdf(n), "application/pdf").await.unwrap();
        desk.say(vec![file], None).await.unwrap();
    }
    let last = desk.model.requests().pop().unwrap();
    let found: Vec<_> = (0..3).map(|n| brought(&last, &pdf(n))).collect();
    assert_eq!(found, [Some(0), Some(pdf(1).len()), Some(pdf(2).len())]);
}

#[tokio::test(start_paused = true)]
async fn only_what_is_kept_and_of_its_type_can_be_attached() {
    let desk = Desk::with_session().await;
    let missing = desk.house.runtime.attachment(Digest::of(b"never"), "image/png", None).await;
    assert_eq!(missing, Err(AttachError::Missing(Digest::of(b"never"))));
    for (bytes, media_type) in [(PNG, "application/pdf"), (PNG, "image/svg+xml"), (b"".as_slice(), "text/plain")] {
        let refused = desk.attached(bytes, media_type).await;
        assert!(matches!(refused, Err(AttachError::Unfit(_))), "{media_type}: {refused:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_fit_is_asked_again_and_never_shown_as_one() {
    let desk = Desk::with_session().await;
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    desk.model.then(Step::text("it is seven"));
    desk.model.then(Step::text(r#"{"n": 7}"#));
    let outcome = desk.say(vec![], Some(schema.clone())).await.unwrap();
    assert_eq!((outcome.ending, outcome.message.as_str()), (Ending::Complete, r#"{"n": 7}"#));
    assert_eq!(desk.failures().await, [FailureKind::OffSchema]);
    for _ in 0..TRUNCATED_ATTEMPTS {
        desk.model.then(Step::text(r#"{"n": "seven"}"#));
    }
    let outcome = desk.say(vec![], Some(schema)).await.unwrap();
    let error = outcome.error.unwrap();
    assert_eq!((outcome.ending, error.code.as_str(), outcome.message.as_str()), (Ending::Failed, "output_invalid", ""));
    assert!(error.message.contains("/n: "), "{}", error.message);
}

#[tokio::test(start_paused = true)]
async fn a_schema_that_is_none_is_refused_with_the_place() {
    let desk = Desk::with_session().await;
    for (schema, place) in [
        (json!({"properties": {"n": {"type": "number!"}}}), "output_schema/properties/n/type: "),
        (json!({"required": "n"}), "output_schema/required: "),
        (json!({"$ref": "https://example.com/schema.json"}), "output_schema"),
    ] {
        let refused = desk.say(vec![], Some(schema)).await.unwrap_err();
        let SubmitError::Refused(Refusal::Invalid { code, what }) = refused else { panic!("{refused}") };
        assert_eq!(code, "schema_invalid");
        assert!(what.starts_with(place), "{what}");
    }
}
