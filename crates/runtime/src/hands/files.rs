//! Brings the bytes of what is attached into a request, right before it is sent. What cannot be brought is left out: the
//! dialect says so in its place, and the session goes on.

use std::sync::Arc;

use outlive_core::content::{Block, Request};
use outlive_core::limits::FILES_BYTES;
use outlive_core::media::{Attachment, File};
use outlive_store::Artifacts;

/// Brings as many files as a request may hold, the newest first. Each place of a file counts: it is sent in each.
pub(super) async fn bring(request: &mut Request, artifacts: &dyn Artifacts) {
    let mut room = FILES_BYTES as u64;
    for at in (0..request.messages.len()).rev() {
        for place in (0..request.messages[at].content.len()).rev() {
            let Some(Block::Media(file)) = request.messages[at].content.get(place) else { continue };
            let file = file.clone();
            match request.files.get(&file.hash) {
                Some(File::Whole(_)) if file.bytes > room => {
                    let text = format!("[{}: the same file is shown in a later message]", file.described());
                    Arc::make_mut(&mut request.messages[at]).content[place] = Block::Text { text };
                }
                Some(File::Whole(_)) => room -= file.bytes,
                Some(File::LeftOut | File::Refused) => {}
                None => fetch(request, &file, artifacts, &mut room).await,
            }
        }
    }
}

async fn fetch(request: &mut Request, file: &Attachment, artifacts: &dyn Artifacts, room: &mut u64) {
    if file.bytes > *room {
        request.files.add(file.hash.clone(), File::LeftOut);
        return;
    }
    match artifacts.get(file.hash.clone()).await {
        Ok(Some(bytes)) => {
            *room = room.saturating_sub(bytes.len() as u64);
            request.files.add(file.hash.clone(), File::Whole(bytes.into()));
        }
        Ok(None) => tracing::warn!(hash = %file.hash, "an attachment is not kept any more"),
        Err(error) => tracing::warn!(hash = %file.hash, %error, "an attachment cannot be read"),
    }
}
