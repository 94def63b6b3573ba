//! Makes things happen: the actor of each session, its hands, subscriptions and recovery.
//!
//! | Where | What |
//! |---|---|
//! | [`Runtime`] | the one door: `submit`; and what can be asked: `view`, `messages`, `subscribe`, `list` |
//! | `actor` | the one writer of a live session: decide, write, believe, tell, act |
//! | `hands` | ask the model, run a call, report back |
//! | `history` | forks and rewinds |
//! | `attach`, `schema` | files for messages; the form of an answer |
//! | `agents` | changes to agents |
//! | `answers` | what was answered under a client's name and belongs to no one session |
//! | `archive` | sessions out as one file, and in from one |
//! | `adopt` | conversations of other programs |
//! | `trash` | deleting, bringing back, deleting for good |
//! | `sessions` | who is live |
//! | [`subscribe`] | the journal from a position, then live |
//! | [`scheduler`] | wakes sessions that wait for a time |
//! | `memory`, `noting` | what is remembered, as sessions see it; what is asked about it |
//! | [`meaning`] | what texts mean, in numbers: asked of a service, beside everything else |
//! | `schedules` | what is to be done at times |
//! | `ledger` | what was used today, for budgets |
//! | `pages` | a journal read from its end |
//! | `presence` | what becomes of a turn when its last client goes |
//! | [`meter`], `log` | what is counted of all that happens, and what is told of it |
//! | [`scales`] | how models count, as far as that is learned |
//! | `preview` | what the next request would be |
//! | [`task`] | sessions that are found by what they are for |
//! | `siblings` | what an agent sees of other sessions |
//! | `stop` | the emergency stop |
//! | [`kit`], [`catalog`] | an agent ready to run; read afresh when its files change |
//!
//! Absent on purpose: nothing but [`Runtime::submit`] starts or continues a turn; no task and no timer belongs to a
//! session at rest; no path here is taken only after a crash.

mod actor;
mod adopt;
mod agents;
mod answers;
mod archive;
mod attach;
pub mod catalog;
pub mod checkpoints;
pub mod clock;
pub mod feeds;
mod hands;
pub mod hearers;
mod history;
pub mod kit;
mod ledger;
mod list;
mod load;
mod log;
pub mod meaning;
mod memory;
pub mod meter;
mod mind;
mod noting;
mod outbox;
mod pages;
mod prefix;
mod presence;
mod preview;
mod query;
mod recall;
mod refusals;
mod relays;
pub mod sample;
pub mod scales;
pub mod scheduler;
mod schedules;
mod schema;
mod search;
mod sessions;
mod shell;
mod siblings;
mod stop;
pub mod subscribe;
pub mod task;
pub mod tasks;
mod trash;
mod waits;
mod working;

pub use adopt::Arrived;
pub use agents::{AgentWritten, check as check_agent};
pub use answers::Asked;
pub use archive::{AgentFate, Imported, NewImport};
pub use attach::{AttachError, taken};
pub use history::NewFork;
pub use memory::notebook;
pub use noting::{Forgotten, Left, Whose};
pub use outbox::{Courier, Outgoing};
pub use outlive_store::audit;
pub use outlive_store::{
    Author, Provenance, RecallHit, RecallQuery, Recalled, Remembered, RememberedPage, RememberedQuery, Sight,
};
pub use outlive_store::{
    Catching, Expected, Found, Hit, Key, Label, ListQuery, Note, OfTask, Over, Row, SearchQuery, Sort, Stop,
    StoreError, Version, WaitQuery,
};
pub use query::{Approval, Outcome};
pub use refusals::{Ear, Refused};
pub use relays::RelayFile;
pub use schedules::Known as KnownSchedules;
pub use shell::{Door, Settings};
pub use stop::Stopped;
pub use waits::Waiting;

use std::sync::Arc;

use outlive_core::command::Command;
use outlive_core::id::{RequestId, Seq, SessionId, TurnId};
use outlive_core::session::{Refusal, State};
use outlive_store::Store;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use actor::Mail;
use clock::Moments;
use kit::{KitError, Kits};
use sessions::Sessions;
use shell::Shell;
use tasks::Tasks;

/// The answer to a command that was accepted: it is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The first event that it caused, or the head if there was nothing to do.
    pub seq: Seq,
    /// The turn that it belongs to.
    pub turn: Option<TurnId>,
    /// Whether the same request was answered before: this is that answer.
    pub duplicate: bool,
    /// The session's head.
    pub head: Seq,
}

/// Why a command was not done, by what the caller can do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SubmitError {
    /// It does not fit; the same again will not either.
    #[error(transparent)]
    Refused(Refusal),
    /// Too much at once: the same again later may do.
    #[error("session is busy: its inbox is full; try again in {retry_after_ms} ms")]
    Busy {
        /// When to try again.
        retry_after_ms: u64,
    },
    /// The agent cannot run.
    #[error(transparent)]
    Agent(KitError),
    /// Storage did not take it.
    #[error(transparent)]
    Store(StoreError),
    /// The server is shutting down.
    #[error("the server is shutting down; try again when it is back")]
    Closing,
    /// An emergency stop holds.
    #[error("everything is stopped since {}: `outlive stop --lift` lifts it", .0.at)]
    Stopped(Arc<Stop>),
}

