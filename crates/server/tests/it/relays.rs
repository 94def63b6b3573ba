//! Relays at the door.

use serde_json::{Value, json};

use crate::fixture::Server;

fn trip() -> Value {
    json!({"name": "trip", "prompt": "get there", "states": [
        {"name": "ask", "kind": "park", "question": "Go {{input.how}}?", "next": "rest", "input_schema":
            {"type": "object", "properties": {"how": {"type": "string", "default": "now"}}}},
        {"name": "rest", "kind": "timer", "after": "1h", "next": "done"},
        {"name": "done", "kind": "terminal", "outcome": "completed"},
    ]})
}

async fn kept(server: &Server) {
    let (status, body) = server.post("/relays", json!({"definition": trip()})).await;
    assert_eq!(status, 201, "{body}");
}

#[tokio::test]
async fn a_relay_is_kept_listed_and_shown_and_replaced_on_request() {
    let server = Server::start().await;
    kept(&server).await;
    kept(&server).await;
    let (_, listed) = server.get("/relays").await;
    let names: Vec<&Value> = listed["items"].as_array().unwrap().iter().map(|relay| &relay["name"]).collect();
    assert_eq!(names, ["trip"]);
    let (_, shown) = server.get("/relays/trip").await;
    assert!(shown["drawing"].as_str().unwrap().starts_with("trip\n├─▶ ask "), "{shown}");
    let mut other = trip();
    other["prompt"] = json!("get there soon");
    assert_eq!(server.post("/relays", json!({"definition": other})).await.1["code"], json!("relay_exists"));
    assert_eq!(server.post("/relays", json!({"definition": other, "replace": true})).await.0, 201);
    let (_, shown) = server.get("/relays/trip").await;
    assert_eq!(shown["definition"]["prompt"], json!("get there soon"));
    for name in ["none", "..%2Ftoken", "Trip"] {
        assert_eq!(server.get(&format!("/relays/{name}")).await.1["code"], json!("relay_not_found"), "{name}");
    }
}

#[tokio::test]
async fn a_relay_is_kept_once_under_one_name_and_answered_the_same_whatever_became_of_it() {
    let server = Server::start().await;
    let mut other = trip();
    other["prompt"] = json!("get there soon");
    let (first, second) = (json!({"definition": trip()}), json!({"definition": other, "replace": true}));
    let key = [("idempotency-key", "k1")];
    let (status, kept) = server.send("POST", "/relays", &key, &first.to_string()).await;
    assert_eq!(status, 201, "{kept}");
    assert_eq!(server.post("/relays", second.clone()).await.0, 201);
    let server = server.restarted().await;
    assert_eq!(server.send("POST", "/relays", &key, &first.to_string()).await, (201, kept));
    assert_eq!(server.get("/relays/trip").await.1["definition"]["prompt"], json!("get there soon"));
    let (status, body) = server.send("POST", "/relays", &key, &second.to_string()).await;
    assert_eq!((status, &body["code"]), (409, &json!("request_reused")), "{body}");
}

#[tokio::test]
async fn what_is_no_relay_is_refused_with_every_fault() {
    let server = Server::start().await;
    let broken = json!({"name": "Trip", "states": [{"name": "a", "kind": "scirpt"}]});
    let (status, body) = server.post("/relays", json!({"definition": broken})).await;
    assert_eq!((status, &body["code"]), (422, &json!("relay_invalid")), "{body}");
    let faults = body["faults"].as_array().unwrap();
    assert_eq!(faults.len(), 3, "{body}");
    let session = server.session().await;
    let start = json!({"action": "start", "definition": broken});
    assert_eq!(server.post(&format!("/sessions/{session}/relay"), start).await.1["code"], json!("relay_invalid"));
    let unknown = json!({"action": "begin"});
    assert_eq!(server.post(&format!("/sessions/{session}/relay"), unknown).await.0, 422);
    assert_eq!(server.get(&format!("/sessions/{session}/relay")).await.1["code"], json!("relay_not_found"));
}

