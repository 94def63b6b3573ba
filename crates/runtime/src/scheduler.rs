//! The one clock-driven waker: sessions that wait for a time hold nothing, and are woken from here.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use outlive_core::id::SessionId;
use outlive_core::time::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::Runtime;

/// Times at which sessions are to be woken. Waking too often is harmless: a session that is owed nothing does nothing.
#[derive(Clone, Default)]
pub struct Scheduler {
    due: Arc<Mutex<Due>>,
    changed: Arc<Notify>,
}

/// Earliest first.
type Due = BinaryHeap<Reverse<(Timestamp, SessionId)>>;

/// The longest sleep: a clock that is set forward is noticed within it.
const LONGEST: Duration = Duration::from_secs(3_600);

impl Scheduler {
    /// Wakes the session at this time or soon after.
    pub fn at(&self, due: Timestamp, session: SessionId) {
        self.lock().push(Reverse((due, session)));
        self.changed.notify_one();
    }

    /// Says whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Runs until the runtime is gone.
    pub(crate) async fn run(self, runtime: Weak<Runtime>, closing: CancellationToken) {
        while !closing.is_cancelled() {
            let Some(alive) = runtime.upgrade() else { return };
            let now = alive.shell.moments.now();
            for session in self.take_due(now) {
                alive.wake(session).await;
            }
            drop(alive);
            let pause = self.lock().peek().map(|Reverse((due, _))| Duration::from_millis(due.ms_since(now) + 1));
            tokio::select! {
                biased;
                () = closing.cancelled() => {}
                () = self.changed.notified() => {}
                () = tokio::time::sleep(pause.unwrap_or_default().min(LONGEST)), if pause.is_some() => {}
            }
        }
    }

    fn take_due(&self, now: Timestamp) -> Vec<SessionId> {
        let mut due = self.lock();
        let mut sessions = Vec::new();
        while due.peek().is_some_and(|Reverse((at, _))| *at <= now) {
            sessions.extend(due.pop().map(|Reverse((_, session))| session));
        }
        sessions
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Due> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
