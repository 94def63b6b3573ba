//! Folds an event into the state. Total: an event that does not fit where it stands changes nothing, so that no journal,
//! however it came to be, can make a session unusable.

use super::{Filled, Hold, LastTurn, PastAnswer, PastDecision, Profile, Queued, State, question_of};
use crate::command::Verdict;
use crate::content::{Block, Usage};
use crate::event::{
    CallAllowed, CallDenied, CompactionFailed, CompactionProgressed, Decider, Ending, Entry, Event, InputQueued,
    MessageReceived, Origin, RecoveryNoted, Scope, SessionArchived, SessionCreated, SessionPaused, SessionUpdated,
    StepFailed, StepFinished, StepStarted, TurnEnded,
};
use crate::id::{CallId, Seq, TurnId};
use crate::limits::{DECISIONS_REMEMBERED, FALLBACK_REST_MS};
use crate::media::Attachment;
use crate::time::Timestamp;
use crate::turn::{Asking, Call, Fate, Inquiry, Phase, Turn};

impl State {
    /// Folds one event. Entries come in the order of their seq.
    pub fn apply(&mut self, entry: &Entry) {
        self.head = entry.seq;
        self.updated_at = entry.at;
        if let Some(asked) = &entry.asked {
            self.answered.requests.remember(asked, entry.seq, entry.turn);
        }
        self.totals.filled = Filled::after(self.totals.filled, &entry.event);
        self.apply_session(entry);
        self.hear_loop(entry);
        // What a signal brought is there until its wait has ended.
        self.hear_relay(entry);
        self.hear_waits(entry);
        self.upkeep.memories.hear(entry);
        // Whom a session told that this one was forked from is that one's.
        if self.is_own(entry.seq) {
            self.upkeep.notices.hear(entry);
        }
        if let Some(usage) = used_beside(&entry.event).filter(|_| self.is_own(entry.seq)) {
            self.totals.spent.add(usage, entry.at);
        }
        self.questions.parked.take_if(|parked| parked.calls_settled());
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "loops and waits hear of their own events")]
    fn apply_session(&mut self, entry: &Entry) {
        match &entry.event {
            Event::SessionCreated(created) => self.create(created, entry.at),
            Event::SessionUpdated(updated) => self.apply_updated(updated, entry.seq),
            Event::SessionPaused(paused) if self.hold == Hold::Open => {
                self.hold = Hold::Paused { by: paused.by.clone(), reason: paused.reason.clone() };
            }
            Event::SessionResumed(_) if !self.is_archived() => self.apply_resumed(),
            // Said once more, it changes nothing.
            Event::SessionPaused(_) | Event::SessionResumed(_) => {}
            Event::SessionArchived(archived) => self.apply_archived(archived),
            Event::SessionRewound(rewound) => self.apply_rewound(entry, rewound),
            Event::MessageReceived(message) => {
                self.queue.items.retain(|queued| Some(queued.input) != message.input);
                if let Some(profile) = &mut self.profile {
                    profile.opening.get_or_insert_with(|| opening(message));
                }
                self.turn.iter_mut().for_each(|turn| turn.steered = true);
            }
            Event::InputQueued(queued) => self.enqueue(queued, entry),
            Event::InputEdited(edited) => {
                let queued = self.queue.items.iter_mut().find(|queued| queued.input == edited.input);
                queued.into_iter().for_each(|queued| queued.content.clone_from(&edited.content));
            }
            Event::InputRemoved(removed) => self.queue.items.retain(|queued| queued.input != removed.input),
            Event::TurnStarted(started) => {
                entry.turn.into_iter().for_each(|id| self.begin(id, started.trigger, entry.at));
            }
            Event::TurnEnded(ended) => self.end_turn(ended, entry.turn, entry.at),
            Event::RecoveryNoted(noted) => self.note_recovery(noted),
            Event::InterruptRequested(_)
            | Event::StepStarted(_)
            | Event::StepFinished(_)
            | Event::StepFailed(_)
            | Event::CallAllowed(_)
            | Event::CallDenied(_)
            | Event::ApprovalRequested(_)
            | Event::CallStarted(_)
            | Event::CallFinished(_)
            | Event::QuestionAsked(_)
            | Event::CallLost(_) => self.apply_turn(entry),
            Event::QuestionAnswered(answered) => self.apply_answer(answered, entry.at),
            Event::TodoChanged(changed) => self.todos.clone_from(&changed.items),
            Event::CompactionProgressed(CompactionProgressed { usage, .. })
            | Event::CompactionFailed(CompactionFailed { usage, .. }) => {
                self.spend(*usage, entry);
                self.upkeep.view.apply(entry);
            }
            Event::ContextPruned(_)
            | Event::ContextRebuilt(_)
            | Event::CompactionStarted(_)
            | Event::CompactionCancelled(_)
            | Event::CompactionSkipped(_)
            | Event::CheckpointCreated(_)
            | Event::CheckpointActivated(_) => {
                self.upkeep.view.apply(entry);
                // What a turn might have needed is no turn's any more.
                let over = self.turn.is_none();
                self.upkeep.view.vain.iter_mut().for_each(|vain| vain.over |= over);
            }
            Event::MemoryObserved(_)
            | Event::MemoryReflected(_)
            | Event::MemoryAdded(_)
            | Event::MemoryEdited(_)
            | Event::MemoryForgotten(_)
            | Event::MemoryErased(_)
            | Event::MemoryFailed(_) => self.upkeep.memories.apply(entry),
            _beside => {}
        }
    }

    /// What was sent to the session that this one was forked from is that one's.
    fn hear_waits(&mut self, entry: &Entry) {
        let is_kept = !matches!(entry.event, Event::SignalReceived(_)) || self.is_own(entry.seq);
        if is_kept {
            self.queue.waits.hear(entry);
        }
    }

    fn apply_updated(&mut self, updated: &SessionUpdated, at: Seq) {
        if let Some(profile) = &mut self.profile {
            profile.title = updated.title.clone().or_else(|| profile.title.take());
            profile.labels = updated.labels.clone().unwrap_or_else(|| std::mem::take(&mut profile.labels));
        }
        if self.last.is_some() {
            self.upkeep.memories.begin(updated.memory, at);
        }
        self.upkeep.memories.take_part(updated.memory, at);
    }

    fn apply_resumed(&mut self) {
        self.hold = Hold::Open;
        self.queue.held = false;
        let parked = self.turn.iter_mut().flat_map(|turn| &mut turn.calls).filter(|call| call.fate == Fate::Parked);
        parked.for_each(|call| call.fate = Fate::GivenUp);
    }

    fn spend(&mut self, usage: Usage, entry: &Entry) {
        if self.is_own(entry.seq) {
            self.totals.spent.add(usage, entry.at);
        }
    }

    fn apply_archived(&mut self, event: &SessionArchived) {
        match (event.archived, &self.hold) {
            (true, Hold::Open) => self.hold = Hold::Archived { paused: None },
            (true, Hold::Paused { by, reason }) => {
                let paused = SessionPaused { by: by.clone(), reason: reason.clone() };
                self.hold = Hold::Archived { paused: Some(paused) };
            }
            (false, Hold::Archived { .. }) => self.hold = Hold::Open,
            (true, Hold::Archived { .. }) | (false, Hold::Open | Hold::Paused { .. }) => {}
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "only events of a turn come here")]
    fn apply_turn(&mut self, entry: &Entry) {
        self.remember_decision(entry);
        match &entry.event {
            Event::StepStarted(_) => self.upkeep.view.asked = entry.seq,
            Event::StepFailed(failed) => self.upkeep.view.note_failed(failed),
            Event::StepFinished(_) => (self.upkeep.view.overflow, self.upkeep.view.asked) = (None, 0),
            _other => {}
        }
        let is_own = self.is_own(entry.seq);
        let turn = match &mut self.turn {
            Some(turn) => Some(turn).filter(|turn| entry.turn == Some(turn.id)),
            None => self.questions.parked.as_deref_mut(),
        };
        let Some(turn) = turn else { return };
        match &entry.event {
            Event::InterruptRequested(requested) => turn.interrupt = Some(requested.clone()),
            Event::StepStarted(started) => turn.start_step(entry.step, started),
            Event::StepFinished(finished) => {
                turn.finish_step(finished);
                if is_own {
                    self.totals.spent.add(finished.usage, entry.at);
                }
            }
            Event::StepFailed(failed) => turn.fail_step(failed, entry.at),
            Event::CallAllowed(allowed) => turn.allow(allowed),
            Event::CallDenied(denied) => turn.settle(denied.call),
            Event::ApprovalRequested(requested) => {
                if let Some(call) = turn.call_mut(requested.call) {
                    let (summary, rule) = (requested.summary.clone(), requested.rule.clone());
                    let because = requested.because.clone();
                    call.inquiry = None;
                    call.phase = Phase::Awaiting { summary, rule, because, seq: entry.seq };
                    call.effect = requested.effect;
                    call.on_lost = requested.on_lost;
                    call.ruled.clone_from(&requested.ruled);
                }
            }
            Event::CallStarted(started) => {
                if let Some(call) = turn.call_mut(started.call) {
                    call.phase = Phase::Running;
                    // What an earlier attempt asked is not what this one waits for.
                    call.inquiry = None;
                    call.attempt = started.attempt;
                    call.effect = started.effect;
                }
            }
            Event::QuestionAsked(asked) => {
                if let Some(call) = turn.call_mut(asked.call) {
                    let questions = asked.questions.clone();
                    match asked.attempt {
                        Some(_) => call.inquiry = Some(Inquiry { question: asked.question, questions }),
                        None => call.phase = Phase::Asking(questions),
                    }
                }
            }
            Event::CallFinished(finished) => turn.settle(finished.call),
            Event::CallLost(lost) => turn.settle(lost.call),
            _of_no_turn => {}
        }
    }

    fn create(&mut self, created: &SessionCreated, at: Timestamp) {
        self.upkeep.memories.mode = created.memory;
        self.profile = Some(Profile {
            session: created.session,
            created_at: at,
            agent: created.agent.clone(),
            agent_digest: created.agent_digest.clone(),
            title: created.title.clone(),
            project: created.project.clone(),
            task: created.task.clone(),
            parent: created.parent.clone(),
            on_disconnect: created.on_disconnect,
            labels: created.labels.clone(),
            opening: None,
            aside: Vec::new(),
        });
    }

    fn enqueue(&mut self, queued: &InputQueued, entry: &Entry) {
        self.queue.held = false;
        self.queue.items.push(Queued {
            input: queued.input,
            content: queued.content.clone(),
            attachments: queued.attachments.clone(),
            output_schema: queued.output_schema.clone(),
            origin: queued.origin.clone(),
            starts: queued.starts,
            seq: entry.seq,
        });
    }

    fn end_turn(&mut self, ended: &TurnEnded, turn: Option<TurnId>, at: Timestamp) {
        if let Some(running) = self.turn.take_if(|running| turn == Some(running.id)) {
            self.upkeep.view.end_turn();
            self.questions.open = running.open_questions();
            let waits = running.calls.iter().any(|call| matches!(call.phase, Phase::Awaiting { .. }));
            self.questions.parked = (ended.ending == Ending::Ask && waits).then(|| Box::new(running.clone()));
            self.queue.held = ended.error.is_some();
            self.totals.turns += 1;
            self.totals.usage.add(ended.usage);
            let outages = running.outages.after(ended.error.is_some());
            self.last =
                Some(LastTurn { id: running.id, ending: ended.ending, error: ended.error.clone(), at, outages });
        }
    }

    fn note_recovery(&mut self, noted: &RecoveryNoted) {
        let Some(turn) = &mut self.turn else { return };
        for call in &mut turn.calls {
            let ran = noted.calls_resumed.contains(&call.id) || noted.parked_for == Some(call.id);
            call.deaths += u32::from(ran);
            if noted.parked_for == Some(call.id) {
                call.fate = Fate::Parked;
            }
        }
    }

    /// Remembers what a person decided, so that a later decider learns of it, and what `always` granted.
    #[expect(clippy::wildcard_enum_match_arm, reason = "only a person's decision is remembered")]
    fn remember_decision(&mut self, entry: &Entry) {
        let at = entry.at;
        match &entry.event {
            Event::CallAllowed(CallAllowed { call, by: Decider::Person(by), scope, .. }) => {
                let verdict = match scope {
                    Scope::Once => Verdict::Allow,
                    Scope::Always => Verdict::AllowAlways,
                    Scope::Agent => Verdict::AllowAgent,
                };
                if let (Scope::Always | Scope::Agent, Some(rule)) = (scope, self.awaited_rule(*call)) {
                    self.answered.decisions.grant(rule);
                }
                self.push_decision(PastDecision { call: *call, verdict: Some(verdict), by: by.clone(), at });
            }
            Event::CallDenied(CallDenied { call, by: Decider::Person(by), .. }) => {
                self.push_decision(PastDecision { call: *call, verdict: Some(Verdict::Deny), by: by.clone(), at });
            }
            // Nobody had decided when the person wrote.
            Event::CallDenied(CallDenied { call, by: Decider::Runtime, .. }) if self.awaited_rule(*call).is_some() => {
                self.push_decision(PastDecision { call: *call, verdict: None, by: self.interrupter(), at });
            }
            Event::CallFinished(finished) if self.is_asking(finished.call) => {
                let (question, by) = (question_of(finished.call), self.interrupter());
                self.remember_answer(PastAnswer { question, answers: Vec::new(), by, at });
            }
            Event::CallFinished(finished) if self.awaited_rule(finished.call).is_some() => {
                let by = self.interrupter();
                self.push_decision(PastDecision { call: finished.call, verdict: None, by, at });
            }
            _other => {}
        }
    }

    fn interrupter(&self) -> Origin {
        let by = self.turn.as_ref().and_then(|turn| Some(turn.interrupt.as_ref()?.by.clone()));
        by.unwrap_or_else(|| Origin::of(crate::event::OriginKind::Runtime))
    }

    fn is_asking(&self, id: CallId) -> bool {
        let call = self.turn.as_ref().and_then(|turn| turn.call(id));
        call.is_some_and(|call| matches!(call.phase, Phase::Asking(_)))
    }

    /// Returns the rule that an `always` on this call would store, if it waits for a person.
    #[must_use]
    pub fn awaited_rule(&self, call: CallId) -> Option<String> {
        match &self.call(call)?.phase {
            Phase::Awaiting { rule, .. } => Some(rule.clone()),
            Phase::Asked | Phase::Asking(_) | Phase::Cleared | Phase::Running | Phase::Settled => None,
        }
    }

    fn push_decision(&mut self, decision: PastDecision) {
        self.answered.decisions.made.push(decision);
        let surplus = self.answered.decisions.made.len().saturating_sub(DECISIONS_REMEMBERED);
        self.answered.decisions.made.drain(..surplus);
    }
}

