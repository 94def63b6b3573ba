//! Every task has a name, an owner and an end: they are spawned here and nowhere else.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll};

use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

/// The tasks of one runtime.
#[derive(Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    fuse: Option<Arc<Fuse>>,
}

/// Stops all tasks of a runtime dead after a number of polls, as a power cut would: what they were doing stays undone.
/// Only tests light one.
#[derive(Debug)]
pub struct Fuse(AtomicI64);

impl Fuse {
    /// Burns for this many polls.
    #[must_use]
    pub fn of(polls: i64) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(polls)))
    }

    /// Says whether everything has stopped.
    #[must_use]
    pub fn burnt(&self) -> bool {
        self.0.load(Ordering::Relaxed) <= 0
    }

    /// Stops everything now.
    pub fn cut(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

impl Tasks {
    /// Tasks that stop dead when the fuse has burnt.
    #[must_use]
    pub fn with_fuse(fuse: Arc<Fuse>) -> Self {
        Self { tracker: TaskTracker::new(), fuse: Some(fuse) }
    }

    /// Runs a future as a task named `name`. Its panic is logged and ends only itself.
    pub fn spawn<F>(&self, name: &'static str, future: F) -> tokio::task::AbortHandle
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let fused = Fused { name, fuse: self.fuse.clone(), inner: Box::pin(future) };
        self.tracker.spawn(fused.instrument(tracing::debug_span!("task", name))).abort_handle()
    }

    /// Waits until all tasks have ended; none may be spawned any more.
    pub async fn ended(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

/// Runs a future to its end on a thread apart, so that what takes long keeps nobody else waiting. Its panic goes on here.
#[expect(clippy::disallowed_methods, reason = "the one place of this crate that hands work to a thread, and awaits it")]
pub(crate) async fn apart<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let executor = tokio::runtime::Handle::current();
    match tokio::task::spawn_blocking(move || executor.block_on(work)).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The executor is shutting down: nobody waits any more.
        Err(_stopping) => std::future::pending().await,
    }
}

struct Fused {
    name: &'static str,
    fuse: Option<Arc<Fuse>>,
    inner: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Future for Fused {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if let Some(fuse) = &self.fuse
            && fuse.0.fetch_sub(1, Ordering::Relaxed) <= 0
        {
            return Poll::Pending;
        }
        let inner = self.inner.as_mut();
        // Caught here and not by a second task that waits for this one: waking two at once wakes another thread.
        match std::panic::catch_unwind(AssertUnwindSafe(|| inner.poll(context))) {
            Ok(polled) => polled,
            Err(_panic) => {
                tracing::error!(name = self.name, "task panicked");
                Poll::Ready(())
            }
        }
    }
}
