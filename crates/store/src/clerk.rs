//! A thread that alone touches a file, from outside of it: what it is asked waits for its turn.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{Semaphore, oneshot};

use crate::StoreError;

/// Questions that may wait for the thread; more wait for their turn.
const QUESTIONS: usize = 64;

/// Where an answer goes.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// The way to a thread that does jobs of this kind. It ends with its clerk.
pub(crate) struct Clerk<J> {
    file: &'static str,
    jobs: Mutex<Option<SyncSender<J>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    permits: Semaphore,
}

impl<J: Send + 'static> Clerk<J> {
    /// Starts the thread that keeps this file: it works until its jobs end.
    pub(crate) fn start(
        file: &'static str,
        work: impl FnOnce(Receiver<J>) + Send + 'static,
    ) -> Result<Self, StoreError> {
        let (sender, receiver) = sync_channel(QUESTIONS * 2);
        let thread = std::thread::Builder::new().name(file.to_owned()).spawn(move || work(receiver));
        let thread =
            thread.map_err(|error| StoreError::Io { what: "start a thread".to_owned(), why: error.to_string() })?;
        let (jobs, thread) = (Mutex::new(Some(sender)), Mutex::new(Some(thread)));
        Ok(Self { file, jobs, thread, permits: Semaphore::new(QUESTIONS) })
    }

    /// Puts a job before the thread, if it has room for one.
    pub(crate) fn send(&self, job: J) -> Result<(), StoreError> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.as_ref().ok_or_else(|| self.closed())?.try_send(job).map_err(|_| self.closed())
    }

    pub(crate) async fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> J) -> Result<T, StoreError> {
        let _permit = self.permits.acquire().await.map_err(|_| self.closed())?;
        let (reply, answer) = oneshot::channel();
        self.send(job(reply))?;
        answer.await.map_err(|_| self.closed())?
    }

    /// Asks, and blocks until the answer: not for async tasks.
    pub(crate) fn ask_blocking<T>(&self, job: impl FnOnce(Reply<T>) -> J) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(job(reply))?;
        answer.blocking_recv().map_err(|_| self.closed())?
    }

    fn closed(&self) -> StoreError {
        StoreError::Io { what: self.file.to_owned(), why: "its thread is closed or overrun".to_owned() }
    }
}

impl<J> Clerk<J> {
    /// Ends the thread, once it has done what it has before it. Blocks.
    pub(crate) fn close(&self) {
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
            && thread.join().is_err()
        {
            tracing::error!(file = self.file, "the thread that keeps this file panicked");
        }
    }
}

impl<J> Drop for Clerk<J> {
    fn drop(&mut self) {
        self.close();
    }
}
