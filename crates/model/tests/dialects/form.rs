//! The form of an answer, and counting tokens, over real HTTP.

use std::sync::Arc;

use outlive_core::content::{ReplyBlock, Request};
use outlive_model::loopback::{KEY, Loopback};
use outlive_model::{Key, Settings, connect};
use serde_json::{Value, json};

use crate::fixture::{DIALECTS, ask, canned_settings, hi, reach, request, text, url, user};

fn closed() -> Value {
    json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": false})
}

fn open() -> Value {
    json!({"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}})
}

/// Without tools, or some APIs do not hold the model to a schema.
fn asking(schema: &Value) -> Request {
    let request = request(vec![user(vec![text(r#"json {"n":1}"#)])]);
    Request { output_schema: Some(Arc::new(schema.clone())), tools: Arc::new([]), ..request }
}

#[tokio::test]
async fn an_answer_is_held_to_a_schema_in_the_form_of_each_api() {
    let server = Loopback::start(0).await.unwrap();
    for (provider, place, strict) in [
        ("anthropic", "/output_config/format/schema", None),
        ("openai", "/response_format/json_schema/schema", Some("/response_format/json_schema/strict")),
        ("openrouter", "/response_format/json_schema/schema", Some("/response_format/json_schema/strict")),
        ("openai_responses", "/text/format/schema", Some("/text/format/strict")),
        ("gemini", "/generationConfig/responseJsonSchema", None),
        ("ollama", "/format", None),
    ] {
        let (reply, _) = ask(&server, provider, asking(&closed())).await;
        assert_eq!(reply.unwrap().content, [ReplyBlock::Text(r#"{"n":1}"#.into())], "{provider}");
        let body = server.bodies().pop().unwrap();
        assert_eq!(body.pointer(place), Some(&closed()), "{provider}");
        assert_eq!(strict.and_then(|at| body.pointer(at)), strict.map(|_| &json!(true)), "{provider}");
        // What the API would refuse of it is not sent so.
        let (reply, _) = ask(&server, provider, asking(&open())).await;
        assert!(reply.is_ok(), "{provider}: {reply:?}");
        let body = server.bodies().pop().unwrap();
        let in_words = body["system"].to_string().contains("fits this JSON Schema");
        assert_eq!((body.pointer(place).is_none(), in_words), (provider == "anthropic", provider == "anthropic"));
        assert_ne!(strict.and_then(|at| body.pointer(at)), Some(&json!(true)), "{provider}");
    }
}

#[tokio::test]
async fn beside_tools_a_model_that_cannot_do_both_is_told_the_schema_in_words() {
    let server = Loopback::start(0).await.unwrap();
    for provider in DIALECTS {
        let with_tools = Request { tools: hi().tools, ..asking(&closed()) };
        let (reply, _) = ask(&server, provider, with_tools).await;
        assert!(reply.is_ok(), "{provider}: {reply:?}");
        let told = server.wire().pop().unwrap().contains("fits this JSON Schema");
        assert_eq!(told, ["gemini", "ollama"].contains(&provider), "{provider}");
    }
}

#[tokio::test]
async fn tokens_are_counted_where_the_provider_counts_them() {
    let server = Loopback::start(0).await.unwrap();
    for provider in DIALECTS {
        let counted = reach(&server, provider).count_tokens(hi()).await.unwrap();
        let offers = ["anthropic", "openai_responses", "gemini"].contains(&provider);
        // More than the two of its text: tools are counted, too.
        assert_eq!(counted.map(|tokens| tokens > 2), offers.then_some(true), "{provider}");
    }
    assert_eq!(server.bodies().len(), 0, "no answer was asked for");
    let wrong = outlive_model::connect(crate::fixture::canned_settings("gemini", &server.base_url())).unwrap();
    assert!(wrong.count_tokens(hi()).await.is_err());
}

#[tokio::test]
async fn another_endpoint_is_sent_a_schema_only_if_its_model_is_known_to_keep_to_one() {
    let server = Loopback::start(0).await.unwrap();
    for provider in DIALECTS {
        for structured in [true, false] {
            let known = canned_settings(provider, &url(&server, provider));
            let model = connect(Settings { key: Some(Key::new(KEY)), structured, ..known }).unwrap();
            let reply = model.stream(asking(&closed()), Arc::new(|_| {})).await;
            assert!(reply.is_ok(), "{provider}: {reply:?}");
            let in_words = server.wire().pop().unwrap().contains("fits this JSON Schema");
            assert_eq!(in_words, provider == "openai" && !structured, "{provider}");
            assert_eq!(model.holds(&asking(&closed())), !in_words, "{provider}");
            let form = server.bodies().pop().unwrap()["response_format"].clone();
            assert_eq!(form.is_null(), !["openai", "openrouter"].contains(&provider) || in_words, "{provider}");
        }
    }
}

#[tokio::test]
async fn what_is_asked_beside_conversations_is_answered_in_its_form_through_every_dialect() {
    use outlive_core::memory::observe::{Known, Piece, Said, Who, read, request};
    let server = Loopback::start(0).await.unwrap();
    let at = "2026-03-10T09:00:00Z".parse().unwrap();
    let said = Said { seq: 2, at, who: Who::Person, text: "my dog is called Bramble".into() };
    let mut piece = Piece::behind(1, 10_000);
    (piece.said, piece.to) = (vec![said], 2);
    for provider in DIALECTS {
        let asked = request(&piece, &Known::of(Vec::new()), at);
        let (reply, _) = ask(&server, provider, asked).await;
        let content = reply.unwrap().content;
        let [ReplyBlock::Text(answer)] = content.as_slice() else { panic!("{provider}: {content:?}") };
        let noted = read(answer, &piece, &Known::of(Vec::new()), false).unwrap();
        assert!(noted.iter().any(|memory| memory.text.contains("Bramble")), "{provider}: {answer}");
    }
}
