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
