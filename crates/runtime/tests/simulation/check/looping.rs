//! What holds of loops, wherever processes die.

use std::collections::BTreeMap;

use outlive_core::event::{
    ActivationCause, CallDenied, Decider, Effect, Ending, Entry, Event, LoopEnded, LoopExit, LoopStarted, Outcome,
    TurnEnded,
};
use outlive_core::id::CallId;
use outlive_core::session::State;

/// A loop that is under way, as its journal tells it.
struct Round {
    of: LoopStarted,
    number: u32,
    /// The checks that were asked last, with how each went; empty before.
    checks: BTreeMap<CallId, Option<Went>>,
    /// How the last turn ended since the iteration began.
    ended: Option<TurnEnded>,
    interrupted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Went {
    Passed,
    Failed,
    /// It did not run, or nobody knows.
    Unfit,
}

/// Iterations follow one another, each in a context of its own; checks run on the word of whoever began the loop, as they were given;
/// and a loop has one end, which is the one that its last iteration had.
pub fn loops_hold(entries: &[Entry]) {
    let (mut state, mut round) = (State::default(), None::<Round>);
    for (at, entry) in entries.iter().enumerate() {
        if let Event::LoopStarted(started) = &entry.event {
            assert!(round.is_none() && state.turn.is_none(), "a loop begins in the middle, at {}", entry.seq);
            let (of, checks) = (started.clone(), BTreeMap::new());
            round = Some(Round { of, number: 0, checks, ended: None, interrupted: false });
        } else if let Event::LoopEnded(ended) = &entry.event {
            let round = round.take().unwrap_or_else(|| panic!("a loop ends twice, at {}", entry.seq));
            assert!(state.turn.is_none(), "a loop ends in a turn, at {}", entry.seq);
            round.ends(ended);
        } else if let Some(round) = &mut round {
            if matches!(entry.event, Event::LoopIterationStarted(_)) {
                is_fresh(&entries[..=at], &entries[at + 1..]);
            }
            round.hear(entry);
        }
        state.apply(entry);
    }
    assert_eq!(state.looping().is_some(), round.is_some(), "a loop is under way, or is not");
}

/// A fork has none.
pub fn none_goes_on(entries: &[Entry]) {
    let mut state = State::default();
    entries.iter().for_each(|entry| state.apply(entry));
    assert!(state.looping().is_none(), "a fork goes on with a loop");
}

/// Nothing that was said before is seen; what it is told comes with it, in one append.
fn is_fresh(before: &[Entry], behind: &[Entry]) {
    let started = before.last().unwrap();
    let activated = before.iter().rev().nth(1).map(|entry| &entry.event);
    let Some(Event::CheckpointActivated(activated)) = activated else { panic!("an iteration sees {activated:?}") };
    assert_eq!(activated.cause, ActivationCause::Iterated);
    let seen = before.iter().filter(|entry| entry.seq >= activated.tail_from && entry.seq < started.seq);
    let says = |entry: &&Entry| {
        !entry.event.name().starts_with("checkpoint.") && !entry.event.name().starts_with("compaction.")
    };
    assert_eq!(seen.filter(says).count(), 0, "an iteration sees what was before it, at {}", started.seq);
    let names: Vec<&str> = behind.iter().take(2).map(|entry| entry.event.name()).collect();
    assert_eq!(names, ["message.received", "turn.started"], "at {}", started.seq);
}

impl Round {
    fn hear(&mut self, entry: &Entry) {
        match &entry.event {
            Event::LoopIterationStarted(started) => {
                assert_eq!(
                    started.number,
                    self.number + 1,
                    "an iteration is left out, or done twice, at {}",
                    entry.seq
                );
                assert!(started.number <= self.of.limit);
                assert!(
                    self.number == 0 || self.is_to_go_on(),
                    "an iteration begins that nothing asks for, at {}",
                    entry.seq
                );
                self.number = started.number;
                (self.checks, self.ended) = (BTreeMap::new(), None);
            }
            Event::LoopChecksAsked(asked) => {
                assert_eq!(asked.number, self.number);
                let checks: Vec<_> = asked.calls.iter().map(|call| call.check.clone()).collect();
                assert_eq!(checks, self.of.checks, "other checks than were given, at {}", entry.seq);
                self.checks = asked.calls.iter().map(|call| (call.call, None)).collect();
            }
            Event::CallAllowed(allowed) if self.checks.contains_key(&allowed.call) => {
                let vouched =
                    allowed.by == Decider::Person(self.of.by.clone()) || !matches!(allowed.by, Decider::Person(_));
                assert!(vouched && allowed.effect == Effect::Idempotent, "{allowed:?}");
            }
            Event::CallStarted(started) if self.checks.contains_key(&started.call) => {
                let run = started.arguments["command"].as_str().unwrap();
                assert!(started.tool == "bash" && self.of.checks.iter().any(|check| check.run == run), "{started:?}");
            }
            Event::CallFinished(finished) => {
                let went = if finished.outcome == Outcome::Ok { Went::Passed } else { Went::Failed };
                self.went(finished.call, went);
            }
            Event::CallDenied(CallDenied { call, .. }) => self.went(*call, Went::Unfit),
            Event::CallLost(lost) => self.went(lost.call, Went::Unfit),
            Event::TurnEnded(ended) => self.ended = Some(ended.clone()),
            Event::InterruptRequested(_) if entry.turn.is_none() => self.interrupted = true,
            _ => {}
        }
    }

    fn went(&mut self, call: CallId, how: Went) {
        if let Some(went) = self.checks.get_mut(&call) {
            *went = Some(how);
        }
    }

    fn all(&self, how: Went) -> bool {
        self.is_checked() && self.checks.values().all(|went| *went == Some(how))
    }

    fn any(&self, how: Went) -> bool {
        self.checks.values().any(|went| *went == Some(how))
    }

    /// Its checks have run, and its turn is over.
    fn is_checked(&self) -> bool {
        let completed = self.ended.as_ref().is_some_and(|ended| ended.ending == Ending::Complete);
        completed && !self.checks.is_empty() && self.checks.values().all(Option::is_some)
    }

    fn is_to_go_on(&self) -> bool {
        self.is_checked() && !self.all(Went::Passed) && !self.any(Went::Unfit)
    }

    fn ends(&self, end: &LoopEnded) {
        assert_eq!(end.number, self.number);
        let is = |ending: Ending| self.ended.as_ref().is_some_and(|ended| ended.ending == ending);
        let code = self.ended.as_ref().and_then(|ended| Some(ended.error.as_ref()?.code.as_str()));
        let is_right = match end.exit {
            LoopExit::Passed => self.all(Went::Passed),
            LoopExit::Iterations => self.number == self.of.limit && self.is_to_go_on(),
            LoopExit::Context => is(Ending::Failed) && code == Some("context_overflow"),
            LoopExit::Aborted => is(Ending::Interrupted) || self.interrupted,
            LoopExit::Error => {
                is(Ending::Failed) && code != Some("context_overflow") || self.is_checked() && self.any(Went::Unfit)
            }
        };
        assert!(is_right, "{end:?} after {:?} and {:?}", self.checks, self.ended);
    }
}
