//! The one clock-driven waker: sessions that wait for a time hold nothing, and are woken from here.
//!
//! Invariants: a session stands here once, with the first time that it waits for; it is never woken before, and no task or
//! timer is its own. What is over, its state says: a wake too many does nothing.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use outlive_core::id::SessionId;
use outlive_core::time::Timestamp;
use outlive_store::{StoreError, WaitQuery};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::Runtime;

/// Times at which sessions are to be woken.
#[derive(Clone, Default)]
pub struct Scheduler {
    due: Arc<Mutex<Due>>,
    changed: Arc<Notify>,
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
        while !closing.is_cancelled() {
            let Some(alive) = runtime.upgrade() else { return };
            while let Some(session) = self.take_due(alive.shell.moments.now()) {
                alive.wake_soon(session);
                // Whoever is woken has room to begin.
                tokio::task::yield_now().await;
            }
            let (now, longest) = (alive.shell.moments.now(), alive.shell.moments.longest());
            drop(alive);
            let pause = self.lock().times.first().map(|(due, _)| Duration::from_millis(due.ms_since(now) + 1));
            tokio::select! {
                biased;
                () = closing.cancelled() => {}
                () = self.changed.notified() => {}
                () = tokio::time::sleep(pause.unwrap_or_default().min(longest)), if pause.is_some() => {}
            }
        }
    }

    fn take_due(&self, now: Timestamp) -> Option<SessionId> {
        self.lock().pop(now)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Due> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
