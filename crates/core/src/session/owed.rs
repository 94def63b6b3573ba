//! What the shell must do next, derived from the state and from nothing else. This is the whole of crash recovery: after
//! a restart nothing is held, so whatever was under way is owed again, each by its own rule.

use std::collections::BTreeMap;

use super::{Hold, Pace, Round, State};
use crate::content::FailureKind;
use crate::event::{Effect, Ending, OnLost, TurnError};
use crate::id::{CallId, CompactionId, NoticeId, Seq, TurnId, WaitId};
use crate::memory::Mode;
use crate::time::Timestamp;
use crate::turn::{Asking, Call, Fate, Lineup, Phase, Turn, failure_ending, stopped_ending};

/// One thing owed.
#[derive(Debug, Clone, PartialEq)]
pub enum Debt {
    /// The oldest follow-up starts a turn.
    StartQueued,
    /// The model is to be asked.
    StartStep {
        /// Which step, from 1.
        step: u32,
        /// Which attempt, from 1.
        attempt: u32,
        /// Whether a process that died had asked.
        again: bool,
    },
    /// A call is to be ruled on.
    Rule(CallId),
    /// A call's intent is to be written, then it runs.
    Start {
        /// Which call.
        call: CallId,
        /// Which attempt, from 1.
        attempt: u32,
        /// Whether a process that died had run it.
        again: bool,
    },
    /// The tool is to be asked what an attempt of a process that died did.
    Find {
        /// Which call.
        call: CallId,
        /// The attempt to look for.
        attempt: u32,
    },
    /// A call's outcome will never be known.
    DeclareLost(CallId),
    /// A person decides whether a lost call runs again.
    AskAboutLost(CallId),
    /// A call that was running at too many process deaths: the session parks with it named.
    Park(CallId),
    /// A call that never started is settled, because the turn is interrupted.
    Skip(CallId),
    /// A running call is to be stopped.
    Stop(CallId),
    /// The turn ends.
    End {
        /// How.
        ending: Ending,
        /// Why, if it failed.
        error: Option<TurnError>,
    },
    /// A wait is over: it ends, with what that begins.
    EndWait(WaitId),
    /// The loop goes on, or ends.
    Loop(Round),
    /// The relay goes on.
    Relay(Pace),
    /// Something is to be done beside the turn: it holds up nothing.
    Beside(Beside),
    /// Nothing until then.
    WaitUntil(Timestamp),
}

/// What is done beside turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Beside {
    /// A compaction goes on with its next piece.
    Condense(CompactionId),
    /// What was said up to there is looked at for what is to be remembered.
    Observe(Seq),
    /// What is remembered of the session is condensed.
    Reflect,
    /// What is forgotten is erased.
    Erase,
    /// Somebody is told of something.
    Tell(NoticeId),
}

/// The effects that this process has under way. Empty right after a start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Held {
    /// The model request: turn, step, attempt.
    pub step: Option<(TurnId, u32, u32)>,
    /// Calls, by attempt.
    pub calls: BTreeMap<CallId, u32>,
    /// Calls that were told to stop.
    pub stopping: std::collections::BTreeSet<CallId>,
    /// What is being done beside the turn.
    pub beside: std::collections::BTreeSet<Beside>,
}

/// What the agent's files allow a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    /// Steps of one turn.
    pub max_steps: u32,
    /// The models that it may ask.
    pub lineup: Lineup,
    /// What is done for what is to be remembered.
    pub notes: Notes,
}

/// What an agent's files allow to be done for what is to be remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notes {
    /// Whether what is said is looked at.
    pub observes: bool,
    /// Bytes of what is remembered of a session, from which on it is condensed.
    pub room: u64,
}

impl Default for Allowance {
    /// All that can be.
    fn default() -> Self {
        Self { max_steps: u32::MAX, lineup: Lineup::default(), notes: Notes::default() }
    }
}

impl Default for Notes {
    /// All that can be.
    fn default() -> Self {
        Self { observes: true, room: u64::MAX }
    }
}

