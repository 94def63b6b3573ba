//! Durable appends in the store, beside bare loops on the same disk.
//!
//! Both sides do the same job by turns: as many producers, each a task with one line in flight; lines made before the clock
//! starts; a channel to one thread; one write and one sync a batch; an answer to each.

use std::path::Path;
use std::sync::Arc;

use outlive_core::event::Line;
use outlive_core::id::SessionId;
use outlive_store::files::fs::{RealDisk, syncs};
use outlive_store::files::{FileJournals, Options};
use outlive_store::{Append, Epoch, Journals as _, Leases as _, StoreError};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::bare::{BareFile, BareLog, Sqlite, ms};
use super::{Bar, Figure, Scale, folder, median};
use crate::exit::Failure;

/// Bytes of a usual event.
const EVENT: usize = 300;
/// How often the two sides take turns.
const ROUNDS: usize = 3;
/// Sets of lines that producers share, so that long rounds fit in memory.
const SETS: usize = 64;

/// Measures appends.
///
/// # Errors
///
/// What the system says.
pub(super) async fn measure(dir: &Path, scale: Scale) -> Result<Vec<Figure>, Failure> {
    let mut figures = vec![lone(dir, scale.of(2_000)).await?];
    for journals in [64, 256, 1_000] {
        figures.extend(many(dir, journals, scale.of(1_000_000)).await?);
    }
    figures.push(large(dir, scale).await?);
    Ok(figures)
}

fn line(seq: u64, bytes: usize) -> Result<Line, Failure> {
    let text = "x".repeat(bytes.saturating_sub(100));
    let body = format!("{{\"seq\":{seq},\"at\":\"2026-01-01T00:00:00.000000Z\",\"type\":\"bench\",\"text\":\"{text}\"");
    let sealed = format!("{body},\"crc\":\"{:08x}\"}}", crc32c::crc32c(body.as_bytes()));
    Line::check(sealed.as_bytes()).map_err(Failure::failed)
}

/// An open store whose journals all have the same head.
#[derive(Clone)]
struct Journals {
    store: Arc<FileJournals>,
    epoch: Epoch,
}

impl Journals {
    async fn open(home: &Path) -> Result<Self, Failure> {
        let store = FileJournals::open(home, Arc::new(RealDisk), Options::default(), Box::new(|_| {}));
        let store = store.map_err(Failure::failed)?;
        let epoch = store.take(SessionId::from_bits(1)).await.map_err(Failure::failed)?;
        Ok(Self { store, epoch })
    }

    async fn append(&self, journal: usize, line: Line) -> Result<(), StoreError> {
        let (journal, expected) = (SessionId::from_bits(journal as u128 + 1), line.seq() - 1);
        self.store.append(Append { journal, epoch: self.epoch, expected, lines: vec![line] }).await
    }

    /// Appends a line to one journal; returns the milliseconds that it took.
    async fn timed(&self, journal: usize, line: Line) -> Result<f64, Failure> {
        let began = ms();
        self.append(journal, line).await.map_err(Failure::failed)?;
        Ok(ms() - began)
    }
}

/// With nothing else going on.
async fn lone(dir: &Path, times: usize) -> Result<Figure, Failure> {
    let home = folder(dir)?;
    let (journals, mut file) = (Journals::open(home.path()).await?, BareFile::make(home.path())?);
    let (mut bare, mut store) = (Vec::with_capacity(times), Vec::with_capacity(times));
    for seq in 0..times as u64 {
        let line = line(seq + 1, EVENT)?;
        bare.push(file.write(line.as_str().as_bytes())?);
        store.push(journals.timed(0, line).await?);
    }
    Ok(Figure::new("p50 of a lone append", median(store), "ms")
        .against("ms bare write and fdatasync", median(bare))
        .bar(Bar::AtMost(1.5)))
}

