//! Turns a command into facts, or refuses it. A report of an abandoned attempt carries an old attempt number and is
//! refused here: the one guard against stale answers, for every effect.

use super::adopt::adopt;
use super::history::shared;
use super::question::PastAnswer;
use super::said::{check_message, check_text};
use super::settle::Fact;
use super::{Hold, PastDecision, PastWait, Remembered, State};
use crate::command::{Command, Create, Decision, LoopCommand, Message, QueueItem, Verdict};
use crate::event::{
    Asked, Behavior, CallAllowed, CallDenied, Decider, Entry, Event, InputEdited, InputQueued, InputRemoved,
    InterruptRequested, MessageReceived, Origin, SessionArchived, SessionCreated, SessionPaused, SessionResumed,
    SessionUpdated, TurnStarted,
};
use crate::id::{CallId, Ids, InputId, NoticeId, QuestionId, RequestId, SessionId, TurnId, WaitId};
use crate::limits::{LABEL_BYTES, LABELS, QUEUE_LENGTH, REASON_BYTES, SIGNALS_KEPT, SIGNALS_KEPT_BYTES, TITLE_CHARS};
use crate::task::Task;
use crate::time::Timestamp;
use crate::turn::{Call, Phase};

/// What the shell brings to a decision: the time and fresh ids.
#[derive(Debug, Clone)]
pub struct Moment {
    /// Now.
    pub at: Timestamp,
    /// Fresh ids.
    pub ids: Ids,
}

/// What was decided on a command.
#[derive(Debug, Clone, PartialEq)]
pub enum Decided {
    /// These facts are to be recorded; none means that there was nothing to do.
    Facts(Vec<Fact>),
    /// The journal begins with these events; what [`State::parted`] says of them comes next.
    Shared(Vec<Entry>),
    /// The request id was answered before: the same answer again.
    Duplicate(Remembered),
}

/// Why a command is not done.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// There is no such session.
    #[error("there is no such session")]
    NoSession,
    /// It exists already.
    #[error("the session exists already")]
    Exists,
    /// The request id was used for something else.
    #[error("request id `{0}` was used before with another body; use a fresh one")]
    RequestReused(RequestId),
    /// What was asked does not fit.
    #[error("{what}")]
    Invalid {
        /// Stable code.
        code: &'static str,
        /// What is wrong, and the way out.
        what: String,
    },
    /// The session is archived.
    #[error("the session is archived; take it back out first")]
    Archived,
    /// A turn runs.
    #[error("a turn is running; interrupt it or wait for its end")]
    TurnRunning,
    /// The queue is full.
    #[error("{QUEUE_LENGTH} follow-ups wait already; try again when some are done")]
    QueueFull,
    /// There is no such call that waits for a decision.
    #[error("no call `{0}` waits for a decision in this session")]
    NoApproval(CallId),
    /// Somebody decided first.
    #[error("call `{}` was decided already", .0.call)]
    AlreadyDecided(Box<PastDecision>),
    /// There is no such question that waits for an answer.
    #[error("no question `{0}` waits for an answer in this session")]
    NoQuestion(QuestionId),
    /// Somebody answered first.
    #[error("question `{}` was answered already", .0.question)]
    AlreadyAnswered(Box<PastAnswer>),
    /// There is no such wait.
    #[error("no wait `{0}` is armed in this session")]
    NoWait(WaitId),
    /// It ended first.
    #[error("wait `{}` ended already: {}", .0.wait, .0.reason.as_str())]
    WaitEnded(Box<PastWait>),
    /// Too many signals wait for somebody who waits for them.
    #[error("{SIGNALS_KEPT} signals, or {} KiB of them, wait already in this session for a wait that they fit", SIGNALS_KEPT_BYTES >> 10)]
    SignalsFull,
    /// There is no such notice.
    #[error("no notice `{0}` waits in this session: it was delivered or dropped, or there never was one")]
    NoNotice(NoticeId),
    /// There is no such follow-up.
    #[error("no follow-up `{0}` waits in this session; it may have started already")]
    NoInput(InputId),
    /// A report of an attempt that was given up.
    #[error("the report is of an attempt that was given up")]
    Stale,
}

pub(super) type Facts = Result<Vec<Fact>, Refusal>;

