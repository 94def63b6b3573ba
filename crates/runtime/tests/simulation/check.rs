//! The invariants, checked after every kill and at the end. ARCHITECTURE.md lists them; each is a function here.

mod looping;
pub mod memory;
mod relay;
mod shrink;
pub mod waits;

use std::collections::{BTreeMap, BTreeSet};

use outlive_core::content::Usage;
use outlive_core::event::{Effect, Entry, Event, Line};
use outlive_core::id::{CallId, RequestId, SessionId, TurnId};
use outlive_core::session::{State, read_snapshot, write_snapshot};
use outlive_runtime::Accepted;
use outlive_store::Store;

use crate::hands::{BUDGET_STEPS, read_all};
use crate::world::World;

/// What holds of any journal.
pub fn journal_holds(entries: &[Entry]) {
    no_gap_and_no_step_back(entries);
    effectful_calls_start_once(entries);
    results_come_once(entries);
    snapshot_and_tail_is_the_whole(entries);
    relay::attempts_hold(entries);
    waits::waits_hold(entries);
}

pub async fn everything(
    store: &Store,
    sessions: &[SessionId],
    acknowledged: &BTreeMap<SessionId, Vec<(RequestId, Accepted)>>,
    world: &World,
) {
    assert_eq!(world.violations(), Vec::<String>::new());
    let mut journals = BTreeMap::new();
    let all: BTreeSet<SessionId> = sessions.iter().chain(acknowledged.keys()).copied().collect();
    for session in &all {
        let entries = read_all(store, *session).await;
        journal_holds(&entries);
        acknowledged_is_there(&entries, acknowledged.get(session).map_or(&[], Vec::as_slice));
        if sessions.contains(session) {
            one_ending_a_turn(&entries);
            looping::loops_hold(&entries);
        } else {
            looping::none_goes_on(&entries);
        }
        budgets_hold(&entries);
        snapshot_is_a_fold(store, *session, &entries).await;
        shrink::checkpoints_hold(&entries);
        shrink::calls_keep_their_results(&entries);
        journals.insert(*session, entries);
    }
    effects_happen_once(journals.values().flatten(), world);
}

/// What was written stays as it was, byte by byte; but for what is forgotten.
pub async fn history_stays(store: &Store, before: &mut BTreeMap<SessionId, Vec<Line>>) {
    for session in store.directory.sessions().await.unwrap_or_default() {
        let lines = store.journals.read(session, 0, usize::MAX).await.map(|opened| opened.lines).unwrap_or_default();
        let old = before.insert(session, lines.clone()).unwrap_or_default();
        assert!(old.len() <= lines.len(), "{session} has become shorter");
        for (old, new) in old.iter().zip(&lines).filter(|(old, new)| old != new) {
            // A reply of nothing but calls has no words that could be taken out, only what it said to tools.
            let is_forgotten = ["[forgotten]", "\"input\":{}"].iter().any(|mark| new.as_str().contains(mark));
            assert!(is_forgotten, "history was changed: {} {}", old.as_str(), new.as_str());
        }
    }
}

pub async fn memories_hold(store: &Store, promised: &memory::Promised) {
    let mut journals = BTreeMap::new();
    for session in store.directory.sessions().await.unwrap_or_default() {
        journals.insert(session, read_all(store, session).await);
    }
    memory::notes_follow(&journals);
    memory::kept_is_there(&journals, promised);
    memory::nowhere(store, &promised.gone).await;
}

/// How much is written, and how often a model was asked: neither grows while nobody says anything.
pub async fn written(store: &Store, world: &World) -> (u64, u64) {
    let mut lines = 0;
    for session in store.directory.sessions().await.unwrap_or_default() {
        lines += store.journals.head(session).await.unwrap_or_default();
    }
    (lines, world.requests())
}

fn no_gap_and_no_step_back(entries: &[Entry]) {
    for (n, pair) in entries.windows(2).enumerate() {
        assert!(pair[0].at <= pair[1].at, "time runs backwards at {n}");
    }
    for (n, entry) in entries.iter().enumerate() {
        assert_eq!(entry.seq, n as u64 + 1, "gap");
    }
}

pub fn acknowledged_is_there(entries: &[Entry], acknowledged: &[(RequestId, Accepted)]) {
    for (id, accepted) in acknowledged {
        let found: Vec<&Entry> =
            entries.iter().filter(|entry| entry.asked.as_ref().is_some_and(|asked| asked.request_id == *id)).collect();
        assert_eq!(found.len(), 1, "request {id} was acknowledged and is there {} times", found.len());
        assert_eq!((found[0].seq, found[0].turn), (accepted.seq, accepted.turn), "request {id}");
    }
}

pub fn one_ending_a_turn(entries: &[Entry]) {
    let mut ended: BTreeSet<TurnId> = BTreeSet::new();
    let mut running: Option<TurnId> = None;
    for entry in entries {
        let turn = entry.turn.unwrap_or(TurnId::from_bits(0));
        match &entry.event {
            Event::TurnStarted(_) => {
                assert!(running.is_none() && !ended.contains(&turn), "turn {turn} starts beside or after another");
                running = Some(turn);
            }
            Event::TurnEnded(_) => {
                assert!(running == Some(turn) && ended.insert(turn), "turn {turn} ends twice");
                running = None;
            }
            Event::StepStarted(_) | Event::StepFinished(_) | Event::CallStarted(_) | Event::CallFinished(_) => {
                assert_eq!(running, Some(turn), "{} outside its turn", entry.event.name());
            }
            _ => {}
        }
    }
}

