//! Files in messages, as each API takes them, over real HTTP; and what becomes of those that it does not take.

use std::sync::Arc;

use outlive_core::content::{Block, FailureKind, Reply, ReplyBlock, Request};
use outlive_core::digest::Digest;
use outlive_core::media::{Attachment, File};
use outlive_model::loopback::Loopback;
use outlive_model::{Key, Settings, connect};
use serde_json::{Value, json};

use crate::fixture::{DIALECTS, ask, canned_settings, request, text, url, user};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nx";
const PNG_64: &str = "iVBORw0KGgp4";
const PDF: &[u8] = b"%PDF-1.7\n";
const PDF_64: &str = "JVBERi0xLjcK";

fn file(bytes: &[u8], media_type: &str, name: Option<&str>) -> Attachment {
    let (media_type, name) = (media_type.to_owned(), name.map(str::to_owned));
    Attachment { hash: Digest::of(bytes), media_type, name, bytes: bytes.len() as u64 }
}

/// A request that comes with these files and a text after them.
fn with(files: &[(Attachment, &[u8])], said: Option<&str>) -> Request {
    let blocks = files.iter().map(|(file, _)| Block::Media(file.clone())).chain(said.map(text));
    let mut request = request(vec![user(blocks.collect())]);
    for (file, bytes) in files {
        request.files.add(file.hash.clone(), File::Whole(Arc::from(*bytes)));
    }
    request
}

fn photo() -> (Attachment, &'static [u8]) {
    (file(PNG, "image/png", Some("photo.png")), PNG)
}

fn paper() -> (Attachment, &'static [u8]) {
    (file(PDF, "application/pdf", Some("paper")), PDF)
}

fn notes() -> (Attachment, &'static [u8]) {
    (file(b"a,b\n", "text/csv", Some("t.csv")), b"a,b\n")
}

/// Asks, and returns what the server was sent as the last message.
async fn sent(server: &Loopback, provider: &str, request: Request) -> Value {
    let (reply, _) = ask(server, provider, request).await;
    assert!(reply.is_ok(), "{provider}: {reply:?}");
    let body = server.bodies().pop().unwrap();
    let (list, content) = match provider {
        "openai_responses" => ("input", "content"),
        "gemini" => ("contents", "parts"),
        _others => ("messages", "content"),
    };
    let last = body[list].as_array().and_then(|messages| messages.last()).unwrap().clone();
    if provider == "ollama" { last } else { last[content].clone() }
}

fn spoken(reply: &Reply) -> String {
    let text = |block: &ReplyBlock| if let ReplyBlock::Text(text) = block { Some(text.clone()) } else { None };
    reply.content.iter().filter_map(text).collect()
}

#[tokio::test]
async fn images_pdfs_and_text_go_out_in_the_form_of_each_api() {
    let server = Loopback::start(0).await.unwrap();
    let csv = "[file t.csv, text/csv]\na,b\n";
    let no_pdf = "[PDF paper, 9 bytes: not shown to you, because this model or its API does not take application/pdf]";
    let last = format!("{no_pdf}\n\n{csv}\n\nlook");
    for (provider, expected) in [
        (
            "anthropic",
            json!([{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG_64}},
                {"type": "document", "title": "paper.pdf",
                    "source": {"type": "base64", "media_type": "application/pdf", "data": PDF_64}},
                {"type": "text", "text": csv},
                {"type": "text", "text": "look", "cache_control": {"type": "ephemeral"}}]),
        ),
        (
            "openai",
            json!([{"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{PNG_64}")}},
                {"type": "text", "text": last}]),
        ),
        (
            "openrouter",
            json!([{"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{PNG_64}")}},
                {"type": "file",
                    "file": {"filename": "paper.pdf", "file_data": format!("data:application/pdf;base64,{PDF_64}")}},
                {"type": "text", "text": format!("{csv}\n\nlook")}]),
        ),
        (
            "openai_responses",
            json!([{"type": "input_image", "image_url": format!("data:image/png;base64,{PNG_64}"), "detail": "auto"},
                {"type": "input_file", "filename": "paper.pdf",
                    "file_data": format!("data:application/pdf;base64,{PDF_64}")},
                {"type": "input_text", "text": csv}, {"type": "input_text", "text": "look"}]),
        ),
        (
            "gemini",
            json!([{"inlineData": {"mimeType": "image/png", "data": PNG_64}},
                {"inlineData": {"mimeType": "application/pdf", "data": PDF_64}}, {"text": csv}, {"text": "look"}]),
        ),
        ("ollama", json!({"role": "user", "content": last, "images": [PNG_64]})),
    ] {
        let found = sent(&server, provider, with(&[photo(), paper(), notes()], Some("look"))).await;
        let found = sorted(found);
        assert_eq!(found, sorted(expected), "{provider}");
    }
}

