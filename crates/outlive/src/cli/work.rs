//! What a person types about tasks and loops.

use clap::{Args, Subcommand, ValueEnum};
use outlive_core::event::Check;

use super::session_id;

/// What to do with pieces of work.
#[derive(Debug, Subcommand)]
pub enum Work {
    /// Print the session of a task for a role in a state, made where there is none
    Task(Task),
    /// List the sessions of a task, by its states
    Tasks(Tasks),
    /// Have a session work towards a goal, turn after turn with a fresh context each, until its checks pass
    Loop(Loop),
}

/// Which task.
#[derive(Debug, Args)]
pub struct Which {
    /// Its project, PREFIX-XXXXXXXX
    #[arg(long)]
    pub project: String,
    /// Its feature
    #[arg(long)]
    pub feature: Option<String>,
    /// Its name
    #[arg(long)]
    pub task: Option<String>,
}

/// The one session of a task, a role and a state.
#[derive(Debug, Args)]
pub struct Task {
    #[command(flatten)]
    pub which: Which,
    /// Who does it
    #[arg(long)]
    pub role: String,
    /// How far the task is
    #[arg(long, value_enum)]
    pub state: State,
    /// The agent to talk to; the one that is called like the role when it is left out
    #[arg(long)]
    pub agent: Option<String>,
}

/// The sessions of a task.
#[derive(Debug, Args)]
pub struct Tasks {
    #[command(flatten)]
    pub which: Which,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// How far a task is.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum State {
    Planning,
    InDev,
    InQa,
    InReview,
}

/// Begins a loop, or ends it.
#[derive(Debug, Args)]
pub struct Loop {
    /// Which session
    #[arg(value_parser = session_id)]
    pub session: String,
    /// What each iteration is told to do
    #[arg(long, required_unless_present = "abort")]
    pub goal: Option<String>,
    /// A check, as NAME=COMMAND, run after each iteration: the loop ends once all exit with 0. It may be run any number of
    /// times, and needs no approval beyond this. May be given again
    #[arg(long, value_parser = check, required_unless_present = "abort")]
    pub check: Vec<Check>,
    /// The most iterations
    #[arg(long, default_value_t = 10)]
    pub iterations: u32,
    /// End the loop that is under way, with the turn that runs
    #[arg(long, conflicts_with_all = ["goal", "check"])]
    pub abort: bool,
}

fn check(text: &str) -> Result<Check, String> {
    let (name, run) = text.split_once('=').ok_or("NAME=COMMAND is needed")?;
    Ok(Check { name: name.trim().to_owned(), run: run.to_owned() })
}
