//! Events of a tool call: ruled on, running, settled.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::session::Origin;
use crate::digest::Digest;
use crate::id::CallId;
use crate::policy::Ruled;

/// What running a tool does to the world, and so what a crash in the middle of it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing: run again.
    Read,
    /// Something, but twice is once: run again with the same key.
    Idempotent,
    /// The tool can tell whether it was done.
    Verifiable,
    /// It goes on without us and can be found again by its key.
    Resumable,
    /// Never run again by itself.
    #[default]
    Effectful,
}

/// What becomes of an effectful call whose outcome is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnLost {
    /// The model is told.
    #[default]
    Report,
    /// A person decides whether it runs again.
    Ask,
    /// It runs again: the tool's owner says that it may.
    Retry,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It did what was asked.
    Ok,
    /// It says that it did not.
    Error,
    /// Its time ran out and it was ended.
    Timeout,
    /// A person stopped it, or it was never started because of that.
    Interrupted,
}

/// Who decided on a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decider {
    /// The policy, by this rule.
    Policy(String),
    /// A person's earlier `always`, with this rule.
    Grant(String),
    /// A person.
    Person(Origin),
    /// Outlive itself: an unknown tool, arguments that do not fit.
    Runtime,
}

/// How far a person's permission reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// This call, one attempt.
    #[default]
    Once,
    /// Every later call of this session that the same rule names.
    Always,
    /// Every later call of this agent here: the rule is stored in its `policy.local.yaml` too.
    Agent,
}

/// After `step.finished`, or after `call.approval_requested` by a person. The call may start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallAllowed {
    /// Which.
    pub call: CallId,
    /// By whom.
    pub by: Decider,
    /// How far it reaches.
    #[serde(default)]
    pub scope: Scope,
    /// What running it does.
    pub effect: Effect,
    /// What becomes of it when its outcome is unknown.
    #[serde(default)]
    pub on_lost: OnLost,
    /// A person's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where it led then, if that is a path: it runs there or not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ruled: Option<Ruled>,
}

/// After `step.finished`, or after `call.approval_requested` by a person. The call is settled without having run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallDenied {
    /// Which.
    pub call: CallId,
    /// By whom.
    pub by: Decider,
    /// What the model is told.
    pub content: String,
    /// A person's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// After `step.finished`, or after `call.lost` where the tool says that a person decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApprovalRequested {
    /// Which.
    pub call: CallId,
    /// The tool.
    pub tool: String,
    /// Exactly what will run, for a person.
    pub summary: String,
    /// The rule that an `always` would store.
    pub rule: String,
    /// The parts of it that must be asked about, each with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<String>,
    /// What running it does.
    pub effect: Effect,
    /// What becomes of it when its outcome is unknown.
    #[serde(default)]
    pub on_lost: OnLost,
    /// Where it led then, if that is a path: it runs there or not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ruled: Option<Ruled>,
}

/// After `call.allowed`: the intent, durable before the work begins. A second one for the same call only where its
/// effect allows that, or a person did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallStarted {
    /// Which.
    pub call: CallId,
    /// The tool.
    pub tool: String,
    /// What it is given.
    pub arguments: Value,
    /// From 1.
    pub attempt: u32,
    /// What running it does.
    pub effect: Effect,
    /// The same for every attempt of the call.
    pub idempotency_key: String,
}

/// An output kept by hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactRef {
    /// SHA-256 of its bytes.
    pub hash: Digest,
    /// Its size.
    pub bytes: u64,
    /// What it is.
    pub media_type: String,
}

/// After `call.started`, or instead of it when the turn was interrupted first (attempt 0). Settles the call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallFinished {
    /// Which.
    pub call: CallId,
    /// Which attempt.
    pub attempt: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// What the model sees.
    pub content: String,
    /// What clients see beside that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    /// The whole output, where it was too large for `content`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<ArtifactRef>,
    /// From start to end.
    pub duration_ms: u64,
}

/// After `call.started`, when the process that ran it is gone. Settles the call, unless a person is asked next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallLost {
    /// Which.
    pub call: CallId,
    /// Which attempt.
    pub attempt: u32,
    /// What is known, in the words that the model sees.
    pub known: String,
}

/// Before the event that refers to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArtifactStored {
    /// What was kept.
    #[serde(flatten)]
    pub artifact: ArtifactRef,
    /// The call that it came from.
    pub of: CallId,
}
