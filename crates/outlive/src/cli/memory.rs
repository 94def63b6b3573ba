//! What a person types about what is remembered.

use clap::{Subcommand, ValueEnum};
use outlive_core::id::{AgentName, MemoryId};

use super::{id, session_id};

/// A change to what is remembered.
#[derive(Debug, Subcommand)]
pub enum Note {
    /// Have something remembered
    Add {
        /// What, in a sentence
        text: String,
        /// In this agent's notebook; the first agent's when neither is named
        #[arg(long, value_parser = id::<AgentName>, conflicts_with = "session")]
        agent: Option<String>,
        /// In this session
        #[arg(long, value_parser = session_id)]
        session: Option<String>,
        /// Who may know it
        #[arg(long, value_enum)]
        scope: Option<Reach>,
        /// How much it matters
        #[arg(long, value_enum, default_value_t = Weight::Medium)]
        priority: Weight,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Say a memory otherwise, or let others know it
    Edit {
        /// Which
        #[arg(value_parser = id::<MemoryId>)]
        memory: String,
        /// What it is to say; what it says, when it is left out
        #[arg(required_unless_present = "scope")]
        text: Option<String>,
        /// Who may know it from then on
        #[arg(long)]
        scope: Option<Reach>,
    },
    /// Forget a memory with all that was made of it, and say where its words are left
    Forget {
        /// Which
        #[arg(value_parser = id::<MemoryId>)]
        memory: String,
        /// The messages that it comes from, too
        #[arg(long)]
        sources: bool,
        /// Only say how many lines of journals would be written anew
        #[arg(long)]
        dry_run: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Condense what a session noted, or what an agent knows in all its sessions
    Reflect {
        /// Which agent; the first one when neither is named
        #[arg(long, value_parser = id::<AgentName>, conflicts_with = "session")]
        agent: Option<String>,
        /// Which session
        #[arg(long, value_parser = session_id)]
        session: Option<String>,
        /// Only show what would come of it
        #[arg(long)]
        dry_run: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Who may know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Reach {
    /// That session alone
    Session,
    /// Sessions of the same project
    Project,
    /// Sessions with the same agent
    Agent,
    /// Every session here
    All,
}

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Weight {
    /// Nice to know
    Low,
    /// Likely to be of use again
    Medium,
    /// Must not be forgotten
    High,
}
