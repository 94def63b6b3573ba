//! A relay in its session: what is asked of it becomes facts, and what comes next in it is owed.
//!
//! Invariants: an attempt is a row; a command is a call like any other, ruled on and run like one, in a turn that asks no model;
//! what was effectful and may have run is not run again without a check's or a person's word; a wait is armed, and an end told, in
//! the append that says so.

mod calls;
mod go;

pub use calls::{CREATE_RELAY, RELAY_STATUS, RelayCall, SELECT_STATE, read_relay_call};

use serde_json::Value;

use super::decide::{Facts, Moment, Refusal};
use super::settle::Fact;
use super::{Debt, Hold, State};
use crate::command::{Chosen, NewRelay, RelayCommand};
use crate::event::{
    Effect, Entry, Event, OnLost, Origin, OriginKind, QuestionAnswered, RelayFinished, RelayRedefined, RelayReopened,
    RelayStarted, RelayStateEnded, RelayStateEntered, StateOutcome, Trigger, Via, WaitEnded,
};
use crate::id::{CallId, Seq};
use crate::limits::REASON_BYTES;
use crate::relay::{AgentWork, Begun, Definition, Relay, Stage, StateSpec, Terminal};
use crate::session::question_of;
use crate::turn::Asking;

/// Whether what comes next in a relay needs a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// No: it is written at once.
    Now,
    /// Yes: it begins one.
    Turn,
}

/// What is known of a call that the model did not ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vouched<'a> {
    /// Who approved it, if somebody did.
    pub by: Option<&'a Origin>,
    /// What running it does.
    pub effect: Effect,
    /// What becomes of it when its outcome is unknown.
    pub on_lost: OnLost,
}

fn refuse<T>(code: &'static str, what: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Invalid { code, what: what.into() })
}

/// Checks that a relay can begin in a fresh session.
///
/// # Errors
///
/// As the session would refuse it.
pub fn check_relay(new: &NewRelay, by: &Origin, moment: &mut Moment) -> Result<(), Refusal> {
    State::default().started(new, by, moment).map(drop)
}

impl State {
    /// Returns the relay that is under way, if one is.
    #[must_use]
    pub fn relaying(&self) -> Option<&Relay> {
        self.queue.relay.as_deref().filter(|relay| relay.is_under_way())
    }

    /// Returns the relay that was begun last.
    #[must_use]
    pub fn relay(&self) -> Option<&Relay> {
        self.queue.relay.as_deref()
    }

    /// Returns the relay and what the agent is to do for it, where the running turn works on a state.
    #[must_use]
    pub fn working(&self) -> Option<(&Relay, &AgentWork)> {
        let (turn, relay) = (self.turn.as_ref()?, self.relaying()?);
        Some((relay, relay.work_in(turn.id)?))
    }

    /// Returns the first event that the agent sees in the running turn, where it sees nothing from before its state.
    #[must_use]
    pub fn sees_from(&self) -> Option<Seq> {
        self.working()?.0.at.from
    }

