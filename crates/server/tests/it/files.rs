//! Files over HTTP: kept before the answer, taken by messages, refused for what is wrong with them.

use serde_json::{Value, json};

use crate::fixture::Server;

const GIF: &str = "GIF89a\x01\0\x01\0\0\0\0;..";

async fn upload(server: &Server, media_type: &str, bytes: &str) -> (u16, Value) {
    server.send("POST", "/artifacts", &[("content-type", media_type)], bytes).await
}

#[tokio::test]
async fn a_file_is_kept_answered_the_same_again_and_can_be_read_back() {
    let server = Server::start().await;
    let first = upload(&server, "image/gif", GIF).await;
    assert_eq!((first.0, &first.1["bytes"], &first.1["media_type"]), (201, &json!(16), &json!("image/gif")));
    assert_eq!(upload(&server, "image/gif", GIF).await, first);
    let hash = first.1["hash"].as_str().unwrap();
    let (status, answer) = server.get_text(&format!("/artifacts/{hash}")).await;
    assert!(status == 200 && answer.ends_with(GIF), "{answer}");
}

#[tokio::test]
async fn what_is_no_file_of_a_known_type_is_refused() {
    let server = Server::start().await;
    let large = "x".repeat((1 << 20) + 1);
    for (media_type, bytes, status, code) in [
        ("image/svg+xml", "<svg/>", 415, "unsupported_media_type"),
        ("image/png", GIF, 415, "unsupported_media_type"),
        ("application/json", "{", 415, "unsupported_media_type"),
        ("text/plain", &large, 413, "too_large"),
    ] {
        let refused = upload(&server, media_type, bytes).await;
        assert_eq!((refused.0, &refused.1["code"]), (status, &json!(code)), "{media_type}");
    }
    let locked = "%PDF-1.4\ntrailer << /Encrypt 1 0 R >>\nstartxref\n9\n%%EOF";
    for (media_type, bytes, why) in
        [("image/gif", &GIF[..9], "its header is not whole"), ("application/pdf", locked, "it is encrypted")]
    {
        let refused = upload(&server, media_type, bytes).await;
        assert_eq!((refused.0, &refused.1["code"]), (422, &json!("attachment_invalid")), "{media_type}");
        assert!(refused.1["detail"].to_string().contains(why), "{}", refused.1);
    }
    let empty = server.send("POST", "/artifacts", &[("content-type", "text/plain")], "").await;
    assert_eq!((empty.0, &empty.1["code"]), (422, &json!("invalid")));
    let bare = server.bare("POST", "/api/v1/artifacts", &[("content-type", "text/plain")], "x").await;
    assert_eq!(bare.0, 401);
}

#[tokio::test]
async fn a_message_carries_files_and_they_stay_with_it_in_the_queue_and_the_transcript() {
    let server = Server::start().await;
    let session = server.session().await;
    let kept = upload(&server, "image/gif", GIF).await.1;
    let file = json!({"hash": kept["hash"], "media_type": "image/gif", "name": "a.gif"});
    let route = format!("/sessions/{session}/messages");
    server.model_hangs();
    assert_eq!(server.post(&route, json!({"attachments": [file]})).await.0, 202);
    assert_eq!(server.post(&route, json!({"content": "next", "attachments": [file]})).await.0, 202);
    let whole = json!([{"hash": kept["hash"], "media_type": "image/gif", "name": "a.gif", "bytes": 16}]);
    let (_, queue) = server.get(&format!("/sessions/{session}/queue")).await;
    assert_eq!(queue["items"][0]["attachments"], whole);
    server.model_goes_on();
    server.until(&session, "idle").await;
    let (_, messages) = server.get(&route).await;
    let found: Vec<&Value> = messages["items"].as_array().unwrap().iter().map(|item| &item["attachments"]).collect();
    assert_eq!(found, [&whole, &Value::Null, &whole, &Value::Null]);
    let lines = server.journal(&session).await;
    let carried = |name: &str| lines.iter().filter(|line| line.contains(name) && line.contains("attachments")).count();
    assert_eq!((carried("message.received"), carried("input.queued")), (2, 1));
}

#[tokio::test]
async fn a_message_with_files_or_a_schema_that_do_not_fit_is_refused() {
    let server = Server::start().await;
    let session = server.session().await;
    let kept = upload(&server, "image/gif", GIF).await.1;
    let route = format!("/sessions/{session}/messages");
    let with = |hash: &Value, media_type: &str| json!({"attachments": [{"hash": hash, "media_type": media_type}]});
    for (body, status, code) in [
        (with(&json!("0".repeat(64)), "image/gif"), 404, "artifact_not_found"),
        (with(&json!("../../../etc/passwd"), "image/gif"), 400, "malformed_id"),
        (with(&kept["hash"], "image/png"), 422, "attachment_invalid"),
        (json!({"content": "", "attachments": []}), 422, "message_empty"),
        (json!({"content": "x", "output_schema": {"type": "nothing"}}), 422, "schema_invalid"),
        (json!({"content": "x", "output_schema": [1]}), 422, "schema_invalid"),
    ] {
        let refused = server.post(&route, body.clone()).await;
        assert_eq!((refused.0, &refused.1["code"]), (status, &json!(code)), "{body}: {}", refused.1);
    }
}
