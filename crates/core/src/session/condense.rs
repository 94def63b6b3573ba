//! How checkpoints are made and chosen: what is asked about what the model sees, and what hands report of it, becomes facts.
//!
//! Invariants: one compaction at a time; what fails or is cancelled changes nothing that the model sees; a summary without what
//! must stay does not count.

mod relief;

pub use relief::{Relief, Sized};

use super::decide::{Facts, Moment, Refusal};
use super::settle::Fact;
use super::view::Version;
use super::{Loop, State, View};
use crate::command::{Condensed, ContextCommand, Planned};
use crate::compaction::{Open, Section, Summary};
use crate::content::{Failure, Usage};
use crate::event::{
    ActivationCause, Aside, CheckpointActivated, CheckpointCreated, CompactionCancelled, CompactionFailed,
    CompactionProgressed, CompactionStarted, CompactionTrigger, Event, Made, Origin, OriginKind, Strategy, TodoStatus,
};
use crate::id::{CheckpointId, CompactionId, Seq};
use crate::limits::{SUMMARY_BYTES, SUMMARY_ITEMS};
use crate::relay::Relay;
use crate::turn::Phase;

/// Pauses after the first, second and third failure in a row before a model is asked again, in milliseconds; the last one stays.
const RESTS_MS: [u64; 3] = [60_000, 300_000, 3_600_000];

fn refuse(code: &'static str, what: impl Into<String>) -> Refusal {
    Refusal::Invalid { code, what: what.into() }
}

fn fact(event: Event) -> Fact {
    Fact::of_session(event)
}

impl State {
    pub(super) fn decide_context(&self, what: &ContextCommand, by: &Origin, moment: &mut Moment) -> Facts {
        if self.is_archived() {
            return Err(Refusal::Archived);
        }
        match what {
            ContextCommand::Compact { focus, plan, .. } => self.compact(focus.as_ref(), plan.as_deref(), by, moment),
            ContextCommand::Cancel => Ok(self.compaction_cancelled(by).into_iter().collect()),
            ContextCommand::Activate(None) => self.show(None, 0, ActivationCause::Chosen, by),
            ContextCommand::Activate(Some(id)) => {
                let version = self.upkeep.view.version(*id).ok_or_else(|| no_checkpoint(*id))?;
                self.show(Some(*id), version.tail_from, ActivationCause::Chosen, by)
            }
            ContextCommand::Edit { checkpoint, summary } => {
                let version = self.upkeep.view.version(*checkpoint).ok_or_else(|| no_checkpoint(*checkpoint))?;
                Ok(self.edited(version, checked(summary)?, by, moment))
            }
            ContextCommand::Pin { item, pinned, summary } => {
                let active = self.upkeep.view.active().ok_or_else(none_in_use)?;
                let mut summary = summary.as_deref().cloned().ok_or_else(none_in_use)?;
                let found = summary.items.iter_mut().find(|it| it.id == *item);
                let found =
                    found.ok_or_else(|| refuse("item_unknown", format!("the checkpoint has no item `{item}`")))?;
                if found.is_own() {
                    let what = format!("`{item}` is the session's own: it is there as long as it is open");
                    return Err(refuse("checkpoint_invalid", what));
                }
                found.pinned = *pinned;
                Ok(self.edited(active, summary, by, moment))
            }
            ContextCommand::Clear { summary } => {
                self.check_calm()?;
                let (view, tail_from) = (&self.upkeep.view, self.head + 1);
                // What was open when it was made may be done, and nothing that is shown says so.
                let is_stale = |it: &Summary| it.clone().with_open(&self.open_items()) != *it;
                match (view.active(), summary.as_deref()) {
                    (Some(active), Some(summary)) if active.carried.is_some() || is_stale(summary) => {
                        let made = self.made_by_hand(Some(active), summary.clone(), moment);
                        let made = CheckpointCreated { tail_from, carried: None, schema_from: None, ..made };
                        Ok(self.seen(made, (tail_from, ActivationCause::Cleared), by))
                    }
                    _ => self.show(view.checkpoint, tail_from, ActivationCause::Cleared, by),
                }
            }
            ContextCommand::Seed { summary } => {
                self.check_calm()?;
                let made = self.made_by_hand(None, checked(summary)?, moment);
                Ok(self.seen(made, (self.head + 1, ActivationCause::Edited), by))
            }
            ContextCommand::Reset => {
                self.check_calm()?;
                self.show(None, self.head + 1, ActivationCause::Reset, by)
            }
        }
    }

