//! Pays what is owed, as far as paying is recording: each debt becomes facts in the same append, until what is left is
//! under way, or waits.

use std::sync::Arc;

use outlive_core::command::{Command, Verdict};
use outlive_core::context::{Did, Transcript};
use outlive_core::event::{Aside, Decider, Ending, Entry, TurnError};
use outlive_core::hooks::{About, SKILL};
use outlive_core::id::CallId;
use outlive_core::session::{Allowance, Debt, Fact, Pace, Round, Ruling, recovery};
use outlive_core::turn::Call;
use outlive_store::StoreError;

use super::Actor;
use super::batch::Batch;
use super::budget::Proposed;
use super::room::Room;
use crate::hands::{Ask, Run};
use crate::kit::Kit;
use crate::load::Sight;

/// Why a call is not run that cannot be told in one line of the journal.
const TOO_LONG: &str = "what it would do takes more than a line of the journal may: do less at once";

impl Actor {
    /// Records what is owed until nothing more can be, and who is to be told of all that.
    pub(super) async fn settle(&mut self, batch: &mut Batch) -> Result<(), StoreError> {
        loop {
            self.settle_debts(batch).await?;
            if !self.announce(batch) {
                return Ok(());
            }
        }
    }

    async fn settle_debts(&mut self, batch: &mut Batch) -> Result<(), StoreError> {
        if self.closing || self.state.profile.is_none() {
            return Ok(());
        }
        let is_stopped = self.stop(batch);
        self.note_recovery(batch);
        loop {
            // While everything is stopped no wait begins anything; what ends meanwhile, ends then.
            let is_kept = |debt: &Debt| is_stopped && matches!(debt, Debt::EndWait(_));
            let Some(debt) = self.owed().into_iter().find(|debt| !is_kept(debt)) else { return Ok(()) };
            match debt {
                Debt::StartQueued | Debt::Loop(Round::Iterate) | Debt::Relay(Pace::Turn) if is_stopped => return Ok(()),
                Debt::WaitUntil(due) => {
                    batch.acts().wake_at = Some(due);
                    return Ok(());
                }
                Debt::Beside(beside) => {
                    self.held.beside.insert(beside);
                    batch.acts().beside.push(beside);
                }
                Debt::Stop(call) => {
                    self.held.stopping.insert(call);
                    batch.acts().stops.push(call);
                }
                Debt::Find { call, .. } | Debt::Start { call, .. } if self.is_unfit(batch, call) => {}
                Debt::Find { call, attempt } => self.look_for(batch, call, attempt),
                Debt::StartStep { .. } if self.waits_for_tools() => return Ok(()),
                Debt::StartStep { step, attempt, .. } => {
                    if !self.start_step(batch, step, attempt).await? {
                        // What it waits for may be owed: that comes first.
                        if self.owed().iter().any(|debt| matches!(debt, Debt::Beside(_))) {
                            continue;
                        }
                        return Ok(());
                    }
                }
                Debt::Rule(call) => self.rule(batch, call).await?,
                Debt::Loop(round) => {
                    if !self.go_round(batch, round).await? {
                        return Ok(());
                    }
                }
                Debt::Relay(_) | Debt::EndWait(_) => {
                    let facts = self.by_itself(&debt);
                    if facts.is_empty() || !self.record(batch, facts) {
                        return Ok(());
                    }
                }
                Debt::Start { call, attempt, .. } => {
                    if self.record(batch, self.state.settle(&debt)) {
                        self.hold(batch, call, attempt);
                    } else {
                        self.give_up(batch, call, TOO_LONG);
                    }
                }
                Debt::StartQueued
                | Debt::DeclareLost(_)
                | Debt::AskAboutLost(_)
                | Debt::Park(_)
                | Debt::Skip(_)
                | Debt::End { .. } => {
                    if !self.record(batch, self.state.settle(&debt)) {
                        // Nothing of it is as long as a line may be; owed again and again, it would keep the actor busy.
                        return Ok(());
                    }
                }
            }
        }
    }

    /// What ends or goes on by itself.
    fn by_itself(&self, debt: &Debt) -> Vec<Fact> {
        let mut moment = self.shell.moments.moment();
        if let Debt::EndWait(wait) = debt {
            self.state.end_wait(*wait, &mut moment)
        } else {
            self.state.go_relay(&mut moment)
        }
    }

    /// Says whether everything is stopped. The first thing then is to interrupt the turn: what is owed after that only ends.
    fn stop(&mut self, batch: &mut Batch) -> bool {
        let Some(stop) = self.shell.brake.stop() else { return false };
        let interrupted = self.state.stopped(&stop.by, self.shell.moments.now(), &self.held);
        self.record(batch, interrupted.into_iter().collect());
        true
    }

