//! A conversation of another program over HTTP: all of it, once, and nothing of what does not fit.

use serde_json::{Value, json};

use crate::fixture::Server;

pub fn talk(digest: char) -> Value {
    json!({
        "source": {"program": "my-notes", "id": "n1", "digest": String::from(digest).repeat(64)},
        "created_at": "2025-05-05T05:05:05Z",
        "title": "Notes",
        "turns": [{
            "at": "2025-05-05T05:05:05Z",
            "said": "look",
            "steps": [{"at": "2025-05-05T05:05:06Z", "parts": [
                {"type": "call", "tool": "look", "arguments": {"at": "sea"},
                    "result": {"at": "2025-05-05T05:05:07Z", "outcome": "ok", "content": "blue"}}
            ]}, {"at": "2025-05-05T05:05:08Z", "parts": [{"type": "text", "text": "It is blue."}]}]
        }]
    })
}

#[tokio::test]
async fn a_conversation_is_taken_once_and_goes_on() {
    let server = Server::start().await;
    let body = || json!({"agent": "test", "talk": talk('a')});
    let (first, made) = server.post("/imports", body()).await;
    assert_eq!((first, &made["already"]), (201, &json!(false)));
    let session = made["id"].as_str().unwrap();
    let said = server.post(&format!("/sessions/{session}/messages?wait=30"), json!({"content": "again"})).await;
    assert_eq!((said.0, &said.1["ending"]), (200, &json!("complete")));
    let (again, there) = server.post("/imports", body()).await;
    assert_eq!((again, &there["already"], &there["id"]), (200, &json!(true), &made["id"]));
    assert!(there["head"].as_u64() > made["head"].as_u64(), "what came since is left as it is");
    let (_, view) = server.get(&format!("/sessions/{session}")).await;
    assert_eq!(
        (&view["title"], &view["created_at"], &view["labels"]["imported"], &view["labels"]["imported-id"]),
        (&json!("Notes"), &json!("2025-05-05T05:05:05.000000Z"), &json!("my-notes"), &json!("n1"))
    );
    let (other, grown) = server.post("/imports", json!({"agent": "test", "talk": talk('b')})).await;
    assert_eq!(other, 201);
    assert_ne!(grown["id"], made["id"]);
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_its_place_and_nothing_is_made() {
    let server = Server::start().await;
    let with = |change: fn(&mut Value)| {
        let mut body = json!({"agent": "test", "talk": talk('c')});
        change(&mut body);
        body
    };
    for (body, status, code, says) in [
        (with(|body| body["agent"] = json!("nobody")), 404, "agent_not_found", "nobody"),
        (with(|body| body["talk"]["turns"] = json!([])), 422, "import_invalid", "turns: there is nothing in it"),
        (with(|body| body["talk"]["turns"][0]["said"] = json!(" ")), 422, "import_invalid", "turns[0].said"),
        (with(|body| body["talk"]["source"]["digest"] = json!("abc")), 422, "import_invalid", "source.digest"),
        (with(|body| body["talk"]["colour"] = json!("red")), 422, "invalid", "colour"),
        (
            with(|body| body["talk"]["turns"][0]["said"] = json!("x".repeat(3 << 20))),
            422,
            "import_invalid",
            "turns[0].said: has at most 1048576 bytes",
        ),
    ] {
        let refused = server.post("/imports", body).await;
        assert_eq!((refused.0, &refused.1["code"]), (status, &json!(code)), "{says}");
        assert!(refused.1["detail"].as_str().unwrap().contains(says), "{}", refused.1["detail"]);
    }
    let (_, list) = server.get("/sessions").await;
    assert_eq!(list["items"], json!([]));
}
