//! Deleting: into the trash, back out of it, and for good.
//!
//! Invariant: a session ends what it runs, and records how that ended, before it goes anywhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use outlive_core::digest::Digest;
use outlive_core::event::Origin;
use outlive_core::id::{RequestId, SessionId};
use outlive_core::session::Refusal;
use outlive_core::time::Timestamp;
use outlive_store::{Deed, Note, StoreError};
use tokio::sync::oneshot;

use crate::actor::Mail;
use crate::query::missing;
use crate::{BUSY_MS, Runtime, SubmitError, busy};

/// What becomes of a session that is removed.
#[derive(Debug)]
pub(crate) enum Removal {
    /// It goes to the trash.
    Trash {
        /// By whom.
        by: Origin,
        /// Digest of the request's name.
        request: Option<String>,
    },
    /// It is erased.
    ForGood {
        /// Digest of the request's name.
        request: Option<String>,
    },
}

/// When the trash was looked through last for what has lain there too long: microseconds since 1970.
#[derive(Debug, Default)]
pub(crate) struct LookedThrough(AtomicI64);

const DAY: i64 = 86_400_000_000;

fn digest(request: Option<&RequestId>) -> Option<String> {
    request.map(|request| Digest::of(request.as_str().as_bytes()).short().to_owned())
}

impl Runtime {
    /// Moves a session to the trash: what runs is ended first. The same request again has no second effect.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]
    pub async fn discard(
        self: &Arc<Self>,
        session: SessionId,
        by: Origin,
        request: Option<RequestId>,
    ) -> Result<(), SubmitError> {
        if self.was_done(session, request.as_ref(), Deed::Discarded).await? {
            return Ok(());
        }
        self.remove(session, Removal::Trash { by, request: digest(request.as_ref()) }).await?;
        // Journals may be read for it, which nobody waits for who deletes one session.
        if let Some(now) = self.looks_now() {
            let runtime = Arc::clone(self);
            self.shell.tasks.spawn("expiry", async move { runtime.expire_at(now).await });
        }
        Ok(())
    }

    /// Erases a session, wherever it is: what runs is ended first, and then nothing of it is left. The same request again
    /// has no second effect.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]; then it may be partly erased, and the same again, or the next start, goes on.
    pub async fn erase(&self, session: SessionId, request: Option<RequestId>) -> Result<(), SubmitError> {
        if self.was_done(session, request.as_ref(), Deed::Erased).await? {
            return Ok(());
        }
        let request = digest(request.as_ref());
        let removed = match self.shell.store.journals.head(session).await {
            Ok(_) => self.remove(session, Removal::ForGood { request: request.clone() }).await,
            Err(error) => Err(SubmitError::Store(error)),
        };
        match removed {
            // In the trash, or damaged: nobody can have it open.
            Err(SubmitError::Store(StoreError::NotFound(_) | StoreError::Corrupt { .. })) => {
                self.shell.store.trash.erase(vec![session], request).await.map_err(missing)
            }
            done => done,
        }?;
        self.shell.kits.erased(session);
        Ok(())
    }

    /// Brings a session back from the trash; what it is owed goes on.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]
    pub async fn restore(self: &Arc<Self>, session: SessionId) -> Result<(), SubmitError> {
        let runtime = Arc::clone(self);
        self.see_through(async move { runtime.bring_back(session).await }).await?
    }

    async fn bring_back(&self, session: SessionId) -> Result<(), SubmitError> {
        let alone = self.shell.door.erasing.lock().await;
        self.shell.store.trash.restore(session).await.map_err(missing)?;
        drop(alone);
        self.shell.feeds.restored(session);
        self.take_up(session).await;
        Ok(())
    }

    /// Returns what is in the trash, newest first.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub async fn discarded(&self) -> Result<Vec<Note>, StoreError> {
        self.shell.store.trash.discarded().await
    }

    /// Erases everything that is in the trash, and returns how many sessions that were.
    ///
    /// # Errors
    ///
    /// What the store says; what is left of it the same again, or the next start, goes on with.
    pub async fn empty_trash(&self) -> Result<usize, StoreError> {
        self.erase_where(|_| true).await
    }

    /// Goes on with what was being erased when the last process ended.
    pub(crate) async fn finish_erasing(&self) {
        if let Err(error) = self.shell.store.trash.erase(Vec::new(), None).await {
            tracing::error!(%error, "what was to be erased is not gone yet; the next start goes on");
        }
    }

    /// Erases what has lain in the trash too long, and files that were kept for a message that never came; looks at most
    /// once a day.
    pub(crate) async fn expire(&self) {
        if let Some(now) = self.looks_now() {
            self.expire_at(now).await;
        }
    }

    /// Says what the time is, to one caller a day.
    fn looks_now(&self) -> Option<i64> {
        let now = self.shell.moments.now().micros();
        let is_due = |last: i64| (now.saturating_sub(last) >= DAY).then_some(now);
        self.looked_through.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_due).is_ok().then_some(now)
    }

    async fn expire_at(&self, now: i64) {
        let keep = self.shell.settings.keep_deleted.and_then(|keep| i64::try_from(keep.as_micros()).ok());
        let is_due = |note: &Note| keep.is_some_and(|keep| now.saturating_sub(note.at.micros()) > keep);
        match self.erase_where(is_due).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "sessions erased that lay in the trash too long"),
            Err(error) => tracing::warn!(%error, "what lies in the trash too long could not be erased"),
        }
        match self.shell.store.trash.sweep(Timestamp::from_micros(now.saturating_sub(DAY))).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "artifacts removed that no session ever referred to"),
            Err(error) => tracing::warn!(%error, "artifacts that no session refers to could not be removed"),
        }
    }

    /// What was brought back meanwhile stays; what an earlier erasure left goes on.
    async fn erase_where(&self, is_due: impl Fn(&Note) -> bool) -> Result<usize, StoreError> {
        let mut due = self.discarded().await?;
        due.retain(is_due);
        let sessions: Vec<SessionId> = due.iter().map(|note| note.row.session).collect();
        let erased = self.shell.store.trash.erase_discarded(due).await?;
        sessions.into_iter().for_each(|session| self.shell.kits.erased(session));
        Ok(erased)
    }

    async fn was_done(
        &self,
        session: SessionId,
        request: Option<&RequestId>,
        asked: Deed,
    ) -> Result<bool, SubmitError> {
        let (Some(request), Some(digest)) = (request, digest(request)) else { return Ok(false) };
        let deed = self.shell.store.trash.answered(session, digest).await.map_err(SubmitError::Store)?;
        match deed {
            None => Ok(false),
            Some(deed) if deed == asked => Ok(true),
            Some(_) => Err(SubmitError::Refused(Refusal::RequestReused(request.clone()))),
        }
    }

    async fn remove(&self, session: SessionId, removal: Removal) -> Result<(), SubmitError> {
        let (reply, answer) = oneshot::channel();
        self.sessions.inbox(session, &self.shell).try_send(Mail::Remove(removal, reply)).map_err(busy)?;
        answer.await.map_err(|_gone| SubmitError::Busy { retry_after_ms: BUSY_MS })?
    }
}