impl State {
    /// Returns what is owed at `now`, given what this process holds. Empty exactly when the session rests or waits for
    /// what is held or for a person.
    #[must_use]
    pub fn owed(&self, now: Timestamp, held: &Held, allowed: &Allowance) -> Vec<Debt> {
        let mut debts = self.owed_but_later(now, held, allowed);
        // The clock is told of one time: the first. What is over and cannot end now is looked at when something changes.
        let first = |debt: &Debt| if let Debt::WaitUntil(at) = debt { Some(*at) } else { None };
        let until = debts.iter().filter_map(first).chain(self.times().filter(|at| now < *at)).min();
        debts.retain(|debt| !matches!(debt, Debt::WaitUntil(_)));
        debts.extend(until.map(Debt::WaitUntil));
        debts
    }

    /// What is owed, whatever a wait's time is.
    pub(super) fn owed_but_later(&self, now: Timestamp, held: &Held, allowed: &Allowance) -> Vec<Debt> {
        let mut debts: Vec<Debt> = self.owed_of_waits(now).into_iter().map(Debt::EndWait).collect();
        debts.extend(self.owed_of_relay());
        debts.extend(self.owed_beside(now, held, allowed.notes));
        debts.extend(self.owed_notices(now, held));
        debts.extend(self.owed_of_turn(now, held, allowed));
        // A turn comes before what only waits to be tried again.
        let is_to_wait = self.is_to_observe(allowed.notes) || self.is_to_reflect(allowed.notes);
        debts.extend(self.upkeep.memories.retry_at.filter(|at| now < *at && is_to_wait).map(Debt::WaitUntil));
        debts
    }

    fn owed_of_turn(&self, now: Timestamp, held: &Held, allowed: &Allowance) -> Vec<Debt> {
        let Some(turn) = &self.turn else { return self.owed_between_turns() };
        match (&self.hold, &turn.interrupt) {
            (Hold::Archived { .. }, _) => Vec::new(),
            (Hold::Open | Hold::Paused { .. }, Some(_)) => turn.owed_interrupting(held),
            (Hold::Paused { .. }, None) => Vec::new(),
            (Hold::Open, None) => {
                self.chosen_first(self.asleep_first(self.checked_first(turn.owed_running(now, held, allowed))))
            }
        }
    }

    /// What holds up no turn, and no turn holds up.
    fn owed_beside(&self, now: Timestamp, held: &Held, notes: Notes) -> Vec<Debt> {
        let erase = (!self.upkeep.memories.forgetting.is_empty()).then_some(Beside::Erase);
        let unheld = |wanted: [Option<Beside>; 2]| {
            let unheld = wanted.into_iter().flatten().filter(|beside| !held.beside.contains(beside));
            unheld.map(Debt::Beside).collect()
        };
        if self.is_archived() {
            return unheld([erase, None]);
        }
        let condense = self.upkeep.view.under_way.as_ref().map(|it| Beside::Condense(it.compaction));
        // What notes from what is being erased waits for that. A turn may wait for what condenses: it begins anew where its lines are
        // written anew.
        if erase.is_some() {
            return unheld([erase, condense]);
        }
        let is_time = self.upkeep.memories.retry_at.is_none_or(|at| at <= now);
        // One after the other: what is condensed is whole.
        let is_busy = held.beside.iter().any(|beside| matches!(beside, Beside::Observe(_) | Beside::Reflect));
        let is_ready = is_time && !is_busy;
        let observe = self.upkeep.memories.to_observe().filter(|_| is_ready && self.is_to_observe(notes));
        let observe = observe.map(Beside::Observe);
        let reflect = (is_ready && observe.is_none() && self.is_to_reflect(notes)).then_some(Beside::Reflect);
        let wanted = [condense, observe, reflect].into_iter().flatten();
        wanted.filter(|beside| !held.beside.contains(beside)).map(Debt::Beside).collect()
    }

    fn is_to_observe(&self, notes: Notes) -> bool {
        notes.observes && self.upkeep.memories.to_observe().is_some() && self.takes_notes()
    }

    fn is_to_reflect(&self, notes: Notes) -> bool {
        self.upkeep.memories.noted > notes.room && self.takes_notes()
    }

    /// Says whether something may be to be noted now: what the agent's files say of it matters.
    #[must_use]
    pub fn may_note(&self) -> bool {
        let memories = &self.upkeep.memories;
        self.takes_notes() && (memories.said_at > memories.observed_to || memories.noted > 0)
    }

    fn takes_notes(&self) -> bool {
        self.upkeep.memories.mode == Some(Mode::On) && self.turn.is_none() && self.hold == Hold::Open
    }