/// Runs sessions.
pub struct Runtime {
    shell: Shell,
    sessions: Sessions,
    looked_through: trash::LookedThrough,
    schedules: schedules::Desk,
}

impl Runtime {
    /// Starts: wakes every session that a restart owes something, and the clock.
    ///
    /// # Errors
    ///
    /// What the store says of its list.
    pub async fn start(
        store: Store,
        kits: Arc<dyn Kits>,
        moments: Moments,
        settings: Settings,
    ) -> Result<Arc<Self>, StoreError> {
        Self::start_with(store, kits, moments, (settings, Tasks::default())).await
    }

    /// As [`Runtime::start`], on given tasks: a simulation lights their fuse.
    ///
    /// # Errors
    ///
    /// What the store says of its list.
    pub async fn start_with(
        store: Store,
        kits: Arc<dyn Kits>,
        moments: Moments,
        (settings, tasks): (Settings, Tasks),
    ) -> Result<Arc<Self>, StoreError> {
        let brake = stop::at_start(&*store.house.stops)?;
        let (left, silent) = mpsc::channel(1_024);
        let owed = store.index.unsettled().await?;
        let (desk, mail) = schedules::Desk::new();
        let shell = Shell {
            store,
            kits,
            moments,
            tasks,
            feeds: feeds::Feeds::new(left),
            scheduler: scheduler::Scheduler::default(),
            ledger: ledger::Ledger::new(owed.clone()),
            meter: meter::Meter::default(),
            hearers: hearers::Hearers::default(),
            settings,
            brake,
            door: Door::default(),
        };
        let runtime = Arc::new(Self {
            shell,
            sessions: Sessions::default(),
            looked_through: trash::LookedThrough::default(),
            schedules: desk,
        });
        runtime.shell.door.open(&runtime);
        runtime.shell.kits.met(&runtime.shell.door);
        runtime.finish_erasing().await;
        let owed = runtime.shell.store.index.unsettled().await?;
        runtime.shell.scheduler.fill(&runtime.shell.store).await?;
        let clock = runtime.shell.scheduler.clone().run(Arc::downgrade(&runtime), runtime.shell.door.closing.clone());
        runtime.shell.tasks.spawn("scheduler", clock);
        let clerk = schedules::run(Arc::downgrade(&runtime), mail, runtime.shell.door.closing.clone());
        runtime.shell.tasks.spawn("schedules", clerk);
        let present = presence::watch(Arc::downgrade(&runtime), silent, runtime.shell.door.closing.clone());
        runtime.shell.tasks.spawn("presence", present);
        let waking = Arc::clone(&runtime);
        runtime.shell.tasks.spawn("recovery", async move {
            let recovered = waking.shell.door.recovered.clone().drop_guard();
            for session in owed {
                waking.take_up(session).await;
            }
            drop(recovered);
            waking.expire().await;
        });
        Ok(runtime)
    }

    /// The one door: does what is asked of a session. `Ok` means durable.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]; then nothing has changed.
    pub async fn submit(
        &self,
        session: SessionId,
        command: Command,
        request: Option<RequestId>,
    ) -> Result<Accepted, SubmitError> {
        schema::check(&command).await?;
        let (mail, answer) = self.letter(command, request)?;
        self.sessions.inbox(session, &self.shell).try_send(mail).map_err(busy)?;
        answer.await.map_err(|_gone| SubmitError::Busy { retry_after_ms: BUSY_MS })?
    }

    /// As [`Runtime::submit`], and waits for room where many ask the session at once.
    pub(crate) async fn submit_in_turn(
        &self,
        session: SessionId,
        command: Command,
        request: Option<RequestId>,
    ) -> Result<Accepted, SubmitError> {
        let (mail, answer) = self.letter(command, request)?;
        let gone = SubmitError::Busy { retry_after_ms: BUSY_MS };
        self.sessions.inbox(session, &self.shell).send(mail).await.map_err(|_gone| gone.clone())?;
        answer.await.map_err(|_gone| gone)?
    }

    fn letter(&self, command: Command, request: Option<RequestId>) -> Result<(Mail, Answer), SubmitError> {
        if self.shell.door.closing.is_cancelled() {
            return Err(SubmitError::Closing);
        }
        let (reply, answer) = oneshot::channel();
        Ok((Mail::Submit { command: Box::new(command), request, reply }, answer))
    }

