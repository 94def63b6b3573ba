//! One model request inside a turn: due, asked, waiting to be asked again, answered.

use serde::{Deserialize, Serialize};

use crate::content::{FailureKind, StopReason};
use crate::limits::{RETRY_FIRST_MS, RETRY_LONGEST_MS, TRUNCATED_ATTEMPTS};
use crate::time::Timestamp;

/// Where a step's model request is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asking {
    /// The first step of the turn is owed.
    Due,
    /// Asked. Not held by this process means that the one that asked is gone: asked again.
    Asked {
        /// From 1.
        attempt: u32,
    },
    /// Asked again later.
    Backoff {
        /// The attempt that failed.
        attempt: u32,
        /// When the next one is due.
        until: Timestamp,
        /// Why.
        kind: FailureKind,
    },
    /// Answered; its calls are settled one by one.
    Answered {
        /// Why the model stopped.
        stop: StopReason,
    },
    /// Answered, and the turn's calls are the checks of a loop: once they are settled it ends.
    Checks,
    /// That model is not asked again: where no other is left, the turn fails.
    GaveUp {
        /// The attempt that failed.
        #[serde(default)]
        attempt: u32,
        /// Why.
        kind: FailureKind,
        /// What the provider said.
        message: String,
    },
}

/// Says whether a failed step is asked again, of which this many replies were cut before.
#[must_use]
pub fn retryable(kind: FailureKind, truncations: u32) -> bool {
    match kind {
        FailureKind::Overloaded | FailureKind::RateLimited | FailureKind::Timeout | FailureKind::Network => true,
        FailureKind::Truncated | FailureKind::OffSchema => truncations.saturating_add(1) < TRUNCATED_ATTEMPTS,
        FailureKind::InvalidRequest | FailureKind::Auth | FailureKind::Refused | FailureKind::Overflow => false,
    }
}

/// Returns the pause before the next attempt: doubling from a second to five minutes, spread by up to a quarter with
/// `salt` so that sessions do not come back all at once, and never shorter than the provider asked for.
#[must_use]
pub fn retry_pause_ms(failures: u32, asked_for_ms: Option<u64>, salt: u128) -> u64 {
    let doublings = failures.saturating_sub(1).min(20);
    let base = RETRY_FIRST_MS.saturating_mul(1 << doublings).min(RETRY_LONGEST_MS);
    (base + spread(salt ^ u128::from(failures), base / 4)).max(asked_for_ms.unwrap_or(0))
}

/// Spreads what would come back together: a number below this one, or 0. Neighbouring seeds do not share theirs.
pub(crate) fn spread(seed: u128, below: u64) -> u64 {
    // A multiplicative hash.
    let mixed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835) >> 96;
    u64::try_from(mixed).unwrap_or(0) % below.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_a_bound_and_respect_the_provider() {
        for failures in 1..40 {
            let pause = retry_pause_ms(failures, None, 7);
            assert!((RETRY_FIRST_MS..=RETRY_LONGEST_MS + RETRY_LONGEST_MS / 4).contains(&pause), "{failures}: {pause}");
        }
        assert!(retry_pause_ms(4, None, 7) >= 8_000);
        assert_eq!(retry_pause_ms(1, Some(60_000), 7), 60_000);
    }

    #[test]
    fn an_outage_is_waited_out_and_a_refusal_is_not() {
        assert!(retryable(FailureKind::Overloaded, 10_000));
        assert!(!retryable(FailureKind::Auth, 1));
        assert!(retryable(FailureKind::Truncated, 0) && !retryable(FailureKind::Truncated, TRUNCATED_ATTEMPTS - 1));
    }
}
