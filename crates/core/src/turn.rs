//! The machines inside a turn: [`Asking`] for its step, [`Call`] for each tool call, and the one ending.

mod call;
mod ending;
mod fallback;
mod running;
mod step;

pub use call::{Call, Fate, Inquiry, Phase};
pub use ending::{failure_ending, stopped_ending};
pub use fallback::{Lineup, Outages};
pub use running::Running;
pub(crate) use step::spread;
pub use step::{Asking, retry_pause_ms, retryable};

use serde::{Deserialize, Serialize};

use crate::budget::Capped;
use crate::content::Usage;
use crate::event::{InterruptRequested, Trigger};
use crate::id::{CallId, TurnId};
use crate::session::Status;
use crate::time::Timestamp;

/// All that happens from one input to one ending.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// Its id.
    pub id: TurnId,
    /// What it began with.
    pub trigger: Trigger,
    /// When it began.
    pub started_at: Timestamp,
    /// The current step, from 1; 0 before the first.
    pub step: u32,
    /// Where that step's model request is.
    pub asking: Asking,
    /// That step's calls, in the model's order.
    pub calls: Vec<Call>,
    /// Who asked it to stop.
    pub interrupt: Option<InterruptRequested>,
    /// Whether something was said that no step has seen yet.
    pub steered: bool,
    /// Failures in a row of the current step.
    pub failures: u32,
    /// Tokens of all its steps.
    pub usage: Usage,
    /// Models that are down.
    #[serde(default, skip_serializing_if = "Outages::is_empty")]
    pub outages: Outages,
    /// Set where a budget left less room for the current step's reply than the agent asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capped: Option<Capped>,
}

impl Turn {
    /// Begins.
    #[must_use]
    pub fn begin(id: TurnId, trigger: Trigger, at: Timestamp) -> Self {
        Self {
            id,
            trigger,
            started_at: at,
            step: 0,
            asking: Asking::Due,
            calls: Vec::new(),
            interrupt: None,
            steered: false,
            failures: 0,
            usage: Usage::default(),
            outages: Outages::default(),
            capped: None,
        }
    }

    /// Returns a call of the current step.
    #[must_use]
    pub fn call(&self, id: CallId) -> Option<&Call> {
        self.calls.iter().find(|call| call.id == id)
    }

    /// Returns a call of the current step, to fold an event into it.
    pub fn call_mut(&mut self, id: CallId) -> Option<&mut Call> {
        self.calls.iter_mut().find(|call| call.id == id)
    }

    /// Says whether every call of the current step is settled.
    #[must_use]
    pub fn calls_settled(&self) -> bool {
        self.calls.iter().all(|call| call.phase == Phase::Settled)
    }

    /// Returns what the session is doing in this turn: a person's decision counts before what runs beside it only when
    /// nothing runs.
    #[must_use]
    pub fn status(&self) -> Status {
        let awaits = self.calls.iter().any(|call| matches!(call.phase, Phase::Awaiting { .. }));
        let running = |call: &&Call| matches!(call.phase, Phase::Running);
        let asks = self.calls.iter().filter(running).any(|call| call.inquiry.is_some());
        let runs = self.calls.iter().filter(running).any(|call| call.inquiry.is_none());
        if asks && !runs && !awaits {
            return Status::Asking;
        }
        match (&self.asking, awaits && !runs) {
            (Asking::Backoff { .. }, _) => Status::Waiting,
            (Asking::Answered { .. } | Asking::Checks, true) => Status::Approving,
            (
                Asking::Due | Asking::Asked { .. } | Asking::Answered { .. } | Asking::Checks | Asking::GaveUp { .. },
                _,
            ) => Status::Running,
        }
    }
}
