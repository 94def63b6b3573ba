//! An actor's life: it starts when its session is needed, works through its inbox, and leaves memory when nothing is
//! under way. Leaving and dying are the same thing to the session.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::OptionFuture;
use outlive_core::command::{Command, Report};
use outlive_core::context::Layers;
use outlive_core::event::Line;
use outlive_core::id::{RequestId, Seq, SessionId};
use outlive_core::session::{Held, Refusal, State};
use outlive_store::{Stop, StoreError};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::Instrument as _;

use super::{Actor, Trouble};
use crate::scheduler::Seat;
use crate::sessions::Sessions;
use crate::shell::Shell;
use crate::trash::Removal;
use crate::{Accepted, Note, SubmitError, list};

/// What an actor is told.
pub enum Mail {
    /// Do this and answer once it is durable.
    Submit {
        /// What.
        command: Box<Command>,
        /// The client's name for it.
        request: Option<RequestId>,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<Accepted, SubmitError>>,
    },
    /// A hand reports, or the start wakes: nobody waits for an answer.
    Told(Command),
    /// The clock wakes, and gives a seat for what is to be done now.
    Woken(Seat),
    /// What comes of having read the journal in this round.
    Read(u64, Command),
    /// Show the state.
    View(oneshot::Sender<Viewed>),
    /// Be the session that this journal tells of.
    Adopt {
        /// The journal, whole.
        lines: Vec<Line>,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<(), SubmitError>>,
    },
    /// Write these lines in the place of those that have their seqs.
    Scrub {
        /// The lines.
        lines: Vec<Line>,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<(), SubmitError>>,
    },
    /// Answer once nothing goes on any more of what is under way now.
    Ended(oneshot::Sender<()>),
    /// Everything is stopped: answer once nothing is under way and the journal says so.
    Halt(oneshot::Sender<Result<(), SubmitError>>),
    /// Stop what runs and remove the session.
    Remove(Removal, oneshot::Sender<Result<(), SubmitError>>),
}

/// A session as it is in memory.
pub struct Viewed {
    /// Its state.
    pub state: Arc<State>,
    /// What its requests begin with behind what its agent is, once it was needed.
    pub layers: Option<Layers>,
}

/// What a life is made of.
pub(crate) struct Life {
    pub(crate) id: SessionId,
    pub(crate) shell: Shell,
    pub(crate) sessions: Sessions,
}

/// Pause before a failed write is tried again: first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// How long a session stays that has nothing to do, where there are too many.
const CROWDED: Duration = Duration::from_millis(10);

/// Events after which a newer snapshot is worth its syncs.
const SNAPSHOT_AFTER: Seq = 64;

/// When a session that could not be opened is tried again, though nobody asks for it.
const REOPEN_MS: u64 = 30_000;

/// Senders that exist when nobody else holds one: the list of live sessions has one, the actor's errand another.
const OWN_SENDERS: usize = 2;

/// Starts a session's actor.
pub(crate) fn spawn(life: Life, inbox: mpsc::Receiver<Mail>, sender: mpsc::Sender<Mail>) {
    let tasks = life.shell.tasks.clone();
    let span = crate::log::session(life.id);
    let lived = async move {
        let (id, sessions, shell) = (life.id, life.sessions.clone(), life.shell.clone());
        let started = start(&life, sender).await;
        match started {
            Ok(actor) => Loop::new(life, actor, inbox).run().await,
            Err(error) => {
                // What it was woken for is still due.
                if !is_beyond(&error) {
                    shell.scheduler.at(shell.moments.now().plus_ms(REOPEN_MS), id);
                }
                refuse(inbox, &sessions, id, &error).await;
            }
        }
    };
    tasks.spawn("session", lived.instrument(span));
}

async fn start(life: &Life, sender: mpsc::Sender<Mail>) -> Result<Actor, SubmitError> {
    let epoch = life.shell.store.leases.take(life.id).await.map_err(SubmitError::Store)?;
    let mut actor = Actor::new(life.shell.clone(), life.id, epoch, sender);
    actor.reload().await?;
    Ok(actor)
}

