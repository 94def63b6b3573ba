//! The search when its file is lost, damaged, foreign or behind, and what it leaves behind of what was removed.

use std::path::{Path, PathBuf};

use outlive_core::context::MessageRole::{Assistant, Tool, User};
use outlive_store::conformance::searching::{found, tell};
use outlive_store::conformance::{row, session};
use outlive_store::{Found, SearchQuery, Store};

use super::{copy_folder, damages, open};

async fn search(store: &Store, text: &str) -> Found {
    found(store, SearchQuery { text: text.to_owned(), ..SearchQuery::default() }).await
}

async fn places(store: &Store, text: &str) -> Vec<(u128, u64)> {
    search(store, text).await.hits.iter().map(|hit| (hit.session.bits(), hit.seq)).collect()
}

/// Sessions 1 to 3, each with a word of its own and one of all, all of them followed.
async fn fill(store: &Store) {
    for (n, word) in [(1, "alpha"), (2, "beta"), (3, "gamma")] {
        tell(store, session(n), "scribe", &[(User, &format!("common {word}")), (Assistant, "answer")]).await;
    }
    assert_eq!(search(store, "common").await.hits.len(), 3);
}

async fn check_whole(store: &Store, case: &str) {
    let found = search(store, "common").await;
    assert_eq!((found.hits.len(), found.behind), (3, 0), "{case}");
    for (n, word) in [(1, "alpha"), (2, "beta"), (3, "gamma")] {
        assert_eq!(places(store, word).await, [(n, 2)], "{case}: {word}");
    }
}

#[tokio::test]
async fn a_lost_damaged_or_foreign_file_is_made_anew_by_itself() {
    for (case, damage) in damages() {
        let root = tempfile::tempdir().unwrap();
        let (store, files) = open(root.path());
        fill(&store).await;
        drop((store, files));
        damage(&root.path().join("search.db"));
        let (store, _open) = open(root.path());
        check_whole(&store, case).await;
        assert_eq!(root.path().join("search.db.damaged").exists(), !matches!(case, "deleted" | "emptied"), "{case}");
    }
}

#[tokio::test]
async fn files_deleted_under_a_running_store_are_written_anew() {
    let root = tempfile::tempdir().unwrap();
    let (store, files) = open(root.path());
    fill(&store).await;
    for name in ["search.db", "index.db"] {
        std::fs::remove_file(root.path().join(name)).unwrap();
    }
    check_whole(&store, "at once").await;
    assert!(root.path().join("search.db").exists());
    store.index.note(row(session(3), 3, 9));
    assert_eq!(store.index.list(outlive_store::ListQuery { limit: 9, ..Default::default() }).await.unwrap().len(), 3);
    drop((store, files));
    assert!(root.path().join("index.db").exists());
    let (store, _open) = open(root.path());
    assert_eq!(store.index.unsettled().await.unwrap(), []);
    assert!(!store.index.needs_rebuild(), "the list lost nothing");
    check_whole(&store, "at the next start").await;
}

#[tokio::test]
async fn whichever_page_is_damaged_a_search_is_right_or_made_anew() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("search.db");
    let (store, files) = open(root.path());
    fill(&store).await;
    drop((store, files));
    let good = std::fs::read(&path).unwrap();
    let mut anew = 0;
    for page in 0..good.len() / 4_096 {
        let mut bytes = good.clone();
        bytes.get_mut(page * 4_096..(page + 1) * 4_096).unwrap().fill(0xa5);
        std::fs::write(&path, bytes).unwrap();
        std::fs::remove_file(root.path().join("search.db.damaged")).ok();
        let (store, _open) = open(root.path());
        // What is damaged is noticed where it is met; a write meets more than a question.
        tell(&store, session(3), "scribe", &[(User, "more of it")]).await;
        let found = store.search.find(SearchQuery { text: "more".to_owned(), limit: 50, ..Default::default() }).await;
        assert!(found.unwrap().hits.iter().all(|hit| hit.session == session(3)), "page {page}");
        anew += usize::from(root.path().join("search.db.damaged").exists());
        if root.path().join("search.db.damaged").exists() {
            check_whole(&store, &format!("page {page}")).await;
        }
    }
    assert!(anew > 3, "{anew} of the pages were noticed: what is damaged here?");
}

