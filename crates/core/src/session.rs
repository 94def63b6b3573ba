//! The state of a session: a pure fold of its journal.
//!
//! [`State::decide`] turns a command into facts or a refusal, [`State::apply`] folds an event, [`State::owed`] says what
//! the shell must do next. Nothing else starts, continues or ends a turn. Recovery has no path of its own: replay, then
//! ask what is owed with nothing held.
//!
//! The transcript is not here: it is a fold of its own (`context::Transcript`), so that a snapshot stays small however
//! long the conversation is.

mod adopt;
mod apply;
mod condense;
mod decide;
mod filled;
mod history;
mod iteration;
mod memories;
mod notices;
mod owed;
mod parked;
mod question;
mod relay;
mod remember;
mod report;
mod requests;
mod said;
mod settle;
mod signals;
mod spending;
mod stop;
mod todo;
mod view;
mod waits;

pub use condense::{Relief, Sized};
pub use decide::{Decided, Moment, Refusal};
pub use filled::Filled;
pub use iteration::{CheckResult, Checked, Loop, Round, Stage};
pub use memories::{Memories, Shown};
pub use notices::{AT_ONCE, Notice, Notices};
pub use owed::{Allowance, Beside, Debt, Held, Notes};
pub use question::{ASK_USER, OpenQuestion, PastAnswer, Questions, question_of, read_questions};
pub use relay::{CREATE_RELAY, Pace, RELAY_STATUS, RelayCall, SELECT_STATE, Vouched, check_relay, read_relay_call};
pub(crate) use report::is_shallow;
pub use requests::{Remembered, Requests};
pub use settle::{Fact, Ruling, StepPlan, recovery};
pub(crate) use signals::{SIGNAL_NAME, holds, is_match, is_signal_name};
pub use spending::Spending;
pub use todo::{LIST_TOOL, read_todos};
pub use view::{Overflow, UnderWay, Vain, Version, View};
pub use waits::{Kept, PastWait, WAIT_TOOL, Wait, Waits, read_wait};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::command::Verdict;
use crate::content::Usage;
use crate::event::{Aside, Ending, OnDisconnect, Origin, Parent, SessionPaused, Todo, TurnError};
use crate::id::{CallId, InputId, Seq, SessionId, TurnId};
use crate::limits::GRANTS_REMEMBERED;
use crate::media::Attachment;
use crate::relay::Relay;
use crate::task::Task;
use crate::time::Timestamp;
use crate::turn::{Outages, Phase, Turn};

/// All that decides what happens next in a session.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct State {
    /// Position of the last event folded; 0 before the first.
    pub head: Seq,
    /// When the last event was decided.
    pub updated_at: Timestamp,
    /// Who and what it is; `None` before `session.created`.
    pub profile: Option<Profile>,
    /// Whether anything may start.
    pub hold: Hold,
    /// The running turn.
    pub turn: Option<Turn>,
    /// The turn before it.
    pub last: Option<LastTurn>,
    /// Follow-ups, oldest first.
    pub queue: Queue,
    /// What was answered before.
    pub answered: Answered,
    /// What people are asked.
    #[serde(default, skip_serializing_if = "Questions::is_empty")]
    pub questions: Questions,
    /// What the agent has written down to be done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub todos: Vec<Todo>,
    /// Sums over all turns.
    pub totals: Totals,
    /// What is done beside turns.
    #[serde(default, skip_serializing_if = "Upkeep::is_none")]
    pub upkeep: Upkeep,
}

/// What was answered before: once more it is answered the same.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Answered {
    /// Request ids.
    pub requests: Requests,
    /// Decided approvals.
    pub decisions: Decisions,
}

/// What keeps a conversation within the model's window, what is to outlast it, and who is told of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Upkeep {
    /// What the model sees of the journal.
    #[serde(default, skip_serializing_if = "View::is_whole")]
    pub view: View,
    /// How it stands with what is remembered.
    #[serde(default, skip_serializing_if = "Memories::is_empty")]
    pub memories: Memories,
    /// Who is to be told of what.
    #[serde(default, skip_serializing_if = "Notices::is_empty")]
    pub notices: Notices,
}

impl Upkeep {
    /// Says whether nothing was ever done about it.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Who and what a session is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Its id.
    pub session: SessionId,
    /// When it was made.
    pub created_at: Timestamp,
    /// The agent it talks to.
    pub agent: crate::id::AgentName,
    /// Digest of the agent's files when it was made.
    pub agent_digest: String,
    /// A name for people.
    pub title: Option<String>,
    /// The project it belongs to.
    pub project: Option<String>,
    /// The piece of work that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Task>,
    /// Where it was forked from.
    pub parent: Option<Parent>,
    /// What becomes of a turn without a client.
    pub on_disconnect: OnDisconnect,
    /// Free labels.
    pub labels: BTreeMap<String, String>,
    /// The beginning of the first message: what a list shows where there is no title.
    pub opening: Option<String>,
    /// What rewinds have set aside of its journal, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aside: Vec<Aside>,
}

/// Whether anything may start.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// Yes.
    #[default]
    Open,
    /// Nothing new until it is resumed.
    Paused {
        /// By whom.
        by: Origin,
        /// Why.
        reason: Option<String>,
    },
    /// Nothing at all until it is taken back out.
    Archived {
        /// How it was paused before: so it is again then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        paused: Option<SessionPaused>,
    },
}

