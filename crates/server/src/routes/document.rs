//! The API's document: what the routes say of themselves, and what the door says of all of them.

use axum::http::Method;
use outlive_protocol::Problem;
use serde_json::{Value, json};

use crate::scopes;

/// Completes the document that the routes made: who may come in, which headers are read, and that errors are problems.
pub(super) fn complete(made: &utoipa::openapi::OpenApi) -> String {
    // A document of strings and maps always serializes.
    let mut document = serde_json::to_value(made).unwrap_or_default();
    document["components"]["securitySchemes"] = json!({"token": {
        "type": "http", "scheme": "bearer",
        "description": "The workspace's own token, in its file `token`, which may do everything, or one of `POST /tokens`: \
            the scope in `security` is what it needs at least. `talk` and `approve` let read, too; `admin` lets do everything",
    }});
    for (path, operations) in document["paths"].as_object_mut().into_iter().flatten() {
        for (method, operation) in operations.as_object_mut().into_iter().flatten() {
            let verb = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap_or_default();
            if let Some(scope) = scopes::named(&verb, path) {
                operation["security"] = json!([{"token": [scope]}]);
                guarded(method, operation);
            }
            let responses = operation["responses"].as_object_mut().into_iter().flatten();
            responses.for_each(|(_, response)| as_problem(response));
        }
    }
    serde_json::to_string_pretty(&document).unwrap_or_default()
}

/// What holds for every route behind the token.
fn guarded(method: &str, operation: &mut Value) {
    let mut refusals =
        vec![("401", "No token, or a wrong one"), ("403", "A foreign Host or Origin, or a token that is not for this")];
    refusals.push(("429", "Too many requests, or too much at once: `Retry-After` says when to come back"));
    refusals.push(("431", "The address or the headers are too large"));
    refusals.push(("503", "Busy or shutting down: `Retry-After` says when to come back"));
    if operation.get("requestBody").is_some() {
        refusals.push(("400", "The body is not JSON, or an id is none"));
        refusals.push(("408", "The body did not arrive in time"));
        refusals.push(("413", "The body is too large"));
        refusals.push(("415", "The body is not `application/json`"));
        refusals.push(("422", "A value does not fit"));
    }
    for (status, description) in refusals {
        let schema = json!({"$ref": "#/components/schemas/Problem"});
        let response = json!({"description": description, "content": {"application/json": {"schema": schema}}});
        let responses = operation["responses"].as_object_mut();
        responses.map(|responses| responses.entry(status).or_insert(response));
    }
    if method != "get" {
        parameter(operation, "Idempotency-Key", "The same key with the same body is done once and answered the same");
    }
    let streams = operation.pointer("/responses/200/content").and_then(|content| content.get("text/event-stream"));
    if streams.is_some() {
        parameter(operation, "Last-Event-ID", "The seq after which to go on");
    }
}

fn parameter(operation: &mut Value, name: &str, description: &str) {
    let header = json!({
        "name": name, "in": "header", "required": false, "description": description, "schema": {"type": "string"},
    });
    match operation.get_mut("parameters").and_then(Value::as_array_mut) {
        Some(parameters) => parameters.push(header),
        None => operation["parameters"] = json!([header]),
    }
}

/// An error's body has its own media type.
fn as_problem(response: &mut Value) {
    let is_problem =
        response.pointer("/content/application~1json/schema/$ref") == Some(&json!("#/components/schemas/Problem"));
    if let Some(content) = response.get_mut("content").and_then(Value::as_object_mut).filter(|_| is_problem)
        && let Some(body) = content.remove("application/json")
    {
        content.insert(Problem::MEDIA_TYPE.to_owned(), body);
    }
}
