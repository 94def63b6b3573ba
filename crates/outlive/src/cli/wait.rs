//! What a person types about waits and signals.

use clap::{Args, Subcommand};
use outlive_core::id::WaitId;

use super::{id, session_id};

/// What to do with what sessions wait for.
#[derive(Debug, Subcommand)]
pub enum Wait {
    /// List what is waited for, the first to end first
    List {
        /// Only of this session
        #[arg(long, value_parser = session_id)]
        session: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Have a session wait; its agent is told when it is over
    Arm(Arm),
    /// End a wait as if its time had come
    Fire {
        /// Which
        #[arg(value_parser = id::<WaitId>)]
        wait: String,
    },
    /// Let a wait end at another time
    Move {
        /// Which
        #[arg(value_parser = id::<WaitId>)]
        wait: String,
        /// When: a span from now such as 90s, 10m, 2h or 14d, or a time such as 2026-01-31T12:00:00Z
        to: String,
    },
    /// End a wait without telling the agent; a relay's state goes where failures go
    Cancel {
        /// Which
        #[arg(value_parser = id::<WaitId>)]
        wait: String,
    },
}

/// A wait to arm.
#[derive(Debug, Args)]
pub struct Arm {
    /// Which session
    #[arg(value_parser = session_id)]
    pub session: String,
    /// What it is for
    pub reason: String,
    /// A span from now such as 90s, 10m, 2h or 14d, or a time such as 2026-01-31T12:00:00Z. With --signal: at most
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// A signal that ends it
    #[arg(long, value_name = "NAME")]
    pub signal: Option<String>,
    /// What the signal's payload must hold, as JSON
    #[arg(long = "match", value_name = "JSON", requires = "signal")]
    pub fits: Option<String>,
}

/// A signal to send.
#[derive(Debug, Args)]
pub struct Signal {
    /// Which session
    #[arg(value_parser = session_id)]
    pub session: String,
    /// Its name
    pub name: String,
    /// What it brings, as JSON
    pub payload: Option<String>,
    /// The signal's own name: sent twice under it, it is one
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
}
