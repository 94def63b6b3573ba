//! Lines that are written anew: the journals' part of it, and what the words, the memories, the list and the artifacts have of what
//! they were.
//!
//! Invariant: the mark goes last, when nothing of the old lines is left anywhere.

use std::collections::BTreeMap;

use outlive_core::event::Line;
use outlive_core::id::{Seq, SessionId};

use super::trash::Bin;
use crate::files::scrub::Mark;
use crate::journals::in_place_of;
use crate::{Epoch, Journals as _, Row, StoreError};

impl Bin {
    /// Says whether something is left of what was to be erased.
    pub(super) fn is_owed(&self) -> bool {
        let is_done = |marks: Result<bool, StoreError>| marks == Ok(true);
        !is_done(self.journals.marks().map(|marks| marks.is_empty()))
            || !is_done(self.journals.scrubs().map(|marks| marks.is_empty()))
    }

    /// Puts lines in the place of those that have their seqs, for good.
    pub(super) async fn scrub(&self, journal: SessionId, epoch: Epoch, lines: Vec<Line>) -> Result<(), StoreError> {
        let _busy = self.busy.lock().await;
        let lines = in_place_of(journal, self.journals.head(journal).await?, lines)?;
        self.scrub_now(journal, epoch, lines).await
    }

    /// As [`Self::scrub`], of a journal in the trash. Whoever would bring it back, or erase it, waits.
    pub(super) async fn scrub_inside(&self, journal: SessionId, lines: Vec<Line>, row: Row) -> Result<(), StoreError> {
        let _busy = self.busy.lock().await;
        let lines = in_place_of(journal, row.head, lines)?;
        self.journals.shows_then(journal, row)?;
        self.scrub_now(journal, self.journals.lock().epoch(), lines).await
    }

    /// Whoever asks is `busy`.
    async fn scrub_now(&self, journal: SessionId, epoch: Epoch, lines: BTreeMap<Seq, Line>) -> Result<(), StoreError> {
        let done = match self.journals.scrub_files(journal, epoch, lines).await {
            Ok(()) => self.finish_scrubs(Some(journal)).await,
            Err(error) => Err(error),
        };
        if done.is_err() && self.is_owed() {
            self.owed.failed();
        }
        done
    }

    /// Goes on with what was marked before.
    pub(super) async fn scrub_marked(&self) -> Result<(), StoreError> {
        let _busy = self.busy.lock().await;
        for (journal, mark) in self.journals.scrubs()? {
            match self.journals.scrub_files(journal, self.journals.lock().epoch(), mark.lines).await {
                // What is gone took its lines with it.
                Ok(()) | Err(StoreError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        self.finish_scrubs(None).await
    }

    async fn finish_scrubs(&self, only: Option<SessionId>) -> Result<(), StoreError> {
        for (journal, mark) in self.journals.scrubs()? {
            if only.is_none_or(|only| only == journal) {
                self.finish_scrub(journal, &mark).await?;
            }
        }
        Ok(())
    }

    /// Takes what the lines were out of everything else, and the mark last.
    async fn finish_scrub(&self, journal: SessionId, mark: &Mark) -> Result<(), StoreError> {
        self.listed.index.erase().await?;
        self.listed.words.erase(journal).await?;
        // Nothing but these lines says what is remembered; whoever reads them anew measures their texts anew.
        if mark.lines.values().any(|line| line.as_str().contains("\"type\":\"memory.")) {
            self.listed.memories.erase(journal).await?;
        }
        match self.journals.head(journal).await {
            Ok(head) => {
                self.listed.words.tell(journal, head);
                self.listed.memories.tell(journal, head);
            }
            Err(StoreError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
        if !mark.artifacts.is_empty() {
            self.sweeping().unreferred(&mark.artifacts)?;
        }
        self.journals.scrubbed(journal)
    }
}
