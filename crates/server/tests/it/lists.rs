//! Lists and the search, over HTTP: what they show, how they go on, what they refuse.

use serde_json::{Value, json};

use crate::fixture::Server;

async fn made(server: &Server, body: Value) -> String {
    let (status, view) = server.post("/sessions", body).await;
    assert_eq!(status, 201, "{view}");
    view["id"].as_str().unwrap().to_owned()
}

/// Returns the titles of all pages.
async fn titles(server: &Server, query: &str) -> Vec<String> {
    let (mut titles, mut cursor) = (Vec::new(), String::new());
    loop {
        let (status, page) = server.get(&format!("/sessions?limit=2&{query}{cursor}")).await;
        assert_eq!(status, 200, "{query}: {page}");
        let items = page["items"].as_array().unwrap().iter();
        titles.extend(items.map(|item| item["title"].as_str().unwrap_or("-").to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return titles,
        }
    }
}

#[tokio::test]
async fn a_list_is_narrowed_and_ordered_page_by_page() {
    let server = Server::start().await;
    made(&server, json!({"agent": "test", "title": "Beta", "labels": {"env": "prod", "team": "a,b"}})).await;
    made(&server, json!({"agent": "test", "title": "alpha", "labels": {"env": "dev"}})).await;
    let put_away =
        made(&server, json!({"agent": "test", "title": "Gamma .&/ \u{1f44b}", "labels": {"env": "prod"}})).await;
    made(&server, json!({"agent": "test"})).await;
    let (status, _) =
        server.send("PATCH", &format!("/sessions/{put_away}"), &[], &json!({"archived": true}).to_string()).await;
    assert_eq!(status, 200);
    let gamma = "Gamma .&/ \u{1f44b}";
    let cases: [(&str, &[&str]); 13] = [
        ("sort=title", &["-", "alpha", "Beta", gamma]),
        ("sort=-title", &[gamma, "Beta", "alpha", "-"]),
        ("sort=created", &["Beta", "alpha", gamma, "-"]),
        ("sort=-created", &["-", gamma, "alpha", "Beta"]),
        ("sort=updated", &["Beta", "alpha", "-", gamma]),
        ("label=env%3Dprod&sort=title", &["Beta", gamma]),
        ("label=env&sort=title", &["alpha", "Beta", gamma]),
        ("label=env%3Dprod,team%3Da%5C,b", &["Beta"]),
        ("label=env%3Dpro", &[]),
        ("archived=true", &[gamma]),
        ("archived=false&sort=title", &["-", "alpha", "Beta"]),
        ("q=LPHA&sort=title", &["alpha"]),
        ("status=archived&label=env%3Ddev", &[]),
    ];
    for (query, expected) in cases {
        assert_eq!(titles(&server, query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn what_a_list_or_a_search_cannot_do_is_refused() {
    let server = Server::start().await;
    for title in ["a", "b", "c"] {
        made(&server, json!({"agent": "test", "title": title})).await;
    }
    let (_, page) = server.get("/sessions?limit=1&sort=title").await;
    let cursor = page["next_cursor"].as_str().unwrap();
    let long = "x".repeat(2_000);
    let many = "x%20".repeat(100);
    let refused = [
        "/sessions?sort=size".to_owned(),
        "/sessions?sort=".to_owned(),
        "/sessions?archived=maybe".to_owned(),
        "/sessions?label=".to_owned(),
        "/sessions?label=%3Dx".to_owned(),
        format!("/sessions?label={}", "a,".repeat(100)),
        "/sessions?labels=x".to_owned(),
        format!("/sessions?cursor={cursor}"),
        format!("/sessions?sort=-title&cursor={cursor}"),
        format!("/sessions?sort=title&cursor={}", cursor.replacen("title.", "title.f", 1)),
        format!("/sessions?sort=title&cursor={}", cursor.replacen("title.", "title.ff", 1)),
        format!("/sessions?sort=title&cursor={cursor}x"),
        "/sessions?cursor=-updated.99999999999999999999.ses_00000000000000000000000001".to_owned(),
        "/search".to_owned(),
        "/search?q=".to_owned(),
        "/search?q=%20".to_owned(),
        format!("/search?q={long}"),
        format!("/search?q={many}"),
        "/search?q=a&role=system".to_owned(),
        "/search?q=a&limit=0".to_owned(),
        "/search?q=a&cursor=-1".to_owned(),
        "/search?q=a&cursor=007".to_owned(),
        "/search?q=a&cursor=99999999999".to_owned(),
        "/search?q=a&from=b".to_owned(),
    ];
    for route in refused {
        let (status, problem) = server.get(&route).await;
        assert_eq!((status, &problem["code"]), (422, &json!("invalid")), "{route}: {problem}");
    }
    for route in ["/search?q=a&session=x", "/search?q=a&agent=Not%20One"] {
        let (status, problem) = server.get(route).await;
        assert_eq!((status, &problem["code"]), (400, &json!("malformed_id")), "{route}: {problem}");
    }
}

#[tokio::test]
async fn what_was_said_is_found_with_its_place_and_title() {
    let server = Server::start().await;
    let first = made(&server, json!({"agent": "test", "title": "First"})).await;
    let second = made(&server, json!({"agent": "test"})).await;
    for (session, text) in [(&first, "a needle here"), (&second, "another needle there")] {
        server.post(&format!("/sessions/{session}/messages?wait=30"), json!({"content": text})).await;
    }
    let (status, page) = server.get("/search?q=needle").await;
    assert_eq!((status, page["items"].as_array().unwrap().len(), &page["behind"]), (200, 2, &json!(0)), "{page}");
    assert_eq!(page["next_cursor"], Value::Null);
    let (_, page) = server.get("/search?q=%22a%20needle%22").await;
    let hit = &page["items"][0];
    assert_eq!((&hit["session_id"], &hit["title"], &hit["agent"]), (&json!(first), &json!("First"), &json!("test")));
    assert_eq!((&hit["seq"], &hit["role"]), (&json!(2), &json!("user")));
    assert!(hit["snippet"].as_str().unwrap().contains("needle") && hit["at"].is_string(), "{hit}");
    let (_, one) = server.get("/search?q=needle&limit=1").await;
    let cursor = one["next_cursor"].as_str().unwrap();
    let (_, two) = server.get(&format!("/search?q=needle&limit=1&cursor={cursor}")).await;
    assert_ne!(one["items"][0]["session_id"], two["items"][0]["session_id"]);
    assert_eq!(two["next_cursor"], Value::Null);
    let (_, assistant) = server.get(&format!("/search?q=said&role=assistant&session={second}")).await;
    assert_eq!(assistant["items"].as_array().unwrap().len(), 1, "{assistant}");
    let (_, nothing) = server.get("/search?q=%22%20OR%201%3D1%20--%20%F0%9F%91%8B%00").await;
    assert_eq!(nothing["items"], json!([]));
    let (status, _) = server.send("DELETE", &format!("/sessions/{first}"), &[], "").await;
    assert_eq!(status, 204);
    let (_, page) = server.get("/search?q=needle").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    let (status, indexed) = server.post("/reindex", json!({})).await;
    assert_eq!((status, &indexed["sessions"]), (202, &json!(1)), "{indexed}");
}
