//! The file store keeps every promise of a store.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use outlive_store::Store;
use outlive_store::conformance::Subject;
use outlive_store::workspace::{self, Options, Workspace};

struct Files {
    open: Option<Workspace>,
    root: tempfile::TempDir,
}

impl Default for Files {
    fn default() -> Self {
        Self { open: None, root: tempfile::tempdir().unwrap() }
    }
}

impl Subject for Files {
    fn open(&mut self) -> Store {
        self.open = None;
        let small = Options { segment_bytes: 64 << 10, ..Options::default() };
        let (store, open) = workspace::open(self.root.path(), small).unwrap();
        self.open = Some(open);
        store
    }
}

outlive_store::conformance!(Files);
