//! The WebSocket, by a real client: what is heard, asked and answered, who is let in, and what broken clients do to others.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use outlive_core::content::{Reply, ReplyBlock, StopReason, Usage};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::fixture::{Server, TOKEN};

/// Longer than anything here takes, shorter than a person waits: what hangs fails its test.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Client(pub WebSocketStream<TcpStream>, VecDeque<Value>);

/// Connects with exactly these headers; the status where the handshake is refused.
pub async fn connect(server: &Server, headers: &[(&str, &str)]) -> Result<(Client, Option<String>), (u16, String)> {
    let mut request = format!("ws://{}/api/v1/ws", server.address()).into_client_request().unwrap();
    for (name, value) in headers {
        let name: HeaderName = name.parse().unwrap();
        request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
    }
    match tokio_tungstenite::client_async(request, server.connection().await).await {
        Ok((socket, answer)) => {
            let protocol = answer.headers().get("sec-websocket-protocol");
            Ok((Client(socket, VecDeque::new()), protocol.map(|value| value.to_str().unwrap().to_owned())))
        }
        Err(Error::Http(answer)) => {
            let body = answer.body().clone().unwrap_or_default();
            Err((answer.status().as_u16(), String::from_utf8_lossy(&body).into_owned()))
        }
        Err(other) => panic!("{other}"),
    }
}

pub async fn client(server: &Server) -> Client {
    connect(server, &[("authorization", &server.bearer())]).await.ok().unwrap().0
}

impl Client {
    pub async fn send(&mut self, frame: Value) {
        self.0.send(Message::text(frame.to_string())).await.unwrap();
    }

    pub async fn next(&mut self) -> Value {
        match self.1.pop_front() {
            Some(kept) => kept,
            None => self.fresh().await,
        }
    }

