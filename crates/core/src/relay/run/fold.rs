//! How events move a relay. Total: an event that does not fit where it stands changes nothing.

use serde_json::{Value, json};

use super::{About, Begun, Ended, Entered, Past, Relay, Stage, Stuck, Trace, values};
use crate::content::Block;
use crate::event::{
    CallFinished, Effect, Ending, OriginKind, Outcome, QuestionAsked, RelayRedefined, RelaySource, RelayStarted,
    RelayStateEnded, RelayStateEntered, StateOutcome, TurnEnded, Via, WaitEnded, WaitMoved, WaitReason,
};
use crate::id::{CallId, Seq, TurnId, WaitId};
use crate::limits::{RELAY_ENTRIES, RELAY_PROMPTS, RELAY_TRACED};
use crate::relay::definition::{ScriptEffect, Span, StateSpec, Terminal, Work};
use crate::time::Timestamp;
use crate::turn::Call;

/// Characters of why an attempt failed.
const ERROR_CHARS: usize = 1_000;
/// Why a state is over whose wait a person took away.
const CANCELLED: &str = "its wait was cancelled";
/// The tool whose calls commands are.
const RUNNER: &str = "bash";
/// What a person chooses from when a relay is stuck.
pub(crate) const AGAIN: &str = "run it again";
pub(crate) const DONE: &str = "it was done";
pub(crate) const FAILED: &str = "it failed";
pub(crate) const GO_ON: &str = "go on";
pub(crate) const CANCEL: &str = "cancel the relay";

impl Ended {
    pub(super) fn of(outcome: StateOutcome, output: Value) -> Self {
        Self { outcome, output, error: None, code: None, artifact: None }
    }

    pub(super) fn failed(why: impl Into<String>) -> Self {
        Self { error: Some(why.into()), ..Self::of(StateOutcome::Failed, Value::Null) }
    }
}

impl Relay {
    pub(crate) fn begin(started: &RelayStarted) -> Self {
        let none = CallId::from_bits(0);
        let at = Entered {
            state: started.definition.first.clone(),
            attempt: 0,
            failures: 0,
            input: json!({}),
            key: none,
            call: none,
            deadline: None,
            from: None,
        };
        Self {
            definition: (*started.definition).clone(),
            version: 1,
            source: started.source,
            by: started.by.clone(),
            stage: Stage::Next(at.state.clone(), Via::First),
            at,
            router: None,
            past: std::collections::BTreeMap::new(),
            entries: Vec::new(),
            path: Vec::new(),
            attempts: 0,
            outcome: None,
        }
    }

    pub(crate) fn enter(&mut self, entered: &RelayStateEntered, at: Timestamp) {
        let RelayStateEntered { state, attempt, input, call, deadline, via, .. } = entered;
        let again = *via == Via::Again;
        if !again {
            // A deadline outlasts that its state is left.
            if let Some(deadline) = self.at.deadline {
                self.past.entry(self.at.state.clone()).or_default().deadline = Some(deadline);
            }
            if let Some(past) = self.past.get_mut(state) {
                past.deadline = None;
            }
            self.entries.push((at, state.clone()));
            let surplus = self.entries.len().saturating_sub(RELAY_ENTRIES);
            self.entries.drain(..surplus);
        }
        // Whoever has it entered has looked.
        if let Some(past) = self.past.get_mut(state) {
            past.unknown = false;
        }
        self.at = Entered {
            state: state.clone(),
            attempt: *attempt,
            failures: if again { self.at.failures } else { 0 },
            input: if input.is_null() { json!({}) } else { input.clone() },
            key: if again { self.at.key } else { *call },
            call: *call,
            deadline: *deadline,
            from: None,
        };
        self.attempts += 1;
        self.path.push(Trace { state: state.clone(), attempt: *attempt, at, outcome: None });
        let surplus = self.path.len().saturating_sub(RELAY_TRACED);
        self.path.drain(..surplus);
        self.stage = Stage::Entered;
    }

