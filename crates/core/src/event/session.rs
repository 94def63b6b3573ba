//! Events of a session as a whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{AgentName, Seq, SessionId};
use crate::memory::Mode;
use crate::task::Task;

/// Where a message or a decision came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Through which door.
    pub kind: OriginKind,
    /// Who, as far as the door knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
}

impl Origin {
    /// Returns an origin whose sender is not known.
    #[must_use]
    pub fn of(kind: OriginKind) -> Self {
        Self { kind, sender: None }
    }
}

/// The doors. `import` is another program, whose name is the sender; `runtime` is Outlive itself: recovery, the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is named for its door")]
pub enum OriginKind {
    Cli,
    Api,
    Web,
    Gateway,
    Schedule,
    Webhook,
    Relay,
    Wait,
    Signal,
    Worker,
    Import,
    Runtime,
    #[serde(other)]
    Other,
}

/// What becomes of a running turn when the last client goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDisconnect {
    /// It goes on to its end.
    #[default]
    Continue,
    /// It stops at the next safe point.
    Pause,
}

/// The session and position that a fork began from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// The session.
    pub session: SessionId,
    /// The last event that both share.
    pub seq: Seq,
}

/// First event of every journal, and only there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionCreated {
    /// The session's own id, so that a journal found without its folder's name is still whole.
    pub session: SessionId,
    /// The agent it talks to.
    pub agent: AgentName,
    /// Digest of the agent's files at this moment.
    pub agent_digest: String,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The project it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The piece of work that it is for: whoever asks for the same gets this session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Task>,
    /// Where it was forked from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    /// What becomes of a turn without a client.
    #[serde(default)]
    pub on_disconnect: OnDisconnect,
    /// Free labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// How far it takes part in what is remembered; where nothing is said, its agent's files say it at its first turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Mode>,
    /// Through which door it was made.
    pub by: Origin,
}

/// At any time. A key that is absent is unchanged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionUpdated {
    /// The new title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The new labels, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// How far it takes part in what is remembered, from here on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Mode>,
    /// By whom.
    pub by: Origin,
}

/// While open; while paused or archived it changes nothing. What runs may end; nothing new starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionPaused {
    /// By whom; `runtime` when recovery parked it.
    pub by: Origin,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// While paused, or while follow-ups are held; else it changes nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionResumed {
    /// By whom.
    pub by: Origin,
}

/// Only between turns. An archived session takes no messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionArchived {
    /// False takes it back out.
    pub archived: bool,
    /// By whom.
    pub by: Origin,
}
