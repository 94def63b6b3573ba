//! A file that a provider refuses: the turn goes on without it, and neither a later turn nor another process sends it again.

use outlive_core::command::{Command, Message};
use outlive_core::content::{FailureKind, Request};
use outlive_core::event::{Ending, Event};
use outlive_core::media::{Attachment, File};
use outlive_model::scripted::{Scripted, Step};
use outlive_runtime::{AttachError, Outcome};
use outlive_tools::registry::Toolbox;

use super::house::{Agents, House, kit, message};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0crc.";

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

async fn house(model: &Scripted) -> House {
    House::of(Agents::of(kit(model.clone(), Toolbox::new(vec![]), "mode: ask"))).await
}

async fn say(house: &House, attachments: Vec<Attachment>) -> Outcome {
    let said = house.ask(1, Command::Message(Message { attachments, ..message("look") })).await.unwrap();
    house.outcome(1, said).await
}

async fn photo(house: &House) -> Attachment {
    let hash = house.runtime.keep(PNG.to_vec()).await.unwrap().0;
    house.runtime.attachment(hash, "image/png", Some("photo.png".into())).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_turn_is_answered_without_the_file_that_was_refused_and_no_later_one_sends_it() {
    let model = picky();
    let mut house = house(&model).await;
    let photo = photo(&house).await;
    let outcome = say(&house, vec![photo.clone()]).await;
    assert_eq!((outcome.ending, outcome.message.as_str()), (Ending::Complete, "answered"));
    let failed = |event: Event| if let Event::StepFailed(failed) = event { Some(failed) } else { None };
    let failed = house.events(1).await.into_iter().find_map(failed).unwrap();
    assert!(failed.message.contains("image photo.png"), "{}", failed.message);
    assert_eq!(failed.left_out, std::slice::from_ref(&photo));
    say(&house, vec![]).await;
    house.restart().await;
    say(&house, vec![]).await;
    let shown: Vec<bool> = model.requests().iter().map(|request| is_shown(request, &photo)).collect();
    assert_eq!(shown, [true, false, false, false]);
}

#[tokio::test(start_paused = true)]
async fn a_file_is_sent_again_where_the_request_is_refused_without_it_too() {
    let model = Scripted::by(|_, _| Step::text("answered"));
    let house = house(&model).await;
    let photo = photo(&house).await;
    model.then(Step::fail(FailureKind::InvalidRequest));
    model.then(Step::fail(FailureKind::InvalidRequest));
    let outcome = say(&house, vec![photo.clone()]).await;
    assert_eq!((outcome.ending, outcome.error.unwrap().code.as_str()), (Ending::Failed, "model_invalid_request"));
    assert_eq!(say(&house, vec![]).await.ending, Ending::Complete);
    let shown: Vec<bool> = model.requests().iter().map(|request| is_shown(request, &photo)).collect();
    assert_eq!(shown, [true, false, true]);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_was_answered_about_is_left_out_of_one_turn_at_most() {
    let model = Scripted::by(|_, _| Step::text("answered"));
    let house = house(&model).await;
    let photo = photo(&house).await;
    say(&house, vec![photo.clone()]).await;
    // As a request that has become too long.
    model.then(Step::fail(FailureKind::InvalidRequest));
    assert_eq!(say(&house, vec![]).await.ending, Ending::Complete);
    say(&house, vec![]).await;
    let shown: Vec<bool> = model.requests().iter().map(|request| is_shown(request, &photo)).collect();
    assert_eq!(shown, [true, true, false, true]);
}

#[tokio::test(start_paused = true)]
async fn what_no_provider_takes_cannot_be_attached() {
    let house = house(&picky()).await;
    let locked = b"%PDF-1.4\ntrailer << /Encrypt 1 0 R >>\nstartxref\n9\n%%EOF".as_slice();
    for (bytes, media_type, why) in [(&PNG[..20], "image/png", "broken"), (locked, "application/pdf", "encrypted")] {
        let hash = house.runtime.keep(bytes.to_vec()).await.unwrap().0;
        let refused = house.runtime.attachment(hash, media_type, Some("a.file".into())).await;
        let Err(AttachError::Unfit(said)) = refused else { panic!("{refused:?}") };
        assert!(said.starts_with("a.file cannot be attached: ") && said.contains(why), "{said}");
    }
}
