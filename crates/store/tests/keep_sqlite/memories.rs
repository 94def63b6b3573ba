//! What finds memories when its file is lost, damaged, foreign or behind, and what it leaves behind of what was forgotten.

use std::path::Path;

use outlive_core::event::{Event, MemoryEdited, MemoryForgotten, Origin, OriginKind};
use outlive_core::id::MemoryId;
use outlive_store::conformance::remembering::{memory, note, observed, on, recalled};
use outlive_store::conformance::session;
use outlive_store::{Measured, RecallQuery, Recalled, Space, Store, Unmeasured};

use super::{damages, open};

async fn recall(store: &Store, text: &str) -> Recalled {
    recalled(store, RecallQuery { text: text.to_owned(), now: on(900), limit: 20, ..RecallQuery::default() }).await
}

async fn fill(store: &Store) {
    for n in 1..=3 {
        let memories = vec![
            memory(n * 10, 1, &format!("Person{n} lives in Lisbon")),
            memory(n * 10 + 1, 2, &format!("The swordfish of Person{n} is called Zorblax{n}")),
        ];
        note(store, session(n), "scribe", vec![observed(memories)]).await;
    }
}

#[tokio::test]
async fn a_file_that_is_lost_or_unfit_is_made_anew_and_answers_are_the_same() {
    for (case, damage) in damages() {
        let root = tempfile::tempdir().unwrap();
        let (store, files) = open(root.path());
        fill(&store).await;
        let before = recall(&store, "Where does Person2 live?").await;
        assert_eq!((before.hits.len(), before.behind), (4, 0));
        drop((store, files));
        damage(&root.path().join("memory.db"));
        let (store, _open) = open(root.path());
        assert_eq!(recall(&store, "Where does Person2 live?").await, before, "{case}");
        store.memories.begin_anew().await.unwrap();
        assert_eq!(recall(&store, "Where does Person2 live?").await, before, "{case}, and anew");
    }
}

#[tokio::test]
async fn a_file_of_before_a_crash_goes_on_from_there() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("memory.db");
    let (store, files) = open(root.path());
    fill(&store).await;
    assert_eq!(recall(&store, "Lisbon").await.hits.len(), 3);
    drop((store, files));
    let old = std::fs::read(&path).unwrap();
    let (store, files) = open(root.path());
    note(&store, session(2), "scribe", vec![forget(&[20]), observed(vec![memory(90, 5, "Lisbon again")])]).await;
    store.journals.remove(session(1)).await.unwrap();
    drop((store, files));
    std::fs::write(&path, old).unwrap();
    let (store, _open) = open(root.path());
    let mut found: Vec<u128> = recall(&store, "Lisbon").await.hits.iter().map(|hit| hit.row.memory.id.bits()).collect();
    found.sort_unstable();
    assert_eq!(found, [30, 90], "none lost, none come back");
}

fn forget(memories: &[u128]) -> Event {
    let memories = memories.iter().map(|id| MemoryId::from_bits(*id)).collect();
    Event::MemoryForgotten(MemoryForgotten { memories, sources: false, by: Origin::of(OriginKind::Cli) })
}

/// Returns the words by which pages of the index are found.
fn first_of_pages(root: &Path) -> Vec<String> {
    let file = rusqlite::Connection::open(root.join("memory.db")).unwrap();
    let mut terms = file.prepare("SELECT CAST(substr(term, 2) AS TEXT) FROM words_idx WHERE length(term) > 1").unwrap();
    let terms = terms.query_map([], |row| row.get(0)).unwrap();
    terms.collect::<Result<_, _>>().unwrap()
}

/// Says whether one of the files of this index has these bytes.
fn holds(root: &Path, bytes: &[u8]) -> bool {
    let files = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let ours =
        files.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("memory.db")));
    ours.map(|path| std::fs::read(path).unwrap().to_ascii_lowercase())
        .any(|file| file.windows(bytes.len()).any(|window| window == bytes))
}

