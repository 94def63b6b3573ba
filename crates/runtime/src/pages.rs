//! A journal read from its end: the newest page first, then those before it. What is older than a page is not read.

use std::collections::VecDeque;

use outlive_core::context::{MessageItem, fold_messages};
use outlive_core::event::{Aside, Entry, Line};
use outlive_core::id::{Seq, SessionId};
use outlive_store::StoreError;

use crate::{Runtime, SubmitError, load};

/// Lines read at once to find messages among them.
const PAGE: Seq = 512;

impl Runtime {
    /// Returns the last `limit` lines of a session's journal before a position, in order.
    ///
    /// # Errors
    ///
    /// As for [`Runtime::entries`].
    pub async fn entries_before(
        &self,
        session: SessionId,
        before: Seq,
        limit: usize,
    ) -> Result<Vec<Line>, SubmitError> {
        let after = before.saturating_sub(1).saturating_sub(limit as Seq);
        let mut lines = self.entries(session, after, limit).await?;
        lines.retain(|line| line.seq() < before);
        Ok(lines)
    }

    /// Returns the last `limit` messages of the transcript before a position, oldest first.
    ///
    /// # Errors
    ///
    /// As for [`Runtime::messages`].
    pub async fn messages_before(
        &self,
        session: SessionId,
        before: Seq,
        limit: usize,
    ) -> Result<Vec<MessageItem>, SubmitError> {
        let state = self.view(session).await?;
        let aside = state.profile.as_ref().map(|profile| profile.aside.as_slice()).unwrap_or_default();
        let (mut items, mut at) = (VecDeque::new(), before);
        while items.len() < limit && at > 1 {
            let after = at.saturating_sub(1).saturating_sub(PAGE);
            let lines = self.entries_before(session, at, PAGE as usize).await?;
            let entries: Result<Vec<Entry>, StoreError> = lines.iter().map(|line| load::read(session, line)).collect();
            let page = fold_messages(&entries.map_err(SubmitError::Store)?);
            page.into_iter().rev().for_each(|item| items.push_front(item));
            at = after + 1;
        }
        let mut items: Vec<MessageItem> = items.into();
        items.drain(..items.len().saturating_sub(limit));
        items.iter_mut().for_each(|item| item.set_aside = Aside::holds(aside, item.seq));
        Ok(items)
    }
}
