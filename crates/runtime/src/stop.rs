//! The emergency stop: nothing starts in any session, and what runs is ended, until it is lifted.
//!
//! Invariants: the stop is durable before anything is ended, and holds in this process even where it cannot be made durable;
//! nothing starts once it is answered; a turn that it found under way is interrupted in its journal before the stop is lifted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use outlive_core::command::{Command, LoopCommand, NoticeCommand, RelayCommand, WaitCommand};
use outlive_core::event::Origin;
use outlive_core::id::SessionId;
use outlive_store::{Stop, StoreError};
use tokio::sync::{Mutex, oneshot, watch};

use crate::actor::Mail;
use crate::{BUSY_MS, Runtime, SubmitError};

/// Whether all is stopped. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Brake {
    pulled: Arc<watch::Sender<Option<Arc<Stop>>>>,
    /// How many hands are at work for each session.
    hands: Arc<watch::Sender<BTreeMap<SessionId, usize>>>,
    /// Held by whoever stops or lifts.
    busy: Arc<Mutex<()>>,
}

/// A hand at work, until it is dropped.
pub(crate) struct AtWork(Brake, SessionId);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.hands.send_modify(|hands| {
            let left = hands.get(&self.1).map_or(0, |count| count.saturating_sub(1));
            hands.insert(self.1, left);
            hands.retain(|_session, count| *count > 0);
        });
    }
}

impl Brake {
    pub(crate) fn new(stop: Option<Stop>) -> Self {
        let pulled = Arc::new(watch::Sender::new(stop.map(Arc::new)));
        Self { pulled, hands: Arc::new(watch::Sender::default()), busy: Arc::default() }
    }

    /// A hand begins to work for a session.
    pub(crate) fn work(&self, session: SessionId) -> AtWork {
        self.hands.send_modify(|hands| *hands.entry(session).or_default() += 1);
        AtWork(self.clone(), session)
    }

    /// Waits until no hand is at work, at most until then, and returns for which sessions some still are.
    async fn idle(&self, deadline: tokio::time::Instant) -> Vec<SessionId> {
        let mut hands = self.hands.subscribe();
        drop(tokio::time::timeout_at(deadline, hands.wait_for(BTreeMap::is_empty)).await);
        hands.borrow().keys().copied().collect()
    }

    /// Returns the stop that holds now.
    pub(crate) fn stop(&self) -> Option<Arc<Stop>> {
        self.pulled.borrow().clone()
    }

    /// Returns what tells of every change from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<Option<Arc<Stop>>> {
        self.pulled.subscribe()
    }
}

/// What an emergency stop has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// The stop that holds: the first one, where all was stopped already.
    pub stop: Stop,
    /// Sessions in which something had not ended yet when the answer was due; it is being ended.
    pub ending: Vec<SessionId>,
}

/// How long the end of what runs is waited for before the answer. Processes that ignore a signal take about two seconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// How long the end of what the last calls left behind is waited for, whatever came before.
const LEFT_BEHIND: Duration = Duration::from_secs(5);

impl Runtime {
    /// Returns the emergency stop that holds, if one does.
    #[must_use]
    pub fn stopped(&self) -> Option<Stop> {
        self.shell.brake.stop().map(|stop| (*stop).clone())
    }

    /// Ends everything in all sessions and lets nothing start until it is lifted, also by another process. `Ok` means durable.
    ///
    /// # Errors
    ///
    /// The stop could not be written down. In this process it holds all the same, and everything was ended.
    pub async fn stop_all(self: &Arc<Self>, by: Origin, reason: Option<String>) -> Result<Stopped, SubmitError> {
        let (runtime, (reply, answer)) = (Arc::clone(self), oneshot::channel());
        // A task of its own: it goes on when whoever asked is gone.
        self.shell.tasks.spawn("stop", async move { drop(reply.send(runtime.stop(by, reason).await)) });
        answer.await.map_err(|_gone| SubmitError::Closing)?
    }

    async fn stop(&self, by: Origin, reason: Option<String>) -> Result<Stopped, SubmitError> {
        let _one = self.shell.brake.busy.lock().await;
        let stop = self.stopped().unwrap_or_else(|| Stop { at: self.shell.moments.now(), by, reason });
        let kept = self.shell.store.house.stops.stop(&stop);
        if let Err(error) = &kept {
            tracing::error!(%error, "the emergency stop cannot be written down: it holds until this process ends");
        }
        self.shell.brake.pulled.send_replace(Some(Arc::new(stop.clone())));
        tracing::warn!(reason = stop.reason.as_deref().unwrap_or_default(), "everything is stopped");
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let ((), halted) = tokio::join!(self.end_all(deadline), self.halt(deadline));
        let mut ending: BTreeSet<SessionId> = self.shell.brake.idle(deadline).await.into_iter().collect();
        // A call that was still running then may have left something behind.
        self.end_all(deadline.max(tokio::time::Instant::now() + LEFT_BEHIND)).await;
        kept.map_err(SubmitError::Store)?;
        ending.extend(halted.err().into_iter().flat_map(|unsettled| unsettled.sessions));
        Ok(Stopped { stop, ending: ending.into_iter().collect() })
    }

