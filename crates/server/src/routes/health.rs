//! Whether the server lives and is ready.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use outlive_protocol::health::{Health, Version};
use outlive_runtime::SubmitError;

use crate::App;
use crate::problem::ApiResult;

/// The process answers.
#[utoipa::path(get, path = "/livez", tag = "health", responses((status = 200, body = Health)))]
pub(super) async fn live() -> Json<Health> {
    Json(Health { status: "ok".to_owned() })
}

/// Recovery is done and commands are taken: the store writes, and its list answers.
#[utoipa::path(get, path = "/readyz", tag = "health",
    responses((status = 200, body = Health), (status = 503, body = Health)))]
pub(super) async fn ready(State(app): State<App>) -> impl IntoResponse {
    match app.runtime.answers().await {
        Ok(()) => (StatusCode::OK, Json(Health { status: "ok".to_owned() })),
        Err(SubmitError::Closing) => (StatusCode::SERVICE_UNAVAILABLE, Json(Health { status: "closing".to_owned() })),
        Err(error) => {
            tracing::error!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, Json(Health { status: "storage failed".to_owned() }))
        }
    }
}

/// Name and version.
#[utoipa::path(get, path = "/version", tag = "health", responses((status = 200, body = Version)))]
pub(super) async fn version() -> Json<Version> {
    Json(Version { name: "outlive".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() })
}

/// Prometheus text: what was counted since the start, and what is there now.
#[utoipa::path(get, path = "/metrics", tag = "health", responses((status = 200, body = String)))]
pub(super) async fn metrics(State(app): State<App>) -> ApiResult<impl IntoResponse> {
    let text = app.runtime.metrics().await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text))
}
