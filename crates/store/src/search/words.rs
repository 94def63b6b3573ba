//! The words on SQLite, from outside of their thread: to be told of a head costs its caller a lock and a map entry, and of
//! lines an addition.

use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use outlive_core::id::{Seq, SessionId};
use tokio::sync::{Semaphore, oneshot};

use super::keeper::{Job, Keeper, Reply, Truth};
use super::text::Asked;
use super::told::Told;
use super::{Catching, Found, Search, SearchQuery};
use crate::{Pending, StoreError};

/// Questions that may wait for the thread; more wait for their turn.
const QUESTIONS: usize = 64;

/// The words of all messages, on SQLite.
pub(crate) struct Words {
    told: Arc<Told>,
    jobs: Mutex<Option<SyncSender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    permits: Semaphore,
}

impl Words {
    /// Starts the thread that keeps the words at this path. The file is opened later: a start does not wait for it.
    pub(crate) fn open(path: &Path, truth: Truth) -> Result<Arc<Self>, StoreError> {
        let (sender, receiver) = sync_channel(QUESTIONS * 2);
        let told = Arc::<Told>::default();
        let keeper = Keeper::new(path, truth, (Arc::clone(&told), receiver));
        let thread = std::thread::Builder::new().name("words".to_owned()).spawn(move || keeper.run());
        let thread =
            thread.map_err(|error| StoreError::Io { what: "start a thread".to_owned(), why: error.to_string() })?;
        Ok(Arc::new(Self {
            told,
            jobs: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(thread)),
            permits: Semaphore::new(QUESTIONS),
        }))
    }

    /// Says that so many bytes of lines were appended, of which heads will be told.
    pub(crate) fn grew(&self, bytes: usize) {
        self.told.grew(bytes);
    }

    /// Says that a session's journal has come to this head.
    pub(crate) fn tell(&self, session: SessionId, head: Seq) {
        if self.told.head(session, head) {
            // With the channel full, the thread has other work, after which it looks anyway.
            self.send(Job::Follow).ok();
        }
    }

    /// Takes out a session that was removed: nothing of it is left in any file.
    pub(crate) async fn erase(&self, session: SessionId) -> Result<(), StoreError> {
        self.told.gone(session);
        self.ask(Job::Erase).await
    }

    /// Ends the thread. Blocks. What it has not followed yet, it finds at the next start.
    pub(crate) fn close(&self) {
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
            && thread.join().is_err()
        {
            tracing::error!("the words' thread panicked");
        }
    }

    fn send(&self, job: Job) -> Result<(), StoreError> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.as_ref().ok_or_else(closed)?.try_send(job).map_err(|_| closed())
    }

    async fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, StoreError> {
        let _permit = self.permits.acquire().await.map_err(|_| closed())?;
        let (reply, answer) = oneshot::channel();
        self.send(job(reply))?;
        answer.await.map_err(|_| closed())?
    }
}

fn closed() -> StoreError {
    StoreError::Io { what: "search.db".to_owned(), why: "the search is closed or overrun".to_owned() }
}

impl Drop for Words {
    fn drop(&mut self) {
        self.close();
    }
}

impl Search for Words {
    fn find(&self, query: SearchQuery) -> Pending<'_, Result<Found, StoreError>> {
        Box::pin(async move {
            let asked = Asked::read(&query.text)?;
            self.ask(move |reply| Job::Find(asked, query, reply)).await
        })
    }

    fn catching(&self) -> Pending<'_, Result<Catching, StoreError>> {
        Box::pin(self.ask(Job::Catching))
    }

    fn begin_anew(&self) -> Pending<'_, Result<Catching, StoreError>> {
        Box::pin(self.ask(Job::BeginAnew))
    }
}
