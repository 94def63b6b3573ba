//! Files and the form of answers through the real runtime: bytes reach the model, a file that has vanished bricks nothing,
//! and what does not fit a schema is never passed off as an answer.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use outlive_core::command::{Command, Create, Message};
use outlive_core::content::{FailureKind, Request};
use outlive_core::context::{Frame, FrameParts};
use outlive_core::digest::Digest;
use outlive_core::event::{Behavior, Ending, Event, OnDisconnect, Origin, OriginKind};
use outlive_core::id::{AgentName, SessionId};
use outlive_core::limits::TRUNCATED_ATTEMPTS;
use outlive_core::media::{Attachment, File};
use outlive_core::policy::Policy;
use outlive_core::session::Refusal;
use outlive_core::time::Timestamp;
use outlive_model::scripted::{Scripted, Step};
use outlive_runtime::clock::{Moments, TokioClock};
use outlive_runtime::kit::{Card, Kit, KitError, Kits, Terms, Voice, Voices};
use outlive_runtime::{AttachError, Outcome, Runtime, Settings, SubmitError};
use outlive_store::{StoreError, memory};
use outlive_tools::Place;
use outlive_tools::registry::Toolbox;
use serde_json::{Value, json};

struct OneKit(Arc<Kit>);

impl Kits for OneKit {
    fn kit(&self, _agent: &AgentName) -> Result<Arc<Kit>, KitError> {
        Ok(Arc::clone(&self.0))
    }

    fn card(&self, agent: &AgentName) -> Result<Card, KitError> {
        Err(KitError::Unknown(agent.clone()))
    }

    fn names(&self) -> Result<Vec<AgentName>, StoreError> {
        Ok(Vec::new())
    }
}

struct Desk {
    runtime: Arc<Runtime>,
    model: Scripted,
}

fn session() -> SessionId {
    SessionId::from_bits(1)
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0crc.";

fn by() -> Origin {
    Origin::of(OriginKind::Cli)
}

impl Desk {
    async fn with_session() -> Self {
        let model = Scripted::default();
        let parts = FrameParts {
            system: vec!["test".into()],
            tools: vec![],
            max_output_tokens: 100,
            temperature: None,
            model: "test/script".into(),
            agent_digest: "0".into(),
        };
        let kit = Kit {
            voices: Voices::only(Voice { frame: Frame::new(parts), model: Arc::new(model.clone()) }),
            toolbox: Arc::new(Toolbox::new(vec![])),
            policy: Policy::default(),
            place: Place { cwd: "/".into(), roots: vec![], protected: vec![] },
            terms: Terms::default(),
        };
        let (store, _faults) = memory::store();
        let clock = TokioClock::from(Timestamp::from_micros(1_700_000_000_000_000));
        let moments = Moments::new(Arc::new(clock), 1);
        let runtime = Runtime::start(store, Arc::new(OneKit(Arc::new(kit))), moments, Settings::default());
        let runtime = runtime.await.unwrap();
        let create = Create {
            agent: "helper".parse().unwrap(),
            agent_digest: "0".into(),
            title: None,
            project: None,
            on_disconnect: OnDisconnect::Continue,
            labels: Default::default(),
            by: by(),
        };
        runtime.submit(session(), Command::Create(create), None).await.unwrap();
        Self { runtime, model }
    }

    async fn attached(&self, bytes: &[u8], media_type: &str) -> Result<Attachment, AttachError> {
        let hash = self.runtime.keep(bytes.to_vec()).await.unwrap();
        self.runtime.attachment(hash, media_type, Some("a".into())).await
    }

    async fn say(&self, attachments: Vec<Attachment>, schema: Option<Value>) -> Result<Outcome, SubmitError> {
        let message = Message {
            attachments,
            output_schema: schema.map(Arc::new),
            ..Message::text("look", Behavior::FollowUp, by())
        };
        let accepted = self.runtime.submit(session(), Command::Message(message), None).await?;
        self.runtime.outcome(session(), accepted.turn.unwrap(), accepted.seq).await
    }

    async fn failures(&self) -> Vec<FailureKind> {
        let lines = self.runtime.entries(session(), 0, 1_000).await.unwrap();
        let kind = |event: Event| if let Event::StepFailed(failed) = event { Some(failed.kind) } else { None };
        lines.iter().filter_map(|line| kind(line.read().unwrap().event)).collect()
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
    let missing = desk.runtime.attachment(Digest::of(b"never"), "image/png", None).await;
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