    /// Returns what is known of a call that a loop or a relay asks for.
    #[must_use]
    pub fn vouched(&self, call: CallId) -> Option<Vouched<'_>> {
        if let Some(by) = self.checks_for(call) {
            return Some(Vouched { by: Some(by), effect: Effect::Idempotent, on_lost: OnLost::Retry });
        }
        let relay = self.relaying().filter(|relay| relay.runs(call))?;
        let effect = relay.effect();
        let on_lost = if effect == Effect::Effectful { OnLost::Report } else { OnLost::Retry };
        Some(Vouched { by: relay.voucher(), effect, on_lost })
    }

    /// Refuses what would pull the ground from under a relay.
    pub(super) fn check_not_relaying(&self) -> Result<(), Refusal> {
        match self.relaying() {
            Some(relay) => {
                let name = &relay.definition.name;
                refuse(
                    "relay_running",
                    format!("relay `{name}` is under way in this session: wait for its end, or cancel it"),
                )
            }
            None => Ok(()),
        }
    }

    pub(super) fn decide_relay(&self, what: &RelayCommand, by: &Origin, moment: &mut Moment) -> Facts {
        if self.is_archived() {
            return Err(Refusal::Archived);
        }
        let of_session = |events: Vec<Event>| events.into_iter().map(Fact::of_session).collect::<Vec<_>>();
        let under_way = || match self.relaying() {
            Some(relay) => Ok(relay),
            None => refuse("relay_not_running", "no relay is under way in this session"),
        };
        match what {
            RelayCommand::Start(new) => {
                self.check_calm()?;
                self.check_not_looping()?;
                self.started(new, by, moment).map(of_session)
            }
            RelayCommand::Select(chosen) => {
                under_way()?;
                if self.turn.is_some() {
                    return Err(Refusal::TurnRunning);
                }
                let selected = self.select(chosen, (Via::Person, Some(by)), moment);
                selected.map(of_session).or_else(|what| refuse("relay_state_invalid", what))
            }
            RelayCommand::Redefine { definition, reason } => {
                check_reason(reason)?;
                let Some(relay) = self.relay() else {
                    return refuse("relay_not_running", "no relay was begun in this session");
                };
                if let Some(what) = other_than(relay, definition) {
                    return refuse("relay_invalid", what);
                }
                Ok(of_session(vec![Event::RelayRedefined(RelayRedefined {
                    definition: definition.clone(),
                    digest: definition.digest().to_string(),
                    version: relay.version.saturating_add(1),
                    reason: reason.clone(),
                    by: by.clone(),
                })]))
            }
            RelayCommand::Reopen { reason, with } => {
                check_reason(reason)?;
                self.check_calm()?;
                self.check_not_relaying()?;
                self.check_not_looping()?;
                self.reopened(reason, with.as_ref(), by, moment).map(of_session)
            }
            RelayCommand::Cancel { reason } => {
                check_reason(reason.as_deref().unwrap_or("-"))?;
                let relay = under_way()?;
                if self.turn.is_some() {
                    return Err(Refusal::TurnRunning);
                }
                let mut facts = of_session(left(relay));
                facts.extend(go::finished(relay, (Terminal::Cancelled, reason.clone(), Some(by)), moment));
                Ok(facts)
            }
        }
    }

    /// Returns the events with which a relay begins.
    fn started(&self, new: &NewRelay, by: &Origin, moment: &mut Moment) -> Result<Vec<Event>, Refusal> {
        self.check_not_relaying()?;
        let started = RelayStarted {
            relay: new.definition.name.clone(),
            definition: Box::new(new.definition.clone()),
            digest: new.definition.digest().to_string(),
            source: new.source,
            by: by.clone(),
        };
        let relay = Relay::begin(&started);
        let state = new.state.clone().unwrap_or_else(|| new.definition.first.clone());
        let entered =
            entered(&relay, &Chosen { state, input: new.input.clone(), reason: None }, (Via::First, None), moment);
        match entered {
            Ok(entered) => Ok(vec![Event::RelayStarted(started), entered]),
            Err(what) => refuse("relay_state_invalid", what),
        }
    }

    fn reopened(
        &self,
        reason: &str,
        with: Option<&Chosen>,
        by: &Origin,
        moment: &mut Moment,
    ) -> Result<Vec<Event>, Refusal> {
        let Some((relay, former)) = self.relay().and_then(|relay| Some((relay, relay.outcome?))) else {
            return refuse("relay_not_running", "no relay has ended in this session");
        };
        let mut events =
            vec![Event::RelayReopened(RelayReopened { former, reason: reason.to_owned(), by: by.clone() })];
        if let Some(chosen) = with {
            let mut relay = relay.clone();
            relay.reopen(reason);
            match entered(&relay, chosen, (Via::Person, Some(by)), moment) {
                Ok(entered) => events.push(entered),
                Err(what) => return refuse("relay_state_invalid", what),
            }
        }
        Ok(events)
    }

    /// Returns the events with which the state that a relay is in is left for another one.
    fn select(&self, chosen: &Chosen, via: (Via, Option<&Origin>), moment: &mut Moment) -> Result<Vec<Event>, String> {
        let Some(relay) = self.relaying() else { return Err("no relay is under way in this session".to_owned()) };
        let state = &relay.at.state;
        if matches!(relay.stage, Stage::Working { .. } | Stage::Checking { asked: true }) {
            return Err(format!("`{state}` is being worked on: end its turn first, then what is next is chosen"));
        }
        let mut events = left(relay);
        if let Some(why) = relay.guarded(&chosen.state, moment.at).filter(|_| via.0 == Via::Agent) {
            return Err(format!("{why}: choose another state; a person is asked if there is none"));
        }
        events.push(entered(relay, chosen, via, moment)?);
        Ok(events)
    }

    /// Returns the fact that the relay ends here, and that nobody is told.
    pub(super) fn relay_parted(&self) -> Option<Fact> {
        self.relaying()?;
        let reason = Some("it belongs to the session that this one was made from".to_owned());
        let finished = RelayFinished { outcome: Terminal::Cancelled, state: None, reason, by: None };
        Some(Fact::of_session(Event::RelayFinished(finished)))
    }

    pub(super) fn hear_relay(&mut self, entry: &Entry) {
        if let Event::RelayStarted(started) = &entry.event {
            self.queue.relay = Some(Box::new(Relay::begin(started)));
        }
        let refused = |call| self.call(call).is_some_and(|call| call.tool == SELECT_STATE);
        let refused = matches!(&entry.event, Event::CallDenied(denied) if refused(denied.call));
        let stopped = self.turn.as_ref().is_some_and(|turn| turn.interrupt.is_some());
        let Some(relay) = self.queue.relay.as_deref_mut() else { return };
        match (&entry.event, entry.turn) {
            (Event::RelayRedefined(redefined), _) => return relay.redefine(redefined),
            (Event::RelayReopened(it), _) if !relay.is_under_way() => return relay.reopen(&it.reason),
            _other if !relay.is_under_way() => return,
            _other => {}
        }
        match (&entry.event, entry.turn) {
            (Event::RelayStateEntered(entered), _) => relay.enter(entered, entry.at),
            (Event::RelayStateEnded(ended), _) => relay.hear_ended(ended, entry.at),
            (Event::RelayFinished(finished), _) => relay.finish(finished.outcome),
            (Event::TurnStarted(started), Some(id)) if started.trigger == Trigger::Relay => {
                // What the agent is told stands right before it.
                let calls = relay.take_turn(id, entry.seq.saturating_sub(1));
                if let (Some(calls), Some(turn)) = (calls, self.turn.as_mut().filter(|turn| turn.id == id)) {
                    (turn.calls, turn.asking) = (calls, Asking::Checks);
                }
            }
            (Event::TurnStarted(_), Some(id)) => relay.meet_turn(id),
            (Event::TurnEnded(ended), Some(id)) => relay.end_turn(id, ended),
            (Event::StepFinished(finished), Some(id)) => relay.hear_said(id, &finished.content),
            (Event::CallFinished(finished), _) => relay.hear_finished(finished, entry.at, stopped),
            (Event::CallDenied(denied), turn) if refused => relay.hear_refused(turn, &denied.content),
            (Event::CallDenied(denied), _) => relay.hear_denied(denied.call, &denied.content),
            (Event::CallLost(lost), _) => relay.hear_lost(lost.call),
            (Event::QuestionAsked(asked), None) => relay.hear_asked(asked),
            (Event::QuestionAnswered(answered), _) => relay.hear_answered(answered),
            (Event::WaitArmed(armed), _) if armed.owner == crate::event::WaitOwner::Relay => {
                relay.hear_armed(armed.wait)
            }
            (Event::WaitEnded(ended), _) => {
                let kept = self.queue.waits.signals.iter().find(|kept| Some(kept.seq) == ended.signal);
                let payload = kept.map(|kept| kept.payload.clone()).unwrap_or_default();
                relay.hear_waited(ended, payload, entry.at);
            }
            (Event::WaitMoved(moved), _) => relay.hear_moved(moved),
            _other => {}
        }
    }

    /// Returns what the relay owes that needs no turn.
    pub(super) fn owed_of_relay(&self) -> Option<Debt> {
        let relay = self.relaying().filter(|_| self.hold == Hold::Open)?;
        let is_now = match &relay.stage {
            Stage::Entered => !relay.needs_turn(),
            Stage::Pausing(_) | Stage::Again | Stage::Stuck(_) | Stage::Ended(_) | Stage::Next(..) => true,
            Stage::Working { .. }
            | Stage::Checking { .. }
            | Stage::Waiting { .. }
            | Stage::Asking { .. }
            | Stage::Choosing { .. }
            | Stage::Cancelling(_)
            | Stage::Finished => false,
        };
        is_now.then_some(Debt::Relay(Pace::Now))
    }

    /// Returns what the relay owes while no turn runs: the turn that it goes on with.
    pub(super) fn owed_turn_of_relay(&self) -> Option<Debt> {
        let relay = self.relaying().filter(|_| self.hold == Hold::Open && !self.is_asking_after())?;
        let is_due = match &relay.stage {
            Stage::Entered => relay.needs_turn(),
            Stage::Checking { asked } => !asked,
            Stage::Choosing { turn, .. } => *turn == Begun::No,
            Stage::Cancelling(_) => true,
            Stage::Pausing(_)
            | Stage::Again
            | Stage::Stuck(_)
            | Stage::Ended(_)
            | Stage::Next(..)
            | Stage::Working { .. }
            | Stage::Waiting { .. }
            | Stage::Asking { .. }
            | Stage::Finished => false,
        };
        is_due.then_some(Debt::Relay(Pace::Turn))
    }

    /// Says whether the running turn was to choose a state, and has.
    pub(super) fn has_chosen(&self) -> bool {
        let Some((turn, relay)) = self.turn.as_ref().zip(self.relay()) else { return false };
        relay.router == Some(turn.id) && !turn.steered && !matches!(relay.stage, Stage::Choosing { .. })
    }

    /// Says whether a question is the relay's: no turn has it, and its answer begins none.
    pub(super) fn is_relays(&self, call: CallId) -> bool {
        self.relaying().and_then(Relay::asked).is_some_and(|(_, asked, _)| asked == call)
    }
}

