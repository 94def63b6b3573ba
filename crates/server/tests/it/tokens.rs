//! Tokens and what each is for: route by route, frame by frame, and what becomes of open streams when one is revoked.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use outlive_core::content::{Reply, ReplyBlock, StopReason, Usage};
use outlive_server::{Keep, Token, Tokens};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use crate::fixture::{Server, TOKEN};
use crate::sockets::{Client, connect};

/// A place for the list that can be full.
#[derive(Default)]
struct Slate {
    text: Mutex<Option<Vec<u8>>>,
    is_full: Mutex<bool>,
}

impl Keep for Slate {
    fn load(&self) -> io::Result<Option<Vec<u8>>> {
        Ok(self.text.lock().unwrap().clone())
    }

    fn save(&self, text: &[u8]) -> io::Result<()> {
        if *self.is_full.lock().unwrap() {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "no room at /secret/place"));
        }
        *self.text.lock().unwrap() = Some(text.to_vec());
        Ok(())
    }
}

async fn over(slate: &Arc<Slate>) -> Server {
    let tokens = Tokens::kept(Token::new(TOKEN), slate.clone()).unwrap();
    Server::start_with(|settings| settings.tokens = tokens).await
}

async fn socket(server: &Server, token: &str) -> Client {
    connect(server, &[("authorization", &format!("Bearer {token}"))]).await.ok().unwrap().0
}

fn wants() -> Reply {
    Reply {
        content: vec![ReplyBlock::ToolUse { name: "send".into(), arguments: r#"{"act":"do"}"#.into() }],
        stop_reason: StopReason::ToolUse,
        usage: Usage::default(),
        model: "m".into(),
        provider_request_id: None,
        served_by: None,
    }
}

/// Whether a token of one scope may do what needs another: written apart from what the server says of it.
fn may(has: &str, needs: &str) -> bool {
    has == "admin" || has == needs || needs == "read"
}

#[tokio::test]
async fn every_route_is_open_to_the_scopes_that_reach_it_and_to_no_other() {
    let server = Server::start().await;
    let document: Value = serde_json::from_str(&outlive_server::openapi()).unwrap();
    let mut tokens = Vec::new();
    for scope in ["read", "talk", "approve", "admin"] {
        tokens.push((scope, server.token(scope, &[scope]).await));
    }
    let mut seen = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let Some(needs) = operation["security"][0]["token"][0].as_str() else {
                // A webhook shows a signature.
                let open = ["/livez", "/readyz", "/version", "/api/v1/hooks/{name}"];
                assert!(open.contains(&path.as_str()), "{path} says no scope");
                continue;
            };
            for (has, token) in &tokens {
                // A stream of everything would not end.
                if path == "/api/v1/events" && may(has, needs) {
                    continue;
                }
                let session = server.session().await;
                let route = path.replace("{id}", &session).replace("{name}", "none").replace("{hash}", "x");
                let route = route.replace("{call}", "x").replace("{question}", "x");
                let headers = [("authorization", format!("Bearer {token}"))];
                let mut headers: Vec<(&str, &str)> =
                    headers.iter().map(|(name, text)| (*name, text.as_str())).collect();
                let body = if method == "get" { "" } else { "{}" };
                headers.extend((!body.is_empty()).then_some(("content-type", "application/json")));
                let (status, problem) = server.bare(&method.to_uppercase(), &route, &headers, body).await;
                let refused = status == 403 && problem["code"] == "forbidden_scope";
                assert_eq!(refused, !may(has, needs), "{has}: {method} {path} needs {needs}: {status} {problem}");
                assert!(refused || ![401, 403, 405, 429].contains(&status), "{method} {path}: {status} {problem}");
                if refused {
                    assert_eq!(problem["needs"], needs);
                    assert!(server.journal(&session).await.len() == 1, "{method} {path}");
                }
                seen += 1;
            }
        }
    }
    assert!(seen > 160, "{seen}");
}