impl Turn {
    fn start_step(&mut self, step: Option<u32>, started: &StepStarted) {
        self.step = step.unwrap_or(self.step);
        self.asking = Asking::Asked { attempt: started.attempt };
        self.outages.ask(&started.model);
        self.capped = started.capped;
        self.calls.clear();
        self.steered = false;
    }

    fn finish_step(&mut self, finished: &StepFinished) {
        self.failures = 0;
        self.outages.answered();
        self.usage.add(finished.usage);
        self.asking = Asking::Answered { stop: finished.stop_reason };
        self.calls = finished.content.iter().filter_map(asked_call).collect();
    }

    fn fail_step(&mut self, failed: &StepFailed, at: Timestamp) {
        let until = failed.retry_at.unwrap_or(at.plus_ms(FALLBACK_REST_MS));
        self.outages.failed(at, until, failed.kind);
        self.failures = self.failures.saturating_add(1);
        self.asking = match failed.retry_at {
            Some(until) => Asking::Backoff { attempt: failed.attempt, until, kind: failed.kind },
            None => {
                let (attempt, kind) = (failed.attempt, failed.kind);
                Asking::GaveUp { attempt, kind, message: failed.message.clone() }
            }
        };
    }

    fn allow(&mut self, allowed: &CallAllowed) {
        if let Some(call) = self.call_mut(allowed.call) {
            call.phase = Phase::Cleared;
            call.effect = allowed.effect;
            call.on_lost = allowed.on_lost;
            call.ruled.clone_from(&allowed.ruled);
        }
    }