    /// Puts a session that a start found unsettled into the list, and wakes it if it is owed something.
    async fn take_up(&self, session: SessionId) {
        let loaded = match load::state(&self.shell.store, session).await {
            Ok(loaded) => loaded,
            Err(error) => return tracing::error!(%session, %error, "session set aside"),
        };
        // Whoever opened it meanwhile knows better what it is like. What it is owed may be for later: then it writes nothing now.
        if loaded.state.head > 0 && !self.is_live(session) {
            self.shell.store.index.note(list::row(&self.shell, (session, &loaded.state)));
        }
        if let Some(at) = loaded.state.wakes_at() {
            self.shell.scheduler.at(at, session);
        }
        if self.is_owed(&loaded.state) || loaded.cut_bytes > 0 {
            self.wake(session).await;
            self.shell.feeds.cut_off(session).await;
        }
    }

    fn is_owed(&self, state: &State) -> bool {
        state.is_owed(self.shell.notes(state))
    }

    /// Lets a session look at what it is owed.
    pub(crate) async fn wake(&self, session: SessionId) {
        let inbox = self.sessions.inbox(session, &self.shell);
        // A full inbox will make it look anyway.
        inbox.send(Mail::Told(Command::Wake)).await.ok();
    }

    /// As [`Runtime::wake`], for the clock: it waits for nobody, and a full inbox will make the session look anyway.
    pub(crate) fn wake_soon(&self, session: SessionId, seat: scheduler::Seat) {
        self.sessions.inbox(session, &self.shell).try_send(Mail::Woken(seat)).ok();
    }

    pub(crate) fn is_live(&self, session: SessionId) -> bool {
        self.sessions.live(session).is_some()
    }

    pub(crate) fn is_heard(&self, session: SessionId) -> bool {
        self.shell.feeds.heard(session)
    }

    /// Returns how many sessions are in memory.
    #[must_use]
    pub fn live(&self) -> usize {
        self.sessions.count()
    }

    /// Says whether nothing is in memory, nobody listens and nothing waits for the clock.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.live() == 0 && !self.shell.feeds.any() && self.shell.scheduler.is_empty() && self.schedules.is_idle()
    }

    /// Returns a number that grows with everything that is asked of the runtime.
    #[must_use]
    pub fn activity(&self) -> u64 {
        self.shell.moments.count()
    }

    /// Says what the time is.
    #[must_use]
    pub fn moments(&self) -> &Moments {
        &self.shell.moments
    }

    /// Lets somebody carry what `notify` rules say to tell, from now on: at most `behind` notices wait for it.
    #[must_use]
    pub fn calls_told_of(&self, behind: usize) -> tokio::sync::mpsc::Receiver<hearers::CallNotice> {
        self.shell.hearers.carry(behind)
    }

    /// Lets somebody hear, from now on, of every call that is denied or asked about, once that is durable.
    pub fn hear_of_refusals(&self, ear: Ear) {
        self.shell.hearers.refusals.hear(ear);
    }

    /// Returns what counts what happens.
    #[must_use]
    pub fn meter(&self) -> &meter::Meter {
        &self.shell.meter
    }

    /// Says whether commands are taken: the store writes, and its list answers.
    ///
    /// # Errors
    ///
    /// Why not.
    pub async fn answers(&self) -> Result<(), SubmitError> {
        if self.shell.door.closing.is_cancelled() {
            return Err(SubmitError::Closing);
        }
        self.shell.store.journals.health().map_err(SubmitError::Store)?;
        let first = ListQuery { limit: 1, ..ListQuery::default() };
        self.list(first).await.map(drop).map_err(SubmitError::Store)
    }

    /// Returns the agents.
    #[must_use]
    pub fn agents(&self) -> &dyn Kits {
        self.shell.kits.as_ref()
    }

    /// Returns the secrets that are known.
    #[must_use]
    pub fn secrets(&self) -> outlive_core::redact::Secrets {
        self.shell.kits.secrets()
    }

    /// Returns a token that is cancelled when the runtime begins to shut down.
    #[must_use]
    pub fn closing(&self) -> CancellationToken {
        self.shell.door.closing.clone()
    }

    /// Shuts down: running calls are ended and their outcome recorded, sessions leave memory, and what runs in the
    /// background is ended. What is owed is taken up at the next start.
    pub async fn shutdown(&self) {
        self.shell.door.closing.cancel();
        let grace = self.shell.settings.closing * 2;
        if tokio::time::timeout(grace, self.shell.tasks.ended()).await.is_err() {
            tracing::warn!("some tasks did not end in time");
        }
        // No call can begin another one any more.
        self.end_all(tokio::time::Instant::now() + stop::PATIENCE).await;
    }
}

const BUSY_MS: u64 = 1_000;

/// Where the answer to a command comes.
type Answer = oneshot::Receiver<Result<Accepted, SubmitError>>;

fn busy(error: mpsc::error::TrySendError<Mail>) -> SubmitError {
    match error {
        mpsc::error::TrySendError::Full(_) | mpsc::error::TrySendError::Closed(_) => {
            SubmitError::Busy { retry_after_ms: BUSY_MS }
        }
    }
}
