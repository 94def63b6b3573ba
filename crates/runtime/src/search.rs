//! Finds what was said, and makes the list and the words anew from the journals.

use std::collections::BTreeSet;

use outlive_core::id::SessionId;
use outlive_store::{Catching, Found, ListQuery, Row, SearchQuery, Sort, Store, StoreError};

use crate::{Runtime, list, load};

/// Rows of the list that are looked at together.
const PAGE: usize = 1_000;

impl Runtime {
    /// Finds messages by their words.
    ///
    /// # Errors
    ///
    /// [`StoreError::Refused`] for too many words, or what the store says.
    pub async fn search(&self, query: SearchQuery) -> Result<Found, StoreError> {
        self.shell.store.search.find(query).await
    }

    /// Returns the rows of these sessions, in no order.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub async fn rows(&self, sessions: Vec<SessionId>) -> Result<Vec<Row>, StoreError> {
        self.shell.store.index.rows(sessions).await
    }

    /// Says how far the search has followed the journals.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub async fn catching(&self) -> Result<Catching, StoreError> {
        self.shell.store.search.catching().await
    }

    /// Makes the list anew from the journals, and begins the words anew: [`Runtime::catching`] says how far they are.
    ///
    /// # Errors
    ///
    /// What the store says. A session that cannot be read keeps the row that it has.
    pub async fn reindex(&self) -> Result<Catching, StoreError> {
        let store = &self.shell.store;
        let there: BTreeSet<SessionId> = store.directory.sessions().await?.into_iter().collect();
        for session in &there {
            match load::state(store, *session).await {
                // Whoever has it open keeps its row.
                Ok(loaded) if loaded.state.head > 0 && !self.is_live(*session) => {
                    store.index.note(list::row(&self.shell, (*session, &loaded.state)));
                    // Removed meanwhile.
                    if is_gone(store, *session).await {
                        store.index.forget(*session);
                    }
                }
                Ok(_) => {}
                Err(error) => tracing::error!(%session, %error, "session not listed anew"),
            }
        }
        let mut query = ListQuery { sort: Sort::Created, ascending: true, limit: PAGE, ..ListQuery::default() };
        loop {
            let rows = store.index.list(query.clone()).await?;
            let gone = rows.iter().map(|row| row.session).filter(|session| !there.contains(session));
            for session in gone.collect::<Vec<_>>() {
                // One that was made meanwhile has a journal.
                if is_gone(store, session).await {
                    store.index.forget(session);
                }
            }
            query.after = rows.last().filter(|_| rows.len() == PAGE).map(|last| last.place(Sort::Created));
            if query.after.is_none() {
                break;
            }
        }
        store.search.begin_anew().await
    }
}

async fn is_gone(store: &Store, session: SessionId) -> bool {
    matches!(store.journals.head(session).await, Err(StoreError::NotFound(_)))
}
