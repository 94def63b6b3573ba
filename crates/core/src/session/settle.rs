//! Turns debts into facts. What needs the shell first (a request to assemble, a call to assess) comes in as a value.

use super::decide::Moment;
use super::question::withdrawn;
use super::{Debt, Queued, State, question_of};
use crate::budget::Capped;
use crate::command::NewWait;
use crate::context::{Load, Room};
use crate::event::{
    ApprovalRequested, Behavior, BlockHash, CallAllowed, CallDenied, CallFinished, CallLost, CallStarted, Decider,
    Effect, Ending, Event, MessageReceived, OnLost, Origin, OriginKind, Outcome, Question, QuestionAsked,
    RecoveryNoted, Scope, SessionPaused, StepStarted, Todo, TodoChanged, TurnEnded, TurnError, TurnStarted,
};
use crate::id::{CallId, TurnId};
use crate::limits::DEATHS_BEFORE_PARKING;
use crate::policy::Ruled;
use crate::time::Timestamp;
use crate::turn::{Call, Turn};

/// An event that is decided, before it has its place and time.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// Its turn.
    pub turn: Option<TurnId>,
    /// Its step.
    pub step: Option<u32>,
    /// What happened.
    pub event: Event,
}

impl Fact {
    /// A fact about the session.
    #[must_use]
    pub fn of_session(event: Event) -> Self {
        Self { turn: None, step: None, event }
    }

    /// A fact about a turn, between its steps.
    #[must_use]
    pub fn of_turn(turn: TurnId, event: Event) -> Self {
        Self { turn: Some(turn), step: None, event }
    }

    /// A fact about a turn's current step.
    #[must_use]
    pub fn of_step(turn: &Turn, event: Event) -> Self {
        Self { turn: Some(turn.id), step: Some(turn.step), event }
    }
}

/// How the policy ruled on a call, with what the tool said of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Ruling {
    /// It may start.
    Allowed {
        /// By whom.
        by: Decider,
        /// What running it does.
        effect: Effect,
        /// What becomes of it when its outcome is unknown.
        on_lost: OnLost,
        /// Where it leads, if that is a path.
        ruled: Option<Ruled>,
    },
    /// A person decides.
    Ask {
        /// Exactly what will run.
        summary: String,
        /// The rule that an `always` would store.
        rule: String,
        /// The parts of it that must be asked about, each with the reason.
        because: Vec<String>,
        /// What running it does.
        effect: Effect,
        /// What becomes of it when its outcome is unknown.
        on_lost: OnLost,
        /// Where it leads, if that is a path.
        ruled: Option<Ruled>,
    },
    /// It asks a person, and is never run.
    Question(Vec<Question>),
    /// It writes the agent's list, and is never run.
    Todos(Vec<Todo>),
    /// It arms a wait, and is never run.
    Wait(NewWait),
    /// It is about a relay, and is never run.
    Relay(super::RelayCall),
    /// It does not run.
    Denied {
        /// By whom.
        by: Decider,
        /// What the model is told.
        content: String,
    },
}

/// The request that a step is about to send, as the journal describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct StepPlan {
    /// `provider/name`.
    pub model: String,
    /// Digest of the whole request, 16 hex digits.
    pub request: String,
    /// Its blocks.
    pub blocks: Vec<BlockHash>,
    /// Estimated input tokens.
    pub tokens_estimated: u64,
    /// Digest of the agent's files.
    pub agent_digest: String,
    /// Messages in it.
    pub messages: u32,
    /// Set where a budget leaves less room for the reply than the agent asks for.
    pub capped: Option<Capped>,
    /// What the estimate is made of.
    pub load: Load,
    /// What a request may have.
    pub room: Room,
}

impl StepPlan {
    /// Returns the fact that a step starts.
    #[must_use]
    pub fn started(self, turn: TurnId, step: u32, attempt: u32) -> Fact {
        let event = Event::StepStarted(StepStarted {
            model: self.model,
            attempt,
            request: self.request,
            blocks: self.blocks,
            tokens_estimated: self.tokens_estimated,
            agent_digest: self.agent_digest,
            messages: self.messages,
            capped: self.capped,
            room: Some(self.room),
        });
        Fact { turn: Some(turn), step: Some(step), event }
    }
}