    fn owed(&mut self) -> Vec<Debt> {
        let allowed = match &self.state.turn {
            // No agent is made ready for what only ends.
            Some(turn) if turn.interrupt.is_some() => Allowance::default(),
            Some(_) => self.kit().map(|kit| kit.allowance()).unwrap_or_default(),
            None => Allowance { notes: self.shell.notes(&self.state), ..Allowance::default() },
        };
        self.state.owed(self.shell.moments.now(), &self.held, &allowed)
    }

    /// The first thing after a restart that found something unfinished is to say so.
    fn note_recovery(&mut self, batch: &mut Batch) {
        let debts = self.owed();
        let Some(noted) = recovery(&self.state, &debts, std::mem::take(&mut self.read.cut_bytes)) else { return };
        self.record(batch, vec![noted]);
    }

    /// Says whether all could be written.
    pub(super) fn record(&mut self, batch: &mut Batch, facts: Vec<Fact>) -> bool {
        let at = self.shell.moments.now();
        batch.add(&mut self.state, self.transcript.as_mut(), facts, (at, None))
    }

    /// Settles a call that cannot run.
    fn give_up(&mut self, batch: &mut Batch, id: CallId, why: &str) {
        let facts = self.state.turn.as_ref().and_then(|turn| Some(turn.unfit(turn.call(id)?, why)));
        self.record(batch, facts.unwrap_or_default());
    }

    /// Settles a call whose agent's files are not right any more; says whether it is one.
    fn is_unfit(&mut self, batch: &mut Batch, id: CallId) -> bool {
        let Err(error) = self.kit() else { return false };
        self.give_up(batch, id, &error.to_string());
        true
    }

    async fn rule(&mut self, batch: &mut Batch, id: CallId) -> Result<(), StoreError> {
        let kit = self.kit();
        let Some(call) = self.state.turn.as_ref().and_then(|turn| turn.call(id)).cloned() else { return Ok(()) };
        let ruling = match kit {
            Ok(kit) => {
                let ruling = kit.rule(&self.state, &call);
                self.narrowed(batch, &kit, (&call, ruling)).await?
            }
            Err(error) => Ruling::Denied { by: Decider::Runtime, content: error.to_string() },
        };
        let facts = ruling.facts(&self.state, &call, &mut self.shell.moments.moment());
        if !self.record(batch, facts) {
            self.give_up(batch, id, TOO_LONG);
        }
        Ok(())
    }

    /// What may run is held to the agent's hooks and skills: they only deny.
    async fn narrowed(
        &mut self,
        batch: &Batch,
        kit: &Kit,
        (call, ruling): (&Call, Ruling),
    ) -> Result<Ruling, StoreError> {
        match ruling {
            Ruling::Allowed { .. } | Ruling::Ask { .. } => {}
            Ruling::Question(_) | Ruling::Todos(_) | Ruling::Wait(_) | Ruling::Relay(_) | Ruling::Denied { .. } => {
                return Ok(ruling);
            }
        }
        let held = kit.toolbox.held();
        let skills = self.state.working().map(|(_, work)| work.skills.clone()).unwrap_or_default();
        let taken_up: Vec<_> = skills.iter().map(|name| serde_json::json!({ "name": name })).collect();
        let mut past = if held.looks_back() { self.transcript(batch).await?.calls() } else { Vec::new() };
        if let Some(at) = past.iter().position(|did| did.id == call.id) {
            past.truncate(at);
        }
        // What its state has read for it counts as if it had.
        past.extend(taken_up.iter().map(|input| Did {
            id: call.id,
            tool: SKILL,
            input,
            this_turn: true,
            went_well: Some(true),
        }));
        let refused = held.refuse(&About { tool: &call.tool, input: &call.input, past: &past });
        Ok(refused.map_or(ruling, |(rule, content)| Ruling::Denied { by: Decider::Policy(rule), content }))
    }

    /// Returns the rule that a person allows for the whole agent with this.
    pub(super) fn granted(&self, command: &Command) -> Option<String> {
        let Command::Decide(decision) = command else { return None };
        let rule = self.state.awaited_rule(decision.call).filter(|rule| !rule.is_empty());
        rule.filter(|_| decision.verdict == Verdict::AllowAgent)
    }

    /// Writes down what the journal is about to say: a death in between leaves a rule that its person asked for, and a call
    /// that still waits. Where that fails, it holds in this session alone.
    pub(super) fn store_grant(&self, granted: Option<String>) {
        let (Some(rule), Some(profile)) = (granted, &self.state.profile) else { return };
        if let Err(error) = self.shell.store.agents.grant(&profile.agent, &rule) {
            tracing::warn!(%error, "what was allowed for an agent cannot be stored; it holds in this session");
        }
    }

