//! What is asked about what is remembered, and what hands report of it, becomes facts.

use super::State;
use super::decide::{Facts, Moment, Refusal};
use super::settle::Fact;
use crate::command::{MemoryCommand, Noted, Report};
use crate::content::{Failure, FailureKind, Usage};
use crate::event::{
    Aside, Event, MemoryAdded, MemoryEdited, MemoryErased, MemoryFailed, MemoryForgotten, MemoryObserved,
    MemoryReflected, MemoryWork, Origin, SessionUpdated,
};
use crate::id::{Ids, MemoryId, Seq};
use crate::limits::{FORGOTTEN_AT_ONCE, MEMORIES_AT_ONCE, MEMORY_CHARS};
use crate::memory::forget::Extent;
use crate::memory::{Memory, Mode};
use crate::time::Timestamp;

/// Pause before what failed is tried again: first, and at most.
const RETRY_MS: (u64, u64) = (30_000, 3_600_000);
/// Looks that failed after which a piece, which is as small as they get by then, is left unlooked at.
const LOOKS: u32 = 8;

impl State {
    pub(super) fn decide_memory(&self, what: &MemoryCommand, by: &Origin, moment: &mut Moment) -> Facts {
        // What is to be gone goes from whatever there is.
        if self.is_archived() && !matches!(what, MemoryCommand::Forget { .. }) {
            return Err(Refusal::Archived);
        }
        let event = match what {
            MemoryCommand::Add(memory) => {
                check_text(&memory.text)?;
                self.check_mode()?;
                // What holds since nobody says when holds from now on.
                let since = Some(memory.since).filter(|since| since.micros() != 0).unwrap_or(moment.at);
                let memory = Memory { id: named(memory.id, &mut moment.ids), since, ..(**memory).clone() };
                Event::MemoryAdded(MemoryAdded { memory, by: by.clone() })
            }
            MemoryCommand::Edit { memory, text, scope } => {
                check_text(text)?;
                let (text, by) = (text.clone(), by.clone());
                Event::MemoryEdited(MemoryEdited { memory: *memory, text, scope: *scope, by })
            }
            MemoryCommand::Forget { memories, sources } => {
                let extent = if *sources { Extent::Sources } else { Extent::Words };
                let is_new = |id: &MemoryId| self.upkeep.memories.forgetting.get(id).is_none_or(|it| *it < extent);
                check_count(memories.len(), FORGOTTEN_AT_ONCE)?;
                if !memories.iter().any(is_new) {
                    return Ok(Vec::new());
                }
                let memories = memories.clone();
                Event::MemoryForgotten(MemoryForgotten { memories, sources: *sources, by: by.clone() })
            }
            MemoryCommand::Mode(mode) => {
                if self.upkeep.memories.mode == Some(*mode) {
                    return Ok(Vec::new());
                }
                mode_set(*mode, by)
            }
        };
        Ok(vec![Fact::of_session(event)])
    }

    /// Returns the fact that the session takes part, as its agent's files say, where nobody has said how far.
    #[must_use]
    pub fn remembering(&self) -> Option<Fact> {
        let by = Origin::of(crate::event::OriginKind::Runtime);
        self.upkeep.memories.mode.is_none().then(|| Fact::of_session(mode_set(Mode::On, &by)))
    }

    /// Returns the events that have left the model's sight, and that nobody has looked at yet. They stand in the journal: they
    /// are looked at once the observer can, and are marked so until then.
    #[must_use]
    pub fn evicted_unobserved(&self) -> Option<Aside> {
        let last = self.upkeep.view.shown_from().saturating_sub(1);
        self.unobserved(Aside { first: 1, last })
    }

    /// Returns the part of these events that nobody has looked at yet.
    #[must_use]
    pub fn unobserved(&self, covers: Aside) -> Option<Aside> {
        let first = covers.first.max(self.upkeep.memories.observed_to.saturating_add(1));
        let last = covers.last.min(self.upkeep.memories.said_at);
        (first <= last).then_some(Aside { first, last })
    }

    /// Says whether something of the session may be remembered.
    ///
    /// # Errors
    ///
    /// [`Refusal::Invalid`] with `memory_off`.
    pub fn check_mode(&self) -> Result<(), Refusal> {
        let what = match self.upkeep.memories.mode {
            Some(Mode::On) | None => return Ok(()),
            Some(Mode::Incognito) => "nothing of this session is remembered: it is incognito",
            Some(Mode::Off) => "nothing of this session is remembered: its memory is off",
        };
        Err(Refusal::Invalid { code: "memory_off", what: what.to_owned() })
    }

