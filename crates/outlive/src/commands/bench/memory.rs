//! How well memories are found, beside what FTS5 finds in the same rows, and how long it takes.

mod paraphrased;
mod subjects;

use std::path::Path;
use std::sync::Arc;

use outlive_core::id::MemoryId;
use outlive_store::conformance::facts::{Asked, Facts, facts};
use outlive_store::conformance::remembering::{note, observed, on};
use outlive_store::conformance::session;
use outlive_store::workspace::{self, Options, Workspace};
use outlive_store::{RecallQuery, Store, Ways};
use rusqlite::Connection;

use super::bare::ms;
use super::loose::LooseDisk;
use super::{Bar, Figure, Scale, folder, median, percentile};
use crate::exit::Failure;

const SEED: u64 = 5;
/// Rows of the world in which the quality is measured.
const ROWS: usize = 5_000;
/// Hits among which the answer is to be.
const BEST: usize = 8;
/// Memories of one event, and events of one session.
const TOGETHER: usize = 250;
const EVENTS: usize = 20;
/// Questions whose time is measured.
const TIMED: usize = 300;

/// Measures how well and how fast memories are found.
///
/// # Errors
///
/// What the system says.
pub(super) async fn measure(dir: &Path, scale: Scale) -> Result<Vec<Figure>, Failure> {
    let mut figures = quality(dir, ("people", &facts(SEED, ROWS)), &[Bar::AtLeast(1.25), Bar::AtLeast(0.60)]).await?;
    figures.extend(quality(dir, ("paraphrased", &paraphrased::paraphrased(SEED, ROWS)), &[Bar::AtLeast(1.25)]).await?);
    for (rows, bar) in [(10_000, 25.0), (100_000, 80.0)] {
        figures.extend(times(dir, scale.of(rows), bar).await?);
    }
    Ok(figures)
}

fn open(root: &Path) -> Result<(Store, Workspace), Failure> {
    workspace::open_on(Arc::new(LooseDisk), root, Options::default()).map_err(Failure::failed)
}

async fn fill(store: &Store, world: &Facts) -> Result<(), Failure> {
    for (n, part) in world.memories.chunks(TOGETHER * EVENTS).enumerate() {
        let events = part.chunks(TOGETHER).map(|part| observed(part.to_vec())).collect();
        note(store, session(n as u128 + 1), "scribe", events).await;
    }
    ask(store, "warm", usual()).await.map(drop)
}

/// How it is asked by whoever says nothing else.
fn usual() -> RecallQuery {
    RecallQuery { now: on(400), limit: BEST, ..RecallQuery::default() }
}

async fn ask(store: &Store, text: &str, how: RecallQuery) -> Result<Vec<MemoryId>, Failure> {
    let query = RecallQuery { text: text.to_owned(), ..how };
    let found = store.memories.recall(query).await.map_err(Failure::failed)?;
    Ok(found.hits.iter().map(|hit| hit.row.memory.id).collect())
}

