//! What the clock owes a schedule: which runs start, which wait, which never will.

use super::{Hold, Overlap, Phase, Run, Schedule, Zones};
use crate::event::{Event, Overdue, RunCause, RunQueued, RunSkipped, RunStarted, SkipCause};
use crate::id::{Ids, RunId};
use crate::limits::{RUN_IN_TIME_MS, RUNS_MADE_UP, RUNS_OF_ONE, RUNS_QUEUED};
use crate::time::Timestamp;

impl Schedule {
    /// Returns the facts that are owed at `now`, where so many more runs may start.
    #[must_use]
    pub fn settle(&self, now: Timestamp, mut seats: usize, ids: &mut Ids, zones: &Zones) -> Vec<Event> {
        if self.wakes_at(zones).is_none_or(|at| now < at) && self.startable(now).is_none() {
            return Vec::new();
        }
        let mut facts = Vec::new();
        let mut after = self.clone();
        let mut note = |after: &mut Self, fact: Event| {
            after.hear(&fact, now);
            facts.push(fact);
        };
        while seats > 0 {
            let Some(fact) = after.startable(now).map(|run| started(run, now)) else { break };
            note(&mut after, fact);
            seats -= 1;
        }
        for fact in after.chosen(now, zones) {
            let fact = match fact {
                Chosen::Skipped(skipped) => Event::RunSkipped(skipped),
                Chosen::Due(due_at, overlap) => {
                    let run = Run::new(RunId::from_bits(ids.fresh()), due_at, RunCause::Due, &after.plan);
                    let fact = after.placed(&run, overlap, seats, now);
                    seats -= usize::from(matches!(fact, Event::RunStarted(_)));
                    fact
                }
            };
            note(&mut after, fact);
        }
        facts
    }

    /// Returns when the clock owes something next.
    #[must_use]
    pub fn wakes_at(&self, zones: &Zones) -> Option<Timestamp> {
        let retries = self.runs.iter().filter_map(|run| match &run.phase {
            Phase::Retry { at, .. } if self.is_free(run) => Some(*at),
            Phase::Retry { .. } | Phase::Queued | Phase::Running { .. } => None,
        });
        retries.chain(self.next(zones)).min()
    }

    /// Says whether a run could start now if there were room.
    #[must_use]
    pub fn waits_for_room(&self, now: Timestamp) -> bool {
        self.startable(now).is_some()
    }

    fn startable(&self, now: Timestamp) -> Option<&Run> {
        // One that is held back while the schedule is paused keeps none waiting that is asked for.
        let under_way = self.runs.iter().any(|run| match run.phase {
            Phase::Queued => false,
            Phase::Retry { .. } => self.is_free(run),
            Phase::Running { .. } => true,
        });
        self.runs.iter().find(|run| match &run.phase {
            Phase::Retry { at, .. } => *at <= now && self.is_free(run),
            Phase::Queued => (!under_way || self.has_room(self.plan.overlap)) && self.is_free(run),
            Phase::Running { .. } => false,
        })
    }

    /// Says whether one may run beside others.
    fn has_room(&self, overlap: Overlap) -> bool {
        overlap == Overlap::Parallel && self.under_way().count() < RUNS_OF_ONE
    }

    /// Says whether a run goes on: what is asked for does also while nothing is due.
    fn is_free(&self, run: &Run) -> bool {
        self.hold == Hold::Open || run.cause == RunCause::Asked
    }

    /// Chooses by the overdue policy among what was due.
    fn chosen(&self, now: Timestamp, zones: &Zones) -> Vec<Chosen> {
        if self.hold != Hold::Open {
            return Vec::new();
        }
        let most = if self.plan.overdue == Overdue::Fire { RUNS_MADE_UP } else { 1 };
        // One more says when the last of the others was.
        let Ok(Some(missed)) = self.plan.rule.missed((self.since, now), most + 1, zones) else { return Vec::new() };
        let latest = missed.latest.as_slice();
        let late_ms = latest.last().map_or(0, |due| now.ms_since(*due));
        let runs = match self.plan.overdue {
            Overdue::Fire | Overdue::FireOnce => most,
            Overdue::Skip => usize::from(late_ms <= RUN_IN_TIME_MS),
            Overdue::ExpireAfter(ms) => usize::from(late_ms <= ms),
        };
        let (skipped, due) = latest.split_at(latest.len().saturating_sub(runs));
        // Those that are made up for stand in line, also where two at a time would be too many.
        let is_one = self.plan.overlap != Overlap::Skip || due.len() < 2;
        let overlap = if is_one { self.plan.overlap } else { Overlap::Queue };
        let skipped = skipped
            .last()
            .map(|until| Chosen::Skipped(RunSkipped { due_at: missed.first, until: *until, why: SkipCause::Overdue }));
        skipped.into_iter().chain(due.iter().map(|due| Chosen::Due(*due, overlap))).collect()
    }

    /// Starts a run that is due, or lets it wait, or not run.
    fn placed(&self, run: &Run, overlap: Overlap, seats: usize, now: Timestamp) -> Event {
        let skipped = |why| Event::RunSkipped(RunSkipped { due_at: run.due_at, until: run.due_at, why });
        let is_busy = !self.runs.is_empty() && !self.has_room(overlap);
        match (is_busy, overlap) {
            (true, Overlap::Skip) => skipped(SkipCause::Overlap),
            (false, _) if seats > 0 => started(run, now),
            (true | false, _) if self.runs.len() >= RUNS_QUEUED => skipped(SkipCause::QueueFull),
            (true | false, _) => Event::RunQueued(RunQueued { run: run.run, due_at: run.due_at, cause: run.cause }),
        }
    }
}

/// What becomes of something that was due.
enum Chosen {
    Skipped(RunSkipped),
    Due(Timestamp, Overlap),
}

fn started(run: &Run, now: Timestamp) -> Event {
    Event::RunStarted(RunStarted {
        run: run.run,
        due_at: run.due_at,
        lateness_ms: now.ms_since(run.due_at),
        session: run.session,
        attempt: run.attempt.saturating_add(1),
        cause: run.cause,
    })
}