    pub(super) fn remembered(&self, report: &Report, moment: &mut Moment) -> Facts {
        let event = match report {
            // What comes too late is let go, and with it what is held for it.
            Report::Observed { to, .. } if !self.awaits(*to) => return Ok(Vec::new()),
            // What was made of notes that have changed since would bring back what they said, or say it twice.
            Report::Reflected { read, .. } if self.check_mode().is_err() || *read < self.upkeep.memories.changed_at => {
                return Err(Refusal::Stale);
            }
            Report::Observed { to, model, answer } => self.observed(*to, model.as_ref(), answer, moment),
            Report::Reflected { model, answer: Ok((memories, usage)), .. } => {
                let memories = with_ids(memories, &mut moment.ids);
                Event::MemoryReflected(MemoryReflected { memories, model: model.clone(), usage: *usage })
            }
            Report::Reflected { answer: Err(failed), .. } => {
                self.failed_to_remember(MemoryWork::Reflect, failed, moment.at)
            }
            Report::Erased { memories, lines } => {
                let forgetting = &self.upkeep.memories.forgetting;
                let is_done = |(id, extent): &(&MemoryId, &Extent)| forgetting.get(id) == Some(extent);
                let memories: Vec<MemoryId> = memories.iter().filter(is_done).map(|(id, _)| *id).collect();
                if memories.is_empty() {
                    return Ok(Vec::new());
                }
                Event::MemoryErased(MemoryErased { memories, lines: *lines })
            }
            Report::Step { .. }
            | Report::Call { .. }
            | Report::Asks { .. }
            | Report::Withdraws { .. }
            | Report::Found { .. }
            | Report::Told { .. }
            | Report::Condensed { .. } => return Err(Refusal::Stale),
        };
        Ok(vec![Fact::of_session(event)])
    }

    fn observed(&self, to: Seq, model: Option<&String>, answer: &Noted, moment: &mut Moment) -> Event {
        let covers = Aside { first: self.upkeep.memories.observed_to.saturating_add(1), last: to };
        match answer {
            Ok((memories, usage)) => {
                let within = |memory: &&Memory| {
                    let from_there = |seq: &Seq| (covers.first..=covers.last).contains(seq);
                    check_text(&memory.text).is_ok() && memory.sources.iter().all(from_there)
                };
                let memories: Vec<Memory> = memories.iter().filter(within).take(MEMORIES_AT_ONCE).cloned().collect();
                let memories = with_ids(&memories, &mut moment.ids);
                Event::MemoryObserved(MemoryObserved {
                    covers,
                    memories,
                    model: model.cloned(),
                    usage: *usage,
                    is_unobserved: false,
                })
            }
            Err((failure, usage)) if self.gives_up(failure) => Event::MemoryObserved(MemoryObserved {
                covers,
                memories: Vec::new(),
                model: model.cloned(),
                usage: *usage,
                is_unobserved: true,
            }),
            Err(failed) => self.failed_to_remember(MemoryWork::Observe, failed, moment.at),
        }
    }

    /// Whether a piece is left as it is: its own words are why no answer to it is one, however small it is cut.
    fn gives_up(&self, failure: &Failure) -> bool {
        let is_its_own = matches!(failure.kind, FailureKind::Refused | FailureKind::OffSchema | FailureKind::Truncated);
        is_its_own && self.upkeep.memories.failures >= LOOKS
    }

    /// Whether a look up to there says something new. Said to be incognito meanwhile, nothing of it is kept.
    fn awaits(&self, to: Seq) -> bool {
        self.upkeep.memories.mode == Some(Mode::On) && to > self.upkeep.memories.observed_to && to <= self.head
    }

    fn failed_to_remember(&self, work: MemoryWork, (failure, usage): &(Failure, Usage), at: Timestamp) -> Event {
        let (first, most) = RETRY_MS;
        let doubled = first.saturating_mul(1 << self.upkeep.memories.failures.min(10));
        let pause = doubled.min(most).max(failure.retry_after_ms.unwrap_or(0).min(most));
        let message = failure.message.chars().take(500).collect();
        Event::MemoryFailed(MemoryFailed { work, message, retry_at: at.plus_ms(pause), usage: *usage })
    }
}

fn mode_set(mode: Mode, by: &Origin) -> Event {
    Event::SessionUpdated(SessionUpdated { title: None, labels: None, memory: Some(mode), by: by.clone() })
}

/// A memory that nobody has named yet gets a fresh id.
fn named(id: MemoryId, ids: &mut Ids) -> MemoryId {
    if id.bits() == 0 { MemoryId::from_bits(ids.fresh()) } else { id }
}

fn with_ids(memories: &[Memory], ids: &mut Ids) -> Vec<Memory> {
    memories.iter().map(|memory| Memory { id: named(memory.id, ids), ..memory.clone() }).collect()
}

fn check_text(text: &str) -> Result<(), Refusal> {
    let count = text.chars().count();
    let what = match count {
        _ if text.trim().is_empty() => "a memory needs text".to_owned(),
        count if count > MEMORY_CHARS => {
            format!("a memory has at most {MEMORY_CHARS} characters, this one has {count}")
        }
        _fits => return Ok(()),
    };
    Err(Refusal::Invalid { code: "memory_invalid", what })
}

fn check_count(count: usize, most: usize) -> Result<(), Refusal> {
    if count <= most {
        return Ok(());
    }
    let what = format!("at most {most} memories at once, not {count}");
    Err(Refusal::Invalid { code: "memory_invalid", what })
}
