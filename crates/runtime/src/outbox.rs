//! What people are told outside of any client: who carries it, and what has not arrived.

use outlive_core::command::{Command, NoticeCommand, Undelivered};
use outlive_core::event::Origin;
use outlive_core::id::{NoticeId, RequestId, SessionId, WaitId};
use outlive_core::notice::{Letter, Target};
use outlive_core::session::{Notice, Refusal};
use outlive_store::{Awaiting, Pending, StoreError, WaitQuery, WaitRow};

use crate::{Accepted, Runtime, SubmitError};

/// Carries what people are told.
pub trait Courier: Send + Sync {
    /// Returns who is told of what.
    fn targets(&self) -> &[Target];

    /// Tells one of them, once. `Ok` means that they have it.
    fn deliver<'a>(&'a self, target: &'a str, letter: &'a Letter) -> Pending<'a, Result<(), Undelivered>>;
}

/// A notice that nobody has yet, and the session that it is of.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// The session.
    pub session: SessionId,
    /// Where it stands in the list.
    pub place: (Option<i64>, WaitId),
    /// What it is.
    pub notice: Notice,
}

impl Runtime {
    /// Returns who is told of what.
    #[must_use]
    pub fn targets(&self) -> &[Target] {
        self.shell.kits.courier().map(|courier| courier.targets()).unwrap_or_default()
    }

    /// Returns the notices that nobody has yet: the next to be tried first, last those that are given up.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub async fn outgoing(&self, query: WaitQuery) -> Result<Vec<Outgoing>, StoreError> {
        let query = WaitQuery { kind: Some(Awaiting::Notice), ..query };
        let read = |row: WaitRow| {
            // Written here, it can be read here.
            let notice = serde_json::from_str(&row.terms).ok()?;
            Some(Outgoing { session: row.session, place: (row.over_at, row.wait), notice })
        };
        Ok(self.shell.store.index.waits(query).await?.into_iter().filter_map(read).collect())
    }

    /// Decides about a notice that nobody has.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]: there is none, or somebody has it by now.
    pub async fn decide_notice(
        &self,
        what: NoticeCommand,
        by: Origin,
        request: Option<RequestId>,
    ) -> Result<Accepted, SubmitError> {
        let id = what.notice();
        let wait = Some(WaitId::from_bits(id.bits()));
        let found = self.outgoing(WaitQuery { wait, limit: 1, ..WaitQuery::default() }).await;
        let found = found.map_err(SubmitError::Store)?.into_iter().next();
        let found = found.ok_or(SubmitError::Refused(Refusal::NoNotice(id)))?;
        self.submit(found.session, Command::Notice { what, by }, request).await
    }

    /// Tells one of those who are told that nothing has happened.
    ///
    /// # Errors
    ///
    /// Why they do not have it; `None` where nobody has this name.
    pub async fn try_target(&self, target: &str) -> Option<Result<NoticeId, Undelivered>> {
        let courier = self.shell.kits.courier()?;
        courier.targets().iter().find(|known| known.name == target)?;
        let mut moment = self.shell.moments.moment();
        let id = NoticeId::from_bits(moment.ids.fresh());
        let letter = Letter::test(id, moment.at);
        Some(courier.deliver(target, &letter).await.map(|()| id))
    }
}
