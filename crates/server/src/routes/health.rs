//! Whether the server lives and is ready.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use outlive_protocol::health::{Health, Version};

use crate::App;

/// The process answers.
#[utoipa::path(get, path = "/livez", tag = "health", responses((status = 200, body = Health)))]
pub(super) async fn live() -> Json<Health> {
    Json(Health { status: "ok".to_owned() })
}

/// Recovery is done and commands are taken.
#[utoipa::path(get, path = "/readyz", tag = "health",
    responses((status = 200, body = Health), (status = 503, body = Health)))]
pub(super) async fn ready(State(app): State<App>) -> impl IntoResponse {
    if app.runtime.closing().is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, Json(Health { status: "closing".to_owned() }));
    }
    (StatusCode::OK, Json(Health { status: "ok".to_owned() }))
}

/// Name and version.
#[utoipa::path(get, path = "/version", tag = "health", responses((status = 200, body = Version)))]
pub(super) async fn version() -> Json<Version> {
    Json(Version { name: "outlive".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() })
}

/// Prometheus text: how many sessions are in memory.
#[utoipa::path(get, path = "/metrics", tag = "health", responses((status = 200, body = String)))]
pub(super) async fn metrics(State(app): State<App>) -> impl IntoResponse {
    let live = app.runtime.live();
    let text = format!(
        "# HELP outlive_sessions_live Sessions in memory.\n# TYPE outlive_sessions_live gauge\noutlive_sessions_live {live}\n"
    );
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}
