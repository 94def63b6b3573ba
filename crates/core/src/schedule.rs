//! Something that is to be done at times: a pure fold of its own journal.
//!
//! | Where | What |
//! |---|---|
//! | [`Plan`] | what is to be done when |
//! | [`Rule`], `cron`, `next` | when that is |
//! | [`Run`] | one time that it was due |
//! | [`Schedule::decide`] | what a command becomes: a fact or a refusal |
//! | [`Schedule::settle`] | what the clock owes: facts that start, queue and skip runs |
//!
//! Nothing is remembered outside: what was due and is not accounted for is due after any restart. A run that failed never
//! ends its schedule.

mod cron;
mod next;
mod plan;
mod rule;
mod run;
mod settle;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::event::{
    Ending, Entry, Event, Origin, RunCause, RunQueued, ScheduleCreated, SchedulePaused, ScheduleRemoved,
    ScheduleResumed, ScheduleUpdated,
};
use crate::id::{RunId, ScheduleId, Seq};
use crate::limits::{REASON_BYTES, RUNS_QUEUED, RUNS_REMEMBERED};
use crate::session::Refusal;
use crate::time::Timestamp;

pub use plan::{Plan, Retry, Target};
pub use rule::{Overlap, Rule, RuleError, Zones};
pub use run::{Past, Phase, Run};

/// What can be asked of a schedule that exists.
#[derive(Debug, Clone, PartialEq)]
pub enum ScheduleCommand {
    /// It is to be another.
    Update(Box<Plan>),
    /// Nothing is due until it is resumed.
    Pause {
        /// Why.
        reason: Option<String>,
    },
    /// It goes on.
    Resume,
    /// It runs now, whenever it is due, and also while it is paused. The same run is asked for once.
    Run(RunId),
    /// It is over for good.
    Remove,
}

/// All that decides what a schedule does next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// Its id.
    pub id: ScheduleId,
    /// Position of the last event folded.
    pub head: Seq,
    /// What is to be done when.
    pub plan: Plan,
    /// Who made it.
    pub by: Origin,
    /// When.
    pub created_at: Timestamp,
    /// When the last event was decided.
    pub updated_at: Timestamp,
    /// What was due up to then is accounted for.
    pub since: Timestamp,
    /// Whether anything is due.
    pub hold: Hold,
    /// Runs that are not over, oldest first.
    pub runs: Vec<Run>,
    /// The last runs that are over, oldest first. All of them are in the journal.
    pub history: VecDeque<Past>,
    /// How many of all runs ended how.
    pub counts: Counts,
}

/// Whether anything is due.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// It is.
    #[default]
    Open,
    /// Not until it is resumed.
    Paused {
        /// By whom.
        by: Origin,
        /// Why.
        reason: Option<String>,
    },
    /// Never again.
    Removed,
}

/// How many runs ended how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Not as failed.
    pub done: u64,
    /// As failed, after the last attempt.
    pub failed: u64,
    /// Times that something was skipped.
    pub skipped: u64,
}

impl Schedule {
    /// Folds the first event of a journal; `None` for any other.
    #[must_use]
    pub fn begin(entry: &Entry) -> Option<Self> {
        let Event::ScheduleCreated(ScheduleCreated { schedule, plan, by }) = &entry.event else { return None };
        Some(Self {
            id: *schedule,
            head: entry.seq,
            plan: plan.clone(),
            by: by.clone(),
            created_at: entry.at,
            updated_at: entry.at,
            since: counts_from(plan, entry.at),
            hold: Hold::Open,
            runs: Vec::new(),
            history: VecDeque::new(),
            counts: Counts::default(),
        })
    }

