//! What is asked and answered over real HTTP, by a server that is as strict as the real ones.

use std::sync::Arc;

use outlive_core::content::{Block, FailureKind, Message, Reply, ReplyBlock, Role, StopReason, Usage};
use outlive_core::context::taught;
use outlive_core::id::CallId;
use outlive_model::loopback::{Bounds, Loopback, Plan, recording};
use outlive_model::{Settings, connect};
use serde_json::json;

use crate::fixture::{
    DIALECTS, STREAM, Then, answer, ask, ask_canned, canned, canned_settings, dialect, expected, hi, reach, request,
    rich, text, user,
};

#[tokio::test]
async fn a_reply_with_reasoning_text_and_parallel_calls_arrives_whole_and_streams() {
    let server = Loopback::start(0).await.unwrap();
    for provider in DIALECTS {
        server.plan(Plan::Reply(rich()));
        let (reply, seen) = ask(&server, provider, hi()).await;
        assert_eq!(reply, Ok(expected(provider)), "{provider}");
        assert_eq!(seen, "Hello, wörld 👋", "{provider}");
    }
}

#[tokio::test]
async fn a_conversation_with_calls_and_results_is_taken_by_a_server_that_is_as_strict_as_the_real_ones() {
    let server = Loopback::start(0).await.unwrap();
    let (one, two) = (CallId::from_bits(1), CallId::from_bits(2));
    let used = |id, name: &str| Block::ToolUse { id, name: name.into(), input: json!({}), malformed: None };
    let result = |id| Block::ToolResult { id, content: String::new(), is_error: true };
    let thinking =
        |signature: Option<&str>| Block::Thinking { thinking: "t".into(), signature: signature.map(str::to_owned) };
    let phase = Block::RedactedThinking { data: "phase commentary".into() };
    let content =
        vec![thinking(Some("rs_1 s")), thinking(None), phase, text("a"), used(one, "bash"), used(two, "made up!")];
    let messages = vec![
        user(vec![text("hi")]),
        Arc::new(Message { role: Role::Assistant, content }),
        user(vec![result(one), result(two), text("and now?")]),
    ];
    for provider in DIALECTS {
        let (reply, _) = ask(&server, provider, request(messages.clone())).await;
        assert!(reply.is_ok(), "{provider}: {reply:?}");
    }
    let bodies = server.bodies();
    assert_eq!(bodies[0]["messages"][1]["content"][0]["signature"], "rs_1 s", "reasoning goes back with its seal");
    let sealed = json!({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "t"}],
        "encrypted_content": "s"});
    assert_eq!(bodies[2]["input"][1], sealed);
    let said = json!({"type": "message", "role": "assistant", "content": "a", "phase": "commentary"});
    assert_eq!(bodies[2]["input"][2], said);
    let model = json!([{"text": "", "thoughtSignature": "rs_1 s"}, {"text": "", "thoughtSignature": "phase commentary"}, {"text": "a"},
        {"functionCall": {"id": one, "name": "bash", "args": {}}, "thoughtSignature": "skip_thought_signature_validator"},
        {"functionCall": {"id": two, "name": "made_up_", "args": {}}}]);
    assert_eq!(bodies[3]["contents"][1]["parts"], model);
    let failed = json!({"functionResponse": {"id": two, "name": "made_up_", "response": {"error": ""}}});
    assert_eq!(bodies[3]["contents"][2]["parts"][1], failed);
    let calls = json!([{"id": one, "function": {"name": "bash", "arguments": {}}},
        {"id": two, "function": {"name": "made_up_", "arguments": {}}}]);
    let reply = json!({"role": "assistant", "content": "a", "thinking": "t\n\nt", "tool_calls": calls});
    assert_eq!(bodies[4]["messages"][2], reply);
    assert_eq!(bodies[4]["messages"][4]["tool_name"], "made_up_");
    assert_eq!((&bodies[2]["store"], &bodies[2]["tools"][0]["strict"]), (&json!(false), &json!(false)));
    assert_eq!(bodies[0]["system"][0]["cache_control"]["type"], "ephemeral");
}

