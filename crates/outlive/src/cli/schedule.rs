//! What is typed about schedules.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use outlive_core::id::{AgentName, ScheduleId};

use super::{Json, id, session_id};

/// What to do with schedules.
#[derive(Debug, Subcommand)]
pub enum Schedule {
    /// List schedules, with when each is due next
    List(Json),
    /// Show one schedule, and how its last runs ended
    Show {
        /// Which
        #[arg(value_parser = id::<ScheduleId>)]
        schedule: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Have something said at times: in a session, or each time in a fresh session of an agent
    Add(Box<Add>),
    /// Let a schedule be another: what is not said here stays as it is, and its history; what is under way goes on
    Change {
        /// Which
        #[arg(value_parser = id::<ScheduleId>)]
        schedule: String,
        #[command(flatten)]
        wanted: Box<Add>,
    },
    /// Let nothing be due until it is resumed; what is under way goes on
    Pause {
        /// Which
        #[arg(value_parser = id::<ScheduleId>)]
        schedule: String,
        /// Why
        #[arg(short, long)]
        reason: Option<String>,
    },
    /// Let a paused schedule go on; what was due meanwhile is not made up for
    Resume {
        /// Which
        #[arg(value_parser = id::<ScheduleId>)]
        schedule: String,
    },
    /// Have it run now, whenever it is due
    Run {
        /// Which
        #[arg(value_parser = id::<ScheduleId>)]
        schedule: String,
    },
    /// Remove a schedule with its history; what is under way goes on in its session
    Remove {
        /// Which
        #[arg(value_parser = id::<ScheduleId>)]
        schedule: String,
    },
    /// Print a schedule's journal, one event a line
    Events {
        /// Which
        #[arg(value_parser = id::<ScheduleId>)]
        schedule: String,
    },
}

/// What is to be said when.
#[derive(Debug, Args)]
pub struct Add {
    /// Once: a moment such as 2026-12-24T18:00:00Z, or 2026-12-24T18:00 in the --zone
    #[arg(long, value_name = "TIME", group = "when")]
    pub at: Option<String>,
    /// Again and again at this distance, such as 90s, 15m, 1h or 1d
    #[arg(long, value_name = "TIME", group = "when")]
    pub every: Option<String>,
    /// One of the moments of --every; now when it is left out
    #[arg(long, value_name = "TIME", requires = "every")]
    pub anchor: Option<String>,
    /// At the minutes that this names: "0 9 * * MON-FRI", or @hourly, @daily, @weekly, @monthly, @yearly
    #[arg(long, value_name = "EXPRESSION", group = "when")]
    pub cron: Option<String>,
    /// The time zone of --at and --cron, such as Europe/Berlin; UTC when it is left out
    #[arg(long)]
    pub zone: Option<String>,
    /// A name for it
    #[arg(long)]
    pub name: Option<String>,
    /// The agent that is told, each time in a fresh session; `default` when neither it nor a session is named
    #[arg(short, long, value_parser = id::<AgentName>)]
    pub agent: Option<String>,
    /// The session that is told
    #[arg(short, long, value_parser = session_id, conflicts_with = "agent")]
    pub session: Option<String>,
    #[command(flatten)]
    pub course: Course,
    /// Take what is not said here from a YAML file with the keys of the API
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// What is said
    pub message: Option<String>,
}

/// What becomes of it when it does not go well.
#[derive(Debug, Args)]
pub struct Course {
    /// What was missed: fire (all of it), fire-once (the last), skip, or a time up to which the last runs, such as 1h
    #[arg(long, value_name = "POLICY")]
    pub overdue: Option<String>,
    /// What is due while the one before is not over: skip, queue or parallel
    #[arg(long, value_name = "POLICY")]
    pub overlap: Option<String>,
    /// How often a run that fails is tried, with pauses from 30 s to 1 h
    #[arg(long, value_name = "COUNT")]
    pub attempts: Option<u32>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
