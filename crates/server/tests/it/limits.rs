//! How much is taken of whom: wrong tokens, requests, connections, the life of streams, clients that take nothing.

use std::net::IpAddr;
use std::time::Duration;

use outlive_server::Rate;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::fixture::{Server, TOKEN, decoded};
use crate::sockets::{client, connect};

/// Longer than anything here takes, shorter than a person waits: what hangs fails its test.
const PATIENCE: Duration = Duration::from_secs(60);

/// So many at once, and the next one in an hour.
fn only(burst: f64) -> Rate {
    Rate { per_s: 1.0 / 3_600.0, burst }
}

/// A server behind a proxy on this machine.
async fn behind_proxy(set: impl FnOnce(&mut outlive_server::Limits)) -> Server {
    Server::start_with(|settings| {
        settings.proxies = vec![IpAddr::from([127, 0, 0, 1])];
        set(&mut settings.limits);
    })
    .await
}

/// Asks until there is a seat.
async fn let_in(server: &Server) {
    let asks = async {
        while server.bare("GET", "/livez", &[], "").await.0 != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, asks).await.unwrap();
}

async fn asked(server: &Server, token: &str, from: &str) -> (u16, serde_json::Value) {
    let headers = [("authorization", format!("Bearer {token}")), ("x-forwarded-for", from.to_owned())];
    let headers: Vec<(&str, &str)> =
        headers.iter().filter(|(_, text)| !text.is_empty()).map(|(name, text)| (*name, text.as_str())).collect();
    server.bare("GET", "/api/v1/sessions", &headers, "").await
}

#[tokio::test]
async fn who_guesses_is_not_listened_to_for_a_while_and_this_machine_is_not_locked_out() {
    let server = behind_proxy(|limits| limits.failures = only(3.0)).await;
    for from in ["203.0.113.9", ""] {
        for _ in 0..3 {
            assert_eq!(asked(&server, "wrong", from).await.0, 401, "{from}");
        }
        let (status, problem) = asked(&server, "wrong", from).await;
        assert_eq!((status, &problem["code"]), (429, &json!("rate_limited")), "{from}");
    }
    assert_eq!(asked(&server, TOKEN, "203.0.113.9").await.0, 429, "also with the right one");
    assert_eq!(asked(&server, TOKEN, "203.0.113.10").await.0, 200, "another address");
    assert_eq!(asked(&server, TOKEN, "").await.0, 200, "this machine: its users share one address");
    // Who shows nothing has not guessed.
    for _ in 0..5 {
        assert_eq!(server.bare("GET", "/api/v1/sessions", &[("x-forwarded-for", "203.0.113.11")], "").await.0, 401);
    }
    let headers = format!(
        "GET /api/v1/sessions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx-forwarded-for: 203.0.113.9\r\n\
         authorization: Bearer {TOKEN}\r\n\r\n"
    );
    let answer = server.raw(headers.as_bytes()).await;
    let after = answer.lines().find_map(|line| line.strip_prefix("retry-after: ")).unwrap().parse::<u64>().unwrap();
    assert!((1..=3_600).contains(&after), "{answer}");
}

#[tokio::test]
async fn what_is_said_of_addresses_is_not_believed_without_a_declared_proxy() {
    let server = Server::start_with(|settings| settings.limits.of_address = only(1.0)).await;
    for _ in 0..5 {
        assert_eq!(asked(&server, TOKEN, "203.0.113.9").await.0, 200);
    }
}