    /// Nothing is set aside that somebody is about to answer.
    pub(super) fn check_calm(&self) -> Result<(), Refusal> {
        let waits = self.turn.is_some() || !self.questions.open.is_empty() || self.questions.parked.is_some();
        if waits { Err(Refusal::TurnRunning) } else { Ok(()) }
    }

    fn compact(&self, focus: Option<&String>, planned: Option<&Planned>, by: &Origin, moment: &mut Moment) -> Facts {
        // What the running turn sees is no part of the conversation that could be condensed.
        if self.sees_from().is_some() {
            return Err(Refusal::TurnRunning);
        }
        if self.upkeep.view.under_way.is_some() {
            return Err(refuse("compaction_running", "a compaction is under way; wait for it, or cancel it"));
        }
        if focus.is_some_and(|focus| focus.len() > crate::limits::REASON_BYTES) {
            return Err(refuse("focus_too_long", format!("a focus has at most {} bytes", crate::limits::REASON_BYTES)));
        }
        let Some(planned) = planned else {
            return Err(refuse(
                "nothing_to_compact",
                "the conversation is too short for a checkpoint to make it shorter",
            ));
        };
        let started = self.planned(planned, CompactionTrigger::Asked, by, moment);
        Ok(vec![fact(Event::CompactionStarted(CompactionStarted { focus: focus.cloned(), ..started }))])
    }

    fn planned(
        &self,
        planned: &Planned,
        trigger: CompactionTrigger,
        by: &Origin,
        moment: &mut Moment,
    ) -> CompactionStarted {
        CompactionStarted {
            compaction: CompactionId::from_bits(moment.ids.fresh()),
            trigger,
            focus: None,
            base: self.upkeep.view.checkpoint,
            covers: planned.plan.covers,
            tail_from: planned.plan.tail_from,
            model: planned.model.clone(),
            tokens: planned.plan.tokens,
            newest: planned.newest,
            schema_from: planned.schema_from,
            by: by.clone(),
        }
    }

    /// Returns the fact that the compaction which is under way ends without a trace.
    pub(super) fn compaction_cancelled(&self, by: &Origin) -> Option<Fact> {
        let compaction = self.upkeep.view.under_way.as_ref()?.compaction;
        Some(fact(Event::CompactionCancelled(CompactionCancelled { compaction, by: by.clone() })))
    }

    /// Whatever was being made is of a view that nobody has any more.
    fn show(&self, checkpoint: Option<CheckpointId>, tail_from: Seq, cause: ActivationCause, by: &Origin) -> Facts {
        Ok(self.shown(checkpoint, tail_from, cause, by))
    }

    pub(super) fn shown(
        &self,
        checkpoint: Option<CheckpointId>,
        tail_from: Seq,
        cause: ActivationCause,
        by: &Origin,
    ) -> Vec<Fact> {
        let cancelled = self.compaction_cancelled(by);
        let activated = CheckpointActivated { checkpoint, tail_from, cause, by: by.clone() };
        cancelled.into_iter().chain([fact(Event::CheckpointActivated(activated))]).collect()
    }

    /// Returns the facts of a version that says this instead; what was cleared stays so.
    fn edited(&self, version: &Version, summary: Summary, by: &Origin, moment: &mut Moment) -> Vec<Fact> {
        let is_active = self.upkeep.view.checkpoint == Some(version.checkpoint);
        let tail_from = if is_active { self.upkeep.view.tail_from } else { version.tail_from };
        let made = self.made_by_hand(Some(version), summary, moment);
        self.seen(made, (tail_from, ActivationCause::Edited), by)
    }

    /// Returns a version of a checkpoint that a person makes; without one, the first of all that was so far.
    fn made_by_hand(&self, of: Option<&Version>, summary: Summary, moment: &mut Moment) -> CheckpointCreated {
        let summary = summary.with_open(&self.open_items());
        let tokens = (summary.tokens(), summary.tokens());
        CheckpointCreated {
            checkpoint: CheckpointId::from_bits(moment.ids.fresh()),
            version: self.upkeep.view.next_version(),
            parent: of.map(|version| version.checkpoint),
            compaction: None,
            covers: of.map_or(Aside { first: 1, last: self.head.max(1) }, |version| version.covers),
            tail_from: of.map_or(self.head + 1, |version| version.tail_from),
            made: Made {
                trigger: CompactionTrigger::Asked,
                strategy: Strategy::Edited,
                model: None,
                usage: Usage::default(),
            },
            schema_from: of.and_then(|version| version.schema_from),
            carried: of.and_then(|version| version.carried),
            tokens,
            summary,
        }
    }