    async fn fresh(&mut self) -> Value {
        loop {
            match tokio::time::timeout(PATIENCE, self.0.next()).await.unwrap().unwrap().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Sends a frame and waits for its reply; what else comes meanwhile is kept.
    pub async fn ask(&mut self, frame: Value) -> Value {
        self.send(frame).await;
        loop {
            let next = self.fresh().await;
            if next["event"] == "reply" {
                return next;
            }
            self.1.push_back(next);
        }
    }

    pub async fn until(&mut self, is_so: impl Fn(&Value) -> bool) -> Value {
        loop {
            let next = self.next().await;
            if is_so(&next) {
                return next;
            }
        }
    }

    /// Waits for the end of the connection; returns its code and reason.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            match tokio::time::timeout(PATIENCE, self.0.next()).await.unwrap() {
                Some(Ok(Message::Close(Some(frame)))) => return (frame.code.into(), frame.reason.to_string()),
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

fn of_type(kind: &'static str) -> impl Fn(&Value) -> bool {
    move |frame| frame["data"]["type"] == kind
}

fn wants(tool: &str, arguments: &str) -> Reply {
    Reply {
        content: vec![ReplyBlock::ToolUse { name: tool.into(), arguments: arguments.into() }],
        stop_reason: StopReason::ToolUse,
        usage: Usage::default(),
        model: "m".into(),
        provider_request_id: None,
        served_by: None,
    }
}

#[tokio::test]
async fn a_session_is_heard_as_in_its_stream_and_a_message_is_answered_by_its_name() {
    let server = Server::start().await;
    let session = server.session().await;
    let mut client = client(&server).await;
    let reply = client.ask(json!({"type": "subscribe", "session": session, "request_id": "s"})).await;
    assert_eq!((&reply["status"], &reply["request_id"], &reply["data"]["head"]), (&json!(200), &json!("s"), &json!(1)));
    assert_eq!(client.next().await["id"], 1);
    assert_eq!(client.next().await, json!({"session": session, "event": "live", "data": 1}));
    let say = json!({"type": "message", "session": session, "content": "hi", "request_id": "r1", "sender": "Zoë"});
    let reply = client.ask(say.clone()).await;
    assert_eq!((&reply["status"], &reply["data"]["duplicate"]), (&json!(202), &json!(false)), "{reply}");
    let ended = client.until(of_type("turn.ended")).await;
    let journal = server.journal(&session).await;
    assert_eq!(ended["id"], journal.len());
    assert!(journal[1].contains(r#""sender":"Zoë""#), "{}", journal[1]);
    let again = client.ask(say).await;
    assert_eq!((&again["data"]["duplicate"], &again["data"]["seq"]), (&json!(true), &reply["data"]["seq"]));
    // From the middle, on another connection; then the same bytes as in the journal.
    let mut other = self::client(&server).await;
    other.send(json!({"type": "subscribe", "session": session, "after": 2})).await;
    let mut seen = Vec::new();
    loop {
        let Message::Text(text) = other.0.next().await.unwrap().unwrap() else { continue };
        if text.contains(r#""event":"live""#) {
            break;
        }
        seen.push(text.to_string());
    }
    let expected = journal.iter().enumerate().skip(2);
    let expected: Vec<String> = expected
        .map(|(at, line)| format!(r#"{{"session":"{session}","event":"event","id":{},"data":{line}}}"#, at + 1))
        .collect();
    assert_eq!(&seen[1..], expected, "after the reply");
}

#[tokio::test]
async fn whoever_joins_a_running_turn_sees_what_it_has_said() {
    let server = Server::start().await;
    let session = server.session().await;
    server.model_hangs();
    server.post(&format!("/sessions/{session}/messages"), json!({"content": "hi"})).await;
    let mut first = client(&server).await;
    first.send(json!({"type": "subscribe", "session": session})).await;
    first.until(|frame| frame["event"] == "delta").await;
    let mut client = client(&server).await;
    client.send(json!({"type": "subscribe", "session": session})).await;
    let delta = client.until(|frame| frame["event"] == "delta").await;
    let said = json!([{"kind": "text", "text": "sa"}]);
    assert_eq!((&delta["data"]["kind"], &delta["data"]["step"]["said"]), (&json!("so_far"), &said), "{delta}");
    let reply = client.ask(json!({"type": "interrupt", "session": session, "request_id": "i"})).await;
    assert_eq!(reply["status"], 200);
    client.until(of_type("turn.ended")).await;
}

#[tokio::test]
async fn calls_are_decided_over_it_once() {
    let server = Server::start().await;
    let session = server.session().await;
    let mut client = client(&server).await;
    client.send(json!({"type": "subscribe", "session": session})).await;
    for (word, verdict) in [("approve", "call.allowed"), ("deny", "call.denied")] {
        server.model_says(wants("send", r#"{"act":"do"}"#));
        let name = format!("m-{word}");
        client.send(json!({"type": "message", "session": session, "content": "go", "request_id": name})).await;
        let asked = client.until(of_type("call.approval_requested")).await;
        let (call, seq) = (asked["data"]["call"].clone(), asked["id"].clone());
        let decide =
            json!({"type": word, "session": session, "call": call, "seq": seq, "request_id": word, "sender": "ann"});
        client.send(decide.clone()).await;
        let decided = client.until(of_type(verdict)).await;
        assert!(decided.to_string().contains(r#""sender":"ann""#), "{decided}");
        client.until(of_type("turn.ended")).await;
        let mut late = decide;
        late["request_id"] = json!(format!("late-{word}"));
        let reply = client.ask(late).await;
        let first = &reply["data"]["first"]["by"];
        assert_eq!((&reply["status"], &reply["data"]["code"]), (&json!(409), &json!("already_decided")), "{first}");
    }
}

#[tokio::test]
async fn nobody_comes_in_without_a_token_or_from_a_foreign_page() {
    let server = Server::start().await;
    let bearer = server.bearer();
    let shown = format!("bearer, {TOKEN}");
    let (mut page, protocol) = connect(&server, &[("sec-websocket-protocol", &shown)]).await.ok().unwrap();
    assert_eq!(protocol.as_deref(), Some("bearer"), "the token is not echoed");
    let session = server.session().await;
    page.send(json!({"type": "message", "session": session, "content": "hi", "request_id": "r"})).await;
    page.next().await;
    assert!(server.journal(&session).await[1].contains(r#""kind":"web""#));
    for (headers, status, code) in [
        (vec![], 401, "unauthorized"),
        (vec![("authorization", "Bearer wrong")], 401, "unauthorized"),
        (vec![("sec-websocket-protocol", "bearer, wrong")], 401, "unauthorized"),
        (vec![("sec-websocket-protocol", TOKEN)], 401, "unauthorized"),
        (vec![("sec-websocket-protocol", "chat, bearer")], 401, "unauthorized"),
        (vec![("authorization", bearer.as_str()), ("origin", "https://evil.example")], 403, "foreign_origin"),
        (vec![("sec-websocket-protocol", shown.as_str()), ("origin", "https://evil.example")], 403, "foreign_origin"),
        (vec![("authorization", bearer.as_str()), ("host", "evil.example")], 403, "foreign_host"),
    ] {
        let (refused, body) = connect(&server, &headers).await.err().unwrap();
        assert_eq!(refused, status, "{headers:?}");
        assert!(body.contains(code), "{headers:?}: {body}");
    }
    // Nor is the subprotocol a way into anything else, or a token in the URL one into this.
    let ways = [("GET", "/api/v1/sessions"), ("GET", "/api/v1/ws2")];
    for (method, path) in ways {
        assert_eq!(server.bare(method, path, &[("sec-websocket-protocol", &shown)], "").await.0, 401, "{path}");
    }
    assert_eq!(server.bare("GET", &format!("/api/v1/ws?token={TOKEN}"), &[], "").await.0, 401);
    let (status, problem) = server.get("/ws").await;
    assert_eq!((status, &problem["code"]), (400, &json!("bad_request")), "{problem}");
}

#[tokio::test]
async fn a_frame_that_makes_no_sense_is_answered_and_the_connection_goes_on() {
    let server = Server::start().await;
    let session = server.session().await;
    let mut client = client(&server).await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let message = |more: Value| {
        let mut frame = json!({"type": "message", "session": session, "content": "hi", "request_id": "r"});
        frame.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        frame.to_string()
    };
    for (frame, status) in [
        ("{".to_owned(), 400),
        (deep, 400),
        ("[]".to_owned(), 422),
        (r#"["message","x"]"#.to_owned(), 422),
        ("{}".to_owned(), 422),
        (r#"{"type":"shutdown","request_id":"r"}"#.to_owned(), 422),
        (message(json!({"more": 1})), 422),
        (message(json!({"request_id": null})), 422),
        (message(json!({"request_id": "two words"})), 422),
        (message(json!({"session": "../../etc"})), 400),
        (message(json!({"session": "ses_00000000000000000000000009"})), 404),
        (message(json!({"content": ""})), 422),
        (json!({"type": "subscribe", "session": session, "after": 99}).to_string(), 422),
        (json!({"type": "subscribe", "session": session, "after": -1}).to_string(), 422),
        (json!({"type": "deny", "session": session, "call": "x", "scope": "once", "request_id": "r"}).to_string(), 422),
        (json!({"type": "approve", "session": session, "call": "x", "request_id": "r"}).to_string(), 400),
    ] {
        client.0.send(Message::text(frame.clone())).await.unwrap();
        let reply = client.next().await;
        let shown: String = frame.chars().take(80).collect();
        assert_eq!((&reply["event"], &reply["status"]), (&json!("reply"), &json!(status)), "{shown}: {reply}");
        assert_eq!(reply["data"]["status"], status, "{shown}: a problem");
    }
    assert_eq!(server.journal(&session).await.len(), 1, "nothing was done");
    let reply = client.ask(serde_json::from_str(&message(json!({}))).unwrap()).await;
    assert_eq!(reply["status"], 202);
}

#[tokio::test]
async fn what_breaks_the_rules_is_closed_with_a_code_and_a_reason() {
    let server = Server::start_with(|settings| settings.body_bytes = 10_000).await;
    let mut binary = client(&server).await;
    binary.0.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    assert_eq!(binary.closed().await.0, 1003);
    let mut large = client(&server).await;
    large.0.send(Message::text("x".repeat(10_001))).await.unwrap();
    assert_eq!(large.closed().await, (1009, "a frame has at most 10000 bytes".to_owned()));
    let mut garbage = client(&server).await;
    // Reserved bits, a reserved opcode, no mask.
    garbage.0.get_mut().write_all(&[0xff, 0x03, b'a', b'b', b'c']).await.unwrap();
    assert_eq!(garbage.closed().await.0, 1002);
    // Half of a frame, and gone.
    let mut torn = client(&server).await;
    torn.0.get_mut().write_all(&[0x81, 0xfe, 0x10]).await.unwrap();
    drop(torn);
    let session = server.session().await;
    let mut well = client(&server).await;
    let say = json!({"type": "message", "session": session, "content": "hi", "request_id": "r"});
    assert_eq!(well.ask(say).await["status"], 202);
}

#[tokio::test]
async fn a_peer_that_gives_no_sign_of_life_is_let_go() {
    let server = Server::start_with(|settings| settings.ping = Duration::from_secs(1)).await;
    let mut dead = client(&server).await;
    let mut alive = client(&server).await;
    // Its bytes are taken, but nobody is there to answer them.
    let mut bytes = Vec::new();
    let mut all = std::pin::pin!(dead.0.get_mut().read_to_end(&mut bytes));
    loop {
        tokio::select! {
            read = tokio::time::timeout(PATIENCE, &mut all) => { read.unwrap().unwrap(); break; }
            frame = alive.0.next() => assert!(matches!(frame, Some(Ok(Message::Ping(_)))), "{frame:?}"),
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.ends_with("no answer to a ping"), "{text}");
    let session = server.session().await;
    let say = json!({"type": "message", "session": session, "content": "hi", "request_id": "r"});
    assert_eq!(alive.ask(say).await["status"], 202);
}

#[tokio::test]
async fn a_stalled_client_keeps_no_session_waiting_and_misses_no_event() {
    let server = Server::start().await;
    let session = server.session().await;
    let mut stalled = client(&server).await;
    stalled.ask(json!({"type": "subscribe", "session": session})).await;
    // More than all the buffers between the two hold.
    let content = "x".repeat(500_000);
    for _ in 0..30 {
        let (status, answer) =
            server.post(&format!("/sessions/{session}/messages?wait=60"), json!({"content": content})).await;
        assert_eq!(status, 200, "{answer}");
    }
    let head = server.journal(&session).await.len();
    let mut seen = 0;
    while seen < head {
        let frame = stalled.next().await;
        if frame["event"] == "event" {
            seen += 1;
            assert_eq!(frame["id"], seen);
        }
    }
}

#[tokio::test]
async fn several_clients_that_type_at_once_are_put_in_order_and_named() {
    const EACH: usize = 8;
    let server = Server::start().await;
    let session = server.session().await;
    let mut sockets = Vec::new();
    for _ in 0..3 {
        let mut client = client(&server).await;
        client.ask(json!({"type": "subscribe", "session": session})).await;
        sockets.push(client);
    }
    let by_socket = sockets.into_iter().enumerate().map(|(who, mut client)| {
        let session = &session;
        async move {
            for n in 0..EACH {
                let (content, sender) = (format!("s{who}-{n}"), format!("s{who}"));
                let say = json!({"type": "message", "session": session, "content": content, "request_id": content, "sender": sender});
                let reply = client.ask(say).await;
                assert_eq!(reply["status"], 202, "{reply}");
            }
            client
        }
    });
    let by_http = (0..3).map(|who| {
        let (server, session) = (&server, &session);
        async move {
            for n in 0..EACH {
                let (content, sender) = (format!("h{who}-{n}"), format!("h{who}"));
                let body = json!({"content": content}).to_string();
                let headers = [("outlive-sender", sender.as_str())];
                let (status, answer) =
                    server.send("POST", &format!("/sessions/{session}/messages"), &headers, &body).await;
                assert_eq!(status, 202, "{answer}");
            }
        }
    });
    let (sockets, _) =
        futures_util::join!(futures_util::future::join_all(by_socket), futures_util::future::join_all(by_http));
    server.until(&session, "idle").await;
    let (_, page) = server.get(&format!("/sessions/{session}/messages?limit=1000")).await;
    let mut said: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for item in page["items"].as_array().unwrap().iter().filter(|item| item["role"] == "user") {
        let sender = item["origin"]["sender"].as_str().unwrap().to_owned();
        said.entry(sender).or_default().push(item["content"].as_str().unwrap().to_owned());
    }
    let expected: BTreeMap<String, Vec<String>> = ["h0", "h1", "h2", "s0", "s1", "s2"]
        .map(|who| (who.to_owned(), (0..EACH).map(|n| format!("{who}-{n}")).collect()))
        .into();
    assert_eq!(said, expected, "each once, each client's own in its order");
    // All of them have heard the same, each from its own place.
    let head = server.journal(&session).await.len();
    for mut client in sockets {
        client.until(|frame| frame["id"] == head).await;
    }
}

#[tokio::test]
async fn the_end_of_a_session_and_of_the_server_is_told() {
    let server = Server::start().await;
    let session = server.session().await;
    let mut client = client(&server).await;
    client.ask(json!({"type": "subscribe", "session": session})).await;
    client.until(|frame| frame["event"] == "live").await;
    assert_eq!(server.send("DELETE", &format!("/sessions/{session}"), &[], "").await.0, 204);
    let end = client.until(|frame| frame["event"] == "end").await;
    assert_eq!(end["session"], session);
    let other = server.session().await;
    let reply = client.ask(json!({"type": "subscribe", "session": other})).await;
    assert_eq!(reply["status"], 200, "the connection goes on");
    let reply = client.ask(json!({"type": "unsubscribe", "session": other, "request_id": "u"})).await;
    assert_eq!((&reply["status"], &reply["request_id"]), (&json!(200), &json!("u")));
    server.shut_down().await;
    assert_eq!(client.closed().await, (1001, "the server is shutting down".to_owned()));
}
