//! What people are told outside of any client: what is worth telling, and who wants to hear of it.

mod letter;

pub use letter::{Letter, Teller, Told};

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::event::{Ending, Event, LoopExit};
use crate::id::AgentName;
use crate::relay::Terminal;
use crate::session::State;

/// What somebody is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// An agent asks a question.
    Ask,
    /// A call waits for a person's decision.
    Approval,
    /// A turn, a loop or a relay failed.
    Failure,
    /// A turn, a loop or a relay came to its end.
    Ending,
}

/// Somebody who is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Their name in the configuration.
    pub name: String,
    /// What they want to hear of.
    pub topics: BTreeSet<Topic>,
    /// Of which agents; of all where none is named.
    pub agents: BTreeSet<AgentName>,
}

impl Topic {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ask, Self::Approval, Self::Failure, Self::Ending];

    /// Returns the word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Approval => "approval",
            Self::Failure => "failure",
            Self::Ending => "ending",
        }
    }

    /// Returns what an event is to those who are told, if it is worth telling, given the state right after it.
    ///
    /// While a loop or a relay is under way, its turns come and go: its own end is told.
    #[must_use]
    #[expect(clippy::wildcard_enum_match_arm, reason = "a few events are told")]
    pub fn of(event: &Event, after: &State) -> Option<Self> {
        match event {
            Event::QuestionAsked(_) => Some(Self::Ask),
            Event::ApprovalRequested(_) => Some(Self::Approval),
            Event::TurnEnded(_) if after.looping().is_some() || after.relaying().is_some() => None,
            Event::TurnEnded(ended) => match ended.ending {
                Ending::Failed => Some(Self::Failure),
                Ending::Complete => Some(Self::Ending),
                Ending::Ask | Ending::Sleep | Ending::Interrupted => None,
            },
            Event::LoopEnded(ended) => match ended.exit {
                LoopExit::Passed => Some(Self::Ending),
                LoopExit::Iterations | LoopExit::Context | LoopExit::Error => Some(Self::Failure),
                // Whoever did it knows.
                LoopExit::Aborted => None,
            },
            Event::RelayFinished(finished) => match finished.outcome {
                Terminal::Failed => Some(Self::Failure),
                // An end that nobody put it to.
                Terminal::Completed | Terminal::Cancelled if finished.state.is_some() => Some(Self::Ending),
                // Whoever ended it knows.
                Terminal::Completed | Terminal::Cancelled => None,
            },
            _other => None,
        }
    }
}

impl Target {
    /// Says whether they want to hear of this.
    #[must_use]
    pub fn wants(&self, topic: Topic, agent: &AgentName) -> bool {
        self.topics.contains(&topic) && (self.agents.is_empty() || self.agents.contains(agent))
    }
}