#[tokio::test]
async fn a_token_is_shown_once_kept_as_a_digest_and_outlives_a_restart() {
    let slate = Arc::new(Slate::default());
    let server = over(&slate).await;
    let token = server.token("ci", &["talk", "approve"]).await;
    assert!(token.starts_with("olt_") && token.len() == 68, "{token}");
    let (_, list) = server.get("/tokens").await;
    let shown = &list["items"][0];
    assert_eq!((&shown["name"], &shown["scopes"]), (&json!("ci"), &json!(["talk", "approve"])));
    let kept = String::from_utf8(slate.load().unwrap().unwrap()).unwrap();
    assert!(!list.to_string().contains(&token) && !kept.contains(&token) && !kept.contains(&token[4..]));
    let digest = outlive_core::digest::Digest::of(token.as_bytes());
    assert!(kept.contains(digest.as_str()), "{kept}");
    server.shut_down().await;
    let server = over(&slate).await;
    assert_eq!(server.by(&token, ("GET", "/sessions"), "").await.0, 200);
    assert_eq!(server.by(&token, ("GET", "/tokens"), "").await.0, 403);
    assert_eq!(server.by(digest.as_str(), ("GET", "/sessions"), "").await.0, 401, "what is kept lets nobody in");
    assert_eq!(server.send("DELETE", "/tokens/ci", &[], "").await.0, 204);
    server.shut_down().await;
    assert_eq!(over(&slate).await.by(&token, ("GET", "/sessions"), "").await.0, 401);
    *slate.text.lock().unwrap() = Some(b"[{\"name\":".to_vec());
    assert!(Tokens::kept(Token::new(TOKEN), slate).is_err(), "a list that cannot be read lets nobody in");
}

