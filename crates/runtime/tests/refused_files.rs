//! A file that a provider refuses: the turn goes on without it, and neither a later turn nor another process sends it again.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use outlive_core::command::{Command, Create, Message};
use outlive_core::content::{FailureKind, Request};
use outlive_core::context::{Frame, FrameParts};
use outlive_core::event::{Behavior, Ending, Event, OnDisconnect, Origin, OriginKind};
use outlive_core::id::{AgentName, SessionId};
use outlive_core::media::{Attachment, File};
use outlive_core::policy::Policy;
use outlive_core::time::Timestamp;
use outlive_model::scripted::{Scripted, Step};
use outlive_runtime::clock::{Moments, TokioClock};
use outlive_runtime::kit::{Card, Kit, KitError, Kits, Terms, Voice, Voices};
use outlive_runtime::{AttachError, Outcome, Runtime, Settings};
use outlive_store::{Store, StoreError, memory};
use outlive_tools::Place;
use outlive_tools::registry::Toolbox;

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

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0crc.";

fn session() -> SessionId {
    SessionId::from_bits(1)
}

fn by() -> Origin {
    Origin::of(OriginKind::Cli)
}

fn is_shown(request: &Request, file: &Attachment) -> bool {
    matches!(request.files.get(&file.hash), Some(File::Whole(_)))
}

/// A provider that refuses every request with a file in it.
fn picky() -> Scripted {
    Scripted::by(|request, _| {
        let shown = request.attachments().any(|file| is_shown(request, file));
        if shown { Step::fail(FailureKind::InvalidRequest) } else { Step::text("answered") }
    })
}

async fn start(store: &Store, model: &Scripted) -> Arc<Runtime> {
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
    let clock = TokioClock::from(Timestamp::from_micros(1_700_000_000_000_000));
    let moments = Moments::new(Arc::new(clock), 1);
    Runtime::start(store.clone(), Arc::new(OneKit(Arc::new(kit))), moments, Settings::default()).await.unwrap()
}

async fn create(runtime: &Runtime) {
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
}

async fn say(runtime: &Runtime, attachments: Vec<Attachment>) -> Outcome {
    let message = Message { attachments, ..Message::text("look", Behavior::FollowUp, by()) };
    let accepted = runtime.submit(session(), Command::Message(message), None).await.unwrap();
    runtime.outcome(session(), accepted.turn.unwrap(), accepted.seq).await.unwrap()
}

async fn photo(runtime: &Runtime) -> Attachment {
    let hash = runtime.keep(PNG.to_vec()).await.unwrap();
    runtime.attachment(hash, "image/png", Some("photo.png".into())).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_turn_is_answered_without_the_file_that_was_refused_and_no_later_one_sends_it() {
    let ((store, _faults), model) = (memory::store(), picky());
    let runtime = start(&store, &model).await;
    create(&runtime).await;
    let photo = photo(&runtime).await;
    let outcome = say(&runtime, vec![photo.clone()]).await;
    assert_eq!((outcome.ending, outcome.message.as_str()), (Ending::Complete, "answered"));
    let lines = runtime.entries(session(), 0, 100).await.unwrap();
    let failed = |event: Event| if let Event::StepFailed(failed) = event { Some(failed) } else { None };
    let failed = lines.iter().find_map(|line| failed(line.read().unwrap().event)).unwrap();
    assert!(failed.message.contains("image photo.png"), "{}", failed.message);
    assert_eq!(failed.left_out, std::slice::from_ref(&photo));
    say(&runtime, vec![]).await;
    runtime.shutdown().await;
    let runtime = start(&store, &model).await;
    say(&runtime, vec![]).await;
    let shown: Vec<bool> = model.requests().iter().map(|request| is_shown(request, &photo)).collect();
    assert_eq!(shown, [true, false, false, false]);
}

#[tokio::test(start_paused = true)]
async fn a_file_is_sent_again_where_the_request_is_refused_without_it_too() {
    let (store, _faults) = memory::store();
    let model = Scripted::by(|_, _| Step::text("answered"));
    let runtime = start(&store, &model).await;
    create(&runtime).await;
    let photo = photo(&runtime).await;
    model.then(Step::fail(FailureKind::InvalidRequest));
    model.then(Step::fail(FailureKind::InvalidRequest));
    let outcome = say(&runtime, vec![photo.clone()]).await;
    assert_eq!((outcome.ending, outcome.error.unwrap().code.as_str()), (Ending::Failed, "model_invalid_request"));
    assert_eq!(say(&runtime, vec![]).await.ending, Ending::Complete);
    let shown: Vec<bool> = model.requests().iter().map(|request| is_shown(request, &photo)).collect();
    assert_eq!(shown, [true, false, true]);
}

#[tokio::test(start_paused = true)]
async fn what_no_provider_takes_cannot_be_attached() {
    let (store, _faults) = memory::store();
    let runtime = start(&store, &picky()).await;
    let locked = b"%PDF-1.4\ntrailer << /Encrypt 1 0 R >>\nstartxref\n9\n%%EOF".as_slice();
    for (bytes, media_type, why) in [(&PNG[..20], "image/png", "broken"), (locked, "application/pdf", "encrypted")] {
        let hash = runtime.keep(bytes.to_vec()).await.unwrap();
        let refused = runtime.attachment(hash, media_type, Some("a.file".into())).await;
        let Err(AttachError::Unfit(said)) = refused else { panic!("{refused:?}") };
        assert!(said.starts_with("a.file cannot be attached: ") && said.contains(why), "{said}");
    }
}
