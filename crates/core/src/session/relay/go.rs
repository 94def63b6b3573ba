//! What is owed of a relay becomes facts: the work of a state begins, an attempt is written down, the next one is entered.

use serde_json::json;

use super::{entered, left};
use crate::command::Chosen;
use crate::event::{
    Awaited, Behavior, Event, MessageReceived, Origin, OriginKind, Overdue, Question, QuestionAsked, RelayFinished,
    RelayStateEnded, RelayStateEntered, Trigger, TurnStarted, Via, WaitArmed, WaitKind, WaitOwner, WaitTerms,
};
use crate::id::{CallId, TurnId, WaitId};
use crate::limits::{NAME_CHARS, REASON_BYTES};
use crate::relay::due::due;
use crate::relay::run::words;
use crate::relay::{Begun, Relay, Stage, Stuck, Terminal, Work};
use crate::session::decide::Moment;
use crate::session::settle::{Fact, begun};
use crate::session::{State, question_of};
use crate::time::Timestamp;

impl State {
    /// Returns the facts of what comes next in the relay.
    #[must_use]
    pub fn go_relay(&self, moment: &mut Moment) -> Vec<Fact> {
        let Some(relay) = self.relaying() else { return Vec::new() };
        match &relay.stage {
            Stage::Entered => work(relay, moment),
            Stage::Checking { asked: false } => vec![turn_started(moment)],
            Stage::Pausing(at) => vec![armed(relay, timer(*at), moment)],
            Stage::Again => vec![Fact::of_session(Event::RelayStateEntered(RelayStateEntered {
                state: relay.at.state.clone(),
                attempt: relay.at.attempt.saturating_add(1),
                input: relay.at.input.clone(),
                via: Via::Again,
                call: CallId::from_bits(moment.ids.fresh()),
                deadline: relay.at.deadline,
                reason: None,
                by: None,
            }))],
            Stage::Stuck(why) => vec![asked(words::stuck(relay, why, ""), CallId::from_bits(moment.ids.fresh()))],
            Stage::Ended(ended) => vec![Fact::of_session(Event::RelayStateEnded(RelayStateEnded {
                state: relay.at.state.clone(),
                attempt: relay.at.attempt,
                outcome: ended.outcome,
                output: ended.output.clone(),
                error: ended.error.clone(),
                code: ended.code,
                artifact: ended.artifact.clone(),
            }))],
            Stage::Next(state, via) => {
                // The history says what sent it there.
                let reason = relay.past.get(&relay.at.state).and_then(|past| past.error.clone());
                let reason = reason.filter(|_| *via == Via::OnFailure);
                let chosen = Chosen { state: state.clone(), input: json!({}), reason };
                match entered(relay, &chosen, (*via, None), moment) {
                    Ok(event) => left(relay).into_iter().chain([event]).map(Fact::of_session).collect(),
                    Err(why) => {
                        let question = words::stuck(relay, &Stuck::Input(state.clone()), &why);
                        vec![asked(question, CallId::from_bits(moment.ids.fresh()))]
                    }
                }
            }
            Stage::Choosing { prompts, turn: Begun::No, hint, refused } => {
                let refused = refused.as_deref();
                told(words::choose(relay, *prompts, (hint.as_deref(), refused)), relay, moment)
            }
            Stage::Cancelling(by) => {
                let mut facts: Vec<Fact> = left(relay).into_iter().map(Fact::of_session).collect();
                facts.extend(finished(relay, (Terminal::Cancelled, None, Some(by)), moment));
                facts
            }
            Stage::Working { .. }
            | Stage::Checking { asked: true }
            | Stage::Waiting { .. }
            | Stage::Asking { .. }
            | Stage::Choosing { .. }
            | Stage::Finished => Vec::new(),
        }
    }
}

