//! The processes of one call: found wherever they went, and ended together.
//!
//! A child leads a session of its own, carries a mark in its environment, and what it leaves behind becomes our child (we
//! are the subreaper). So what hid in another session is found by its ancestry, and what shed the mark too by its being our
//! child that nobody registered: that is ended once no other call runs that it may belong to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions};

use crate::proc::{self, Process};

/// Time to end by itself after the polite signal.
const POLITE: Duration = Duration::from_millis(1_000);
/// Time for the rest to vanish after the other one, from the last moment at which it got less.
const FORCED: Duration = Duration::from_millis(800);
/// Time from the first signal until none of a call's processes lives, or they are given up: longer only while they get fewer.
pub const GRACE: Duration = POLITE.saturating_add(FORCED);
/// More processes than this are no work to be finished politely: they may be multiplying.
const MANY: usize = 200;
/// Time between two looks at most: the first ones are sooner, since what only waits for others is gone at once.
const PAUSE: Duration = Duration::from_millis(10);
const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// First processes of the calls that run now: tokio collects them, nobody else may.
static RUNNING: LazyLock<Mutex<BTreeSet<i32>>> = LazyLock::new(|| {
    if let Err(error) = rustix::process::set_child_subreaper(Some(rustix::process::getpid())) {
        tracing::warn!(%error, "processes that leave their session cannot be followed");
    }
    Mutex::default()
});

/// Returns the first processes of running calls, held still.
pub(super) fn running() -> MutexGuard<'static, BTreeSet<i32>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// First processes of what lasts longer than a call, each with its mark.
static LASTING: Mutex<BTreeMap<i32, String>> = Mutex::new(BTreeMap::new());

fn all_lasting() -> MutexGuard<'static, BTreeMap<i32, String>> {
    LASTING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes that a first process lasts longer than a call: strays do not wait for its end.
pub(super) fn lasting(first: i32, mark: &str) {
    all_lasting().insert(first, mark.to_owned());
}

/// It has ended.
pub(super) fn no_longer_lasting(first: i32) {
    all_lasting().remove(&first);
}

/// The processes of one call.
pub(super) struct Tree {
    pub first: i32,
    pub mark: String,
}

impl Tree {
    /// Returns all that live.
    pub fn members(&self) -> Vec<Process> {
        let all = proc::all();
        let own = proc::own();
        let running = running();
        let Some(us) = all.iter().find(|process| process.pid == own).copied() else { return Vec::new() };
        let lasting = all_lasting().clone();
        let others = || running.iter().any(|pid| *pid != self.first && !lasting.contains_key(pid));
        let of_lasting = |process: &Process| {
            lasting
                .iter()
                .any(|(first, mark)| *first != self.first && (process.session == *first || process.is_marked(mark)))
        };
        let mut ours = vec![us];
        proc::add_descendants(&mut ours, &all);
        let is_member = |process: &&Process| {
            let foreign_first = process.pid != self.first && running.contains(&process.pid);
            if process.session == us.session || foreign_first {
                return false;
            }
            let is_stray = process.parent == own && process.pid != self.first && !others() && !of_lasting(process);
            process.session == self.first || is_stray || process.is_marked(&self.mark)
        };
        let mut members: Vec<Process> = ours.iter().filter(is_member).copied().collect();
        proc::add_descendants(&mut members, &all);
        collect_zombies(&ours, &running, us);
        members.retain(|process| !process.zombie);
        members
    }
}

/// Takes dead strays off the process table, whosever they were. The first processes of calls are tokio's to collect, and
/// what never left our session was started by something else in this process, which waits for it itself.
fn collect_zombies(ours: &[Process], running: &BTreeSet<i32>, us: Process) {
    let is_stray = |it: &&Process| it.parent == us.pid && it.session != us.session && !running.contains(&it.pid);
    for stray in ours.iter().filter(|it| it.zombie).filter(is_stray) {
        // Gone already, or not ours after all: either way nothing is owed.
        let _gone = rustix::process::waitpid(Pid::from_raw(stray.pid), WaitOptions::NOHANG);
    }
}

/// Ends all that `members` finds, politely and then not, and returns how many there were and whether any is left.
pub(crate) async fn end(members: impl Fn() -> Vec<Process>) -> Gone {
    let mut found = members();
    // The first process of a sandbox only waits for the others.
    let gone = Gone { ended: found.iter().filter(|process| !process.begins_namespace()).count(), left: 0 };
    if found.len() <= MANY {
        found.iter().for_each(|process| process.signal(Signal::TERM));
        found.iter().for_each(|process| process.signal(Signal::CONT));
    }
    let mut pause = FIRST_PAUSE;
    let polite = tokio::time::Instant::now() + POLITE;
    while (1..=MANY).contains(&found.len()) && tokio::time::Instant::now() < polite {
        tokio::time::sleep(pause).await;
        pause = PAUSE.min(pause * 2);
        found = members();
    }
    let (mut forced, mut fewest) = (tokio::time::Instant::now() + FORCED, found.len());
    while !found.is_empty() && tokio::time::Instant::now() < forced {
        kill(&found);
        tokio::time::sleep(PAUSE).await;
        found = members();
        // Thousands that die take a busy machine longer than that.
        if found.len() < fewest {
            (forced, fewest) = (tokio::time::Instant::now() + FORCED, found.len());
        }
    }
    Gone { left: found.len(), ..gone }
}

/// What [`end`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone {
    /// Processes that were found at first.
    pub ended: usize,
    /// Processes that still live.
    pub left: usize,
}

/// Kills the groups as wholes, so that nothing forks away meanwhile, then each one.
pub(crate) fn kill(found: &[Process]) {
    let own = rustix::process::getpgrp().as_raw_nonzero().get();
    // A member that still lives pins its group's number. One group is one session, so all in it belong to the call.
    let living = found.iter().filter(|process| Process::of(process.pid).is_some_and(|now| now.start == process.start));
    let groups: BTreeSet<i32> =
        living.map(|process| process.group).filter(|group| *group > 1 && *group != own).collect();
    for group in groups.into_iter().filter_map(Pid::from_raw) {
        // Gone already: that is what was wanted.
        let _gone = rustix::process::kill_process_group(group, Signal::KILL);
    }
    found.iter().for_each(|process| process.signal(Signal::KILL));
}
