//! Every dialect against a server on loopback, over real HTTP, and their readers on hostile bytes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::{Arc, Mutex};

use outlive_core::content::{
    Block, Delta, Failure, FailureKind, Message, Reply, ReplyBlock, Request, Role, StopReason, ToolSpec, Usage,
};
use outlive_core::id::CallId;
use outlive_model::loopback::{Dialect, KEY, Loopback, Plan, recording};
use outlive_model::{Key, Settings, anthropic, connect, gemini, ollama, openai, responses};
use proptest::prelude::*;
use serde_json::json;

const DIALECTS: [&str; 6] = ["anthropic", "openai", "openai_responses", "gemini", "ollama", "openrouter"];

fn dialect(provider: &str) -> Dialect {
    match provider {
        "anthropic" => Dialect::Anthropic,
        "openai_responses" => Dialect::Responses,
        "gemini" => Dialect::Gemini,
        "ollama" => Dialect::Ollama,
        "openrouter" => Dialect::OpenRouter,
        _chat_completions => Dialect::OpenAi,
    }
}

fn parse(provider: &str, stream: &[u8]) -> Result<Reply, Failure> {
    match dialect(provider) {
        Dialect::Anthropic => anthropic::parse_stream(stream),
        Dialect::OpenAi | Dialect::OpenRouter => openai::parse_stream(stream),
        Dialect::Responses => responses::parse_stream(stream),
        Dialect::Gemini => gemini::parse_stream(stream),
        Dialect::Ollama => ollama::parse_stream(stream),
    }
}

fn user(content: Vec<Block>) -> Arc<Message> {
    Arc::new(Message { role: Role::User, content })
}

fn text(text: &str) -> Block {
    Block::Text { text: text.into() }
}

fn request(messages: Vec<Arc<Message>>) -> Request {
    let schema = json!({"type": "object", "properties": {}});
    let tool = |name: &str| ToolSpec { name: name.into(), description: "d".into(), input_schema: schema.clone() };
    Request {
        system: Arc::new(["be good".to_owned()]),
        tools: ["bash", "read"].map(tool).into(),
        messages,
        max_output_tokens: 100,
        temperature: Some(0.5),
    }
}

async fn ask(server: &Loopback, provider: &str, request: Request) -> (Result<Reply, Failure>, String) {
    let settings = Settings {
        provider: provider.into(),
        name: "loopback".into(),
        base_url: Some(url(server, provider)),
        key: Some(Key::new(KEY)),
        context_window: None,
        keep_alive: None,
    };
    let seen = Arc::new(Mutex::new(String::new()));
    let heard = Arc::clone(&seen);
    let sink: outlive_model::Sink = Arc::new(move |delta| {
        if let Delta::Text { text } = delta {
            heard.lock().unwrap().push_str(&text);
        }
    });
    let reply = connect(settings).unwrap().stream(request, sink).await;
    let seen = seen.lock().unwrap().clone();
    (reply, seen)
}

fn url(server: &Loopback, provider: &str) -> String {
    if provider == "openrouter" { server.router_url() } else { server.base_url() }
}

