//! What is asked about waits, whichever session has them.

use outlive_core::command::{Command, WaitCommand};
use outlive_core::event::Origin;
use outlive_core::id::{RequestId, SessionId, WaitId};
use outlive_core::session::{PastWait, Refusal, Wait};
use outlive_store::{Awaiting, StoreError, WaitQuery, WaitRow};

use crate::{Accepted, Runtime, SubmitError};

/// A wait, and the session that has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    /// The session.
    pub session: SessionId,
    /// Where it stands in the list.
    pub place: (Option<i64>, WaitId),
    /// What it is.
    pub wait: Wait,
}

impl Runtime {
    /// Returns what sessions wait for, the first to end first.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub async fn waits(&self, query: WaitQuery) -> Result<Vec<Waiting>, StoreError> {
        let query = WaitQuery { kind: Some(Awaiting::Wait), ..query };
        let rows = self.shell.store.index.waits(query).await?;
        let read = |row: WaitRow| {
            // Written here, it can be read here.
            let wait = serde_json::from_str(&row.terms).ok()?;
            Some(Waiting { session: row.session, place: (row.over_at, row.wait), wait })
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }

    /// Ends a wait otherwise than by itself, or lets it end at another time.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]: one that ended already says how.
    pub async fn end_wait(
        &self,
        what: WaitCommand,
        by: Origin,
        request: Option<RequestId>,
    ) -> Result<(SessionId, Accepted), SubmitError> {
        let Some(id) = what.wait() else {
            return Err(SubmitError::Refused(Refusal::NoSession));
        };
        let query = WaitQuery { kind: Some(Awaiting::Wait), wait: Some(id), limit: 1, ..WaitQuery::default() };
        let found = self.shell.store.index.waits(query).await.map_err(SubmitError::Store)?;
        let row = found.into_iter().next().ok_or(SubmitError::Refused(Refusal::NoWait(id)))?;
        match self.submit(row.session, Command::Wait { what, by }, request).await {
            Err(SubmitError::Refused(Refusal::NoWait(_))) if row.ended => {
                let past: Option<PastWait> = serde_json::from_str(&row.terms).ok();
                Err(SubmitError::Refused(past.map_or(Refusal::NoWait(id), |past| Refusal::WaitEnded(Box::new(past)))))
            }
            done => Ok((row.session, done?)),
        }
    }
}