impl State {
    /// Decides on a command.
    ///
    /// # Errors
    ///
    /// A [`Refusal`]; the state is then as it was and nothing is to be recorded.
    pub fn decide(
        &self,
        session: SessionId,
        command: &Command,
        asked: Option<&Asked>,
        moment: &mut Moment,
    ) -> Result<Decided, Refusal> {
        if let Some(asked) = asked
            && let Some(before) = self.answered.requests.get(&asked.request_id)
        {
            let same = before.digest == asked.request_digest;
            return if same {
                Ok(Decided::Duplicate(before.clone()))
            } else {
                Err(Refusal::RequestReused(asked.request_id.clone()))
            };
        }
        match (command, &self.profile) {
            (Command::Create(_) | Command::Fork(_) | Command::Adopt(_), Some(_)) => Err(Refusal::Exists),
            (Command::Fork(fork), None) if fork.entries.is_empty() => Err(Refusal::NoSession),
            (Command::Fork(fork), None) => {
                check_profile(fork.title.as_deref(), None)?;
                Ok(Decided::Shared(shared(session, fork, asked)))
            }
            (Command::Adopt(adopted), None) => adopt(session, adopted, asked, moment).map(Decided::Shared),
            (Command::Create(create), None) => created(session, create).map(Decided::Facts),
            (_, None) => Err(Refusal::NoSession),
            (command, Some(_)) => {
                let mut facts = self.decide_existing(command, moment)?;
                if asked.is_some() && facts.is_empty() {
                    facts.extend(nothing_done(command));
                }
                Ok(Decided::Facts(facts))
            }
        }
    }

    fn decide_existing(&self, command: &Command, moment: &mut Moment) -> Facts {
        match command {
            Command::Create(_) | Command::Fork(_) | Command::Adopt(_) => Err(Refusal::Exists),
            Command::Rewind(rewind) => self.rewind(rewind),
            Command::Message(message) => self.message(message, moment),
            Command::Interrupt { by } => Ok(self.interrupt(by)),
            Command::Pause { by, reason } => self.pause(by, reason.as_ref()),
            Command::Resume { by } => Ok(self.resume(by)),
            Command::Update { title, labels, by } => {
                check_profile(title.as_deref(), labels.as_ref())?;
                let updated =
                    SessionUpdated { title: title.clone(), labels: labels.clone(), memory: None, by: by.clone() };
                Ok(vec![Fact::of_session(Event::SessionUpdated(updated))])
            }
            Command::Archive { archived, by } => self.archive(*archived, by),
            Command::Decide(decision) => self.decide_call(decision, moment),
            Command::Answer { question, answers, by } => self.answer(*question, answers, by, moment),
            Command::SetQueue { items, by } => self.set_queue(items, by, moment),
            Command::Context { what, by } => self.decide_context(what, by, moment),
            Command::Memory { what, by } => self.decide_memory(what, by, moment),
            Command::Loop { what, by } => self.decide_loop(what, by),
            Command::Relay { what, by } => self.decide_relay(what, by, moment),
            Command::Wait { what, by } => self.decide_wait(what, by, moment),
            Command::Signal(signal) => self.receive(signal),
            Command::Notice { what, by } => self.decide_notice(*what, by),
            Command::Wake => Ok(Vec::new()),
            Command::Report(report) => self.report(report, moment),
        }
    }

    pub(super) fn message(&self, message: &Message, moment: &mut Moment) -> Facts {
        check_message(message)?;
        if self.is_archived() {
            return Err(Refusal::Archived);
        }
        let received = |input| {
            Event::MessageReceived(MessageReceived {
                content: message.content.clone(),
                attachments: message.attachments.clone(),
                output_schema: message.output_schema.clone(),
                behavior: message.behavior,
                origin: message.origin.clone(),
                input,
            })
        };
        match &self.turn {
            Some(turn) if message.behavior == Behavior::Steer && turn.interrupt.is_none() => {
                let mut facts = vec![Fact::of_turn(turn.id, received(None))];
                facts.extend(self.answered_in_words(&message.origin, turn.id));
                Ok(facts)
            }
            // What comes by itself waits behind what people are asked.
            None if self.queue.items.is_empty() && !self.is_asking_after()
                || self.is_asking_after() && !message.origin.is_unattended() =>
            {
                let turn = TurnId::from_bits(moment.ids.fresh());
                let started = Event::TurnStarted(TurnStarted { trigger: message.origin.trigger() });
                let mut facts = vec![Fact::of_turn(turn, received(None))];
                facts.extend(self.answered_in_words(&message.origin, turn));
                facts.extend(self.undecided(turn));
                facts.push(Fact::of_turn(turn, started));
                Ok(facts)
            }
            // Where the queue is held until somebody speaks, who speaks is heard.
            Some(_) | None if self.queue.items.len() >= QUEUE_LENGTH && (self.turn.is_some() || !self.queue.held) => {
                Err(Refusal::QueueFull)
            }
            Some(_) | None => Ok(vec![queued(message, moment)]),
        }
    }

    /// Stops the turn that runs; between turns, the loop that waits.
    pub(super) fn interrupt(&self, by: &Origin) -> Vec<Fact> {
        let requested = || Event::InterruptRequested(InterruptRequested { by: by.clone(), stopped: false });
        match &self.turn {
            Some(turn) if turn.interrupt.is_none() => vec![Fact::of_turn(turn.id, requested())],
            None if self.looping().is_some() => vec![Fact::of_session(requested())],
            Some(_) | None => Vec::new(),
        }
    }

