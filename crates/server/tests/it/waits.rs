//! Waits, signals and webhooks at the door.

use outlive_core::secret::Secret;
use outlive_core::webhook::{Webhook, sign};
use outlive_runtime::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

use super::fixture::Server;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A server with one hook: what is closed is a signal to this session, what is opened goes to the agent.
async fn hooked(session: &str) -> Server {
    let hook: Webhook = serde_json::from_value(json!({
        "scheme": "standard", "secret": "S", "filter": {"repo": "shop"},
        "routes": [
            {"match": {"action": "closed"}, "signal": {"session": session, "name": "pr.{{payload.n}}"}},
            {"message": {"agent": "test", "session": "{{payload.n}}", "text": "look at {{payload.title}}"}},
        ],
    }))
    .unwrap();
    Server::start_with(|settings| {
        settings.webhooks.insert("shop".into(), (hook.clone(), Some(Secret::new(SECRET))));
        settings.webhooks.insert("bare".into(), (hook, None));
    })
    .await
}

fn now() -> i64 {
    SystemClock.now().micros() / 1_000_000
}

/// Delivers this as its sender would.
async fn deliver(server: &Server, (id, at): (&str, i64), body: &Value) -> (u16, Value) {
    let body = body.to_string();
    let signature = sign(SECRET, (id, at), body.as_bytes()).unwrap();
    tell(
        server,
        &[("webhook-id", id), ("webhook-timestamp", &at.to_string()), ("webhook-signature", &signature)],
        &body,
    )
    .await
}

async fn tell(server: &Server, headers: &[(&str, &str)], body: &str) -> (u16, Value) {
    let all: Vec<(&str, &str)> =
        [("content-type", "application/json")].into_iter().chain(headers.iter().copied()).collect();
    server.bare("POST", "/api/v1/hooks/shop", &all, body).await
}

