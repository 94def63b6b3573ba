//! Large outputs, by the SHA-256 of their bytes.

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use outlive_core::digest::Digest;
use outlive_protocol::{Problem, code};

use crate::App;
use crate::body::Path;
use crate::problem::{ApiError, ApiResult};

/// The bytes. Always offered as a download: an output may be anything.
#[utoipa::path(get, path = "/artifacts/{hash}", tag = "artifacts", params(("hash" = String, Path)),
    responses((status = 200, content_type = "application/octet-stream"), (status = 404, body = Problem)))]
pub(super) async fn show(State(app): State<App>, Path(hash): Path<String>) -> ApiResult<impl IntoResponse> {
    let malformed = || ApiError::new(&code::MALFORMED_ID, "an artifact's hash has 64 lowercase hex digits");
    let hash = Digest::parse(&hash).ok_or_else(malformed)?;
    let missing = || ApiError::new(&code::ARTIFACT_NOT_FOUND, "there is no artifact with this hash");
    let bytes = app.runtime.artifact(hash).await?.ok_or_else(missing)?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CONTENT_DISPOSITION, "attachment"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, bytes))
}