    fn pause(&self, by: &Origin, reason: Option<&String>) -> Facts {
        check_reason(reason)?;
        match self.hold {
            Hold::Archived { .. } => Err(Refusal::Archived),
            Hold::Paused { .. } => Ok(Vec::new()),
            Hold::Open => {
                let paused = SessionPaused { by: by.clone(), reason: reason.cloned() };
                Ok(vec![Fact::of_session(Event::SessionPaused(paused))])
            }
        }
    }

    fn resume(&self, by: &Origin) -> Vec<Fact> {
        let paused = matches!(self.hold, Hold::Paused { .. });
        let held = self.queue.held && self.turn.is_none() && !self.queue.items.is_empty();
        if paused || (held && self.hold == Hold::Open) {
            vec![Fact::of_session(Event::SessionResumed(SessionResumed { by: by.clone() }))]
        } else {
            Vec::new()
        }
    }

    fn archive(&self, archived: bool, by: &Origin) -> Facts {
        let said = || Fact::of_session(Event::SessionArchived(SessionArchived { archived, by: by.clone() }));
        match (archived, &self.hold) {
            (true, Hold::Open | Hold::Paused { .. }) if self.turn.is_some() => Err(Refusal::TurnRunning),
            // Nothing is done about what an archived session's model sees.
            (true, Hold::Open | Hold::Paused { .. }) => {
                Ok(self.compaction_cancelled(by).into_iter().chain([said()]).collect())
            }
            (true, Hold::Archived { .. }) | (false, Hold::Open | Hold::Paused { .. }) => Ok(Vec::new()),
            // Taken back out, it is as it was.
            (false, Hold::Archived { paused }) => {
                let paused = paused.clone().map(|paused| Fact::of_session(Event::SessionPaused(paused)));
                Ok([said()].into_iter().chain(paused).collect())
            }
        }
    }

    fn decide_call(&self, decision: &Decision, moment: &mut Moment) -> Facts {
        let id = decision.call;
        let call = self.at_hand().and_then(|turn| turn.call(id).map(|call| (turn, call)));
        let is_asked = |call: &Call| match call.phase {
            Phase::Awaiting { seq, .. } => decision.asked.is_none_or(|asked| asked == seq),
            Phase::Asked | Phase::Asking(_) | Phase::Cleared | Phase::Running | Phase::Settled => false,
        };
        let Some((turn, call)) = call.filter(|(_, call)| is_asked(call)) else {
            let past = self.answered.decisions.made.iter().rev().find(|past| past.call == id);
            return Err(past.map_or(Refusal::NoApproval(id), |past| Refusal::AlreadyDecided(Box::new(past.clone()))));
        };
        if self.is_archived() {
            return Err(Refusal::Archived);
        }
        check_reason(decision.reason.as_ref())?;
        let (by, reason) = (Decider::Person(decision.by.clone()), decision.reason.clone());
        let event = match decision.verdict {
            Verdict::Allow | Verdict::AllowAlways | Verdict::AllowAgent => Event::CallAllowed(CallAllowed {
                call: id,
                by,
                scope: decision.verdict.scope(),
                effect: call.effect,
                on_lost: call.on_lost,
                reason,
                ruled: call.ruled.clone(),
            }),
            Verdict::Deny => {
                Event::CallDenied(CallDenied { call: id, by, content: denied(call, reason.as_deref()), reason })
            }
        };
        Ok(self.decided_later(Fact::of_step(turn, event), id, moment))
    }

    fn set_queue(&self, items: &[QueueItem], by: &Origin, moment: &mut Moment) -> Facts {
        if self.is_archived() {
            return Err(Refusal::Archived);
        }
        if items.len() > QUEUE_LENGTH {
            return Err(Refusal::QueueFull);
        }
        for item in items {
            let waiting = item.input.map(|input| {
                let waiting = self.queue.items.iter().find(|queued| queued.input == input);
                waiting.ok_or(Refusal::NoInput(input))
            });
            let files = waiting.transpose()?.map(|waiting| waiting.attachments.as_slice());
            check_text(&item.content, files.unwrap_or_default())?;
        }
        let kept = |input: InputId| items.iter().find(|item| item.input == Some(input));
        let mut facts: Vec<Fact> = Vec::new();
        for waiting in &self.queue.items {
            let event = match kept(waiting.input) {
                None => Event::InputRemoved(InputRemoved { input: waiting.input, by: by.clone() }),
                Some(item) if item.content != waiting.content => Event::InputEdited(InputEdited {
                    input: waiting.input,
                    content: item.content.clone(),
                    by: by.clone(),
                }),
                Some(_) => continue,
            };
            facts.push(Fact::of_session(event));
        }
        let new = items.iter().filter(|item| item.input.is_none());
        let said = |item: &QueueItem| Message::text(&*item.content, Behavior::FollowUp, by.clone());
        facts.extend(new.map(|item| queued(&said(item), moment)));
        Ok(facts)
    }
}