fn rich() -> Reply {
    let call = |name: &str, arguments: &str| ReplyBlock::ToolUse { name: name.into(), arguments: arguments.into() };
    Reply {
        content: vec![
            ReplyBlock::Thinking { thinking: "I think, 日本語".into(), signature: Some("rs_1 sig".into()) },
            ReplyBlock::Text("Hello, wörld 👋".into()),
            call("bash", r#"{"command":"ls -la"}"#),
            call("read", r#"{"path":"é"}"#),
        ],
        stop_reason: StopReason::ToolUse,
        usage: Usage { input_tokens: 12, output_tokens: 34, cache_read_tokens: 5, ..Usage::default() },
        model: "loopback".into(),
        provider_request_id: None,
        served_by: None,
    }
}

/// In Chat Completions and Ollama reasoning has no seal; in Gemini it comes with the first call. Ollama counts no cache.
fn expected(provider: &str) -> Reply {
    let mut reply = rich();
    if ["openai", "gemini", "ollama"].contains(&provider) {
        reply.content[0] = ReplyBlock::Thinking { thinking: "I think, 日本語".into(), signature: None };
    }
    if provider == "gemini" {
        let seal = ReplyBlock::Thinking { thinking: String::new(), signature: Some("rs_1 sig".into()) };
        reply.content.insert(2, seal);
    }
    if provider == "openrouter" {
        let seal = r#"{"type":"reasoning.text","text":null,"index":0}"#;
        reply.content[0] = ReplyBlock::Thinking { thinking: "I think, 日本語".into(), signature: Some(seal.into()) };
        reply.served_by = Some("Loopback".into());
    }
    if provider == "ollama" {
        reply.usage = Usage { input_tokens: 17, output_tokens: 34, ..Usage::default() };
    }
    reply
}

#[tokio::test]
async fn a_reply_with_reasoning_text_and_parallel_calls_arrives_whole_and_streams() {
    let server = Loopback::start(0).await.unwrap();
    for provider in DIALECTS {
        server.plan(Plan::Reply(rich()));
        let (reply, seen) = ask(&server, provider, request(vec![user(vec![text("hi")])])).await;
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
async fn every_status_is_told_apart_by_what_can_be_done() {
    let server = Loopback::start(0).await.unwrap();
    for (status, kind) in [
        (401, FailureKind::Auth),
        (403, FailureKind::Auth),
        (400, FailureKind::InvalidRequest),
        (404, FailureKind::InvalidRequest),
        (413, FailureKind::InvalidRequest),
        (408, FailureKind::Timeout),
        (429, FailureKind::RateLimited),
        (500, FailureKind::Overloaded),
        (503, FailureKind::Overloaded),
        (529, FailureKind::Overloaded),
    ] {
        for provider in DIALECTS {
            server.plan(Plan::Status(status, Some(7)));
            let (reply, _) = ask(&server, provider, request(vec![user(vec![text("hi")])])).await;
            let failure = reply.unwrap_err();
            assert_eq!((failure.kind, failure.retry_after_ms), (kind, Some(7_000)), "{provider} {status}");
        }
    }
}

#[tokio::test]
async fn a_provider_says_which_models_it_offers() {
    let server = Loopback::start(0).await.unwrap();
    for provider in DIALECTS {
        let settings = Settings { key: Some(Key::new(KEY)), ..canned_settings(provider, &url(&server, provider)) };
        assert_eq!(connect(settings).unwrap().offered().await, Ok(vec!["loopback".to_owned()]), "{provider}");
        let (url, _) = canned(answer("200 OK", "content-type: text/html\r\n", "<html>"), Then::HangUp);
        let failure = connect(canned_settings(provider, &url)).unwrap().offered().await.unwrap_err();
        assert!(failure.message.starts_with("127.0.0.1 answers with no list of models"), "{provider}: {failure}");
    }
    let wrong = connect(canned_settings("anthropic", &server.base_url())).unwrap();
    assert_eq!(wrong.offered().await.map_err(|failure| failure.kind), Err(FailureKind::Auth));
}

#[tokio::test]
async fn a_wrong_key_is_told_apart_from_a_wrong_request() {
    let server = Loopback::start(0).await.unwrap();
    for provider in DIALECTS {
        let failure = ask_canned(provider, &url(&server, provider)).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Auth, "{provider}: {failure}");
    }
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_a_network_failure() {
    let server = Loopback::start(0).await.unwrap();
    let settings = |provider: &str| Settings {
        provider: provider.into(),
        name: "m".into(),
        base_url: Some("http://127.0.0.1:1/v1".into()),
        key: Some(Key::new("secret-key")),
        context_window: None,
        keep_alive: None,
    };
    drop(server);
    for provider in DIALECTS {
        let model = connect(settings(provider)).unwrap();
        let failure = model.stream(request(vec![user(vec![text("hi")])]), Arc::new(|_| {})).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Network);
        assert!(!format!("{failure:?} {:?}", settings(provider)).contains("secret-key"));
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_is_truncated() {
    let server = Loopback::start(0).await.unwrap();
    for provider in DIALECTS {
        for at in [0, 1, 40, 300, 700] {
            server.plan(Plan::Cut(rich(), at));
            let (reply, _) = ask(&server, provider, request(vec![user(vec![text("hi")])])).await;
            assert_eq!(reply.unwrap_err().kind, FailureKind::Truncated, "{provider}, cut at {at}");
        }
    }
}

#[test]
fn a_stream_that_is_cut_at_any_byte_is_never_a_reply() {
    for provider in DIALECTS {
        let whole = recording(dialect(provider), &rich());
        for at in 0..whole.len() {
            match parse(provider, &whole[..at]) {
                // What follows the finish reason in Chat Completions is only the count.
                Ok(reply) if provider == "openai" => {
                    assert_eq!(reply.content, expected(provider).content, "cut at {at}")
                }
                Ok(_) => panic!("{provider}: cut at {at} of {}, and taken as whole", whole.len()),
                Err(failure) => assert_eq!(failure.kind, FailureKind::Truncated, "{provider}: cut at {at}"),
            }
        }
        assert_eq!(parse(provider, &whole), Ok(expected(provider)), "{provider}");
    }
}

#[test]
fn hostile_replies_are_refused_or_read_never_believed_whole() {
    let stop = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    for (what, stream) in [
        (
            "an index out of range",
            "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":99999999999}]}}]}\n\n".to_owned(),
        ),
        ("not JSON", "data: {nope\n\n".to_owned()),
        ("an error in mid-stream", "data: {\"error\":{\"type\":\"server_error\",\"message\":\"x\"}}\n\n".to_owned()),
        ("nothing", String::new()),
    ] {
        assert!(
            openai::parse_stream((stream + if what == "nothing" { "" } else { stop }).as_bytes()).is_err(),
            "{what}"
        );
    }
    let overloaded =
        b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"x\"}}\n\n";
    assert_eq!(anthropic::parse_stream(overloaded).unwrap_err().kind, FailureKind::Overloaded);
    let index = b"data: {\"type\":\"content_block_start\",\"index\":18446744073709551615,\"content_block\":{}}\n\n";
    assert!(anthropic::parse_stream(index).is_err());
}

