//! How well memories are found, beside what FTS5 finds in the same rows: bars, no times.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use outlive_core::id::MemoryId;
use outlive_store::conformance::facts::{Facts, facts};
use outlive_store::conformance::remembering::{note, observed, on, recalled};
use outlive_store::conformance::session;
use outlive_store::workspace::{self, Options};
use outlive_store::{RecallQuery, Store};

const BEST: usize = 8;

async fn best(store: &Store, text: &str, superseded: bool) -> Vec<MemoryId> {
    let query = RecallQuery { text: text.to_owned(), now: on(400), limit: BEST, superseded, ..RecallQuery::default() };
    recalled(store, query).await.hits.iter().map(|hit| hit.row.memory.id).collect()
}

/// What FTS5 finds as it comes, with the words of a question joined by this.
fn plain(world: &Facts, join: &str) -> f64 {
    let file = rusqlite::Connection::open_in_memory().unwrap();
    file.execute_batch("CREATE VIRTUAL TABLE rows USING fts5 (text)").unwrap();
    for (n, memory) in world.memories.iter().enumerate() {
        file.execute("INSERT INTO rows (rowid, text) VALUES (?1, ?2)", (n as i64, &memory.text)).unwrap();
    }
    let mut find = file.prepare("SELECT rowid FROM rows WHERE rows MATCH ?1 ORDER BY rank LIMIT 8").unwrap();
    let found = world.asked.iter().filter(|asked| {
        let words: Vec<String> = asked
            .text
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(|word| format!("\"{word}\""))
            .collect();
        let rows = find.query_map([words.join(join)], |row| row.get::<_, i64>(0)).unwrap().map(Result::unwrap);
        rows.map(|n| world.memories[usize::try_from(n).unwrap()].id).any(|id| id == asked.answer)
    });
    found.count() as f64 / world.asked.len() as f64
}

#[tokio::test]
async fn more_is_found_than_by_words_alone_and_the_newest_first() {
    let mut world = facts(1, 1_500);
    world.asked = world.asked.into_iter().step_by(5).collect();
    let root = tempfile::tempdir().unwrap();
    let (store, _open) = workspace::open(root.path(), Options::default()).unwrap();
    for part in world.memories.chunks(200) {
        note(&store, session(1), "scribe", vec![observed(part.to_vec())]).await;
    }
    let (mut found, mut newest, mut changed) = (0, 0, 0);
    for asked in &world.asked {
        found += usize::from(best(&store, &asked.text, false).await.contains(&asked.answer));
        if let Some(old) = asked.old {
            let all = best(&store, &asked.text, true).await;
            let place = |id| all.iter().position(|other| *other == id);
            // Both are looked for; of those that are found the newer one is to come first.
            if let Some(old) = place(old) {
                changed += 1;
                newest += usize::from(place(asked.answer).is_some_and(|new| new < old));
            } else if place(asked.answer).is_some() {
                (changed, newest) = (changed + 1, newest + 1);
            }
        }
    }
    let ours = found as f64 / world.asked.len() as f64;
    let (or, and) = (plain(&world, " OR "), plain(&world, " AND "));
    let newest = newest as f64 / f64::from(changed.max(1));
    assert!(ours >= 1.25 * or && ours >= 0.60, "ours {ours:.3}, or {or:.3}");
    assert!(and < or && newest >= 0.95, "and {and:.3}, newest {newest:.3} of {changed}");
}
