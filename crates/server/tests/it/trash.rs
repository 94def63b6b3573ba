//! The trash over HTTP.

use serde_json::json;

use crate::fixture::Server;

#[tokio::test]
async fn a_deleted_session_is_in_the_trash_until_it_is_restored_or_erased() {
    let server = Server::start().await;
    let session = server.session().await;
    let route = format!("/sessions/{session}");
    server.send("PATCH", &route, &[], r#"{"title":"Zebra"}"#).await;
    let before = server.get(&format!("{route}/events")).await.1;
    assert_eq!(server.send("DELETE", &route, &[], "").await.0, 204);
    assert_eq!(server.get(&route).await.0, 404);
    let (_, trash) = server.get("/trash").await;
    assert_eq!((&trash["items"][0]["id"], &trash["items"][0]["title"]), (&json!(session), &json!("Zebra")));
    assert!(trash["items"][0]["deleted_at"].is_string() && trash["items"][0]["deleted_by"]["kind"] == json!("api"));
    for _ in 0..2 {
        let (status, back) = server.post(&format!("{route}/restore"), json!({})).await;
        assert_eq!((status, &back["title"]), (200, &json!("Zebra")));
    }
    assert_eq!(server.get(&format!("{route}/events")).await.1, before);
    assert_eq!(server.get("/trash").await.1["items"], json!([]));
    assert_eq!(server.send("DELETE", &route, &[], "").await.0, 204);
    assert_eq!(server.send("DELETE", "/trash", &[], "").await, (200, json!({"erased": 1})));
    assert_eq!(server.post(&format!("{route}/restore"), json!({})).await.0, 404);
    let unknown = server.send("DELETE", &format!("{route}?for_good=true"), &[], "").await;
    assert_eq!((unknown.0, &unknown.1["code"]), (404, &json!("session_not_found")));
}

#[tokio::test]
async fn the_same_key_deletes_once_and_gets_the_same_answer() {
    let server = Server::start().await;
    for query in ["", "?for_good=true"] {
        let session = server.session().await;
        let route = format!("/sessions/{session}{query}");
        let key = [("idempotency-key", "d1")];
        for _ in 0..3 {
            assert_eq!(server.send("DELETE", &route, &key, "").await.0, 204, "{query}");
        }
        let other = if query.is_empty() { format!("{route}?for_good=true") } else { format!("/sessions/{session}") };
        let reused = server.send("DELETE", &other, &key, "").await;
        assert_eq!((reused.0, &reused.1["code"]), (409, &json!("request_reused")), "{query}");
        assert_eq!(server.send("DELETE", &route, &[("idempotency-key", "d2")], "").await.0, 404, "{query}");
    }
}

#[tokio::test]
async fn the_trash_comes_in_pages() {
    let server = Server::start().await;
    let mut deleted = Vec::new();
    for _ in 0..5 {
        let session = server.session().await;
        assert_eq!(server.send("DELETE", &format!("/sessions/{session}"), &[], "").await.0, 204);
        deleted.push(session);
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    for _ in 0..3 {
        let (_, page) = server.get(&format!("/trash?limit=2{cursor}")).await;
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        cursor = page["next_cursor"].as_str().map(|next| format!("&cursor={next}")).unwrap_or_default();
    }
    assert_eq!((cursor.as_str(), seen.len()), ("", 5));
    seen.sort();
    deleted.sort();
    assert_eq!(seen, deleted);
    assert_eq!(server.get("/trash?cursor=x").await.1["code"], json!("invalid"));
}
