//! Runs work that waits for files on a thread of its own.

use crate::Finished;

/// Runs `work` off the executor's threads and returns what it gives. A panic of it is passed on to the caller.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place of this crate that hands blocking work to a thread, and awaits it"
)]
pub(crate) async fn off_thread(work: impl FnOnce() -> Finished + Send + 'static) -> Finished {
    match tokio::task::spawn_blocking(work).await {
        Ok(finished) => finished,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_stopping) => Finished::error("the server is stopping; the call may not have been done"),
    }
}
