//! Servers of tools at an address: what requests carry, what is followed, and what becomes of those that are refused or cut off.

#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test plays the server that is asked")]

mod stage;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use outlive_core::agent::{McpProtocol, McpServer, McpWay};
use outlive_core::event::Outcome;
use outlive_core::id::AgentName;
use outlive_tools::exec::Exec;
use outlive_tools::mcp::{Pool, Setup, Wanted};
use outlive_tools::registry::Toolbox;
use serde_json::{Value, json};
use stage::Stage;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What a server does with a tool call.
#[derive(Clone, Copy, PartialEq)]
enum Call {
    Answer,
    AnswerInStream,
    Refuse,
    Redirect,
    CutOff,
    Endless,
}

/// The method, the headers and the body of a request.
type Request = (String, BTreeMap<String, String>, Value);
type Seen = Arc<Mutex<Vec<Request>>>;

/// A server at an address, which writes down what it is asked.
struct Site {
    url: String,
    asked: Seen,
}

impl Site {
    async fn that(call: Call, version: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let seen = Arc::clone(&seen);
                tokio::spawn(serve(stream, (call, version), seen));
            }
        });
        Self { url, asked }
    }

    fn headers(&self, method: &str) -> BTreeMap<String, String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().find(|(_, _, body)| body["method"] == method).unwrap().1.clone()
    }

    fn times(&self, method: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|(_, _, body)| body["method"] == method).count()
    }
}

async fn serve(stream: TcpStream, (call, version): (Call, &'static str), seen: Seen) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut first = String::new();
        if stream.read_line(&mut first).await.unwrap_or(0) == 0 {
            return;
        }
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let http = first.split(' ').next().unwrap_or_default().to_owned();
        seen.lock().unwrap().push((http.clone(), headers, body.clone()));
        let answer = answer(&http, &body, (call, version));
        if stream.write_all(&answer).await.is_err() {
            return;
        }
        if body["method"] == "tools/call" && call == Call::CutOff {
            return;
        }
        if body["method"] == "tools/call" && call == Call::Endless {
            while stream.write_all(&[b'x'; 65_536]).await.is_ok() {}
            return;
        }
    }
}

