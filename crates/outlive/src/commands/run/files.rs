//! Files that a person names on the command line: what is attached, and the schema for the answer.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use outlive_core::digest::Digest;
use outlive_core::media::{Attachment, MediaType};
use outlive_protocol::message::{ArtifactKept, PostAttachment};
use outlive_store::files::fs::not_plain;
use serde_json::Value;

use crate::client::Client;
use crate::exit::Failure;

/// Sends a file to the server, which keeps it.
///
/// # Errors
///
/// It cannot be read, is of no type that models are shown, or what the server says.
pub async fn attach(client: &Client, path: &Path) -> Result<Attachment, Failure> {
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
    if let Some(flaw) = kind.flaw(&bytes) {
        return Err(Failure::Usage(format!("{} cannot be attached: {flaw}", path.display())));
    }
    let kept: ArtifactKept = client.upload("/artifacts", kind.as_str(), bytes).await?;
    let hash = Digest::parse(&kept.hash);
    let hash =
        hash.ok_or_else(|| Failure::Failed(format!("the server names {} in a way of its own", path.display())))?;
    let name = Some(name).filter(|name| !name.is_empty());
    Ok(Attachment { hash, media_type: kept.media_type, name, bytes: kept.bytes })
}

/// Names a file in a message.
pub fn named(file: &Attachment) -> PostAttachment {
    PostAttachment { hash: file.hash.to_string(), media_type: file.media_type.clone(), name: file.name.clone() }
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

/// Opens a plain file, through links too: a pipe or a device would have whoever reads it wait for ever.
///
/// # Errors
///
/// What the system says, or that it is no such file.
pub fn open(path: &Path) -> io::Result<File> {
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_plain()) }
}

/// Reads a file of at most so many bytes.
pub fn read(path: &Path, most: usize) -> Result<Vec<u8>, Failure> {
    let cannot = |error: io::Error| Failure::Usage(format!("{} cannot be read: {error}", path.display()));
    let mut bytes = Vec::new();
    let file = open(path).map_err(cannot)?;
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() > most {
        return Err(Failure::Usage(format!("{} is too large: at most {most} bytes", path.display())));
    }
    Ok(bytes)
}
