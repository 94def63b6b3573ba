//! How well a store finds memories of a made world, beside what FTS5 finds in the same rows as it comes.

use outlive_core::id::MemoryId;
use rusqlite::Connection;

use super::facts::{Asked, Facts};
use super::remembering::{note, observed, on};
use super::session;
use crate::{RecallQuery, Store, Ways};

/// Hits among which the answer is to be.
pub const BEST: usize = 8;
/// Memories of one event, and events of one session.
const TOGETHER: usize = 250;
const EVENTS: usize = 20;

/// Shares of a world's questions.
#[derive(Debug, Clone, PartialEq)]
pub struct Quality {
    /// Whose answer is found.
    pub found: f64,
    /// The same, where no words are looked for that mean about the same.
    pub without_kin: f64,
    /// The same, by FTS5 with the question's words joined by OR, and by AND.
    pub or: f64,
    /// See `or`.
    pub and: f64,
    /// Of those with a fact that has changed and of which something is found: whose newest fact stands first.
    pub newest: f64,
    /// How many these are.
    pub changed: usize,
}

/// Notes all that there is in a world.
pub async fn fill(store: &Store, world: &Facts) {
    for (n, part) in world.memories.chunks(TOGETHER * EVENTS).enumerate() {
        let events = part.chunks(TOGETHER).map(|part| observed(part.to_vec())).collect();
        note(store, session(n as u128 + 1), "scribe", events).await;
    }
    ask(store, "warm", usual()).await;
}

/// How it is asked by whoever says nothing else.
#[must_use]
pub fn usual() -> RecallQuery {
    RecallQuery { now: on(400), limit: BEST, ..RecallQuery::default() }
}

/// Asks like this, and returns what is found.
pub async fn ask(store: &Store, text: &str, how: RecallQuery) -> Vec<MemoryId> {
    let found = store.memories.recall(RecallQuery { text: text.to_owned(), ..how }).await.expect("recalled");
    found.hits.iter().map(|hit| hit.row.memory.id).collect()
}

/// Asks all questions of a world.
pub async fn quality(store: &Store, world: &Facts) -> Quality {
    let (mut found, mut without, mut newest, mut changed) = (0_usize, 0_usize, 0_usize, 0_usize);
    for asked in &world.asked {
        found += usize::from(ask(store, &asked.text, usual()).await.contains(&asked.answer));
        let plain = RecallQuery { ways: Ways::WithoutKin, ..usual() };
        without += usize::from(ask(store, &asked.text, plain).await.contains(&asked.answer));
        let Some(old) = asked.old else { continue };
        let all = ask(store, &asked.text, RecallQuery { superseded: true, ..usual() }).await;
        let place = |id| all.iter().position(|other| *other == id).unwrap_or(usize::MAX);
        let (new, old) = (place(asked.answer), place(old));
        if new.min(old) != usize::MAX {
            changed += 1;
            newest += usize::from(new < old);
        }
    }
    let share = |count: usize, of: usize| count as f64 / of.max(1) as f64;
    let of_all = |count| share(count, world.asked.len());
    Quality {
        found: of_all(found),
        without_kin: of_all(without),
        or: of_all(plain(world, " OR ")),
        and: of_all(plain(world, " AND ")),
        newest: share(newest, changed),
        changed,
    }
}

/// Returns how many answers FTS5 finds as it comes, with the words of a question joined by this.
fn plain(world: &Facts, join: &str) -> usize {
    let file = Connection::open_in_memory().expect("opened");
    file.execute_batch("BEGIN; CREATE VIRTUAL TABLE rows USING fts5 (text)").expect("made");
    for (n, memory) in world.memories.iter().enumerate() {
        let row = (n as i64, &memory.text);
        file.execute("INSERT INTO rows (rowid, text) VALUES (?1, ?2)", row).expect("written");
    }
    let mut find = file.prepare("SELECT rowid FROM rows WHERE rows MATCH ?1 ORDER BY rank LIMIT ?2").expect("prepared");
    let mut is_found = |Asked { text, answer, .. }: &&Asked| {
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        let words: Vec<String> = words.map(|word| format!("\"{word}\"")).collect();
        let rows = find.query_map((words.join(join), BEST as i64), |row| row.get::<_, i64>(0)).expect("asked");
        let row = |n: i64| usize::try_from(n).ok().and_then(|n| world.memories.get(n));
        rows.map(|row| row.expect("read")).any(|n| row(n).is_some_and(|memory| memory.id == *answer))
    };
    world.asked.iter().filter(|asked| is_found(asked)).count()
}