    pub(super) fn settle(&mut self, id: CallId) {
        if let Some(call) = self.call_mut(id) {
            call.phase = Phase::Settled;
            call.inquiry = None;
        }
    }
}

/// Returns the tokens of what was done beside turns for what is remembered.
#[expect(clippy::wildcard_enum_match_arm, reason = "nothing else asks a model for what is remembered")]
fn used_beside(event: &Event) -> Option<Usage> {
    match event {
        Event::MemoryObserved(observed) => Some(observed.usage),
        Event::MemoryReflected(reflected) => Some(reflected.usage),
        Event::MemoryFailed(failed) => Some(failed.usage),
        _other => None,
    }
}

/// The first line of what was said; where only files were sent, the first of them.
fn opening(message: &MessageReceived) -> String {
    let shown = message.attachments.first().map(Attachment::shown);
    let content = Some(message.content.as_str()).filter(|content| !content.trim().is_empty()).or(shown.as_deref());
    let content = content.unwrap_or_default();
    content.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().chars().take(80).collect()
}

fn asked_call(block: &Block) -> Option<Call> {
    match block {
        Block::ToolUse { id, name, input, malformed } => {
            Some(Call::asked(*id, name.clone(), input.clone(), malformed.clone()))
        }
        Block::Text { .. }
        | Block::Thinking { .. }
        | Block::RedactedThinking { .. }
        | Block::ToolResult { .. }
        | Block::Media(_) => None,
    }
}