/// Returns the facts that the work of a state begins.
fn work(relay: &Relay, moment: &mut Moment) -> Vec<Fact> {
    let values = relay.values();
    match relay.state().map(|state| &state.work) {
        Some(Work::Agent(agent)) => {
            let text = words::work(relay, agent).unwrap_or_else(|why| format!("{}\n[{why}]", agent.prompt));
            told(text, relay, moment)
        }
        Some(Work::Script(_) | Work::Poll(_)) => vec![turn_started(moment)],
        Some(Work::Timer(timed)) => {
            // What it says was looked at when the state was entered.
            let at = due(timed, &|text| values.fill(text), moment.at).unwrap_or(moment.at);
            vec![armed(relay, timer(at), moment)]
        }
        Some(Work::Signal(signal)) => {
            let awaited = Awaited { name: signal.signal.clone(), fits: signal.fits.clone() };
            let terms = WaitTerms {
                kind: WaitKind::Signal,
                due_at: None,
                signal: Some(awaited),
                deadline: relay.at.deadline,
                overdue: Overdue::Fire,
                reason: String::new(),
            };
            vec![armed(relay, terms, moment)]
        }
        Some(Work::Park(park)) => vec![asked(words::park(relay, park), relay.at.call)],
        Some(Work::Terminal(end)) => {
            let reason = end.reason.as_ref().map(|reason| values.fill(reason).unwrap_or_else(|_| reason.clone()));
            let reason = reason.map(|reason| reason.chars().take(REASON_BYTES).collect());
            finished(relay, (end.outcome, reason, None), moment)
        }
        None => Vec::new(),
    }
}

fn timer(at: Timestamp) -> WaitTerms {
    let (kind, overdue) = (WaitKind::Timer, Overdue::Fire);
    WaitTerms { kind, due_at: Some(at), signal: None, deadline: None, overdue, reason: String::new() }
}

fn armed(relay: &Relay, terms: WaitTerms, moment: &mut Moment) -> Fact {
    let (name, state) = (&relay.definition.name, &relay.at.state);
    let reason: String = format!("relay {name}: {state}").chars().take(NAME_CHARS).collect();
    let wait = WaitId::from_bits(moment.ids.fresh());
    let terms = WaitTerms { reason, ..terms };
    Fact::of_session(Event::WaitArmed(WaitArmed { wait, terms, owner: WaitOwner::Relay, call: None, by: None }))
}

fn asked(question: Question, call: CallId) -> Fact {
    let questions = vec![question];
    Fact::of_session(Event::QuestionAsked(QuestionAsked {
        question: question_of(call),
        call,
        questions,
        attempt: None,
    }))
}

fn turn_started(moment: &mut Moment) -> Fact {
    let turn = TurnId::from_bits(moment.ids.fresh());
    Fact::of_turn(turn, Event::TurnStarted(TurnStarted { trigger: Trigger::Relay }))
}

/// Returns the facts of a turn that begins with what the agent is told.
fn told(content: String, relay: &Relay, moment: &mut Moment) -> Vec<Fact> {
    let origin = Origin { kind: OriginKind::Relay, sender: Some(relay.definition.name.clone()) };
    let message = MessageReceived {
        content,
        attachments: Vec::new(),
        output_schema: None,
        behavior: Behavior::FollowUp,
        origin,
        input: None,
    };
    begun(TurnId::from_bits(moment.ids.fresh()), message)
}

/// Returns the facts that a relay ends, and that the person is told: in one append, so exactly once.
pub(super) fn finished(
    relay: &Relay,
    (outcome, reason, by): (Terminal, Option<String>, Option<&Origin>),
    moment: &mut Moment,
) -> Vec<Fact> {
    let text = words::ended(relay, outcome, reason.as_deref());
    let state = by.is_none().then(|| relay.at.state.clone());
    let finished = RelayFinished { outcome, state, reason, by: by.cloned() };
    let mut facts = vec![Fact::of_session(Event::RelayFinished(finished))];
    facts.extend(told(text, relay, moment));
    facts
}
