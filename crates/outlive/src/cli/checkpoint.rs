//! What a person types about what a session's model sees.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::session_id;

/// What to do with what a session's model sees. Its history stays as it is.
#[derive(Debug, Subcommand)]
pub enum Context {
    /// Make a checkpoint, beside whatever the session does
    Compact(Compact),
    /// Look at checkpoints, and choose what the model sees
    #[command(subcommand)]
    Checkpoint(Checkpoint),
    /// Let the model see the checkpoint, and nothing of the messages so far
    Clear {
        /// Which
        #[arg(value_parser = session_id)]
        session: String,
    },
    /// Let the model see nothing of what was so far
    Reset {
        /// Which
        #[arg(value_parser = session_id)]
        session: String,
    },
    /// Begin a new session of the same agent with this one's checkpoint and a goal
    Handoff {
        /// Which
        #[arg(value_parser = session_id)]
        session: String,
        /// What the new one is to do
        #[arg(long)]
        goal: String,
    },
}

/// Makes a checkpoint.
#[derive(Debug, Args)]
pub struct Compact {
    /// Which
    #[arg(value_parser = session_id)]
    pub session: String,
    /// What it is to keep above all
    #[arg(long)]
    pub focus: Option<String>,
    /// Who makes it, as PROVIDER/NAME: one of the agent's own models
    #[arg(long)]
    pub model: Option<String>,
    /// Show what would be covered and who would be asked, and what it would say without a model; ask nobody, change nothing
    #[arg(long, conflicts_with = "cancel")]
    pub preview: bool,
    /// Stop the one that is under way
    #[arg(long)]
    pub cancel: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What to do with checkpoints. They are named by their number.
#[derive(Debug, Subcommand)]
pub enum Checkpoint {
    /// List them
    List {
        /// Which session
        #[arg(value_parser = session_id)]
        session: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one as the model reads it; the one in use when none is named
    Show {
        /// Which session
        #[arg(value_parser = session_id)]
        session: String,
        /// Its number
        #[arg(id = "number")]
        version: Option<u32>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what differs between two
    Diff {
        /// Which session
        #[arg(value_parser = session_id)]
        session: String,
        /// The earlier one's number
        from: u32,
        /// The later one's number
        to: u32,
    },
    /// Make a version that says what a file says, and show that to the model
    Edit {
        /// Which session
        #[arg(value_parser = session_id)]
        session: String,
        /// The number of the one that it is made from
        #[arg(id = "number")]
        version: u32,
        /// The file, JSON or YAML: what `show --json` prints, or its `summary` alone
        #[arg(long)]
        file: PathBuf,
    },
    /// Keep an item, whatever compactions make of the rest
    Pin {
        /// Which session
        #[arg(value_parser = session_id)]
        session: String,
        /// Its id, as `show` has it
        item: String,
        /// Let compactions drop it again
        #[arg(long)]
        undo: bool,
    },
    /// Let the model see another one, or all of the conversation when none is named
    Activate {
        /// Which session
        #[arg(value_parser = session_id)]
        session: String,
        /// Its number
        #[arg(id = "number")]
        version: Option<u32>,
    },
}