    /// Returns the facts that a checkpoint is made and seen from now on.
    pub(super) fn seen(
        &self,
        made: CheckpointCreated,
        (tail_from, cause): (Seq, ActivationCause),
        by: &Origin,
    ) -> Vec<Fact> {
        let mut facts = self.shown(Some(made.checkpoint), tail_from, cause, by);
        facts.insert(facts.len().saturating_sub(1), fact(Event::CheckpointCreated(made)));
        facts
    }

    pub(super) fn condensed(
        &self,
        compaction: CompactionId,
        to: Seq,
        answer: &Result<Condensed, (Failure, Usage)>,
        moment: &mut Moment,
    ) -> Facts {
        let under_way =
            self.upkeep.view.under_way.as_ref().filter(|it| it.compaction == compaction).ok_or(Refusal::Stale)?;
        match answer {
            Ok(Condensed::Piece { change, usage, part }) => {
                let is_new = (to, *part) > (under_way.done_to, under_way.part);
                let is_of_it = to < under_way.to || to == under_way.to && *part == 0;
                if !is_new || !is_of_it {
                    return Err(Refusal::Stale);
                }
                let (change, usage, part) = ((**change).clone(), *usage, *part);
                let progressed = CompactionProgressed { compaction, to, part, change, usage };
                Ok(vec![fact(Event::CompactionProgressed(progressed))])
            }
            Ok(Condensed::Whole(summary)) if under_way.done_to >= under_way.to => Ok(self.created(summary, moment)),
            Ok(Condensed::Whole(_)) => Err(Refusal::Stale),
            Err((failure, usage)) => Ok(self.failed(failure, *usage, moment)),
        }
    }

    /// The model made nothing of it: events alone do, unless they have already.
    fn failed(&self, failure: &Failure, usage: Usage, moment: &mut Moment) -> Vec<Fact> {
        let Some(under_way) = &self.upkeep.view.under_way else { return Vec::new() };
        let started = &under_way.started;
        let rest = RESTS_MS.get(self.upkeep.view.failures as usize).or(RESTS_MS.last()).copied().unwrap_or_default();
        let rest = rest.max(failure.retry_after_ms.unwrap_or(0));
        let failed = CompactionFailed {
            compaction: under_way.compaction,
            message: failure.message.chars().take(500).collect(),
            usage,
            rests_until: Some(moment.at.plus_ms(rest)),
        };
        let mut facts = vec![fact(Event::CompactionFailed(failed))];
        if started.model.is_some() && started.trigger != CompactionTrigger::Upgrade {
            let again = CompactionStarted {
                compaction: CompactionId::from_bits(moment.ids.fresh()),
                model: None,
                ..(**started).clone()
            };
            facts.push(fact(Event::CompactionStarted(again)));
        }
        facts
    }

    fn created(&self, summary: &Summary, moment: &mut Moment) -> Vec<Fact> {
        let Some(under_way) = &self.upkeep.view.under_way else { return Vec::new() };
        let started = &under_way.started;
        let summary = summary.clone().with_open(&self.open_items());
        let after = started.tokens.before.saturating_sub(started.tokens.covered).saturating_add(summary.tokens());
        let most = started.tokens.before.saturating_mul(60) / 100;
        let must = matches!(started.trigger, CompactionTrigger::Hard | CompactionTrigger::Overflow);
        let is_upgrade = started.trigger == CompactionTrigger::Upgrade;
        let asked = started.trigger == CompactionTrigger::Asked;
        let fits = after <= most || is_upgrade || (must || asked) && after < started.tokens.before;
        if !fits {
            let message = format!("the request would still have {after} of {} tokens", started.tokens.before);
            let failure = Failure { kind: crate::content::FailureKind::OffSchema, message, retry_after_ms: None };
            return self.failed(&failure, Usage::default(), moment);
        }
        let strategy = if started.model.is_some() { Strategy::Model } else { Strategy::Deterministic };
        let id = CheckpointId::from_bits(moment.ids.fresh());
        let created = CheckpointCreated {
            checkpoint: id,
            version: self.upkeep.view.next_version(),
            parent: started.base,
            compaction: Some(under_way.compaction),
            covers: started.covers,
            tail_from: started.tail_from,
            made: Made { trigger: started.trigger, strategy, model: started.model.clone(), usage: under_way.usage },
            schema_from: started.schema_from,
            carried: started.newest.filter(|seq| *seq < started.tail_from),
            tokens: (started.tokens.before, after),
            summary,
        };
        let activated = CheckpointActivated {
            checkpoint: Some(id),
            tail_from: started.tail_from,
            cause: ActivationCause::Compacted,
            by: Origin::of(OriginKind::Runtime),
        };
        vec![fact(Event::CheckpointCreated(created)), fact(Event::CheckpointActivated(activated))]
    }

