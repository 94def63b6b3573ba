//! How many journals are written at the same time, as far as their last appends tell: the committer waits for a part of
//! them, so that one sync serves many, and for nobody else.
//!
//! Invariant: whoever writes alone, or with a few others, is never waited with; a crowd that does not come is forgotten.

use std::time::Duration;

/// Appends after which the journals are counted anew.
const WINDOW: u32 = 1_024;
/// One in so many of a crowd is worth waiting for; the others have work to do meanwhile.
const PART: usize = 3;

/// How long one look for others takes, at least.
pub(super) const LOOK: Duration = Duration::from_micros(50);
/// Looks at which nobody came, after which nobody is expected.
pub(super) const LOOKS_IN_VAIN: u32 = 4;
/// Looks in all.
pub(super) const LOOKS: u32 = 32;

/// Counts who writes.
#[derive(Debug)]
pub(super) struct Crowd {
    /// The window that runs, from 1.
    round: u32,
    asked: u32,
    seen: usize,
    /// Journals seen in the last whole window.
    size: usize,
}

impl Default for Crowd {
    fn default() -> Self {
        Self { round: 1, asked: 0, seen: 0, size: 0 }
    }
}

impl Crowd {
    /// Counts an append to a journal that was counted last in the round `last`, 0 for never.
    pub(super) fn count(&mut self, last: &mut u32) {
        self.seen += usize::from(*last != self.round);
        *last = self.round;
        self.asked += 1;
        if self.asked == WINDOW {
            self.begin(self.seen);
        }
    }

    /// Returns how many appends make a batch that is worth its sync.
    pub(super) fn enough(&self) -> usize {
        (self.size.max(self.seen) / PART).max(1)
    }

    /// Expects fewer: nobody came.
    pub(super) fn disperse(&mut self) {
        self.begin(self.size.max(self.seen) / 2);
    }

    fn begin(&mut self, size: usize) {
        *self = Self { round: self.round.wrapping_add(1).max(1), asked: 0, seen: 0, size };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets journals write by turns, and returns what is enough after it.
    fn enough(crowd: &mut Crowd, journals: usize, appends: usize) -> usize {
        let mut last = vec![0; journals];
        for append in 0..appends {
            crowd.count(&mut last[append % journals]);
        }
        crowd.enough()
    }

    #[test]
    fn a_part_of_a_crowd_is_worth_waiting_for_and_a_few_are_not() {
        for (journals, expected) in [(1, 1), (3, 1), (5, 1), (16, 5), (64, 21), (1_000, 333)] {
            assert_eq!(enough(&mut Crowd::default(), journals, 3_000), expected, "{journals} journals");
        }
    }

    #[test]
    fn a_crowd_is_noticed_as_it_gathers() {
        assert_eq!(enough(&mut Crowd::default(), 64, 64), 21);
    }

    #[test]
    fn a_crowd_that_went_is_forgotten() {
        let mut crowd = Crowd::default();
        enough(&mut crowd, 64, 3_000);
        let waits = std::iter::repeat_with(|| crowd.disperse()).take(5).count();
        assert_eq!((waits, crowd.enough()), (5, 1));
        let mut crowd = Crowd::default();
        enough(&mut crowd, 64, 3_000);
        assert_eq!(enough(&mut crowd, 1, 2 * WINDOW as usize), 1, "one alone is soon seen to be alone");
    }
}
