//! What is on its way to the session: messages that are not durable yet, and files that the next message takes along.

use std::collections::VecDeque;

use outlive_core::media::Attachment;

use super::{Note, Talk, Wish};
use crate::Style;
use crate::clean::visible;

/// What a person has given away, or is about to.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// Messages that were sent and may not have arrived.
    pub unsent: VecDeque<String>,
    /// Files that the server has; the next message takes them along.
    pub files: Vec<Attachment>,
    /// Paths of files on their way to the server.
    pub uploads: Vec<String>,
}

impl Talk {
    /// Wishes for a file to be sent to the server.
    pub(super) fn attach(&mut self, path: &str) -> Option<Wish> {
        let path = path.trim().to_owned();
        if path.is_empty() {
            self.tell(Style::Dim, "  /attach PATH: which file is to go with your next message?");
            return None;
        }
        self.outbox.uploads.push(path.clone());
        Some(Wish::Attach(path))
    }

    /// A file is at the server, or is not, and why.
    pub(super) fn attached(&mut self, path: &str, kept: Result<Attachment, String>) -> Vec<Wish> {
        if let Some(at) = self.outbox.uploads.iter().position(|upload| upload == path) {
            self.outbox.uploads.remove(at);
        }
        match kept {
            // What the person has given up meanwhile is kept and not attached: nobody misses it.
            Ok(file) if !self.outbox.files.contains(&file) => self.outbox.files.push(file),
            Ok(_twice) => {}
            Err(error) => self.tell(Style::Bad, &visible(&error)),
        }
        Vec::new()
    }

    /// Says whether a message must wait for its files.
    pub(super) fn awaits_files(&mut self) -> bool {
        let awaits = !self.outbox.uploads.is_empty();
        if awaits {
            self.note = Note::Says("a file is still on its way; press Enter again then".to_owned());
        }
        awaits
    }
}
