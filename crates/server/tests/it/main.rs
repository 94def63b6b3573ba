//! The API over real HTTP: every kind of route, what it refuses, and what survives.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on has failed"
)]

mod checkpoints;
mod files;
mod fixture;
mod hostile;
mod imports;
mod keyed;
mod limits;
mod lists;
mod metrics;
mod moving;
mod order;
mod pages;
mod relays;
mod remembering;
mod schedules;
mod sockets;
mod tasks;
mod tokens;
mod trash;
mod waits;

use fixture::{Server, decoded};
use outlive_core::content::{Reply, ReplyBlock, StopReason, Usage};
use serde_json::{Value, json};

#[tokio::test]
async fn a_message_is_accepted_runs_and_can_be_read_back() {
    let server = Server::start().await;
    let session = server.session().await;
    let accepted =
        server.post(&format!("/sessions/{session}/messages"), json!({"content": "hi", "request_id": "r1"})).await;
    assert_eq!((accepted.0, &accepted.1["duplicate"], &accepted.1["request_id"]), (202, &json!(false), &json!("r1")));
    let result = server.post(&format!("/sessions/{session}/messages?wait=30"), json!({"content": "again"})).await;
    assert_eq!((result.0, &result.1["ending"], &result.1["message"]), (200, &json!("complete"), &json!("said")));
    let (_, messages) = server.get(&format!("/sessions/{session}/messages")).await;
    let said: Vec<&str> =
        messages["items"].as_array().unwrap().iter().map(|item| item["role"].as_str().unwrap()).collect();
    assert_eq!(said, ["user", "assistant", "user", "assistant"]);
    let (_, view) = server.get(&format!("/sessions/{session}")).await;
    assert_eq!((&view["status"], &view["agent"], &view["turns"]), (&json!("idle"), &json!("test"), &json!(2)));
}

