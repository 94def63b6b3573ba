//! The one writer of all schedules: one task, driven by the clock and by what is asked.
//!
//! Invariants: nothing begins before the line that says so is durable; a journal that cannot be read or written sets its own
//! schedule aside, and no other; while all is stopped nothing is due.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use outlive_core::event::{Entry, Event, Line, LineError, Origin, RunEnded};
use outlive_core::id::ScheduleId;
use outlive_core::limits::{RUNS_AT_ONCE, SCHEDULES, SCHEDULES_OF_AGENT, SCHEDULES_OVER};
use outlive_core::schedule::{self, Hold, Plan, Schedule, ScheduleCommand};
use outlive_core::session::{Moment, Refusal};
use outlive_core::time::Timestamp;
use outlive_store::{Class, StoreError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::run::Errand;
use super::{Desk, Known, Mail, missing};
use crate::{Runtime, SubmitError};

/// Lines after which a snapshot is due.
const SNAPSHOT_AFTER: u64 = 64;
/// How long what could not be written is left, in milliseconds, before it is tried again.
const AGAIN_MS: u64 = 5_000;

struct Clerk {
    desk: Desk,
    all: BTreeMap<ScheduleId, Schedule>,
    aside: BTreeMap<ScheduleId, StoreError>,
    /// When the clock owes something to each, earliest first.
    due: BTreeSet<(Timestamp, ScheduleId)>,
    of: HashMap<ScheduleId, Timestamp>,
    /// Those that could go on if there were room.
    crowded: BTreeSet<ScheduleId>,
    under_way: usize,
}

/// Works until the runtime is gone.
pub(crate) async fn run(runtime: Weak<Runtime>, mut inbox: mpsc::Receiver<Mail>, closing: CancellationToken) {
    let Some(alive) = runtime.upgrade() else { return };
    let mut clerk = Clerk::open(&alive);
    let mut stopped = alive.shell.brake.changes();
    drop(alive);
    loop {
        let Some(alive) = runtime.upgrade() else { return };
        clerk.settle_due(&alive);
        clerk.desk.armed.store(clerk.is_armed(), Ordering::Relaxed);
        let pause = clerk.pause(&alive);
        drop(alive);
        tokio::select! {
            () = closing.cancelled() => return,
            mail = inbox.recv() => {
                let (Some(mail), Some(alive)) = (mail, runtime.upgrade()) else { return };
                clerk.take(mail, &alive);
            }
            _ = stopped.changed() => {}
            () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
        }
    }
}

impl Clerk {
    /// Reads all schedules, and sees to the runs that were under way.
    fn open(runtime: &Arc<Runtime>) -> Self {
        let desk = runtime.schedules.clone();
        let (all, aside) = (BTreeMap::new(), BTreeMap::new());
        let (due, of, crowded) = (BTreeSet::new(), HashMap::new(), BTreeSet::new());
        let mut clerk = Self { desk, all, aside, due, of, crowded, under_way: 0 };
        let store = &runtime.shell.store.house.schedules;
        let ids = store.schedules().unwrap_or_else(|error| {
            tracing::error!(%error, "schedules cannot be listed: none of them runs");
            Vec::new()
        });
        for id in ids {
            match store.load(id) {
                Ok(Some(schedule)) if schedule.hold == Hold::Removed => clerk.bury(id, runtime),
                Ok(Some(schedule)) => clerk.adopt(schedule, runtime),
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(schedule = %id, %error, "schedule set aside");
                    clerk.aside.insert(id, error);
                }
            }
        }
        clerk
    }

    fn adopt(&mut self, schedule: Schedule, runtime: &Arc<Runtime>) {
        let id = schedule.id;
        self.under_way += schedule.under_way().count();
        self.all.insert(id, schedule);
        self.see_to(id, runtime, |_run| true);
        self.arm(id, runtime);
    }

    fn is_armed(&self) -> bool {
        !self.due.is_empty() || !self.crowded.is_empty() || self.under_way > 0
    }

    fn pause(&self, runtime: &Arc<Runtime>) -> Option<Duration> {
        let moments = &runtime.shell.moments;
        let (first, _) = self.due.first().filter(|_| runtime.shell.brake.stop().is_none())?;
        Some(Duration::from_millis(first.ms_since(moments.now()) + 1).min(moments.longest()))
    }

    fn take(&mut self, mail: Mail, runtime: &Arc<Runtime>) {
        // Whoever asked may be gone.
        match mail {
            Mail::Create { schedule, plan, by, reply } => {
                drop(reply.send(self.create(schedule, *plan, by, runtime)));
            }
            Mail::Ask { schedule, command, by, reply } => {
                drop(reply.send(self.ask(schedule, command, &by, runtime)));
            }
            Mail::Show { schedule, reply } => drop(reply.send(self.known(schedule).cloned())),
            Mail::List { reply } => {
                let aside = self.aside.iter().map(|(id, error)| (*id, error.to_string())).collect();
                let known = Known { schedules: self.all.values().cloned().collect(), aside };
                drop(reply.send(Ok(known)));
            }
            Mail::Ended { schedule, ended } => self.end(schedule, ended, runtime),
        }
    }

    fn known(&self, id: ScheduleId) -> Result<&Schedule, SubmitError> {
        let aside = || self.aside.get(&id).cloned().map(SubmitError::Store);
        self.all.get(&id).ok_or_else(|| aside().unwrap_or_else(|| missing(id)))
    }

    fn create(
        &mut self,
        id: ScheduleId,
        plan: Plan,
        by: Origin,
        runtime: &Arc<Runtime>,
    ) -> Result<Schedule, SubmitError> {
        if let Some(known) = self.all.get(&id) {
            // Its id says by which request it was made; what became of it since is its own.
            return Ok(known.clone());
        }
        self.clear(runtime);
        self.check_room(&by)?;
        let moment = runtime.shell.moments.moment();
        let created = schedule::create(id, plan, by, moment.at, &self.desk.zones).map_err(SubmitError::Refused)?;
        self.commit(id, vec![created], &moment, runtime)?;
        self.settle(id, runtime);
        self.known(id).cloned()
    }

    /// Removes the oldest of those that are over, so that what was for once fills no workspace.
    fn clear(&mut self, runtime: &Arc<Runtime>) {
        let over = self.all.values().filter(|known| known.is_over(&self.desk.zones));
        let mut over: Vec<(Timestamp, ScheduleId)> = over.map(|known| (known.updated_at, known.id)).collect();
        over.sort_unstable();
        over.truncate(over.len().saturating_sub(SCHEDULES_OVER));
        over.into_iter().for_each(|(_, id)| self.bury(id, runtime));
    }

    fn check_room(&self, by: &Origin) -> Result<(), SubmitError> {
        let full = |what: String| Err(SubmitError::Refused(Refusal::Invalid { code: "schedules_full", what }));
        if self.all.len() + self.aside.len() >= SCHEDULES {
            return full(format!("there are {SCHEDULES} schedules: remove one first"));
        }
        // Of an agent only those count that still are due some time.
        let is_its = |known: &&Schedule| known.by == *by && self.of.contains_key(&known.id);
        if super::agents::is_agent(by) && self.all.values().filter(is_its).count() >= SCHEDULES_OF_AGENT {
            return full(format!("this agent has {SCHEDULES_OF_AGENT} schedules: cancel one first"));
        }
        Ok(())
    }

    fn ask(
        &mut self,
        id: ScheduleId,
        command: ScheduleCommand,
        by: &Origin,
        runtime: &Arc<Runtime>,
    ) -> Result<Schedule, SubmitError> {
        let moment = runtime.shell.moments.moment();
        let decided = self.known(id)?.decide(command, by, moment.at, &self.desk.zones).map_err(SubmitError::Refused)?;
        if let Some(fact) = decided {
            self.commit(id, vec![fact], &moment, runtime)?;
        }
        let after = self.known(id)?.clone();
        if after.hold == Hold::Removed {
            self.bury(id, runtime);
            self.make_room(runtime);
            return Ok(after);
        }
        self.settle(id, runtime);
        self.known(id).cloned()
    }

    /// Removes what was said to be removed; where that fails, the next start does.
    fn bury(&mut self, id: ScheduleId, runtime: &Arc<Runtime>) {
        self.all.remove(&id);
        self.put(id, None);
        self.crowded.remove(&id);
        if let Err(error) = runtime.shell.store.house.schedules.remove(id) {
            tracing::warn!(schedule = %id, %error, "a removed schedule's folder is still there");
        }
    }

    fn end(&mut self, id: ScheduleId, ended: RunEnded, runtime: &Arc<Runtime>) {
        let is_it = |run: &&schedule::Run| run.run == ended.run && run.attempt == ended.attempt;
        let Some(run) = self.all.get(&id).and_then(|known| known.under_way().find(is_it)).map(|run| run.run) else {
            return;
        };
        let moment = runtime.shell.moments.moment();
        if let Err(error) = self.commit(id, vec![Event::RunEnded(ended)], &moment, runtime) {
            tracing::warn!(schedule = %id, %run, %error, "the end of a run could not be written: it is heard again");
            self.see_to(id, runtime, |under_way| under_way.run == run);
            return;
        }
        self.settle(id, runtime);
        self.make_room(runtime);
    }

    /// Lets others go on that waited for room.
    fn make_room(&mut self, runtime: &Arc<Runtime>) {
        for id in self.crowded.clone() {
            if self.under_way >= RUNS_AT_ONCE {
                return;
            }
            self.settle(id, runtime);
        }
    }

    fn settle_due(&mut self, runtime: &Arc<Runtime>) {
        if runtime.shell.brake.stop().is_some() {
            return;
        }
        let now = runtime.shell.moments.now();
        while let Some((_, id)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            self.put(id, None);
            self.settle(id, runtime);
        }
        // As after a restart, and once a stop is lifted.
        self.make_room(runtime);
    }

    /// Writes what the clock owes a schedule, and lets what starts begin.
    fn settle(&mut self, id: ScheduleId, runtime: &Arc<Runtime>) {
        if runtime.shell.brake.stop().is_none() {
            let mut moment = runtime.shell.moments.moment();
            let (seats, zones) = (RUNS_AT_ONCE.saturating_sub(self.under_way), &self.desk.zones);
            let Some(known) = self.all.get(&id) else { return };
            let facts = known.settle(moment.at, seats, &mut moment.ids, zones);
            let begun: BTreeSet<_> = facts.iter().filter_map(started).collect();
            if !facts.is_empty()
                && let Err(error) = self.commit(id, facts, &moment, runtime)
            {
                tracing::warn!(schedule = %id, %error, "what is due could not be written");
                self.put(id, self.all.contains_key(&id).then(|| moment.at.plus_ms(AGAIN_MS)));
                return;
            }
            self.see_to(id, runtime, |run| begun.contains(&run.run));
        }
        self.arm(id, runtime);
    }

    /// Notes when it is due, and whether it waits for room.
    fn arm(&mut self, id: ScheduleId, runtime: &Arc<Runtime>) {
        let Some(known) = self.all.get(&id) else { return };
        let is_crowded = known.waits_for_room(runtime.shell.moments.now());
        let at = known.wakes_at(&self.desk.zones);
        self.put(id, at);
        if is_crowded {
            self.crowded.insert(id);
        } else {
            self.crowded.remove(&id);
        }
    }

    fn put(&mut self, id: ScheduleId, at: Option<Timestamp>) {
        if let Some(before) = self.of.remove(&id) {
            self.due.remove(&(before, id));
        }
        if let Some(at) = at {
            self.of.insert(id, at);
            self.due.insert((at, id));
        }
    }

    /// Lets runs that are under way say their messages.
    fn see_to(&self, id: ScheduleId, runtime: &Arc<Runtime>, which: impl Fn(&schedule::Run) -> bool) {
        let Some(known) = self.all.get(&id) else { return };
        for run in known.under_way().filter(|run| which(run)) {
            let errand = Errand { schedule: id, run: run.clone(), title: known.plan.title() };
            let (inbox, alive) = (self.desk.inbox.clone(), Arc::downgrade(runtime));
            runtime.shell.tasks.spawn("run", async move {
                if let Some(ended) = errand.end(alive).await {
                    // Where nobody reads it any more, the next start hears it again.
                    inbox.send(Mail::Ended { schedule: id, ended }).await.ok();
                }
            });
        }
    }

    /// Writes facts, and then believes them.
    fn commit(
        &mut self,
        id: ScheduleId,
        facts: Vec<Event>,
        moment: &Moment,
        runtime: &Arc<Runtime>,
    ) -> Result<(), SubmitError> {
        let mut after = self.all.get(&id).cloned();
        let before = after.as_ref().map_or((0, 0), |known| (known.head, known.under_way().count()));
        let mut lines = Vec::new();
        for event in facts {
            let (seq, last) = after.as_ref().map_or((1, moment.at), |known| (known.head + 1, known.updated_at));
            let entry =
                Entry { seq, at: moment.at.max(last), turn: None, step: None, asked: None, tokens: None, event };
            let (line, entry) = write(entry, runtime).map_err(|error| refused(id, &error))?;
            match &mut after {
                Some(known) => known.apply(&entry),
                None => after = Schedule::begin(&entry),
            }
            lines.push(line);
        }
        let store = &runtime.shell.store.house.schedules;
        if let Err(error) = store.append(id, &lines) {
            if matches!(error.class(), Class::Lost | Class::Corrupt) {
                tracing::error!(schedule = %id, %error, "schedule set aside until a restart has read what is there");
                self.under_way -= before.1;
                self.all.remove(&id);
                self.put(id, None);
                self.crowded.remove(&id);
                self.aside.insert(id, error.clone());
            }
            return Err(SubmitError::Store(error));
        }
        if let Some(known) = after {
            self.under_way = self.under_way + known.under_way().count() - before.1;
            let is_due = known.head / SNAPSHOT_AFTER > before.0 / SNAPSHOT_AFTER;
            if is_due && let Err(error) = store.put_snapshot(&known) {
                tracing::warn!(schedule = %id, %error, "a snapshot could not be written: the next start reads more");
            }
            self.all.insert(id, known);
        }
        Ok(())
    }
}

/// Writes a line without what is known to be secret, and returns the event as it then is.
fn write(entry: Entry, runtime: &Arc<Runtime>) -> Result<(Line, Entry), LineError> {
    let line = Line::write(&entry)?;
    match line.redacted(&runtime.secrets().now())? {
        None => Ok((line, entry)),
        Some(clean) => clean.read().map(|entry| (clean, entry)),
    }
}

fn refused(id: ScheduleId, error: &LineError) -> SubmitError {
    SubmitError::Store(StoreError::Refused { what: format!("write to schedule {id}"), why: error.to_string() })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "only what starts begins anything")]
fn started(fact: &Event) -> Option<outlive_core::id::RunId> {
    match fact {
        Event::RunStarted(started) => Some(started.run),
        _other => None,
    }
}