fn said(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn answer(http: &str, body: &Value, (call, version): (Call, &str)) -> Vec<u8> {
    if http != "POST" {
        return said("405 Method Not Allowed", "", "");
    }
    let is_new = version == "2026-07-28";
    let about = json!({"capabilities": {"tools": {}}, "serverInfo": {"name": "site", "version": "1"}});
    let mut result = match body["method"].as_str() {
        Some("initialize") if !is_new => json!({"protocolVersion": version}),
        Some("server/discover") if is_new => {
            json!({"supportedVersions": [version], "ttlMs": 0, "cacheScope": "private"})
        }
        Some("tools/list") => json!({"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]}),
        Some("tools/call") => json!({"content": [{"type": "text", "text": "hello"}]}),
        Some("notifications/initialized" | "notifications/cancelled") => return said("202 Accepted", "", ""),
        _ => {
            let error = json!({"jsonrpc": "2.0", "id": body["id"], "error": {"code": -32601, "message": "no"}});
            return said("200 OK", "content-type: application/json\r\n", &error.to_string());
        }
    };
    if matches!(body["method"].as_str(), Some("initialize" | "server/discover")) {
        result.as_object_mut().unwrap().extend(about.as_object().unwrap().clone());
    }
    if is_new {
        result["resultType"] = "complete".into();
    }
    let message = json!({"jsonrpc": "2.0", "id": body["id"], "result": result}).to_string();
    let session = if body["method"] == "initialize" { "mcp-session-id: one\r\n" } else { "" };
    let plain = said("200 OK", &format!("content-type: application/json\r\n{session}"), &message);
    if body["method"] != "tools/call" {
        return plain;
    }
    let stream = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    match call {
        Call::Answer => plain,
        Call::AnswerInStream => {
            let event = format!(": comment\n\nid: 1\ndata: {message}\n\n");
            let stream = "content-type: text/event-stream\r\n";
            said("200 OK", stream, &event)
        }
        Call::Refuse => said("401 Unauthorized", "www-authenticate: Bearer\r\n", ""),
        Call::Redirect => said("307 Temporary Redirect", "location: http://127.0.0.1:9/\r\n", ""),
        Call::CutOff => b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{".to_vec(),
        Call::Endless => format!("{stream}data: ").into_bytes(),
    }
}

struct House {
    stage: Stage,
    pool: Pool,
    agent: AgentName,
}

async fn house(url: &str, protocol: McpProtocol) -> House {
    let mut stage = Stage::new();
    let headers = [("X-Key", "k"), ("Authorization", "Bearer t")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let way = McpWay::Http { url: url.to_owned(), headers, auth: None };
    let (allow, deny) = (Vec::new(), Vec::new());
    let server = McpServer { name: "s".to_owned(), way, timeout_ms: 5_000, allow, deny, protocol };
    let exec = Arc::new(Exec::new([], "/nonexistent".as_ref(), "/nonexistent".as_ref()));
    let (place, folder, environment) = (stage.place.clone(), stage.place.cwd.clone(), BTreeMap::new());
    let (pool, agent): (Pool, AgentName) = (Pool::default(), "helper".parse().unwrap());
    let setups = vec![Setup { server, exec, place, folder, environment, bearer: None }];
    pool.want(Wanted { agent: agent.clone(), setups });
    if let Some(expected) = pool.expected(&agent) {
        expected.await;
    }
    stage.tools = Toolbox::new(pool.tools(&agent));
    House { stage, pool, agent }
}

#[tokio::test]
async fn a_server_of_either_version_is_called_with_the_headers_of_its_version_and_ours() {
    for (version, protocol, call) in [
        ("2025-11-25", McpProtocol::Auto, Call::Answer),
        ("2025-11-25", McpProtocol::V2025, Call::AnswerInStream),
        ("2026-07-28", McpProtocol::Auto, Call::AnswerInStream),
        ("2026-07-28", McpProtocol::V2026, Call::Answer),
    ] {
        let site = Site::that(call, version).await;
        let house = house(&site.url, protocol).await;
        let finished = house.stage.run("mcp_s_echo", json!({})).await;
        let why = house.pool.warnings(&house.agent);
        assert_eq!((finished.outcome, finished.content.as_str()), (Outcome::Ok, "hello"), "{version}: {why:?}");
        let headers = site.headers("tools/call");
        let of = |name: &str| headers.get(name).map(String::as_str);
        assert_eq!((of("x-key"), of("authorization")), (Some("k"), Some("Bearer t")));
        assert_eq!(of("mcp-protocol-version"), Some(version));
        let is_new = version == "2026-07-28";
        assert_eq!(of("mcp-method"), is_new.then_some("tools/call"));
        assert_eq!(of("mcp-session-id"), (!is_new).then_some("one"));
        house.pool.end().await;
    }
}

#[tokio::test]
async fn a_call_that_is_refused_did_nothing_and_one_that_is_cut_off_is_unknown() {
    for (call, known, word) in [
        (Call::Refuse, true, "asks for an authorization"),
        (Call::Redirect, true, "307"),
        (Call::CutOff, false, "unknown"),
        (Call::Endless, false, "unknown"),
    ] {
        let site = Site::that(call, "2025-11-25").await;
        let house = house(&site.url, McpProtocol::V2025).await;
        let finished = house.stage.run("mcp_s_echo", json!({})).await;
        assert_ne!(finished.outcome, Outcome::Ok);
        assert_eq!(finished.details.is_none(), known, "{finished:?}");
        assert!(finished.content.contains(word), "{finished:?}");
        assert_eq!(site.times("tools/call"), 1, "it is sent once");
        house.pool.end().await;
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_of_and_its_headers_are_not() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let house = house(&format!("http://{address}/mcp"), McpProtocol::Auto).await;
    let warnings = house.pool.warnings(&house.agent).join("\n");
    assert!(warnings.contains("is down") && warnings.contains("refused"), "{warnings}");
    assert!(!warnings.contains("Bearer"), "{warnings}");
    house.pool.end().await;
}