#[tokio::test]
async fn the_same_request_is_answered_the_same_and_another_body_is_a_conflict() {
    let server = Server::start().await;
    let session = server.session().await;
    let route = format!("/sessions/{session}/messages");
    let first = server.post(&route, json!({"content": "hi", "request_id": "r1"})).await.1;
    let again = server.post(&route, json!({"content": "hi", "request_id": "r1"})).await.1;
    assert_eq!(
        (&again["seq"], &again["turn_id"], &again["duplicate"]),
        (&first["seq"], &first["turn_id"], &json!(true))
    );
    let other = server.post(&route, json!({"content": "ho", "request_id": "r1"})).await;
    assert_eq!((other.0, &other.1["code"]), (409, &json!("request_reused")));
    let key = ("idempotency-key", "k1");
    let one = server.send("POST", "/sessions", &[key], r#"{"agent":"test"}"#).await;
    let two = server.send("POST", "/sessions", &[key], r#"{"agent":"test"}"#).await;
    assert_eq!((one.0, two.0, &one.1["id"]), (201, 201, &two.1["id"]));
    let three = server.send("POST", "/sessions", &[key], r#"{"agent":"test","title":"x"}"#).await;
    assert_eq!((three.0, &three.1["code"]), (409, &json!("request_reused")));
}

#[tokio::test]
async fn a_call_waits_for_a_person_is_decided_once_and_shows_in_the_inbox() {
    let server = Server::start().await;
    let session = server.session().await;
    server.model_says(Reply {
        content: vec![ReplyBlock::ToolUse { name: "send".into(), arguments: r#"{"act":"do"}"#.into() }],
        stop_reason: StopReason::ToolUse,
        usage: Usage::default(),
        model: "m".into(),
        provider_request_id: None,
        served_by: None,
    });
    server.post(&format!("/sessions/{session}/messages"), json!({"content": "go"})).await;
    server.until(&session, "approving").await;
    let (_, inbox) = server.get("/inbox").await;
    let call = inbox["items"][0]["call"].as_str().unwrap().to_owned();
    assert_eq!((&inbox["items"][0]["kind"], &inbox["items"][0]["session_id"]), (&json!("approval"), &json!(session)));
    let route = format!("/sessions/{session}/approvals/{call}");
    let first = server.post(&route, json!({"decision": "allow"})).await;
    let late = server.post(&route, json!({"decision": "deny"})).await;
    assert_eq!((first.0, late.0, &late.1["code"]), (200, 409, &json!("already_decided")));
    assert_eq!(late.1["first"]["verdict"], json!("allow"));
    server.until(&session, "idle").await;
}

#[tokio::test]
async fn the_inbox_is_read_page_by_page_to_its_end() {
    let server = Server::start().await;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let session = server.session().await;
        server.model_says(Reply {
            content: vec![ReplyBlock::ToolUse { name: "send".into(), arguments: r#"{"act":"do"}"#.into() }],
            stop_reason: StopReason::ToolUse,
            usage: Usage::default(),
            model: "m".into(),
            provider_request_id: None,
            served_by: None,
        });
        server.post(&format!("/sessions/{session}/messages"), json!({"content": "go"})).await;
        server.until(&session, "approving").await;
        waiting.push(session);
    }
    let (_, first) = server.get("/inbox?limit=2").await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let (_, last) = server.get(&format!("/inbox?limit=2&cursor={cursor}")).await;
    assert_eq!(last.get("next_cursor"), Some(&Value::Null));
    let pages = [first, last];
    let mut seen: Vec<&str> = pages
        .iter()
        .flat_map(|page| page["items"].as_array().unwrap())
        .map(|item| item["session_id"].as_str().unwrap())
        .collect();
    seen.sort_unstable();
    waiting.sort_unstable();
    assert_eq!(seen, waiting);
}

#[tokio::test]
async fn sse_replay_is_the_journal_byte_for_byte_and_goes_on_after_last_event_id() {
    let server = Server::start().await;
    let session = server.session().await;
    server.post(&format!("/sessions/{session}/messages?wait=30"), json!({"content": "hi"})).await;
    let (_, page) = server.get_text(&format!("/sessions/{session}/events")).await;
    let journal = server.journal(&session).await;
    assert!(journal.iter().all(|line| page.contains(line.as_str())), "the page has the exact lines");
    let whole = server.stream(&session, None, journal.len()).await;
    assert_eq!(decoded(&whole), journal.iter().cloned().zip(1..).collect::<Vec<_>>());
    let rest = server.stream(&session, Some("3"), journal.len() - 3).await;
    assert_eq!(decoded(&rest), journal.into_iter().zip(1..).skip(3).collect::<Vec<_>>());
}

#[tokio::test]
async fn who_may_not_come_in_is_refused_before_any_route_sees_the_request() {
    let server = Server::start().await;
    let good = format!("Bearer {}", fixture::TOKEN);
    let near = format!("Bearer {}x", fixture::TOKEN);
    let auth = ("authorization", good.as_str());
    for (headers, status, code) in [
        (vec![], 401, "unauthorized"),
        (vec![("authorization", near.as_str())], 401, "unauthorized"),
        (vec![("authorization", "Bearer ")], 401, "unauthorized"),
        (vec![auth, ("host", "evil.example")], 403, "foreign_host"),
        (vec![auth, ("host", "127.0.0.1.evil.example")], 403, "foreign_host"),
        (vec![auth, ("origin", "http://evil.example")], 403, "foreign_origin"),
        (vec![auth, ("origin", "null")], 403, "foreign_origin"),
        (vec![auth, ("sec-fetch-site", "cross-site")], 403, "foreign_origin"),
    ] {
        let answer = server.bare("GET", "/api/v1/sessions", &headers, "").await;
        assert_eq!((answer.0, &answer.1["code"]), (status, &json!(code)), "{headers:?}");
    }
    let twice = [auth, ("host", "127.0.0.1"), ("Host", "localhost")];
    let answer = server.bare("GET", "/api/v1/sessions", &twice, "").await;
    assert_eq!((answer.0, &answer.1["code"]), (403, &json!("foreign_host")), "two names are no name");
    let lower = format!("bearer {}", fixture::TOKEN);
    assert_eq!(server.bare("GET", "/api/v1/sessions", &[("authorization", &lower)], "").await.0, 200);
    assert_eq!(server.bare("GET", "/livez", &[], "").await.0, 200);
    assert_eq!(server.bare("GET", "/readyz", &[], "").await.0, 200);
    assert_eq!(server.bare("GET", "/metrics", &[], "").await.0, 401);
}

#[tokio::test]
async fn malformed_requests_get_a_problem_with_a_stable_code() {
    let server = Server::start().await;
    let session = server.session().await;
    let messages = format!("/sessions/{session}/messages");
    let large = format!("{{\"content\":\"{}\"}}", "x".repeat(3 << 20));
    let long = format!("{{\"content\":\"{}\"}}", "x".repeat((1 << 20) + 1));
    for (method, route, body, status, code) in [
        ("GET", "/nothing", "", 404, "not_found"),
        ("PUT", "/sessions", "{}", 405, "method_not_allowed"),
        ("GET", "/sessions/..%2e%2e%2fetc", "", 400, "malformed_id"),
        ("GET", "/sessions/ses_0000000000000000000000000I", "", 400, "malformed_id"),
        ("GET", "/sessions/ses_00000000000000000000000009", "", 404, "session_not_found"),
        ("GET", "/sessions/ses_00000000000000000000000009/events", "", 404, "session_not_found"),
        ("GET", "/agents/none", "", 404, "agent_not_found"),
        ("GET", "/artifacts/ab", "", 400, "malformed_id"),
        ("POST", "/sessions", "{\"agent\":\"none\"}", 404, "agent_not_found"),
        ("POST", "/sessions", "{\"agent\":", 400, "malformed_json"),
        ("POST", "/sessions", "{\"agnt\":\"test\"}", 422, "invalid"),
        ("POST", messages.as_str(), "{\"content\":\"  \"}", 422, "message_empty"),
        ("POST", messages.as_str(), "{\"content\":7}", 422, "invalid"),
        ("POST", messages.as_str(), long.as_str(), 422, "message_too_large"),
        ("POST", messages.as_str(), large.as_str(), 413, "too_large"),
        ("POST", messages.as_str(), "\u{0}", 400, "malformed_json"),
        ("POST", messages.as_str(), "[\"list\"]", 422, "invalid"),
        ("POST", &format!("{messages}?wait=-5"), "{\"content\":\"x\"}", 422, "invalid"),
        ("POST", &format!("{messages}?wait=NaN"), "{\"content\":\"x\"}", 422, "invalid"),
        ("POST", "/sessions", "{\"agent\":\"test\",\"project\":\"../../x\"}", 400, "malformed_id"),
        ("PATCH", &format!("/sessions/{session}"), "{}", 422, "invalid"),
        ("GET", "/sessions/%ff", "", 400, "malformed_id"),
        ("GET", "/agents/%ff", "", 400, "malformed_id"),
        ("GET", "/sessions?status=bogus", "", 422, "invalid"),
        ("GET", "/sessions?limit=x", "", 422, "invalid"),
        ("GET", "/sessions?cursor=x", "", 422, "invalid"),
        ("GET", "/sessions?nope=1", "", 422, "invalid"),
        ("GET", "/sessions?limit=0", "", 422, "invalid"),
        ("GET", "/inbox?limit=0", "", 422, "invalid"),
        ("GET", "/inbox?cursor=x", "", 422, "invalid"),
        ("GET", "/inbox?nope=1", "", 422, "invalid"),
        ("GET", "/agents?nope=1", "", 422, "invalid"),
    ] {
        let answer = server.send(method, route, &[], body).await;
        let shown: String = body.chars().take(40).collect();
        assert_eq!((answer.0, &answer.1["code"]), (status, &json!(code)), "{method} {route} {shown}");
        assert_eq!(answer.1["status"], json!(status));
    }
    let plain = server
        .bare(
            "POST",
            &format!("/api/v1{messages}"),
            &[("authorization", &server.bearer()), ("content-type", "text/plain")],
            "{}",
        )
        .await;
    assert_eq!((plain.0, &plain.1["code"]), (415, &json!("unsupported_media_type")));
    let beyond = [("accept", "text/event-stream"), ("last-event-id", "9")];
    let beyond = server.send("GET", &format!("/sessions/{session}/events"), &beyond, "").await;
    assert_eq!((beyond.0, &beyond.1["code"]), (422, &json!("invalid")));
    assert_eq!(server.get(&format!("/sessions/{session}/events?after=9")).await.1, json!({"items": [], "head": 1}));
    let keyed = server.send("POST", &messages, &[("idempotency-key", "\u{e9}")], "{\"content\":\"x\"}").await;
    assert_eq!((keyed.0, &keyed.1["code"]), (422, &json!("invalid")));
    let (_, view) = server.get(&format!("/sessions/{session}")).await;
    assert_eq!(view["head"], json!(1), "nothing of all that was recorded");
}

#[tokio::test]
async fn an_interrupt_of_nothing_is_remembered_and_stops_no_later_turn() {
    let server = Server::start().await;
    let session = server.session().await;
    let route = format!("/sessions/{session}/interrupt");
    let key = [("idempotency-key", "i1")];
    assert_eq!(server.send("POST", &route, &key, "{}").await.0, 200);
    server.model_hangs();
    server.post(&format!("/sessions/{session}/messages"), json!({"content": "go"})).await;
    let again = server.send("POST", &route, &key, "{}").await;
    assert_eq!((again.0, &again.1["duplicate"]), (200, &json!(true)));
    server.model_goes_on();
    server.until(&session, "idle").await;
    assert!(server.journal(&session).await.iter().any(|line| line.contains(r#""ending":"complete""#)));
}

#[tokio::test]
async fn a_slow_body_is_given_up() {
    let server = Server::start().await;
    assert_eq!(server.slow_body().await, 408);
}

#[tokio::test]
async fn follow_ups_can_be_seen_changed_and_taken_back() {
    let server = Server::start().await;
    let session = server.session().await;
    server.model_hangs();
    let messages = format!("/sessions/{session}/messages");
    for text in ["first", "second", "third"] {
        server.post(&messages, json!({"content": text})).await;
    }
    let route = format!("/sessions/{session}/queue");
    let (_, queue) = server.get(&route).await;
    let ids: Vec<&Value> = queue["items"].as_array().unwrap().iter().map(|item| &item["id"]).collect();
    assert_eq!(ids.len(), 2);
    let body = json!({"items": [{"id": ids[1], "content": "changed"}, {"content": "new"}]}).to_string();
    let (status, queue) = server.send("PUT", &route, &[], &body).await;
    let left: Vec<&str> =
        queue["items"].as_array().unwrap().iter().map(|item| item["content"].as_str().unwrap()).collect();
    assert_eq!((status, left), (200, vec!["changed", "new"]));
    let gone = json!({"items": [{"id": ids[0], "content": "x"}]}).to_string();
    assert_eq!(server.send("PUT", &route, &[], &gone).await.1["code"], json!("input_not_found"));
    server.model_goes_on();
    let done = server.post(&format!("/sessions/{session}/interrupt"), json!({})).await;
    assert_eq!(done.0, 200);
    server.until(&session, "idle").await;
}

#[tokio::test]
async fn sessions_are_renamed_paused_archived_listed_and_deleted() {
    let server = Server::start().await;
    let session = server.session().await;
    let route = format!("/sessions/{session}");
    let renamed = server.send("PATCH", &route, &[], r#"{"title":"Zebra"}"#).await;
    assert_eq!(renamed.1["title"], json!("Zebra"));
    assert_eq!(server.post(&format!("{route}/pause"), json!({"reason": "lunch"})).await.0, 200);
    assert_eq!(server.get(&route).await.1["paused_because"], json!("lunch"));
    assert_eq!(server.post(&format!("{route}/resume"), json!({})).await.0, 200);
    let (_, list) = server.get("/sessions?q=zebra").await;
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert_eq!(server.send("PATCH", &route, &[], r#"{"archived":true}"#).await.1["status"], json!("archived"));
    let refused = server.post(&format!("{route}/messages"), json!({"content": "hi"})).await;
    assert_eq!((refused.0, &refused.1["code"]), (409, &json!("session_archived")));
    assert_eq!(server.send("DELETE", &route, &[], "").await.0, 204);
    assert_eq!(server.get(&route).await.0, 404);
    assert_eq!(server.send("DELETE", &route, &[], "").await.0, 404);
}

#[tokio::test]
async fn the_stream_of_a_session_that_is_deleted_ends() {
    let server = Server::start().await;
    let session = server.session().await;
    assert!(server.stream_of_a_deleted(&session).await.contains("session.created"));
}

#[tokio::test]
async fn a_full_disk_is_told_and_reads_go_on() {
    let server = Server::start().await;
    let session = server.session().await;
    server.disk_is_full();
    let refused = server.post(&format!("/sessions/{session}/messages"), json!({"content": "hi"})).await;
    assert_eq!((refused.0, &refused.1["code"]), (507, &json!("no_space")));
    assert_eq!(server.get(&format!("/sessions/{session}")).await.0, 200);
    server.disk_has_room();
    assert_eq!(server.post(&format!("/sessions/{session}/messages?wait=30"), json!({"content": "hi"})).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_or_half_of_something_is_closed() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let server = Server::start().await;
    let whole =
        format!("GET /api/v1/sessions HTTP/1.1\r\nhost: localhost\r\nauthorization: {}\r\n\r\n", server.bearer());
    for said in ["", "GET /api/v1/sessions HTTP/1.1\r\nhost: loc", &whole] {
        let mut connection = server.connection().await;
        connection.write_all(said.as_bytes()).await.unwrap();
        // Time passes by itself while nothing else happens: without a limit this would never end.
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer.starts_with("HTTP/1.1 200"), said == whole, "{said}: {answer}");
    }
}
