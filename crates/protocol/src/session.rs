//! Sessions on the wire.

use std::collections::BTreeMap;

use outlive_core::content::{FailureKind, Usage};
use outlive_core::event::{Aside, Ending, OnDisconnect, Parent, Todo, TurnError, WaitTerms};
use outlive_core::id::{Seq, SessionId, TurnId};
use outlive_core::memory::Mode;
use outlive_core::session::{Filled, Hold, State, Status};
use outlive_core::task::Task;
use outlive_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::context::Thresholds;
use crate::iteration::LoopView;
#[cfg(feature = "openapi")]
use crate::task::TaskBody;

/// `POST /sessions`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreateSession {
    /// The agent to talk to.
    pub agent: String,
    /// A name for people, up to 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The project it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The piece of work that it is for: whoever asks for the same gets the same session, whatever else they ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<TaskBody>))]
    pub task: Option<Task>,
    /// Free labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// `continue` or `pause`; the agent's own choice when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub on_disconnect: Option<OnDisconnect>,
    /// `on`, `incognito` (nothing of it is remembered) or `off`; as the agent's files say when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub memory: Option<Mode>,
    /// The same id makes the same session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// `PATCH /sessions/{id}`: what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpdateSession {
    /// The new title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The new labels, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// Put away, or take back out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived: Option<bool>,
    /// `on`, `incognito` (nothing of what comes is remembered) or `off`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub memory: Option<Mode>,
    /// The same id acts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// A session in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SessionRow {
    /// Its id.
    pub id: String,
    /// Its agent.
    pub agent: String,
    /// Its title, or how its first message begins.
    pub title: Option<String>,
    /// Its project.
    pub project: Option<String>,
    /// The piece of work that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<TaskBody>))]
    pub task: Option<Task>,
    /// `idle`, `running`, `waiting`, `approving`, `asking`, `sleeping`, `paused` or `archived`.
    pub status: String,
    /// Seq of its last event.
    pub head: u64,
    /// When it was made.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub created_at: Timestamp,
    /// When its last event was.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub updated_at: Timestamp,
    /// Free labels.
    pub labels: BTreeMap<String, String>,
    /// What wakes it first, while it sleeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sleep: Option<SleepView>,
}

/// What wakes a session first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SleepView {
    /// When the clock does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub until: Option<Timestamp>,
    /// The signal that does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// What is waited for.
    pub reason: String,
}

impl SleepView {
    /// Shows the first of these waits to end.
    #[must_use]
    pub fn first(waits: impl Iterator<Item = WaitTerms>) -> Option<Self> {
        let first = waits.min_by_key(|terms| (terms.over_at().is_none(), terms.over_at()))?;
        let until = first.over_at();
        Some(Self { until, signal: first.signal.map(|signal| signal.name), reason: first.reason })
    }
}

/// `GET /sessions/{id}`, and the answer to `POST /sessions`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SessionView {
    /// What a list shows of it.
    #[serde(flatten)]
    pub row: SessionRow,
    /// Digest of the agent's files when it was made.
    pub agent_digest: String,
    /// What becomes of a turn without a client.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub on_disconnect: OnDisconnect,
    /// The session that it was forked from, and the last event that both share: `{session, seq}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub parent: Option<Parent>,
    /// The running turn.
    pub turn: Option<TurnView>,
    /// The turn before it.
    pub last_turn: Option<LastTurnView>,
    /// Follow-ups that wait.
    pub queue_length: usize,
    /// Turns that ended.
    pub turns: u64,
    /// Their tokens.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub usage: Usage,
    /// What this session itself has used, its running turn included: what its budgets are held against. A fork begins with
    /// nothing, and a rewind takes nothing back.
    #[serde(default)]
    pub spent: Spent,
    /// How it stands.
    #[serde(flatten)]
    pub standing: Standing,
    /// The agent's list of what is to be done: `{text, status}`, where status is `pending`, `in_progress` or `done`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>))]
    pub todos: Vec<Todo>,
}

/// How a session stands: whether it goes on, and how much room there is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Standing {
    /// Why it is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_because: Option<String>,
    /// `on`, `incognito` or `off`: how far it takes part in what is remembered, where that is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub memory: Option<Mode>,
    /// How full the model's window was at the last request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<ContextStatus>,
    /// The loop that was begun last.
    #[serde(default, rename = "loop", skip_serializing_if = "Option::is_none")]
    pub looping: Option<LoopView>,
    /// Events that the model does not see any more as they are, and that nobody has looked at yet for what is to be remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub unobserved: Option<Aside>,
}

/// How full a model's window is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ContextStatus {
    /// Tokens of the last request, with its reply once that is there.
    pub tokens: u64,
    /// Tokens that a request may have.
    pub usable: u64,
    /// How much of that it is.
    pub percent: u64,
    /// `ok`, `warn` or `hard`.
    pub level: String,
    /// From where on something is done about it.
    pub thresholds: Thresholds,
}

