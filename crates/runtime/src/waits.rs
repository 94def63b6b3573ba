//! What is asked about waits, whichever session has them.

use outlive_core::command::{Command, WaitCommand};
use outlive_core::event::{Origin, WaitOwner};
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

    /// Ends a wait otherwise than by itself, or lets it end at another time. `may` says whether one of this owner may be.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]: one that ended already says how; and what `may` says.
    pub async fn end_wait<E: From<SubmitError>>(
        &self,
        what: WaitCommand,
        by: Origin,
        request: Option<RequestId>,
        may: impl FnOnce(WaitOwner) -> Result<(), E> + Send,
    ) -> Result<(SessionId, Accepted), E> {
        let Some(id) = what.wait() else {
            return Err(SubmitError::Refused(Refusal::NoSession).into());
        };
        let query = WaitQuery { kind: Some(Awaiting::Wait), wait: Some(id), limit: 1, ..WaitQuery::default() };
        let found = self.shell.store.index.waits(query).await.map_err(SubmitError::Store)?;
        let unknown = || SubmitError::Refused(Refusal::NoWait(id));
        let row = found.into_iter().next().ok_or_else(unknown)?;
        if !row.ended {
            let wait: Wait = serde_json::from_str(&row.terms).map_err(|_unreadable| unknown())?;
            may(wait.owner)?;
        }
        Ok(self.submit_end(row, what, (by, request)).await?)
    }

    async fn submit_end(
        &self,
        row: WaitRow,
        what: WaitCommand,
        (by, request): (Origin, Option<RequestId>),
    ) -> Result<(SessionId, Accepted), SubmitError> {
        let id = row.wait;
        match self.submit(row.session, Command::Wait { what, by }, request).await {
            Err(SubmitError::Refused(Refusal::NoWait(_))) if row.ended => {
                let past: Option<PastWait> = serde_json::from_str(&row.terms).ok();
                Err(SubmitError::Refused(past.map_or(Refusal::NoWait(id), |past| Refusal::WaitEnded(Box::new(past)))))
            }
            done => Ok((row.session, done?)),
        }
    }
}
