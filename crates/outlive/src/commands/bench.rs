//! Measures what Outlive claims, each figure beside its reference from the same run on the same disk.

mod appends;
mod attach;
mod bare;
mod context;
mod long;
mod loose;
mod made;
mod memory;
mod sandbox;
mod search;
mod sessions;
mod turns;
mod waits;

use std::path::PathBuf;

use serde::Serialize;

use crate::exit::{Failure, Outcome, ok};
use crate::show;

/// What to measure.
#[derive(Debug, clap::Args)]
pub struct Bench {
    /// Which group; all of them when it is left out
    #[arg(value_enum)]
    group: Option<Group>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// A tenth of the work: rough figures
    #[arg(long)]
    quick: bool,
    /// A folder on the disk to measure; this one when it is left out
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Groups of figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Group {
    /// Durable turns over HTTP
    Turns,
    /// Durable appends in the store
    Appends,
    /// Start-up, recovery, memory, idling
    Sessions,
    /// Pages of the list and searches over 100,000 sessions
    Search,
    /// How well and how fast memories are found
    Memory,
    /// The first screen of a long session, and many listeners
    Attach,
    /// What a sandbox adds to the start of a command
    Sandbox,
    /// How near estimates of requests are, and what counting costs
    Context,
    /// What very many waits cost, and how late they are
    Waits,
}

/// One figure, and what it is held against.
#[derive(Debug, Serialize)]
pub(super) struct Figure {
    what: String,
    value: f64,
    unit: &'static str,
    reference: Option<(String, f64)>,
    bar: Option<Bar>,
}

/// A bar, on the figure's ratio to its reference, or on the figure itself where there is none.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) enum Bar {
    AtLeast(f64),
    AtMost(f64),
}

impl Figure {
    pub(super) fn new(what: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { what: what.into(), value, unit, reference: None, bar: None }
    }

    pub(super) fn against(self, what: &str, reference: f64) -> Self {
        Self { reference: Some((what.to_owned(), reference)), ..self }
    }

    pub(super) fn bar(self, bar: Bar) -> Self {
        Self { bar: Some(bar), ..self }
    }

    fn ratio(&self) -> Option<f64> {
        self.reference.as_ref().map(|(_, reference)| self.value / reference)
    }

    fn judged(&self) -> String {
        let measured = self.ratio().unwrap_or(self.value);
        match self.bar {
            None => String::new(),
            Some(Bar::AtLeast(least)) => format!("≥ {least}: {}", if measured >= least { "met" } else { "MISSED" }),
            Some(Bar::AtMost(most)) => format!("≤ {most}: {}", if measured <= most { "met" } else { "MISSED" }),
        }
    }
}

/// How much work.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale(usize);

impl Scale {
    /// Returns this many, or a tenth of it.
    pub(super) fn of(self, count: usize) -> usize {
        (count / self.0).max(1)
    }
}

/// Measures and prints.
///
/// # Errors
///
/// What the system says.
pub async fn run(bench: &Bench) -> Outcome {
    let dir = bench.dir.clone().map_or_else(std::env::current_dir, Ok)?;
    let scale = Scale(if bench.quick { 10 } else { 1 });
    let wants = |group: Group| bench.group.is_none_or(|wanted| wanted == group);
    let mut figures = Vec::new();
    if wants(Group::Appends) {
        figures.extend(appends::measure(&dir, scale).await?);
    }
    if wants(Group::Turns) {
        figures.extend(turns::measure(&dir, scale).await?);
    }
    if wants(Group::Sessions) {
        figures.extend(sessions::measure(&dir, scale).await?);
    }
    if wants(Group::Search) {
        figures.extend(search::measure(&dir, scale).await?);
    }
    if wants(Group::Memory) {
        figures.extend(memory::measure(&dir, scale).await?);
    }
    if wants(Group::Attach) {
        figures.extend(attach::measure(&dir, scale).await?);
    }
    if wants(Group::Sandbox) {
        figures.extend(sandbox::measure(&dir, scale).await?);
    }
    if wants(Group::Context) {
        figures.extend(context::measure(scale).await?);
    }
    if wants(Group::Waits) {
        figures.extend(waits::measure(&dir, scale).await?);
    }
    if bench.json {
        show::json(&figures)?;
        return ok();
    }
    let row = |figure: &Figure| {
        let (what, reference) = figure.reference.clone().unwrap_or_default();
        let ratio = figure.ratio().map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
        let reference = if what.is_empty() { String::new() } else { format!("{reference:.2} {what}") };
        vec![figure.what.clone(), format!("{:.2} {}", figure.value, figure.unit), reference, ratio, figure.judged()]
    };
    show::table(&["FIGURE", "VALUE", "REFERENCE", "RATIO", "BAR"], &figures.iter().map(row).collect::<Vec<_>>());
    ok()
}

/// Returns the median.
pub(super) fn median(values: Vec<f64>) -> f64 {
    percentile(&values, 50)
}

/// Returns the value that so many percent of the values do not exceed.
pub(super) fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((values.len() * percent / 100).min(last)).copied().unwrap_or(0.0)
}

/// Makes a temporary folder on the measured disk.
pub(super) fn folder(dir: &std::path::Path) -> Result<tempfile::TempDir, Failure> {
    tempfile::Builder::new().prefix(".outlive-bench-").tempdir_in(dir).map_err(Failure::from)
}