    /// Returns what the session itself knows of what is to be done: it outlasts every summary.
    #[must_use]
    pub fn open_items(&self) -> Vec<Open> {
        let todos = self.todos.iter().filter_map(|todo| match todo.status {
            TodoStatus::Pending => Some(Open { own: "todo", section: Section::Pending, text: todo.text.clone() }),
            TodoStatus::InProgress => Some(Open { own: "todo", section: Section::InProgress, text: todo.text.clone() }),
            TodoStatus::Done => None,
        });
        let calls = self.calls().iter().filter_map(|call| match &call.phase {
            Phase::Awaiting { summary, .. } => {
                let text = format!("`{}` waits for a person's approval: {summary}", call.tool);
                Some(Open { own: "call", section: Section::Blockers, text })
            }
            Phase::Asked | Phase::Asking(_) | Phase::Cleared | Phase::Running | Phase::Settled => None,
        });
        let checks = self.looping().into_iter().flat_map(Loop::open);
        todos.chain(calls).chain(checks).chain(self.relaying().map(Relay::open)).collect()
    }

    /// Says whether a request that is too long is looked at once more: it is made shorter, or the turn ends with what is long.
    pub(super) fn may_condense(&self) -> bool {
        self.upkeep.view.overflow.is_none_or(|overflow| overflow.times <= relief::OVERFLOWS)
    }
}

impl View {
    /// Returns where the conversation begins that is shown as it is, from 1.
    #[must_use]
    pub fn shown_from(&self) -> Seq {
        self.tail_from.max(1)
    }
}

fn no_checkpoint(id: CheckpointId) -> Refusal {
    refuse("checkpoint_not_found", format!("this session has no checkpoint `{id}`, or a rewind set it aside"))
}

fn none_in_use() -> Refusal {
    refuse("checkpoint_not_found", "no checkpoint is in use")
}

/// Refuses what no summary is, with the place.
fn checked(summary: &Summary) -> Result<Summary, Refusal> {
    let wrong = |what: String| Err(refuse("checkpoint_invalid", what));
    if summary.items.len() > SUMMARY_ITEMS {
        return wrong(format!("items: at most {SUMMARY_ITEMS}, these are {}", summary.items.len()));
    }
    let mut ids = std::collections::BTreeSet::new();
    for (at, item) in summary.items.iter().enumerate() {
        let is_name = !item.id.is_empty() && item.id.len() <= 32 && item.id.chars().all(|c| c.is_ascii_alphanumeric());
        if !is_name || !ids.insert(&item.id) {
            return wrong(format!(
                "items[{at}].id: `{}` is no id, or is there twice; ids are letters and digits",
                item.id
            ));
        }
        if item.is_own() && item.stays() {
            return wrong(format!(
                "items[{at}].id: `{}` is a name for what the session itself knows, which goes when it is done; choose another",
                item.id
            ));
        }
        if item.text.trim().is_empty() {
            return wrong(format!("items[{at}].text: is empty; leave the item out instead"));
        }
    }
    let bytes = summary.render(1, 1).len();
    if bytes > SUMMARY_BYTES {
        return wrong(format!("a summary has at most {SUMMARY_BYTES} bytes, this one has {bytes}"));
    }
    let numbers = summary.items.iter().filter_map(|item| item.id.trim_start_matches(char::is_alphabetic).parse().ok());
    let last_id = numbers.max().unwrap_or(0).max(summary.last_id);
    Ok(Summary { last_id, ..summary.clone() })
}