/// Tokens, steps, and what they cost.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Spent {
    /// Tokens of input and output, cached or not.
    pub tokens: u64,
    /// Answered steps.
    pub steps: u64,
    /// Those of them whose cost is known.
    pub priced_steps: u64,
    /// In US dollars, where it is known: at least this where not every step is priced.
    pub cost: Option<f64>,
}

/// A running turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TurnView {
    /// Its id.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: TurnId,
    /// Its step, from 1.
    pub step: u32,
    /// When it began.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub started_at: Timestamp,
    /// When the model is asked again, while its provider is down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub retry_at: Option<Timestamp>,
    /// Why it waits for a provider: `overloaded`, `rate_limited`, `timeout`, `network`, `truncated`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub waits_because: Option<FailureKind>,
    /// The model that was asked and has not answered, as `provider/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LastTurnView {
    /// Its id.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: TurnId,
    /// `complete`, `ask`, `sleep`, `interrupted` or `failed`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub ending: Ending,
    /// Why, if it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub error: Option<TurnError>,
}

/// `POST /sessions/{id}/interrupt`, `/pause`, `/resume`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Control {
    /// Why, for the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The same id acts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// `POST /sessions/{id}/fork`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ForkSession {
    /// The last event that both will share; the last one there is when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_seq: Option<Seq>,
    /// Another name for people, up to 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The same id makes the same session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// `POST /sessions/{id}/rewind`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RewindSession {
    /// The last event that counts.
    pub to_seq: Seq,
    /// The same id acts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// The answer to a write that has no answer of its own: it is durable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Done {
    /// The first event that it caused, or the head if there was nothing to do.
    pub seq: u64,
    /// The session's head.
    pub head: u64,
    /// The turn that it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub turn_id: Option<TurnId>,
    /// Whether the same request was answered before.
    pub duplicate: bool,
}

impl SessionView {
    /// Shows a state.
    #[must_use]
    pub fn of(session: SessionId, state: &State) -> Option<Self> {
        let profile = state.profile.as_ref()?;
        let row = SessionRow {
            id: session.to_string(),
            agent: profile.agent.to_string(),
            title: profile.title.clone().or_else(|| profile.opening.clone()),
            project: profile.project.clone(),
            task: profile.task.clone(),
            status: state.status().as_str().to_owned(),
            head: state.head,
            created_at: profile.created_at,
            updated_at: state.updated_at,
            labels: profile.labels.clone(),
            sleep: sleep(state),
        };
        let last = state.last.as_ref();
        Some(Self {
            row,
            agent_digest: profile.agent_digest.clone(),
            on_disconnect: profile.on_disconnect,
            parent: profile.parent.clone(),
            turn: state.turn.as_ref().map(|turn| TurnView::of(turn, state.updated_at)),
            last_turn: last.map(|last| LastTurnView { id: last.id, ending: last.ending, error: last.error.clone() }),
            queue_length: state.queue.items.len(),
            turns: state.totals.turns,
            usage: state.totals.usage,
            spent: Spent::of(state.totals.spent.all),
            todos: state.todos.clone(),
            standing: Standing {
                paused_because: match &state.hold {
                    Hold::Paused { reason, .. } => reason.clone(),
                    Hold::Open | Hold::Archived { .. } => None,
                },
                memory: state.upkeep.memories.mode,
                context: state.totals.filled.as_ref().map(ContextStatus::of),
                looping: state.queue.looping.as_deref().map(LoopView::of),
                unobserved: state.evicted_unobserved(),
            },
        })
    }
}

fn sleep(state: &State) -> Option<SleepView> {
    let waits = state.queue.waits.armed.iter().map(|wait| wait.terms.clone());
    if state.status() == Status::Sleeping { SleepView::first(waits) } else { None }
}

impl ContextStatus {
    fn of(filled: &Filled) -> Self {
        let (level, room) = (filled.level().as_str().to_owned(), filled.room);
        let thresholds = Thresholds::of(room);
        Self { tokens: filled.tokens, usable: room.usable, percent: filled.percent(), level, thresholds }
    }

    /// Returns how full that is.
    #[must_use]
    pub fn filled(&self) -> Filled {
        Filled { tokens: self.tokens, room: self.thresholds.room(self.usable) }
    }
}

impl Spent {
    fn of(used: Usage) -> Self {
        let Usage { steps, priced_steps, .. } = used;
        Self { tokens: used.tokens(), steps, priced_steps, cost: used.charged() }
    }
}

impl TurnView {
    /// Shows a turn as it was at the session's last event.
    fn of(turn: &outlive_core::turn::Turn, at: Timestamp) -> Self {
        use outlive_core::turn::Asking;
        let (retry_at, waits_because) = match &turn.asking {
            Asking::Backoff { until, kind, .. } => (turn.outages.next_try(at).or(Some(*until)), Some(*kind)),
            Asking::Due | Asking::Asked { .. } | Asking::Answered { .. } | Asking::Checks | Asking::GaveUp { .. } => {
                (None, None)
            }
        };
        let model = turn.outages.asked().map(str::to_owned);
        Self { id: turn.id, step: turn.step, started_at: turn.started_at, retry_at, waits_because, model }
    }
}
