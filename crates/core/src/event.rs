//! The one vocabulary: every fact that a journal can hold. [`Entry`] is a fact in its place, [`Line`] its exact bytes.
//!
//! Invariants: an event that this version does not know is kept as it came ([`Event::Unknown`]); keys that it does not know
//! stay in the line, which is passed on untouched; no event is ever edited.

mod call;
mod compaction;
mod context;
mod iteration;
mod line;
mod memory;
mod message;
mod notice;
mod question;
mod recovery;
mod relay;
mod rewind;
mod schedule;
mod session;
mod step;
mod todo;
mod turn;
mod wait;

pub use call::{
    ApprovalRequested, ArtifactRef, ArtifactStored, CallAllowed, CallDenied, CallFinished, CallLost, CallStarted,
    Decider, Effect, OnLost, Outcome, Scope,
};
pub use compaction::{
    ActivationCause, CheckpointActivated, CheckpointCreated, CompactionCancelled, CompactionFailed,
    CompactionProgressed, CompactionSkipped, CompactionStarted, CompactionTrigger, Made, Sizes, Strategy,
};
pub use context::{ContextPruned, ContextRebuilt, RebuildCause};
pub use iteration::{Check, CheckCall, LoopChecksAsked, LoopEnded, LoopExit, LoopIterationStarted, LoopStarted};
pub use line::{Line, LineError};
pub use memory::{
    MemoryAdded, MemoryEdited, MemoryErased, MemoryFailed, MemoryForgotten, MemoryObserved, MemoryReflected, MemoryWork,
};
pub use message::{Behavior, InputEdited, InputQueued, InputRemoved, MessageReceived};
pub use notice::{NoticeDelivered, NoticeDropped, NoticeDue, NoticeFailed, NoticeRetried};
pub use question::{Choice, Question, QuestionAnswered, QuestionAsked};
pub use recovery::RecoveryNoted;
pub use relay::{
    RelayFinished, RelayRedefined, RelayReopened, RelaySource, RelayStarted, RelayStateEnded, RelayStateEntered,
    StateOutcome, Via,
};
pub use rewind::{Aside, SessionRewound};
pub use schedule::{
    RunCause, RunEnded, RunQueued, RunSkipped, RunStarted, ScheduleCreated, SchedulePaused, ScheduleRemoved,
    ScheduleResumed, ScheduleUpdated, SkipCause,
};
pub use session::{
    OnDisconnect, Origin, OriginKind, Parent, SessionArchived, SessionCreated, SessionPaused, SessionResumed,
    SessionUpdated,
};
pub use step::{BlockHash, StepFailed, StepFinished, StepStarted};
pub use todo::{Todo, TodoChanged, TodoStatus};
pub use turn::{Ending, InterruptRequested, Trigger, TurnEnded, TurnError, TurnStarted};
pub use wait::{
    Awaited, Overdue, SignalReceived, WaitArmed, WaitEnded, WaitKind, WaitMoved, WaitOwner, WaitReason, WaitTerms,
};

use serde::{Deserialize, Serialize};

use crate::id::{RequestId, Seq, TurnId};
use crate::time::Timestamp;

/// A client's name for the write that an event answers, with a digest of what it asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The client's name for it.
    pub request_id: RequestId,
    /// First 16 hex digits of the SHA-256 of the command: the same id with another body is refused.
    pub request_digest: String,
}

/// One event in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its position: 1, 2, 3 … without gaps.
    pub seq: Seq,
    /// When it was decided.
    pub at: Timestamp,
    /// The turn that it belongs to.
    pub turn: Option<TurnId>,
    /// The step of that turn, from 1.
    pub step: Option<u32>,
    /// On the first event of what a command with a request id caused.
    pub asked: Option<Asked>,
    /// Tokens of what it adds to the conversation, as the counter for all models counts them, where somebody counted.
    pub tokens: Option<u32>,
    /// The fact.
    pub event: Event,
}

