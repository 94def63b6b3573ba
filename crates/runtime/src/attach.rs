//! Keeps the files that people attach, and finds them again for a message.

use outlive_core::digest::Digest;
use outlive_core::media::{Attachment, MediaType};
use outlive_store::StoreError;

use crate::Runtime;

/// Why a file cannot be attached.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AttachError {
    /// Nothing is kept under this hash.
    #[error("there is no artifact `{0}`; send its bytes to /artifacts first")]
    Missing(Digest),
    /// It is not of the type that is named, or no model would take it.
    #[error("{0}")]
    Unfit(String),
    /// Storage failed.
    #[error(transparent)]
    Store(StoreError),
}

impl Runtime {
    /// Keeps the bytes of a file, without known secrets; durable when it returns. Returns its hash and its size as it is kept.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub async fn keep(&self, bytes: Vec<u8>) -> Result<(Digest, u64), StoreError> {
        let kept = self.secrets().now().bytes(&bytes).into_owned();
        let size = kept.len() as u64;
        Ok((self.shell.store.artifacts.put(kept).await?, size))
    }

    /// Finds a file that is kept, as a message has it.
    ///
    /// # Errors
    ///
    /// [`AttachError`]
    pub async fn attachment(
        &self,
        hash: Digest,
        media_type: &str,
        name: Option<String>,
    ) -> Result<Attachment, AttachError> {
        let kind = MediaType::parse(media_type)
            .ok_or_else(|| AttachError::Unfit(format!("media_type `{media_type}` is not taken: {}", taken())))?;
        let bytes = self.shell.store.artifacts.get(hash.clone()).await.map_err(AttachError::Store)?;
        let bytes = bytes.ok_or_else(|| AttachError::Missing(hash.clone()))?;
        if bytes.is_empty() || bytes.len() > kind.most_bytes() || !kind.fits(&bytes) {
            let most = kind.most_bytes();
            let why = format!("artifact `{hash}` is no {media_type} of 1 to {most} bytes: name the type that it is");
            return Err(AttachError::Unfit(why));
        }
        if let Some(flaw) = kind.flaw(&bytes) {
            let named = name.unwrap_or_else(|| format!("artifact `{hash}`"));
            return Err(AttachError::Unfit(format!("{named} cannot be attached: {flaw}")));
        }
        Ok(Attachment { hash, media_type: kind.as_str().to_owned(), name, bytes: bytes.len() as u64 })
    }
}

/// Returns the types that may be attached, for people.
#[must_use]
pub fn taken() -> String {
    MediaType::ALL.map(MediaType::as_str).join(", ")
}