    /// A turn of the relay's own begins, by the event at `from`; returns the calls that are all that it does, where it asks no
    /// model.
    #[expect(clippy::wildcard_enum_match_arm, reason = "elsewhere it changes nothing")]
    pub(crate) fn take_turn(&mut self, turn: TurnId, from: Seq) -> Option<Vec<Call>> {
        let (id, line) = match &mut self.stage {
            Stage::Entered => {
                let is_apart = |state: &StateSpec| matches!(&state.work, Work::Agent(work) if !work.fork_context);
                self.at.from = Some(from).filter(|_| self.state().is_some_and(is_apart));
                self.stage = Stage::Working { turn: Begun::Turn(turn), said: String::new() };
                self.state().filter(|state| state.run().is_some())?;
                (self.at.call, self.command())
            }
            Stage::Checking { asked } => {
                *asked = true;
                (self.check_call(), self.check())
            }
            Stage::Choosing { turn: begun, .. } => {
                (*begun, self.router) = (Begun::Turn(turn), Some(turn));
                return None;
            }
            _other => return None,
        };
        match line.and_then(|line| line.ok_or_else(|| "it has no command".to_owned())) {
            Ok((command, timeout_ms)) => {
                let input = json!({"command": command, "timeout_ms": timeout_ms});
                Some(vec![Call::asked(id, RUNNER.to_owned(), input, None)])
            }
            Err(why) => {
                self.cannot(why);
                Some(Vec::new())
            }
        }
    }

    /// A turn that is not its own begins: one that fell asleep goes on with it.
    #[expect(clippy::wildcard_enum_match_arm, reason = "elsewhere it changes nothing")]
    pub(crate) fn meet_turn(&mut self, id: TurnId) {
        match &mut self.stage {
            Stage::Working { turn: turn @ Begun::Asleep, .. } => *turn = Begun::Turn(id),
            Stage::Choosing { turn: turn @ Begun::Asleep, .. } => (*turn, self.router) = (Begun::Turn(id), Some(id)),
            _other => {}
        }
    }

    pub(crate) fn hear_said(&mut self, turn: TurnId, content: &[Block]) {
        let Stage::Working { turn: Begun::Turn(own), said } = &mut self.stage else { return };
        let text = |block: &Block| if let Block::Text { text } = block { Some(text.clone()) } else { None };
        let texts: Vec<String> = content.iter().filter_map(text).collect();
        if *own == turn && !texts.is_empty() {
            *said = texts.join("\n\n");
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "elsewhere it changes nothing")]
    pub(crate) fn end_turn(&mut self, id: TurnId, ended: &TurnEnded) {
        self.router.take_if(|router| *router == id);
        let error = || {
            let said = ended.error.as_ref().map(|error| format!("{}: {}", error.code, error.message));
            said.unwrap_or_else(|| "its turn failed".to_owned())
        };
        let asleep = matches!(ended.ending, Ending::Ask | Ending::Sleep);
        match &mut self.stage {
            Stage::Working { turn, .. } if *turn == Begun::Turn(id) && asleep => *turn = Begun::Asleep,
            Stage::Working { turn, said } if *turn == Begun::Turn(id) => {
                let output = values::output(said);
                match ended.ending {
                    Ending::Interrupted => self.stage = Stage::Stuck(Stuck::Interrupted),
                    Ending::Failed => self.end(Ended::failed(error())),
                    Ending::Complete | Ending::Ask | Ending::Sleep => self.end(Ended::of(StateOutcome::Ok, output)),
                }
            }
            Stage::Choosing { turn, .. } if *turn == Begun::Turn(id) && asleep => *turn = Begun::Asleep,
            Stage::Choosing { turn, prompts, refused, .. } if *turn == Begun::Turn(id) => {
                (*turn, *prompts) = (Begun::No, *prompts + 1);
                let why = match ended.ending {
                    Ending::Interrupted => Some("somebody stopped it while it chose".to_owned()),
                    Ending::Failed => Some(error()),
                    Ending::Complete | Ending::Ask | Ending::Sleep => {
                        let nothing = || format!("it was asked {prompts} times and chose nothing");
                        let wrong = |why| format!("it was asked {prompts} times, and what it chose was refused: {why}");
                        (*prompts >= RELAY_PROMPTS).then(|| refused.as_ref().map_or_else(nothing, wrong))
                    }
                };
                if let Some(why) = why {
                    self.stage = Stage::Stuck(Stuck::Router(why));
                }
            }
            _other => {}
        }
    }

