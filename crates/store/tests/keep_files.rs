//! The file store keeps every promise of a store, also when nearly all that was said lies in compressed segments.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use outlive_store::Store;
use outlive_store::conformance::Subject;
use outlive_store::workspace::{self, Options, Workspace};

struct Files {
    open: Option<Workspace>,
    root: tempfile::TempDir,
    options: Options,
}

impl Default for Files {
    fn default() -> Self {
        let options = Options { segment_bytes: 64 << 10, ..Options::default() };
        Self { open: None, root: tempfile::tempdir().unwrap(), options }
    }
}

impl Subject for Files {
    fn open(&mut self) -> Store {
        self.open = None;
        let (store, open) = workspace::open(self.root.path(), self.options).unwrap();
        self.open = Some(open);
        store
    }
}

outlive_store::conformance!(Files);

/// Journals of a few lines are long here.
mod long {
    use super::*;

    struct Long(Files);

    impl Default for Long {
        fn default() -> Self {
            let files = Files::default();
            Self(Files { options: Options { live_bytes: 256, past_bytes: 100, ..files.options }, ..files })
        }
    }

    impl Subject for Long {
        fn open(&mut self) -> Store {
            self.0.open()
        }
    }

    outlive_store::conformance!(Long);
}
