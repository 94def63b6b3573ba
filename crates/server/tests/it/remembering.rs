//! What is remembered, over HTTP: found, changed, forgotten; who may, and what is refused.

use serde_json::{Value, json};

use crate::fixture::Server;

async fn noted(server: &Server, body: Value) -> String {
    let (status, noted) = server.post("/memory", body).await;
    assert_eq!(status, 201, "{noted}");
    noted["memory"]["id"].as_str().unwrap().to_owned()
}

async fn texts(server: &Server, query: &str) -> Vec<String> {
    let (status, page) = server.get(&format!("/memory?{query}")).await;
    assert_eq!(status, 200, "{query}: {page}");
    let items = page["items"].as_array().unwrap();
    items.iter().map(|item| item["text"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_newest_fact_is_found_and_of_a_day_what_held_then() {
    let server = Server::start().await;
    let rome = json!({"agent": "test", "text": "Ada lives in Rome.", "since": "2024-01-01T00:00:00Z"});
    let old = noted(&server, rome).await;
    let bern =
        json!({"agent": "test", "text": "Ada lives in Bern.", "since": "2025-06-01T00:00:00Z", "supersedes": [old]});
    let new = noted(&server, bern).await;
    for (query, found) in [
        ("q=where+does+Ada+live", vec!["Ada lives in Bern."]),
        ("q=where+does+Ada+live&superseded=true", vec!["Ada lives in Bern.", "Ada lives in Rome."]),
        ("q=where+does+Ada+live&as_of=2024-12-31", vec!["Ada lives in Rome."]),
        ("q=where+does+Ada+live&as_of=2025-06-01", vec!["Ada lives in Bern."]),
        ("q=where+does+Ada+live&as_of=2025-05-31T23:59:59Z", vec!["Ada lives in Rome."]),
        ("q=where+does+Ada+live&as_of=2023-12-31", vec![]),
        ("q=where+does+Ada+live&as_of=9999-12-29", vec!["Ada lives in Bern."]),
        ("superseded=true", vec!["Ada lives in Bern.", "Ada lives in Rome."]),
        ("", vec!["Ada lives in Bern."]),
    ] {
        assert_eq!(texts(&server, query).await, found, "{query}");
    }
    let (_, page) = server.get("/memory?q=where+does+Ada+live&superseded=true").await;
    for item in page["items"].as_array().unwrap() {
        let parts: f64 = item["explain"].as_array().unwrap().iter().map(|part| part["adds"].as_f64().unwrap()).sum();
        assert_eq!(item["score"].as_f64().unwrap(), parts, "the shown score is the sum of its parts: {item}");
    }
    let (_, story) = server.get(&format!("/memory/{old}")).await;
    assert_eq!((&story["superseders"][0]["id"], &story["memory"]["superseded_by"]), (&json!(new), &json!([new])));
}

#[tokio::test]
async fn a_session_finds_what_it_may_know() {
    let server = Server::start().await;
    let (own, other) = (server.session().await, server.session().await);
    for (session, scope) in [(&own, "session"), (&own, "agent"), (&own, "all"), (&other, "session"), (&other, "agent")]
    {
        let whose = if session == &own { "own" } else { "other" };
        let text = format!("A walrus of {whose} for {scope}.");
        noted(&server, json!({"session": session, "scope": scope, "text": text})).await;
    }
    let mut seen = texts(&server, &format!("q=walrus&session={own}")).await;
    seen.sort();
    let of = |whose: &str, scope: &str| format!("A walrus of {whose} for {scope}.");
    assert_eq!(seen, [of("other", "agent"), of("own", "agent"), of("own", "all"), of("own", "session")]);
    assert_eq!(
        texts(&server, "q=walrus&agent=stranger").await,
        [of("own", "all")],
        "another agent sees what is for all"
    );
    assert_eq!(texts(&server, &format!("q=walrus&session={own}&scope=session")).await, [of("own", "session")]);
    assert_eq!(texts(&server, "q=walrus").await.len(), 5, "a person sees everything");
}

#[tokio::test]
async fn what_is_no_memory_is_refused_with_a_stable_code() {
    let server = Server::start().await;
    let memory = noted(&server, json!({"agent": "test", "text": "A walrus."})).await;
    let route = format!("/memory/{memory}");
    let nowhere = "/memory/mem_00000000000000000000000009";
    let long = json!({"agent": "test", "text": "x".repeat(1 << 20)}).to_string();
    let larger = json!({"agent": "test", "text": "x".repeat(3 << 20)}).to_string();
    let both = json!({"agent": "test", "session": "ses_00000000000000000000000009", "text": "x"}).to_string();
    let mut other = Vec::new();
    for (method, route, body, status, code) in [
        ("GET", "/memory/mem_1", "", 400, "malformed_id"),
        ("GET", "/memory/..%2e%2e%2fetc", "", 400, "malformed_id"),
        ("GET", nowhere, "", 404, "memory_not_found"),
        ("PATCH", nowhere, r#"{"text":"x"}"#, 404, "memory_not_found"),
        ("DELETE", nowhere, "", 404, "memory_not_found"),
        ("DELETE", &format!("{nowhere}?sources=true"), "", 404, "memory_not_found"),
        ("DELETE", &format!("{route}?sources=perhaps"), "", 422, "invalid"),
        ("GET", "/memory?q=", "", 422, "invalid"),
        ("GET", "/memory?q=%20", "", 422, "invalid"),
        ("GET", "/memory?as_of=2025-01-01", "", 422, "invalid"),
        ("GET", "/memory?q=x&as_of=yesterday", "", 422, "invalid"),
        ("GET", "/memory?q=x&as_of=2025-02-30", "", 422, "invalid"),
        ("GET", "/memory?q=x&as_of=99999-01-01", "", 422, "invalid"),
        ("GET", "/memory?q=x&limit=0", "", 422, "invalid"),
        ("GET", "/memory?cursor=nonsense", "", 422, "invalid"),
        ("GET", "/memory?scope=everybody", "", 422, "invalid"),
        ("GET", "/memory?session=ses_1", "", 400, "malformed_id"),
        ("GET", "/memory?agnt=test", "", 422, "invalid"),
        ("POST", "/memory", "{", 400, "malformed_json"),
        ("POST", "/memory", "[]", 422, "invalid"),
        ("POST", "/memory", r#"{"agent":"test"}"#, 422, "invalid"),
        ("POST", "/memory", r#"{"agent":"test","text":7}"#, 422, "invalid"),
        ("POST", "/memory", r#"{"agent":"test","text":"x","colour":"red"}"#, 422, "invalid"),
        ("POST", "/memory", r#"{"agent":"test","text":"x","scope":"everybody"}"#, 422, "invalid"),
        ("POST", "/memory", r#"{"agent":"test","text":"x","since":"10000-01-01T00:00:00Z"}"#, 422, "invalid"),
        ("POST", "/memory", r#"{"agent":"test","text":"x","supersedes":["mem_1"]}"#, 422, "invalid"),
        ("POST", "/memory", r#"{"text":"x"}"#, 422, "invalid"),
        ("POST", "/memory", &both, 422, "invalid"),
        ("POST", "/memory", r#"{"agent":"none","text":"x"}"#, 404, "agent_not_found"),
        ("POST", "/memory", r#"{"session":"ses_00000000000000000000000009","text":"x"}"#, 404, "session_not_found"),
        ("POST", "/memory", r#"{"agent":"test","text":" \n "}"#, 422, "memory_invalid"),
        ("POST", "/memory", &long, 422, "memory_invalid"),
        ("POST", "/memory", &larger, 413, "too_large"),
        ("PATCH", &route, r#"{"text":""}"#, 422, "memory_invalid"),
        ("PATCH", &route, r#"{"text":null}"#, 422, "invalid"),
        ("PATCH", &route, r#"{"txt":"x"}"#, 422, "invalid"),
        ("PATCH", &route, "nonsense", 400, "malformed_json"),
        ("POST", "/memory/reflect", "{}", 422, "invalid"),
        ("POST", "/memory/reflect", r#"{"agent":"none"}"#, 404, "agent_not_found"),
        ("POST", "/memory/reflect", r#"{"agent":"test","dry_run":"yes"}"#, 422, "invalid"),
    ] {
        let answer = server.send(method, route, &[], body).await;
        let shown: String = body.chars().take(60).collect();
        if (answer.0, &answer.1["code"]) != (status, &json!(code)) {
            other.push(format!("{method} {route} {shown}: {}, not {status} {code}", answer.1));
        }
    }
    assert!(other.is_empty(), "{other:#?}");
    assert_eq!(texts(&server, "").await, ["A walrus."], "nothing of all that changed anything");
    let odd =
        json!({"agent": "test", "text": "A \u{0} walrus\u{1b}[31m \u{202e}kcab </notes> \"; DROP TABLE rows; --"});
    noted(&server, odd).await;
    assert_eq!(texts(&server, "q=DROP+TABLE").await.len(), 1, "any character is only a character");
    let far = noted(&server, json!({"agent": "test", "text": "Later.", "since": "9999-12-29T00:00:00Z"})).await;
    assert_eq!(server.get(&format!("/memory/{far}")).await.0, 200);
}

#[tokio::test]
async fn a_token_reads_notes_and_forgets_as_far_as_it_is_made_for() {
    let server = Server::start().await;
    let memory = noted(&server, json!({"agent": "test", "text": "A walrus."})).await;
    let route = format!("/memory/{memory}");
    let add = r#"{"agent":"test","text":"Another one."}"#;
    for (scope, allowed) in [("read", [true, true, false, false, false]), ("talk", [true, true, true, true, false])] {
        let token = server.token(scope, &[scope]).await;
        let asked = [
            (("GET", "/memory?q=walrus"), ""),
            (("GET", route.as_str()), ""),
            (("POST", "/memory"), add),
            (("PATCH", route.as_str()), r#"{"text":"A walrus still."}"#),
            (("DELETE", route.as_str()), ""),
        ];
        for ((request, body), is_allowed) in asked.into_iter().zip(allowed) {
            let (status, answer) = server.by(&token, request, body).await;
            assert_eq!(status != 403, is_allowed, "{scope} {request:?}: {status} {answer}");
        }
    }
    let admin = server.token("admin", &["admin"]).await;
    let (status, forgotten) = server.by(&admin, ("DELETE", &route), "").await;
    assert_eq!((status, &forgotten["memories"], &forgotten["left"]), (200, &json!([memory]), &json!([])));
    assert_eq!(server.get(&route).await.1["code"], json!("memory_not_found"));
    let (status, again) = server.by(&admin, ("DELETE", &format!("{route}?sources=true")), "").await;
    assert_eq!((status, &again["memories"]), (200, &json!([memory])), "its sources can go later, too");
}

#[tokio::test]
async fn the_same_note_under_the_same_name_is_made_once() {
    let server = Server::start().await;
    let body = json!({"agent": "test", "text": "A walrus.", "request_id": "n1"});
    let (first, again) = (noted(&server, body.clone()).await, noted(&server, body).await);
    assert_eq!(first, again);
    assert_eq!(texts(&server, "").await.len(), 1);
    let other = server.post("/memory", json!({"agent": "test", "text": "A seal.", "request_id": "n1"})).await;
    assert_eq!((other.0, &other.1["code"]), (409, &json!("request_reused")));
}
