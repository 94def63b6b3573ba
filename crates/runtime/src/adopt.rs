//! Conversations of other programs come in: each becomes a session of its own, once.

use std::sync::Arc;
use std::time::Duration;

use outlive_core::command::Command;
use outlive_core::event::{Entry, Event};
use outlive_core::id::{RequestId, Seq, SessionId};
use outlive_core::import::{Adopted, DIGEST_LABEL};
use outlive_core::session::Refusal;

use crate::{Runtime, SubmitError, load};

/// How long the vocabulary is waited for that counts a conversation, and the time between two looks.
const PATIENCE: Duration = Duration::from_secs(10);
const MOMENT: Duration = Duration::from_millis(20);

/// What became of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    /// Its session.
    pub session: SessionId,
    /// Whether the session was there already: imported before, and perhaps gone on with since.
    pub already: bool,
    /// The session's head.
    pub head: Seq,
}

impl Runtime {
    /// Makes a session of a conversation of another program: all of it or nothing. The same conversation is the same
    /// session, and is not touched again.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]; [`Refusal::Exists`] where the session has another beginning.
    pub async fn adopt(&self, adopted: Adopted, request: Option<RequestId>) -> Result<Arrived, SubmitError> {
        let talk = Arc::clone(&adopted.talk);
        let session = talk.session();
        self.await_counter().await;
        match self.submit(session, Command::Adopt(adopted), request).await {
            Ok(accepted) => Ok(Arrived { session, already: accepted.duplicate, head: accepted.head }),
            Err(SubmitError::Refused(Refusal::Exists))
                if self.began_with(session, talk.source.digest.short()).await? =>
            {
                Ok(Arrived { session, already: true, head: self.head(session).await? })
            }
            Err(error) => Err(error),
        }
    }

    /// What is counted roughly is counted anew each time that it is read: what comes whole is worth a short wait.
    async fn await_counter(&self) {
        let counter = self.shell.kits.scales().counter();
        let mut left = PATIENCE;
        while counter.is_coming() && !left.is_zero() {
            tokio::time::sleep(MOMENT).await;
            left = left.saturating_sub(MOMENT);
        }
    }

    /// Says whether a session was imported with this digest.
    async fn began_with(&self, session: SessionId, digest: &str) -> Result<bool, SubmitError> {
        let lines = self.entries(session, 0, 1).await?;
        let Some(first) = lines.first() else { return Ok(false) };
        let first: Entry = load::read(session, first).map_err(SubmitError::Store)?;
        let Event::SessionCreated(created) = first.event else { return Ok(false) };
        Ok(created.labels.get(DIGEST_LABEL).is_some_and(|found| found == digest))
    }
}
