//! Moving through history: forks and rewinds, for which more of the journal is read than a live session knows.

use std::sync::Arc;

use outlive_core::command::{Command, Fork, Rewind};
use outlive_core::event::{Origin, Parent};
use outlive_core::id::{RequestId, Seq, SessionId};
use outlive_core::limits::FORK_BYTES;
use outlive_core::session::Refusal;

use crate::query::missing;
use crate::{Accepted, Runtime, SubmitError, load};

/// A fork to make.
#[derive(Debug, Clone, PartialEq)]
pub struct NewFork {
    /// The new session.
    pub session: SessionId,
    /// The other one, and the last event that both will share; `None` for its head.
    pub of: (SessionId, Option<Seq>),
    /// Another name for people.
    pub title: Option<String>,
    /// By whom.
    pub by: Origin,
}

impl Runtime {
    /// Makes a session that begins as another one did.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]; then there is no such session.
    pub async fn fork(self: &Arc<Self>, fork: NewFork, request: Option<RequestId>) -> Result<Accepted, SubmitError> {
        let runtime = Arc::clone(self);
        // Whoever asked may be gone: it is held on to what it has read until that is written.
        self.see_through(async move { runtime.fork_alone(fork, request).await }).await?
    }

    async fn fork_alone(&self, fork: NewFork, request: Option<RequestId>) -> Result<Accepted, SubmitError> {
        // What is erased is erased before it is read here, or after it is written.
        let _alone = self.shell.door.erasing.lock().await;
        let NewFork { session, of: (parent, at), title, by } = fork;
        if request.is_some() && self.head(session).await.is_ok() {
            // It was made already, whatever has become of the other one since: the session itself knows for whom.
            let parent = Parent { session: parent, seq: at.unwrap_or_default() };
            let command = Command::Fork(Fork { parent, at, entries: Arc::default(), title, by });
            return self.submit(session, command, request).await;
        }
        let head = self.head(parent).await?;
        let seq = at.unwrap_or(head);
        if seq == 0 || seq > head {
            return Err(refused("seq_out_of_range", format!("at_seq is 1 to {head}, not {seq}")));
        }
        let bytes = self.bytes_up_to(parent, seq).await?;
        if bytes > FORK_BYTES {
            let what = format!("the events up to {seq} have {bytes} bytes, of {FORK_BYTES} that a fork may share");
            return Err(refused("fork_too_large", what));
        }
        let entries = Arc::new(load::entries(&self.shell.store, parent, seq).await.map_err(missing)?);
        let parent = Parent { session: parent, seq };
        self.submit(session, Command::Fork(Fork { parent, at, entries, title, by }), request).await
    }

    /// Lets a session go on from an earlier event.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]; then nothing has changed.
    pub async fn rewind(
        &self,
        session: SessionId,
        to_seq: Seq,
        (by, request): (Origin, Option<RequestId>),
    ) -> Result<Accepted, SubmitError> {
        let (then, calm) = load::state_at(&self.shell.store, session, to_seq).await.map_err(missing)?;
        let command = Command::Rewind(Rewind { to_seq, then: Arc::new(then), calm, by });
        self.submit(session, command, request).await
    }

    async fn bytes_up_to(&self, session: SessionId, seq: Seq) -> Result<usize, SubmitError> {
        let (mut bytes, mut at) = (0, 0);
        while at < seq && bytes <= FORK_BYTES {
            let lines = self.entries(session, at, 1_024).await?;
            let Some(last) = lines.last() else { break };
            at = last.seq();
            bytes += lines.iter().filter(|line| line.seq() <= seq).map(|line| line.as_str().len()).sum::<usize>();
        }
        Ok(bytes)
    }
}

fn refused(code: &'static str, what: String) -> SubmitError {
    SubmitError::Refused(Refusal::Invalid { code, what })
}
