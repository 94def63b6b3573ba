//! Files that a model's provider refuses: they are left out of what that model is sent, or no request would ever be taken.
//!
//! Invariant: a file is refused only once a request without it was answered. Until then it is in doubt, and a turn that ends
//! without an answer leaves no doubt behind: the fault was not the file's.

use std::sync::Arc;

use crate::digest::Digest;
use crate::media::Attachment;

/// What is known of the files of a conversation.
#[derive(Debug, Clone, Default)]
pub(super) struct Refused {
    /// By whom, and which. Those in doubt are at the end.
    files: Vec<(Arc<str>, Digest)>,
    /// How many of them are not in doubt.
    certain: usize,
}

impl Refused {
    /// A request to this model was refused, and these may be why.
    pub(super) fn doubt(&mut self, model: &Arc<str>, files: &[Attachment]) {
        self.files.extend(files.iter().map(|file| (Arc::clone(model), file.hash.clone())));
    }

    /// A request without those in doubt was answered.
    pub(super) fn believe(&mut self) {
        self.certain = self.files.len();
    }

    /// No request was answered.
    pub(super) fn forget_doubts(&mut self) {
        self.files.truncate(self.certain);
    }

    /// Returns what a model is not shown.
    pub(super) fn by(&self, model: &str) -> Vec<Digest> {
        self.files.iter().filter(|(by, _)| **by == *model).map(|(_, hash)| hash.clone()).collect()
    }
}