#[tokio::test]
async fn what_is_no_token_to_make_is_refused() {
    let server = Server::start().await;
    server.token("ci", &["read"]).await;
    for (body, status, code) in [
        (json!({"name": "ci", "scopes": ["read"]}), 409, "token_exists"),
        (json!({"name": "workspace", "scopes": ["read"]}), 422, "invalid"),
        (json!({"name": "../etc", "scopes": ["read"]}), 422, "invalid"),
        (json!({"name": "", "scopes": ["read"]}), 422, "invalid"),
        (json!({"name": "x", "scopes": []}), 422, "invalid"),
        (json!({"name": "x"}), 422, "invalid"),
        (json!({"name": "x", "scopes": ["root"]}), 422, "invalid"),
        (json!({"name": "x", "scopes": ["read"], "expires_in_s": 0}), 422, "invalid"),
        (json!({"name": "x", "scopes": ["read"], "expires_in_s": 315_360_001}), 422, "invalid"),
        (json!({"name": "x", "scopes": ["read"], "sha256": "0"}), 422, "invalid"),
    ] {
        let answer = server.post("/tokens", body.clone()).await;
        assert_eq!((answer.0, &answer.1["code"]), (status, &json!(code)), "{body}");
    }
    server.token("once", &["read"]).await;
    let key = [("idempotency-key", "r1")];
    let twice = [
        server.send("DELETE", "/tokens/once", &key, "").await.0,
        server.send("DELETE", "/tokens/once", &key, "").await.0,
    ];
    assert_eq!(twice, [204, 204], "the same request is answered the same");
    let gone = server.send("DELETE", "/tokens/none", &[], "").await;
    assert_eq!((gone.0, &gone.1["code"]), (404, &json!("token_not_found")));
    assert_eq!(server.get("/tokens").await.1["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_list_that_cannot_be_written_stays_as_it_was() {
    let slate = Arc::new(Slate::default());
    let server = over(&slate).await;
    let token = server.token("ci", &["read"]).await;
    *slate.is_full.lock().unwrap() = true;
    let made = server.post("/tokens", json!({"name": "more", "scopes": ["read"]})).await;
    assert_eq!((made.0, &made.1["code"]), (507, &json!("no_space")));
    assert!(!made.1.to_string().contains("/secret"), "{}", made.1);
    assert_eq!(server.send("DELETE", "/tokens/ci", &[], "").await.0, 507);
    assert_eq!(server.by(&token, ("GET", "/sessions"), "").await.0, 200, "what was not revoked holds");
    *slate.is_full.lock().unwrap() = false;
    assert_eq!(server.get("/tokens").await.1["items"].as_array().unwrap().len(), 1);
    assert_eq!(server.send("DELETE", "/tokens/ci", &[], "").await.0, 204);
    assert_eq!(server.by(&token, ("GET", "/sessions"), "").await.0, 401);
}

#[tokio::test]
async fn a_token_that_is_revoked_lets_go_of_open_streams_at_once() {
    let server = Server::start().await;
    let session = server.session().await;
    let (gone, other) = (server.token("gone", &["talk"]).await, server.token("other", &["read"]).await);
    let (mut stream, _) = server.listening(&gone, &session, 0).await;
    let (mut stays, _) = server.listening(&other, &session, 0).await;
    let bearer = format!("Bearer {gone}");
    let mut all = server.open("GET", "/api/v1/events", &[("authorization", &bearer)], 0).await;
    let mut talks = socket(&server, &gone).await;
    talks.ask(json!({"type": "subscribe", "session": session})).await;
    let busy = server.session().await;
    server.model_hangs();
    let messages = format!("/sessions/{busy}/messages?wait=3600");
    let waits = server.by(&gone, ("POST", &messages), r#"{"content":"hi"}"#);
    let revoke = async {
        server.until(&busy, "running").await;
        server.send("DELETE", "/tokens/gone", &[], "").await
    };
    let (held, revoked) = futures_util::join!(waits, revoke);
    assert_eq!((held.0, revoked.0), (401, 204), "who waits for an ending waits no more");
    server.model_goes_on();
    let mut rest = String::new();
    for stream in [&mut stream, &mut all] {
        let end = tokio::time::timeout(Duration::from_secs(60), stream.read_to_string(&mut rest));
        end.await.unwrap().unwrap();
    }
    assert_eq!(talks.closed().await, (4401, "the token does not hold any more".to_owned()));
    assert_eq!(server.by(&gone, ("GET", "/sessions"), "").await.0, 401);
    let say = json!({"content": "later"});
    assert_eq!(server.post(&format!("/sessions/{session}/messages?wait=30"), say).await.0, 200);
    assert!(!rest.contains("later"), "{rest}");
    let mut heard = Vec::new();
    while !String::from_utf8_lossy(&heard).contains("turn.ended") {
        assert!(stays.read_buf(&mut heard).await.unwrap() > 0, "another token's stream goes on");
    }
}

#[tokio::test]
async fn a_socket_does_what_its_token_is_for() {
    let server = Server::start().await;
    let session = server.session().await;
    let frames = |call: &Value, name: &str| {
        let of = |kind: &str| json!({"type": kind, "session": session, "request_id": format!("{name}-{kind}")});
        let with = |kind: &str, more: Value| {
            let mut frame = of(kind);
            frame.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            frame
        };
        [
            ("read", of("subscribe")),
            ("read", of("unsubscribe")),
            ("talk", with("message", json!({"content": "hi"}))),
            ("talk", with("steer", json!({"content": "hi"}))),
            ("talk", of("interrupt")),
            ("talk", with("answer", json!({"question": "que_00000000000000000000000009", "answers": ["x"]}))),
            ("admin", with("approve", json!({"call": call, "scope": "agent"}))),
            ("approve", with("approve", json!({"call": call}))),
            ("approve", with("deny", json!({"call": call}))),
        ]
    };
    for has in ["read", "talk", "approve", "admin"] {
        let token = server.token(has, &[has]).await;
        let mut client = socket(&server, &token).await;
        for (needs, frame) in frames(&json!("cal_00000000000000000000000009"), has) {
            let before = server.journal(&session).await.len();
            let reply = client.ask(frame.clone()).await;
            let refused = reply["status"] == 403 && reply["data"]["code"] == "forbidden_scope";
            assert_eq!(refused, !may(has, needs), "{has}: {frame}: {reply}");
            server.until(&session, "idle").await;
            assert!(!refused || server.journal(&session).await.len() == before, "{has}: {frame}");
        }
    }
}

#[tokio::test]
async fn only_admin_decides_for_all_sessions_of_an_agent_and_speakers_are_named_as_their_tokens() {
    let server = Server::start().await;
    let session = server.session().await;
    let (talks, decides) = (server.token("ann", &["talk"]).await, server.token("bob", &["approve"]).await);
    server.model_says(wants());
    let messages = format!("/sessions/{session}/messages");
    assert_eq!(server.by(&talks, ("POST", &messages), r#"{"content":"go"}"#).await.0, 202);
    server.until(&session, "approving").await;
    let (_, inbox) = server.get("/inbox").await;
    let route = format!("/sessions/{session}/approvals/{}", inbox["items"][0]["call"].as_str().unwrap());
    let refused = server.by(&decides, ("POST", &route), r#"{"decision":"allow_agent"}"#).await;
    assert_eq!((refused.0, &refused.1["needs"]), (403, &json!("admin")), "{}", refused.1);
    assert_eq!(server.by(&talks, ("POST", &route), r#"{"decision":"allow"}"#).await.0, 403);
    assert_eq!(server.by(&decides, ("POST", &route), r#"{"decision":"allow"}"#).await.0, 200);
    server.until(&session, "idle").await;
    let journal = server.journal(&session).await;
    let named = |kind: &str| journal.iter().find(|line| line.contains(kind)).unwrap();
    assert!(named("message.received").contains(r#""sender":"ann""#), "{}", named("message.received"));
    assert!(named("call.allowed").contains(r#""sender":"bob""#), "{}", named("call.allowed"));
}