/// How well memories of a world are found: beside FTS5, and without the words that mean about the same. Held by these: the
/// share of FTS5's, then the share itself.
async fn quality(dir: &Path, (name, world): (&str, &Facts), bars: &[Bar]) -> Result<Vec<Figure>, Failure> {
    let home = folder(dir)?;
    let (store, _files) = open(home.path())?;
    fill(&store, world).await?;
    let (mut found, mut plainly, mut newest, mut changed) = (0_usize, 0_usize, 0_usize, 0_usize);
    for asked in &world.asked {
        found += usize::from(ask(&store, &asked.text, usual()).await?.contains(&asked.answer));
        let without = RecallQuery { ways: Ways::WithoutKin, ..usual() };
        plainly += usize::from(ask(&store, &asked.text, without).await?.contains(&asked.answer));
        if let Some(old) = asked.old {
            let all = ask(&store, &asked.text, RecallQuery { superseded: true, ..usual() }).await?;
            let place = |id| all.iter().position(|other| *other == id).unwrap_or(usize::MAX);
            let (new, old) = (place(asked.answer), place(old));
            if new.min(old) != usize::MAX {
                changed += 1;
                newest += usize::from(new < old);
            }
        }
    }
    let share = |count: usize, of: usize| count as f64 / of.max(1) as f64;
    let ours = share(found, world.asked.len());
    let (or, and) = (plain(world, " OR ")?, plain(world, " AND ")?);
    let held = |figure: Figure, at: usize| match bars.get(at) {
        Some(bar) => figure.bar(*bar),
        None => figure,
    };
    let what = format!("{name}: recall@{BEST}, {} rows", world.memories.len());
    Ok(vec![
        held(Figure::new(what.clone(), ours, "").against("FTS5 OR", or), 0),
        held(Figure::new(format!("{what}, by itself"), ours, ""), 1),
        Figure::new(format!("{what}, without words that mean the same"), share(plainly, world.asked.len()), "")
            .against("FTS5 OR", or),
        Figure::new(format!("{name}: recall@{BEST} of FTS5 AND"), and, ""),
        Figure::new(format!("{name}: newest first, of {changed} changed"), share(newest, changed), "")
            .bar(Bar::AtLeast(0.95)),
    ])
}

/// Returns the share of answers that FTS5 finds as it comes, with the words of a question joined by this.
fn plain(world: &Facts, join: &str) -> Result<f64, Failure> {
    let file = Connection::open_in_memory().map_err(Failure::failed)?;
    file.execute_batch("BEGIN; CREATE VIRTUAL TABLE rows USING fts5 (text)").map_err(Failure::failed)?;
    for (n, memory) in world.memories.iter().enumerate() {
        let row = (n as i64, &memory.text);
        file.execute("INSERT INTO rows (rowid, text) VALUES (?1, ?2)", row).map_err(Failure::failed)?;
    }
    let mut find =
        file.prepare("SELECT rowid FROM rows WHERE rows MATCH ?1 ORDER BY rank LIMIT ?2").map_err(Failure::failed)?;
    let mut found = 0_usize;
    for Asked { text, answer, .. } in &world.asked {
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        let words: Vec<String> = words.map(|word| format!("\"{word}\"")).collect();
        let rows = find.query_map((words.join(join), BEST as i64), |row| row.get::<_, i64>(0));
        let rows: Vec<i64> = rows.and_then(Iterator::collect).map_err(Failure::failed)?;
        let row = |n: i64| usize::try_from(n).ok().and_then(|n| world.memories.get(n));
        let is_answer = |n: i64| row(n).is_some_and(|memory| memory.id == *answer);
        found += usize::from(rows.into_iter().any(is_answer));
    }
    Ok(found as f64 / world.asked.len().max(1) as f64)
}

async fn times(dir: &Path, rows: usize, bar: f64) -> Result<Vec<Figure>, Failure> {
    let world = facts(SEED, rows);
    let home = folder(dir)?;
    let (store, files) = open(home.path())?;
    let began = ms();
    fill(&store, &world).await?;
    let filled = ms() - began;
    let mut times = Vec::with_capacity(TIMED);
    for asked in world.asked.iter().cycle().step_by(7).take(TIMED) {
        let began = ms();
        ask(&store, &asked.text, usual()).await?;
        times.push(ms() - began);
    }
    files.close();
    drop((store, files));
    let (store, _files) = open(home.path())?;
    let began = ms();
    let first = world.asked.first().map_or("", |asked| asked.text.as_str());
    ask(&store, first, usual()).await?;
    let reopened = ms() - began;
    Ok(vec![
        Figure::new(format!("{} memories noted and followed", world.memories.len()), filled, "ms"),
        Figure::new(format!("recall, p50, {rows} rows"), median(times.clone()), "ms"),
        Figure::new(format!("recall, p99, {rows} rows"), percentile(&times, 99), "ms").bar(Bar::AtMost(bar)),
        Figure::new(format!("first recall after a start, {rows} rows"), reopened, "ms").bar(Bar::AtMost(50.0)),
    ])
}
