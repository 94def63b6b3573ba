//! What can be typed. The comments are the help.

mod answer;
mod audit;
pub mod checkpoint;
mod decide;
pub mod mcp;
pub mod memory;
pub mod moving;
pub mod notice;
mod operations;
pub mod policy;
mod queue;
pub mod relay;
pub mod schedule;
pub mod token;
pub mod wait;
pub mod work;

pub use answer::Answer;
pub use audit::{Audit, AuditList, AuditVerify};
pub use decide::{Always, Decide};
pub use operations::{Backup, Logs, Serve, Stop};
pub use queue::{Behavior, Queue};

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use outlive_core::id::{AgentName, SessionId};
use outlive_core::relay::validate::is_name;

/// Takes an id or a name that has its form, before anything is asked of anybody.
pub fn id<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<String, String> {
    text.parse::<T>().map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// Takes a name as relays and tokens have, before it becomes a part of an address.
fn name(text: &str) -> Result<String, String> {
    let form = "a name is a lowercase letter, then letters, digits and `-`, at most 63 characters";
    if is_name(text) { Ok(text.to_owned()) } else { Err(form.to_owned()) }
}

fn session_id(text: &str) -> Result<String, String> {
    id::<SessionId>(text)
}

/// Agents that outlive their processes.
#[derive(Debug, Parser)]
#[command(name = "outlive", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// The folder that holds `.outlive/`. Otherwise the nearest one above, else `~/.outlive`
    #[arg(long, global = true, env = "OUTLIVE_WORKSPACE", value_name = "DIR")]
    pub workspace: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a workspace here, or in DIR, with one good agent
    Init {
        /// Where; this folder when it is left out
        dir: Option<PathBuf>,
    },
    /// Talk to an agent; Ctrl-D detaches, the turn goes on
    Chat(Talk),
    /// One turn: print the answer, or every event as JSON Lines
    Run(Run),
    /// Show a session, then live: in a terminal its end first, /more and PageUp show what came before
    Attach(Attach),
    /// Run the server until told to stop
    Serve(Serve),
    /// Look at sessions and change them
    #[command(subcommand)]
    Session(Session),
    /// Look at what was deleted, and empty the trash
    #[command(subcommand)]
    Trash(Trash),
    /// Find what was said, in all sessions: words, "phrases", and begin* of words
    Search(Search),
    /// Look at what is remembered, find in it, change it
    #[command(subcommand)]
    Memory(crate::commands::memory::Memory),
    /// Bring in the conversations of another program: duragent, claude-code, codex or opencode
    Import(crate::commands::import::Bring),
    /// Make the list and the search anew from the journals
    Reindex(Json),
    /// Look at agents and make them
    #[command(subcommand)]
    Agent(Agent),
    /// Look at models
    #[command(subcommand)]
    Model(Model),
    /// Say what an agent may do, and by which rule
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Look at the MCP servers that agents have, and log in to them
    #[command(subcommand)]
    Mcp(mcp::Mcp),
    /// Allow a call that waits for a person
    Approve(Decide),
    /// Deny a call that waits for a person
    Deny(Decide),
    /// Answer a question that waits for a person
    Answer(Answer),
    /// Stop a session's running turn
    Interrupt {
        /// Which session
        #[arg(value_parser = session_id)]
        session: String,
    },
    /// Begin relays, look at them and steer them
    #[command(subcommand)]
    Relay(relay::Relay),
    /// Look at what sessions wait for, and end it otherwise than by itself
    #[command(subcommand)]
    Wait(wait::Wait),
    /// Look at what people are told outside of any client, and at what has not arrived
    #[command(subcommand)]
    Notice(notice::Notice),
    /// Send a signal to a session: it ends the first wait that it fits, now or later
    Signal(wait::Signal),
    /// Have things said at times: once, again and again, by a calendar
    #[command(subcommand)]
    Schedule(schedule::Schedule),
    /// Look at follow-ups that wait, add to them, take them back
    #[command(subcommand)]
    Queue(Queue),
    /// Everything that waits for a person
    Inbox(Json),
    /// Say who else may come in, and for what
    #[command(subcommand)]
    Token(token::Token),
    /// Stop everything at once, in all sessions, until it is lifted
    Stop(Stop),
    /// Look at the audit log: who approved, denied, changed and read what
    #[command(subcommand)]
    Audit(Audit),
    /// Look for damage in the workspace's files
    Verify {
        /// Mend what can be mended; what is taken out is kept beside. No server may run
        #[arg(long)]
        repair: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Put the workspace into one file while it is at work, and try it out
    Backup(Backup),
    /// Say what is wrong with this machine or workspace, if anything is
    Doctor(Json),
    /// Say whether a server runs here, and where
    Status(Json),
    /// Print the server's log
    Logs(Logs),
    /// Print completions for a shell
    Completions {
        /// Which
        shell: clap_complete::Shell,
    },
    /// Measure durable turns and appends, each beside its reference
    Bench(crate::commands::bench::Bench),
}

/// Print JSON instead of text.
#[derive(Debug, Args)]
pub struct Json {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Whom to talk to.
#[derive(Debug, Args)]
pub struct Talk {
    /// The agent; the only one, or `default`, when it is left out
    #[arg(short, long, value_parser = id::<AgentName>)]
    pub agent: Option<String>,
    /// An existing session; a new one when it is left out
    #[arg(short, long, value_parser = session_id)]
    pub session: Option<String>,
    /// Nothing of the new session is remembered
    #[arg(long, conflicts_with = "session")]
    pub incognito: bool,
    /// The name under which you speak; your user name when it is left out
    #[arg(long = "as", value_name = "NAME")]
    pub sender: Option<String>,
}

/// What to show.
#[derive(Debug, Args)]
pub struct Attach {
    /// The newest one when it is left out
    #[arg(value_parser = session_id)]
    pub session: Option<String>,
    /// All of it at once, from its beginning
    #[arg(long)]
    pub all: bool,
    /// The name under which you speak; your user name when it is left out
    #[arg(long = "as", value_name = "NAME")]
    pub sender: Option<String>,
}

/// What to run.
#[derive(Debug, Args)]
pub struct Run {
    #[command(flatten)]
    pub talk: Talk,
    /// Print every event as JSON Lines
    #[arg(long)]
    pub json: bool,
    /// Send a file along: an image, a PDF or text; may be repeated
    #[arg(long, value_name = "FILE")]
    pub attach: Vec<PathBuf>,
    /// The answer must be JSON that fits the JSON Schema in this file
    #[arg(long, value_name = "FILE")]
    pub schema: Option<PathBuf>,
    /// What to say
    pub prompt: String,
}

/// What to do with sessions.
#[derive(Debug, Subcommand)]
pub enum Session {
    /// List sessions, newest first
    List(List),
    /// Show one session
    Show {
        /// Which
        #[arg(value_parser = session_id)]
        session: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a session's journal, one event a line
    Events {
        /// Which
        #[arg(value_parser = session_id)]
        session: String,
        /// Only events after this seq
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// Print the exact lines
        #[arg(long)]
        json: bool,
    },
    /// Print a session's transcript
    Messages {
        /// Which
        #[arg(value_parser = session_id)]
        session: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the exact next request, and what its parts weigh
    Context(crate::commands::context::Context),
    /// Begin a new session as this one did
    Fork {
        /// Which
        #[arg(value_parser = session_id)]
        session: String,
        /// The last event that both will share; `session events` shows them
        #[arg(long)]
        at: Option<u64>,
        /// A title for the new one
        #[arg(long)]
        title: Option<String>,
    },
    /// Go on from an earlier event, and set aside what came after it
    Rewind {
        /// Which
        #[arg(value_parser = session_id)]
        session: String,
        /// The last event that counts; `session events` shows them
        #[arg(long)]
        to: u64,
    },
    /// Give a session a title
    Rename {
        /// Which
        #[arg(value_parser = session_id)]
        session: String,
        /// The title
        title: String,
    },
    /// Put a session away
    Archive {
        /// Which
        #[arg(value_parser = session_id)]
        session: String,
        /// Take it back out
        #[arg(long)]
        undo: bool,
    },
    /// Move a session to the trash; `session restore` brings it back
    Delete {
        /// Which
        #[arg(value_parser = session_id)]
        session: String,
        /// Leave nothing of it in any file, wherever it is
        #[arg(long)]
        for_good: bool,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Write a session into one file
    Export(moving::ExportSession),
    /// Take in a session that another workspace has exported
    Import(moving::ImportSession),
    /// Bring a session back from the trash
    Restore {
        /// Which
        #[arg(value_parser = session_id)]
        session: String,
    },
    /// Start nothing new in a session; what runs may end
    Pause {
        /// Which
        #[arg(value_parser = session_id)]
        session: String,
    },
    /// Let a paused session go on
    Resume {
        /// Which
        #[arg(value_parser = session_id)]
        session: String,
    },
    #[command(flatten)]
    Checkpoints(checkpoint::Context),
    #[command(flatten)]
    Work(work::Work),
}

/// What was deleted.
#[derive(Debug, Subcommand)]
pub enum Trash {
    /// List what is in the trash, what was deleted last first
    List(Json),
    /// Delete everything in the trash for good: nothing of it is left in any file
    Empty {
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

/// Which sessions to list.
#[derive(Debug, Args)]
pub struct List {
    /// Only this agent's
    #[arg(short, long)]
    pub agent: Option<String>,
    /// Only with this status
    #[arg(long)]
    pub status: Option<String>,
    /// Only of this project
    #[arg(long)]
    pub project: Option<String>,
    /// Only with this label: KEY or KEY=VALUE; with several, only what has all of them
    #[arg(long, value_name = "LABEL")]
    pub label: Vec<String>,
    /// Only what is put away; with `=false` only what is not
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub archived: Option<bool>,
    /// Only with this text in title or id
    #[arg(short)]
    pub q: Option<String>,
    /// What was deleted and can be brought back, instead
    #[arg(long, conflicts_with_all = ["agent", "status", "project", "label", "archived", "q", "sort"])]
    pub trash: bool,
    /// updated, created or title; with a `-` before it largest first
    #[arg(long, allow_hyphen_values = true)]
    pub sort: Option<String>,
    /// At most this many
    #[arg(long, default_value_t = 50)]
    pub limit: usize,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What to find.
#[derive(Debug, Args)]
pub struct Search {
    /// Words; all of them must be in a message
    #[arg(required = true, allow_hyphen_values = true)]
    pub words: Vec<String>,
    /// Only in sessions of this agent
    #[arg(short, long, value_parser = id::<AgentName>)]
    pub agent: Option<String>,
    /// Only in this session
    #[arg(short, long, value_parser = session_id)]
    pub session: Option<String>,
    /// Only what these said
    #[arg(long, value_enum)]
    pub role: Option<Role>,
    /// At most this many
    #[arg(long, default_value_t = 20)]
    pub limit: usize,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Who said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// A person
    User,
    /// The agent
    Assistant,
    /// A tool
    Tool,
}

/// What to do with models.
#[derive(Debug, Subcommand)]
pub enum Model {
    /// List what each provider offers to the keys of the environment
    List(Json),
    /// Say what a model can do, by trying: answer, stream, count, call tools
    Test(ModelTest),
}

/// A model to try.
#[derive(Debug, Args)]
pub struct ModelTest {
    /// Which, as `PROVIDER/NAME`; `model list` shows them
    pub name: String,
    /// Another endpoint that speaks the provider's dialect
    #[arg(long)]
    pub base_url: Option<String>,
    /// The variable of the environment that holds the key for this endpoint
    #[arg(long)]
    pub api_key_env: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What to do with agents.
#[derive(Debug, Subcommand)]
pub enum Agent {
    /// List agents
    List(Json),
    /// Show one agent
    Show {
        /// Which
        #[arg(value_parser = id::<AgentName>)]
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make an agent that can be run as it is
    New {
        /// Its name: a lowercase letter, then letters, digits and `-`
        #[arg(value_parser = id::<AgentName>)]
        name: String,
    },
    /// List what an agent was before: the last 20 versions, also of one that was deleted
    Versions(moving::AgentVersions),
    /// Let an agent be what it was in a version
    Restore(moving::RestoreAgent),
    /// Take an agent away; it is kept as a version, its sessions stay
    Delete(moving::DeleteAgent),
    /// Write an agent into one file
    Export(moving::ExportAgent),
    /// Take in an agent that another workspace has exported
    Import(moving::ImportAgent),
    /// Check an agent's files
    Validate {
        /// Which; all of them when it is left out
        #[arg(value_parser = id::<AgentName>)]
        name: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}