    /// Folds an event. One that does not fit changes nothing.
    pub fn apply(&mut self, entry: &Entry) {
        (self.head, self.updated_at) = (entry.seq, entry.at);
        self.hear(&entry.event, entry.at);
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "a schedule's journal holds its own events")]
    fn hear(&mut self, event: &Event, at: Timestamp) {
        match event {
            Event::ScheduleUpdated(updated) => {
                if updated.plan.rule != self.plan.rule {
                    self.since = counts_from(&updated.plan, at);
                }
                self.plan = updated.plan.clone();
            }
            Event::SchedulePaused(SchedulePaused { by, reason }) if self.hold == Hold::Open => {
                self.hold = Hold::Paused { by: by.clone(), reason: reason.clone() };
            }
            Event::ScheduleResumed(_) if matches!(self.hold, Hold::Paused { .. }) => {
                (self.hold, self.since) = (Hold::Open, self.since.max(at));
            }
            Event::ScheduleRemoved(_) => {
                self.hold = Hold::Removed;
                self.runs.clear();
            }
            Event::RunQueued(queued) => {
                self.account(queued.due_at, queued.cause);
                self.runs.push(Run::new(queued.run, queued.due_at, queued.cause, &self.plan));
            }
            Event::RunStarted(started) => {
                self.account(started.due_at, started.cause);
                if self.run(started.run).is_none() {
                    self.runs.push(Run::new(started.run, started.due_at, started.cause, &self.plan));
                }
                for run in self.runs.iter_mut().filter(|run| run.run == started.run) {
                    (run.session, run.attempt, run.phase) =
                        (started.session, started.attempt, Phase::Running { since: at });
                }
            }
            Event::RunEnded(ended) => self.end(ended, at),
            Event::RunSkipped(skipped) => {
                self.since = self.since.max(skipped.until);
                self.counts.skipped += 1;
            }
            _other => {}
        }
    }

    fn account(&mut self, due_at: Timestamp, cause: RunCause) {
        if cause == RunCause::Due {
            self.since = self.since.max(due_at);
        }
    }

    fn end(&mut self, ended: &crate::event::RunEnded, at: Timestamp) {
        let is_it = |run: &Run| run.run == ended.run && run.attempt == ended.attempt && run.is_under_way();
        let Some(place) = self.runs.iter().position(is_it) else { return };
        let past = self.runs.get_mut(place).and_then(|run| run.end(ended, at, &self.plan.retry));
        let Some(past) = past else { return };
        self.runs.remove(place);
        match past.outcome {
            Ending::Failed => self.counts.failed += 1,
            Ending::Complete | Ending::Ask | Ending::Sleep | Ending::Interrupted => self.counts.done += 1,
        }
        self.history.push_back(past);
        self.history.drain(..self.history.len().saturating_sub(RUNS_REMEMBERED));
    }

    /// Returns a run that is not over.
    #[must_use]
    pub fn run(&self, run: RunId) -> Option<&Run> {
        self.runs.iter().find(|known| known.run == run)
    }

    /// Returns the runs whose message is to be said, or was and is not answered.
    pub fn under_way(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(|run| run.is_under_way())
    }

    /// Returns when it is due next; `None` where it is held, has been for the last time, or its rule cannot be read here.
    #[must_use]
    pub fn next(&self, zones: &Zones) -> Option<Timestamp> {
        self.plan.rule.next(self.since, zones).ok().flatten().filter(|_| self.hold == Hold::Open)
    }

    /// Says whether it was for once, and that is over.
    #[must_use]
    pub fn is_over(&self, zones: &Zones) -> bool {
        let is_past = || self.plan.rule.next(self.since, zones) == Ok(None);
        self.plan.rule.is_once() && self.hold == Hold::Open && self.runs.is_empty() && is_past()
    }

    /// Decides on a command: a fact, or nothing where it is so already.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] with `schedule_invalid`.
    pub fn decide(
        &self,
        command: ScheduleCommand,
        by: &Origin,
        now: Timestamp,
        zones: &Zones,
    ) -> Result<Option<Event>, Refusal> {
        let (by, wrong) = (by.clone(), |what: String| Refusal::Invalid { code: "schedule_invalid", what });
        Ok(match (command, &self.hold) {
            (_, Hold::Removed) => return Err(wrong("the schedule was removed".to_owned())),
            (ScheduleCommand::Update(plan), _) => {
                let plan = self.anchored(*plan).checked(now, zones)?;
                (plan != self.plan).then_some(Event::ScheduleUpdated(ScheduleUpdated { plan, by }))
            }
            (ScheduleCommand::Pause { reason: Some(reason) }, _) if reason.len() > REASON_BYTES => {
                return Err(wrong(format!("reason: at most {REASON_BYTES} bytes")));
            }
            (ScheduleCommand::Pause { reason }, Hold::Open) => {
                Some(Event::SchedulePaused(SchedulePaused { by, reason }))
            }
            (ScheduleCommand::Resume, Hold::Paused { .. }) => Some(Event::ScheduleResumed(ScheduleResumed { by })),
            (ScheduleCommand::Pause { .. }, Hold::Paused { .. }) | (ScheduleCommand::Resume, Hold::Open) => None,
            (ScheduleCommand::Remove, _) => Some(Event::ScheduleRemoved(ScheduleRemoved { by })),
            (ScheduleCommand::Run(run), _) => {
                let is_known = self.run(run).is_some() || self.history.iter().any(|past| past.run == run);
                if !is_known && self.runs.len() >= RUNS_QUEUED {
                    return Err(wrong(format!("{RUNS_QUEUED} runs of it wait already: try again when some are over")));
                }
                (!is_known).then_some(Event::RunQueued(RunQueued { run, due_at: now, cause: RunCause::Asked }))
            }
        })
    }

    /// What is due at the same distance as before counts from the same moment as before, unless it says another.
    fn anchored(&self, mut plan: Plan) -> Plan {
        if let (Rule::Every { every, anchor: anchor @ None }, Rule::Every { every: before, anchor: kept }) =
            (&mut plan.rule, &self.plan.rule)
            && every == before
        {
            *anchor = *kept;
        }
        plan
    }
}

/// Decides that a schedule is made.
///
/// # Errors
///
/// A [`Refusal`] with `schedule_invalid`.
pub fn create(schedule: ScheduleId, plan: Plan, by: Origin, now: Timestamp, zones: &Zones) -> Result<Event, Refusal> {
    let plan = plan.checked(now, zones)?;
    Ok(Event::ScheduleCreated(ScheduleCreated { schedule, plan, by }))
}

/// What is due once may have been due before anybody said so.
fn counts_from(plan: &Plan, at: Timestamp) -> Timestamp {
    if plan.rule.is_once() { Timestamp::from_micros(i64::MIN) } else { at }
}

/// First line of a snapshot: which fold made it.
const SNAPSHOT: &str = "# outlive schedule, fold 1\n";

/// Writes a snapshot: YAML, for people to read.
#[must_use]
pub fn write_snapshot(schedule: &Schedule) -> Option<String> {
    serde_saphyr::to_string(schedule).ok().map(|yaml| format!("{SNAPSHOT}{yaml}"))
}

/// Reads a snapshot. `None` for whatever is not one, and for one that another fold made: it is never needed.
#[must_use]
pub fn read_snapshot(text: &str) -> Option<Schedule> {
    serde_saphyr::from_str(text.strip_prefix(SNAPSHOT)?).ok()
}