/// What a process leaves that is killed after its appends and before they were followed.
#[tokio::test]
async fn after_a_kill_the_words_catch_up() {
    let (root, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    {
        let (store, _open) = open(root.path());
        fill(&store).await;
        tell(&store, session(2), "scribe", &[(User, "said just before the kill")]).await;
        tell(&store, session(4), "scribe", &[(User, "a session just before the kill")]).await;
        copy_folder(root.path(), copy.path());
    }
    for start in 1..=3 {
        let (store, _open) = open(copy.path());
        // What the log touched gets its row from whoever runs sessions.
        for session in store.index.unsettled().await.unwrap() {
            let head = store.journals.head(session).await.unwrap();
            store.index.note(row(session, head, 1));
        }
        check_whole(&store, &format!("start {start}")).await;
        let mut found = places(&store, "kill").await;
        found.sort_unstable();
        assert_eq!(found, [(2, 4), (4, 2)], "start {start}: each once");
    }
}

/// A store whose search was away while sessions came, went on and went.
#[tokio::test]
async fn words_of_an_earlier_time_follow_what_happened_since() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("search.db");
    let (store, files) = open(root.path());
    fill(&store).await;
    drop((store, files));
    let old = std::fs::read(&path).unwrap();
    let (store, files) = open(root.path());
    store.journals.remove(session(1)).await.unwrap();
    tell(&store, session(2), "scribe", &[(User, "later")]).await;
    tell(&store, session(5), "scribe", &[(Tool, "later, too")]).await;
    drop((store, files));
    std::fs::write(&path, old).unwrap();
    let (store, _open) = open(root.path());
    assert_eq!(places(&store, "alpha").await, []);
    assert_eq!(places(&store, "later").await.len(), 2);
    let catching = store.search.catching().await.unwrap();
    assert_eq!((catching.sessions, catching.behind), (3, 0));
}

/// Returns the files of both indexes that hold one of these words.
fn holding(root: &Path, words: &[String]) -> Vec<(PathBuf, String)> {
    let files = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.is_file());
    let mut found = Vec::new();
    for path in files {
        let bytes = std::fs::read(&path).unwrap().to_ascii_lowercase();
        let text = String::from_utf8_lossy(&bytes);
        let has = |word: &&String| text.contains(word.as_str());
        found.extend(words.iter().find(has).map(|word| (path.clone(), word.clone())));
    }
    found
}

/// Returns the words by which pages of the index are found.
fn first_of_pages(root: &Path) -> Vec<String> {
    let file = rusqlite::Connection::open(root.join("search.db")).unwrap();
    let mut terms = file.prepare("SELECT CAST(substr(term, 2) AS TEXT) FROM words_idx WHERE length(term) > 1").unwrap();
    let terms = terms.query_map([], |row| row.get(0)).unwrap();
    terms.collect::<Result<_, _>>().unwrap()
}

/// Words in a row, and many of them, so that those of one session begin pages of the index, lie between others, and end it.
/// Most are said with an accent that the index does not have.
#[tokio::test]
async fn of_a_removed_session_no_word_is_left_in_any_file_of_the_indexes() {
    let root = tempfile::tempdir().unwrap();
    let (store, files) = open(root.path());
    let word = |n: usize| format!("secretword{n:06}");
    let words: Vec<Vec<String>> = (0..40).map(|n| (0..250).map(|i| word(i * 40 + n)).collect()).collect();
    for (n, words) in words.iter().enumerate() {
        let said =
            |(i, word): (usize, &String)| if i % 10 == 0 { word.clone() } else { word.replace("secret", "Sécret") };
        let text = words.iter().enumerate().map(said).collect::<Vec<_>>().join(" ");
        tell(&store, session(n as u128 + 1), "scribe", &[(User, &text), (Tool, "plain")]).await;
        let mut listed = row(session(n as u128 + 1), 3, 3);
        listed.title = words.first().cloned();
        store.index.note(listed);
        if n % 7 == 0 {
            assert_eq!(search(&store, words.first().unwrap()).await.hits.len(), 1);
        }
    }
    assert_eq!(search(&store, "plain").await.hits.len(), 40);
    std::fs::write(root.path().join("search.db.damaged"), words[13].join(" ")).unwrap();
    let mut gone: Vec<usize> = Vec::new();
    for other in [13, 0, 39, 20] {
        // One of which a page begins with a word, and any other.
        let begins = first_of_pages(root.path());
        let first = words.iter().position(|words| words.iter().any(|word| begins.contains(word))).unwrap();
        for next in [first, other] {
            if gone.contains(&next) {
                continue;
            }
            assert!(!holding(root.path(), &words[next]).is_empty(), "they are looked for in the right way");
            store.journals.remove(session(next as u128 + 1)).await.unwrap();
            assert_eq!(holding(root.path(), &words[next]), [], "session {next}, at once");
            gone.push(next);
        }
    }
    drop((store, files));
    for gone in gone.iter().copied() {
        assert_eq!(holding(root.path(), &words[gone]), [], "session {gone}, after the end");
    }
    let (store, _open) = open(root.path());
    assert_eq!(search(&store, "plain").await.hits.len(), 40 - gone.len());
}