/// Returns the fact that keeps a request to which there was nothing to do: unremembered, the same request would stop,
/// pause, resume or replace what comes later.
fn nothing_done(command: &Command) -> Option<Fact> {
    let event = match command {
        Command::Interrupt { by } | Command::Loop { what: LoopCommand::Abort, by } => {
            Event::InterruptRequested(InterruptRequested { by: by.clone(), stopped: false })
        }
        Command::Pause { by, reason } => Event::SessionPaused(SessionPaused { by: by.clone(), reason: reason.clone() }),
        Command::Resume { by } => Event::SessionResumed(SessionResumed { by: by.clone() }),
        Command::Archive { archived, by } => {
            Event::SessionArchived(SessionArchived { archived: *archived, by: by.clone() })
        }
        Command::SetQueue { by, .. } => {
            Event::SessionUpdated(SessionUpdated { title: None, labels: None, memory: None, by: by.clone() })
        }
        Command::Create(_)
        | Command::Fork(_)
        | Command::Adopt(_)
        | Command::Rewind(_)
        | Command::Message(_)
        | Command::Update { .. }
        | Command::Decide(_)
        | Command::Answer { .. }
        | Command::Context { .. }
        | Command::Memory { .. }
        | Command::Loop { what: LoopCommand::Start(_), .. }
        | Command::Relay { .. }
        | Command::Wait { .. }
        | Command::Signal(_)
        | Command::Notice { .. }
        | Command::Wake
        | Command::Report(_) => return None,
    };
    Some(Fact::of_session(event))
}

fn created(session: SessionId, create: &Create) -> Facts {
    check_profile(create.title.as_deref(), Some(&create.labels))?;
    if let Some(Err(error)) = create.task.as_deref().map(Task::check) {
        return Err(Refusal::Invalid { code: "task_invalid", what: error.to_string() });
    }
    Ok(vec![Fact::of_session(Event::SessionCreated(SessionCreated {
        taken_to: None,
        memory: create.memory,
        session,
        agent: create.agent.clone(),
        agent_digest: create.agent_digest.clone(),
        title: create.title.clone(),
        project: create.project.clone(),
        task: create.task.as_deref().cloned(),
        parent: None,
        on_disconnect: create.on_disconnect,
        labels: create.labels.clone(),
        by: create.by.clone(),
    }))])
}

fn check_profile(
    title: Option<&str>,
    labels: Option<&std::collections::BTreeMap<String, String>>,
) -> Result<(), Refusal> {
    if title.is_some_and(|title| title.chars().count() > TITLE_CHARS) {
        let what = format!("a title has at most {TITLE_CHARS} characters");
        return Err(Refusal::Invalid { code: "title_too_long", what });
    }
    let too_large = |labels: &std::collections::BTreeMap<String, String>| {
        labels.len() > LABELS || labels.iter().any(|(key, value)| key.len() > LABEL_BYTES || value.len() > LABEL_BYTES)
    };
    if labels.is_some_and(too_large) {
        let what = format!("a session has at most {LABELS} labels of {LABEL_BYTES} bytes a key and value");
        return Err(Refusal::Invalid { code: "labels_too_large", what });
    }
    Ok(())
}

fn check_reason(reason: Option<&String>) -> Result<(), Refusal> {
    match reason.map(String::len) {
        Some(bytes) if bytes > REASON_BYTES => {
            let what = format!("a reason has at most {REASON_BYTES} bytes, this one has {bytes}");
            Err(Refusal::Invalid { code: "reason_too_long", what })
        }
        Some(_) | None => Ok(()),
    }
}

fn queued(message: &Message, moment: &mut Moment) -> Fact {
    let input = InputId::from_bits(moment.ids.fresh());
    let starts = TurnId::from_bits(moment.ids.fresh());
    let event = Event::InputQueued(InputQueued {
        input,
        content: message.content.clone(),
        attachments: message.attachments.clone(),
        output_schema: message.output_schema.clone(),
        origin: message.origin.clone(),
        starts,
    });
    Fact::of_turn(starts, event)
}

fn denied(call: &Call, reason: Option<&str>) -> String {
    let why = reason.map(|reason| format!(" They said: {reason}")).unwrap_or_default();
    if call.attempt == 0 {
        format!("A person denied this call; it did not run.{why}")
    } else {
        format!("A person decided not to run this call again; the outcome of its first attempt is unknown.{why}")
    }
}
