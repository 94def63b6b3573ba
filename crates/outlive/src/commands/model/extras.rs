//! What some models can do beyond what every agent needs: look at images, keep to a schema, have tokens counted, cache.

use std::sync::Arc;

use outlive_core::content::{Block, Failure, Message, Reply, Request, Role};
use outlive_core::digest::Digest;
use outlive_core::media::{Attachment, File};
use outlive_model::Model;
use serde_json::{Value, json};

use super::{Probe, answer, beginning, patiently, request, texts, user};

/// A square of one colour.
const RED: &[u8] = include_bytes!("red.png");

/// Tries one after another, each by itself.
pub(super) async fn probe(model: &dyn Model) -> Vec<Probe> {
    let optional = |what, (works, found)| Probe { what, works, needed: false, found };
    vec![
        optional("looks at images", looks(model).await),
        optional("keeps to a schema", keeps_to_a_schema(model).await),
        optional("counts tokens", counts(model).await),
        optional("caches", caches(model).await),
    ]
}

async fn looks(model: &dyn Model) -> (bool, String) {
    let (media_type, name) = ("image/png".to_owned(), Some("square.png".to_owned()));
    let file = Attachment { hash: Digest::of(RED), media_type, name, bytes: RED.len() as u64 };
    let asked = Block::Text { text: "help: which colour does this image have? Name it in one word.".to_owned() };
    let message = Message { role: Role::User, content: vec![Block::Media(file.clone()), asked] };
    let mut request = without_tools(vec![Arc::new(message)]);
    request.files.add(file.hash, File::Whole(RED.into()));
    said(answer(model, request).await.0, |text| {
        text.split(|letter: char| !letter.is_alphabetic()).any(|word| word.eq_ignore_ascii_case("red"))
    })
}

async fn keeps_to_a_schema(model: &dyn Model) -> (bool, String) {
    let schema = json!({
        "type": "object",
        "properties": {"colour": {"type": "string", "enum": ["red", "blue"]}},
        "required": ["colour"],
        "additionalProperties": false
    });
    let asked = user("help: tell me in a long and friendly sentence which colour you like better");
    let request = Request { output_schema: Some(Arc::new(schema)), ..without_tools(vec![asked]) };
    // Whose doing it is tells how far it can be relied on.
    let by = if model.holds(&request) { "held to it by the API" } else { "told in words" };
    let (works, found) = said(answer(model, request).await.0, |text| {
        let colour = serde_json::from_str::<Value>(text).unwrap_or_default()["colour"].take();
        colour == "red" || colour == "blue"
    });
    (works, format!("{by}; {found}"))
}

async fn counts(model: &dyn Model) -> (bool, String) {
    match patiently(model.count_tokens(request(vec![user("help")]))).await {
        Ok(Some(count)) => (count > 0, format!("{count} tokens")),
        Ok(None) => (false, "the API does not offer it".to_owned()),
        Err(failure) => (false, failure.message),
    }
}

/// Asks the same long thing twice: the second time most of it should be read from the cache.
async fn caches(model: &dyn Model) -> (bool, String) {
    // More than the least that any provider caches: 4,096 tokens.
    let long = "These words are only here to be long enough for a cache to keep them. ".repeat(400);
    let asked = || Request { system: vec![long.clone()].into(), ..request(vec![user("help: say hello")]) };
    let (first, _) = answer(model, asked()).await;
    if let Err(failure) = first {
        return (false, failure.message);
    }
    match answer(model, asked()).await.0 {
        Ok(reply) => {
            let (read, all) = (reply.usage.cache_read_tokens, reply.usage.all_input());
            (read > 0, format!("{read} of {all} tokens read from the cache"))
        }
        Err(failure) => (false, failure.message),
    }
}

fn without_tools(messages: Vec<Arc<Message>>) -> Request {
    Request { tools: Arc::new([]), ..request(messages) }
}

fn said(reply: Result<Reply, Failure>, is_right: impl Fn(&str) -> bool) -> (bool, String) {
    match reply {
        Ok(reply) => {
            let text = texts(&reply);
            (is_right(&text), format!("it said: {}", beginning(&text)))
        }
        Err(failure) => (false, failure.message),
    }
}
