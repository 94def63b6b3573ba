//! Schedules on the wire.

use outlive_core::event::{Ending, Origin, RunCause};
use outlive_core::id::{RunId, ScheduleId, SessionId};
use outlive_core::schedule::{Counts, Hold, Past, Phase, Plan, Run, Schedule};
use outlive_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `POST /schedules`, `PUT /schedules/{id}`: one of `at`, `every` and `cron`, one of `session` and `agent`, and the message.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PostSchedule {
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Once: a moment as in RFC 3339, or a time such as `2026-12-24T18:00` in the `zone`. It may be past: then `overdue` says
    /// whether it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Again and again at this distance, by time itself: `90s`, `15m`, `1h`, `1d`; a second to ten years.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<String>,
    /// One of the moments of `every`, and the first; when the schedule is made, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<String>,
    /// Five fields (minute, hour, day of the month, month, day of the week), or `@hourly`, `@daily`, `@weekly`, `@monthly`,
    /// `@yearly`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// The time zone of `at` and `cron`, as `Europe/Berlin`; UTC if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// The session that is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The agent that is told, each time in a fresh session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// What is said there.
    #[serde(default)]
    pub message: String,
    /// What becomes of what was missed: `fire` (each runs), `fire_once` (the latest runs; the default), `skip` (it runs if it is
    /// less than a minute late), `{"expire_after_ms": N}` (if it is not later than that).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub overdue: Option<Value>,
    /// What becomes of a run that is due while the one before is not over: `skip` (the default), `queue`, `parallel`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<String>,
    /// What becomes of a run that failed: `{attempts: 3, first: "30s", longest: "1h"}`; the pauses double from the first to the
    /// longest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub retry: Option<Value>,
}

impl PostSchedule {
    /// Reads what is asked for.
    ///
    /// # Errors
    ///
    /// What does not fit, for whoever asked.
    pub fn plan(&self) -> Result<Plan, String> {
        serde_json::to_value(self).and_then(serde_json::from_value).map_err(|error| error.to_string())
    }
}

/// `POST /schedules/{id}/pause`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PauseSchedule {
    /// Why, up to 4 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScheduleView {
    /// Its id.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: ScheduleId,
    /// What was asked for, with all that was left out.
    #[serde(flatten)]
    #[cfg_attr(feature = "openapi", schema(value_type = PostSchedule))]
    pub plan: Plan,
    /// `active`, `paused`, or `done` where it is not due any more.
    pub status: String,
    /// When it is due next.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub next_at: Option<Timestamp>,
    /// The run that ended last.
    #[serde(default)]
    pub last_run: Option<PastRun>,
    /// Runs that are not over, oldest first.
    pub runs: Vec<RunView>,
    /// The last 50 runs that are over, oldest first; not in lists. `GET /schedules/{id}/events` has all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<PastRun>,
    /// How many runs there were: `{done, failed, skipped}`.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub counts: Counts,
    /// Why it is paused, if somebody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who made it: `{kind, sender?}`.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub by: Origin,
    /// When.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub created_at: Timestamp,
    /// When it last changed or ran.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub updated_at: Timestamp,
}

/// A run that is not over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunView {
    /// Its id.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub run: RunId,
    /// When it was due, or asked for.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub due_at: Timestamp,
    /// Why it runs: `due`, `asked`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub cause: RunCause,
    /// Where.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub session: SessionId,
    /// How often it was started.
    pub attempt: u32,
    /// `queued`, `running`, or `retry` where it failed and is tried again.
    pub status: String,
    /// Since when it runs, or when it is tried again.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub at: Option<Timestamp>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A run that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PastRun {
    /// Its id.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub run: RunId,
    /// When it was due, or asked for.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub due_at: Timestamp,
    /// Where it ran.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub session: SessionId,
    /// How often it was started.
    pub attempts: u32,
    /// When it ended.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub ended_at: Timestamp,
    /// How its turn ended: `complete`, `ask`, `sleep`, `interrupted`, `failed`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub outcome: Ending,
    /// Why, if it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// `GET /schedules`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Schedules {
    /// What is on the page.
    pub items: Vec<ScheduleView>,
    /// Ask with this `cursor` for the next page; null on the last.
    #[serde(default)]
    pub next_cursor: Option<String>,
    /// Schedules that are set aside, since their journals cannot be read or written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aside: Vec<AsideView>,
}

/// A schedule that is set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AsideView {
    /// Its id.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: ScheduleId,
    /// Why.
    pub why: String,
}

impl ScheduleView {
    /// Shows a schedule that is due next then, without its history.
    #[must_use]
    pub fn brief(schedule: &Schedule, next_at: Option<Timestamp>) -> Self {
        let (status, reason) = match &schedule.hold {
            Hold::Paused { reason, .. } => ("paused", reason.clone()),
            Hold::Open if next_at.is_some() || !schedule.runs.is_empty() => ("active", None),
            Hold::Open | Hold::Removed => ("done", None),
        };
        Self {
            id: schedule.id,
            plan: schedule.plan.clone(),
            status: status.to_owned(),
            next_at,
            last_run: schedule.history.back().map(PastRun::of),
            runs: schedule.runs.iter().map(RunView::of).collect(),
            history: Vec::new(),
            counts: schedule.counts,
            reason,
            by: schedule.by.clone(),
            created_at: schedule.created_at,
            updated_at: schedule.updated_at,
        }
    }

    /// Shows all of it.
    #[must_use]
    pub fn whole(schedule: &Schedule, next_at: Option<Timestamp>) -> Self {
        Self { history: schedule.history.iter().map(PastRun::of).collect(), ..Self::brief(schedule, next_at) }
    }
}

impl RunView {
    fn of(run: &Run) -> Self {
        let (status, at, error) = match &run.phase {
            Phase::Queued => ("queued", None, None),
            Phase::Running { since } => ("running", Some(*since), None),
            Phase::Retry { at, error } => ("retry", Some(*at), error.clone()),
        };
        let Run { run, due_at, cause, session, attempt, .. } = run.clone();
        Self { run, due_at, cause, session, attempt, status: status.to_owned(), at, error }
    }
}

impl PastRun {
    fn of(past: &Past) -> Self {
        let Past { run, due_at, session, attempts, ended_at, outcome, error } = past.clone();
        Self { run, due_at, session, attempts, ended_at, outcome, error }
    }
}