/// Keys in one order: which one an API does not ask.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(keys) => {
            let mut keys: Vec<_> = keys.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            keys.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(keys.into_iter().collect())
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => plain,
    }
}

#[tokio::test]
async fn an_image_alone_is_a_message_and_its_bytes_arrive() {
    let server = Loopback::start(0).await.unwrap();
    for provider in DIALECTS {
        let (reply, _) = ask(&server, provider, with(&[photo()], None)).await;
        let said = spoken(&reply.unwrap());
        assert!(said.contains("I was given [image, 9 bytes]: 9 bytes."), "{provider}: {said}");
    }
}

#[tokio::test]
async fn what_an_api_does_not_take_or_is_gone_becomes_a_note_in_its_place() {
    let server = Loopback::start(0).await.unwrap();
    let gif = (file(b"GIF89a", "image/gif", Some("a.gif")), b"GIF89a".as_slice());
    for provider in DIALECTS {
        let mut gone = with(&[photo()], Some("look"));
        gone.files = outlive_core::media::Files::default();
        let note = "[image photo.png, 9 bytes: not shown to you, because its content is not kept any more]";
        assert!(sent(&server, provider, gone).await.to_string().contains(note), "{provider}");
        let mut left_out = with(&[photo()], Some("look"));
        left_out.files.add(Digest::of(PNG), File::LeftOut);
        assert!(sent(&server, provider, left_out).await.to_string().contains("newer files fill"), "{provider}");
        let strange = with(&[(file(b"x", "video/mp4", None), b"x")], Some("look"));
        assert!(sent(&server, provider, strange).await.to_string().contains("type is not known"), "{provider}");
        let takes_no_gif = ["gemini", "ollama"].contains(&provider);
        let shown = sent(&server, provider, with(std::slice::from_ref(&gif), Some("look"))).await.to_string();
        assert_eq!(shown.contains("does not take image/gif"), takes_no_gif, "{provider}");
    }
}

#[tokio::test]
async fn a_local_model_that_sees_nothing_is_not_sent_images() {
    let server = Loopback::start(0).await.unwrap();
    let settings = Settings {
        name: "blind".into(),
        key: Some(Key::new(outlive_model::loopback::KEY)),
        ..canned_settings("ollama", &url(&server, "ollama"))
    };
    let reply = connect(settings).unwrap().stream(with(&[photo()], Some("look")), Arc::new(|_| {})).await;
    assert!(reply.is_ok(), "{reply:?}");
    let body = server.bodies().pop().unwrap();
    assert_eq!(body["messages"][1].get("images"), None);
    assert!(body["messages"][1]["content"].as_str().unwrap().contains("does not take image/png"));
}

#[tokio::test]
async fn bytes_that_are_not_of_their_type_are_refused_as_the_real_apis_do() {
    let server = Loopback::start(0).await.unwrap();
    let wrong = (file(PDF, "image/png", Some("a.png")), PDF);
    for provider in DIALECTS {
        let (reply, _) = ask(&server, provider, with(std::slice::from_ref(&wrong), Some("look"))).await;
        assert_eq!(reply.map_err(|failure| failure.kind), Err(FailureKind::InvalidRequest), "{provider}");
    }
}
