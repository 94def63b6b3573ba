//! What is done about a request that is long, before it is sent.
//!
//! Invariant: nothing above what is usable is sent, and nothing that is tried is tried for ever: each thing done makes the request
//! shorter, and what cannot be made shorter ends the turn.

use super::super::decide::Moment;
use super::super::{Fact, State};
use crate::command::Planned;
use crate::compaction::{Mark, Plan, plan, prune};
use crate::context::{Transcript, Window};
use crate::event::{
    CompactionSkipped, CompactionStarted, CompactionTrigger, Event, Origin, OriginKind, Sizes, Strategy, TurnError,
};

/// Times that a provider says that a request is too long, and it is made shorter; the next time the turn fails.
pub(super) const OVERFLOWS: u32 = 2;
/// Checkpoints in a row that freed little, after which none begins by itself, until the request is too long to be sent, one
/// frees more, or somebody chooses what the model sees.
const MEAGRE: u32 = 2;

/// How long a request is, and what may be done about it.
#[derive(Debug, Clone, Copy)]
pub struct Sized<'a> {
    /// Its tokens, as its provider counts them.
    pub tokens: u64,
    /// Its tokens, as we count them.
    pub counted: u64,
    /// What it may have.
    pub window: &'a Window,
    /// Who condenses, as `provider/name`.
    pub keeper: &'a str,
    /// Whether checkpoints are made by themselves.
    pub compacts: bool,
}

/// What is to be done before a request is sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Relief {
    /// Nothing: it is sent.
    None,
    /// These are recorded, then it is looked at again.
    Facts(Vec<Fact>),
    /// The compaction that is under way is waited for.
    Wait,
    /// It cannot be sent.
    Fail(TurnError),
}

impl State {
    /// Says what is to be done about a request, made of this transcript, before it is sent.
    #[must_use]
    pub fn relieve(&self, transcript: &Transcript, sized: &Sized<'_>, moment: &mut Moment) -> Relief {
        let Sized { tokens, window, .. } = *sized;
        let overflows = self.overflows();
        if self.sees_from().is_some() {
            return self.relieve_apart(transcript, sized);
        }
        let trigger = match tokens {
            _ if overflows > 0 => CompactionTrigger::Overflow,
            tokens if tokens >= window.hard() => CompactionTrigger::Hard,
            tokens if tokens >= window.soft() => CompactionTrigger::Soft,
            _below => return self.upgrade(transcript, sized, moment),
        };
        if overflows > OVERFLOWS {
            return Relief::Fail(self.too_long(transcript, sized));
        }
        if self.upkeep.view.under_way.is_some() {
            return if trigger == CompactionTrigger::Soft { Relief::None } else { Relief::Wait };
        }
        if let Some(pruned) = prune(transcript.kept(), transcript.marks(), (tokens, window)) {
            return Relief::Facts(vec![Fact::of_session(Event::ContextPruned(pruned))]);
        }
        let forced = overflows > 0 || tokens > window.usable();
        if !sized.compacts {
            return if forced { Relief::Fail(self.too_long(transcript, sized)) } else { Relief::None };
        }
        // What the provider takes is less than was thought: by how much, nobody knows.
        let less = |tenths: u32| Window { input: Some(tokens * u64::from(tenths) / 10), ..*window };
        let rooms = match overflows {
            0 => vec![*window],
            times => vec![less(8 - 2 * times.min(3)), less(8), less(9)],
        };
        let marks = transcript.marks_in((tokens, sized.counted));
        let planned = rooms.iter().find_map(|room| plan(&marks, self.head, (tokens, room), forced));
        let vain = self.upkeep.view.vain;
        match planned {
            None if forced => Relief::Fail(self.too_long(transcript, sized)),
            None => self.skip(trigger, "what could be condensed is too little", moment),
            Some(plan) if forced && vain.is_some_and(|vain| vain.is_final(plan.covers)) => {
                Relief::Fail(self.too_long(transcript, sized))
            }
            Some(plan) if !forced && vain.is_some_and(|vain| vain.is_of(plan.covers)) => {
                self.skip(trigger, "the same was tried and made nothing shorter, or was cancelled", moment)
            }
            Some(_) if !forced && self.upkeep.view.meagre >= MEAGRE => {
                self.skip(trigger, "the last ones freed little", moment)
            }
            Some(_) if trigger == CompactionTrigger::Soft && self.rests(moment) => {
                self.skip(trigger, "the last one failed; it is tried again later", moment)
            }
            Some(plan) => {
                let asks = overflows < OVERFLOWS && !self.rests(moment);
                let planned = transcript.planned(plan, asks.then(|| sized.keeper.to_owned()));
                Relief::Facts(vec![self.begun(&planned, trigger, moment)])
            }
        }
    }