    pub(super) fn end(&mut self, mut ended: Ended) {
        ended.error = ended.error.map(|error| error.chars().take(ERROR_CHARS).collect());
        self.stage = Stage::Ended(Box::new(ended));
    }

    /// A person is to say what became of it: nobody else has a script run again that may not run twice.
    fn doubt(&mut self, why: Stuck) {
        if self.is_once() {
            self.past.entry(self.at.state.clone()).or_default().unknown = true;
        }
        self.stage = Stage::Stuck(why);
    }

    /// A command cannot run. Where it is a check, what the script did is as unknown as before.
    fn cannot(&mut self, why: impl Into<String>) {
        if matches!(self.stage, Stage::Checking { .. }) {
            self.doubt(Stuck::Lost);
        } else {
            self.end(Ended::failed(why));
        }
    }

    /// A call of the attempt ended; `stopped` says whether somebody stopped its turn.
    pub(crate) fn hear_finished(&mut self, finished: &CallFinished, at: Timestamp, stopped: bool) {
        if !self.runs(finished.call) {
            return;
        }
        let code = finished.details.as_ref().and_then(|details| details.get("exit_code")?.as_i64());
        let cut = finished.outcome == Outcome::Interrupted;
        match (&self.stage, self.state().map(|state| &state.work)) {
            (Stage::Working { .. }, _) if cut && stopped => self.doubt(Stuck::Interrupted),
            (Stage::Working { .. }, _) if cut => self.hear_lost(finished.call),
            (Stage::Checking { .. }, Some(Work::Script(_))) => self.checked(finished, code),
            (_, Some(Work::Script(script))) => {
                let is_ok = code.is_some_and(|code| script.success_codes.contains(&code));
                let outcome = if is_ok { StateOutcome::Ok } else { StateOutcome::Failed };
                self.end(values::ran(finished, outcome, code));
            }
            (_, Some(Work::Poll(_))) => {
                let over = self.at.deadline.is_some_and(|deadline| deadline <= at);
                let outcome = match (code, over) {
                    (Some(0), _) => StateOutcome::Found,
                    (Some(1), false) => StateOutcome::NotYet,
                    (_, true) => StateOutcome::Expired,
                    (_, false) => StateOutcome::Error,
                };
                let mut ended = values::ran(finished, outcome, code);
                if over && outcome == StateOutcome::Expired {
                    ended.error = Some("its time passed".to_owned());
                }
                self.end(ended);
            }
            (_, _) => {}
        }
    }

    /// Code 0 says that the work is done, 1 that it is not: anything else says nothing.
    fn checked(&mut self, finished: &CallFinished, code: Option<i64>) {
        match code {
            Some(0) => self.end(values::ran(finished, StateOutcome::Ok, code)),
            Some(1) => {
                let why = "its process died before it was done: its check says so".to_owned();
                self.end(Ended { error: Some(why), code: None, ..Ended::of(StateOutcome::Lost, Value::Null) });
            }
            Some(_) | None => self.doubt(Stuck::Lost),
        }
    }

    pub(crate) fn hear_denied(&mut self, call: CallId, why: &str) {
        if self.runs(call) {
            self.cannot(why);
        }
    }

    /// What the agent chose is refused.
    pub(crate) fn hear_refused(&mut self, turn: Option<TurnId>, why: &str) {
        if let Stage::Choosing { refused, .. } = &mut self.stage
            && self.router == turn
        {
            *refused = Some(why.chars().take(ERROR_CHARS).collect());
        }
    }

    /// Nobody knows what a call has done.
    pub(crate) fn hear_lost(&mut self, call: CallId) {
        if !self.runs(call) {
            return;
        }
        // The check's own effect says nothing of what the script did.
        if matches!(self.stage, Stage::Checking { .. }) {
            return self.doubt(Stuck::Lost);
        }
        match self.effect() {
            Effect::Effectful => {
                let has_check = matches!(self.state().map(|state| &state.work), Some(Work::Script(script)) if script.check.is_some());
                if has_check {
                    self.stage = Stage::Checking { asked: false };
                } else {
                    self.doubt(Stuck::Lost);
                }
            }
            Effect::Read | Effect::Idempotent | Effect::Verifiable | Effect::Resumable => {
                self.end(Ended::of(StateOutcome::Interrupted, Value::Null));
            }
        }
    }