#[tokio::test]
async fn what_the_real_apis_refuse_is_refused() {
    let server = Loopback::start(0).await.unwrap();
    let call = CallId::from_bits(1);
    let used = Block::ToolUse { id: call, name: "bash".into(), input: json!({}), malformed: None };
    let said = |content| Arc::new(Message { role: Role::Assistant, content });
    let orphan = vec![user(vec![text("hi")]), said(vec![used.clone()]), user(vec![text("well?")])];
    let unasked = vec![user(vec![Block::ToolResult { id: call, content: "x".into(), is_error: false }])];
    let empty = vec![user(vec![text(" ")])];
    for (what, messages) in
        [("a call without its result", orphan), ("a result without its call", unasked), ("an empty text", empty)]
    {
        for provider in DIALECTS {
            let (reply, _) = ask(&server, provider, request(messages.clone())).await;
            assert_eq!(reply.map_err(|failure| failure.kind), Err(FailureKind::InvalidRequest), "{provider}: {what}");
        }
    }
}

#[tokio::test]
async fn what_a_router_adds_is_kept_and_its_reasoning_goes_back_as_it_came() {
    let server = Loopback::start(0).await.unwrap();
    let usage =
        Usage { input_tokens: 3, output_tokens: 2, cache_write_tokens: 4, cost_nano_usd: 12_600, ..Usage::default() };
    let hidden = r#"{"type":"reasoning.encrypted","data":"gAAA","id":"rs_1","index":1}"#;
    let seal = r#"{"type":"reasoning.text","text":null,"index":0,"signature":"s"}"#;
    let thought = ReplyBlock::Thinking { thinking: "I think so".into(), signature: Some(seal.into()) };
    let content = vec![thought, ReplyBlock::RedactedThinking(hidden.into()), ReplyBlock::Text("yes".into())];
    let served_by = Some("Loopback".to_owned());
    let planned = Reply { content, usage, stop_reason: StopReason::EndTurn, served_by, ..rich() };
    server.plan(Plan::Reply(planned.clone()));
    let (reply, _) = ask(&server, "openrouter", hi()).await;
    assert_eq!(reply, Ok(planned));
    assert_eq!(usage.charged(), Some(0.000_012_6));
    let content = vec![
        Block::Thinking { thinking: "I think so".into(), signature: Some(seal.into()) },
        Block::RedactedThinking { data: hidden.into() },
        text("yes"),
    ];
    let said = Arc::new(Message { role: Role::Assistant, content });
    ask(&server, "openrouter", request(vec![user(vec![text("hi")]), said, user(vec![text("sure?")])])).await.0.unwrap();
    let body = server.bodies().pop().unwrap();
    let details = json!([{"type": "reasoning.text", "index": 0, "signature": "s", "text": "I think so"},
        {"type": "reasoning.encrypted", "data": "gAAA", "id": "rs_1", "index": 1}]);
    assert_eq!((&body["messages"][2]["reasoning_details"], &body["usage"]["include"]), (&details, &json!(true)));
}

#[tokio::test]
async fn a_provider_says_which_models_it_offers() {
    let server = Loopback::start(0).await.unwrap();
    for provider in DIALECTS {
        assert_eq!(reach(&server, provider).offered().await, Ok(vec!["loopback".to_owned()]), "{provider}");
        let (url, _) = canned(answer("200 OK", "content-type: text/html\r\n", "<html>"), Then::HangUp);
        let failure = connect(canned_settings(provider, &url)).unwrap().offered().await.unwrap_err();
        assert!(failure.message.starts_with("127.0.0.1 answers with no list of models"), "{provider}: {failure}");
    }
    let wrong = connect(canned_settings("anthropic", &server.base_url())).unwrap();
    assert_eq!(wrong.offered().await.map_err(|failure| failure.kind), Err(FailureKind::Auth));
}

