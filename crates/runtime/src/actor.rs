//! The one writer of a live session: it owns the state and the journal, under a lease.
//!
//! Decide, write, believe, tell, act, in that order. Facts are folded as they are decided, so that all that follows from
//! one command goes into one append; until that append is durable nobody is told and nothing is done. If it fails, the
//! state is read back from the journal, as after a crash.
//!
//! Invariants: effects begin only after their intent is durable; what a hand reports is kept until it is recorded; a
//! session without anything under way leaves memory.

mod adopt;
mod batch;
mod beside;
mod budget;
mod iteration;
mod life;
mod remember;
mod room;
mod settle;
mod telling;
mod tools;
mod weighing;

pub(crate) use life::{Life, spawn};
pub use life::{Mail, Viewed};

use std::collections::BTreeMap;
use std::sync::Arc;

use outlive_core::command::{Command, Done, Found, Report};
use outlive_core::context::{Load, Transcript};
use outlive_core::event::{Asked, Outcome};
use outlive_core::id::{CallId, QuestionId, RequestId, Seq, SessionId};
use outlive_core::session::{Beside, Decided, Fact, Held, Refusal, State};
use outlive_store::{Append, Epoch, StoreError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::hands::{self, Errand, Inquiries};
use crate::meaning::has_text;
use crate::meter::Seen;
use crate::shell::Shell;
use crate::{Accepted, SubmitError, stop};
use batch::{Acts, Batch};

pub(crate) struct Actor {
    id: SessionId,
    shell: Shell,
    epoch: Epoch,
    state: State,
    /// Read when the first request is assembled, then kept up.
    transcript: Option<Transcript>,
    equipment: tools::Equipment,
    held: Held,
    running: Running,
    errand: Errand,
    read: Read,
    /// An append failed and the journal could not be read since: the state may hold what is not durable.
    astray: bool,
    /// Set at shutdown: what runs may end, nothing new starts.
    closing: bool,
}

/// How the journal was read back.
#[derive(Default)]
struct Read {
    /// Bytes of a torn tail that nobody was told of yet.
    cut_bytes: u64,
    /// The last event that the newest snapshot covers.
    covered: Seq,
}

/// How to stop what runs.
#[derive(Default)]
struct Running {
    model: Option<tokio::task::AbortHandle>,
    /// What the day's budgets have set aside for that request.
    aside: Option<crate::ledger::Aside>,
    /// What that request weighs.
    weighed: Option<(String, Load)>,
    calls: BTreeMap<CallId, CancellationToken>,
    /// What is done beside the turn.
    beside: BTreeMap<Beside, tokio::task::AbortHandle>,
}

impl Drop for Running {
    /// An actor that dies takes along what it started.
    fn drop(&mut self) {
        self.calls.values().for_each(CancellationToken::cancel);
        self.model.iter().chain(self.beside.values()).for_each(tokio::task::AbortHandle::abort);
    }
}

impl Actor {
    pub(crate) fn new(shell: Shell, id: SessionId, epoch: Epoch, inbox: mpsc::Sender<Mail>) -> Self {
        let (feeds, turn) = (shell.feeds.clone(), crate::log::Turn::default());
        let inquiries = Inquiries::new(shell.moments.clone());
        let (secrets, counter) = (shell.kits.secrets(), Arc::clone(shell.kits.scales().counter()));
        let errand = Errand { session: id, inbox, feeds, turn, secrets, counter, inquiries, round: 0 };
        Self {
            id,
            shell,
            epoch,
            state: State::default(),
            transcript: None,
            equipment: tools::Equipment::default(),
            held: Held::default(),
            running: Running::default(),
            errand,
            read: Read::default(),
            astray: false,
            closing: false,
        }
    }

    /// Does what is asked: all that follows from it is durable when this returns.
    pub(crate) async fn submit(
        &mut self,
        command: &Command,
        request: Option<RequestId>,
    ) -> Result<Accepted, SubmitError> {
        if self.astray {
            self.reload().await?;
        }
        let asked = request.map(|request_id| Asked { request_id, request_digest: command.digest() });
        let prepared = self.prepared(command).await?;
        let command = prepared.as_ref().unwrap_or(command);
        let mut moment = self.shell.moments.moment();
        let decided = match self.state.decide(self.id, command, asked.as_ref(), &mut moment) {
            Ok(decided) => decided,
            Err(refusal) => {
                self.go_on_after(command, &refusal).await?;
                return Err(SubmitError::Refused(refusal));
            }
        };
        let mut batch = Batch::new(&self.state, self.held.clone(), self.counting());
        let (facts, mut written) = match decided {
            Decided::Duplicate(before) => {
                return Ok(Accepted { seq: before.seq, turn: before.turn, duplicate: true, head: self.state.head });
            }
            Decided::Facts(facts) => match self.shell.brake.stop().filter(|_| stop::begins(command)) {
                Some(stop) => return Err(SubmitError::Stopped(stop)),
                None => (facts, true),
            },
            Decided::Shared(entries) => {
                let written = batch.share(&mut self.state, entries);
                (self.parted(command), written)
            }
        };
        // As it is remembered, and answered again: that of the first event.
        let turn = facts.first().and_then(|fact| fact.turn);
        let granted = self.granted(command);
        let has_facts = !facts.is_empty() || !batch.is_empty();
        // The request stands with the first event; a fork's has it already.
        let asked = asked.filter(|_| batch.is_empty());
        self.release(command);
        written &= batch.add(&mut self.state, self.transcript.as_mut(), facts, (moment.at, asked));
        self.learn(command);
        if !written && !matches!(command, Command::Report(_)) {
            // Nothing is acknowledged unless all of it can be kept. What a report leaves open is owed again.
            let (what, why) = ("the request".to_owned(), "is longer than a line of the journal may be".to_owned());
            return Err(self.go_back(batch, StoreError::Refused { what, why }).await);
        }
        self.look_again(&batch);
        let first = if has_facts { batch.before() + 1 } else { batch.before() };
        if matches!(command, Command::Report(_)) {
            self.hold_started(&mut batch);
        }
        if let Err(error) = self.settle(&mut batch).await {
            return Err(self.go_back(batch, error).await);
        }
        self.store_grant(granted);
        self.commit(batch).await?;
        Ok(Accepted { seq: first, turn, duplicate: false, head: self.state.head })
    }

    fn parted(&self, command: &Command) -> Vec<Fact> {
        let Command::Fork(fork) = command else { return Vec::new() };
        self.state.parted(fork.title.as_ref(), &fork.by)
    }

    /// Forgets what a report says has ended.
    fn release(&mut self, command: &Command) {
        let Command::Report(report) = command else { return };
        match report {
            Report::Asks { .. } | Report::Withdraws { .. } => {}
            Report::Condensed { .. }
            | Report::Observed { .. }
            | Report::Reflected { .. }
            | Report::Erased { .. }
            | Report::Told { .. } => {
                self.release_beside(report);
            }
            Report::Step { .. } => {
                self.held.step = None;
                self.running.model = None;
            }
            Report::Call { call, .. } | Report::Found { call, .. } => {
                self.held.calls.remove(call);
                self.held.stopping.remove(call);
                self.running.calls.remove(call);
            }
        }
    }

    /// Writes the batch, then believes, tells and acts; or goes back to what the journal says.
    async fn commit(&mut self, batch: Batch) -> Result<(), SubmitError> {
        if !batch.is_empty() {
            let append = Append { journal: self.id, epoch: self.epoch, expected: batch.before(), lines: batch.lines() };
            let asked = tokio::time::Instant::now();
            let done = self.shell.store.journals.append(append).await;
            self.shell.meter.appended(asked.elapsed(), done.is_ok());
            if let Err(error) = done {
                return Err(self.go_back(batch, error).await);
            }
        }
        self.tell(&batch);
        self.heed(&batch);
        for (question, answers) in batch.answered() {
            self.errand.inquiries.answer(question, answers);
        }
        self.act(batch);
        Ok(())
    }

    /// Believes nothing of the batch. What cannot be read back now is read before anything else is done.
    async fn go_back(&mut self, batch: Batch, error: StoreError) -> SubmitError {
        tracing::warn!(%error, "append failed");
        self.held = batch.held_before();
        self.give_back();
        self.astray = true;
        if let Err(unread) = self.reload().await {
            tracing::warn!(error = %unread, "journal cannot be read back now");
        }
        SubmitError::Store(error)
    }

    /// Reads the state back from the journal.
    pub(crate) async fn reload(&mut self) -> Result<(), SubmitError> {
        let loaded = crate::load::state(&self.shell.store, self.id).await.map_err(SubmitError::Store)?;
        self.state = loaded.state;
        self.shell.ledger.note(self.id, &self.state);
        let cut_bytes = self.read.cut_bytes.max(loaded.cut_bytes);
        self.read = Read { cut_bytes, covered: loaded.covered };
        (self.transcript, self.equipment.layers) = (None, None);
        self.astray = false;
        Ok(())
    }

    fn tell(&self, batch: &Batch) {
        if batch.is_empty() {
            return;
        }
        self.shell.store.index.note(crate::list::row(&self.shell, (self.id, &self.state)));
        self.shell.ledger.note(self.id, &self.state);
        let (began, happened) = batch.happened();
        let agent = || self.state.profile.as_ref().map(|profile| profile.agent.clone());
        let seen = || Seen { session: self.id, agent: agent(), began, events: happened.into() };
        self.shell.meter.note(seen, (began, happened));
        self.shell.hearers.refusals.tell(self.id, &self.state, batch.refused());
        crate::log::note(happened);
        self.shell.feeds.tell(self.id, batch.events());
        if batch.entries().any(|entry| has_text(&entry.event)) {
            self.have_measured();
        }
    }

    /// Begins the effects whose intents are durable now.
    fn act(&mut self, batch: Batch) {
        let acts = batch.into_acts();
        self.errand.turn.enter(self.state.turn.as_ref().map(|turn| turn.id));
        if self.state.turn.is_none()
            && let Some(model) = self.running.model.take()
        {
            model.abort();
            self.held.step = None;
        }
        self.give_back();
        self.end_cancelled();
        for call in &acts.stops {
            if let Some(token) = self.running.calls.get(call) {
                token.cancel();
            }
        }
        let wake_at = acts.wake_at;
        if self.shell.brake.stop().is_some() {
            self.hold_back(acts)
        } else {
            self.begin(acts)
        }
        match wake_at {
            Some(due) if self.state.wakes_at() == Some(due) => self.shell.scheduler.kept(due, self.id),
            Some(due) => self.shell.scheduler.at(due, self.id),
            None => {}
        }
    }

    fn begin(&mut self, acts: Acts) {
        self.begin_beside(&acts.beside);
        if let Some(ask) = acts.ask {
            let span = self.errand.turn.step(ask.step, ask.attempt);
            let (errand, at_work) = (self.errand.clone(), self.shell.brake.work(self.id));
            let task = async move {
                hands::ask(errand, ask).await;
                drop(at_work);
            };
            self.running.model = Some(self.shell.tasks.spawn("model", task.instrument(span)));
        }
        for run in acts.runs {
            self.shell.hearers.tell(&run.kit, (self.id, run.call), (&run.tool, &run.arguments));
            self.running.calls.insert(run.call, run.stop.clone());
            let span = self.errand.turn.call(run.call, run.attempt, &run.tool);
            let (errand, at_work) = (self.errand.clone(), self.shell.brake.work(self.id));
            let task = async move {
                hands::run(errand, run).await;
                drop(at_work);
            };
            self.shell.tasks.spawn("tool", task.instrument(span));
        }
        for run in acts.finds {
            self.running.calls.insert(run.call, run.stop.clone());
            let span = self.errand.turn.call(run.call, run.attempt, &run.tool);
            let (errand, at_work) = (self.errand.clone(), self.shell.brake.work(self.id));
            let task = async move {
                hands::find(errand, run).await;
                drop(at_work);
            };
            self.shell.tasks.spawn("find", task.instrument(span));
        }
    }

    /// Everything was stopped between the intent and its effect: none of it has happened, and none of it does.
    fn hold_back(&mut self, acts: Acts) {
        if acts.ask.is_some() {
            self.held.step = None;
        }
        self.held.beside.retain(|beside| !acts.beside.contains(beside));
        for run in acts.runs {
            let content = "Not started: everything was stopped.".to_owned();
            let done = Done { outcome: Outcome::Interrupted, content, details: None, artifact: None };
            self.report(Report::Call { call: run.call, attempt: run.attempt, done, duration_ms: 0 });
        }
        for run in acts.finds {
            self.report(Report::Found { call: run.call, attempt: run.attempt, found: Found::Unknown });
        }
    }

    fn report(&self, report: Report) {
        let errand = self.errand.clone();
        self.shell.tasks.spawn("report", async move { errand.report(report).await });
    }

    /// Ends what runs. What calls said is still reported; a model's answer is not waited for.
    pub(crate) fn end_all(&mut self) {
        if let Some(model) = self.running.model.take() {
            model.abort();
            self.held.step = None;
        }
        self.running.calls.values().for_each(CancellationToken::cancel);
        self.end_beside();
    }

    /// Says whether a report is of a question for whose answer nobody waits any more.
    pub(crate) fn is_unasked(&self, command: &Command) -> bool {
        asks(command).is_some_and(|question| !self.errand.inquiries.awaits(question))
    }

    /// Lets whoever asked go on without an answer, where the question that was reported is not in the journal.
    pub(crate) fn turn_down(&self, command: &Command) {
        let open = |question| self.state.open_questions().iter().any(|open| open.question == question);
        if let Some(question) = asks(command).filter(|question| !open(*question)) {
            self.errand.inquiries.answer(question, Vec::new());
        }
    }

    /// Says whether nothing is under way here: the session may leave memory.
    pub(crate) fn rests(&self) -> bool {
        self.held.step.is_none() && self.held.calls.is_empty() && self.held.beside.is_empty()
    }

    /// Knows nothing any more: the session was removed.
    pub(crate) fn forget(&mut self) {
        self.state = State::default();
        self.transcript = None;
        self.held = Held::default();
    }

    pub(crate) fn head(&self) -> Seq {
        self.state.head
    }

    /// Returns what requests begin with behind what the agent is, once it was needed.
    pub(crate) fn layers_now(&self) -> Option<outlive_core::context::Layers> {
        self.equipment.layers.clone()
    }

    /// Returns the state, if all of it is durable.
    pub(crate) fn state(&self) -> Option<&State> {
        Some(&self.state).filter(|_| !self.astray)
    }
}

/// What an error says of the actor itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nothing: what was asked does not fit.
    Refused,
    /// A report came too late.
    Stale,
    /// Trying again later may help: the store had no room or no luck.
    Passing,
    /// It cannot go on: its journal is another's, damaged or gone.
    Fatal,
}

impl From<&SubmitError> for Trouble {
    fn from(error: &SubmitError) -> Self {
        match error {
            SubmitError::Refused(Refusal::Stale) => Self::Stale,
            SubmitError::Store(
                StoreError::NoSpace | StoreError::Io { .. } | StoreError::Poisoned(_) | StoreError::Conflict { .. },
            ) => Self::Passing,
            SubmitError::Store(
                StoreError::Fenced(_)
                | StoreError::Corrupt { .. }
                | StoreError::Damaged { .. }
                | StoreError::NotFound(_),
            ) => Self::Fatal,
            SubmitError::Store(StoreError::Refused { .. })
            | SubmitError::Refused(_)
            | SubmitError::Busy { .. }
            | SubmitError::Agent(_)
            | SubmitError::Stopped(_)
            | SubmitError::Closing => Self::Refused,
        }
    }
}

/// The question that a command reports, if it is such a report.
fn asks(command: &Command) -> Option<QuestionId> {
    let Command::Report(Report::Asks { question, .. }) = command else { return None };
    Some(*question)
}
