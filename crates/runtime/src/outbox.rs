//! What people are told outside of any client: who carries it, and what has not arrived.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use outlive_core::command::{Command, NoticeCommand, Then, Undelivered};
use outlive_core::event::Origin;
use outlive_core::id::{NoticeId, RequestId, SessionId, WaitId};
use outlive_core::notice::{Letter, Target};
use outlive_core::session::{Notice, Refusal};
use outlive_store::{Awaiting, Pending, StoreError, WaitQuery, WaitRow};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Accepted, Runtime, SubmitError};

/// Carries what people are told.
pub trait Courier: Send + Sync {
    /// Returns who is told of what.
    fn targets(&self) -> &[Target];

    /// Tells one of them, once. `Ok` means that they have it.
    fn deliver<'a>(&'a self, target: &'a str, letter: &'a Letter) -> Pending<'a, Result<(), Undelivered>>;
}

/// Who waits to tell somebody: so many at once go to one target, and one that hangs holds up no other.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<HashMap<String, Line>>>);

/// Before one target.
#[derive(Clone)]
struct Line {
    /// Whose turn it is.
    turns: Arc<Semaphore>,
    /// Who may stand in it: more come back later, and hold nothing meanwhile.
    places: Arc<Semaphore>,
}

/// A turn at a target, until it is dropped.
pub(crate) struct Turn {
    _turn: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

/// Notices on their way to one target at the same time, and of those that wait for that.
const AT_ONCE: usize = 4;
const IN_LINE: usize = 64;
/// How long a test waits for its turn.
const TEST_IN_LINE: Duration = Duration::from_secs(3);

impl Lines {
    /// Waits for a turn, at most so long.
    pub(crate) async fn turn(&self, target: &str, most: Duration) -> Result<Turn, Undelivered> {
        let line = self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(target.to_owned()).or_default().clone();
        let crowded = || Undelivered { why: "many wait for this target".to_owned(), then: Then::PutOff };
        let place = line.places.try_acquire_owned().map_err(|_full| crowded())?;
        let turn = tokio::time::timeout(most, line.turns.acquire_owned()).await;
        Ok(Turn { _turn: turn.ok().and_then(Result::ok).ok_or_else(crowded)?, _place: place })
    }
}

impl Default for Line {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)), places: Arc::new(Semaphore::new(IN_LINE)) }
    }
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

    /// Tells one of those who are told that nothing has happened. `Ok(None)` where nobody has this name, else why they do not have it.
    ///
    /// # Errors
    ///
    /// [`SubmitError::Stopped`]
    pub async fn try_target(&self, target: &str) -> Result<Option<Result<NoticeId, Undelivered>>, SubmitError> {
        let Some(courier) = self.shell.kits.courier() else { return Ok(None) };
        if courier.targets().iter().all(|known| known.name != target) {
            return Ok(None);
        }
        let mut changes = self.shell.brake.changes();
        if let Some(stop) = self.shell.brake.stop() {
            return Err(SubmitError::Stopped(stop));
        }
        let mut moment = self.shell.moments.moment();
        let id = NoticeId::from_bits(moment.ids.fresh());
        let letter = Letter::test(id, moment.at);
        let told = async {
            let _turn = self.shell.hearers.lines.turn(target, TEST_IN_LINE).await?;
            courier.deliver(target, &letter).await.map(|()| id)
        };
        Ok(Some(tokio::select! {
            biased;
            _ = changes.changed() => Err(Undelivered::for_now("everything was stopped")),
            told = told => told,
        }))
    }
}
