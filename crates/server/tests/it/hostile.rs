//! What must be refused, each in its variants: none succeeds, none leaves a trace in a journal, and no answer tells what the
//! server is made of or where it lies.

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::fixture::{Server, TOKEN};

/// What no answer says.
const UNSAID: [&str; 10] =
    ["/tmp", "/root", "/home", "/usr", ".rs:", "panicked", "hyper", "axum", "tokio", "stack backtrace"];

/// Checks a raw answer: one of these statuses, a problem where there is a body, and nothing of the inside.
#[track_caller]
fn refused(what: &str, answer: &str, statuses: &[u16]) {
    let status: u16 = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    assert!(statuses.contains(&status), "{what}: {status}: {answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let head = head.to_lowercase();
    assert!(!head.contains("\r\nserver:") && !head.contains("x-powered-by"), "{what}: {head}");
    if !body.is_empty() {
        assert!(head.contains("content-type: application/problem+json"), "{what}: {answer}");
        let problem: Value = serde_json::from_str(body).unwrap();
        assert_eq!(problem["status"], status, "{what}");
        assert!(problem["code"].as_str().is_some_and(|code| !code.is_empty()), "{what}: {body}");
    }
    for unsaid in UNSAID.iter().chain([&TOKEN]) {
        assert!(!answer.contains(unsaid), "{what} tells `{unsaid}`: {answer}");
    }
}

/// A request as bytes. Where nothing else is said it is one that would be answered.
struct Ask {
    line: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Ask {
    fn of(line: &str) -> Self {
        let usual = [("host", "localhost"), ("connection", "close"), ("content-type", "application/json")];
        let ask = Self { line: line.to_owned(), headers: Vec::new(), body: Vec::new() };
        let ask = usual.iter().fold(ask, |ask, (name, value)| ask.with(name, value.as_bytes()));
        ask.with("authorization", format!("Bearer {TOKEN}").as_bytes())
    }

    fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self.and(name, value)
    }

    fn and(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} HTTP/1.1\r\n", self.line).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        if !self.body.is_empty() {
            bytes.extend(format!("content-length: {}\r\n", self.body.len()).into_bytes());
        }
        bytes.extend([b"\r\n".as_slice(), &self.body].concat());
        bytes
    }
}

#[tokio::test]
async fn foreign_hosts_and_origins() {
    let server = Server::start().await;
    for host in [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example:7711",
        "evil.example:7711",
        "127.0.0.2",
        "0.0.0.0",
        "2130706433",
        "localhost@evil.example",
        "localhost, evil.example",
        "[::1",
        "localhost:",
        "",
        "rebind.test",
    ] {
        let answer = server.raw(&Ask::of("GET /api/v1/sessions").with("host", host).bytes()).await;
        let is_ours = host == "localhost:";
        if !is_ours {
            refused(&format!("host {host}"), &answer, &[400, 403]);
        }
    }
    refused("no host", &server.raw(&Ask::of("GET /api/v1/sessions").without("host").bytes()).await, &[400, 403]);
    let two = Ask::of("GET /api/v1/sessions").and("host", "evil.example");
    refused("two hosts", &server.raw(&two.bytes()).await, &[400, 403]);
    refused(
        "host of bytes",
        &server.raw(&Ask::of("GET /api/v1/sessions").with("host", b"\xff").bytes()).await,
        &[400, 403],
    );
    for origin in [
        "http://evil.example",
        "null",
        "file://",
        "http://localhost.evil.example",
        "http://127.0.0.1@evil.example",
        "chrome-extension://localhost-not",
        "localhost",
        "",
    ] {
        let answer = server.raw(&Ask::of("GET /api/v1/sessions").with("origin", origin).bytes()).await;
        refused(&format!("origin {origin}"), &answer, &[403]);
    }
    for site in ["cross-site", "same-site", "SAME-ORIGIN", "", "none, cross-site"] {
        let answer = server.raw(&Ask::of("GET /api/v1/sessions").with("sec-fetch-site", site).bytes()).await;
        refused(&format!("site {site}"), &answer, &[403]);
    }
    let two = Ask::of("GET /api/v1/sessions").with("sec-fetch-site", "none").and("sec-fetch-site", "cross-site");
    refused("two sites", &server.raw(&two.bytes()).await, &[403]);
}