impl Ruling {
    /// Returns the facts that a call was ruled on, and what that did.
    #[must_use]
    pub fn facts(self, state: &State, call: &Call, moment: &mut Moment) -> Vec<Fact> {
        let (id, Some(turn)) = (call.id, &state.turn) else { return Vec::new() };
        let event = match self {
            Self::Wait(new) => match state.arm_by_call(&new, id, moment) {
                Ok((armed, told)) => {
                    return [armed, answered(id, told)].into_iter().map(|event| Fact::of_step(turn, event)).collect();
                }
                Err(content) => Event::CallDenied(CallDenied { call: id, by: Decider::Runtime, content, reason: None }),
            },
            Self::Relay(asked) => match state.relay_by_call(&asked, moment) {
                Ok((events, told)) => {
                    let all = events.into_iter().chain([answered(id, told)]);
                    return all.map(|event| Fact::of_step(turn, event)).collect();
                }
                Err(content) => Event::CallDenied(CallDenied { call: id, by: Decider::Runtime, content, reason: None }),
            },
            Self::Todos(items) => {
                let kept = answered(id, super::todo::told(&items));
                let changed = Event::TodoChanged(TodoChanged { call: id, items });
                return [changed, kept].into_iter().map(|event| Fact::of_step(turn, event)).collect();
            }
            Self::Allowed { by, effect, on_lost, ruled } => {
                let (scope, reason) = (Scope::Once, None);
                Event::CallAllowed(CallAllowed { call: id, by, scope, effect, on_lost, reason, ruled })
            }
            Self::Ask { summary, rule, because, effect, on_lost, ruled } => {
                Event::ApprovalRequested(ApprovalRequested {
                    call: id,
                    tool: call.tool.clone(),
                    summary,
                    rule,
                    because,
                    effect,
                    on_lost,
                    ruled,
                })
            }
            Self::Question(_) if turn.steered => {
                let content = "Not asked: the person wrote while you were at it; see their message.".to_owned();
                Event::CallDenied(CallDenied { call: id, by: Decider::Runtime, content, reason: None })
            }
            Self::Question(questions) => {
                Event::QuestionAsked(QuestionAsked { question: question_of(id), call: id, questions, attempt: None })
            }
            Self::Denied { by, content } => Event::CallDenied(CallDenied { call: id, by, content, reason: None }),
        };
        vec![Fact::of_step(turn, event)]
    }
}

/// The result of a call that is never run.
fn answered(call: CallId, content: String) -> Event {
    let (outcome, details, artifact) = (Outcome::Ok, None, None);
    Event::CallFinished(CallFinished { call, attempt: 0, outcome, content, details, artifact, duration_ms: 0 })
}

impl State {
    /// Returns the facts that settle a debt, or none where the shell must bring something first ([`Debt::StartStep`],
    /// [`Debt::Rule`], [`Debt::Loop`], [`Debt::Relay`], [`Debt::EndWait`]) or only has to act ([`Debt::Find`], [`Debt::Stop`], [`Debt::WaitUntil`]).
    #[must_use]
    pub fn settle(&self, debt: &Debt) -> Vec<Fact> {
        match (debt, &self.turn) {
            (Debt::StartQueued, None) => self.queue.items.first().map(start_queued).unwrap_or_default(),
            (Debt::Start { call, attempt, .. }, Some(turn)) => turn.started(*call, *attempt),
            (Debt::DeclareLost(call), Some(turn)) => turn.lost(*call),
            (Debt::AskAboutLost(call), Some(turn)) => turn.ask_about_lost(*call),
            (Debt::Park(call), Some(turn)) => turn.park(*call),
            // It ran once, and nobody knows what it did: that stays so.
            (Debt::Skip(call), Some(turn)) if turn.call(*call).is_some_and(|call| call.attempt > 0) => turn.lost(*call),
            (Debt::Skip(call), Some(turn)) => vec![turn.skipped(*call)],
            (Debt::End { ending, error }, Some(turn)) => {
                vec![turn.ended((*ending, self.wake_at(*ending)), error.clone())]
            }
            (
                Debt::StartStep { .. }
                | Debt::Rule(_)
                | Debt::Find { .. }
                | Debt::Stop(_)
                | Debt::Loop(_)
                | Debt::Relay(_)
                | Debt::EndWait(_)
                | Debt::Beside(_)
                | Debt::WaitUntil(_),
                _,
            )
            | (Debt::StartQueued, Some(_)) => Vec::new(),
            (
                Debt::Start { .. }
                | Debt::DeclareLost(_)
                | Debt::AskAboutLost(_)
                | Debt::Park(_)
                | Debt::Skip(_)
                | Debt::End { .. },
                None,
            ) => Vec::new(),
        }
    }
}

