//! Listening to one session: its journal from a position, then live, without a gap and without a repeat.
//!
//! The journal is the source; what is heard live only saves reading it. A listener that falls behind reads on from there.
//! Whoever joins what runs is first given, as one fragment, all that it has said so far.

use std::collections::VecDeque;

use outlive_core::content::{Delta, SoFar};
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
    /// A fragment of what runs now. May be lost; then one follows that replaces all before it.
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
    /// What runs has said before this listener joined.
    so_far: Option<SoFar>,
}

/// Lines read at once.
const PAGE: usize = 256;

impl Subscription {
    pub(crate) fn new(session: SessionId, store: Store, ear: Ear, after: Seq) -> Self {
        Self {
            session,
            store,
            ear,
            cursor: after,
            ready: VecDeque::new(),
            behind: true,
            said_live: false,
            so_far: None,
        }
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
                let is_all = self.read_on().await?;
                if is_all && !self.join() {
                    return Ok(None);
                }
                continue;
            }
            if !self.said_live {
                self.said_live = true;
                return Ok(Some(Signal::Live));
            }
            if let Some(so_far) = self.so_far.take() {
                return Ok(Some(Signal::Delta(so_far.into())));
            }
            match self.ear.receiver.recv().await {
                Ok(Published::Events(events)) => self.take(&events),
                Ok(Published::Delta(delta)) => return Ok(Some(Signal::Delta(delta))),
                Ok(Published::Written(_)) | Err(RecvError::Lagged(_)) => self.behind = true,
                Ok(Published::Removed) | Err(RecvError::Closed) => return Ok(None),
            }
        }
    }

    /// Says whether that was all there is.
    async fn read_on(&mut self) -> Result<bool, StoreError> {
        let lines = self.store.journals.read(self.session, self.cursor, PAGE).await?.lines;
        let is_all = lines.is_empty();
        for line in lines {
            let entry = load::read(self.session, &line)?;
            self.ready.push_back((line, entry));
        }
        Ok(is_all)
    }

    /// Goes on live, unless more was told than was read; says whether there still is a session.
    fn join(&mut self) -> bool {
        let joined = self.ear.join();
        self.behind = joined.head > self.cursor;
        // If the journal was ahead of what is told, what runs may be over: `take` finds out.
        self.so_far = joined.so_far.filter(|_| joined.head == self.cursor);
        !joined.is_removed
    }

    fn take(&mut self, events: &[(Line, Entry)]) {
        if events.first().is_some_and(|(line, _)| line.seq() <= self.cursor) {
            // It was read before it was told. Now that it is told, what runs is known.
            self.behind = true;
            return;
        }
        for (line, entry) in events {
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
