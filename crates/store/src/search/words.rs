//! The words on SQLite, from outside of their thread: to be told of a head costs its caller a lock and a map entry, and of
//! lines an addition.

use std::path::Path;
use std::sync::Arc;

use outlive_core::id::{Seq, SessionId};

use super::keeper::{Job, Keeper, Truth};
use super::text::Asked;
use super::told::Told;
use super::{Catching, Found, Search, SearchQuery};
use crate::clerk::Clerk;
use crate::{Pending, StoreError};

/// The words of all messages, on SQLite.
pub(crate) struct Words {
    told: Arc<Told>,
    clerk: Clerk<Job>,
}

impl Words {
    /// Starts the thread that keeps the words at this path. The file is opened later: a start does not wait for it.
    pub(crate) fn open(path: &Path, truth: Truth) -> Result<Arc<Self>, StoreError> {
        let told = Arc::<Told>::default();
        let keeper = Keeper::new(path, truth, Arc::clone(&told));
        Ok(Arc::new(Self { told, clerk: Clerk::start("search.db", move |jobs| keeper.run(&jobs))? }))
    }

    /// Says that so many bytes of lines were appended, of which heads will be told.
    pub(crate) fn grew(&self, bytes: usize) {
        self.told.grew(bytes);
    }

    /// Says that a session's journal has come to this head.
    pub(crate) fn tell(&self, session: SessionId, head: Seq) {
        if self.told.head(session, head) {
            // With the channel full, the thread has other work, after which it looks anyway.
            self.clerk.send(Job::Follow).ok();
        }
    }

    /// Takes out a session that was removed: nothing of it is left in any file.
    pub(crate) async fn erase(&self, session: SessionId) -> Result<(), StoreError> {
        self.told.gone(session);
        self.clerk.ask(Job::Erase).await
    }

    /// Ends the thread. Blocks. What it has not followed yet, it finds at the next start.
    pub(crate) fn close(&self) {
        self.clerk.close();
    }
}

impl Search for Words {
    fn find(&self, query: SearchQuery) -> Pending<'_, Result<Found, StoreError>> {
        Box::pin(async move {
            let asked = Asked::read(&query.text)?;
            self.clerk.ask(move |reply| Job::Find(asked, query, reply)).await
        })
    }

    fn catching(&self) -> Pending<'_, Result<Catching, StoreError>> {
        Box::pin(self.clerk.ask(Job::Catching))
    }

    fn begin_anew(&self) -> Pending<'_, Result<Catching, StoreError>> {
        Box::pin(self.clerk.ask(Job::BeginAnew))
    }
}