fn start_queued(queued: &Queued) -> Vec<Fact> {
    let message = MessageReceived {
        content: queued.content.clone(),
        attachments: queued.attachments.clone(),
        output_schema: queued.output_schema.clone(),
        behavior: Behavior::FollowUp,
        origin: queued.origin.clone(),
        input: Some(queued.input),
    };
    begun(queued.starts, message)
}

/// Returns the facts that a message begins a turn.
pub(super) fn begun(turn: TurnId, message: MessageReceived) -> Vec<Fact> {
    let started = TurnStarted { trigger: message.origin.trigger() };
    vec![Fact::of_turn(turn, Event::MessageReceived(message)), Fact::of_turn(turn, Event::TurnStarted(started))]
}

impl Turn {
    fn started(&self, id: CallId, attempt: u32) -> Vec<Fact> {
        let Some(call) = self.call(id) else { return Vec::new() };
        let event = Event::CallStarted(CallStarted {
            call: id,
            tool: call.tool.clone(),
            arguments: call.input.clone(),
            attempt,
            effect: call.effect,
            idempotency_key: call.key(),
        });
        self.withdrawing(call, event)
    }

    fn lost(&self, id: CallId) -> Vec<Fact> {
        let Some(call) = self.call(id) else { return Vec::new() };
        let known = format!(
            "The outcome of this call is unknown: `{}` was started, then the process that ran it died. It was not run \
             again. It may have done all, some or none of its work: check before you repeat it.",
            call.tool
        );
        let lost = Event::CallLost(CallLost { call: id, attempt: call.attempt, known });
        self.withdrawing(call, lost)
    }

    /// Returns the facts of what becomes of a call, after that what it asked is taken back.
    fn withdrawing(&self, call: &Call, event: Event) -> Vec<Fact> {
        withdrawn(call).into_iter().chain([event]).map(|event| Fact::of_step(self, event)).collect()
    }

    fn ask_about_lost(&self, id: CallId) -> Vec<Fact> {
        let Some(call) = self.call(id) else { return Vec::new() };
        let event = Event::ApprovalRequested(ApprovalRequested {
            call: id,
            tool: call.tool.clone(),
            summary: format!("run again, outcome of attempt {} unknown: {} {}", call.attempt, call.tool, call.input),
            rule: String::new(),
            because: Vec::new(),
            effect: call.effect,
            on_lost: call.on_lost,
            ruled: call.ruled.clone(),
        });
        let mut facts = self.lost(id);
        facts.push(Fact::of_step(self, event));
        facts
    }

    fn park(&self, id: CallId) -> Vec<Fact> {
        let Some(call) = self.call(id) else { return Vec::new() };
        let reason = format!(
            "call {id} (`{}`) was running at {} process deaths in a row; resume to declare it lost and go on, or interrupt",
            call.tool,
            call.deaths.max(1)
        );
        let by = Origin::of(OriginKind::Runtime);
        self.withdrawing(call, Event::SessionPaused(SessionPaused { by, reason: Some(reason) }))
    }

    fn skipped(&self, id: CallId) -> Fact {
        let event = Event::CallFinished(CallFinished {
            call: id,
            attempt: 0,
            outcome: Outcome::Interrupted,
            content: "Not started: the turn was interrupted.".to_owned(),
            details: None,
            artifact: None,
            duration_ms: 0,
        });
        Fact::of_step(self, event)
    }

