//! What the tests share: messages, a rich reply, servers that answer as they are told.

use std::sync::{Arc, Mutex};

use outlive_core::content::{
    Block, Delta, Failure, Message, Reply, ReplyBlock, Request, Role, StopReason, ToolSpec, Usage,
};
use outlive_model::loopback::{Dialect, KEY, Loopback};
use outlive_model::{Key, Model, Settings, anthropic, connect, gemini, ollama, openai, responses};
use serde_json::json;

pub const DIALECTS: [&str; 6] = ["anthropic", "openai", "openai_responses", "gemini", "ollama", "openrouter"];

pub fn dialect(provider: &str) -> Dialect {
    match provider {
        "anthropic" => Dialect::Anthropic,
        "openai_responses" => Dialect::Responses,
        "gemini" => Dialect::Gemini,
        "ollama" => Dialect::Ollama,
        "openrouter" => Dialect::OpenRouter,
        _chat_completions => Dialect::OpenAi,
    }
}

pub fn parse(provider: &str, stream: &[u8]) -> Result<Reply, Failure> {
    match dialect(provider) {
        Dialect::Anthropic => anthropic::parse_stream(stream),
        Dialect::OpenAi | Dialect::OpenRouter => openai::parse_stream(stream),
        Dialect::Responses => responses::parse_stream(stream),
        Dialect::Gemini => gemini::parse_stream(stream),
        Dialect::Ollama => ollama::parse_stream(stream),
    }
}

pub fn user(content: Vec<Block>) -> Arc<Message> {
    Arc::new(Message { role: Role::User, content })
}

pub fn text(text: &str) -> Block {
    Block::Text { text: text.into() }
}

pub fn request(messages: Vec<Arc<Message>>) -> Request {
    let schema = json!({"type": "object", "properties": {}});
    let tool = |name: &str| ToolSpec { name: name.into(), description: "d".into(), input_schema: schema.clone() };
    Request {
        system: Arc::new(["be good".to_owned()]),
        tools: ["bash", "read"].map(tool).into(),
        messages,
        max_output_tokens: 100,
        temperature: Some(0.5),
        ..Request::default()
    }
}

pub async fn ask(server: &Loopback, provider: &str, request: Request) -> (Result<Reply, Failure>, String) {
    let seen = Arc::new(Mutex::new(String::new()));
    let heard = Arc::clone(&seen);
    let sink: outlive_model::Sink = Arc::new(move |delta| {
        if let Delta::Text { text } = delta {
            heard.lock().unwrap().push_str(&text);
        }
    });
    let reply = reach(server, provider).stream(request, sink).await;
    let seen = seen.lock().unwrap().clone();
    (reply, seen)
}

/// A model of the server on loopback.
pub fn reach(server: &Loopback, provider: &str) -> Arc<dyn Model> {
    connect(Settings { key: Some(Key::new(KEY)), ..canned_settings(provider, &url(server, provider)) }).unwrap()
}

pub fn hi() -> Request {
    request(vec![user(vec![text("hi")])])
}

pub fn url(server: &Loopback, provider: &str) -> String {
    if provider == "openrouter" { server.router_url() } else { server.base_url() }
}

pub fn rich() -> Reply {
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
pub fn expected(provider: &str) -> Reply {
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

/// A server that answers each connection with these bytes and then, as it is told, hangs or hangs up.
pub fn canned(answer: String, then: Then) -> (String, Arc<Mutex<Vec<String>>>) {
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
pub enum Then {
    Hang,
    HangUp,
}

pub fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}\r\n{body}")
}

pub fn canned_settings(provider: &str, base_url: &str) -> Settings {
    Settings {
        provider: provider.into(),
        name: "loopback".into(),
        base_url: Some(base_url.into()),
        key: Some(Key::new("secret-key")),
        context_window: None,
        keep_alive: None,
        structured: true,
    }
}

pub async fn ask_canned(provider: &str, base_url: &str) -> Result<Reply, Failure> {
    connect(canned_settings(provider, base_url)).unwrap().stream(hi(), Arc::new(|_| {})).await
}

pub const STREAM: &str = "content-type: text/event-stream\r\n";