macro_rules! events {
    ($($(#[$doc:meta])* $variant:ident($payload:ty) = $name:literal,)*) => {
        /// A fact. Each variant's payload says by its documentation when it may happen and what it changes.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Event {
            $($(#[$doc])* $variant($payload),)*
            /// A type that this version does not know: kept and passed on, changes nothing here.
            Unknown {
                /// Its type.
                name: String,
                /// Its version.
                v: u32,
                /// Its whole line without the crc, as JSON.
                raw: String,
            },
        }

        impl Event {
            /// Returns the type as it is written in the journal.
            #[must_use]
            pub fn name(&self) -> &str {
                match self {
                    $(Self::$variant(_) => $name,)*
                    Self::Unknown { name, .. } => name,
                }
            }

            /// Every type that this version knows.
            pub const NAMES: &'static [&'static str] = &[$($name,)*];

            fn payload(&self) -> Result<String, serde_json::Error> {
                match self {
                    $(Self::$variant(payload) => serde_json::to_string(payload),)*
                    Self::Unknown { raw, .. } => Ok(raw.clone()),
                }
            }

            fn read(name: &str, v: u32, json: &str) -> Result<Self, serde_json::Error> {
                match name {
                    $($name => serde_json::from_str(json).map(Self::$variant),)*
                    _ => Ok(Self::Unknown { name: name.to_owned(), v, raw: json.to_owned() }),
                }
            }
        }
    };
}

events! {
    /// The session exists.
    SessionCreated(SessionCreated) = "session.created",
    /// Its title or labels changed.
    SessionUpdated(SessionUpdated) = "session.updated",
    /// Nothing new starts until it is resumed.
    SessionPaused(SessionPaused) = "session.paused",
    /// It goes on.
    SessionResumed(SessionResumed) = "session.resumed",
    /// It goes on from an earlier event.
    SessionRewound(SessionRewound) = "session.rewound",
    /// It was put away, or taken back out.
    SessionArchived(SessionArchived) = "session.archived",
    /// A message was accepted.
    MessageReceived(MessageReceived) = "message.received",
    /// A follow-up was accepted.
    InputQueued(InputQueued) = "input.queued",
    /// A follow-up's text changed.
    InputEdited(InputEdited) = "input.edited",
    /// A follow-up was taken back.
    InputRemoved(InputRemoved) = "input.removed",
    /// A turn began.
    TurnStarted(TurnStarted) = "turn.started",
    /// Somebody asked the turn to stop.
    InterruptRequested(InterruptRequested) = "turn.interrupt_requested",
    /// The turn came to its one ending.
    TurnEnded(TurnEnded) = "turn.ended",
    /// The model is about to be asked.
    StepStarted(StepStarted) = "step.started",
    /// The model answered.
    StepFinished(StepFinished) = "step.finished",
    /// The model did not answer.
    StepFailed(StepFailed) = "step.failed",
    /// A call may run.
    CallAllowed(CallAllowed) = "call.allowed",
    /// A call may not run.
    CallDenied(CallDenied) = "call.denied",
    /// A person is to decide on a call.
    ApprovalRequested(ApprovalRequested) = "call.approval_requested",
    /// A call is about to run: the intent.
    CallStarted(CallStarted) = "call.started",
    /// A call ended: the outcome.
    CallFinished(CallFinished) = "call.finished",
    /// A call's outcome will never be known.
    CallLost(CallLost) = "call.lost",
    /// The agent asks a person.
    QuestionAsked(QuestionAsked) = "question.asked",
    /// The person answered.
    QuestionAnswered(QuestionAnswered) = "question.answered",
    /// The agent's list of what is to be done is another.
    TodoChanged(TodoChanged) = "todo.changed",
    /// A large output was kept beside the journal.
    ArtifactStored(ArtifactStored) = "artifact.stored",
    /// Results of old calls are shown as a line each.
    ContextPruned(ContextPruned) = "context.pruned",
    /// The stable part of requests is another.
    ContextRebuilt(ContextRebuilt) = "context.rebuilt",
    /// A checkpoint is being made.
    CompactionStarted(CompactionStarted) = "compaction.started",
    /// A piece of it is made.
    CompactionProgressed(CompactionProgressed) = "compaction.progressed",
    /// It could not be made.
    CompactionFailed(CompactionFailed) = "compaction.failed",
    /// Somebody stopped it.
    CompactionCancelled(CompactionCancelled) = "compaction.cancelled",
    /// None is made, though the conversation is long.
    CompactionSkipped(CompactionSkipped) = "compaction.skipped",
    /// A checkpoint exists.
    CheckpointCreated(CheckpointCreated) = "checkpoint.created",
    /// The model sees another part of the conversation.
    CheckpointActivated(CheckpointActivated) = "checkpoint.activated",
    /// Something is waited for.
    WaitArmed(WaitArmed) = "wait.armed",
    /// It ends at another time.
    WaitMoved(WaitMoved) = "wait.moved",
    /// It is waited for no more.
    WaitEnded(WaitEnded) = "wait.ended",
    /// A signal came.
    SignalReceived(SignalReceived) = "signal.received",
    /// Somebody outside is to be told of something.
    NoticeDue(NoticeDue) = "notice.due",
    /// They have it.
    NoticeDelivered(NoticeDelivered) = "notice.delivered",
    /// They could not be told.
    NoticeFailed(NoticeFailed) = "notice.failed",
    /// A person has it tried again.
    NoticeRetried(NoticeRetried) = "notice.retried",
    /// Nobody needs to be told any more.
    NoticeDropped(NoticeDropped) = "notice.dropped",
    /// A loop began.
    LoopStarted(LoopStarted) = "loop.started",
    /// An iteration of it began.
    LoopIterationStarted(LoopIterationStarted) = "loop.iteration_started",
    /// The iteration's checks are about to be run.
    LoopChecksAsked(LoopChecksAsked) = "loop.checks_asked",
    /// The loop came to its one end.
    LoopEnded(LoopEnded) = "loop.ended",
    /// A relay began.
    RelayStarted(RelayStarted) = "relay.started",
    /// An attempt of a state of it began.
    RelayStateEntered(RelayStateEntered) = "relay.state_entered",
    /// An attempt of a state of it ended.
    RelayStateEnded(RelayStateEnded) = "relay.state_ended",
    /// It goes on by another definition.
    RelayRedefined(RelayRedefined) = "relay.redefined",
    /// It came to its end.
    RelayFinished(RelayFinished) = "relay.finished",
    /// It goes on after its end.
    RelayReopened(RelayReopened) = "relay.reopened",
    /// What was said was looked at for what is to be remembered.
    MemoryObserved(MemoryObserved) = "memory.observed",
    /// What is remembered was condensed.
    MemoryReflected(MemoryReflected) = "memory.reflected",
    /// Something is to be remembered.
    MemoryAdded(MemoryAdded) = "memory.added",
    /// A memory's text is another.
    MemoryEdited(MemoryEdited) = "memory.edited",
    /// Something is forgotten.
    MemoryForgotten(MemoryForgotten) = "memory.forgotten",
    /// Nothing is left of it.
    MemoryErased(MemoryErased) = "memory.erased",
    /// What is remembered could not be brought up to date.
    MemoryFailed(MemoryFailed) = "memory.failed",
    /// A schedule exists.
    ScheduleCreated(ScheduleCreated) = "schedule.created",
    /// It is another.
    ScheduleUpdated(ScheduleUpdated) = "schedule.updated",
    /// Nothing is due until it is resumed.
    SchedulePaused(SchedulePaused) = "schedule.paused",
    /// It goes on.
    ScheduleResumed(ScheduleResumed) = "schedule.resumed",
    /// It is over for good.
    ScheduleRemoved(ScheduleRemoved) = "schedule.removed",
    /// A run waits for others.
    RunQueued(RunQueued) = "schedule.run_queued",
    /// A run is about to say its message.
    RunStarted(RunStarted) = "schedule.run_started",
    /// A run's attempt ended.
    RunEnded(RunEnded) = "schedule.run_ended",
    /// What was due will not run.
    RunSkipped(RunSkipped) = "schedule.run_skipped",
    /// A restart found something unfinished.
    RecoveryNoted(RecoveryNoted) = "recovery.noted",
}