fn check_reason(reason: &str) -> Result<(), Refusal> {
    if reason.trim().is_empty() || reason.len() > REASON_BYTES {
        return refuse("reason_missing", format!("say why, in 1 to {REASON_BYTES} bytes"));
    }
    Ok(())
}

/// Says why a relay cannot go on by this definition.
fn other_than(relay: &Relay, definition: &Definition) -> Option<String> {
    let (name, at) = (&relay.definition.name, &relay.at.state);
    if definition.name != *name {
        return Some(format!("it is another relay, `{}`: name it `{name}`, or begin that one", definition.name));
    }
    let kept = definition.state(at);
    if relay.is_under_way() && kept.is_none() {
        return Some(format!("it has no state `{at}`, which the relay is in: keep it"));
    }
    let kind = relay.state().map(StateSpec::kind);
    let is_busy = matches!(relay.stage, Stage::Working { .. } | Stage::Checking { .. });
    (is_busy && kept.map(StateSpec::kind) != kind).then(|| {
        let kind = kind.unwrap_or_default();
        format!("`{at}` is being worked on: it stays of the kind `{kind}` until its turn has ended")
    })
}

/// Says whether the newest attempt has not ended.
fn has_open(relay: &Relay) -> bool {
    relay.path.last().is_some_and(|trace| trace.outcome.is_none())
}