#[tokio::test]
async fn of_what_is_forgotten_neither_text_nor_words_nor_vectors_are_left() {
    let root = tempfile::tempdir().unwrap();
    let (store, files) = open(root.path());
    let word = |n: u128| format!("zorblax{n:04}");
    let many = (0..1_000).map(|n| memory(n + 1, 1, &format!("The {} of things is number {n}", word(n)))).collect();
    note(&store, session(1), "scribe", vec![observed(many)]).await;
    assert_eq!(recall(&store, "zorblax0007").await.hits.len(), 1);
    let query = Unmeasured { service: "s".to_owned(), limit: 2_000, ..Unmeasured::default() };
    let missing = store.memories.unmeasured(query).await.unwrap();
    let vector = |n: u128| vec![0.6_f32, 0.8 - (n as f32) / 65_536.0, 0.001 * n as f32];
    let vectors = missing.into_iter().map(|one| {
        let vector = vector(one.memory.bits() - 1);
        Measured { memory: one.memory, text: one.text, vector }
    });
    let space = Space { service: "s".to_owned(), model: "m".to_owned(), dimensions: 3 };
    store.memories.measured(space, vectors.collect()).await.unwrap();
    std::fs::write(root.path().join("memory.db.damaged"), word(500)).unwrap();
    let kept = |n: u128| -> Vec<u8> {
        let vector = vector(n);
        let length = vector.iter().map(|number| f64::from(*number) * f64::from(*number)).sum::<f64>().sqrt();
        vector.iter().flat_map(|number| ((f64::from(*number) / length) as f32).to_le_bytes()).collect()
    };
    let lower = |bytes: Vec<u8>| bytes.to_ascii_lowercase();
    for n in [0, 7, 250, 500, 999] {
        assert!(holds(root.path(), word(n).as_bytes()) && holds(root.path(), &lower(kept(n))), "looked for rightly");
    }
    // Those, too, by the beginning of whose word a page of the index is found.
    let first: Vec<String> = first_of_pages(root.path()).into_iter().filter(|begin| begin.len() > 9).collect();
    let firsts = (0..1_000).filter(|n| first.iter().any(|begin| word(*n).starts_with(begin.as_str()))).take(20);
    let numbers: Vec<u128> = [0, 7, 250, 500, 999].into_iter().chain(firsts).collect();
    assert!(numbers.len() > 5, "pages begin with words: {first:?}");
    let gone: Vec<u128> = numbers.iter().map(|n| n + 1).collect();
    note(&store, session(1), "scribe", vec![forget(&gone)]).await;
    assert_eq!(
        recall(&store, "zorblax0007").await.hits.iter().filter(|hit| gone.contains(&hit.row.memory.id.bits())).count(),
        0
    );
    for case in ["at once", "after the end"] {
        for n in numbers.iter().copied() {
            assert!(!holds(root.path(), word(n).as_bytes()), "{case}: {n}");
            assert!(!holds(root.path(), &lower(kept(n))), "{case}: the vector of {n}");
        }
        assert!(holds(root.path(), word(9).as_bytes()), "others stay");
        if case == "at once" {
            files.close();
        }
    }
}

/// Returns the pages of the file.
fn pages(root: &Path) -> Vec<Vec<u8>> {
    std::fs::read(root.join("memory.db")).unwrap().chunks(4_096).map(<[u8]>::to_vec).collect()
}

#[tokio::test]
async fn an_edit_in_a_large_index_writes_little_of_it_and_leaves_no_word() {
    let root = tempfile::tempdir().unwrap();
    let (store, files) = open(root.path());
    let word = |n: u128| format!("zorblax{n:05}");
    let one = |n: u128| memory(n + 1, 1, &format!("Person{} keeps the {} in room {}", n % 701, word(n), n % 97));
    for part in 0..4 {
        let event = |event: u128| observed((0..250).map(|n| one((part * 20 + event) * 250 + n)).collect());
        note(&store, session(part + 1), "scribe", (0..20).map(event).collect()).await;
    }
    assert_eq!(recall(&store, "zorblax00007").await.hits.len(), 1);
    let (mut written, mut all) = (0, 0);
    for n in (0..20_000).step_by(997) {
        let before = pages(root.path());
        let (memory, text) = (MemoryId::from_bits(n + 1), "It was given away".to_owned());
        let edited = MemoryEdited { memory, text, scope: None, by: Origin::of(OriginKind::Cli) };
        note(&store, session(n / 5_000 + 1), "scribe", vec![Event::MemoryEdited(edited)]).await;
        assert_eq!(store.memories.catch_up().await.unwrap().behind, 0);
        let after = pages(root.path());
        written += after.iter().enumerate().filter(|(at, page)| before.get(*at) != Some(*page)).count();
        all += after.len();
        assert!(!holds(root.path(), word(n).as_bytes()), "{n}");
    }
    assert!(written * 10 < all, "{written} of {all} pages were written");
    files.close();
}

#[tokio::test]
async fn of_a_line_that_was_written_anew_neither_text_nor_words_are_left_in_the_file() {
    let root = tempfile::tempdir().unwrap();
    let (store, files) = open(root.path());
    fill(&store).await;
    assert_eq!(recall(&store, "swordfish").await.hits.len(), 3);
    assert!(holds(root.path(), b"zorblax2"), "looked for rightly");
    let lines = store.journals.read(session(2), 0, 10).await.unwrap().lines;
    let words = outlive_core::secret::Secret::new("The swordfish of Person2 is called Zorblax2");
    let anew = lines[1].redacted(&outlive_core::redact::Redactor::forgetting([&words])).unwrap().unwrap();
    let epoch = store.leases.take(session(2)).await.unwrap();
    store.journals.scrub(session(2), epoch, vec![anew]).await.unwrap();
    let behind = store.memories.catch_up().await.unwrap().behind;
    assert!(behind == 0 && !holds(root.path(), b"zorblax2"), "{behind}");
    assert!(holds(root.path(), b"zorblax3"), "others stay");
    files.close();
}
