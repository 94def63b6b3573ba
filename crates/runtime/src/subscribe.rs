//! Listening to one session: its journal from a position, then live, without a gap and without a repeat.
//!
//! The journal is the source; what is heard live only saves reading it. A listener that falls behind reads on from there.

use std::collections::VecDeque;

use outlive_core::content::Delta;
use outlive_core::event::{Entry, Line};
use outlive_core::id::{Seq, SessionId};
use outlive_store::{Store, StoreError};
use tokio::sync::broadcast::error::RecvError;

use crate::feeds::{Ear, Published};
use crate::load;

/// What a listener gets.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "events are what there is most of")]
pub enum Signal {
    /// The next event: its exact line, and what it says.
    Event(Line, Entry),
    /// All that the journal held has been given out: what comes next is live. Once.
    Live,
    /// A fragment of what runs now. May be lost.
    Delta(Delta),
}

/// One listener of one session.
pub struct Subscription {
    session: SessionId,
    store: Store,
    ear: Ear,
    cursor: Seq,
    ready: VecDeque<(Line, Entry)>,
    behind: bool,
    said_live: bool,
}

/// Lines read at once.
const PAGE: usize = 256;

impl Subscription {
    pub(crate) fn new(session: SessionId, store: Store, ear: Ear, after: Seq) -> Self {
        Self { session, store, ear, cursor: after, ready: VecDeque::new(), behind: true, said_live: false }
    }

    /// Returns the seq of the last event that was given out.
    #[must_use]
    pub fn cursor(&self) -> Seq {
        self.cursor
    }

    /// Waits for the next thing. `None` when the session or its engine is gone for good.
    ///
    /// Cancel safe: nothing is lost if the future is dropped.
    ///
    /// # Errors
    ///
    /// What the store says of the journal.
    pub async fn next(&mut self) -> Result<Option<Signal>, StoreError> {
        loop {
            if let Some((line, entry)) = self.ready.pop_front() {
                self.cursor = line.seq();
                return Ok(Some(Signal::Event(line, entry)));
            }
            if self.behind {
                self.read_on().await?;
                continue;
            }
            if !self.said_live {
                self.said_live = true;
                return Ok(Some(Signal::Live));
            }
            match self.ear.receiver.recv().await {
                Ok(Published::Events(events)) => self.take(&events),
                Ok(Published::Delta(delta)) => return Ok(Some(Signal::Delta(delta))),
                Err(RecvError::Lagged(_)) => self.behind = true,
                Ok(Published::Removed) | Err(RecvError::Closed) => return Ok(None),
            }
        }
    }

    async fn read_on(&mut self) -> Result<(), StoreError> {
        let lines = self.store.journals.read(self.session, self.cursor, PAGE).await?.lines;
        self.behind = !lines.is_empty();
        for line in lines {
            let entry = load::read(self.session, &line)?;
            self.ready.push_back((line, entry));
        }
        Ok(())
    }

    fn take(&mut self, events: &[(Line, Entry)]) {
        for (line, entry) in events.iter().filter(|(line, _)| line.seq() > self.cursor) {
            let expected = self.ready.back().map_or(self.cursor, |(last, _)| last.seq()) + 1;
            if line.seq() != expected {
                // What is missing lies in the journal.
                self.behind = true;
                return;
            }
            self.ready.push_back((line.clone(), entry.clone()));
        }
    }
}
