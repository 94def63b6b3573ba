//! The one clock-driven waker: sessions that wait for a time hold nothing, and are woken from here.
//!
//! Invariants: a session stands here once, with the first time that it waits for; it is never woken before, and no task or
//! timer is its own. What is over, its state says: a wake too many does nothing. However many are due at once, only so many
//! are at work that were woken lately: each takes a seat, and gives it back when it rests or has had it for long.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use outlive_core::id::SessionId;
use outlive_core::time::Timestamp;
use outlive_store::{StoreError, WaitQuery};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Runtime;
use crate::clock::Moments;

/// Times at which sessions are to be woken.
#[derive(Clone)]
pub struct Scheduler {
    due: Arc<Mutex<Due>>,
    changed: Arc<Notify>,
    seats: Arc<Semaphore>,
}

impl Default for Scheduler {
    fn default() -> Self {
        Self { due: Arc::default(), changed: Arc::default(), seats: Arc::new(Semaphore::new(SEATS)) }
    }
}

/// Sessions that are at work at once of those that were woken lately.
pub const SEATS: usize = 256;
/// How long a session keeps its seat: a turn that takes longer keeps nobody waiting.
pub const SEATED: Duration = Duration::from_millis(500);

/// A woken session's, until it is dropped.
pub struct Seat {
    _seat: OwnedSemaphorePermit,
    /// When it is to be given to somebody else.
    pub(crate) until: Instant,
}

/// Earliest first, and each session's own.
#[derive(Default)]
struct Due {
    times: BTreeSet<(Timestamp, SessionId)>,
    of: HashMap<SessionId, Timestamp>,
}

/// Waits that are read at once when a runtime starts.
const PAGE: usize = 4_096;

impl Due {
    fn put(&mut self, due: Timestamp, session: SessionId) {
        if let Some(before) = self.of.insert(session, due) {
            self.times.remove(&(before, session));
        }
        self.times.insert((due, session));
    }

    fn pop(&mut self, now: Timestamp) -> Option<SessionId> {
        let (at, session) = *self.times.first().filter(|(at, _)| *at <= now)?;
        self.times.remove(&(at, session));
        self.of.remove(&session);
        Some(session)
    }
}

impl Scheduler {
    /// Wakes the session at this time or soon after, and at no other.
    pub fn at(&self, due: Timestamp, session: SessionId) {
        let mut all = self.lock();
        let first = all.times.first().map(|(at, _)| *at);
        all.put(due, session);
        // Whoever sleeps until something earlier need not hear of it.
        if first.is_none_or(|first| due < first) {
            self.changed.notify_one();
        }
    }

    /// Says whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().times.is_empty()
    }

    /// Reads what waits from the list, so that no session is opened for it.
    pub(crate) async fn fill(&self, store: &outlive_store::Store) -> Result<(), StoreError> {
        let mut query = WaitQuery { timed: true, limit: PAGE, ..WaitQuery::default() };
        loop {
            let page = store.index.waits(query.clone()).await?;
            let Some(last) = page.last() else { return Ok(()) };
            query.after = Some((last.over_at, last.wait));
            let mut due = self.lock();
            for row in &page {
                let at = Timestamp::from_micros(row.over_at.unwrap_or(i64::MAX));
                // The first of a session's.
                if due.of.get(&row.session).is_none_or(|before| at < *before) {
                    due.put(at, row.session);
                }
            }
            drop(due);
            self.changed.notify_one();
            if page.len() < PAGE {
                return Ok(());
            }
        }
    }

    /// Runs until the runtime is gone.
    pub(crate) async fn run(self, runtime: Weak<Runtime>, closing: CancellationToken) {
        let waking = async {
            while let Some(moments) = runtime.upgrade().map(|alive| alive.shell.moments.clone()) {
                match self.next_in(&moments) {
                    Some(Duration::ZERO) => self.wake_next(&runtime, &moments).await,
                    pause => tokio::select! {
                        biased;
                        () = self.changed.notified() => {}
                        () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
                    },
                }
            }
        };
        closing.run_until_cancelled(waking).await;
    }

    /// Returns how long to sleep before the next one is looked at again; nothing, where none waits.
    fn next_in(&self, moments: &Moments) -> Option<Duration> {
        let (due, _) = self.lock().times.first().copied()?;
        let now = moments.now();
        Some(if due <= now {
            Duration::ZERO
        } else {
            Duration::from_millis(due.ms_since(now) + 1).min(moments.longest())
        })
    }

    /// Wakes the first one that is due, once there is a seat for it.
    async fn wake_next(&self, runtime: &Weak<Runtime>, moments: &Moments) {
        let Ok(seat) = Arc::clone(&self.seats).acquire_owned().await else { return };
        let until = Instant::now() + SEATED;
        if let Some((runtime, session)) = runtime.upgrade().zip(self.take_due(moments.now())) {
            runtime.wake_soon(session, Seat { _seat: seat, until });
        }
    }

    fn take_due(&self, now: Timestamp) -> Option<SessionId> {
        self.lock().pop(now)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Due> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a set and a map of these take at the worst: nodes that are half full, and a table that has just grown.
    #[test]
    fn a_hundred_thousand_entries_take_less_than_fifty_megabytes() {
        let (in_order, by_session) = (size_of::<(Timestamp, SessionId)>(), size_of::<(SessionId, Timestamp)>() + 1);
        let edges = 2 * size_of::<usize>();
        let each = 2 * (in_order + edges) + by_session * 2 * 8 / 7;
        assert!(each * 100_000 < 50 << 20, "{each} bytes each");
    }
}
