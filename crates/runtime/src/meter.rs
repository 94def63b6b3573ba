//! Counts what happens, from the events that became durable: one fold, in one place, and nothing is counted elsewhere.
//!
//! | Where | What |
//! |---|---|
//! | [`Meter`] | the fold, and who else hears what it is told |
//! | `numbers` | counters and histograms |
//! | `text` | all of it as Prometheus text |
//! | [`word`] | each kind's one word, as the journal has it |
//!
//! Invariants: what a fork shares was counted when it happened, and is not again; whoever listens here keeps nothing
//! waiting, and is no client of a session.

mod numbers;
mod text;
pub mod word;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use outlive_core::content::Usage;
use outlive_core::event::{Entry, Event, Line};
use outlive_core::id::{AgentName, SessionId};
use outlive_core::time::Timestamp;
use tokio::sync::mpsc;

use numbers::{Counter, Counts, Dollars, Histogram};

/// What became durable in one append of one session.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Which session.
    pub session: SessionId,
    /// Whose.
    pub agent: Option<AgentName>,
    /// When the turn that ran before these events began.
    pub began: Option<Timestamp>,
    /// The events.
    pub events: Arc<[(Line, Entry)]>,
}

/// Counts. Cheap to clone.
#[derive(Clone)]
pub struct Meter(Arc<Numbers>);

struct Numbers {
    turns: Counts,
    steps: Counter,
    failures: Counts,
    calls: Counts,
    /// What was done about what models see.
    context: Counts,
    /// What was done about what is remembered.
    memory: Counts,
    tokens: Counts,
    cost: Dollars,
    seconds: Seconds,
    failed_appends: Counter,
    listener: Mutex<Option<mpsc::Sender<Seen>>>,
    unheard: Counter,
}

/// How long things took.
struct Seconds {
    turns: Histogram,
    steps: Histogram,
    calls: Histogram,
    appends: Histogram,
}

/// Upper bounds in seconds: of turns, steps and calls, and of appends.
const LONG: &[f64] = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0];
const SHORT: &[f64] = &[0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

impl Default for Meter {
    fn default() -> Self {
        Self(Arc::new(Numbers {
            turns: Counts::of(&word::ENDINGS),
            steps: Counter::default(),
            failures: Counts::of(&word::FAILURES),
            calls: Counts::of(&word::CALLS),
            context: Counts::of(&word::CONTEXT),
            memory: Counts::of(&word::MEMORY),
            tokens: Counts::of(&word::TOKENS),
            cost: Dollars::default(),
            seconds: Seconds {
                turns: Histogram::of(LONG),
                steps: Histogram::of(LONG),
                calls: Histogram::of(LONG),
                appends: Histogram::of(SHORT),
            },
            failed_appends: Counter::default(),
            listener: Mutex::default(),
            unheard: Counter::default(),
        }))
    }
}

impl Meter {
    /// Lets somebody hear of all that becomes durable from now on; there is one at most. Whoever falls behind misses some,
    /// and how many is counted.
    #[must_use]
    pub fn listen(&self, behind: usize) -> Option<mpsc::Receiver<Seen>> {
        let mut listener = self.listener();
        if listener.is_some() {
            return None;
        }
        let (sender, receiver) = mpsc::channel(behind);
        *listener = Some(sender);
        Some(receiver)
    }

    /// Tells nobody any more: what the listener has not heard yet is the last of it.
    pub fn hush(&self) {
        self.listener().take();
    }

    fn listener(&self) -> MutexGuard<'_, Option<mpsc::Sender<Seen>>> {
        self.0.listener.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what became durable.
    pub(crate) fn note(&self, seen: impl FnOnce() -> Seen, (began, entries): (Option<Timestamp>, &[(Line, Entry)])) {
        let mut began = began;
        entries.iter().for_each(|(_, entry)| self.count(entry, &mut began));
        if let Some(listener) = self.listener().as_ref()
            && listener.try_send(seen()).is_err()
        {
            self.0.unheard.add(1);
        }
    }

    /// Takes in how long an append took, and whether it was done.
    pub(crate) fn appended(&self, took: Duration, is_done: bool) {
        if is_done {
            self.0.seconds.appends.add(took);
        } else {
            self.0.failed_appends.add(1);
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "what is not counted needs no row")]
    fn count(&self, entry: &Entry, began: &mut Option<Timestamp>) {
        let numbers = &*self.0;
        match &entry.event {
            Event::TurnStarted(_) => *began = Some(entry.at),
            Event::TurnEnded(ended) => {
                numbers.turns.add(word::ending(ended.ending), 1);
                numbers.cost.add(ended.cost.unwrap_or_default());
                if let Some(began) = began.take() {
                    numbers.seconds.turns.add(Duration::from_millis(entry.at.ms_since(began)));
                }
            }
            Event::StepFinished(finished) => {
                numbers.steps.add(1);
                numbers.seconds.steps.add(Duration::from_millis(finished.latency_ms));
                self.count_tokens(finished.usage);
            }
            Event::StepFailed(failed) => numbers.failures.add(word::failure(failed.kind), 1),
            Event::CallFinished(finished) => {
                numbers.calls.add(word::outcome(finished.outcome), 1);
                // What never ran took no time.
                if finished.attempt > 0 {
                    numbers.seconds.calls.add(Duration::from_millis(finished.duration_ms));
                }
            }
            Event::CallDenied(_) => numbers.calls.add("denied", 1),
            Event::CallLost(_) => numbers.calls.add("lost", 1),
            Event::CompactionProgressed(progressed) => {
                numbers.context.add(entry.event.name(), 1);
                self.count_tokens(progressed.usage);
            }
            Event::CompactionFailed(failed) => {
                numbers.context.add(entry.event.name(), 1);
                self.count_tokens(failed.usage);
            }
            Event::MemoryObserved(observed) => {
                numbers.memory.add(entry.event.name(), 1);
                self.count_tokens(observed.usage);
            }
            Event::MemoryReflected(reflected) => {
                numbers.memory.add(entry.event.name(), 1);
                self.count_tokens(reflected.usage);
            }
            Event::MemoryAdded(_)
            | Event::MemoryEdited(_)
            | Event::MemoryForgotten(_)
            | Event::MemoryErased(_)
            | Event::MemoryFailed(_) => numbers.memory.add(entry.event.name(), 1),
            Event::ContextPruned(_)
            | Event::ContextRebuilt(_)
            | Event::CompactionStarted(_)
            | Event::CompactionCancelled(_)
            | Event::CompactionSkipped(_)
            | Event::CheckpointCreated(_)
            | Event::CheckpointActivated(_) => numbers.context.add(entry.event.name(), 1),
            _not_counted => {}
        }
    }

    fn count_tokens(&self, usage: Usage) {
        let kinds = [usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens];
        word::TOKENS.iter().zip(kinds).for_each(|(kind, tokens)| self.0.tokens.add(kind, tokens));
    }
}
