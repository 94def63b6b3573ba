//! Durable appends in the store, beside bare loops on the same disk.

use std::path::Path;
use std::sync::Arc;

use futures_util::future::join_all;
use outlive_core::event::Line;
use outlive_core::id::SessionId;
use outlive_store::files::fs::RealDisk;
use outlive_store::files::{FileJournals, Options};
use outlive_store::{Append, Journals as _, Leases as _};

use super::bare::{ms, sqlite_full, synced_writes};
use super::{Bar, Figure, Scale, folder, median};
use crate::exit::Failure;

/// Bytes of a usual event.
const EVENT: usize = 300;

/// Measures appends.
///
/// # Errors
///
/// What the system says.
pub(super) async fn measure(dir: &Path, scale: Scale) -> Result<Vec<Figure>, Failure> {
    let mut figures = Vec::new();
    let lone = lone(dir, scale.of(2_000)).await?;
    figures.push(lone);
    let home = folder(dir)?;
    let sqlite = sqlite_full(home.path(), EVENT, scale.of(2_000))?;
    for journals in [64, 256, 1_000] {
        let rounds = scale.of(40_000 / journals.max(64)).max(5);
        let bare = synced_writes(home.path(), journals * EVENT, rounds)?;
        let bare = (journals * rounds) as f64 * 1_000.0 / bare.iter().sum::<f64>();
        let store = many(dir, journals, rounds).await?;
        let what = format!("appends/s, {journals} journals");
        let figure = Figure::new(what.clone(), store, "/s").against("/s bare group commit", bare);
        figures.push(figure.bar(Bar::AtLeast(0.5)));
        figures.push(
            Figure::new(what, store, "/s")
                .against("/s SQLite FULL, a row a transaction", sqlite)
                .bar(Bar::AtLeast(10.0)),
        );
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

fn open(home: &Path) -> Result<Arc<FileJournals>, Failure> {
    FileJournals::open(home, Arc::new(RealDisk), Options::default(), Box::new(|_| {})).map_err(Failure::failed)
}

async fn append(store: &FileJournals, journal: SessionId, expected: u64, bytes: usize) -> Result<f64, Failure> {
    let lines = vec![line(expected + 1, bytes)?];
    let epoch = store.take(journal).await.map_err(Failure::failed)?;
    let began = ms();
    store.append(Append { journal, epoch, expected, lines }).await.map_err(Failure::failed)?;
    Ok(ms() - began)
}

async fn lone(dir: &Path, times: usize) -> Result<Figure, Failure> {
    let home = folder(dir)?;
    let bare = median(synced_writes(home.path(), EVENT, times)?);
    let store = open(home.path())?;
    let mut each = Vec::with_capacity(times);
    for seq in 0..times as u64 {
        each.push(append(&store, SessionId::from_bits(1), seq, EVENT).await?);
    }
    Ok(Figure::new("p50 of a lone append", median(each), "ms")
        .against("ms bare write and fdatasync", bare)
        .bar(Bar::AtMost(1.5)))
}

async fn many(dir: &Path, journals: usize, rounds: usize) -> Result<f64, Failure> {
    let home = folder(dir)?;
    let store = open(home.path())?;
    let began = ms();
    let writer = async |n: usize| -> Result<(), Failure> {
        for seq in 0..rounds as u64 {
            append(&store, SessionId::from_bits(n as u128 + 1), seq, EVENT).await?;
        }
        Ok(())
    };
    for done in join_all((0..journals).map(writer)).await {
        done?;
    }
    Ok((journals * rounds) as f64 * 1_000.0 / (ms() - began))
}

/// An append to a journal of 100 MB beside one of 1 MB.
async fn large(dir: &Path, scale: Scale) -> Result<Figure, Failure> {
    let home = folder(dir)?;
    let store = open(home.path())?;
    let (small, large) = (SessionId::from_bits(1), SessionId::from_bits(2));
    append(&store, small, 0, 1 << 20).await?;
    let megabytes = scale.of(100) as u64;
    for seq in 0..megabytes {
        append(&store, large, seq, 1 << 20).await?;
    }
    let (mut of_small, mut of_large) = (Vec::new(), Vec::new());
    for n in 0..500 {
        of_small.push(append(&store, small, 1 + n, EVENT).await?);
        of_large.push(append(&store, large, megabytes + n, EVENT).await?);
    }
    let figure = Figure::new(format!("p50 of an append, journal of {megabytes} MB"), median(of_large), "ms");
    Ok(figure.against("ms with 1 MB", median(of_small)).bar(Bar::AtMost(1.5)))
}