    /// Says whether the state is a script that may not run twice.
    fn is_once(&self) -> bool {
        let work = self.state().map(|state| &state.work);
        matches!(work, Some(Work::Script(script)) if script.effect == ScriptEffect::Effectful)
    }

    /// Returns what running the attempt's call does.
    #[must_use]
    pub fn effect(&self) -> Effect {
        match self.state().map(|state| &state.work) {
            Some(Work::Script(script)) if !matches!(self.stage, Stage::Checking { .. }) => match script.effect {
                ScriptEffect::Read => Effect::Read,
                ScriptEffect::Idempotent => Effect::Idempotent,
                ScriptEffect::Effectful => Effect::Effectful,
            },
            _looks => Effect::Idempotent,
        }
    }

    /// A person is asked by the relay itself.
    #[expect(clippy::wildcard_enum_match_arm, reason = "elsewhere it changes nothing")]
    pub(crate) fn hear_asked(&mut self, asked: &QuestionAsked) {
        let about = match &self.stage {
            Stage::Entered => About::State,
            Stage::Stuck(stuck) => About::Stuck(stuck.clone()),
            Stage::Next(name, _) => About::Stuck(Stuck::Input(name.clone())),
            _other => return,
        };
        self.stage = Stage::Asking { call: asked.call, questions: asked.questions.clone(), about };
    }

    pub(crate) fn hear_armed(&mut self, wait: WaitId) {
        let again = matches!(self.stage, Stage::Pausing(_));
        if again || self.stage == Stage::Entered {
            self.stage = Stage::Waiting { wait, again };
        }
    }

    /// A person moved what is waited for: a deadline is the new one, also where its state is left and chosen again.
    pub(crate) fn hear_moved(&mut self, moved: &WaitMoved) {
        if self.stage == (Stage::Waiting { wait: moved.wait, again: false }) && self.at.deadline.is_some() {
            self.at.deadline = Some(moved.over_at);
        }
    }

    pub(crate) fn hear_waited(&mut self, ended: &WaitEnded, payload: Value, at: Timestamp) {
        let Stage::Waiting { wait, again } = self.stage else { return };
        if wait != ended.wait {
            return;
        }
        let is_left = ended.by.as_ref().is_some_and(|by| by.kind == OriginKind::Runtime);
        match (ended.reason, again) {
            (WaitReason::Due, true) => self.stage = Stage::Again,
            (WaitReason::Due, false) => self.end(Ended::of(StateOutcome::Due, Value::Null)),
            (WaitReason::Signal, _) => self.end(Ended::of(StateOutcome::Signal, payload)),
            (WaitReason::Expired, true) => self.stage = Stage::Again,
            (WaitReason::Expired, false) => {
                let why = Some("its time passed".to_owned());
                self.end(Ended { error: why, ..Ended::of(StateOutcome::Expired, Value::Null) });
            }
            // It is left: what is next comes with that.
            (WaitReason::Cancelled, true) if is_left => self.stage = choosing(None),
            (WaitReason::Cancelled, true) => {
                // The attempt before the pause has its end.
                let past = Past { error: Some(CANCELLED.to_owned()), ..Past::default() };
                self.past.insert(self.at.state.clone(), past);
                self.stage = self.guard(self.failed(), at);
            }
            (WaitReason::Cancelled, false) => {
                let why = Some(CANCELLED.to_owned());
                self.end(Ended { error: why, ..Ended::of(StateOutcome::Cancelled, Value::Null) });
            }
        }
    }

    pub(crate) fn hear_ended(&mut self, ended: &RelayStateEnded, at: Timestamp) {
        if let Some(trace) = self.path.iter_mut().rev().find(|trace| trace.outcome.is_none()) {
            trace.outcome = Some(ended.outcome);
        }
        let is_over = !matches!(
            ended.outcome,
            StateOutcome::NotYet | StateOutcome::Error | StateOutcome::Interrupted | StateOutcome::Lost
        );
        if is_over {
            if matches!(ended.outcome, StateOutcome::Found | StateOutcome::Signal | StateOutcome::Expired) {
                self.at.deadline = None;
            }
            // Left, it is as unknown as before.
            let unknown =
                ended.outcome == StateOutcome::Left && self.past.get(&ended.state).is_some_and(|it| it.unknown);
            let (output, error) = (ended.output.clone(), ended.error.clone());
            self.past.insert(ended.state.clone(), Past { output, error, deadline: None, unknown });
        }
        self.stage = self.follow(ended, at);
    }

