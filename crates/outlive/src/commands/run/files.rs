//! Files that a person names on the command line: what is attached, and the schema for the answer.
#![expect(clippy::disallowed_methods, reason = "these are the person's own files, which they name")]

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use outlive_core::media::MediaType;
use outlive_protocol::message::{ArtifactKept, PostAttachment};
use serde_json::Value;

use crate::client::Client;
use crate::exit::Failure;

/// Sends a file to the server, which keeps it.
///
/// # Errors
///
/// It cannot be read, is of no type that models are shown, or what the server says.
pub async fn attach(client: &Client, path: &Path) -> Result<PostAttachment, Failure> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let most = MediaType::ALL.map(MediaType::most_bytes).into_iter().max().unwrap_or_default();
    let bytes = read(path, most)?;
    let kind = MediaType::guess(&bytes, &name).ok_or_else(|| {
        Failure::Usage(format!(
            "{}: only PNG, JPEG, GIF and WebP images, PDFs and text can be attached",
            path.display()
        ))
    })?;
    let most = kind.most_bytes();
    if bytes.is_empty() || bytes.len() > most {
        let (place, has) = (path.display(), bytes.len());
        return Err(Failure::Usage(format!(
            "{place}: a file of type {} has 1 to {most} bytes, not {has}",
            kind.as_str()
        )));
    }
    let kept: ArtifactKept = client.upload("/artifacts", kind.as_str(), bytes).await?;
    Ok(PostAttachment {
        hash: kept.hash,
        media_type: kept.media_type,
        name: Some(name).filter(|name| !name.is_empty()),
    })
}

/// Reads the schema that the answer must fit.
///
/// # Errors
///
/// It cannot be read, or is not JSON.
pub fn schema(path: &Path) -> Result<Arc<Value>, Failure> {
    let bytes = read(path, outlive_core::limits::SCHEMA_BYTES)?;
    let schema = serde_json::from_slice(&bytes);
    schema.map(Arc::new).map_err(|error| Failure::Usage(format!("{}: not JSON: {error}", path.display())))
}

/// Reads a file of at most so many bytes: a device or a disk image is not read to its end.
fn read(path: &Path, most: usize) -> Result<Vec<u8>, Failure> {
    let cannot = |error: std::io::Error| Failure::Usage(format!("{} cannot be read: {error}", path.display()));
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(cannot)?;
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() > most {
        return Err(Failure::Usage(format!("{} is too large: at most {most} bytes", path.display())));
    }
    Ok(bytes)
}
