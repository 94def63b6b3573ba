//! What is to be done at times: the one desk through which schedules are made, changed, shown and run.
//!
//! | Where | What |
//! |---|---|
//! | `clerk` | the one writer of all schedules: decides, writes, and then lets runs begin |
//! | `run` | one run: its message said in its session, and the end of its turn heard |
//! | `agents` | what agents plan |
//!
//! Invariants: a run says its message under a name that follows from its id, so that however often it is said it is heard once;
//! no run, timer or count is kept anywhere but in journals.

mod agents;
mod clerk;
mod run;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use outlive_core::event::{Line, Origin, RunEnded};
use outlive_core::id::{ScheduleId, Seq};
use outlive_core::schedule::{Plan, Schedule, ScheduleCommand, Target, Zones};
use outlive_core::session::Refusal;
use tokio::sync::{mpsc, oneshot};

use crate::{BUSY_MS, Runtime, SubmitError};

pub(crate) use agents::Planner;
pub(crate) use clerk::run;

/// Where the clerk is asked. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Desk {
    inbox: mpsc::Sender<Mail>,
    /// Whether anything is due some time, or under way.
    armed: Arc<AtomicBool>,
    zones: Zones,
}

/// What the clerk is asked.
pub(crate) enum Mail {
    Create { schedule: ScheduleId, plan: Box<Plan>, by: Origin, reply: Reply<Schedule> },
    Ask { schedule: ScheduleId, command: ScheduleCommand, by: Origin, reply: Reply<Schedule> },
    Show { schedule: ScheduleId, reply: Reply<Schedule> },
    List { reply: Reply<Known> },
    Ended { schedule: ScheduleId, ended: RunEnded },
}

type Reply<T> = oneshot::Sender<Result<T, SubmitError>>;

/// All schedules.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Those that go on, by their ids.
    pub schedules: Vec<Schedule>,
    /// Those whose journals cannot be read or written, each with why.
    pub aside: BTreeMap<ScheduleId, String>,
}

/// Questions that may wait for the clerk.
const WAITING: usize = 256;

impl Desk {
    /// A desk, and what its clerk reads.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Mail>) {
        let (inbox, mail) = mpsc::channel(WAITING);
        // Until it is known to be idle, it may not be.
        let armed = Arc::new(AtomicBool::new(true));
        (Self { inbox, armed, zones: Zones::from_env() }, mail)
    }

    pub(crate) fn is_idle(&self) -> bool {
        !self.armed.load(Ordering::Relaxed)
    }

    async fn ask<T>(&self, mail: impl FnOnce(Reply<T>) -> Mail) -> Result<T, SubmitError> {
        let (reply, answer) = oneshot::channel();
        let busy = || SubmitError::Busy { retry_after_ms: BUSY_MS };
        self.inbox.try_send(mail(reply)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => busy(),
            mpsc::error::TrySendError::Closed(_) => SubmitError::Closing,
        })?;
        answer.await.map_err(|_gone| SubmitError::Closing)?
    }
}

/// Refuses what names no schedule.
fn missing(schedule: ScheduleId) -> SubmitError {
    let what = format!("there is no schedule `{schedule}`");
    SubmitError::Refused(Refusal::Invalid { code: "schedule_not_found", what })
}

impl Runtime {
    /// Makes a schedule. `Ok` means durable; one that is there and was made so is answered as it is.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]; its session or agent is not there, or it is no schedule.
    pub async fn create_schedule(&self, schedule: ScheduleId, plan: Plan, by: Origin) -> Result<Schedule, SubmitError> {
        self.check_target(&plan).await?;
        let plan = Box::new(plan);
        self.schedules.ask(|reply| Mail::Create { schedule, plan, by, reply }).await
    }

    /// Does what is asked of a schedule, and returns it as it is then. `Ok` means durable.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]; then nothing has changed.
    pub async fn ask_schedule(
        &self,
        schedule: ScheduleId,
        command: ScheduleCommand,
        by: Origin,
    ) -> Result<Schedule, SubmitError> {
        if let ScheduleCommand::Update(plan) = &command {
            self.check_target(plan).await?;
        }
        self.schedules.ask(|reply| Mail::Ask { schedule, command, by, reply }).await
    }

    /// Returns a schedule.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]; there is none of this id.
    pub async fn schedule(&self, schedule: ScheduleId) -> Result<Schedule, SubmitError> {
        self.schedules.ask(|reply| Mail::Show { schedule, reply }).await
    }

    /// Returns all schedules.
    ///
    /// # Errors
    ///
    /// [`SubmitError::Busy`], [`SubmitError::Closing`]
    pub async fn schedules(&self) -> Result<Known, SubmitError> {
        self.schedules.ask(|reply| Mail::List { reply }).await
    }

    /// Returns up to `limit` lines of a schedule's journal after a position.
    ///
    /// # Errors
    ///
    /// What the store says; there is none of this id.
    pub async fn schedule_lines(
        &self,
        schedule: ScheduleId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Line>, SubmitError> {
        self.schedule(schedule).await?;
        self.shell.store.house.schedules.read(schedule, after, limit).map_err(SubmitError::Store)
    }

    /// Returns the time zones that are known here.
    #[must_use]
    pub fn zones(&self) -> &Zones {
        &self.schedules.zones
    }

    async fn check_target(&self, plan: &Plan) -> Result<(), SubmitError> {
        match &plan.target {
            Target::Session(session) => self.head(*session).await.map(drop),
            Target::Agent(agent) => self.shell.kits.kit(agent).map(drop).map_err(SubmitError::Agent),
        }
    }
}
