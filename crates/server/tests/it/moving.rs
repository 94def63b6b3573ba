//! Sessions and agents that are carried from one server to another.

use outlive_core::archive::SessionArchive;
use outlive_core::content::{Reply, ReplyBlock, StopReason, Usage};
use serde_json::{Value, json};

use crate::fixture::Server;

pub const AGENT: &str = "apiVersion: outlive/v1\nkind: Agent\nmetadata: {name: test}\nspec: {}\n";

/// A server whose agent has files, with a session in which somebody spoke.
pub async fn inhabited() -> (Server, String) {
    let server = Server::start().await;
    let made = server.send("PUT", "/agents/test", &[], &json!({"files": {"agent.yaml": AGENT}}).to_string()).await;
    assert_eq!(made.0, 201, "{}", made.1);
    let session = server.session().await;
    let said = server.post(&format!("/sessions/{session}/messages?wait=30"), json!({"content": "hi"})).await;
    assert_eq!(said.0, 200, "{}", said.1);
    (server, session)
}

pub async fn export(server: &Server, session: &str) -> String {
    let (status, answer) = server.get_text(&format!("/sessions/{session}/export")).await;
    assert_eq!(status, 200, "{answer}");
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

pub async fn import(server: &Server, query: &str, headers: &[(&str, &str)], archive: &str) -> (u16, Value) {
    let bearer = server.bearer();
    let mut all = vec![("authorization", bearer.as_str()), ("content-type", "application/x-tar")];
    all.extend(headers);
    server.bare("POST", &format!("/api/v1/{query}"), &all, archive).await
}

/// Makes an archive of the first events of one.
fn beginning(archive: &str, last: &str) -> String {
    let read = SessionArchive::read(archive.as_bytes()).unwrap();
    let end = read.entries.iter().position(|entry| entry.event.name() == last).unwrap();
    let (packer, part) = SessionArchive::begin(read.agent.0, read.agent.1.as_ref().ok_or_else(String::new));
    let cut = SessionArchive::finish(packer, (read.session, part), &read.lines[..=end]).unwrap();
    String::from_utf8(cut).unwrap()
}

fn sends() -> Reply {
    Reply {
        content: vec![ReplyBlock::ToolUse { name: "send".into(), arguments: r#"{"act":"do"}"#.into() }],
        stop_reason: StopReason::ToolUse,
        usage: Usage::default(),
        model: "puppet".into(),
        provider_request_id: None,
        served_by: None,
    }
}

#[tokio::test]
async fn what_was_exported_and_imported_is_exported_the_same() {
    let (here, session) = inhabited().await;
    let there = Server::start().await;
    let archive = export(&here, &session).await;
    let (status, done) = import(&there, "sessions/import", &[], &archive).await;
    assert_eq!((status, &done["id"], &done["was_there"]), (201, &json!(session), &json!(false)), "{done}");
    assert_eq!(done["agent_was"], json!("made"));
    assert_eq!(export(&there, &session).await, archive);
    let (came, was) = (there.journal(&session).await, here.journal(&session).await);
    assert_eq!(came[1..], was[1..]);
    assert!(came[0].contains(&format!("\"taken_to\":{}", was.len())), "but for how far it came: {}", came[0]);
    let route = format!("/sessions/{session}");
    assert_eq!(there.get(&route).await, here.get(&route).await);
    let (_, listed) = there.get("/sessions").await;
    assert_eq!(listed["items"][0]["id"], json!(session));
    let (status, again) = import(&there, "sessions/import", &[], &archive).await;
    assert_eq!((status, &again["was_there"], &again["agent_was"]), (200, &json!(true), &json!("same")));

    there.post(&format!("{route}/messages?wait=30"), json!({"content": "on"})).await;
    let (status, refused) = import(&there, "sessions/import", &[], &archive).await;
    assert_eq!((status, &refused["code"]), (409, &json!("session_exists")), "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("went on here to event"), "{refused}");
    let (_, refused) = import(&here, "sessions/import", &[], &export(&there, &session).await).await;
    assert!(refused["detail"].as_str().unwrap().contains("the archive goes on to"), "{refused}");
}

#[tokio::test]
async fn a_copy_has_its_own_id_and_is_made_once_a_key() {
    let (here, session) = inhabited().await;
    let archive = export(&here, &session).await;
    let route = "sessions/import?as_new=true";
    let key = [("idempotency-key", "k1")];
    let (status, copy) = import(&here, route, &key, &archive).await;
    assert_eq!(status, 201, "{copy}");
    let copied = copy["id"].as_str().unwrap();
    assert_ne!(copied, session);
    let (_, view) = here.get(&format!("/sessions/{copied}")).await;
    assert_eq!(view["parent"]["session"], json!(session));
    assert_eq!(import(&here, route, &key, &archive).await, (status, copy.clone()));
    let (_, other) = import(&here, route, &[], &archive).await;
    assert_ne!(other["id"], json!(copied));
}

#[tokio::test]
async fn a_file_that_is_no_whole_archive_changes_nothing() {
    let (here, session) = inhabited().await;
    let there = Server::start().await;
    let archive = export(&here, &session).await;
    let mut bad: Vec<String> = (0..archive.len()).step_by(211).map(|end| archive[..end].to_owned()).collect();
    bad.push(archive.replacen("\"said\"", "\"sad!\"", 1));
    bad.push(archive.replace("\"version\": 1", "\"version\": 9"));
    bad.push(format!("{archive}\0"));
    for file in bad.iter().filter(|file| !file.is_empty()) {
        let (status, refused) = import(&there, "sessions/import", &[], file).await;
        assert_eq!((status, &refused["code"]), (422, &json!("archive_invalid")), "{refused}");
    }
    assert_eq!(there.get(&format!("/sessions/{session}")).await.0, 404);
    assert_eq!(there.get("/agents/test/files").await.0, 404);
    assert_eq!(there.get("/sessions").await.1["items"], json!([]));
    let as_json = [("authorization", there.bearer())];
    let as_json: Vec<(&str, &str)> = as_json.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(there.bare("POST", "/api/v1/sessions/import", &as_json, &archive).await.0, 415);
}

#[tokio::test]
async fn without_room_there_is_no_session_and_with_room_there_is() {
    let (here, session) = inhabited().await;
    let there = Server::start().await;
    let archive = export(&here, &session).await;
    there.disk_is_full();
    assert_eq!(import(&there, "sessions/import", &[], &archive).await.0, 507);
    assert_eq!(there.get(&format!("/sessions/{session}")).await.0, 404);
    there.disk_has_room();
    assert_eq!(import(&there, "sessions/import", &[], &archive).await.0, 201);
    assert_eq!(export(&there, &session).await, archive);
}

#[tokio::test]
async fn an_open_turn_goes_on_only_when_somebody_says_so() {
    let (here, session) = inhabited().await;
    let there = Server::start().await;
    here.model_hangs();
    here.post(&format!("/sessions/{session}/messages"), json!({"content": "wait"})).await;
    here.until(&session, "running").await;
    let archive = export(&here, &session).await;
    let (status, done) = import(&there, "sessions/import", &[], &archive).await;
    assert_eq!((status, &done["status"]), (201, &json!("running")), "{done}");
    assert_eq!(export(&there, &session).await, archive, "nothing was added");
    there.post(&format!("/sessions/{session}/resume"), json!({})).await;
    there.until(&session, "idle").await;
    let journal = there.journal(&session).await;
    assert!(journal.iter().any(|line| line.contains("\"type\":\"recovery.noted\"")), "{journal:?}");
    assert!(journal.last().unwrap().contains("\"ending\":\"complete\""), "{journal:?}");
}

#[tokio::test]
async fn a_call_that_ran_at_the_export_is_lost_and_never_run_again() {
    let (here, session) = inhabited().await;
    let there = Server::start().await;
    here.model_says(sends());
    here.post(&format!("/sessions/{session}/messages"), json!({"content": "send it"})).await;
    here.until(&session, "approving").await;
    let call = here.get(&format!("/sessions/{session}/approvals")).await.1["items"][0]["call"].clone();
    let route = format!("/sessions/{session}/approvals/{}", call.as_str().unwrap());
    here.post(&route, json!({"decision": "allow"})).await;
    here.until(&session, "idle").await;
    let archive = beginning(&export(&here, &session).await, "call.started");
    assert_eq!(import(&there, "sessions/import", &[], &archive).await.0, 201);
    there.post(&format!("/sessions/{session}/resume"), json!({})).await;
    there.until(&session, "idle").await;
    let journal = there.journal(&session).await;
    let count = |name: &str| journal.iter().filter(|line| line.contains(&format!("\"type\":\"{name}\""))).count();
    assert_eq!((count("call.started"), count("call.lost"), count("call.finished")), (1, 1, 0), "{journal:?}");
}

#[tokio::test]
async fn people_read_what_was_said() {
    let (here, session) = inhabited().await;
    let (_, text) = here.get_text(&format!("/sessions/{session}/export?format=markdown")).await;
    assert!(text.contains("content-type: text/markdown") && text.contains("## You\n") && text.contains("\nsaid\n"));
    let (_, json) = here.get(&format!("/sessions/{session}/export?format=json")).await;
    assert_eq!((&json["session"]["id"], &json["messages"][0]["content"]), (&json!(session), &json!("hi")));
    assert_eq!(here.get(&format!("/sessions/{session}/export?format=pdf")).await.0, 422);
}

#[tokio::test]
async fn an_agent_is_written_whole_by_whoever_knows_what_is_there() {
    let server = Server::start().await;
    let put = async |headers: &[(&str, &str)], body: Value| {
        server.send("PUT", "/agents/test", headers, &body.to_string()).await
    };
    let broken = json!({"files": {"agent.yaml": AGENT.replace("spec: {}", "spec: {modle: 1}")}});
    let (status, refused) = put(&[], broken).await;
    assert_eq!((status, &refused["code"]), (422, &json!("agent_invalid")));
    assert!(refused["detail"].as_str().unwrap().contains("agent.yaml:4:"), "{refused}");
    let astray = json!({"files": {"agent.yaml": AGENT, "../../policy.yaml": "mode: dangerous"}});
    assert!(put(&[], astray).await.1["detail"].as_str().unwrap().contains("is no place"));
    assert_eq!(server.get("/agents/test/files").await.0, 404, "nothing was written");

    let one = json!({"files": {"agent.yaml": AGENT, "SOUL.md": "one"}});
    let (status, made) = put(&[("if-none-match", "*")], one.clone()).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(put(&[("if-none-match", "*")], one.clone()).await.1["code"], json!("agent_exists"));
    let first = made["digest"].as_str().unwrap().to_owned();
    let (_, files) = server.get("/agents/test/files").await;
    assert_eq!((&files["files"], &files["digest"]), (&one["files"], &json!(first)));

    let two = json!({"files": {"agent.yaml": AGENT, "directives/tone.md": "two"}});
    let etag = format!("\"{first}\"");
    assert_eq!(put(&[("if-match", &etag)], two.clone()).await.0, 200);
    let (status, stale) = put(&[("if-match", &etag)], one).await;
    assert_eq!((status, &stale["code"]), (412, &json!("agent_changed")));
    assert_eq!(server.get("/agents/test/files").await.1["files"], two["files"]);

    let (_, versions) = server.get("/agents/test/versions").await;
    assert_eq!(versions["items"][0]["digest"], json!(first));
    assert_eq!(put(&[], json!({"version": first})).await.1["digest"], json!(first));
    assert_eq!(put(&[], json!({"version": "0".repeat(64)})).await.0, 404);
    assert_eq!(put(&[], json!({})).await.0, 422);
    assert_eq!(server.send("DELETE", "/agents/test", &[("if-match", &"0".repeat(64))], "").await.0, 412);
    assert_eq!(server.send("DELETE", "/agents/test", &[], "").await.0, 204);
    assert_eq!(server.send("DELETE", "/agents/test", &[], "").await.0, 404);
    assert_eq!(put(&[], json!({"version": first})).await.0, 201);
}

#[tokio::test]
async fn an_agent_is_carried_to_another_server() {
    let (here, _) = inhabited().await;
    let there = Server::start().await;
    let (_, answer) = here.get_text("/agents/test/export").await;
    let archive = answer.split_once("\r\n\r\n").unwrap().1.to_owned();
    assert_eq!(import(&there, "agents", &[], &archive).await.0, 201);
    assert_eq!(there.get("/agents/test/files").await, here.get("/agents/test/files").await);
    assert_eq!(import(&there, "agents", &[], &archive).await.0, 200, "the same is no conflict");
    let other = json!({"files": {"agent.yaml": AGENT, "SOUL.md": "mine"}}).to_string();
    there.send("PUT", "/agents/test", &[], &other).await;
    let (status, refused) = import(&there, "agents", &[], &archive).await;
    assert_eq!((status, &refused["code"]), (409, &json!("agent_exists")));
    assert_eq!(import(&there, "agents?replace=true", &[], &archive).await.0, 200);
    let (status, refused) = import(&there, "agents", &[], &archive[..2_000]).await;
    assert_eq!((status, &refused["code"]), (422, &json!("archive_invalid")));
    let (_, refused) = import(&there, "sessions/import", &[], &archive).await;
    assert!(refused["detail"].as_str().unwrap().contains("`outlive agent import` takes an agent"), "{refused}");
}
