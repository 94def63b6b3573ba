//! What a kill left unsettled stays so until a row covers it, however many kills follow and whatever the log lets go of.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test that cannot go on has failed")]

use std::path::Path;

use outlive_core::event::Line;
use outlive_core::id::SessionId;
use outlive_store::Append;
use outlive_store::workspace::{self, Options};

/// A folder copied while it is open stands in for a kill.
fn killed(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    let copied = std::process::Command::new("cp").arg("-a").arg(from.join(".")).arg(to.path()).status().unwrap();
    assert!(copied.success());
    to
}

fn line() -> Line {
    let body = r#"{"seq":1,"at":"2026-01-01T00:00:00.000000Z","type":"x""#;
    Line::check(format!("{body},\"crc\":\"{:08x}\"}}", crc32c::crc32c(body.as_bytes())).as_bytes()).unwrap()
}

#[tokio::test]
async fn a_session_that_a_first_kill_left_unsettled_is_found_after_a_second_one() {
    let home = tempfile::tempdir().unwrap();
    let (store, _files) = workspace::open(home.path(), Options::default()).unwrap();
    let session = SessionId::from_bits(1);
    let epoch = store.leases.take(session).await.unwrap();
    store.journals.append(Append { journal: session, epoch, expected: 0, lines: vec![line()] }).await.unwrap();
    let second = killed(home.path());
    let (_store, _files) = workspace::open(second.path(), Options::default()).unwrap();
    // The start's own checkpoint lets go of the log that had the session; wait for it.
    let commit = second.path().join("commit");
    let is_free = || {
        std::fs::read_dir(&commit).unwrap().any(|entry| entry.unwrap().path().extension().is_some_and(|e| e == "free"))
    };
    while !is_free() {
        tokio::task::yield_now().await;
    }
    let third = killed(second.path());
    let (store, _files) = workspace::open(third.path(), Options::default()).unwrap();
    assert_eq!(store.index.unsettled().await.unwrap(), vec![session]);
}