#[tokio::test]
async fn a_local_model_gets_its_context_is_kept_loaded_and_never_cut_in_silence() {
    let server = Loopback::start(0).await.unwrap();
    for (given, sent) in [("10m", json!("10m")), ("-1", json!(-1))] {
        let settings = Settings {
            key: None,
            context_window: Some(32_768),
            keep_alive: Some(given.into()),
            ..canned_settings("ollama", &server.base_url())
        };
        connect(settings).unwrap().stream(hi(), Arc::new(|_| {})).await.unwrap();
        let body = server.bodies().pop().unwrap();
        assert_eq!(body["options"], json!({"num_ctx": 32_768, "num_predict": 100, "temperature": 0.5}));
        assert_eq!((&body["keep_alive"], &body["truncate"]), (&sent, &json!(false)));
    }
    let too_long = r#"{"error":"the input length exceeds the context length"}"#;
    let (url, _) = canned(answer("400 Bad", "content-type: application/json\r\n", too_long), Then::HangUp);
    let failure = ask_canned("ollama", &url).await.unwrap_err();
    assert!(failure.message.ends_with("set model.context_window to what the machine can hold"), "{failure}");
    assert_eq!(failure.kind, FailureKind::Overflow);
}

#[tokio::test]
async fn a_request_that_is_too_long_is_told_apart_in_every_dialect_and_teaches_the_window() {
    let server = Loopback::start(0).await.unwrap();
    server.bound(Bounds { window: 4_000, ratio: 1.6, fixed: 300 });
    for provider in DIALECTS {
        let failure =
            ask(&server, provider, request(vec![user(vec![text(&"word ".repeat(4_000))])])).await.0.unwrap_err();
        assert_eq!(
            (failure.kind, taught(&failure.message)),
            (FailureKind::Overflow, Some(4_000)),
            "{provider}: {failure}"
        );
        let usage = ask(&server, provider, hi()).await.0.unwrap().usage;
        assert!((300..4_000).contains(&usage.all_input()), "{provider}: counts in its own way");
    }
}

#[tokio::test]
async fn a_reply_is_whole_when_it_says_so_whatever_the_connection_does_next() {
    for provider in DIALECTS {
        let body = String::from_utf8(recording(dialect(provider), &rich())).unwrap();
        let (url, _) = canned(answer("200 OK", STREAM, &body), Then::Hang);
        let reply = ask_canned(provider, &url).await.unwrap();
        assert_eq!(reply.content, expected(provider).content, "{provider}");
        // A body that is shorter than it was said to be: an error, once everything has been read.
        let (url, _) = canned(answer("200 OK", &format!("{STREAM}content-length: 999999\r\n"), &body), Then::HangUp);
        assert_eq!(ask_canned(provider, &url).await.unwrap().content, expected(provider).content, "{provider}");
    }
}

#[tokio::test]
async fn a_reply_that_is_no_stream_is_read_where_it_can_be_and_named_where_not() {
    let whole = r#"{"model":"m","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"hello"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;
    let (url, _) = canned(answer("200 OK", "content-type: application/json\r\n", whole), Then::HangUp);
    let reply = ask_canned("openai", &url).await.unwrap();
    assert_eq!((reply.content, reply.usage.output_tokens), (vec![ReplyBlock::Text("hello".into())], 1));
    let done = r#"{"status":"completed","model":"m","output":[{"type":"message","content":[{"type":"output_text","text":"hello"}]}]}"#;
    let part = r#"[{"candidates":[{"content":{"parts":[{"text":"hello"}]},"finishReason":"STOP"}]}]"#;
    let line = r#"{"model":"m","message":{"content":"hello"},"done":true,"done_reason":"stop"}"#;
    for (provider, whole) in [("openai_responses", done), ("gemini", part), ("ollama", line), ("openrouter", whole)] {
        let (url, _) = canned(answer("200 OK", "content-type: application/json\r\n", whole), Then::HangUp);
        assert_eq!(ask_canned(provider, &url).await.unwrap().content, [ReplyBlock::Text("hello".into())], "{provider}");
    }
    let (url, _) = canned(answer("200 OK", "content-type: text/html\r\n", "<html>"), Then::HangUp);
    let failure = ask_canned("openai", &url).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::InvalidRequest);
    assert_eq!(failure.message, "127.0.0.1 answers with text/html and no stream: is `base_url` the API's address?");
}
