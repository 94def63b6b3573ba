//! The API's document is generated from the code, committed, and held.
#![expect(clippy::disallowed_methods, reason = "the document is a file")]

use std::path::Path;

#[test]
fn the_committed_document_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/openapi.json");
    let generated = outlive_server::openapi() + "\n";
    if std::env::var_os("OUTLIVE_WRITE").is_some() {
        std::fs::write(&path, &generated).expect("the document can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let refresh = "OUTLIVE_WRITE=1 cargo test -p outlive-server --test openapi";
    assert!(
        committed == generated,
        "docs/reference/openapi.json is out of date; write it with `{refresh}` and look at the difference"
    );
}

#[test]
fn the_document_is_openapi_3_1_and_names_every_route() {
    let document: serde_json::Value = serde_json::from_str(&outlive_server::openapi()).expect("JSON");
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    for route in
        ["/sessions", "/sessions/{id}/messages", "/sessions/{id}/events", "/sessions/{id}/approvals/{call}", "/inbox"]
    {
        assert!(document["paths"].get(format!("/api/v1{route}")).is_some(), "{route}");
    }
}

#[test]
fn the_document_says_what_the_door_and_the_headers_do() {
    let document: serde_json::Value = serde_json::from_str(&outlive_server::openapi()).expect("JSON");
    let at = |pointer: &str| document.pointer(pointer).unwrap_or_else(|| panic!("{pointer}"));
    let events = "/paths/~1api~1v1~1sessions~1{id}~1events/get";
    for media in ["application~1json", "text~1event-stream"] {
        at(&format!("{events}/responses/200/content/{media}"));
    }
    let names = |route: &str| -> Vec<&str> {
        let parameters = at(&format!("{route}/parameters")).as_array().expect("a list");
        parameters.iter().filter_map(|parameter| parameter["name"].as_str()).collect()
    };
    assert!(names(events).contains(&"Last-Event-ID"));
    let post = "/paths/~1api~1v1~1sessions~1{id}~1messages/post";
    assert!(names(post).contains(&"Idempotency-Key"));
    for status in ["401", "403", "404", "408", "413", "415", "422", "429", "431"] {
        at(&format!("{post}/responses/{status}/content/application~1problem+json"));
    }
    assert_eq!(at(&format!("{post}/security/0")), &serde_json::json!({"token": ["talk"]}));
    assert_eq!(at("/components/securitySchemes/token/scheme"), "bearer");
    assert!(document.pointer("/paths/~1livez/get/security").is_none());
}