/// No turn has more answered steps than its budget allows; each is counted and priced, and the state says what the
/// session's own come to.
fn budgets_hold(entries: &[Entry]) {
    let (mut all, mut turns) = (Usage::default(), BTreeMap::<Option<TurnId>, u64>::new());
    let (mut own, mut state) = (Usage::default(), State::default());
    for entry in entries {
        state.apply(entry);
        if let Event::StepFinished(finished) = &entry.event {
            all.add(finished.usage);
            let parent = state.profile.as_ref().and_then(|profile| profile.parent.as_ref());
            if parent.is_none_or(|parent| entry.seq > parent.seq) {
                own.add(finished.usage);
            }
            let steps = turns.entry(entry.turn).or_default();
            *steps += 1;
            assert!(*steps <= BUDGET_STEPS, "a turn of {BUDGET_STEPS} steps at most has {steps}");
        }
        // What is done beside turns costs, too.
        let beside = match &entry.event {
            Event::MemoryObserved(observed) => observed.usage,
            Event::MemoryReflected(reflected) => reflected.usage,
            Event::MemoryFailed(failed) => failed.usage,
            Event::CompactionProgressed(progressed) => progressed.usage,
            Event::CompactionFailed(failed) => failed.usage,
            _ => continue,
        };
        let parent = state.profile.as_ref().and_then(|profile| profile.parent.as_ref());
        if beside.steps > 0 && parent.is_none_or(|parent| entry.seq > parent.seq) {
            own.add(beside);
        }
    }
    assert_eq!((all.steps, all.priced_steps), (turns.values().sum(), turns.values().sum()));
    assert_eq!(state.totals.spent.all, own);
}

fn effectful_calls_start_once(entries: &[Entry]) {
    let mut started: BTreeMap<CallId, u32> = BTreeMap::new();
    for entry in entries {
        if let Event::CallStarted(call) = &entry.event {
            let times = started.entry(call.call).or_default();
            *times += 1;
            assert_eq!(call.attempt, *times, "attempts of {} are not counted", call.call);
            assert!(call.effect != Effect::Effectful || *times == 1, "effectful call {} started twice", call.call);
        }
    }
}

/// A call has at most one result, and never begins again once it has one.
fn results_come_once(entries: &[Entry]) {
    let mut settled: BTreeSet<CallId> = BTreeSet::new();
    for entry in entries {
        let call = match &entry.event {
            Event::CallStarted(started) => {
                assert!(!settled.contains(&started.call), "call {} begins again after its result", started.call);
                continue;
            }
            Event::CallFinished(finished) => finished.call,
            Event::CallDenied(denied) => denied.call,
            Event::CallLost(lost) => lost.call,
            _ => continue,
        };
        assert!(settled.insert(call), "call {call} has two results");
    }
}

/// Folding a snapshot taken anywhere and then the rest gives what folding all gives.
fn snapshot_and_tail_is_the_whole(entries: &[Entry]) {
    let fold = |mut state: State, entries: &[Entry]| {
        entries.iter().for_each(|entry| state.apply(entry));
        state
    };
    let whole = fold(State::default(), entries);
    // In the middle of what is done beside turns, where there is some.
    let beside =
        entries.iter().rposition(|entry| matches!(entry.event.name(), "compaction.started" | "memory.forgotten"));
    let cut = beside.map_or(entries.len() * 2 / 3, |at| at + 1);
    let text = write_snapshot(&fold(State::default(), &entries[..cut])).expect("a state can be written");
    let state = read_snapshot(&text).unwrap_or_else(|| panic!("a snapshot can be read back:\n{text}"));
    assert_eq!(fold(state, &entries[cut..]), whole);
}

async fn snapshot_is_a_fold(store: &Store, session: SessionId, entries: &[Entry]) {
    let Ok(Some(text)) = store.snapshots.get(session).await else { return };
    let state = read_snapshot(&text).expect("a snapshot can be read");
    let mut folded = State::default();
    entries.iter().take(usize::try_from(state.head).unwrap()).for_each(|entry| folded.apply(entry));
    assert_eq!(state, folded, "the snapshot is not what the journal says");
}

/// What cannot be repeated happened at most once, and only after its intent.
fn effects_happen_once<'a>(entries: impl Iterator<Item = &'a Entry>, world: &World) {
    let mut done: BTreeMap<CallId, u32> = BTreeMap::new();
    let started =
        entries.filter_map(|entry| if let Event::CallStarted(it) = &entry.event { Some(it.call) } else { None });
    let intended: BTreeSet<CallId> = started.collect();
    for deed in world.deeds() {
        let times = done.entry(deed.call).or_default();
        *times += 1;
        assert!(deed.effect != Effect::Effectful || *times == 1, "{} was done twice", deed.call);
        assert!(intended.contains(&deed.call), "{} was done without an intent", deed.call);
    }
}

pub async fn all_turns_ended(store: &Store, sessions: &[SessionId]) {
    for session in sessions {
        let entries = read_all(store, *session).await;
        let count = |name: &str| entries.iter().filter(|entry| entry.event.name() == name).count();
        assert_eq!(count("turn.started"), count("turn.ended"), "a turn of {session} has no ending");
    }
}