/// Answers whoever asked for a session that cannot be opened.
async fn refuse(mut inbox: mpsc::Receiver<Mail>, sessions: &Sessions, id: SessionId, error: &SubmitError) {
    tracing::error!(%error, "session cannot be opened");
    sessions.remove(id);
    inbox.close();
    while let Some(mail) = inbox.recv().await {
        match mail {
            Mail::Submit { reply, .. } => drop(reply.send(Err(error.clone()))),
            Mail::Adopt { reply, .. } | Mail::Scrub { reply, .. } | Mail::Remove(_, reply) => {
                drop(reply.send(Err(error.clone())));
            }
            // Nothing of it runs, and only a repair lets it run again: it does not keep the others from going on.
            Mail::Halt(reply) if is_beyond(error) => drop(reply),
            Mail::Halt(reply) => drop(reply.send(Err(error.clone()))),
            Mail::View(_) | Mail::Told(_) | Mail::Woken(_) | Mail::Read(..) | Mail::Ended(_) => {}
        }
    }
}

/// Says whether a journal cannot be read, however often that is tried.
fn is_beyond(error: &SubmitError) -> bool {
    matches!(error, SubmitError::Store(StoreError::Corrupt { .. } | StoreError::NotFound(_)))
}

/// Says whether a command is what comes of having read the journal.
fn has_read(command: &Command) -> bool {
    matches!(command, Command::Report(Report::Observed { .. } | Report::Reflected { .. } | Report::Condensed { .. }))
}

struct Loop {
    life: Life,
    actor: Actor,
    inbox: mpsc::Receiver<Mail>,
    /// What hands reported and could not be recorded yet.
    untold: VecDeque<(u64, Command)>,
    /// The pause before trying again, while there is something to try.
    retry: Option<Duration>,
    /// The actor cannot go on. The next one starts from the journal, as after a crash.
    is_done: bool,
    /// Tells when everything is stopped, and when that is lifted.
    brake: watch::Receiver<Option<Arc<Stop>>>,
    /// Who waits until nothing is under way.
    halting: Vec<oneshot::Sender<Result<(), SubmitError>>>,
    /// Who waits for the end of this.
    ending: Vec<(Held, oneshot::Sender<()>)>,
    /// Held while it is at work because it was woken.
    seat: Option<Seat>,
}

enum Next {
    Mail(Box<Mail>),
    Rise,
    Again,
    Brake,
    Leave,
    Close,
    Die,
}

impl Loop {
    fn new(life: Life, actor: Actor, inbox: mpsc::Receiver<Mail>) -> Self {
        let mut brake = life.shell.brake.changes();
        // One that was pulled before is found when there is something to do.
        brake.mark_unchanged();
        let (untold, halting, ending) = (VecDeque::new(), Vec::new(), Vec::new());
        Self { life, actor, inbox, untold, retry: None, is_done: false, brake, halting, ending, seat: None }
    }

    async fn run(mut self) {
        loop {
            match self.next().await {
                Next::Brake => self.brake().await,
                Next::Mail(mail) => self.handle(*mail).await,
                Next::Rise => self.seat = None,
                Next::Again => self.try_again().await,
                Next::Leave => {
                    self.snapshot().await;
                    if self.life.sessions.leave(self.life.id, || self.is_alone()) {
                        break;
                    }
                    // Somebody holds its inbox for a moment: let them get on.
                    tokio::task::yield_now().await;
                }
                Next::Die => {
                    // Before the next actor can begin to tell.
                    self.life.shell.feeds.silence(self.life.id);
                    self.life.sessions.remove(self.life.id);
                    break;
                }
                Next::Close => {
                    self.close().await;
                    self.life.shell.feeds.silence(self.life.id);
                    self.life.sessions.remove(self.life.id);
                    break;
                }
            }
        }
        let epoch = self.actor.epoch;
        if let Err(error) = self.life.shell.store.leases.release(self.life.id, epoch).await {
            tracing::debug!(%error, "lease not given back");
        }
    }

