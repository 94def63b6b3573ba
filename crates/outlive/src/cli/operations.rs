//! What an operator types.

use std::path::PathBuf;

use clap::Args;

/// How to serve.
#[derive(Debug, Args)]
pub struct Serve {
    /// Address to listen on; beyond loopback it needs TLS or a declared proxy
    #[arg(long)]
    pub host: Option<String>,
    /// Port to listen on; 0 picks a free one
    #[arg(long)]
    pub port: Option<u16>,
    /// Speak TLS with this chain of certificates (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The key of the certificate (PEM); nobody but its owner and group may reach it
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// The address of a proxy that speaks TLS to everybody else; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    pub behind_proxy: Vec<std::net::IpAddr>,
    /// Stop the workspace's server
    #[arg(long, conflicts_with_all = ["status", "host", "port"])]
    pub stop: bool,
    /// Say whether one runs, and where
    #[arg(long)]
    pub status: bool,
    /// Print JSON (with --status)
    #[arg(long)]
    pub json: bool,
    /// Print a systemd unit for this binary
    #[arg(long, conflicts_with_all = ["status", "stop", "host", "port"])]
    pub unit: bool,
    /// What is logged: a level, or levels of parts, such as `info,outlive_runtime=debug`
    #[arg(long, env = "OUTLIVE_LOG", value_name = "FILTER", default_value = "info", hide_env_values = true)]
    pub log: String,
    /// Stop by itself after this many seconds without anything to do
    #[arg(long, hide = true)]
    pub idle_exit: Option<u64>,
    /// The folder that tools work in
    #[arg(long, hide = true)]
    pub works_in: Option<PathBuf>,
}

/// The emergency stop.
#[derive(Debug, Args)]
#[group(skip)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub struct Stop {
    /// End every step, call and background task at once; nothing starts until it is lifted, also not after a restart
    #[arg(long, group = "what")]
    pub all: bool,
    /// Let people start things again; what was interrupted stays so
    #[arg(long, group = "what")]
    pub lift: bool,
    /// Say whether everything is stopped
    #[arg(long = "status", group = "what")]
    pub state: bool,
    /// Why, for whoever finds everything stopped
    #[arg(short, long, conflicts_with_all = ["lift", "state"])]
    pub reason: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What to back up to, or to try out.
#[derive(Debug, Args)]
pub struct Backup {
    /// The tar file to write, or a folder to put one into
    #[arg(required_unless_present = "check", value_name = "FILE.tar|DIR")]
    pub target: Option<PathBuf>,
    /// Only try out this one: unpack it beside it, and fold every journal
    #[arg(long, value_name = "FILE.tar", conflicts_with_all = ["target", "no_verify"])]
    pub check: Option<PathBuf>,
    /// Do not try it out
    #[arg(long)]
    pub no_verify: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Which part of the log.
#[derive(Debug, Args)]
pub struct Logs {
    /// Only the last N lines
    #[arg(short = 'n', long, default_value_t = 200)]
    pub lines: usize,
    /// Then print what comes, until interrupted
    #[arg(short, long)]
    pub follow: bool,
    /// Print the exact lines, also on a terminal
    #[arg(long)]
    pub json: bool,
}
