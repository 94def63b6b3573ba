//! What is typed to carry sessions and agents from one workspace to another.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use outlive_core::id::AgentName;

use super::{id, session_id};

/// A session to write into a file.
#[derive(Debug, Args)]
pub struct ExportSession {
    /// Which
    #[arg(value_parser = session_id)]
    pub session: String,
    /// The file; standard output when it is left out
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// For whom: `session import` takes an archive
    #[arg(long, value_enum, default_value_t = Format::Archive)]
    pub format: Format,
}

/// For whom a session is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Another workspace: journal, artifacts, agent
    Archive,
    /// People, as text
    Markdown,
    /// People's programs: the transcript as JSON
    Json,
}

impl Format {
    /// Its name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Archive => "archive",
            Self::Markdown => "markdown",
            Self::Json => "json",
        }
    }
}

/// A session to take in.
#[derive(Debug, Args)]
pub struct ImportSession {
    /// What `session export` wrote; `-` reads standard input
    pub file: PathBuf,
    /// Under a fresh id: a copy that begins as the session did
    #[arg(long)]
    pub as_new: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// An agent to write into a file.
#[derive(Debug, Args)]
pub struct ExportAgent {
    /// Which
    #[arg(value_parser = id::<AgentName>)]
    pub name: String,
    /// The file; standard output when it is left out
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// An agent to take in.
#[derive(Debug, Args)]
pub struct ImportAgent {
    /// What `agent export` wrote; `-` reads standard input
    pub file: PathBuf,
    /// In place of another one of its name, which is kept as a version
    #[arg(long)]
    pub replace: bool,
}

/// An agent to take away.
#[derive(Debug, Args)]
pub struct DeleteAgent {
    /// Which
    #[arg(value_parser = id::<AgentName>)]
    pub name: String,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

/// An agent that is to be what it was.
#[derive(Debug, Args)]
pub struct RestoreAgent {
    /// Which
    #[arg(value_parser = id::<AgentName>)]
    pub name: String,
    /// The version's digest, or as much of its beginning as tells it apart; the newest when it is left out
    #[arg(value_name = "VERSION")]
    pub digest: Option<String>,
}

/// Whose versions to list.
#[derive(Debug, Args)]
pub struct AgentVersions {
    /// Which
    #[arg(value_parser = id::<AgentName>)]
    pub name: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