    /// Waits for whatever comes first. A session at rest waits for one timer, once, and then leaves.
    async fn next(&mut self) -> Next {
        if self.is_done {
            return Next::Die;
        }
        let resting = self.actor.rests();
        if resting {
            self.seat = None;
            self.halting.drain(..).for_each(|reply| drop(reply.send(Ok(()))));
        }
        let ended = self.ending.extract_if(.., |(before, _)| self.actor.has_ended(before));
        ended.for_each(|(_, reply)| reply.send(()).unwrap_or_default());
        let (pause, then) = match self.retry {
            Some(pause) => (pause, Next::Again),
            None if self.actor.head() == 0 && self.inbox.is_empty() => return Next::Leave,
            None => (self.linger(), Next::Leave),
        };
        let waits = resting || self.retry.is_some();
        let seated = self.seat.as_ref().map(|seat| tokio::time::sleep_until(seat.until));
        tokio::select! {
            biased;
            Ok(()) = self.brake.changed() => Next::Brake,
            mail = self.inbox.recv() => mail.map_or(Next::Close, |mail| Next::Mail(Box::new(mail))),
            () = self.life.shell.door.closing.cancelled() => Next::Close,
            () = tokio::time::sleep(pause), if waits => then,
            Some(()) = OptionFuture::from(seated) => Next::Rise,
        }
    }

    /// Returns how long it stays in memory with nothing to do.
    fn linger(&self) -> Duration {
        let settings = &self.life.shell.settings;
        let is_crowded = self.life.sessions.count() > settings.crowd;
        if is_crowded { settings.idle_evict.min(CROWDED) } else { settings.idle_evict }
    }

    async fn handle(&mut self, mail: Mail) {
        match mail {
            Mail::Submit { command, request, reply } => {
                let answer = self.actor.submit(&command, request).await;
                match answer.as_ref().map_err(Trouble::from) {
                    Ok(_) | Err(Trouble::Refused | Trouble::Stale) => {}
                    Err(Trouble::Passing) => self.schedule_retry(),
                    Err(Trouble::Fatal) => self.is_done = true,
                }
                // Whoever asked may be gone: what was accepted stays accepted.
                reply.send(answer).ok();
            }
            Mail::Told(command) => self.told(command).await,
            Mail::Woken(seat) => {
                self.seat = Some(seat);
                self.told(Command::Wake).await;
            }
            Mail::Halt(reply) => self.halt(reply).await,
            Mail::View(reply) => self.show(reply),
            Mail::Ended(reply) => self.ending.push((self.actor.under_way(), reply)),
            Mail::Adopt { lines, reply } => drop(reply.send(self.actor.adopt(lines).await)),
            Mail::Read(round, command) if self.actor.is_round(round) => self.told(command).await,
            Mail::Read(..) => tracing::debug!("what was read is erased since: it is read again"),
            Mail::Scrub { lines, reply } => {
                let scrubbed = self.actor.scrub(lines).await;
                reply.send(scrubbed).ok();
                // What had read the old lines is owed again.
                self.told(Command::Wake).await;
            }
            Mail::Remove(removal, reply) => {
                let removed = self.remove(removal).await;
                reply.send(removed).ok();
            }
        }
    }

    /// Everything is stopped, or no longer: what runs ends at once, whatever its journal can say of it.
    async fn brake(&mut self) {
        if self.life.shell.brake.stop().is_some() {
            self.actor.end_all();
        }
        self.told(Command::Wake).await;
    }

    async fn halt(&mut self, reply: oneshot::Sender<Result<(), SubmitError>>) {
        match self.actor.submit(&Command::Wake, None).await {
            Ok(_) | Err(SubmitError::Refused(_)) => self.halting.push(reply),
            // It goes, and its calls with it.
            Err(error) if is_beyond(&error) => self.is_done = true,
            Err(error) => {
                if Trouble::from(&error) == Trouble::Passing {
                    self.schedule_retry();
                }
                drop(reply.send(Err(error)));
            }
        }
    }

    /// Shows what is durable; whoever gets no answer reads the journal.
    fn show(&self, reply: oneshot::Sender<Viewed>) {
        if let Some(state) = self.actor.state() {
            reply.send(Viewed { state: Arc::new(state.clone()), layers: self.actor.layers_now() }).ok();
        }
    }

    async fn told(&mut self, command: Command) {
        if self.actor.is_unasked(&command) {
            return;
        }
        let Err(error) = self.actor.submit(&command, None).await else { return self.actor.turn_down(&command) };
        let trouble = Trouble::from(&error);
        if trouble != Trouble::Passing {
            self.actor.turn_down(&command);
        }
        match trouble {
            Trouble::Stale => tracing::debug!("report of an attempt that was given up"),
            Trouble::Passing => {
                self.untold.push_back((self.actor.round(), command));
                self.schedule_retry();
            }
            Trouble::Refused => tracing::debug!(%error, "nothing done"),
            Trouble::Fatal => {
                tracing::error!(%error, "session cannot go on");
                self.is_done = true;
            }
        }
    }

