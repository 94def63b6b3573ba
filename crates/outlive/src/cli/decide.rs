//! What is typed about calls that wait for a person.

use clap::{Args, ValueEnum};
use outlive_core::id::CallId;

use super::{id, session_id};

/// How far an `always` reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Always {
    /// This session
    Session,
    /// Every session of this agent here: it is written into its policy.local.yaml
    Agent,
}

/// A decision on a call.
#[derive(Debug, Args)]
pub struct Decide {
    /// The call; the only one that waits when it is left out
    #[arg(value_parser = id::<CallId>)]
    pub call: Option<String>,
    /// Its session; found by the call when it is left out
    #[arg(short, long, value_parser = session_id)]
    pub session: Option<String>,
    /// With approve: allow exactly this from now on, in this session, or with `--always=agent` in any of this agent's
    #[arg(long, value_name = "SCOPE", num_args = 0..=1, require_equals = true, default_missing_value = "session")]
    pub always: Option<Always>,
    /// For the journal, and for the agent when it is denied
    #[arg(short, long)]
    pub reason: Option<String>,
}