    /// Returns what comes after an attempt.
    fn follow(&mut self, ended: &RelayStateEnded, at: Timestamp) -> Stage {
        use StateOutcome as O;
        let Some(state) = self.definition.state(&self.at.state) else { return choosing(None) };
        let stage = match ended.outcome {
            O::Lost | O::Interrupted => Stage::Again,
            O::Ok | O::Found | O::Due | O::Signal | O::Answered => {
                state.next.clone().map_or_else(|| choosing(None), |to| Stage::Next(to, Via::Next))
            }
            O::NotYet | O::Error => {
                let Work::Poll(poll) = &state.work else { return choosing(None) };
                self.at.failures = if ended.outcome == O::Error { self.at.failures + 1 } else { 0 };
                let next = at.plus_ms(poll.interval.0);
                let next = self.at.deadline.map_or(next, |deadline| deadline.min(next));
                if self.at.failures > poll.error_budget { self.failed() } else { Stage::Pausing(next) }
            }
            O::Failed => {
                self.at.failures += 1;
                let is_final = |codes: &[i64]| ended.code.is_some_and(|code| codes.contains(&code));
                let again = state
                    .retry
                    .as_ref()
                    .filter(|retry| self.at.failures < retry.attempts && !is_final(&retry.final_codes));
                let chance = self.at.key.bits() >> (self.at.failures % 64);
                let pause = again.map(|retry| retry.pause_ms(self.at.failures, chance));
                pause.map_or_else(|| self.failed(), |pause| Stage::Pausing(at.plus_ms(pause)))
            }
            O::Expired | O::Cancelled => self.failed(),
            O::Left => choosing(None),
        };
        self.guard(stage, at)
    }

    /// What comes after a state that has failed for good.
    fn failed(&self) -> Stage {
        let to = self.state().and_then(|state| state.on_failure.clone());
        to.map_or_else(|| choosing(None), |to| Stage::Next(to, Via::OnFailure))
    }

    /// What comes instead, where a state is not entered without a person's word.
    fn guard(&self, stage: Stage, at: Timestamp) -> Stage {
        if let Stage::Next(name, via) = &stage
            && self.guarded(name, at).is_some()
        {
            return Stage::Stuck(Stuck::Guard(name.clone(), *via));
        }
        stage
    }

    /// Whoever gave the definition vouches for its commands.
    pub(crate) fn redefine(&mut self, redefined: &RelayRedefined) {
        self.definition = (*redefined.definition).clone();
        self.version = redefined.version;
        (self.source, self.by) = (RelaySource::Api, redefined.by.clone());
    }

    pub(crate) fn finish(&mut self, outcome: Terminal) {
        (self.stage, self.outcome, self.router) = (Stage::Finished, Some(outcome), None);
    }

    /// Guards and deadlines begin anew: what passed while it was over is nobody's fault.
    pub(crate) fn reopen(&mut self, reason: &str) {
        self.entries.clear();
        self.at.deadline = None;
        self.past.values_mut().for_each(|past| past.deadline = None);
        // The end that it came to has no end of its own.
        self.path
            .iter_mut()
            .filter(|trace| trace.outcome.is_none())
            .for_each(|end| end.outcome = Some(StateOutcome::Ok));
        self.stage = choosing(Some(reason.to_owned()));
    }

    /// Returns when a state that is entered now is to be given up.
    #[must_use]
    pub fn deadline(&self, name: &str, now: Timestamp) -> Option<Timestamp> {
        let span: Span = self.definition.state(name)?.deadline()?;
        let is_here = self.at.state == name && self.at.attempt > 0;
        let kept = if is_here { self.at.deadline } else { self.past.get(name).and_then(|past| past.deadline) };
        Some(kept.unwrap_or_else(|| now.plus_ms(span.0)))
    }
}

pub(crate) fn choosing(hint: Option<String>) -> Stage {
    Stage::Choosing { prompts: 0, turn: Begun::No, hint, refused: None }
}
