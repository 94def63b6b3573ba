//! How near the estimates of requests are to what providers count, beside four bytes a token; and what counting costs.

use outlive_core::context::sample::{Asked, Dice, Hidden, play};
use outlive_core::context::{Calibration, Counter};

use outlive_runtime::sample::{self as long, Length};

use super::bare::ms;
use super::{Bar, Figure, Scale, median, percentile};
use crate::exit::Failure;

/// Turns of a session.
const TURNS: u64 = 60;
/// Bytes of a message that is added.
const MESSAGE: usize = 16 << 10;

/// Measures estimates and counting.
///
/// # Errors
///
/// A turn of the long run did not complete.
pub(super) async fn measure(scale: Scale) -> Result<Vec<Figure>, Failure> {
    let counter = outlive_model::tokens::counter();
    let began = ms();
    // The vocabulary is read on a thread of its own; a build without one counts roughly at once.
    while !counter.is_exact() && cfg!(feature = "tokens") {
        std::thread::yield_now();
    }
    let mut figures = vec![Figure::new("vocabulary read", ms() - began, "ms")];
    figures.extend([1.0, 1.2, 1.6].map(|ratio| estimates(ratio, scale, &*counter)));
    figures.extend(counting(scale, &*counter));
    figures.extend(reuse(scale).await?);
    Ok(figures)
}

/// A long run with memory on: how much of what is sent was sent before.
async fn reuse(scale: Scale) -> Result<Vec<Figure>, Failure> {
    let length = Length { sessions: scale.of(4), turns: 600, window: 128_000, sentences: 24 };
    let played = long::play(length).await.map_err(Failure::Failed)?;
    let count = |name: &str| played.events.get(name).copied().unwrap_or_default();
    let (rebuilt, condensed) = (count("context.rebuilt"), count("checkpoint.activated"));
    let what = format!("prefix reuse, {} calls, {rebuilt} rebuilds, {condensed} checkpoints", played.calls);
    Ok(vec![
        Figure::new(what, played.reuse * 100.0, "%").bar(Bar::AtLeast(98.5)),
        Figure::new("requests above what is usable", played.over as f64, "").bar(Bar::AtMost(0.0)),
        Figure::new("rebuilds that no event declares", played.undeclared as f64, "").bar(Bar::AtMost(0.0)),
    ])
}

/// Sessions against a provider that counts in its own way, each without anything learned before.
fn estimates(ratio: f64, scale: Scale, counter: &dyn Counter) -> Figure {
    let hidden = Hidden { ratio, fixed: 350, piece: 9, spread: 0.05 };
    let sessions = scale.of(20);
    let (mut ours, mut plain) = (Vec::new(), Vec::new());
    for seed in 0..sessions as u64 {
        let mut calibration = Calibration::seeded("simulated/model");
        let asked = play(seed, TURNS, hidden, (counter, &mut calibration));
        let later = asked.iter().skip(1);
        ours.extend(later.clone().map(|asked: &Asked| asked.error(asked.estimated) * 100.0));
        plain.extend(later.map(|asked| asked.error(asked.rough) * 100.0));
    }
    let what = format!(
        "estimate error, {sessions} sessions, ratio {ratio}, p95 (beside: {:.1} % bytes/4)",
        percentile(&plain, 95)
    );
    Figure::new(what, percentile(&ours, 95), "%").bar(Bar::AtMost(1.0))
}

/// What a new message costs, and one long text.
fn counting(scale: Scale, counter: &dyn Counter) -> Vec<Figure> {
    let mut dice = Dice::new(1);
    let mut took = Vec::new();
    for _ in 0..scale.of(1_000) {
        let mut text = dice.code(400);
        text.truncate(text.floor_char_boundary(MESSAGE));
        let began = ms();
        counter.count(&text);
        took.push(ms() - began);
    }
    let spaces = " ".repeat(1_000_000);
    let began = ms();
    counter.count(&spaces);
    let long = ms() - began;
    vec![
        Figure::new("16 KB message counted, p99", percentile(&took, 99), "ms").bar(Bar::AtMost(1.0)),
        Figure::new("16 KB message counted, p50", median(took), "ms"),
        Figure::new("a million spaces counted", long, "ms"),
    ]
}
