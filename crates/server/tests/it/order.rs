//! What is looked at first, on HTTP, on event streams and on WebSockets: with any two things wrong at once, the earlier one is
//! what is said.

use serde_json::json;

use crate::fixture::Server;

type Headers = &'static [(&'static str, &'static str)];

/// A thing that can be wrong: the headers that make it so, what is said then, and a word of it.
type Wrong = (Headers, u16, &'static str, &'static str);

/// In the order in which they are looked at.
const ORDER: [Wrong; 5] = [
    (&[("host", "evil.example")], 403, "foreign_host", "Host"),
    (&[("origin", "http://evil.example")], 403, "foreign_origin", "`Origin`"),
    (&[("sec-fetch-site", "cross-site")], 403, "foreign_origin", "`Sec-Fetch-Site`"),
    (&[("content-type", "text/plain")], 415, "unsupported_media_type", "Content-Type"),
    (&[("authorization", "Bearer wrong")], 401, "unauthorized", "Bearer"),
];

const SOCKET: Headers = &[
    ("connection", "close, upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

#[tokio::test]
async fn of_two_things_that_are_wrong_the_earlier_one_is_said() {
    let server = Server::start().await;
    let session = server.session().await;
    let (messages, events) =
        (format!("/api/v1/sessions/{session}/messages"), format!("/api/v1/sessions/{session}/events"));
    let bearer = server.bearer();
    let ways: [(&str, &str, Headers); 4] = [
        ("POST", &messages, &[]),
        ("GET", &events, &[("accept", "text/event-stream")]),
        ("GET", "/api/v1/events", &[]),
        ("GET", "/api/v1/ws", SOCKET),
    ];
    for (method, path, usual) in ways {
        for (place, (first, status, code, word)) in ORDER.iter().enumerate() {
            for (second, ..) in &ORDER[place..] {
                let mut headers = vec![("authorization", bearer.as_str()), ("content-type", "application/json")];
                headers.extend(usual.iter().chain(*first).chain(*second));
                let answer = server.bare(method, path, &headers, r#"{"content":"hi"}"#).await;
                assert_eq!((answer.0, &answer.1["code"]), (*status, &json!(code)), "{method} {path} {headers:?}");
                assert!(answer.1["detail"].as_str().unwrap().contains(word), "{method} {path}: {}", answer.1);
            }
        }
    }
    assert_eq!(server.journal(&session).await.len(), 1, "nothing of all that was done");
}

#[tokio::test]
async fn the_scope_of_a_token_is_looked_at_last() {
    let server = Server::start().await;
    let session = server.session().await;
    let bearer = format!("Bearer {}", server.token("reads", &["read"]).await);
    let path = format!("/api/v1/sessions/{session}/messages");
    for wrong in &ORDER[..4] {
        let mut headers = vec![("authorization", bearer.as_str()), ("content-type", "application/json")];
        headers.extend(wrong.0);
        let answer = server.bare("POST", &path, &headers, r#"{"content":"hi"}"#).await;
        assert_eq!((answer.0, &answer.1["code"]), (wrong.1, &json!(wrong.2)), "{headers:?}");
    }
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    assert_eq!(server.bare("POST", &path, &headers, r#"{"content":"hi"}"#).await.1["code"], "forbidden_scope");
    // Also of a body that is none: nobody learns by it what would have been taken.
    assert_eq!(server.bare("POST", &path, &headers, "{").await.1["code"], "forbidden_scope");
}
