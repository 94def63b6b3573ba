//! Sessions of tasks, and loops, at the door.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::fixture::Server;

fn task(role: &str, state: &str) -> Value {
    json!({"project": "shop-0000abcd", "role": role, "feature": "the cart", "task": "T&1", "state": state})
}

async fn ask(server: &Server, role: &str, state: &str) -> (u16, Value) {
    server.post("/sessions", json!({"agent": "test", "task": task(role, state)})).await
}

#[tokio::test]
async fn a_hundred_who_ask_for_a_task_at_once_get_one_session() {
    let server = Server::start().await;
    let all = join_all((0..100).map(|_| ask(&server, "dev", "in_dev"))).await;
    let made = all.iter().filter(|(status, _)| *status == 201).count();
    let found = all.iter().filter(|(status, _)| *status == 200).count();
    assert_eq!((made, found), (1, 99), "{:?}", all.iter().find(|(status, _)| *status > 201));
    let ids: BTreeSet<&str> = all.iter().map(|(_, body)| body["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 1);
    let session = ids.first().unwrap();
    assert_eq!(server.journal(session).await.len(), 1);
    let session = (*session).to_owned();
    let server = server.restarted().await;
    let (status, again) = ask(&server, "dev", "in_dev").await;
    assert_eq!((status, again["id"].as_str().unwrap()), (200, session.as_str()));
    assert_eq!((&again["task"], &again["project"]), (&task("dev", "in_dev"), &json!("shop-0000abcd")));
}

#[tokio::test]
async fn a_task_lists_its_sessions_by_state_and_its_current_one() {
    let server = Server::start().await;
    let of = |body: &Value| body["id"].as_str().unwrap().to_owned();
    let dev = of(&ask(&server, "dev", "in_dev").await.1);
    let pair = of(&ask(&server, "pair", "in_dev").await.1);
    let qa = of(&ask(&server, "qa", "in_qa").await.1);
    let route = "/tasks?project=shop-0000abcd&feature=the%20cart&task=T%261";
    let (status, listed) = server.get(route).await;
    assert_eq!((status, &listed["current"]), (200, &json!(qa)), "{listed}");
    let ids = |state: &str| -> Vec<String> { listed["states"][state].as_array().unwrap().iter().map(of).collect() };
    assert_eq!((ids("planning"), ids("in_dev"), ids("in_qa")), (vec![], vec![pair.clone(), dev], vec![qa.clone()]));
    let put_away = json!({"archived": true}).to_string();
    server.send("PATCH", &format!("/sessions/{qa}"), &[], &put_away).await;
    let (_, listed) = server.get(route).await;
    assert_eq!(listed["current"], json!(pair), "what is put away is not current");
    let (_, none) = server.get("/tasks?project=shop-0000abcd&feature=the%20cart").await;
    assert_eq!((&none["current"], &none["states"]["in_dev"]), (&Value::Null, &json!([])));
}

#[tokio::test]
async fn what_is_no_task_is_refused() {
    let server = Server::start().await;
    let check = async |task: Value, status: u16, code: &str| {
        let (is, body) = server.post("/sessions", json!({"agent": "test", "task": task})).await;
        assert_eq!((is, &body["code"]), (status, &json!(code)), "{body}");
    };
    let with = |key: &str, value: Value| {
        let mut task = task("dev", "in_dev");
        task[key] = value;
        task
    };
    check(with("feature", json!("a\nb")), 422, "task_invalid").await;
    check(with("task", json!("x".repeat(129))), 422, "task_invalid").await;
    check(with("project", json!("shop")), 400, "malformed_id").await;
    check(with("state", json!("done")), 422, "invalid").await;
    check(with("role", json!("Dev Ops")), 422, "invalid").await;
    let other = json!({"agent": "test", "project": "else-0000abcd", "task": task("dev", "in_dev")});
    assert_eq!(server.post("/sessions", other).await.1["code"], json!("task_invalid"));
}

#[tokio::test]
async fn a_loop_is_begun_by_who_may_approve_shown_and_aborted() {
    let server = Server::start().await;
    server.model_hangs();
    let session = server.session().await;
    let route = format!("/sessions/{session}/loop");
    let body = json!({"goal": "make it work", "checks": [{"name": "test", "run": "just test"}], "iterations": 3});
    let talker = server.token("talker", &["talk"]).await;
    let (status, refused) = server.by(&talker, ("POST", &route), &body.to_string()).await;
    assert_eq!(status, 403, "{refused}");
    let (status, begun) = server.post(&route, body.clone()).await;
    assert_eq!(status, 200, "{begun}");
    assert_eq!(server.post(&route, body).await.1["code"], json!("loop_running"));
    let (_, view) = server.get(&format!("/sessions/{session}")).await;
    let check = json!({"name": "test", "run": "just test", "state": "untried"});
    let expected = json!({"goal": "make it work", "iteration": 1, "limit": 3, "checks": [check]});
    assert_eq!(view["loop"], expected);
    let (status, ended) = server.by(&talker, ("DELETE", &route), "").await;
    assert_eq!(status, 200, "{ended}");
    server.until(&session, "idle").await;
    let (_, view) = server.get(&format!("/sessions/{session}")).await;
    assert_eq!(view["loop"]["exit"], json!("aborted"));
    assert_eq!(server.send("DELETE", &route, &[], "").await.1["code"], json!("loop_not_running"));
    let invalid = json!({"goal": "make it work", "checks": []});
    assert_eq!(server.post(&route, invalid).await.1["code"], json!("loop_invalid"));
}
