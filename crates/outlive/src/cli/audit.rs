//! What of the audit log can be asked.

use clap::{Args, Subcommand};

use super::session_id;

/// What to do with the audit log.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// List who approved, denied, changed and read what, the newest entries last
    List(AuditList),
    /// Say whether an entry was changed, moved, put in or taken out
    Verify(AuditVerify),
}

/// Which entries.
#[derive(Debug, Args)]
pub struct AuditList {
    /// Only from this moment on, in RFC 3339
    #[arg(long, value_name = "MOMENT")]
    pub since: Option<String>,
    /// Only of this token, agent (`agent:NAME`) or person
    #[arg(long)]
    pub who: Option<String>,
    /// Only with this name: `approve`, `call.denied`; one that ends with a point stands for all that begin so
    #[arg(long)]
    pub what: Option<String>,
    /// Only on this session
    #[arg(short, long, value_parser = session_id)]
    pub session: Option<String>,
    /// At most this many
    #[arg(long, default_value_t = 100)]
    pub limit: usize,
    /// Print the entries as JSON Lines
    #[arg(long)]
    pub json: bool,
}

/// What to hold it against.
#[derive(Debug, Args)]
pub struct AuditVerify {
    /// A head that an earlier `audit verify` printed: it must still be in the chain
    #[arg(long, value_name = "HASH")]
    pub head: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
