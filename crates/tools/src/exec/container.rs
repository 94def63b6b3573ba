//! Runs a command in a container of its own, from its making to its removal.
//!
//! Invariant: when [`run`] returns or is dropped, the container is removed, or the engine was told to.

use std::time::Duration;

use tokio::time::Instant;

use super::output::{Capture, Pipe};
use super::{Ending, Job, LINGER, Ran};
use crate::Sink;
use crate::sandbox::docker::{Engine, Frames, Stream};

/// Time to end by itself after the polite signal.
const POLITE: Duration = Duration::from_secs(1);
/// Time for the engine to end it after the other one.
const FORCED: Duration = Duration::from_secs(10);

/// A container; dropped, it is let go of.
struct Container<'a> {
    engine: &'a Engine,
    id: String,
    is_there: bool,
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        if self.is_there {
            self.engine.let_go(&self.id);
        }
    }
}

/// Runs the container to its end.
///
/// # Errors
///
/// Why it was not started.
pub(super) async fn run(
    engine: &Engine,
    container: &serde_json::Value,
    job: &Job<'_>,
    capture: Capture,
) -> Result<Ran, String> {
    let began = Instant::now();
    let made = engine.create(container).await?;
    let mut container = Container { engine, id: made.id, is_there: true };
    let frames = engine.attach(&container.id).await?;
    engine.start(&container.id).await?;
    let mut told = Told { frames: Some(frames), capture, sink: &job.invocation.sink };
    let deadline = began + job.limit;
    let ended = tokio::select! {
        biased;
        () = job.invocation.stop.cancelled() => Err(Ending::Stopped),
        () = tokio::time::sleep_until(deadline) => Err(Ending::TimedOut),
        code = told.until(engine.wait(&container.id)) => Ok(code),
    };
    if ended.is_err() {
        told.end(engine, &container.id).await;
    }
    told.drain().await;
    told.close();
    let removed = engine.remove(&container.id).await;
    container.is_there = removed.is_err();
    let ending = match ended {
        Ok(Ok(code)) => Ending::Exited(code),
        // It ran, and how it ended is not known: never a success.
        Ok(Err(why)) => {
            tracing::warn!(why, "how a container ended is not known");
            Ending::Signalled(0)
        }
        Err(ending) => ending,
    };
    let immortal = usize::from(removed.is_err());
    Ok(Ran { ending, output: told.capture.finish(), leftovers: 0, immortal, took: began.elapsed() })
}

/// What a container says.
struct Told<'a> {
    frames: Option<Frames>,
    capture: Capture,
    sink: &'a Sink,
}

impl Told<'_> {
    /// Takes what comes until `done`.
    async fn until<T>(&mut self, done: impl Future<Output = T>) -> T {
        tokio::pin!(done);
        loop {
            tokio::select! {
                biased;
                value = &mut done => return value,
                () = self.piece(), if self.frames.is_some() => {}
            }
        }
    }

    /// Ends it, politely and then not.
    async fn end(&mut self, engine: &Engine, id: &str) {
        for (signal, patience) in [("SIGTERM", POLITE), ("SIGKILL", FORCED)] {
            // One that has ended meanwhile cannot be killed, and need not be.
            drop(engine.kill(id, signal).await);
            let waited = tokio::time::timeout(patience, self.until(engine.wait(id))).await;
            if waited.is_ok() {
                return;
            }
        }
    }

    async fn drain(&mut self) {
        let all = async {
            while self.frames.is_some() {
                self.piece().await;
            }
        };
        let _held = tokio::time::timeout(LINGER, all).await;
    }

    /// Shows what was held back.
    fn close(&mut self) {
        let text = self.capture.close();
        if !text.is_empty() {
            (self.sink)(text);
        }
    }

    async fn piece(&mut self) {
        let Some(frames) = &mut self.frames else { return };
        match frames.piece().await {
            Ok(Some((from, piece))) => {
                let pipe = match from {
                    Stream::Out => Pipe::Out,
                    Stream::Err => Pipe::Err,
                };
                let text = self.capture.take(pipe, &piece);
                if !text.is_empty() {
                    (self.sink)(text);
                }
            }
            Ok(None) | Err(_) => self.frames = None,
        }
    }
}
