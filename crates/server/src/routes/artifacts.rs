//! Files and large outputs, by the SHA-256 of their bytes.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use futures_util::StreamExt as _;
use outlive_core::digest::Digest;
use outlive_core::media::{Attachment, MediaType};
use outlive_protocol::message::{ArtifactKept, PostAttachment};
use outlive_protocol::{Problem, code};
use outlive_runtime::{AttachError, taken};

use crate::App;
use crate::body::Path;
use crate::problem::{ApiError, ApiResult};

/// The bytes. Always offered as a download: an output may be anything.
#[utoipa::path(get, path = "/artifacts/{hash}", tag = "artifacts", params(("hash" = String, Path)),
    responses((status = 200, content_type = "application/octet-stream"), (status = 404, body = Problem)))]
pub(super) async fn show(State(app): State<App>, Path(hash): Path<String>) -> ApiResult<impl IntoResponse> {
    let missing = || ApiError::new(&code::ARTIFACT_NOT_FOUND, "there is no artifact with this hash");
    let bytes = app.runtime.artifact(digest(&hash)?).await?.ok_or_else(missing)?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CONTENT_DISPOSITION, "attachment"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, bytes))
}

/// Keeps a file, to be attached to messages. The body is its bytes, the Content-Type its type. The same bytes are kept once.
#[utoipa::path(post, path = "/artifacts", tag = "artifacts",
    request_body(content = Vec<u8>, content_type = "application/octet-stream",
        description = "The bytes, sent as image/png, image/jpeg, image/gif, image/webp (3.75 MiB), application/pdf (14 MiB), \
                       text/plain, text/markdown, text/csv or application/json (1 MiB)"),
    responses((status = 201, body = ArtifactKept), (status = 413, description = "Too large for its type", body = Problem),
        (status = 415, description = "Not a type that is taken, or the bytes are not of it", body = Problem),
        (status = 422, description = "There are no bytes, or no model would take the file", body = Problem)))]
pub(super) async fn keep(State(app): State<App>, request: Request) -> ApiResult<impl IntoResponse> {
    let sent = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let refuse = || ApiError::new(&code::UNSUPPORTED_MEDIA_TYPE, format!("Content-Type `{sent}`: send {}", taken()));
    let kind = MediaType::parse(sent).ok_or_else(refuse)?;
    let bytes = match tokio::time::timeout(app.settings.body_time, read(request, kind)).await {
        Ok(read) => read?,
        Err(_) => return Err(ApiError::new(&code::TIMEOUT, "the body did not arrive in time")),
    };
    if bytes.is_empty() {
        return Err(ApiError::new(&code::INVALID, "the body is empty: send the file's bytes"));
    }
    if !kind.fits(&bytes) {
        let what = MediaType::guess(&bytes, "").map_or("none that is known here", MediaType::as_str);
        let why = format!("the bytes are not {}: their type is {what}", kind.as_str());
        return Err(ApiError::new(&code::UNSUPPORTED_MEDIA_TYPE, why));
    }
    if let Some(flaw) = kind.flaw(&bytes) {
        return Err(ApiError::new(&code::ATTACHMENT_INVALID, flaw));
    }
    let media_type = kind.as_str().to_owned();
    let (hash, size) = app.runtime.keep(bytes).await?;
    Ok((StatusCode::CREATED, Json(ArtifactKept { hash: hash.to_string(), bytes: size, media_type })))
}

/// Reads a body up to what a file of its type may have.
async fn read(request: Request, kind: MediaType) -> ApiResult<Vec<u8>> {
    let most = kind.most_bytes();
    let mut bytes = Vec::new();
    let mut body = request.into_body().into_data_stream();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|_| ApiError::new(&code::BAD_REQUEST, "the body did not arrive whole"))?;
        if bytes.len() + chunk.len() > most {
            let why = format!("a file of type {} has at most {most} bytes", kind.as_str());
            return Err(ApiError::new(&code::TOO_LARGE, why));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Finds the files that a message names.
pub(super) async fn named(app: &App, posted: Vec<PostAttachment>) -> ApiResult<Vec<Attachment>> {
    let mut found = Vec::new();
    // Beyond the limit none is read: the message is refused.
    for file in posted.into_iter().take(outlive_core::limits::ATTACHMENTS + 1) {
        found.push(app.runtime.attachment(digest(&file.hash)?, &file.media_type, file.name).await?);
    }
    Ok(found)
}

fn digest(hash: &str) -> ApiResult<Digest> {
    let malformed = || ApiError::new(&code::MALFORMED_ID, "an artifact's hash has 64 lowercase hex digits");
    Digest::parse(hash).ok_or_else(malformed)
}

impl From<AttachError> for ApiError {
    fn from(error: AttachError) -> Self {
        let detail = error.to_string();
        match error {
            AttachError::Missing(_) => Self::new(&code::ARTIFACT_NOT_FOUND, detail),
            AttachError::Unfit(_) => Self::new(&code::ATTACHMENT_INVALID, detail),
            AttachError::Store(error) => error.into(),
        }
    }
}
