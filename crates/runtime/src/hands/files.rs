//! Brings the bytes of what is attached into a request, right before it is sent. What cannot be brought is left out: the
//! dialect says so in its place, and the session goes on.

use outlive_core::content::Request;
use outlive_core::limits::FILES_BYTES;
use outlive_core::media::{Attachment, File};
use outlive_store::Artifacts;

/// Brings as many files as a request may hold, the newest first.
pub(super) async fn bring(request: &mut Request, artifacts: &dyn Artifacts) {
    let attached: Vec<Attachment> = request.attachments().cloned().collect();
    let mut room = FILES_BYTES as u64;
    for file in attached {
        if request.files.get(&file.hash).is_some() {
            continue;
        }
        if file.bytes > room {
            request.files.add(file.hash, File::LeftOut);
            continue;
        }
        match artifacts.get(file.hash.clone()).await {
            Ok(Some(bytes)) => {
                room = room.saturating_sub(bytes.len() as u64);
                request.files.add(file.hash, File::Whole(bytes.into()));
            }
            Ok(None) => tracing::warn!(hash = %file.hash, "an attachment is not kept any more"),
            Err(error) => tracing::warn!(hash = %file.hash, %error, "an attachment cannot be read"),
        }
    }
}