#[tokio::test]
async fn servers_that_leave_out_indices_and_the_mark_at_the_end_are_understood() {
    let stream = concat!(
        "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":\"x\",\"arguments\":\"{}\"}}]}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"id\":\"b\",\"function\":{\"name\":\"y\",\"arguments\":{\"k\":1}}}]}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n",
    );
    let call = |name: &str, arguments: &str| ReplyBlock::ToolUse { name: name.into(), arguments: arguments.into() };
    let (url, _) = canned(answer("200 OK", STREAM, stream), Then::HangUp);
    let reply = ask_canned("openai", &url).await.unwrap();
    assert_eq!(reply.content, vec![call("x", "{}"), call("y", "{\"k\":1}")]);
    let (url, _) = canned(answer("200 OK", STREAM, stream), Then::HangUp);
    assert_eq!(ask_canned("openrouter", &url).await.unwrap_err().kind, FailureKind::Truncated);
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
    let (reply, _) = ask(&server, "openrouter", request(vec![user(vec![text("hi")])])).await;
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
async fn a_routers_errors_name_the_provider_behind_it() {
    let json = "content-type: application/json\r\n";
    let flagged =
        r#"{"error":{"code":403,"message":"flagged","metadata":{"reasons":["violence"],"flagged_input":"x"}}}"#;
    let (url, _) = canned(answer("403 No", json, flagged), Then::HangUp);
    assert_eq!(ask_canned("openrouter", &url).await.unwrap_err().kind, FailureKind::Refused);
    let behind = r#"{"error":{"code":502,"message":"Provider returned error","metadata":{"raw":"no capacity","provider_name":"P"}}}"#;
    let (url, _) = canned(answer("200 OK", STREAM, &format!("data: {behind}\n\n")), Then::HangUp);
    let failure = ask_canned("openrouter", &url).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Overloaded);
    assert_eq!(failure.message, "the provider broke off: Provider returned error: no capacity");
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for provider in DIALECTS {
            drop(parse(provider, &bytes));
        }
    }
}

/// A server that answers each connection with these bytes and then, as it is told, hangs or hangs up.
fn canned(answer: String, then: Then) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&heard);
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            use std::io::{Read as _, Write as _};
            let mut stream = stream.unwrap();
            let mut request = vec![0; 64 << 10];
            let read = stream.read(&mut request).unwrap_or(0);
            into.lock().unwrap().push(String::from_utf8_lossy(&request[..read]).into_owned());
            stream.write_all(answer.as_bytes()).ok();
            if then == Then::Hang {
                open.push(stream);
            }
        }
    });
    (format!("http://{address}"), heard)
}

#[derive(Clone, Copy, PartialEq)]
enum Then {
    Hang,
    HangUp,
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}\r\n{body}")
}

fn canned_settings(provider: &str, base_url: &str) -> Settings {
    Settings {
        provider: provider.into(),
        name: "canned".into(),
        base_url: Some(base_url.into()),
        key: Some(Key::new("secret-key")),
        context_window: None,
        keep_alive: None,
    }
}

async fn ask_canned(provider: &str, base_url: &str) -> Result<Reply, Failure> {
    connect(canned_settings(provider, base_url))
        .unwrap()
        .stream(request(vec![user(vec![text("hi")])]), Arc::new(|_| {}))
        .await
}