/// How the turn before ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastTurn {
    /// Which.
    pub id: TurnId,
    /// How.
    pub ending: Ending,
    /// Why, if it failed.
    pub error: Option<TurnError>,
    /// When.
    pub at: Timestamp,
    /// Models that were down then.
    #[serde(default, skip_serializing_if = "Outages::is_empty")]
    pub outages: Outages,
}

/// What begins turns by itself: follow-ups, a loop, what is waited for, and a relay.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Queue {
    /// Oldest first.
    pub items: Vec<Queued>,
    /// Set when a turn failed: the next follow-up waits until a person speaks or resumes.
    pub held: bool,
    /// The loop that was begun last: follow-ups come before its next iteration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looping: Option<Box<Loop>>,
    /// What is waited for.
    #[serde(default, skip_serializing_if = "Waits::is_empty")]
    pub waits: Waits,
    /// The relay that was begun last: follow-ups come before its next turn.
    #[serde(default, with = "crate::relay::run::as_json", skip_serializing_if = "Option::is_none")]
    pub relay: Option<Box<Relay>>,
}

/// One follow-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Queued {
    /// Its id.
    pub input: InputId,
    /// What was said.
    pub content: String,
    /// Files that came with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// The JSON Schema that its turn's final answer must fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Arc<serde_json::Value>>,
    /// Where it came from.
    pub origin: Origin,
    /// The turn that it will start.
    pub starts: TurnId,
    /// The event that queued it.
    pub seq: Seq,
}

/// What people decided on calls.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Decisions {
    /// Newest last; the oldest are forgotten beyond `limits::DECISIONS_REMEMBERED`.
    pub made: Vec<PastDecision>,
    /// Rules that a person allowed always, in this session.
    pub grants: BTreeSet<String>,
}

impl Decisions {
    /// Remembers what a person allowed always. Beyond `limits::GRANTS_REMEMBERED` people are asked again.
    pub fn grant(&mut self, rule: String) {
        if !rule.is_empty() && self.grants.len() < GRANTS_REMEMBERED {
            self.grants.insert(rule);
        }
    }
}

/// One decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PastDecision {
    /// The call.
    pub call: CallId,
    /// What was decided; `None` when the turn was interrupted, or a person wrote, before anybody did.
    pub verdict: Option<Verdict>,
    /// By whom.
    pub by: Origin,
    /// When.
    pub at: Timestamp,
}

/// Sums over all turns.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Turns that ended.
    pub turns: u64,
    /// Their tokens.
    pub usage: Usage,
    /// What this session itself has used, whatever has become of it since.
    #[serde(default, skip_serializing_if = "Spending::is_empty")]
    pub spent: Spending,
    /// How full the model's window was at the last request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filled: Option<Filled>,
}

/// What a session is doing, in one word of CONTRACT §4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nothing: the next message starts a turn.
    Idle,
    /// A turn runs.
    Running,
    /// A turn waits for a provider that is down.
    Waiting,
    /// A person is to decide on a call.
    Approving,
    /// A person is asked a question.
    Asking,
    /// A wait is armed.
    Sleeping,
    /// Nothing starts until it is resumed.
    Paused,
    /// Put away.
    Archived,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Idle,
        Self::Running,
        Self::Waiting,
        Self::Approving,
        Self::Asking,
        Self::Sleeping,
        Self::Paused,
        Self::Archived,
    ];

    /// Returns the word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Approving => "approving",
            Self::Asking => "asking",
            Self::Sleeping => "sleeping",
            Self::Paused => "paused",
            Self::Archived => "archived",
        }
    }
}

impl State {
    fn is_archived(&self) -> bool {
        matches!(self.hold, Hold::Archived { .. })
    }

    /// Returns what the session is doing.
    #[must_use]
    pub fn status(&self) -> Status {
        match (&self.hold, &self.turn) {
            (Hold::Archived { .. }, _) => Status::Archived,
            (Hold::Paused { .. }, _) => Status::Paused,
            (Hold::Open, None) if self.calls().iter().any(|call| matches!(call.phase, Phase::Awaiting { .. })) => {
                Status::Approving
            }
            (Hold::Open, None) if !self.open_questions().is_empty() => Status::Asking,
            (Hold::Open, None) if self.queue.waits.armed.is_empty() => Status::Idle,
            (Hold::Open, None) => Status::Sleeping,
            (Hold::Open, Some(turn)) => turn.status(),
        }
    }

    /// Says whether a restart owes the session something: it must be opened even if nobody asks for it.
    ///
    /// A turn that only waits for a person's decision needs nobody, and what is not to be noted needs nobody either. What waits
    /// for a time needs nobody before ([`State::wakes_at`]).
    #[must_use]
    pub fn is_owed(&self, notes: Notes) -> bool {
        let allowed = Allowance { notes, ..Allowance::default() };
        !self.owed_but_later(Timestamp::from_micros(0), &Held::default(), &allowed).is_empty()
    }
}

/// First line of a snapshot: which fold made it. Raised when events fold to another state than before.
const FOLD: &str = "fold: 11\n";

/// Writes a snapshot: YAML, for people to read. Its head says which events it covers.
#[must_use]
pub fn write_snapshot(state: &State) -> Option<String> {
    serde_saphyr::to_string(state).ok().map(|text| format!("{FOLD}{text}"))
}

/// Reads a snapshot. `None` for whatever is not one, and for one that another fold made: it is never needed.
#[must_use]
pub fn read_snapshot(text: &str) -> Option<State> {
    serde_saphyr::from_str(text.strip_prefix(FOLD)?).ok()
}
