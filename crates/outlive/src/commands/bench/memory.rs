//! How well memories are found, beside what FTS5 finds in the same rows, and how long it takes.

use std::path::Path;
use std::sync::Arc;

use outlive_store::Store;
use outlive_store::conformance::facts::{Facts, facts};
use outlive_store::conformance::paraphrased::paraphrased;
use outlive_store::conformance::recalling::{self, BEST, Quality, fill};
use outlive_store::workspace::{self, Options, Workspace};

use super::bare::ms;
use super::loose::LooseDisk;
use super::{Bar, Figure, Scale, folder, median, percentile};
use crate::exit::Failure;

const SEED: u64 = 5;
/// Rows of the world in which the quality is measured.
const ROWS: usize = 5_000;
/// Questions whose time is measured.
const TIMED: usize = 300;

/// Measures how well and how fast memories are found.
///
/// # Errors
///
/// What the system says.
pub(super) async fn measure(dir: &Path, scale: Scale) -> Result<Vec<Figure>, Failure> {
    let mut figures = quality(dir, ("people", &facts(SEED, ROWS)), &[Bar::AtLeast(1.25), Bar::AtLeast(0.60)]).await?;
    figures.extend(quality(dir, ("paraphrased", &paraphrased(SEED, ROWS)), &[Bar::AtLeast(1.25)]).await?);
    for (rows, bar) in [(10_000, 25.0), (100_000, 80.0)] {
        figures.extend(times(dir, scale.of(rows), bar).await?);
    }
    Ok(figures)
}

fn open(root: &Path) -> Result<(Store, Workspace), Failure> {
    workspace::open_on(Arc::new(LooseDisk), root, Options::default()).map_err(Failure::failed)
}

/// How well memories of a world are found: beside FTS5, and without the words that mean about the same. Held by these: the
/// share of FTS5's, then the share itself.
async fn quality(dir: &Path, (name, world): (&str, &Facts), bars: &[Bar]) -> Result<Vec<Figure>, Failure> {
    let home = folder(dir)?;
    let (store, _files) = open(home.path())?;
    fill(&store, world).await;
    let Quality { found, without_kin, newest, changed, or, and } = recalling::quality(&store, world).await;
    let held = |figure: Figure, at: usize| match bars.get(at) {
        Some(bar) => figure.bar(*bar),
        None => figure,
    };
    let what = format!("{name}: recall@{BEST}, {} rows", world.memories.len());
    Ok(vec![
        held(Figure::new(what.clone(), found, "").against("FTS5 OR", or), 0),
        held(Figure::new(format!("{what}, by itself"), found, ""), 1),
        Figure::new(format!("{what}, without words that mean the same"), without_kin, "").against("FTS5 OR", or),
        Figure::new(format!("{name}: recall@{BEST} of FTS5 AND"), and, ""),
        Figure::new(format!("{name}: newest first, of {changed} changed"), newest, "").bar(Bar::AtLeast(0.95)),
    ])
}

async fn times(dir: &Path, rows: usize, bar: f64) -> Result<Vec<Figure>, Failure> {
    let world = facts(SEED, rows);
    let home = folder(dir)?;
    let (store, files) = open(home.path())?;
    let began = ms();
    fill(&store, &world).await;
    let filled = ms() - began;
    let mut times = Vec::with_capacity(TIMED);
    for asked in world.asked.iter().cycle().step_by(7).take(TIMED) {
        let began = ms();
        recalling::ask(&store, &asked.text, recalling::usual()).await;
        times.push(ms() - began);
    }
    files.close();
    drop((store, files));
    let (store, _files) = open(home.path())?;
    let began = ms();
    let first = world.asked.first().map_or("", |asked| asked.text.as_str());
    recalling::ask(&store, first, recalling::usual()).await;
    let reopened = ms() - began;
    Ok(vec![
        Figure::new(format!("{} memories noted and followed", world.memories.len()), filled, "ms"),
        Figure::new(format!("recall, p50, {rows} rows"), median(times.clone()), "ms"),
        Figure::new(format!("recall, p99, {rows} rows"), percentile(&times, 99), "ms").bar(Bar::AtMost(bar)),
        Figure::new(format!("first recall after a start, {rows} rows"), reopened, "ms").bar(Bar::AtMost(50.0)),
    ])
}