#[tokio::test]
async fn no_token_and_near_misses() {
    let server = Server::start().await;
    let made = server.token("ci", &["admin"]).await;
    for path in
        ["/api/v1/sessions", "/api/v1/ws", "/api/v1/events", "/metrics", "/api/v1/openapi.json", "/api/v1/nothing"]
    {
        refused(path, &server.raw(&Ask::of(&format!("GET {path}")).without("authorization").bytes()).await, &[401]);
        let by_query = format!("GET {path}?token={TOKEN}&access_token={TOKEN}");
        refused(path, &server.raw(&Ask::of(&by_query).without("authorization").bytes()).await, &[401]);
    }
    for token in [TOKEN, &made] {
        let mut other = token.as_bytes().to_vec();
        let mut near: Vec<Vec<u8>> = Vec::new();
        for at in [0, token.len() / 2, token.len() - 1] {
            other[at] ^= 1;
            near.push([b"Bearer ".as_slice(), &other].concat());
            other[at] ^= 1;
        }
        let (upper, half) = (token.to_uppercase(), &token[..token.len() - 1]);
        for shown in [
            format!("Bearer {half}"),
            format!("Bearer {token}x"),
            format!("Bearer {upper}"),
            format!("Bearer  {token}"),
            format!("Bearer {token},{token}"),
            format!("Basic {token}"),
            format!("Token {token}"),
            format!("Bearer={token}"),
            token.to_owned(),
            "Bearer".to_owned(),
            "Bearer *".to_owned(),
        ] {
            near.push(shown.into_bytes());
        }
        near.push([b"Bearer \xff".as_slice(), token.as_bytes()].concat());
        for shown in near {
            let answer = server.raw(&Ask::of("GET /api/v1/sessions").with("authorization", &shown).bytes()).await;
            refused(&String::from_utf8_lossy(&shown), &answer, &[401, 429]);
        }
    }
    assert_eq!(server.get("/sessions").await.0, 200);
}

#[tokio::test]
async fn paths_that_reach_for_more() {
    let server = Server::start().await;
    let session = server.session().await;
    for id in [
        "%2e%2e",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e%2f%2e%2e%2ftoken",
        "..;",
        "%252e%252e",
        "%c0%ae%c0%ae",
        "%00",
        &format!("{session}%00"),
        &format!("{session}%0a"),
        &format!("{session}%2f..%2f"),
        &format!("{session}."),
        &session.to_lowercase().replace("ses_", "SES_"),
        "%ff%fe",
        "C:%5ctoken",
        "%EF%BC%8E%EF%BC%8E",
        "-1",
        &"A".repeat(5_000),
    ] {
        for route in ["sessions", "artifacts", "agents"] {
            for (method, rest) in
                [("GET", ""), ("DELETE", ""), ("GET", "/events"), ("GET", "/export"), ("POST", "/messages")]
            {
                let mut ask = Ask::of(&format!("{method} /api/v1/{route}/{id}{rest}"));
                if method == "POST" {
                    ask = ask.body(r#"{"content":"hi"}"#);
                }
                refused(
                    &format!("{method} {route}/{id}{rest}"),
                    &server.raw(&ask.bytes()).await,
                    &[400, 404, 405, 422],
                );
            }
        }
    }
    for path in [
        "/../token",
        "/api/v1/../../token",
        "/api/v1//sessions",
        "//token",
        "/api/v1/sessions/../../token",
        "*",
        "/api/v1/sessions\\..",
        "/%2e%2e/token",
    ] {
        refused(path, &server.raw(&Ask::of(&format!("GET {path}")).bytes()).await, &[400, 404, 405]);
    }
    assert_eq!(server.journal(&session).await.len(), 1);
}

#[tokio::test]
async fn bodies_that_are_none() {
    let server = Server::start().await;
    let session = server.session().await;
    let deep = |open: &str, close: &str| format!("{{\"content\":{}{}}}", open.repeat(50_000), close.repeat(50_000));
    let (lists, objects) = (deep("[", "]"), deep("{\"a\":", "}"));
    let schema = format!("{{\"content\":\"x\",\"output_schema\":{}1{}}}", "{\"a\":".repeat(50_000), "}".repeat(50_000));
    let bodies: [&[u8]; 18] = [
        b"{",
        b"}",
        b"{\"content\":}",
        b"{'content':'x'}",
        b"{\"content\":\"x\"}{\"content\":\"y\"}",
        b"{\"content\":\"x\",}",
        b"nul",
        b"\0",
        b"{\"content\":\"\xff\"}",
        b"{\"content\":\"\xc0\x80\"}",
        b"{\"content\":\"\xed\xa0\x80\"}",
        b"\xff\xfe{\0}\0",
        b"{\"content\":\"\\ud800\"}",
        b"\xef\xbb\xbf{\"content\":\"x\"}",
        b"{\"content\":1e999}",
        lists.as_bytes(),
        objects.as_bytes(),
        schema.as_bytes(),
    ];
    for body in bodies {
        let what = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        let ask = Ask::of(&format!("POST /api/v1/sessions/{session}/messages")).body(body);
        refused(&what, &server.raw(&ask.bytes()).await, &[400, 422]);
        let ask = Ask::of("POST /api/v1/sessions").body(body);
        refused(&what, &server.raw(&ask.bytes()).await, &[400, 422]);
    }
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain;application/json",
        "application/json; charset=utf-16",
        "application/jsonp",
        "application/json, text/plain",
        "application/ld+json",
        "",
        "json",
        "application/json;charset=utf-8;x=y",
    ] {
        for path in [
            format!("/api/v1/sessions/{session}/messages"),
            "/api/v1/sessions".to_owned(),
            "/api/v1/imports".to_owned(),
        ] {
            let ask = Ask::of(&format!("POST {path}")).with("content-type", kind).body("{}");
            refused(&format!("{path} {kind}"), &server.raw(&ask.bytes()).await, &[415]);
        }
    }
    let ask = Ask::of("POST /api/v1/sessions").without("content-type").body("{}");
    refused("no type", &server.raw(&ask.bytes()).await, &[415]);
    let (_, list) = server.get("/sessions").await;
    assert_eq!((list["items"].as_array().unwrap().len(), server.journal(&session).await.len()), (1, 1));
}