    /// Ends what calls left running, and waits for it until then. Later it goes on ending, and nobody waits.
    pub(crate) async fn end_all(&self, deadline: tokio::time::Instant) {
        if tokio::time::timeout_at(deadline, self.shell.kits.end(None)).await.is_err() {
            tracing::error!("some of what calls left running did not end in time");
        }
    }

    /// Lets sessions go on when people say so; what was interrupted stays so. Returns the stop that held, if one did.
    ///
    /// # Errors
    ///
    /// The journal of a turn that was under way does not say yet that it is interrupted, or the stop cannot be taken away:
    /// then it still holds.
    pub async fn lift(&self) -> Result<Option<Stop>, SubmitError> {
        let _one = self.shell.brake.busy.lock().await;
        let Some(stop) = self.stopped() else { return Ok(None) };
        if let Err(unsettled) = self.halt(tokio::time::Instant::now() + PATIENCE).await {
            return Err(unsettled.why.unwrap_or(SubmitError::Busy { retry_after_ms: BUSY_MS }));
        }
        self.shell.store.house.stops.lift().map_err(SubmitError::Store)?;
        self.shell.brake.pulled.send_replace(None);
        tracing::warn!("the emergency stop is lifted");
        // What was over meanwhile was woken for nothing.
        self.shell.scheduler.fill(&self.shell.store).await.map_err(SubmitError::Store)?;
        Ok(Some(stop))
    }

    /// Waits until nothing is under way in any session, and every journal says so.
    async fn halt(&self, deadline: tokio::time::Instant) -> Result<(), Unsettled> {
        let mut unsettled = Unsettled::default();
        let owed = self.shell.store.index.unsettled().await;
        let owed = owed.unwrap_or_else(|error| {
            unsettled.why = Some(SubmitError::Store(error));
            Vec::new()
        });
        let all: BTreeSet<SessionId> = owed.into_iter().chain(self.sessions.all()).collect();
        let mut asked = Vec::new();
        for session in all {
            let (reply, answer) = oneshot::channel();
            let inbox = self.sessions.inbox(session, &self.shell);
            // A full inbox empties soon: while all is stopped, commands do nothing.
            let sent = tokio::time::timeout_at(deadline, inbox.send(Mail::Halt(reply))).await;
            asked.push((session, sent.is_ok().then_some(answer)));
        }
        for (session, answer) in asked {
            let answered = match answer {
                Some(answer) => tokio::time::timeout_at(deadline, answer).await.ok(),
                None => None,
            };
            match answered {
                // Whoever has gone without an answer has a journal that cannot be read, or has died: nothing of it runs.
                Some(Ok(Ok(())) | Err(_)) => {}
                Some(Ok(Err(why))) => unsettled.add(session, Some(why)),
                None => unsettled.add(session, None),
            }
        }
        if unsettled.sessions.is_empty() && unsettled.why.is_none() { Ok(()) } else { Err(unsettled) }
    }
}

/// Sessions that have not come to a halt.
#[derive(Default)]
struct Unsettled {
    sessions: Vec<SessionId>,
    /// What kept the first of them, where it is known.
    why: Option<SubmitError>,
}

impl Unsettled {
    fn add(&mut self, session: SessionId, why: Option<SubmitError>) {
        self.sessions.push(session);
        self.why = self.why.take().or(why);
    }
}

/// Says whether a command would have something start, now or once the stop is lifted.
pub(crate) fn begins(command: &Command) -> bool {
    match command {
        Command::Message(_) | Command::Decide(_) | Command::Answer { .. } | Command::Resume { .. } => true,
        Command::Loop { what, .. } => matches!(what, LoopCommand::Start(_)),
        // What has no turn to run in yet begins once the stop is lifted.
        Command::Relay { what, .. } => !matches!(what, RelayCommand::Cancel { .. } | RelayCommand::Redefine { .. }),
        Command::Wait { what, .. } => matches!(what, WaitCommand::Fire(_)),
        Command::Notice { what, .. } => matches!(what, NoticeCommand::Retry(_)),
        Command::SetQueue { items, .. } => items.iter().any(|item| item.input.is_none()),
        Command::Create(_)
        | Command::Interrupt { .. }
        | Command::Pause { .. }
        | Command::Update { .. }
        | Command::Archive { .. }
        | Command::Fork(_)
        | Command::Adopt(_)
        | Command::Rewind(_)
        | Command::Context { .. }
        | Command::Memory { .. }
        // It is kept: what it ends, ends once the stop is lifted.
        | Command::Signal(_)
        | Command::Wake
        | Command::Report(_) => false,
    }
}

/// Reads the stop that holds at a start.
pub(crate) fn at_start(stops: &dyn outlive_store::Stops) -> Result<Brake, StoreError> {
    let stop = stops.stopped()?;
    if let Some(stop) = &stop {
        tracing::warn!(
            reason = stop.reason.as_deref().unwrap_or_default(),
            "everything is stopped since an earlier start"
        );
    }
    Ok(Brake::new(stop))
}
