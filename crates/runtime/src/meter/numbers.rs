//! Numbers that many may add to at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Something that is counted.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Something that is counted by its kind. All kinds are there from the start, so that none appears out of nowhere.
#[derive(Debug)]
pub(super) struct Counts(Vec<(&'static str, Counter)>);

impl Counts {
    pub(super) fn of(kinds: &[&'static str]) -> Self {
        Self(kinds.iter().map(|kind| (*kind, Counter::default())).collect())
    }

    pub(super) fn add(&self, kind: &str, more: u64) {
        if let Some((_, counter)) = self.0.iter().find(|(name, _)| *name == kind) {
            counter.add(more);
        }
    }

    pub(super) fn get(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(kind, counter)| (*kind, counter.get()))
    }
}

/// Dollars, kept as billionths.
#[derive(Debug, Default)]
pub(super) struct Dollars(Counter);

impl Dollars {
    pub(super) fn add(&self, dollars: f64) {
        // A cast of a negative or endless amount gives a bound of the integers: nothing of it is added.
        let nano = (dollars * 1e9).round();
        if nano.is_finite() && nano > 0.0 {
            self.0.add(nano as u64);
        }
    }

    pub(super) fn get(&self) -> f64 {
        self.0.get() as f64 / 1e9
    }
}

/// How long things took.
#[derive(Debug)]
pub(super) struct Histogram {
    bounds: &'static [f64],
    /// One for each bound, and one for what is above all; not added up.
    buckets: Vec<Counter>,
    micros: Counter,
}

impl Histogram {
    pub(super) fn of(bounds: &'static [f64]) -> Self {
        Self { bounds, buckets: (0..=bounds.len()).map(|_| Counter::default()).collect(), micros: Counter::default() }
    }

    pub(super) fn add(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let at = self.bounds.partition_point(|bound| *bound < seconds);
        if let Some(bucket) = self.buckets.get(at) {
            bucket.add(1);
        }
        self.micros.add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// Returns how many took at most each bound, and last how many there were.
    pub(super) fn up_to(&self) -> (Vec<(f64, u64)>, u64) {
        let mut sum = 0;
        let mut up_to = |bucket: &Counter| {
            sum += bucket.get();
            sum
        };
        let below = self.bounds.iter().zip(&self.buckets).map(|(bound, bucket)| (*bound, up_to(bucket))).collect();
        let all = self.buckets.last().map_or(0, up_to);
        (below, all)
    }

    pub(super) fn sum_seconds(&self) -> f64 {
        self.micros.get() as f64 / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_took_just_as_long_as_a_bound_is_within_it() {
        let took = Histogram::of(&[0.1, 1.0]);
        for ms in [50, 100, 101, 1_000, 5_000] {
            took.add(Duration::from_millis(ms));
        }
        assert_eq!(took.up_to(), (vec![(0.1, 2), (1.0, 4)], 5));
        assert!((took.sum_seconds() - 6.251).abs() < 1e-9);
    }

    #[test]
    fn dollars_only_grow() {
        let cost = Dollars::default();
        [0.25, -1.0, f64::NAN, f64::INFINITY, 0.000_000_001].into_iter().for_each(|dollars| cost.add(dollars));
        assert!((cost.get() - 0.250_000_001).abs() < 1e-12);
    }
}
