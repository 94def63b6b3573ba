//! What a person types about relays.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use outlive_core::id::AgentName;

use super::{id, name, session_id};

/// What to do with relays.
#[derive(Debug, Subcommand)]
pub enum Relay {
    /// List the relays of the workspace
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Draw a relay of the workspace, or that of a session with its path so far
    Show {
        /// The relay's name, or a session
        #[arg(value_parser = relay_or_session)]
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Check a file that is to be a relay; prints every fault with its place
    Validate {
        /// Which
        file: PathBuf,
    },
    /// Begin a relay, in a fresh session where none is named
    Start(Start),
    /// Print what the relays of a session did: a row for each attempt
    History {
        /// Which session
        #[arg(value_parser = session_id)]
        session: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Leave the state that a relay is in for another, or run the same one again
    Select {
        /// Which session
        #[arg(value_parser = session_id)]
        session: String,
        /// Which state
        state: String,
        /// What it is given, as JSON
        #[arg(long, value_name = "JSON")]
        input: Option<String>,
        /// Why
        #[arg(long)]
        reason: Option<String>,
    },
    /// Let a relay go on by another definition
    Redefine {
        /// Which session
        #[arg(value_parser = session_id)]
        session: String,
        /// The file with all of it
        file: PathBuf,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Let a relay go on after its end
    Reopen {
        /// Which session
        #[arg(value_parser = session_id)]
        session: String,
        /// Why
        #[arg(long)]
        reason: String,
        /// With which state; the agent chooses when it is left out
        #[arg(long)]
        state: Option<String>,
    },
    /// End a relay
    Cancel {
        /// Which session
        #[arg(value_parser = session_id)]
        session: String,
        /// Why
        #[arg(long)]
        reason: Option<String>,
    },
}

/// A relay to begin.
#[derive(Debug, Args)]
pub struct Start {
    /// Its name
    #[arg(value_parser = name)]
    pub name: String,
    /// Whose fresh session it runs in
    #[arg(short, long, conflicts_with = "session", value_parser = id::<AgentName>)]
    pub agent: Option<String>,
    /// The session that it runs in
    #[arg(short, long, value_parser = session_id)]
    pub session: Option<String>,
    /// The state to begin with; its first one when it is left out
    #[arg(long)]
    pub state: Option<String>,
    /// What that state is given, as JSON
    #[arg(long, value_name = "JSON")]
    pub input: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

fn relay_or_session(text: &str) -> Result<String, String> {
    if text.starts_with("ses_") { session_id(text) } else { name(text) }
}
