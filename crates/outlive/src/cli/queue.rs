//! What a person types about follow-ups.

use clap::{Subcommand, ValueEnum};
use outlive_core::id::InputId;

use super::{id, session_id};

/// What to do with follow-ups.
#[derive(Debug, Subcommand)]
pub enum Queue {
    /// List them
    List {
        /// Which session
        #[arg(value_parser = session_id)]
        session: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Say something after the running turn, or to it
    Add {
        /// Which session
        #[arg(value_parser = session_id)]
        session: String,
        /// What
        text: String,
        /// How it reaches a running turn
        #[arg(long, value_enum, default_value_t = Behavior::FollowUp)]
        behavior: Behavior,
    },
    /// Change a follow-up's text
    Edit {
        /// Which session
        #[arg(value_parser = session_id)]
        session: String,
        /// Which follow-up
        #[arg(value_parser = id::<InputId>)]
        input: String,
        /// The new text
        text: String,
    },
    /// Take a follow-up back
    Remove {
        /// Which session
        #[arg(value_parser = session_id)]
        session: String,
        /// Which follow-up
        #[arg(value_parser = id::<InputId>)]
        input: String,
    },
}

/// How a message reaches a running turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Behavior {
    /// Runs after it
    FollowUp,
    /// Reaches it before its next step
    Steer,
}