    fn owed_between_turns(&self) -> Vec<Debt> {
        let waits = !self.queue.items.is_empty() && !self.is_asking_after();
        let ready = self.hold == Hold::Open && !self.queue.held && waits;
        match self.owed_of_loop().filter(|_| !self.is_archived()) {
            // Its end is said before anything else begins.
            Some(Round::Iterate) | None if ready => vec![Debt::StartQueued],
            round => round.map(Debt::Loop).or_else(|| self.owed_turn_of_relay()).into_iter().collect(),
        }
    }

    /// A turn whose calls wait for something sleeps before its next step.
    fn asleep_first(&self, debts: Vec<Debt>) -> Vec<Debt> {
        let goes_on = matches!(debts.as_slice(), [Debt::StartStep { attempt: 1, again: false, .. }]);
        let sleeps = goes_on && self.is_to_sleep();
        if sleeps { vec![Debt::End { ending: Ending::Sleep, error: None }] } else { debts }
    }

    /// A turn that was to choose a state is over once it has.
    fn chosen_first(&self, debts: Vec<Debt>) -> Vec<Debt> {
        let goes_on = matches!(debts.as_slice(), [Debt::StartStep { attempt: 1, again: false, .. }]);
        let is_over = goes_on && self.has_chosen();
        if is_over { vec![Debt::End { ending: Ending::Complete, error: None }] } else { debts }
    }

    /// An iteration's turn ends behind its checks.
    fn checked_first(&self, debts: Vec<Debt>) -> Vec<Debt> {
        let completes = debts == [Debt::End { ending: Ending::Complete, error: None }];
        if completes && self.is_to_check() { vec![Debt::Loop(Round::Check)] } else { debts }
    }
}

impl Turn {
    fn owed_running(&self, now: Timestamp, held: &Held, allowed: &Allowance) -> Vec<Debt> {
        match &self.asking {
            Asking::Due => vec![self.next_step(allowed)],
            Asking::Asked { attempt } if held.step == Some((self.id, self.step, *attempt)) => Vec::new(),
            Asking::Asked { attempt } => {
                vec![Debt::StartStep { step: self.step, attempt: attempt.saturating_add(1), again: true }]
            }
            Asking::Backoff { attempt, .. } => vec![self.ask_again(*attempt, now, allowed)],
            Asking::GaveUp { attempt, .. } if self.is_relieved(allowed) => vec![self.ask_again(*attempt, now, allowed)],
            Asking::GaveUp { kind, message, .. } => {
                vec![Debt::End { ending: Ending::Failed, error: Some(failure_ending(*kind, message)) }]
            }
            Asking::Answered { stop } => self.owed_answered(*stop, held, allowed),
            Asking::Checks if !self.calls_settled() => self.owed_or_parked(held),
            // The model hears what was said meanwhile; then they are run again.
            Asking::Checks if self.steered => vec![self.next_step(allowed)],
            Asking::Checks => vec![Debt::End { ending: Ending::Complete, error: None }],
        }
    }

    fn ask_again(&self, attempt: u32, now: Timestamp, allowed: &Allowance) -> Debt {
        let (_, ready) = self.outages.next(now, &allowed.lineup);
        if now < ready {
            return Debt::WaitUntil(ready);
        }
        Debt::StartStep { step: self.step, attempt: attempt.saturating_add(1), again: false }
    }

    /// A model that only stands in does not end the turn when it cannot serve: the one that it stands in for comes back.
    fn is_relieved(&self, allowed: &Allowance) -> bool {
        let refused = matches!(&self.asking, Asking::GaveUp { kind: FailureKind::Refused, .. });
        !refused && self.outages.stands_in(&allowed.lineup)
    }

    fn owed_answered(&self, stop: crate::content::StopReason, held: &Held, allowed: &Allowance) -> Vec<Debt> {
        if self.only_asks() {
            return vec![Debt::End { ending: Ending::Ask, error: None }];
        }
        if !self.calls_settled() {
            return self.owed_or_parked(held);
        }
        if !self.calls.is_empty() || self.steered {
            return vec![self.next_step(allowed)];
        }
        if stop == crate::content::StopReason::Refusal {
            let kind = FailureKind::Refused;
            let error = failure_ending(kind, "the model declined to answer");
            return vec![Debt::End { ending: Ending::Failed, error: Some(error) }];
        }
        if stop == crate::content::StopReason::MaxTokens {
            if let Some(capped) = self.capped {
                return vec![Debt::End { ending: Ending::Failed, error: Some(capped.cut()) }];
            }
            let message = "the answer was cut at the agent's `max_output_tokens`: raise it, or send a message to go on";
            let error = TurnError { code: "answer_cut".to_owned(), message: message.to_owned() };
            return vec![Debt::End { ending: Ending::Failed, error: Some(error) }];
        }
        vec![Debt::End { ending: Ending::Complete, error: None }]
    }

