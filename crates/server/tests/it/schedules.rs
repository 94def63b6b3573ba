//! Schedules at the door: made once, shown, changed, refused.

use serde_json::{Value, json};

use crate::fixture::Server;

fn hourly() -> Value {
    json!({"every": "1h", "agent": "test", "message": "look"})
}

#[tokio::test]
async fn a_schedule_is_made_once_under_a_name_also_after_a_restart() {
    let server = Server::start().await;
    let make = async |server: &Server, body: &Value| {
        server.send("POST", "/schedules", &[("Idempotency-Key", "k1")], &body.to_string()).await
    };
    let (status, made) = make(&server, &hourly()).await;
    assert_eq!((status, &made["status"], &made["every"]), (201, &json!("active"), &json!("1h")), "{made}");
    assert_eq!(make(&server, &hourly()).await, (201, made.clone()));
    let mut other = hourly();
    other["every"] = "2h".into();
    let (status, refused) = make(&server, &other).await;
    assert_eq!((status, &refused["code"]), (409, &json!("request_reused")));
    let server = server.restarted().await;
    assert_eq!(make(&server, &hourly()).await, (201, made.clone()));
    let (_, listed) = server.get("/schedules").await;
    assert_eq!((listed["items"].as_array().unwrap().len(), &listed["items"][0]["id"]), (1, &made["id"]));
}

#[tokio::test]
async fn a_schedule_is_changed_paused_run_once_and_removed() {
    let server = Server::start().await;
    let (_, made) = server.post("/schedules", hourly()).await;
    let route = format!("/schedules/{}", made["id"].as_str().unwrap());
    let (status, changed) =
        server.send("PUT", &route, &[], r#"{"cron": "@daily", "agent": "test", "message": "look"}"#).await;
    assert_eq!((status, &changed["cron"], &changed["every"]), (200, &json!("@daily"), &Value::Null), "{changed}");
    let (status, paused) = server.post(&format!("{route}/pause"), json!({"reason": "holidays"})).await;
    assert_eq!((status, &paused["status"], &paused["reason"]), (200, &json!("paused"), &json!("holidays")));
    assert_eq!(paused["next_at"], Value::Null);
    for _ in 0..2 {
        let (status, _) = server.send("POST", &format!("{route}/run"), &[("Idempotency-Key", "r")], "").await;
        assert_eq!(status, 202);
    }
    let mut shown = server.get(&route).await.1;
    while shown["counts"]["done"] != 1 {
        shown = server.get(&route).await.1;
    }
    assert_eq!((&shown["history"][0]["outcome"], &shown["runs"]), (&json!("complete"), &json!([])));
    let (_, events) = server.get(&format!("{route}/events?after=3&limit=2")).await;
    assert_eq!(
        (&events["items"][0]["type"], events["items"].as_array().unwrap().len()),
        (&json!("schedule.run_queued"), 2)
    );
    assert_eq!(server.post(&format!("{route}/resume"), json!({})).await.1["status"], json!("active"));
    assert_eq!(server.send("DELETE", &route, &[], "").await.0, 204);
    let (status, gone) = server.get(&route).await;
    assert_eq!((status, &gone["code"]), (404, &json!("schedule_not_found")));
}

#[tokio::test]
async fn what_is_no_schedule_is_refused_and_nothing_is_made() {
    let server = Server::start().await;
    let check = async |body: Value, status: u16, code: &str| {
        let (is, said) = server.post("/schedules", body.clone()).await;
        assert_eq!((is, &said["code"]), (status, &json!(code)), "{body}: {said}");
    };
    check(json!({"agent": "test", "message": "x"}), 422, "schedule_invalid").await;
    check(json!({"every": "1h", "message": "x"}), 422, "schedule_invalid").await;
    check(json!({"every": "1h", "agent": "test", "message": ""}), 422, "schedule_invalid").await;
    check(json!({"every": "1h", "agent": "test", "message": "x", "color": "red"}), 422, "invalid").await;
    check(json!({"every": 3600, "agent": "test", "message": "x"}), 422, "invalid").await;
    check(json!({"at": "10000-01-01T00:00:00Z", "agent": "test", "message": "x"}), 422, "schedule_invalid").await;
    check(json!({"cron": "0 0 31 2 *", "agent": "test", "message": "x"}), 422, "schedule_invalid").await;
    check(json!({"every": "1h", "agent": "nobody", "message": "x"}), 404, "agent_not_found").await;
    let absent = "ses_00000000000000000000000009";
    check(json!({"every": "1h", "session": absent, "message": "x"}), 404, "session_not_found").await;
    let (status, body) = server.get("/schedules/sch_1").await;
    assert_eq!((status, &body["code"]), (400, &json!("malformed_id")));
    assert_eq!(server.get("/schedules").await.1["items"], json!([]));
    // A moment past the end of time is none, one at its end is.
    let (status, _) =
        server.post("/schedules", json!({"at": "9999-12-30T00:00:00Z", "agent": "test", "message": "x"})).await;
    assert_eq!(status, 201);
}

#[tokio::test]
async fn a_list_is_paged() {
    let server = Server::start().await;
    for _ in 0..5 {
        assert_eq!(server.post("/schedules", hourly()).await.0, 201);
    }
    let (mut seen, mut route) = (Vec::new(), "/schedules?limit=2".to_owned());
    loop {
        let (_, page) = server.get(&route).await;
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        route = format!("/schedules?limit=2&cursor={cursor}");
    }
    assert!(seen.len() == 5 && seen.is_sorted(), "{seen:?}");
}
