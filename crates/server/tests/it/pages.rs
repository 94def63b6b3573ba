//! Pages from the end of a session, and positions that somebody made up.

use serde_json::{Value, json};

use crate::fixture::Server;

fn seqs(page: &Value) -> Vec<u64> {
    page["items"].as_array().unwrap().iter().map(|item| item["seq"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn a_transcript_is_read_from_its_end_page_by_page_to_its_beginning() {
    let server = Server::start().await;
    let session = server.session().await;
    for n in 0..7 {
        server.post(&format!("/sessions/{session}/messages?wait=30"), json!({"content": format!("m{n}")})).await;
    }
    let whole = seqs(&server.get(&format!("/sessions/{session}/messages")).await.1);
    let head = server.journal(&session).await.len() as u64;
    let (mut before, mut pages) = (Some(head + 1), Vec::new());
    while let Some(at) = before {
        let (status, page) = server.get(&format!("/sessions/{session}/messages?before={at}&limit=4")).await;
        assert_eq!(status, 200, "{page}");
        pages.push(seqs(&page));
        before = page.get("earlier").and_then(Value::as_u64);
    }
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 4, 2]);
    pages.reverse();
    assert_eq!(pages.concat(), whole);
    let (_, page) = server.get(&format!("/sessions/{session}/events?before={}&limit=5", head + 1)).await;
    assert_eq!((seqs(&page), &page["head"]), ((head - 4..=head).collect(), &json!(head)));
    let (_, page) = server.get(&format!("/sessions/{session}/events?before=3&limit=5")).await;
    assert_eq!(seqs(&page), [1, 2]);
}

#[tokio::test]
async fn a_position_that_somebody_made_up_is_refused_by_name() {
    let server = Server::start().await;
    let session = server.session().await;
    server.post(&format!("/sessions/{session}/messages?wait=30"), json!({"content": "hi"})).await;
    let head = server.journal(&session).await.len();
    for (query, named) in [
        ("messages?before=0".to_owned(), "before"),
        (format!("messages?before={}", head + 2), "before"),
        ("messages?before=18446744073709551615".to_owned(), "before"),
        ("messages?before=-1".to_owned(), "before"),
        ("messages?before=1e3".to_owned(), "before"),
        ("messages?before=3&cursor=1".to_owned(), "before"),
        (format!("messages?cursor={}", head + 1), "cursor"),
        ("messages?cursor=x".to_owned(), "cursor"),
        (format!("events?before={}", head + 2), "before"),
        ("events?before=2&after=1".to_owned(), "before"),
        ("events?after=one".to_owned(), "after"),
    ] {
        let (status, problem) = server.get(&format!("/sessions/{session}/{query}")).await;
        assert_eq!((status, &problem["code"]), (422, &json!("invalid")), "{query}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(named), "{query}: {problem}");
    }
    let bearer = server.bearer();
    let headers = [("authorization", bearer.as_str()), ("accept", "text/event-stream")];
    let path = format!("/api/v1/sessions/{session}/events?before=2");
    assert_eq!(server.bare("GET", &path, &headers, "").await.0, 422);
}
