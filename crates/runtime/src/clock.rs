//! Time and entropy, as the only two things that the core cannot make for itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use outlive_core::digest::Digest;
use outlive_core::id::Ids;
use outlive_core::session::Moment;
use outlive_core::time::Timestamp;

/// Says what time it is.
pub trait Clock: Send + Sync {
    /// Returns the time of day.
    fn now(&self) -> Timestamp;

    /// Returns how long one may sleep before one looks again: it may be set, and the machine may sleep.
    fn longest(&self) -> Duration {
        Duration::from_secs(1)
    }
}

/// The system's clock.
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the system's clock")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

/// A clock that follows tokio's, which tests pause: it begins where it is told and never reads the system's.
pub struct TokioClock {
    began: Timestamp,
    at: tokio::time::Instant,
}

impl TokioClock {
    /// Begins at `began`.
    #[must_use]
    pub fn from(began: Timestamp) -> Self {
        Self { began, at: tokio::time::Instant::now() }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.at.elapsed().as_micros()).unwrap_or(i64::MAX);
        Timestamp::from_micros(self.began.micros().saturating_add(elapsed))
    }

    /// Nobody sets it.
    fn longest(&self) -> Duration {
        Duration::from_secs(3_600)
    }
}

/// Makes moments: the time, and ids that no other process makes.
#[derive(Clone)]
pub struct Moments {
    clock: Arc<dyn Clock>,
    secret: u64,
    count: Arc<AtomicU64>,
}

impl Moments {
    /// Starts from a seed; two processes must have different ones.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, seed: u64) -> Self {
        Self { clock, secret: seed, count: Arc::new(AtomicU64::new(0)) }
    }

    /// Returns the time of day.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns how long one may sleep before one looks at the clock again.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.clock.longest()
    }

    /// Returns how many moments there have been.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Returns the time with fresh ids: milliseconds in the upper 48 bits, then a digest of the seed and a count.
    #[must_use]
    pub fn moment(&self) -> Moment {
        let at = self.now();
        let ms = u128::try_from(at.micros() / 1_000).unwrap_or(0) & 0xFFFF_FFFF_FFFF;
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let digest = Digest::of(&[self.secret.to_le_bytes(), count.to_le_bytes()].concat());
        let entropy = u128::from_str_radix(digest.as_str().get(..16).unwrap_or_default(), 16).unwrap_or(0);
        // The low 16 bits are left to count up within one moment.
        Moment { at, ids: Ids::from_bits((ms << 80) | ((entropy & 0xFFFF_FFFF_FFFF_FFFF) << 16)) }
    }
}
