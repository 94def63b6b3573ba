//! What can be asked beside the conversation: about what the model sees of it, and about what is remembered.

use serde::Serialize;

use crate::compaction::{Plan, Summary};
use crate::id::{CheckpointId, MemoryId, Seq};
use crate::memory::{Memory, Mode, Scope};

/// A change to what the model sees.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ContextCommand {
    /// Make a checkpoint now.
    Compact {
        /// What it is to keep above all.
        focus: Option<String>,
        /// Who makes it, as `provider/name`; whoever keeps the agent's conversations where nobody is named.
        model: Option<String>,
        /// What it is to cover: brought by who knows the conversation.
        #[serde(skip)]
        plan: Option<Box<Planned>>,
    },
    /// Stop the compaction that is under way.
    Cancel,
    /// Show this checkpoint, and the conversation from where it ends; none shows all of it.
    Activate(Option<CheckpointId>),
    /// Make a version of a checkpoint that says this instead, and show it.
    Edit {
        /// Which.
        checkpoint: CheckpointId,
        /// What it is to say.
        summary: Summary,
    },
    /// Keep an item of the checkpoint in use, whatever compactions make of the rest, or no longer.
    Pin {
        /// Which.
        item: String,
        /// False lets it go.
        pinned: bool,
        /// The summary in use: brought by who knows it.
        #[serde(skip)]
        summary: Option<Box<Summary>>,
    },
    /// Show nothing of the conversation so far but its checkpoint.
    Clear {
        /// The summary in use: brought by who knows it.
        #[serde(skip)]
        summary: Option<Box<Summary>>,
    },
    /// Show this instead of the conversation so far: what another session has come to.
    Seed {
        /// What it says.
        summary: Summary,
    },
    /// Show nothing of the conversation so far.
    Reset,
}

/// What a compaction that somebody asks for is to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// What it covers.
    pub plan: Plan,
    /// The newest message of a person.
    pub newest: Option<Seq>,
    /// The message whose schema the turn's answer must fit, where it is covered.
    pub schema_from: Option<Seq>,
    /// Who makes it, as `provider/name`.
    pub model: Option<String>,
}

/// A change to what is remembered.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MemoryCommand {
    /// Remember this.
    Add(Box<Memory>),
    /// Say it otherwise.
    Edit {
        /// Which.
        memory: MemoryId,
        /// What it is to say.
        text: String,
        /// Who may know it from then on; those who did where nothing is said.
        scope: Option<Scope>,
    },
    /// Forget these.
    Forget {
        /// Which, with all that was made of them.
        memories: Vec<MemoryId>,
        /// Whether the messages that they come from are erased, too.
        sources: bool,
    },
    /// Take part in it this far from here on.
    Mode(Mode),
}
