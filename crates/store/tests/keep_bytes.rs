//! What the search writes. Alone in its file: it counts what its process writes.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::disallowed_methods, reason = "the kernel's count is read from its file")]

use outlive_core::context::MessageRole::{Assistant, User};
use outlive_store::SearchQuery;
use outlive_store::conformance::searching::{found, tell};
use outlive_store::conformance::session;
use outlive_store::workspace::{self, Options};

/// Bytes that this process has given to write calls.
fn written() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap();
    io.lines().find_map(|line| line.strip_prefix("wchar: ")).unwrap().parse().unwrap()
}

/// Two thousand turns in forty sessions, by turns, and then a question.
#[tokio::test]
async fn what_the_words_write_is_about_twice_what_was_said() {
    const TURNS: usize = 2_000;
    let root = tempfile::tempdir().unwrap();
    let (store, _open) = workspace::open(root.path(), Options::default()).unwrap();
    let needle = || SearchQuery { text: "needle".to_owned(), ..SearchQuery::default() };
    assert_eq!(found(&store, needle()).await.hits, []);
    let mut said = 0;
    for n in 0..TURNS {
        let asked = format!("question {n} of a usual length, about one thing or another");
        let answered = format!("the answer {}: {}", n * 7_919 % 4_001, "which says a little more about it ".repeat(4));
        tell(&store, session(n as u128 % 40 + 1), "scribe", &[(User, &asked), (Assistant, &answered)]).await;
        said += asked.len() + answered.len();
    }
    tell(&store, session(1), "scribe", &[(User, "the needle")]).await;
    let before = written();
    let hits = found(&store, needle()).await;
    assert_eq!((hits.hits.len(), hits.behind), (1, 0), "all of it is followed before the answer");
    let cost = written() - before;
    assert!(cost > said as u64, "they are written now: {cost} bytes for {said}");
    assert!(2 * cost < 5 * said as u64, "{cost} bytes for {said}");
}
