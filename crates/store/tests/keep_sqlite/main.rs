//! The indexes on SQLite when their files are lost, damaged, foreign or behind.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::disallowed_methods, reason = "the tests damage files as a disk would")]

mod index;
mod memories;
mod recalling;
mod search;

use std::path::Path;

use outlive_store::Store;
use outlive_store::workspace::{self, Options, Workspace};

fn open(root: &Path) -> (Store, Workspace) {
    workspace::open(root, Options::default()).unwrap()
}

type Damage = fn(&Path);

fn damages() -> [(&'static str, Damage); 5] {
    [
        ("deleted", |path| std::fs::remove_file(path).unwrap()),
        ("emptied", |path| std::fs::write(path, "").unwrap()),
        ("text", |path| std::fs::write(path, "this is no database, whatever its name says".repeat(200)).unwrap()),
        ("foreign", |path| {
            std::fs::remove_file(path).unwrap();
            rusqlite::Connection::open(path).unwrap().execute_batch("CREATE TABLE recipes (name TEXT)").unwrap();
        }),
        ("of a later version", |path| {
            rusqlite::Connection::open(path).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
        }),
    ]
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &to);
        } else if let Err(error) = std::fs::copy(entry.path(), &to) {
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}");
        }
    }
}