#[tokio::test]
async fn a_relay_is_begun_once_under_one_name_by_who_may_approve() {
    let server = Server::start().await;
    kept(&server).await;
    let body = json!({"agent": "test", "input": {"how": "fast"}, "request_id": "begin-1"});
    let talker = server.token("talker", &["talk"]).await;
    assert_eq!(server.by(&talker, ("POST", "/relays/trip/start"), &body.to_string()).await.0, 403);
    let (status, first) = server.post("/relays/trip/start", body.clone()).await;
    assert_eq!((status, &first["duplicate"]), (201, &json!(false)), "{first}");
    let server = server.restarted().await;
    let (status, again) = server.post("/relays/trip/start", body).await;
    assert_eq!(
        (status, &again["duplicate"], &again["session_id"]),
        (201, &json!(true), &first["session_id"]),
        "{again}"
    );
    let session = first["session_id"].as_str().unwrap();
    let (_, asked) = server.get(&format!("/sessions/{session}/questions")).await;
    assert_eq!(asked["items"][0]["questions"][0]["text"], json!("Go fast?"), "{asked}");
    for (body, code) in [
        (json!({"agent": "test", "state": "nowhere"}), "relay_state_invalid"),
        (json!({"agent": "test", "input": {"when": 1}}), "relay_state_invalid"),
        (json!({"agent": "none"}), "agent_not_found"),
        (json!({}), "invalid"),
        (json!({"session": session}), "relay_running"),
    ] {
        assert_eq!(server.post("/relays/trip/start", body.clone()).await.1["code"], json!(code), "{body}");
    }
}

#[tokio::test]
async fn what_cannot_begin_leaves_no_session_behind() {
    let server = Server::start().await;
    kept(&server).await;
    for body in [json!({"agent": "test", "state": "nowhere"}), json!({"agent": "test", "input": {"when": 1}})] {
        assert_eq!(server.post("/relays/trip/start", body).await.0, 422);
    }
    assert_eq!(server.get("/sessions").await.1["items"], json!([]));
}

#[tokio::test]
async fn a_relay_is_steered_and_its_history_paged() {
    let server = Server::start().await;
    let session = server.session().await;
    let route = format!("/sessions/{session}/relay");
    let act = async |body: Value, status: u16| {
        let (is, said) = server.post(&route, body.clone()).await;
        assert_eq!(is, status, "{body}: {said}");
        said
    };
    act(json!({"action": "start", "definition": trip()}), 200).await;
    act(json!({"action": "select", "state": "rest", "reason": "it is late"}), 200).await;
    let mut other = trip();
    other["prompt"] = json!("stay");
    act(json!({"action": "redefine", "definition": other, "reason": " "}), 422).await;
    act(json!({"action": "redefine", "definition": other, "reason": "rain"}), 200).await;
    let (_, waits) = server.get(&format!("/waits?session={session}")).await;
    assert_eq!(
        (&waits["items"][0]["owner"], &waits["items"][0]["reason"]),
        (&json!("relay"), &json!("relay trip: rest"))
    );
    let (_, run) = server.get(&route).await;
    assert_eq!((&run["state"], &run["version"], run.get("outcome")), (&json!("rest"), &json!(2), None), "{run}");
    let (mut rows, mut cursor) = (Vec::new(), String::new());
    loop {
        let (_, page) = server.get(&format!("{route}?limit=1{cursor}")).await;
        rows.extend(page["items"].as_array().unwrap().iter().map(|row| row["what"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(rows, ["started", "attempt", "attempt", "redefined"]);
    act(json!({"action": "cancel", "reason": "enough"}), 200).await;
    act(json!({"action": "select", "state": "rest"}), 409).await;
}

#[tokio::test]
async fn what_a_relay_waits_for_is_moved_fired_and_cancelled_by_who_may_approve() {
    let server = Server::start().await;
    let session = server.session().await;
    let route = format!("/sessions/{session}/relay");
    let start = json!({"action": "start", "definition": trip(), "state": "rest"});
    let (status, started) = server.post(&route, start).await;
    assert_eq!(status, 200, "{started}");
    let (_, waits) = server.get(&format!("/waits?session={session}")).await;
    let wait = waits["items"][0]["id"].as_str().unwrap();
    let talker = server.token("talker", &["talk"]).await;
    let moved = json!({"for": "2h"}).to_string();
    let acts = [("move", moved.as_str()), ("fire", "{}"), ("cancel", "{}")];
    for (act, body) in acts {
        let (status, said) = server.by(&talker, ("POST", &format!("/waits/{wait}/{act}")), body).await;
        assert_eq!(
            (status, &said["code"], &said["needs"]),
            (403, &json!("forbidden_scope"), &json!("approve")),
            "{act}"
        );
    }
    assert_eq!(server.get(&route).await.1["state"], json!("rest"));
    let steerer = server.token("steerer", &["talk", "approve"]).await;
    for (act, body) in [acts[0], acts[2]] {
        let (status, said) = server.by(&steerer, ("POST", &format!("/waits/{wait}/{act}")), body).await;
        assert_eq!(status, 200, "{act}: {said}");
    }
    // A person's own are ended by whoever may talk.
    server.post(&format!("/sessions/{session}/waits"), json!({"reason": "the post", "for": "1h"})).await;
    let (_, waits) = server.get(&format!("/waits?session={session}")).await;
    let wait = waits["items"][0]["id"].as_str().unwrap();
    assert_eq!(server.by(&talker, ("POST", &format!("/waits/{wait}/cancel")), "{}").await.0, 200);
}
