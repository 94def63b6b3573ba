//! Events of checkpoints: how they are made, and which one is in use.
//!
//! A checkpoint changes what the model sees, never what was said: the journal keeps every event that it stands for.

use serde::{Deserialize, Serialize};

use super::{Aside, Origin};
use crate::compaction::{Change, Summary};
use crate::content::Usage;
use crate::id::{CheckpointId, CompactionId, Seq};
use crate::time::Timestamp;

/// Why a compaction begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompactionTrigger {
    /// The request is above the soft threshold: it is made beside the turn.
    Soft,
    /// The request is above the hard one: it waits.
    Hard,
    /// The provider said that the request is too long.
    Overflow,
    /// Somebody asked.
    Asked,
    /// The checkpoint in use was made without a model, and the model works again.
    Upgrade,
    /// An iteration of a loop begins, or the loop ends.
    Loop,
}

/// Who makes the summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// A model says what changed since the last one.
    Model,
    /// It is made of events alone.
    Deterministic,
    /// A person wrote it.
    Edited,
    /// It is the one before, with how the checks of a loop went.
    Loop,
    /// Another program had made it, from which the conversation comes.
    Imported,
}

/// When none is under way. It ends with `checkpoint.created`, `compaction.failed` or `compaction.cancelled`; after a crash it
/// goes on from the last `compaction.progressed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompactionStarted {
    /// Its id.
    pub compaction: CompactionId,
    /// Why.
    pub trigger: CompactionTrigger,
    /// What it is to keep above all, in somebody's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub focus: Option<String>,
    /// The checkpoint that it goes on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<CheckpointId>,
    /// The events that it condenses.
    pub covers: Aside,
    /// The first event that the model sees as it is.
    pub tail_from: Seq,
    /// The model, as `provider/name`; none where events alone are to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// How much there is of it.
    #[serde(rename = "sizes")]
    pub tokens: Sizes,
    /// The newest message of a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<Seq>,
    /// The message whose schema the turn's answer must fit, where it is covered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_from: Option<Seq>,
    /// By whom.
    pub by: Origin,
}

/// How many tokens a compaction is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sizes {
    /// The request's before it.
    pub before: u64,
    /// Those of them that it takes the place of.
    pub covered: u64,
    /// The most that its summary may have.
    pub room: u64,
}

/// A piece was condensed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompactionProgressed {
    /// Which compaction.
    pub compaction: CompactionId,
    /// The last event of the piece that is condensed whole.
    pub to: Seq,
    /// Bytes of the event behind it that are condensed, too: it is longer than a piece.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub part: u64,
    /// What the piece changes.
    pub change: Change,
    /// The tokens that it took.
    pub usage: Usage,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks for it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// It ends without a checkpoint; nothing else has changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompactionFailed {
    /// Which compaction.
    pub compaction: CompactionId,
    /// What happened, for a person.
    pub message: String,
    /// The tokens that it took.
    pub usage: Usage,
    /// Until then no other begins by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rests_until: Option<Timestamp>,
}

/// Somebody stopped it; nothing else has changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompactionCancelled {
    /// Which compaction.
    pub compaction: CompactionId,
    /// By whom.
    pub by: Origin,
}

/// One would have begun, and did not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompactionSkipped {
    /// Why it would have.
    pub trigger: CompactionTrigger,
    /// Why it did not, for a person.
    pub reason: String,
}

/// A version of the summary exists. It is in use from `checkpoint.activated` on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckpointCreated {
    /// Its id.
    pub checkpoint: CheckpointId,
    /// From 1, within the session.
    pub version: u32,
    /// The version that it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<CheckpointId>,
    /// The compaction that made it; none where a person wrote it, or a loop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compaction: Option<CompactionId>,
    /// The events that it stands for.
    pub covers: Aside,
    /// The first event that the model sees as it is.
    pub tail_from: Seq,
    /// Who made it, and why.
    pub made: Made,
    /// The message whose schema the turn's answer must fit, where it is covered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_from: Option<Seq>,
    /// The message that is its last request word for word, where the tail does not have it: the running turn answers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried: Option<Seq>,
    /// The request's tokens before it and with it.
    #[serde(rename = "sizes")]
    pub tokens: (u64, u64),
    /// What it says.
    pub summary: Summary,
}

/// How a checkpoint was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Made {
    /// Why.
    pub trigger: CompactionTrigger,
    /// By whom.
    pub strategy: Strategy,
    /// The model, as `provider/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The tokens that it took, with their cost.
    #[serde(default)]
    pub usage: Usage,
}

/// Why the model sees another part of the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActivationCause {
    /// A compaction made it.
    Compacted,
    /// Somebody chose it.
    Chosen,
    /// Somebody edited it.
    Edited,
    /// Messages were cleared; the checkpoint stays.
    Cleared,
    /// All was set aside: the model begins anew.
    Reset,
    /// A loop went on, or ended.
    Iterated,
}

/// From here on the model sees this checkpoint, then the conversation from `tail_from` on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckpointActivated {
    /// Which; none shows the conversation alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<CheckpointId>,
    /// The first event that the model sees as it is.
    pub tail_from: Seq,
    /// Why.
    pub cause: ActivationCause,
    /// By whom.
    pub by: Origin,
}