    fn next_step(&self, allowed: &Allowance) -> Debt {
        let max_steps = allowed.max_steps;
        if self.step >= max_steps {
            let message = format!("the turn took {max_steps} steps, the agent's `max_steps`: send a message to go on");
            let error = TurnError { code: "max_steps".to_owned(), message };
            return Debt::End { ending: Ending::Failed, error: Some(error) };
        }
        Debt::StartStep { step: self.step.saturating_add(1), attempt: 1, again: false }
    }

    /// Where nobody sits, what a person must decide on ends the turn.
    fn owed_or_parked(&self, held: &Held) -> Vec<Debt> {
        let debts = self.owed_calls(held);
        let parks = debts.is_empty() && self.is_to_park(held);
        if parks { vec![Debt::End { ending: Ending::Ask, error: None }] } else { debts }
    }

    fn owed_calls(&self, held: &Held) -> Vec<Debt> {
        self.calls.iter().enumerate().filter_map(|(at, call)| self.owed_call(at, call, held)).collect()
    }

    fn owed_call(&self, at: usize, call: &Call, held: &Held) -> Option<Debt> {
        match &call.phase {
            Phase::Asked => Some(Debt::Rule(call.id)),
            Phase::Cleared if self.may_start(at) => {
                Some(Debt::Start { call: call.id, attempt: call.attempt.saturating_add(1), again: false })
            }
            Phase::Running if !held.calls.contains_key(&call.id) => Some(call.unfinished()),
            Phase::Awaiting { .. } | Phase::Asking(_) | Phase::Cleared | Phase::Running | Phase::Settled => None,
        }
    }

    /// Calls start in the model's order; those that only read run beside each other.
    fn may_start(&self, at: usize) -> bool {
        let reads = self.calls.get(at).is_some_and(Call::is_read);
        let passed = |earlier: &Call| matches!(earlier.phase, Phase::Settled | Phase::Asking(_));
        self.calls.iter().take(at).all(|earlier| passed(earlier) || (reads && earlier.is_read()))
    }

    fn owed_interrupting(&self, held: &Held) -> Vec<Debt> {
        let debts: Vec<Debt> = self.calls.iter().filter_map(|call| call.owed_interrupting(held)).collect();
        if debts.is_empty() && self.calls_settled() {
            let stopped = self.interrupt.as_ref().is_some_and(|interrupt| interrupt.stopped);
            return vec![Debt::End { ending: Ending::Interrupted, error: stopped.then(stopped_ending) }];
        }
        debts
    }
}

impl Call {
    /// Returns the rule for a call that was running when its process died.
    fn unfinished(&self) -> Debt {
        let again = Debt::Start { call: self.id, attempt: self.attempt.saturating_add(1), again: true };
        match (self.effect, self.on_lost) {
            _ if self.fate == Fate::GivenUp => Debt::DeclareLost(self.id),
            _ if self.fate == Fate::Parked => Debt::Park(self.id),
            (Effect::Effectful, OnLost::Report) => Debt::DeclareLost(self.id),
            (Effect::Effectful, OnLost::Ask) => Debt::AskAboutLost(self.id),
            (Effect::Read | Effect::Idempotent, _) | (Effect::Effectful, OnLost::Retry) => again,
            (Effect::Verifiable | Effect::Resumable, _) => Debt::Find { call: self.id, attempt: self.attempt },
        }
    }

    fn owed_interrupting(&self, held: &Held) -> Option<Debt> {
        match &self.phase {
            Phase::Asked | Phase::Awaiting { .. } | Phase::Asking(_) | Phase::Cleared => Some(Debt::Skip(self.id)),
            Phase::Running if !held.calls.contains_key(&self.id) => Some(Debt::DeclareLost(self.id)),
            Phase::Running if !held.stopping.contains(&self.id) => Some(Debt::Stop(self.id)),
            Phase::Running | Phase::Settled => None,
        }
    }
}
