//! What changes the workspace and no one session: a key has one effect and one answer, also after a restart.

use serde_json::{Value, json};

use crate::fixture::Server;
use crate::moving::{AGENT, export, import, inhabited};

const KEY: [(&str, &str); 1] = [("idempotency-key", "k1")];

fn agent(soul: &str) -> String {
    json!({"files": {"agent.yaml": AGENT, "SOUL.md": soul}}).to_string()
}

fn is_reused((status, refused): &(u16, Value)) -> bool {
    (*status, &refused["code"]) == (409, &json!("request_reused"))
}

#[tokio::test]
async fn an_agent_is_written_once_a_key_and_answered_the_same() {
    let server = Server::start().await;
    let only_new = [KEY[0], ("if-none-match", "*")];
    let made = server.send("PUT", "/agents/test", &only_new, &agent("one")).await;
    assert_eq!(made.0, 201, "{}", made.1);
    assert_eq!(server.send("PUT", "/agents/test", &[], &agent("two")).await.0, 200);
    let server = server.restarted().await;
    assert_eq!(server.send("PUT", "/agents/test", &only_new, &agent("one")).await, made);
    let (_, files) = server.get("/agents/test/files").await;
    assert_eq!(files["files"]["SOUL.md"], json!("two"), "the second request had no effect");
    assert!(is_reused(&server.send("PUT", "/agents/test", &only_new, &agent("three")).await));
    assert!(is_reused(&server.send("PUT", "/agents/test", &KEY, &agent("one")).await), "it asks for less");
    let other = server.send("PUT", "/agents/test", &[("idempotency-key", "k2")], &agent("three")).await;
    assert_eq!(other.0, 200);
}

#[tokio::test]
async fn an_agent_is_taken_away_once_a_key() {
    let server = Server::start().await;
    server.send("PUT", "/agents/test", &[], &agent("one")).await;
    assert_eq!(server.send("DELETE", "/agents/test", &KEY, "").await.0, 204);
    server.send("PUT", "/agents/test", &[], &agent("two")).await;
    let server = server.restarted().await;
    assert_eq!(server.send("DELETE", "/agents/test", &KEY, "").await.0, 204);
    assert_eq!(server.get("/agents/test/files").await.0, 200, "another one, made since, stays");
    assert!(is_reused(&server.send("DELETE", "/agents/test", &[KEY[0], ("if-match", "*")], "").await));
}

#[tokio::test]
async fn archives_come_in_once_a_key() {
    let (here, session) = inhabited().await;
    let (archive, there) = (export(&here, &session).await, Server::start().await);
    let (_, answer) = here.get_text("/agents/test/export").await;
    let agent_archive = answer.split_once("\r\n\r\n").unwrap().1.to_owned();
    let made = import(&there, "agents", &KEY, &agent_archive).await;
    let taken = import(&there, "sessions/import", &KEY, &archive).await;
    assert_eq!((made.0, taken.0), (201, 201), "{} {}", made.1, taken.1);
    let there = there.restarted().await;
    assert_eq!(import(&there, "agents", &KEY, &agent_archive).await, made);
    assert_eq!(import(&there, "sessions/import", &KEY, &archive).await, taken);
    assert!(is_reused(&import(&there, "agents?replace=true", &KEY, &agent_archive).await));
    assert!(is_reused(&import(&there, "sessions/import", &KEY, &agent_archive).await));
    there.post(&format!("/sessions/{session}/messages?wait=30"), json!({"content": "on"})).await;
    assert_eq!(import(&there, "sessions/import", &KEY, &archive).await, taken, "though it went on since");
    assert_eq!(import(&there, "sessions/import", &[], &archive).await.0, 409);
}

#[tokio::test]
async fn a_conversation_comes_in_once_a_key() {
    let server = Server::start().await;
    let body = |digest| json!({"agent": "test", "talk": crate::imports::talk(digest)}).to_string();
    let made = server.send("POST", "/imports", &KEY, &body('a')).await;
    assert_eq!(made.0, 201);
    let server = server.restarted().await;
    assert_eq!(server.send("POST", "/imports", &KEY, &body('a')).await, made);
    assert!(is_reused(&server.send("POST", "/imports", &KEY, &body('b')).await));
    let id = made.1["id"].as_str().unwrap();
    assert_eq!(server.send("DELETE", &format!("/sessions/{id}?for_good=true"), &[], "").await.0, 204);
    assert_eq!(server.send("POST", "/imports", &KEY, &body('a')).await, made);
    assert_eq!(server.get(&format!("/sessions/{id}")).await.0, 404, "the second request had no effect");
}

#[tokio::test]
async fn the_trash_is_emptied_once_a_key() {
    let server = Server::start().await;
    let delete = async |server: &Server| {
        let session = server.session().await;
        assert_eq!(server.send("DELETE", &format!("/sessions/{session}"), &[], "").await.0, 204);
    };
    delete(&server).await;
    assert_eq!(server.send("DELETE", "/trash", &KEY, "").await, (200, json!({"erased": 1})));
    delete(&server).await;
    let server = server.restarted().await;
    assert_eq!(server.send("DELETE", "/trash", &KEY, "").await, (200, json!({"erased": 1})));
    assert_eq!(server.get("/trash").await.1["items"].as_array().unwrap().len(), 1, "what came since stays");
}

#[tokio::test]
async fn what_was_refused_is_not_kept_and_can_be_done_under_the_same_key() {
    let server = Server::start().await;
    assert_eq!(server.send("DELETE", "/agents/test", &KEY, "").await.0, 404);
    server.send("PUT", "/agents/test", &[], &agent("one")).await;
    assert_eq!(server.send("DELETE", "/agents/test", &KEY, "").await.0, 204);
}

#[tokio::test]
async fn two_at_once_under_one_key_have_one_effect() {
    let server = Server::start().await;
    let body = agent("one");
    let put = || server.send("PUT", "/agents/test", &KEY, &body);
    let (one, two, three) = tokio::join!(put(), put(), put());
    assert_eq!((one.0, &two, &three), (201, &one, &one));
}

/// As after a kill between the deed and the noted answer.
#[tokio::test]
async fn a_deed_whose_answer_was_lost_is_found_done() {
    let server = Server::start().await;
    let only_new = [("if-none-match", "*")];
    assert_eq!(server.send("PUT", "/agents/test", &only_new, &agent("one")).await.0, 201);
    assert_eq!(server.send("PUT", "/agents/test", &[KEY[0], only_new[0]], &agent("one")).await.0, 200);
    let other = server.send("PUT", "/agents/test", &[("idempotency-key", "k2"), only_new[0]], &agent("two")).await;
    assert_eq!((other.0, &other.1["code"]), (409, &json!("agent_exists")));
}