    /// What a state sees that sees nothing of the conversation is never condensed: its results are shown shorter.
    fn relieve_apart(&self, transcript: &Transcript, sized: &Sized<'_>) -> Relief {
        let Sized { tokens, window, .. } = *sized;
        let overflows = self.overflows();
        if overflows == 0 && tokens < window.soft() {
            return Relief::None;
        }
        let pruned = prune(transcript.kept(), transcript.marks(), (tokens, window));
        if let Some(pruned) = pruned.filter(|_| overflows <= OVERFLOWS) {
            return Relief::Facts(vec![Fact::of_session(Event::ContextPruned(pruned))]);
        }
        let fits = overflows == 0 && tokens <= window.usable();
        if fits { Relief::None } else { Relief::Fail(self.too_long(transcript, sized)) }
    }

    fn begun(&self, planned: &Planned, trigger: CompactionTrigger, moment: &mut Moment) -> Fact {
        let by = Origin::of(OriginKind::Runtime);
        Fact::of_session(Event::CompactionStarted(self.planned(planned, trigger, &by, moment)))
    }

    /// Returns how often the provider said that this very request is too long.
    fn overflows(&self) -> u32 {
        let Some(overflow) = self.upkeep.view.overflow else { return 0 };
        let is_shorter = self.upkeep.view.made.last().is_some_and(|version| version.seq > overflow.seq);
        if is_shorter { 0 } else { overflow.times }
    }

    fn rests(&self, moment: &Moment) -> bool {
        self.upkeep.view.rests_until.is_some_and(|until| moment.at < until)
    }

    /// Says why none begins, until that is another reason once.
    fn skip(&self, trigger: CompactionTrigger, reason: &str, moment: &Moment) -> Relief {
        let resting = self.upkeep.view.rests_until.is_some_and(|until| moment.at < until);
        let is_said = self.upkeep.view.skipped.as_deref() == Some(reason);
        if is_said || resting && self.upkeep.view.failures > 1 {
            return Relief::None;
        }
        let reason = reason.to_owned();
        Relief::Facts(vec![Fact::of_session(Event::CompactionSkipped(CompactionSkipped { trigger, reason }))])
    }

    /// A checkpoint that was made without a model is made anew by one, once it is worth asking again.
    fn upgrade(&self, transcript: &Transcript, sized: &Sized<'_>, moment: &mut Moment) -> Relief {
        let active = self.upkeep.view.active().filter(|active| active.strategy == Strategy::Deterministic);
        let Some(active) =
            active.filter(|_| sized.compacts && self.upkeep.view.under_way.is_none() && !self.rests(moment))
        else {
            return Relief::None;
        };
        // Nobody asked the model in vain when the checkpoint was made: it was made without one for another reason. What was
        // cancelled is not begun again.
        if self.upkeep.view.failures == 0 || self.upkeep.view.vain.is_some_and(|vain| vain.is_of(active.covers)) {
            return Relief::None;
        }
        let marks = transcript.marks_in((sized.tokens, sized.counted));
        let covered = marks.first().filter(|mark| mark.seq == 0).map_or(0, |mark| mark.tokens);
        let room = covered.max(sized.window.usable() / 8).min(8_000);
        let tokens = Sizes { before: sized.tokens, covered, room };
        let plan = Plan { covers: active.covers, tail_from: self.upkeep.view.tail_from, tokens };
        let planned = transcript.planned(plan, Some(sized.keeper.to_owned()));
        let started = CompactionStarted {
            base: active.parent,
            newest: planned.newest.or(active.carried),
            ..self.planned(&planned, CompactionTrigger::Upgrade, &Origin::of(OriginKind::Runtime), moment)
        };
        Relief::Facts(vec![Fact::of_session(Event::CompactionStarted(started))])
    }

    /// Names the part that has the most of it, and the way out.
    fn too_long(&self, transcript: &Transcript, sized: &Sized<'_>) -> TurnError {
        let Sized { tokens, window, .. } = *sized;
        let marks = transcript.marks_in((tokens, sized.counted));
        let said: u64 = marks.iter().map(|mark| mark.tokens).sum();
        let fixed = tokens.saturating_sub(said);
        let largest = marks.iter().max_by_key(|mark| mark.tokens).filter(|mark| mark.tokens > fixed);
        let (most, part) = match largest {
            Some(Mark { seq: 0, tokens, .. }) => {
                (*tokens, "the checkpoint: edit it to be shorter, or reset the session".to_owned())
            }
            Some(Mark { seq, tokens, start: Some(_) }) => {
                (*tokens, format!("message {seq}: send it in parts, or as a file that the agent reads"))
            }
            Some(Mark { seq, tokens, start: None }) => (*tokens, format!("event {seq}: rewind to before it")),
            None => (fixed, "the agent's own prompt and tools: make them shorter".to_owned()),
        };
        let taken = match self.overflows() {
            0 => format!("of {} that the model can be given", window.usable()),
            _refused => "and the provider says that this is too long".to_owned(),
        };
        let message = format!("the request has about {tokens} tokens, {taken}; {most} of them are {part}");
        TurnError { code: "context_overflow".to_owned(), message }
    }
}
