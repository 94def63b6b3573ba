//! The one clock-driven waker: sessions that wait for a time hold nothing, and are woken from here.
//!
//! Invariants: a session stands here once, with the first time that it waits for; it is never woken before, and no task or
//! timer is its own. What is over, its state says: a wake too many does nothing. However many are due at once, only so many
//! are at work that were woken lately: each takes a seat, and gives it back when it rests or has had it for long.
//!
//! However many wait, only the next ones are held: the list of waits has the others, and is read on before they are due.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use outlive_core::id::{SessionId, WaitId};
use outlive_core::time::Timestamp;
use outlive_store::{Store, StoreError, WaitQuery};
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
    /// Held by whoever reads on.
    reading: Arc<tokio::sync::Mutex<()>>,
}

impl Default for Scheduler {
    fn default() -> Self {
        let (due, changed, seats) = (Arc::default(), Arc::default(), Arc::new(Semaphore::new(SEATS)));
        Self { due, changed, seats, reading: Arc::default() }
    }
}

/// Sessions that are at work at once of those that were woken lately.
pub const SEATS: usize = 128;
/// How long a session keeps its seat: a turn that takes longer keeps nobody waiting.
pub const SEATED: Duration = Duration::from_millis(50);

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
    read: Read,
    /// While the list is read, all that is kept is held, too: it may be missing from what is read.
    is_read_now: bool,
}

/// How far the list of waits was read.
#[derive(Default, Clone, Copy, PartialEq)]
enum Read {
    /// Not at all.
    #[default]
    Nothing,
    /// Up to and including this one.
    To(Timestamp, WaitId),
    /// To its end.
    All,
}

/// Waits that are read at once.
const PAGE: usize = 4_096;
/// Times that are held, below which more are read.
const FEW: usize = PAGE / 4;
/// Pause before a list that could not be read is tried again.
const AGAIN: Duration = Duration::from_secs(1);

impl Due {
    fn put(&mut self, due: Timestamp, session: SessionId) {
        if let Some(before) = self.of.insert(session, due) {
            self.times.remove(&(before, session));
        }
        self.times.insert((due, session));
    }

    /// Says whether a time that the list has is to be held.
    fn holds(&self, due: Timestamp) -> bool {
        match self.read {
            Read::Nothing => self.is_read_now,
            Read::To(last, _) => self.is_read_now || due <= last,
            Read::All => true,
        }
    }

    /// Says whether what comes next may be in the part of the list that was not read.
    fn is_short(&self) -> bool {
        match self.read {
            Read::Nothing => true,
            Read::To(last, _) => self.times.len() < FEW || self.times.first().is_none_or(|(first, _)| *first >= last),
            Read::All => false,
        }
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
        self.put(self.lock(), due, session);
    }

    /// As [`Scheduler::at`], of a time that the list of waits has: far ahead, nothing is held of it.
    pub(crate) fn kept(&self, due: Timestamp, session: SessionId) {
        let all = self.lock();
        if all.holds(due) {
            self.put(all, due, session);
        }
    }

    fn put(&self, mut all: MutexGuard<'_, Due>, due: Timestamp, session: SessionId) {
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
        let all = self.lock();
        all.times.is_empty() && all.read == Read::All
    }

    /// Reads what waits from the beginning of the list, so that no session is opened for it.
    pub(crate) async fn fill(&self, store: &Store) -> Result<(), StoreError> {
        self.lock().read = Read::Nothing;
        self.read_on(store).await?;
        self.changed.notify_one();
        Ok(())
    }

    /// Reads the next part of the list.
    async fn read_on(&self, store: &Store) -> Result<(), StoreError> {
        let _one = self.reading.lock().await;
        let after = {
            let mut all = self.lock();
            let after = match all.read {
                Read::Nothing => None,
                Read::To(last, wait) => Some((Some(last.micros()), wait)),
                Read::All => return Ok(()),
            };
            all.is_read_now = true;
            after
        };
        let query = WaitQuery { timed: true, after, limit: PAGE, ..WaitQuery::default() };
        let page = store.index.waits(query).await;
        let mut all = self.lock();
        all.is_read_now = false;
        let page = page?;
        for row in &page {
            let at = Timestamp::from_micros(row.over_at.unwrap_or(i64::MAX));
            // The first of a session's.
            if all.of.get(&row.session).is_none_or(|before| at < *before) {
                all.put(at, row.session);
            }
        }
        all.read = match page.last().filter(|_| page.len() == PAGE) {
            Some(last) => Read::To(Timestamp::from_micros(last.over_at.unwrap_or(i64::MAX)), last.wait),
            None => Read::All,
        };
        Ok(())
    }