#[tokio::test]
async fn a_token_and_an_address_ask_so_much_and_the_own_token_here_what_it_likes() {
    let server = behind_proxy(|limits| (limits.of_token, limits.of_address) = (only(4.0), only(6.0))).await;
    let session = server.session().await;
    let token = server.token("ci", &["talk"]).await;
    let mut heard = Vec::new();
    for _ in 0..6 {
        heard.push(asked(&server, &token, "").await.0);
    }
    assert_eq!(heard, [200, 200, 200, 200, 429, 429], "a token");
    for _ in 0..20 {
        assert_eq!(asked(&server, TOKEN, "").await.0, 200, "the own one, here");
    }
    let mut heard = Vec::new();
    for _ in 0..5 {
        heard.push(asked(&server, TOKEN, "203.0.113.9").await.0);
    }
    assert_eq!(heard, [200, 200, 200, 200, 429], "the own one, from elsewhere");
    let mut open = Vec::new();
    for _ in 0..2 {
        open.push(server.bare("GET", "/version", &[("x-forwarded-for", "203.0.113.9")], "").await.0);
    }
    assert_eq!(open, [200, 429], "an address, also where no token is asked for");
    // Each frame of a socket is a request.
    let other = format!("Bearer {}", server.token("socket", &["read"]).await);
    let (mut socket, _) = connect(&server, &[("authorization", &other)]).await.ok().unwrap();
    let mut heard = Vec::new();
    for _ in 0..4 {
        heard.push(socket.ask(json!({"type": "unsubscribe", "session": session})).await["status"].clone());
    }
    assert_eq!(heard, [200, 200, 200, 429]);
}

#[tokio::test]
async fn there_are_so_many_connections_and_a_socket_is_one() {
    let server = Server::start_with(|settings| settings.limits.connections = 2).await;
    let idle = server.connection().await;
    // Only when it is answered has the idle one surely been taken.
    let mut socket = client(&server).await;
    let refused = server.raw(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(refused.is_empty() || refused.starts_with("HTTP/1.1 429 "), "{refused}");
    // Without a request in flight it is heard, too.
    let mut waits = server.connection().await;
    let mut said = String::new();
    waits.read_to_string(&mut said).await.unwrap();
    let (head, body) = said.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("retry-after: 1") && head.contains(&format!("content-length: {}", body.len())), "{said}");
    assert_eq!(serde_json::from_str::<serde_json::Value>(body).unwrap()["code"], "busy");
    drop(idle);
    // The seat is free when the server has seen it.
    let_in(&server).await;
    let reply = socket.ask(json!({"type": "unsubscribe", "session": "ses_00000000000000000000000009"})).await;
    assert_eq!(reply["status"], 200, "who is in stays in");
}

#[tokio::test]
async fn a_stream_has_its_time_and_its_client_goes_on_where_it_was() {
    let server = Server::start_with(|settings| settings.limits.stream = Duration::from_millis(300)).await;
    let session = server.session().await;
    let (mut stream, mut first) = server.listening(TOKEN, &session, 0).await;
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut first)).await.unwrap().unwrap();
    assert_eq!(decoded(&first).len(), 1, "{first}");
    assert!(first.trim_end().ends_with("\r\n0"), "it ends as a whole answer does: {first}");
    assert_eq!(server.post(&format!("/sessions/{session}/messages?wait=30"), json!({"content": "hi"})).await.0, 200);
    let (_, rest) = server.listening(TOKEN, &session, 1).await;
    assert_eq!(decoded(&rest).first().map(|(_, id)| *id), Some(2));
    let mut socket = client(&server).await;
    assert_eq!(socket.closed().await, (1001, "come back and go on where you were".to_owned()));
}

#[tokio::test]
async fn who_takes_nothing_is_let_go() {
    let server = Server::start_with(|settings| {
        settings.limits.take = Duration::from_millis(200);
        settings.limits.connections = 1;
    })
    .await;
    let session = server.session().await;
    // More than all the buffers between the two hold.
    let content = "x".repeat(900_000);
    for _ in 0..12 {
        let say = json!({"content": content});
        assert_eq!(server.post(&format!("/sessions/{session}/messages?wait=60"), say).await.0, 200);
    }
    let mut stalled = server.connection().await;
    let bearer = server.bearer();
    let ask =
        format!("GET /api/v1/sessions/{session}/events HTTP/1.1\r\nhost: localhost\r\nauthorization: {bearer}\r\n\r\n");
    stalled.write_all(ask.as_bytes()).await.unwrap();
    // It has begun to answer, and holds the only seat.
    stalled.read_u8().await.unwrap();
    let_in(&server).await;
    let mut rest = Vec::new();
    stalled.read_to_end(&mut rest).await.ok();
    assert!(rest.len() < 12 * 900_000, "{}", rest.len());
}