    fn schedule_retry(&mut self) {
        let (first, most) = RETRY;
        self.retry = Some(self.retry.map_or(first, |pause| (pause * 2).min(most)));
    }

    /// Tries what could not be recorded; a wake makes good whatever else is owed.
    async fn try_again(&mut self) {
        let wake = (self.actor.round(), Command::Wake);
        let waiting: Vec<(u64, Command)> = self.untold.drain(..).chain([wake]).collect();
        let before = self.retry.take();
        for (round, command) in waiting {
            if !self.actor.is_round(round) && has_read(&command) {
                continue;
            }
            if self.retry.is_some() {
                self.untold.push_back((round, command));
            } else {
                self.retry = before;
                let pause = self.retry.take();
                self.told(command).await;
                if self.retry.is_some() {
                    self.retry = pause.map(|pause| (pause * 2).min(RETRY.1)).or(self.retry);
                }
            }
        }
    }

    /// Says whether nobody can send and nothing was sent. In this order: whoever sends between the two questions was
    /// counted by the first.
    fn is_alone(&self) -> bool {
        self.inbox.sender_strong_count() <= OWN_SENDERS && self.inbox.is_empty()
    }

    /// Writes a snapshot, where none is there or it would spare reading much: it is synced, and a journal's end is soon read.
    async fn snapshot(&mut self) {
        let (store, id, covered) = (&self.life.shell.store, self.life.id, self.actor.read.covered);
        let Some(state) = self.actor.state().filter(|state| state.head > 0) else { return };
        if covered > 0 && (covered..covered + SNAPSHOT_AFTER).contains(&state.head) {
            return;
        }
        let (head, text) = (state.head, outlive_core::session::write_snapshot(state));
        let Some(text) = text else { return };
        match store.snapshots.put(id, text).await {
            Ok(()) => self.actor.read.covered = head,
            Err(error) => tracing::debug!(%error, "snapshot not written"),
        }
    }

    /// Ends what runs, records how it ended, and leaves the rest to the next start.
    async fn close(&mut self) {
        self.actor.closing = true;
        self.actor.end_all();
        let deadline = tokio::time::Instant::now() + self.life.shell.settings.closing;
        while !self.actor.held.calls.is_empty() {
            match tokio::time::timeout_at(deadline, self.inbox.recv()).await {
                Ok(Some(Mail::Submit { reply, .. })) => drop(reply.send(Err(SubmitError::Closing))),
                Ok(Some(Mail::Adopt { reply, .. } | Mail::Scrub { reply, .. } | Mail::Remove(_, reply))) => {
                    drop(reply.send(Err(SubmitError::Closing)));
                }
                Ok(Some(Mail::Halt(reply))) => drop(reply.send(Err(SubmitError::Closing))),
                Ok(Some(Mail::View(reply))) => self.show(reply),
                Ok(Some(Mail::Told(command))) => self.told(command).await,
                Ok(Some(Mail::Woken(_) | Mail::Read(..) | Mail::Ended(_))) => {}
                Ok(None) | Err(_) => break,
            }
        }
        self.snapshot().await;
    }

    async fn remove(&mut self, removal: Removal) -> Result<(), SubmitError> {
        if self.actor.head() == 0 {
            return Err(SubmitError::Refused(Refusal::NoSession));
        }
        self.close().await;
        self.life.shell.kits.end(Some(self.life.id)).await;
        self.actor.closing = false;
        let (id, shell) = (self.life.id, &self.life.shell);
        let state = self.actor.state().ok_or(SubmitError::Refused(Refusal::NoSession))?;
        let removed = match removal {
            Removal::Trash { by, request } => {
                let note = Note { at: shell.moments.now(), by, request, row: list::row(shell, (id, state)) };
                shell.store.trash.discard(id, note).await
            }
            Removal::ForGood { request } => shell.store.trash.erase(vec![id], request).await,
        };
        if let Err(error) = removed {
            // What ran was ended for it: it is owed again, as after a crash.
            self.actor.held = Held::default();
            self.schedule_retry();
            return Err(SubmitError::Store(error));
        }
        self.life.shell.store.index.forget(self.life.id);
        self.life.shell.feeds.remove(self.life.id);
        self.actor.forget();
        // Brought back, it is a session of its journal, and of nobody who knew it empty.
        self.is_done = true;
        Ok(())
    }
}
