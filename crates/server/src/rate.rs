//! How much one caller may ask: a bucket for each, that fills by the second and is emptied by requests.
//!
//! Invariant: the memory that this takes is bounded. Callers beyond [`CALLERS`] share one bucket.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use outlive_protocol::code;
use tokio::time::Instant;

use crate::problem::{ApiError, ApiResult};
use crate::tokens::Identity;

/// Callers whose buckets are kept at the same time.
const CALLERS: usize = 10_000;

/// How much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Requests a second, for as long as it goes on. 0 is without a limit.
    pub per_s: f64,
    /// Requests that may come at once.
    pub burst: f64,
}

#[derive(Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

/// A bucket for each caller.
struct Buckets<K> {
    rate: Rate,
    held: Mutex<HashMap<Option<K>, Bucket>>,
}

impl<K: Eq + Hash> Buckets<K> {
    fn new(rate: Rate) -> Self {
        Self { rate, held: Mutex::default() }
    }

    /// Takes `cost` out of a caller's bucket.
    ///
    /// # Errors
    ///
    /// There is not enough in it: seconds until there is.
    fn take(&self, caller: K, cost: f64) -> Result<(), u64> {
        let Rate { per_s, burst } = self.rate;
        if per_s <= 0.0 {
            return Ok(());
        }
        let now = Instant::now();
        let filled = |bucket: &Bucket| (bucket.left + (now - bucket.at).as_secs_f64() * per_s).min(burst);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mut caller = Some(caller);
        if held.len() >= CALLERS && !held.contains_key(&caller) {
            // Who has a full bucket is as good as new.
            held.retain(|_, bucket| filled(bucket) < burst);
            caller = caller.filter(|_| held.len() < CALLERS);
        }
        let bucket = held.entry(caller).or_insert(Bucket { left: burst, at: now });
        *bucket = Bucket { left: filled(bucket), at: now };
        let needed = cost.max(1.0);
        if bucket.left < needed {
            return Err(((needed - bucket.left) / per_s).ceil().max(1.0) as u64);
        }
        bucket.left -= cost;
        Ok(())
    }
}

/// All that is counted of callers.
#[derive(Clone)]
pub(crate) struct Rates {
    tokens: Arc<Buckets<Arc<str>>>,
    addresses: Arc<Buckets<IpAddr>>,
    failures: Arc<Buckets<IpAddr>>,
}

impl Rates {
    pub(crate) fn new(limits: &crate::Limits) -> Self {
        Self {
            tokens: Arc::new(Buckets::new(limits.of_token)),
            addresses: Arc::new(Buckets::new(limits.of_address)),
            failures: Arc::new(Buckets::new(limits.failures)),
        }
    }

    /// Counts a request of an address. This machine is not held to it: all its users share one address.
    pub(crate) fn address(&self, from: IpAddr) -> ApiResult<()> {
        if from.is_loopback() {
            return Ok(());
        }
        self.addresses.take(whole(from), 1.0).map_err(|seconds| too_many("this address", seconds))
    }

    /// Counts a request of a token. The workspace's own on this machine is not held to it: it can do anything anyway.
    pub(crate) fn token(&self, who: &Identity, from: IpAddr) -> ApiResult<()> {
        if who.is_owner() && from.is_loopback() {
            return Ok(());
        }
        self.tokens.take(Arc::clone(&who.name), 1.0).map_err(|seconds| too_many("this token", seconds))
    }

    /// Says whether an address may show a token now, after those that were none.
    pub(crate) fn may_try(&self, from: IpAddr) -> ApiResult<()> {
        self.failures.take(whole(from), 0.0).map_err(|seconds| too_many("wrong tokens of this address", seconds))
    }

    /// Counts a token that is none.
    pub(crate) fn failed(&self, from: IpAddr) -> ApiResult<()> {
        self.failures.take(whole(from), 1.0).map_err(|seconds| too_many("wrong tokens of this address", seconds))
    }
}

fn too_many(what: &str, seconds: u64) -> ApiError {
    let what = format!("too many requests with {what}: come back in {seconds} s");
    ApiError::new(&code::RATE_LIMITED, what).retry_after(seconds)
}

/// One caller has a whole network of version 6.
pub(crate) fn whole(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            let bits = address.to_bits() & !(u128::MAX >> 64);
            IpAddr::V6(Ipv6Addr::from_bits(bits))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_bucket_is_emptied_at_once_and_fills_with_time() {
        let buckets = Buckets::new(Rate { per_s: 2.0, burst: 3.0 });
        let taken: Vec<Result<(), u64>> = (0..4).map(|_| buckets.take("a", 1.0)).collect();
        assert_eq!(taken, [Ok(()), Ok(()), Ok(()), Err(1)]);
        assert_eq!(buckets.take("b", 1.0), Ok(()), "each has its own");
        assert_eq!(buckets.take("a", 0.0), Err(1), "to look takes nothing, and says the same");
        tokio::time::advance(Duration::from_secs(1)).await;
        let taken: Vec<Result<(), u64>> = (0..3).map(|_| buckets.take("a", 1.0)).collect();
        assert_eq!(taken, [Ok(()), Ok(()), Err(1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn more_callers_than_are_kept_share_a_bucket() {
        let buckets = Buckets::new(Rate { per_s: 1.0, burst: 2.0 });
        (0..CALLERS).for_each(|caller| assert_eq!(buckets.take(caller, 1.0), Ok(())));
        let late: Vec<Result<(), u64>> = (0..3).map(|n| buckets.take(CALLERS + n, 1.0)).collect();
        assert_eq!(late, [Ok(()), Ok(()), Err(1)]);
        assert_eq!(buckets.held.lock().unwrap_or_else(PoisonError::into_inner).len(), CALLERS + 1);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(buckets.take(CALLERS + 9, 1.0), Ok(()), "those that have rested are forgotten");
        assert_eq!(buckets.held.lock().unwrap_or_else(PoisonError::into_inner).len(), 1);
    }

    #[test]
    fn a_network_of_version_6_is_one_caller() {
        let of = |text: &str| whole(text.parse().expect("an address"));
        assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2::"));
        assert_ne!(of("2001:db8:1:2::"), of("2001:db8:1:3::"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_eq!(of("::1"), "::1".parse::<IpAddr>().expect("an address"));
    }
}
