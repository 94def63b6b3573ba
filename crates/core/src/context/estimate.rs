//! How many tokens a provider will count: what it counted last, and for the rest our own count times what is learned of it.
//!
//! `estimate = last input + last output + ratio × new + overhead`; without a last request that this one goes on from,
//! `ratio × all + overhead`. The ratio and what stands around each piece are fitted to what the provider reports, the newest
//! reports first; what it adds to every request is learned apart from them.

use serde::{Deserialize, Serialize};

use super::counter::Weight;
use super::tally::{Anchor, Load};

/// What is learned of how one model of one provider counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// What it counts for a token of ours, where nothing is learned.
    seed: f64,
    /// Weighted sums over what was reported: tokens², tokens × pieces, pieces², tokens × used, pieces × used.
    sums: [f64; 5],
    /// What it adds to every request, or takes away.
    fixed: f64,
    /// Reports that were learned from.
    reports: u32,
}

/// The ratios that are believed.
const RATIO: (f64, f64) = (0.5, 3.0);
/// The tokens around a piece that are believed.
const PIECE: (f64, f64) = (0.0, 64.0);
/// The tokens around a piece where nothing is learned.
const PIECE_SEED: f64 = 4.0;
/// How much the seeds count against what is learned, as tokens of reports.
const SEED_TOKENS: f64 = 150.0;
/// The same for what stands around a piece.
const SEED_PIECES: f64 = 0.05;
/// What is left of older reports with each new one.
const FADING: f64 = 0.98;
/// How much a first report counts, in which a provider's own additions are hidden.
const FIRST: f64 = 0.05;
/// How much a reply counts, in which there may be reasoning that is not shown.
const REPLY: f64 = 0.3;
/// Tokens that a provider may add to a request.
const FIXED: f64 = 20_000.0;
/// A reply with more tokens than so many times what is expected holds reasoning that is not shown, and not sent back.
const HIDDEN: f64 = 1.5;
const HIDDEN_TOKENS: f64 = 32.0;

impl Calibration {
    /// Returns what is assumed of a model, `provider/name`, of which nothing is learned.
    #[must_use]
    pub fn seeded(model: &str) -> Self {
        Self { seed: seed(model), sums: [0.0; 5], fixed: 0.0, reports: 0 }
    }

    /// Returns what it counts for a token of ours.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.fitted().0
    }

    /// Says whether it can be believed: a file that was read may say anything.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let numbers = self.sums.iter().chain([&self.seed, &self.fixed]);
        let sane = |number: &f64| number.is_finite() && number.abs() < 1e15;
        numbers.clone().all(sane) && (RATIO.0..=RATIO.1).contains(&self.seed) && self.sums.iter().all(|sum| *sum >= 0.0)
    }

    /// Returns the tokens that the provider will count for a request.
    #[must_use]
    pub fn estimate(&self, load: &Load) -> u64 {
        let tokens = match load.anchor {
            Some(anchor) => anchor.input as f64 + self.of_reply(&anchor) + self.of(anchor.new),
            None => self.of(load.frame.plus(load.messages)) + self.fixed,
        };
        tokens.round().max(0.0) as u64
    }

    /// Learns from what the provider counted for a request, and for its reply.
    pub fn learn(&mut self, load: &Load, used: u64, reply: Option<(Weight, u64)>) {
        let whole = load.frame.plus(load.messages);
        if used == 0 || whole.tokens == 0 {
            return;
        }
        match load.anchor {
            // Between two requests nothing else is different: what a provider adds to each is in neither.
            Some(anchor) => self.add(anchor.reply.plus(anchor.new), used as f64 - anchor.input as f64, 1.0),
            None if self.reports == 0 => self.add(whole, used as f64, FIRST),
            None => {}
        }
        if let Some((reply, output)) = reply.filter(|(reply, _)| reply.reasoning == 0) {
            self.add(Weight { pieces: 0, ..reply }, output as f64, REPLY);
        }
        let rest = used as f64 - self.of(whole);
        let part = if self.reports == 0 { 1.0 } else { 0.3 };
        self.fixed = (self.fixed + (rest - self.fixed) * part).clamp(-FIXED, FIXED);
        self.reports = self.reports.saturating_add(1);
    }

    /// Adds a report, unless it tells of something else than its tokens: a cache, reasoning, files.
    fn add(&mut self, weight: Weight, used: f64, trust: f64) {
        let (tokens, pieces) = (weight.tokens as f64, weight.pieces as f64);
        let believed = RATIO.0 * tokens - 16.0..=RATIO.1 * tokens + PIECE.1 * pieces + 16.0;
        if tokens < 1.0 || !believed.contains(&used) || used <= 0.0 {
            return;
        }
        // The error of a report grows with its size: each token of it counts the same.
        let trust = trust / (tokens + 16.0 * pieces + 64.0);
        let new = [tokens * tokens, tokens * pieces, pieces * pieces, tokens * used, pieces * used];
        for (sum, new) in self.sums.iter_mut().zip(new) {
            *sum = *sum * FADING + new * trust;
        }
    }

    /// Returns the ratio, and the tokens around each piece: least squares, drawn to the seeds where little is known.
    fn fitted(&self) -> (f64, f64) {
        let [tt, tp, pp, tu, pu] = self.sums;
        let (a, b, d) = (tt + SEED_TOKENS, tp, pp + SEED_PIECES);
        let (p, q) = (tu + SEED_TOKENS * self.seed, pu + SEED_PIECES * PIECE_SEED);
        let determinant = a * d - b * b;
        if determinant <= f64::EPSILON {
            return (self.seed, PIECE_SEED);
        }
        let piece = ((a * q - b * p) / determinant).clamp(PIECE.0, PIECE.1);
        // The ratio that fits best to what is left once the other one is clamped.
        let ratio = ((p - b * piece) / a).clamp(RATIO.0, RATIO.1);
        (ratio, piece)
    }

    fn of(&self, weight: Weight) -> f64 {
        let (ratio, piece) = self.fitted();
        ratio * weight.tokens as f64 + piece * weight.pieces as f64
    }

    /// What the last reply weighs in the next request: what was counted of it, unless it holds what is not sent back.
    fn of_reply(&self, anchor: &Anchor) -> f64 {
        let (ratio, piece) = self.fitted();
        let (expected, around) = (ratio * anchor.reply.tokens as f64, piece * anchor.reply.pieces as f64);
        let counted = anchor.output as f64;
        let is_whole = counted <= expected * HIDDEN + HIDDEN_TOKENS;
        (if is_whole { counted } else { expected }) + around
    }
}

/// What models of a family count for a token of ours.
const SEEDS: [(&str, f64); 4] = [("gemini", 1.1), ("deepseek", 1.04), ("qwen", 1.15), ("qwq", 1.15)];

fn seed(model: &str) -> f64 {
    let model = model.to_ascii_lowercase();
    if model.contains("claude") || model.starts_with("anthropic/") {
        return if version(&model) > (4, 6) { 1.55 } else { 1.2 };
    }
    if ["mistral", "mixtral", "codestral", "devstral", "ministral"].iter().any(|name| model.contains(name)) {
        return 1.15;
    }
    SEEDS.iter().find(|(name, _)| model.contains(name)).map_or(1.0, |(_, seed)| *seed)
}

/// The version in a name: its first two numbers that are no date.
fn version(model: &str) -> (u32, u32) {
    let name = model.rsplit('/').next().unwrap_or_default();
    let numbers = name.split(|c: char| !c.is_ascii_digit()).filter(|digits| (1..=2).contains(&digits.len()));
    let mut numbers = numbers.filter_map(|digits| digits.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}
