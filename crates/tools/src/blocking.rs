//! Runs work that waits for files on a thread of its own.

use std::time::Duration;

use outlive_core::event::Outcome;

use crate::{Finished, Invocation, Pending};

/// Time for work that was stopped to say what it has until now.
const LAST_WORDS: Duration = Duration::from_millis(500);

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

/// Runs work that only looks. Once it is to stop it is not waited for: a file system that does not answer holds a thread, not
/// the call.
pub(crate) fn look(
    invocation: Invocation,
    work: fn(&Invocation) -> Result<String, String>,
) -> Pending<'static, Finished> {
    Box::pin(async move {
        let stop = invocation.stop.clone();
        let given_up = async {
            stop.cancelled().await;
            tokio::time::sleep(LAST_WORDS).await;
        };
        let worked = off_thread(move || work(&invocation).map_or_else(Finished::error, Finished::ok));
        let finished = tokio::select! {
            biased;
            finished = worked => finished,
            () = given_up => Finished::ok("[it was stopped]"),
        };
        if stop.is_cancelled() { Finished { outcome: Outcome::Interrupted, ..finished } } else { finished }
    })
}
