//! What is remembered: a fact of an agent's, with where it comes from.
//!
//! | Where | What |
//! |---|---|
//! | [`question`] | what a person or a model asks, as words, names, and words that mean about the same |
//! | [`rank`] | which of the memories that have some of it come first, and why |
//! | [`observe`] | what of a journal is looked at, and what of an answer is believed |
//! | [`reflect`] | notes that belong together become fewer |
//! | [`forget`] | what of a line goes when something is forgotten |
//! | [`pack`] | what of all that stands in every request |
//! | [`Rows`] | what a journal says is remembered |
//! | `curated` | files that a person may edit |

mod candidate;
mod curated;
pub mod forget;
mod kin;
pub mod observe;
pub mod pack;
pub mod question;
pub mod rank;
pub mod reflect;
mod reply;
mod rows;
mod sources;

pub use curated::{
    DAYS, DIRECTIVE, DIRECTIVE_PATH, Day, PAGE_BYTES, Page, PageNameError, TOPICS, Topic, WRITTEN_BYTES, Written,
    curated,
};
pub use rows::{Row, Rows};

use serde::{Deserialize, Serialize};

use crate::id::{MemoryId, Seq};
use crate::time::Timestamp;

/// One fact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Its id.
    pub id: MemoryId,
    /// What kind of fact it is.
    #[serde(default)]
    pub kind: Kind,
    /// Who may know it.
    #[serde(default)]
    pub scope: Scope,
    /// How much it matters.
    #[serde(default)]
    pub priority: Priority,
    /// The fact, in a sentence.
    pub text: String,
    /// Since when it holds.
    pub since: Timestamp,
    /// Until when it holds, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The events of this journal that it comes from. What was made of notes of other journals has none: `supersedes` leads there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Seq>,
    /// Those whose place it takes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub supersedes: Vec<MemoryId>,
}

/// What kind of fact it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// How something is.
    #[default]
    Fact,
    /// What somebody wants, or how.
    Preference,
    /// What was decided.
    Decision,
    /// What happened.
    Event,
    /// What is to be done.
    Task,
    /// How something is done.
    Procedure,
}

/// Who may know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// This session alone.
    #[default]
    Session,
    /// Sessions of the same project.
    Project,
    /// Sessions with the same agent.
    Agent,
    /// Every session here.
    All,
}

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Nice to know.
    Low,
    /// Likely to be of use again.
    #[default]
    Medium,
    /// Must not be forgotten.
    High,
}

/// How far a session takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It reads and writes.
    #[default]
    On,
    /// It reads, and nothing of it is remembered.
    Incognito,
    /// It neither reads nor writes.
    Off,
}

/// A service that says in numbers what a text means, as an agent's files name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Embedding {
    /// Where it answers, as `https://host/v1`.
    pub base_url: String,
    /// The model that is asked.
    pub model: String,
    /// Numbers that are asked for in each vector; where nothing is said, as many as the model gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<u32>,
    /// The environment variable that holds the key; none where no key is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_env: Option<String>,
}