const STREAM: &str = "content-type: text/event-stream\r\n";

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
async fn errors_are_told_apart_by_what_they_name_and_not_by_their_prose() {
    let busy = r#"{"error":{"message":"Rate limit reached. See /account/billing to learn more.","type":"requests","code":"rate_limit_exceeded"}}"#;
    let empty =
        r#"{"error":{"message":"You exceeded your quota","type":"insufficient_quota","code":"insufficient_quota"}}"#;
    for (body, kind) in [(busy, FailureKind::RateLimited), (empty, FailureKind::Auth)] {
        let (url, _) = canned(answer("429 Too Many", "content-type: application/json\r\n", body), Then::HangUp);
        assert_eq!(ask_canned("openai", &url).await.unwrap_err().kind, kind);
    }
    for (code, kind) in [
        ("400", FailureKind::InvalidRequest),
        ("402", FailureKind::Auth),
        ("429", FailureKind::RateLimited),
        ("502", FailureKind::Overloaded),
        ("\"no_idea\"", FailureKind::Truncated),
        ("\"overloaded_error\"", FailureKind::Overloaded),
    ] {
        let body = format!("data: {{\"error\":{{\"code\":{code},\"message\":\"m\"}}}}\n\n");
        let (url, _) = canned(answer("200 OK", STREAM, &body), Then::HangUp);
        assert_eq!(ask_canned("openai", &url).await.unwrap_err().kind, kind, "{code}");
    }
}

#[tokio::test]
async fn a_delay_among_the_details_of_an_error_is_heeded() {
    let body = r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"m","details":[{"@type":"x","quotaId":"y"},{"retryDelay":"12.5s"}]}}"#;
    let (url, _) = canned(answer("429 Too Many", "content-type: application/json\r\n", body), Then::HangUp);
    let failure = ask_canned("gemini", &url).await.unwrap_err();
    assert_eq!((failure.kind, failure.retry_after_ms), (FailureKind::RateLimited, Some(12_500)));
}

#[tokio::test]
async fn a_date_to_come_back_at_is_counted_from_the_answers_own() {
    let headers = "date: Sat, 21 Nov 2026 10:00:00 GMT\r\nretry-after: Sat, 21 Nov 2026 10:00:30 GMT\r\n";
    let (url, _) = canned(answer("503 Busy", headers, ""), Then::HangUp);
    assert_eq!(ask_canned("anthropic", &url).await.unwrap_err().retry_after_ms, Some(30_000));
}

#[tokio::test]
async fn a_reply_that_is_no_stream_is_read_where_it_can_be_and_named_where_not() {
    let whole = r#"{"model":"m","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"hello"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;
    let (url, _) = canned(answer("200 OK", "content-type: application/json\r\n", whole), Then::HangUp);
    let reply = ask_canned("openai", &url).await.unwrap();
    assert_eq!((reply.content, reply.usage.output_tokens), (vec![ReplyBlock::Text("hello".into())], 1));
    let (url, _) = canned(answer("200 OK", "content-type: text/html\r\n", "<html>"), Then::HangUp);
    let failure = ask_canned("openai", &url).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::InvalidRequest);
    assert_eq!(failure.message, "127.0.0.1 answers with text/html and no stream: is `base_url` the API's address?");
}

#[tokio::test]
async fn a_local_model_gets_its_context_is_kept_loaded_and_never_cut_in_silence() {
    let server = Loopback::start(0).await.unwrap();
    let hi = || request(vec![user(vec![text("hi")])]);
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
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_the_key() {
    let (elsewhere, heard) = canned(answer("200 OK", STREAM, ""), Then::HangUp);
    let elsewhere = elsewhere.replace("127.0.0.1", "localhost");
    let (url, _) = canned(answer("307 Moved", &format!("location: {elsewhere}/v1\r\n"), ""), Then::HangUp);
    assert_eq!(ask_canned("anthropic", &url).await.unwrap_err().kind, FailureKind::InvalidRequest);
    assert_eq!(heard.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn a_provider_that_is_away_is_named_with_the_last_cause() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let failure = ask_canned("openai", &format!("http://user:pass@{address}/v1")).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Network);
    assert!(failure.message.starts_with(&format!("{address} cannot be reached: ")), "{}", failure.message);
    assert!(failure.message.contains("refused") && !failure.message.contains("pass"), "{}", failure.message);
}

#[test]
fn names_that_come_again_with_each_piece_are_one_name_and_calls_without_one_stay_calls() {
    let piece = |arguments: &str| {
        let call = json!({"index": 0, "id": "c", "function": {"name": "list", "arguments": arguments}});
        format!("data: {}\n\n", json!({"choices": [{"delta": {"tool_calls": [call]}}]}))
    };
    let end = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n";
    let reply = openai::parse_stream(format!("{}{}{end}", piece("{\"a\""), piece(":1}")).as_bytes()).unwrap();
    let call = |name: &str, arguments: &str| ReplyBlock::ToolUse { name: name.into(), arguments: arguments.into() };
    assert_eq!(reply.content, [call("list", "{\"a\":1}")]);
    assert_eq!(openai::parse_stream(end.as_bytes()).unwrap_err().kind, FailureKind::Truncated);
    let nameless = piece("{}").replace("\"list\"", "\"\"");
    assert_eq!(openai::parse_stream(format!("{nameless}{end}").as_bytes()).unwrap().content, [call("", "{}")]);
}
