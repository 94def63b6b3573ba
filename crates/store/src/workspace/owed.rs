//! When an erasure that could not be finished is tried again by itself: after some appends have found room, and each time it
//! fails after twice as many. Where nothing is appended, the next erasure or the next start goes on.

use std::sync::atomic::{AtomicU64, Ordering};

/// Appends before the first try.
const FIRST: u64 = 16;
/// Appends between tries at most.
const MOST: u64 = 4_096;

/// What is left of an erasure.
#[derive(Default)]
pub(super) struct Owed {
    /// Appends until the next try; 0 where nothing is owed or a try is under way.
    left: AtomicU64,
    /// Appends that were awaited before the last one.
    pause: AtomicU64,
}

impl Owed {
    /// Says that something is left.
    pub(super) fn failed(&self) {
        let pause = (self.pause.load(Ordering::Relaxed) * 2).clamp(FIRST, MOST);
        self.pause.store(pause, Ordering::Relaxed);
        self.left.store(pause, Ordering::Relaxed);
    }

    /// Says that nothing is.
    pub(super) fn done(&self) {
        self.pause.store(0, Ordering::Relaxed);
        self.left.store(0, Ordering::Relaxed);
    }

    /// Counts an append. Says, to one caller, whether it is time for a try.
    pub(super) fn is_due(&self) -> bool {
        if self.left.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let count = |left: u64| left.checked_sub(1);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count) == Ok(1)
    }
}
