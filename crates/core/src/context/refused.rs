//! Files that a model's provider refuses: they are left out of what that model is sent, or no request would ever be taken.
//!
//! Invariant: a file is refused for good only once that model, which was shown it for the first time, answered a request without
//! it. Until then it is in doubt, and no turn leaves a doubt behind: the fault may not have been the file's.

use std::sync::Arc;

use crate::digest::Digest;
use crate::media::Attachment;

/// What is known of the files of a conversation.
#[derive(Debug, Clone, Default)]
pub(super) struct Refused {
    /// By whom, and which.
    certain: Vec<(Arc<str>, Digest)>,
    /// Those that may be why a request was refused.
    doubted: Vec<(Arc<str>, Digest)>,
    /// Those that are left out of this turn to try, though they were answered about before: a request may be refused for its
    /// size.
    tried: Vec<(Arc<str>, Digest)>,
}

impl Refused {
    /// A request to this model was refused, and these may be why. `is_new` says of which no answer has told yet.
    pub(super) fn doubt(&mut self, model: &Arc<str>, files: &[Attachment], is_new: impl Fn(&Digest) -> bool) {
        for file in files {
            let list = if is_new(&file.hash) { &mut self.doubted } else { &mut self.tried };
            list.push((Arc::clone(model), file.hash.clone()));
        }
    }

    /// This model answered a request without those that it is in doubt about.
    pub(super) fn believe(&mut self, model: &str) {
        self.certain.extend(self.doubted.extract_if(.., |(by, _)| **by == *model));
    }

    /// A turn ended.
    pub(super) fn forget_doubts(&mut self) {
        self.doubted.clear();
        self.tried.clear();
    }

    /// Returns what a model is not shown.
    pub(super) fn by(&self, model: &str) -> Vec<Digest> {
        let all = self.certain.iter().chain(&self.doubted).chain(&self.tried);
        all.filter(|(by, _)| **by == *model).map(|(_, hash)| hash.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_model_that_answered_without_a_new_file_refuses_it_for_good() {
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let file = Attachment { hash: Digest::of(b"x"), media_type: "image/png".to_owned(), name: None, bytes: 1 };
        let after = |answered: Option<&str>, new: bool| {
            let mut refused = Refused::default();
            refused.doubt(&a, std::slice::from_ref(&file), |_| new);
            assert_eq!((refused.by("a").len(), refused.by("b").len()), (1, 0), "within the turn");
            if let Some(model) = answered {
                refused.believe(model);
            }
            refused.forget_doubts();
            (refused.by("a").len(), refused.by("b").len())
        };
        assert_eq!(after(Some("a"), true), (1, 0));
        assert_eq!(after(Some(&b), true), (0, 0), "another model's answer says nothing of it");
        assert_eq!(after(None, true), (0, 0));
        assert_eq!(after(Some("a"), false), (0, 0), "it was answered about before");
    }
}