    /// Runs until the runtime is gone.
    pub(crate) async fn run(self, runtime: Weak<Runtime>, closing: CancellationToken) {
        let waking = async {
            while let Some((moments, store)) =
                runtime.upgrade().map(|alive| (alive.shell.moments.clone(), alive.shell.store.clone()))
            {
                let is_read = self.read_ahead(&store).await;
                let next = self.next_in(&moments);
                match if is_read { next } else { Some(next.map_or(AGAIN, |next| next.min(AGAIN))) } {
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

    /// Reads on until what comes next is held. Says whether it could.
    async fn read_ahead(&self, store: &Store) -> bool {
        while self.lock().is_short() {
            if let Err(error) = self.read_on(store).await {
                tracing::error!(%error, "what waits for its time cannot be read");
                return false;
            }
        }
        true
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

    fn lock(&self) -> MutexGuard<'_, Due> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use outlive_store::conformance::row;
    use outlive_store::{Awaiting, Row, WaitRow, memory};

    use super::*;

    fn session(n: u64) -> SessionId {
        SessionId::from_bits(u128::from(n))
    }

    fn at(n: u64) -> Timestamp {
        Timestamp::from_micros(i64::try_from(n).unwrap())
    }

    /// A session that waits until then.
    fn waits(n: u64, until: u64) -> Row {
        let (kind, wait) = (Awaiting::Wait, WaitId::from_bits(u128::from(n)));
        let over_at = Some(i64::try_from(until).unwrap());
        let wait = WaitRow { kind, wait, session: session(n), over_at, terms: String::new(), ended: false };
        Row { status: "sleeping".to_owned(), waits: vec![wait], ..row(session(n), 1, 1) }
    }

    /// Takes all that is due, in its order, as the clock goes on.
    async fn taken(scheduler: &Scheduler, store: &Store, now: Timestamp) -> Vec<SessionId> {
        let mut taken = Vec::new();
        loop {
            assert!(scheduler.read_ahead(store).await);
            let held = scheduler.lock().times.len();
            assert!(held <= PAGE + FEW, "{held} are held");
            match scheduler.take_due(now) {
                Some(session) => {
                    store.index.forget(session);
                    taken.push(session);
                }
                None => return taken,
            }
        }
    }

    #[tokio::test]
    async fn however_many_wait_few_are_held_and_all_are_woken_in_their_order() {
        let (store, _) = memory::store();
        let count = 3 * PAGE as u64 + 7;
        // Half of a page is due at the same time.
        let due = |n: u64| if (PAGE as u64..PAGE as u64 * 3 / 2).contains(&n) { PAGE as u64 } else { n };
        (1..=count).for_each(|n| store.index.note(waits(n, due(n))));
        let scheduler = Scheduler::default();
        scheduler.fill(&store).await.unwrap();
        assert_eq!(scheduler.lock().times.len(), PAGE);
        assert!(!scheduler.is_empty());
        let mut woken = taken(&scheduler, &store, at(100)).await;
        // What is armed meanwhile is woken, too, whether it is held or in the list alone.
        for (n, until) in [(count + 1, 200), (count + 2, count - 1)] {
            store.index.note(waits(n, until));
            scheduler.kept(at(until), session(n));
        }
        woken.extend(taken(&scheduler, &store, at(count)).await);
        let mut expected: Vec<u64> = (1..=count + 2).collect();
        expected.sort_by_key(|n| match n {
            n if *n == count + 1 => (200, *n),
            n if *n == count + 2 => (count - 1, *n),
            n => (due(*n), *n),
        });
        assert_eq!(woken, expected.into_iter().map(session).collect::<Vec<_>>());
        assert!(scheduler.is_empty());
    }

    #[tokio::test]
    async fn what_is_far_ahead_holds_nothing_until_it_is_read() {
        let (store, _) = memory::store();
        (1..=2 * PAGE as u64).for_each(|n| store.index.note(waits(n, n)));
        let scheduler = Scheduler::default();
        scheduler.fill(&store).await.unwrap();
        for n in 1..=10_000 {
            scheduler.kept(at(1_000_000 + n), session(1_000_000 + n));
        }
        assert_eq!(scheduler.lock().times.len(), PAGE);
        // What the list does not have is held wherever it stands.
        scheduler.at(at(2_000_000), session(5));
        assert_eq!(scheduler.lock().of.get(&session(5)), Some(&at(2_000_000)));
    }
}