/// Returns the event that a state is entered, once all that it needs is looked at.
pub(super) fn entered(
    relay: &Relay,
    chosen: &Chosen,
    (via, by): (Via, Option<&Origin>),
    moment: &mut Moment,
) -> Result<Event, String> {
    let input: Value = relay.admit(&chosen.state, &chosen.input, moment.at)?;
    Ok(Event::RelayStateEntered(RelayStateEntered {
        state: chosen.state.clone(),
        attempt: 1,
        input,
        via,
        call: CallId::from_bits(moment.ids.fresh()),
        deadline: relay.deadline(&chosen.state, moment.at),
        reason: chosen.reason.clone(),
        by: by.cloned(),
    }))
}

/// Returns the events with which the state that a relay is in is left.
fn left(relay: &Relay) -> Vec<Event> {
    let by = Origin::of(OriginKind::Runtime);
    let mut events = Vec::new();
    if let Stage::Waiting { wait, .. } = relay.stage {
        events.push(Event::WaitEnded(WaitEnded {
            wait,
            reason: crate::event::WaitReason::Cancelled,
            lateness_ms: None,
            signal: None,
            by: Some(by.clone()),
        }));
    }
    if let Some((_, call, _)) = relay.asked() {
        let (answers, content) = (Vec::new(), String::new());
        let answered = QuestionAnswered { question: question_of(call), call, answers, by, content, attempt: None };
        events.push(Event::QuestionAnswered(answered));
    }
    if has_open(relay) {
        events.push(Event::RelayStateEnded(RelayStateEnded {
            state: relay.at.state.clone(),
            attempt: relay.at.attempt,
            outcome: StateOutcome::Left,
            output: Value::Null,
            error: None,
            code: None,
            artifact: None,
        }));
    }
    events
}