#[tokio::test]
async fn a_snippet_marks_what_was_found_and_cannot_be_markup() {
    let root = tempfile::tempdir().unwrap();
    let (store, _open) = open(root.path());
    let hostile = "<script>alert('needle')</script> & \u{2}needle\u{3} </mark>";
    tell(&store, session(1), "scribe", &[(User, hostile)]).await;
    let snippet = &search(&store, "needle").await.hits[0].snippet;
    assert_eq!(
        snippet,
        "&lt;script&gt;alert('<mark>needle</mark>')&lt;/script&gt; &amp;  <mark>needle</mark>  &lt;/mark&gt;"
    );
    let long = format!("{}middle {}", "before ".repeat(3_000), "after ".repeat(3_000));
    tell(&store, session(1), "scribe", &[(User, &long)]).await;
    let snippet = &search(&store, "middle").await.hits[0].snippet;
    assert!(snippet.starts_with('…') && snippet.ends_with('…') && snippet.len() < 300, "{snippet}");
    assert!(snippet.contains("before <mark>middle</mark> after"), "{snippet}");
}

#[tokio::test]
async fn words_are_found_whatever_their_accents_and_scripts() {
    let root = tempfile::tempdir().unwrap();
    let (store, _open) = open(root.path());
    let texts = ["Über die Brücke", "ПРИВЕТ мир", "全文検索のテスト", "naïve café"];
    for (n, text) in texts.iter().enumerate() {
        tell(&store, session(n as u128 + 1), "scribe", &[(User, text)]).await;
    }
    let cases = [("uber", 1), ("BRÜCKE", 1), ("привет", 2), ("検索", 3), ("テスト", 3), ("全文検索の", 3), ("cafe", 4)];
    for (text, n) in cases {
        assert_eq!(places(&store, text).await, [(n, 2)], "{text}");
    }
    assert_eq!(places(&store, "索検").await, []);
    assert_eq!(search(&store, "検索").await.hits[0].snippet, "全文<mark>検索</mark>のテスト");
}

#[tokio::test]
async fn a_message_of_a_megabyte_is_found_by_its_last_word_and_once() {
    let root = tempfile::tempdir().unwrap();
    let (store, _open) = open(root.path());
    let text = format!("{} everywhere finally", "everywhere and ".repeat(70_000));
    tell(&store, session(1), "scribe", &[(User, &text)]).await;
    assert_eq!(places(&store, "finally").await, [(1, 2)]);
    assert_eq!(places(&store, "everywhere").await, [(1, 2)]);
}

/// Better before newer; where nothing is better, newer first; and so where a word is in so many that it says nothing.
#[tokio::test]
async fn the_best_come_first_then_the_newest() {
    let root = tempfile::tempdir().unwrap();
    let (store, _open) = open(root.path());
    tell(&store, session(1), "scribe", &[(User, "needle needle needle"), (User, "needle in a long haystack of words")])
        .await;
    tell(&store, session(2), "scribe", &[(User, "needle same"), (User, "needle same"), (User, "needle same")]).await;
    assert_eq!(places(&store, "needle").await, [(1, 2), (2, 4), (2, 3), (2, 2), (1, 3)]);
    for n in 3..=13 {
        let many: Vec<_> = (0..1_000).map(|_| (User, "everywhere")).collect();
        tell(&store, session(n), "scribe", &many).await;
    }
    while store.search.catching().await.unwrap().behind > 0 {}
    tell(&store, session(1), "scribe", &[(User, "everywhere a needle")]).await;
    let newest = found(&store, SearchQuery { text: "everywhere".to_owned(), limit: 2, ..Default::default() }).await;
    assert_eq!((newest.hits[0].session, newest.hits[0].seq), (session(1), 4));
    assert_eq!(places(&store, "everywhere needle").await, [(1, 4)]);
    let one = SearchQuery { text: "everywhere".to_owned(), session: Some(session(3)), limit: 3, ..Default::default() };
    let seqs: Vec<u64> = found(&store, one).await.hits.iter().map(|hit| hit.seq).collect();
    assert_eq!(seqs, [1_001, 1_000, 999]);
}

#[tokio::test]
async fn a_closed_search_refuses_instead_of_hanging() {
    let root = tempfile::tempdir().unwrap();
    let (store, open) = open(root.path());
    open.close();
    store.index.note(row(session(1), 1, 1));
    assert!(store.search.find(SearchQuery { text: "x".to_owned(), limit: 1, ..Default::default() }).await.is_err());
    assert!(store.search.catching().await.is_err());
}

#[tokio::test]
async fn a_start_neither_makes_nor_reads_the_file() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path()).unwrap();
    std::fs::write(root.path().join("search.db"), "garbage").unwrap();
    let (store, open) = open(root.path());
    open.close();
    drop(store);
    assert_eq!(std::fs::read(root.path().join("search.db")).unwrap(), b"garbage");
}
