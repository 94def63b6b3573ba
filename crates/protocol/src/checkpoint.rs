//! What a model sees of a session, on the wire: its checkpoints, and changes to them.

use outlive_core::compaction::Summary;
use outlive_core::event::{Aside, CheckpointCreated, CompactionTrigger, Strategy};
use outlive_core::id::Seq;
use outlive_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// `POST /sessions/{id}/compact`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Compact {
    /// What the checkpoint is to keep above all, up to 4 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub focus: Option<String>,
    /// Who makes it, as `provider/name`: one of the agent's own models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Shows what would be covered, who would be asked, and what events alone would make of it; nothing is changed, and no model is
    /// asked.
    #[serde(default)]
    pub preview: bool,
    /// In a preview: what events alone make of all that the model sees, to go on with it elsewhere.
    #[serde(default)]
    pub all: bool,
    /// The same id acts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// What a compaction is about: begun, or only looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Compacting {
    /// The event that begins it; absent in a preview.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<Seq>,
    /// The first and the last event that it covers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub covers: Option<Aside>,
    /// Who makes it, as `provider/name`; in a preview who would.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What it is to keep above all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub focus: Option<String>,
    /// Tokens of the next request now.
    pub tokens_before: u64,
    /// About the tokens of it afterwards.
    pub tokens_after: u64,
    /// The summary that events alone would make, in a preview: of what is covered, or of all where nothing can be gained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub summary: Option<Summary>,
}

/// `GET /sessions/{id}/checkpoints`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Checkpoints {
    /// Every version, oldest first.
    pub items: Vec<CheckpointRow>,
    /// The first event that the model sees as it is.
    pub tail_from: Seq,
    /// Whether a compaction is under way.
    pub compacting: bool,
}

/// A checkpoint in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CheckpointRow {
    /// Its id.
    pub id: String,
    /// Its number within the session.
    pub version: u32,
    /// The version that it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The event that made it.
    pub seq: Seq,
    /// When.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub at: Timestamp,
    /// The first and the last event that it stands for.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub covers: Aside,
    /// The first event that it leaves as it is.
    pub tail_from: Seq,
    /// Why: `soft`, `hard`, `overflow`, `asked`, `upgrade`, `loop`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub trigger: CompactionTrigger,
    /// By whom: `model`, `deterministic`, `edited`, `loop`, `imported`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub strategy: Strategy,
    /// The model, as `provider/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Tokens of the request before it and with it.
    pub tokens: (u64, u64),
    /// Whether the model sees it.
    pub active: bool,
}

/// `GET /sessions/{id}/checkpoints/{checkpoint}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CheckpointView {
    /// What a list says of it.
    #[serde(flatten)]
    pub row: CheckpointRow,
    /// What it says.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub summary: Summary,
    /// What it says, as the model reads it.
    pub text: String,
}

/// `POST /sessions/{id}/checkpoints`: changes what the model sees. The history stays as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ChangeCheckpoint {
    /// The model sees this one; without, all of the conversation.
    Activate {
        /// Which.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        checkpoint: Option<String>,
    },
    /// A version of one that says this instead.
    Edit {
        /// Which.
        checkpoint: String,
        /// What it is to say.
        #[cfg_attr(feature = "openapi", schema(value_type = Object))]
        summary: serde_json::Value,
    },
    /// No compaction drops this item.
    Pin {
        /// Which, by its id.
        item: String,
    },
    /// Compactions may drop it again.
    Unpin {
        /// Which, by its id.
        item: String,
    },
    /// The model sees this instead of what was so far: what another session has come to.
    Seed {
        /// What it says.
        #[cfg_attr(feature = "openapi", schema(value_type = Object))]
        summary: serde_json::Value,
    },
    /// The model sees the checkpoint and nothing of the messages so far.
    Clear,
    /// The model sees nothing of what was so far.
    Reset,
    /// The compaction that is under way ends without a trace.
    Cancel,
}

impl CheckpointRow {
    /// Shows a checkpoint.
    #[must_use]
    pub fn of(created: &CheckpointCreated, (seq, at): (Seq, Timestamp), active: bool) -> Self {
        Self {
            id: created.checkpoint.to_string(),
            version: created.version,
            parent: created.parent.map(|parent| parent.to_string()),
            seq,
            at,
            covers: created.covers,
            tail_from: created.tail_from,
            trigger: created.made.trigger,
            strategy: created.made.strategy,
            model: created.made.model.clone(),
            tokens: created.tokens,
            active,
        }
    }
}