#[tokio::test]
async fn a_disk_that_says_no_is_told_without_its_words() {
    let server = Server::start().await;
    let session = server.session().await;
    let ask = Ask::of(&format!("POST /api/v1/sessions/{session}/messages")).body(r#"{"content":"hi"}"#);
    server.disk_says_no();
    refused("io", &server.raw(&ask.bytes()).await, &[500, 503]);
    server.disk_has_room();
    server.disk_is_full();
    refused("full", &server.raw(&ask.bytes()).await, &[503, 507]);
}

#[tokio::test]
async fn header_floods() {
    let server = Server::start().await;
    let ask = || Ask::of("GET /api/v1/sessions");
    let many = |count: usize| (0..count).fold(ask(), |ask, n| ask.with(&format!("x-{n}"), "y"));
    let same = (0..90).fold(ask(), |ask, _| ask.and("cookie", "a=b"));
    let whole = |length: usize| ask().with("x-long", "y".repeat(length));
    for (what, ask, statuses) in [
        ("65 headers", many(65), &[431][..]),
        ("5000 headers", many(5_000), &[431]),
        ("the same one 90 times", same, &[431]),
        ("40 kB in one", whole(40_000), &[431]),
        ("1 MB in one", whole(1_000_000), &[431]),
        ("a name of 200 kB", ask().with(&"n".repeat(200_000), "y"), &[400, 431]),
        ("an address of 40 kB", Ask::of(&format!("GET /api/v1/sessions?q={}", "a".repeat(40_000))), &[431]),
        ("an address of 1 MB", Ask::of(&format!("GET /{}", "a".repeat(1_000_000))), &[414, 431]),
        ("an end that does not come", ask().with("x-a", "\r\n\r\n"), &[200, 400]),
    ] {
        let answer = server.raw(&ask.bytes()).await;
        if !answer.starts_with("HTTP/1.1 200") {
            refused(what, &answer, statuses);
        }
    }
    // What is read twice by two servers is read by none.
    let both = b"POST /api/v1/sessions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    let answer = server.raw(both).await;
    assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
    for torn in [
        "GET / HTTP/1.1\nhost localhost\r\n\r\n",
        "GET\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\0\r\n\r\n",
    ] {
        let answer = server.raw(torn.as_bytes()).await;
        refused(torn, &answer, &[400, 505]);
    }
    assert_eq!(server.get("/sessions").await.0, 200);
}

#[tokio::test]
async fn a_hundred_megabytes_and_bodies_that_do_not_come() {
    let server = Server::start().await;
    let session = server.session().await;
    let messages = format!("/api/v1/sessions/{session}/messages");
    let archive = outlive_protocol::archive::ARCHIVE_TYPE;
    let ways = [
        (messages.as_str(), "application/json"),
        ("/api/v1/sessions", "application/json"),
        ("/api/v1/imports", "application/json"),
        ("/api/v1/artifacts", "image/png"),
        ("/api/v1/artifacts", "text/plain"),
        ("/api/v1/agents", archive),
        ("/api/v1/tokens", "application/json"),
    ];
    for (path, kind) in ways {
        for is_announced in [true, false] {
            let what = format!("{path} {kind} announced: {is_announced}");
            let ask = Ask::of(&format!("POST {path}")).with("content-type", kind);
            let ask = match is_announced {
                true => ask.with("content-length", "104857600"),
                false => ask.with("transfer-encoding", "chunked"),
            };
            let (mut from, mut to) = server.connection().await.into_split();
            to.write_all(&ask.bytes()).await.unwrap();
            let send = async {
                let piece = vec![b' '; 1 << 20];
                for _ in 0..100 {
                    let piece =
                        if is_announced { piece.clone() } else { [b"100000\r\n".as_slice(), &piece, b"\r\n"].concat() };
                    if to.write_all(&piece).await.is_err() {
                        return;
                    }
                }
            };
            let mut answer = Vec::new();
            let read = async {
                from.read_to_end(&mut answer).await.ok();
            };
            futures_util::join!(send, read);
            let answer = String::from_utf8_lossy(&answer).into_owned();
            // A server that has refused may close while more comes, which can take the answer with it.
            if !answer.is_empty() {
                refused(&what, &answer, &[413, 408]);
            }
        }
    }
    for (path, kind) in ways {
        let ask = Ask::of(&format!("POST {path}")).with("content-type", kind).with("content-length", "10");
        refused(&format!("{path} slow"), &server.raw(&ask.bytes()).await, &[408]);
    }
    let (_, list) = server.get("/sessions").await;
    assert_eq!((list["items"].as_array().unwrap().len(), server.journal(&session).await.len()), (1, 1));
}