    /// Returns the facts that settle a call that its agent cannot run any more.
    #[must_use]
    pub fn unfit(&self, call: &Call, why: &str) -> Vec<Fact> {
        let (id, attempt) = (call.id, call.attempt);
        let event = if attempt == 0 {
            let content = format!("Not started: {why}");
            Event::CallDenied(CallDenied { call: id, by: Decider::Runtime, content, reason: None })
        } else {
            let known =
                format!("`{}` was started, then its process died. It cannot be taken up again: {why}", call.tool);
            Event::CallLost(CallLost { call: id, attempt, known })
        };
        self.withdrawing(call, event)
    }

    fn ended(&self, (ending, wake_at): (Ending, Option<Timestamp>), error: Option<TurnError>) -> Fact {
        let event =
            Event::TurnEnded(TurnEnded { ending, wake_at, error, usage: self.usage, cost: self.usage.charged() });
        Fact::of_turn(self.id, event)
    }
}

/// Returns the note about what a restart found, if it found anything unfinished: recorded before what is done about it.
#[must_use]
pub fn recovery(state: &State, debts: &[Debt], cut_bytes: u64) -> Option<Fact> {
    let mut noted = RecoveryNoted { cut_bytes, last_event_at: Some(state.updated_at), ..RecoveryNoted::default() };
    for debt in debts {
        match debt {
            Debt::StartStep { again: true, .. } => noted.step_asked_again = true,
            Debt::Start { call, again: true, .. } | Debt::Find { call, .. } => {
                if died_too_often(state, *call) && noted.parked_for.is_none() {
                    noted.parked_for = Some(*call);
                } else {
                    noted.calls_resumed.push(*call);
                }
            }
            Debt::DeclareLost(call) | Debt::AskAboutLost(call) => noted.calls_lost.push(*call),
            Debt::StartQueued
            | Debt::StartStep { .. }
            | Debt::Rule(_)
            | Debt::Start { .. }
            | Debt::Park(_)
            | Debt::Skip(_)
            | Debt::Stop(_)
            | Debt::End { .. }
            | Debt::Loop(_)
            | Debt::Relay(_)
            | Debt::EndWait(_)
            | Debt::Beside(_)
            | Debt::WaitUntil(_) => {}
        }
    }
    let empty = noted.calls_lost.is_empty()
        && noted.calls_resumed.is_empty()
        && noted.parked_for.is_none()
        && !noted.step_asked_again
        && cut_bytes == 0;
    if empty {
        return None;
    }
    noted.summary = summary(state, &noted);
    let (turn, step) = state.turn.as_ref().map_or((None, None), |turn| (Some(turn.id), Some(turn.step)));
    Some(Fact { turn, step, event: Event::RecoveryNoted(noted) })
}

fn died_too_often(state: &State, id: CallId) -> bool {
    let call = state.turn.as_ref().and_then(|turn| turn.call(id));
    call.is_some_and(|call| call.deaths + 1 >= DEATHS_BEFORE_PARKING)
}

fn summary(state: &State, noted: &RecoveryNoted) -> String {
    let named = |ids: &[CallId]| {
        let tool =
            |id: &CallId| state.turn.as_ref().and_then(|turn| turn.call(*id)).map_or("?", |call| call.tool.as_str());
        ids.iter().map(tool).collect::<Vec<_>>().join(", ")
    };
    let mut parts = Vec::new();
    if noted.step_asked_again {
        parts.push("the model is asked again".to_owned());
    }
    if !noted.calls_lost.is_empty() {
        parts.push(format!("outcome unknown, not run again: {}", named(&noted.calls_lost)));
    }
    if !noted.calls_resumed.is_empty() {
        parts.push(format!("safe to take up again: {}", named(&noted.calls_resumed)));
    }
    if let Some(call) = noted.parked_for {
        parts.push(format!("paused, because this call was running at several deaths: {}", named(&[call])));
    }
    if noted.cut_bytes > 0 {
        parts.push(format!("{} bytes that were never acknowledged were cut from the journal", noted.cut_bytes));
    }
    format!("the process died after {}: {}", state.updated_at, parts.join("; "))
}