#[tokio::test]
async fn a_wait_is_armed_listed_moved_fired_and_cancelled_and_late_comers_learn_who_was_first() {
    let server = Server::start().await;
    let session = server.session().await;
    let waits = format!("/sessions/{session}/waits");
    let armed = server.post(&waits, json!({"reason": "the post", "for": "1h", "request_id": "w1"})).await;
    let again = server.post(&waits, json!({"reason": "the post", "for": "1h", "request_id": "w1"})).await;
    assert_eq!((armed.0, again.0, &again.1["duplicate"]), (201, 201, &json!(true)));
    assert_eq!(armed.1["wait_id"], again.1["wait_id"]);
    server.post(&waits, json!({"reason": "the reply", "signal": "reply", "match": {"from": "ada"}})).await;
    let (_, listed) = server.get(&format!("/waits?session={session}")).await;
    let items = listed["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[0]["kind"], &items[1]["match"]), (2, &json!("timer"), &json!({"from": "ada"})));
    let (_, first) = server.get("/waits?limit=1").await;
    let (_, second) = server.get(&format!("/waits?limit=1&cursor={}", first["next_cursor"].as_str().unwrap())).await;
    assert_eq!(second["items"][0]["reason"], "the reply", "what no time ends comes last");
    let (_, view) = server.get(&format!("/sessions/{session}")).await;
    assert_eq!((&view["status"], &view["sleep"]["reason"]), (&json!("sleeping"), &json!("the post")));
    let id = items[0]["id"].as_str().unwrap();
    assert_eq!(armed.1["wait_id"], id);
    for list in ["waits", "notices"] {
        let (status, unknown) = server.get(&format!("/{list}?session=ses_00000000000000000000000001")).await;
        assert_eq!((status, &unknown["code"]), (404, &json!("session_not_found")), "{list}");
    }
    let moved = server.post(&format!("/waits/{id}/move"), json!({"for": "2h"})).await;
    assert_eq!(moved.0, 200, "{moved:?}");
    let fired = server.post(&format!("/waits/{id}/fire"), json!({})).await;
    assert_eq!(fired.0, 200);
    let late = server.post(&format!("/waits/{id}/cancel"), json!({})).await;
    assert_eq!((late.0, &late.1["code"], &late.1["first"]["reason"]), (409, &json!("wait_ended"), &json!("due")));
    let unknown = server.post("/waits/wait_00000000000000000000000001/fire", json!({})).await;
    assert_eq!((unknown.0, &unknown.1["code"]), (404, &json!("wait_not_found")));
    server.until(&session, "sleeping").await;
}

#[tokio::test]
async fn what_cannot_be_waited_for_is_refused_with_the_way_out() {
    let server = Server::start().await;
    let session = server.session().await;
    let waits = format!("/sessions/{session}/waits");
    for (body, expected) in [
        (json!({"reason": "r"}), "for"),
        (json!({"reason": "", "for": "1h"}), "reason"),
        (json!({"reason": "r", "for": "soon"}), "90s"),
        (json!({"reason": "r", "for": "1h", "until": "2026-01-01T00:00:00Z"}), "not both"),
        (json!({"reason": "r", "for": "1h", "match": {}}), "signal"),
        (json!({"reason": "r", "signal": "a b"}), "a-z"),
    ] {
        let (status, problem) = server.post(&waits, body.clone()).await;
        assert_eq!(status, 422, "{body}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(expected), "{body}: {problem}");
    }
    let signals = format!("/sessions/{session}/signals");
    let large = server.post(&signals, json!({"name": "x", "payload": "y".repeat(70_000)})).await;
    assert_eq!((large.0, &large.1["code"]), (422, &json!("signal_invalid")));
    let gone = server.post("/sessions/ses_00000000000000000000000001/signals", json!({"name": "x"})).await;
    assert_eq!((gone.0, &gone.1["code"]), (404, &json!("session_not_found")));
    // Long past, it is over at once.
    server.post(&waits, json!({"reason": "r", "until": "2020-01-01T00:00:00Z"})).await;
    server.until(&session, "idle").await;
}

#[tokio::test]
async fn a_webhook_is_taken_once_by_its_signature_and_becomes_a_signal_or_a_turn() {
    let plain = Server::start().await;
    let session = plain.session().await;
    drop(plain);
    let server = hooked(&session).await;
    let opened = json!({"repo": "shop", "action": "opened", "n": 5, "title": "{{payload.n}}"});
    let first = deliver(&server, ("msg_1", now()), &opened).await;
    assert_eq!((first.0, &first.1["duplicate"]), (202, &json!(false)), "{first:?}");
    let made = first.1["session_id"].as_str().unwrap();
    server.until(made, "idle").await;
    let again = deliver(&server, ("msg_1", now()), &opened).await;
    assert_eq!((again.0, &again.1["duplicate"], &again.1["seq"]), (202, &json!(true), &first.1["seq"]));
    let another = deliver(&server, ("msg_2", now()), &opened).await;
    assert_eq!((&another.1["session_id"], &another.1["duplicate"]), (&json!(made), &json!(false)));
    let journal = server.journal(made).await.join("\n");
    assert!(journal.contains("look at {{payload.n}}") && journal.contains(r#""kind":"webhook","sender":"shop""#));
    let other = deliver(&server, ("msg_3", now()), &json!({"repo": "other"})).await;
    assert_eq!((other.0, other.1.get("session_id")), (202, None), "nobody asks for it");
    let closed = deliver(&server, ("msg_4", now()), &json!({"repo": "shop", "action": "closed", "n": 5})).await;
    assert_eq!((closed.0, &closed.1["code"]), (404, &json!("session_not_found")), "no session is made for a signal");
}

#[tokio::test]
async fn a_webhook_that_is_forged_old_or_nothing_is_refused_and_begins_nothing() {
    let server = hooked("ses_00000000000000000000000001").await;
    let body = json!({"repo": "shop", "n": 1, "title": "t"}).to_string();
    let at = now();
    let signature = sign(SECRET, ("msg_1", at), body.as_bytes()).unwrap();
    let time = at.to_string();
    let headers =
        |id, signature| [("webhook-id", id), ("webhook-timestamp", time.as_str()), ("webhook-signature", signature)];
    let refused = |answer: (u16, Value), expected: &str| {
        assert_eq!((answer.0, &answer.1["code"]), (401, &json!("webhook_refused")), "{answer:?}");
        assert!(answer.1["detail"].as_str().unwrap().contains(expected), "{answer:?}");
    };
    refused(tell(&server, &headers("msg_2", signature.as_str()), &body).await, "not by this hook's secret");
    refused(tell(&server, &headers("msg_1", "v1,AAAA"), &body).await, "not by this hook's secret");
    refused(
        tell(&server, &headers("msg_1", signature.as_str()), &body.replace("\"n\":1", "\"n\":2")).await,
        "not by this",
    );
    refused(tell(&server, &[], &body).await, "webhook-id");
    refused(deliver(&server, ("msg_1", at - 4_000), &json!({})).await, "seconds away");
    let bare = server.bare("POST", "/api/v1/hooks/bare", &[("content-type", "application/json")], &body).await;
    refused(bare, "`S` of this hook has no value");
    let unknown = server.bare("POST", "/api/v1/hooks/none", &[("content-type", "application/json")], &body).await;
    assert_eq!((unknown.0, &unknown.1["code"]), (404, &json!("webhook_not_found")));
    let typed = server.bare("POST", "/api/v1/hooks/shop", &[("content-type", "text/plain")], &body).await;
    assert_eq!(typed.0, 415);
    let large = deliver(&server, ("msg_9", at), &json!({"repo": "x".repeat(3 << 20)})).await;
    assert_eq!((large.0, &large.1["code"]), (413, &json!("too_large")), "{large:?}");
    let not_json = sign(SECRET, ("msg_8", at), b"no").unwrap();
    assert_eq!(tell(&server, &headers("msg_8", &not_json), "no").await.0, 422);
    let (_, sessions) = server.get("/sessions").await;
    assert_eq!(sessions["items"], json!([]), "none of them began anything");
}