    /// Says whether it was started, or its turn ended; not where it waits for a compaction.
    async fn start_step(&mut self, batch: &mut Batch, step: u32, attempt: u32) -> Result<bool, StoreError> {
        let Some(running) = &self.state.turn else { return Ok(true) };
        let (turn, outages) = (running.id, running.outages.clone());
        let kit = match self.kit() {
            Ok(kit) => kit,
            Err(error) => {
                self.fail(batch, TurnError { code: "agent_invalid".to_owned(), message: error.to_string() });
                return Ok(true);
            }
        };
        let (place, _) = outages.next(self.shell.moments.now(), kit.voices.lineup());
        let voice = kit.voices.at(place);
        let (request, plan) = match self.room(batch, (turn, &kit), voice).await? {
            Room::There(made) => *made,
            Room::Awaited => return Ok(false),
            Room::None(error) => {
                self.fail(batch, error);
                return Ok(true);
            }
        };
        let prices = self.shell.kits.prices(&plan.model);
        let mut proposed = Proposed { request, plan, prices };
        if let Err(error) = self.afford(&kit.terms.budget, &mut proposed).await? {
            self.fail(batch, error);
            return Ok(true);
        }
        let Proposed { request, plan, .. } = proposed;
        self.record(batch, vec![plan.started(turn, step, attempt)]);
        self.held.step = Some((turn, step, attempt));
        let (model, limit) = (Arc::clone(&voice.model), kit.terms.step_timeout);
        let artifacts = Arc::clone(&self.shell.store.artifacts);
        batch.acts().ask = Some(Ask { turn, step, attempt, request, model, artifacts, limit, prices });
        Ok(true)
    }

    /// Ends the turn before its next step is asked.
    fn fail(&mut self, batch: &mut Batch, error: TurnError) {
        let end = Debt::End { ending: Ending::Failed, error: Some(error) };
        self.record(batch, self.state.settle(&end));
    }

    pub(super) async fn transcript(&mut self, batch: &Batch) -> Result<&Transcript, StoreError> {
        let sees_from = self.state.sees_from();
        if std::mem::replace(&mut self.equipment.sees_from, sees_from) != sees_from {
            self.transcript = None;
        }
        if self.transcript.is_none() {
            let sight = Sight::of_turn(&self.state);
            let (aside, tail_from) = (sight.aside.clone(), sight.tail_from);
            // Only just made, it is not in the journal yet.
            let fresh = batch.entries().find(|entry| Some(entry.seq) == sight.checkpoint).cloned();
            let sight = Sight { head: batch.before(), fresh, ..sight };
            let redactor = self.errand.secrets.now();
            let mut read = crate::load::transcript(&self.shell.store, self.id, sight, redactor).await?;
            let seen = |entry: &&Entry| entry.seq >= tail_from && !Aside::holds(&aside, entry.seq);
            batch.entries().filter(seen).for_each(|entry| read.apply(entry));
            self.transcript = Some(read);
        }
        Ok(self.transcript.get_or_insert_default())
    }

    fn hold(&mut self, batch: &mut Batch, call: CallId, attempt: u32) {
        self.held.calls.insert(call, attempt);
        if let Some(run) = self.errand_for(call, attempt) {
            batch.acts().runs.push(run);
        }
    }

    fn look_for(&mut self, batch: &mut Batch, call: CallId, attempt: u32) {
        self.held.calls.insert(call, attempt);
        if let Some(run) = self.errand_for(call, attempt) {
            batch.acts().finds.push(run);
        }
    }

    /// Hands over the calls that a command itself started: a look for an earlier attempt found that it did nothing.
    pub(super) fn hold_started(&mut self, batch: &mut Batch) {
        for (call, attempt) in batch.started() {
            self.hold(batch, call, attempt);
        }
    }

    fn errand_for(&mut self, id: CallId, attempt: u32) -> Option<Run> {
        let kit = self.kit().ok()?;
        let turn = self.state.turn.as_ref()?;
        let call = turn.call(id)?;
        Some(Run {
            call: id,
            attempt,
            tool: call.tool.clone(),
            arguments: call.input.clone(),
            idempotency_key: call.key(),
            ruled: call.ruled.clone(),
            attended: !turn.is_unattended(),
            kit,
            artifacts: Arc::clone(&self.shell.store.artifacts),
            stop: tokio_util::sync::CancellationToken::new(),
        })
    }
}
