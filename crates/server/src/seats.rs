//! How many connections there are, in all and of each address.
//!
//! Invariants: this machine and all others have seats of their own, so that nobody from outside can keep its operator out;
//! of the others no address has more than its part.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Limits;
use crate::rate::whole;

/// All seats.
pub(crate) struct Seats {
    most: usize,
    of_each: usize,
    /// Addresses that may take all: proxies that were declared.
    free: Vec<IpAddr>,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    here: usize,
    outside: usize,
    of: HashMap<IpAddr, usize>,
}

/// One connection's place, until it is dropped.
pub(crate) struct Seat {
    seats: Arc<Seats>,
    from: IpAddr,
}

/// The seat of the connection that a request came over, beside it: a WebSocket keeps it when the request is over.
#[derive(Clone)]
#[expect(dead_code, reason = "it is held, not looked at")]
pub(crate) struct Place(pub(crate) Arc<Seat>);

impl Seats {
    pub(crate) fn new(limits: &Limits, free: &[IpAddr]) -> Arc<Self> {
        let (most, of_each) = (limits.connections, limits.connections_per_address);
        Arc::new(Self { most, of_each, free: free.to_vec(), taken: Mutex::default() })
    }

    /// Takes a seat, if there is one for this address.
    pub(crate) fn take(self: &Arc<Self>, from: IpAddr) -> Option<Seat> {
        let from = whole(from);
        let mut taken = self.lock();
        let all = if from.is_loopback() { &mut taken.here } else { &mut taken.outside };
        if *all >= self.most {
            return None;
        }
        *all += 1;
        if !from.is_loopback() {
            let of = taken.of.entry(from).or_default();
            if *of >= self.of_each && !self.free.contains(&from) {
                taken.outside -= 1;
                return None;
            }
            *of += 1;
        }
        Some(Seat { seats: Arc::clone(self), from })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.lock();
        if self.from.is_loopback() {
            taken.here -= 1;
            return;
        }
        taken.outside -= 1;
        if let Some(of) = taken.of.get_mut(&self.from) {
            *of -= 1;
            if *of == 0 {
                taken.of.remove(&self.from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_takes_more_than_its_part_and_none_takes_those_of_this_machine() {
        let limits = Limits { connections: 4, connections_per_address: 2, ..Limits::default() };
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        let seats = Seats::new(&limits, &[address("10.0.0.1")]);
        let take = |text: &str| seats.take(address(text));
        let held = [take("203.0.113.1"), take("203.0.113.1")];
        assert!(held.iter().all(Option::is_some) && take("203.0.113.1").is_none(), "its part");
        let others = [take("2001:db8::1"), take("2001:db8::2")];
        assert!(others.iter().all(Option::is_some) && take("203.0.113.2").is_none(), "all of them");
        let here: Vec<_> = (0..5).map(|_| take("127.0.0.1")).collect();
        assert_eq!(here.iter().flatten().count(), 4);
        drop((held, others, here));
        assert_eq!((0..5).map(|_| take("10.0.0.1")).collect::<Vec<_>>().iter().flatten().count(), 4, "a proxy");
        assert!(seats.lock().of.is_empty(), "nobody is remembered");
    }
}