/// With so many producers, each of which waits for its line before it gives the next.
async fn many(dir: &Path, producers: usize, lines: usize) -> Result<Vec<Figure>, Failure> {
    let home = folder(dir)?;
    let (journals, sqlite) = (Journals::open(home.path()).await?, Sqlite::make(home.path())?);
    let each = (lines / producers).max(5) as u64;
    let (mut bare, mut store, mut rows, mut shared) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    // The first round fills the log's segments and is not counted.
    for round in 0..=ROUNDS as u64 {
        let ready = ready(producers, round * each, each)?;
        let (of_bare, bare_syncs) = group_commit(home.path(), ready.clone()).await?;
        let before = syncs();
        let of_store = appended(&journals, ready).await?;
        if round > 0 {
            let appends = (producers as u64 * each) as f64;
            shared.push(((syncs() - before) as f64 / appends, bare_syncs as f64 / appends));
            bare.push(of_bare);
            store.push(of_store);
            rows.push(sqlite.rate(line(1, EVENT)?.as_str(), lines / 1_000)?);
        }
    }
    let (what, store) = (format!("appends/s, {producers} journals"), median(store));
    let (synced, bare_synced): (Vec<f64>, Vec<f64>) = shared.into_iter().unzip();
    Ok(vec![
        Figure::new(what.clone(), store, "/s")
            .against("/s bare group commit, as many producers", median(bare))
            .bar(Bar::AtLeast(0.5)),
        Figure::new(what, store, "/s")
            .against("/s SQLite FULL, a row a transaction", median(rows))
            .bar(Bar::AtLeast(10.0)),
        Figure::new(format!("syncs per 1,000 appends, {producers} journals"), median(synced) * 1_000.0, "")
            .against("of the bare group commit", median(bare_synced) * 1_000.0),
    ])
}

/// Makes each producer's lines.
fn ready(producers: usize, head: u64, each: u64) -> Result<Vec<Vec<Line>>, Failure> {
    let set = |_| (1..=each).map(|n| line(head + n, EVENT)).collect();
    let sets: Vec<Vec<Line>> = (0..producers.min(SETS)).map(set).collect::<Result<_, Failure>>()?;
    Ok(sets.into_iter().cycle().take(producers).collect())
}

/// Returns lines a second through a bare group commit, and how often it synced.
async fn group_commit(dir: &Path, ready: Vec<Vec<Line>>) -> Result<(f64, u64), Failure> {
    let BareLog { requests, thread } = BareLog::start(BareFile::make(dir)?)?;
    let rate = raced(ready, |_, lines| {
        let requests = requests.clone();
        async move {
            for line in lines {
                let (reply, answer) = oneshot::channel();
                requests.send((line, reply)).await.map_err(Failure::failed)?;
                answer.await.map_err(Failure::failed)?;
            }
            Ok(())
        }
    });
    let rate = rate.await?;
    drop(requests);
    let syncs = thread.join().map_err(|_| Failure::failed("the bare log's thread panicked"))??;
    Ok((rate, syncs))
}

/// Returns lines a second through the store.
async fn appended(journals: &Journals, ready: Vec<Vec<Line>>) -> Result<f64, Failure> {
    let rate = raced(ready, |producer, lines| {
        let journals = journals.clone();
        async move {
            for line in lines {
                journals.append(producer, line).await.map_err(Failure::failed)?;
            }
            Ok(())
        }
    });
    rate.await
}

/// Lets producers, each a task of its own, give these lines one after another; returns lines a second of all.
async fn raced<F>(ready: Vec<Vec<Line>>, work: impl Fn(usize, Vec<Line>) -> F) -> Result<f64, Failure>
where
    F: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let lines = ready.iter().map(Vec::len).sum::<usize>();
    let ready: Vec<F> = ready.into_iter().enumerate().map(|(producer, lines)| work(producer, lines)).collect();
    let mut tasks = JoinSet::new();
    let began = ms();
    for producer in ready {
        tasks.spawn(producer);
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(Failure::failed)??;
    }
    Ok(lines as f64 * 1_000.0 / (ms() - began))
}

/// An append to a journal of 100 MB beside one of 1 MB.
async fn large(dir: &Path, scale: Scale) -> Result<Figure, Failure> {
    let home = folder(dir)?;
    let journals = Journals::open(home.path()).await?;
    let megabytes = scale.of(100) as u64;
    let (small, large) = (0, 1);
    journals.timed(small, line(1, 1 << 20)?).await?;
    for seq in 1..=megabytes {
        journals.timed(large, line(seq, 1 << 20)?).await?;
    }
    let (mut of_small, mut of_large) = (Vec::new(), Vec::new());
    for n in 1..=1_000 {
        of_small.push(journals.timed(small, line(1 + n, EVENT)?).await?);
        of_large.push(journals.timed(large, line(megabytes + n, EVENT)?).await?);
    }
    let figure = Figure::new(format!("p50 of an append, journal of {megabytes} MB"), median(of_large), "ms");
    Ok(figure.against("ms with 1 MB", median(of_small)).bar(Bar::AtMost(1.5)))
}
