//! The events of a conversation, as if it had been had here: the same order in each turn, each call allowed, started and
//! settled, each turn ended. Times are the originals', never later than the import and never backwards.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::{CWD_LABEL, CallResult, DIGEST_LABEL, ID_LABEL, PROGRAM_LABEL, Part, Source, Step, Talk, Turn, cut};
use crate::compaction::{Change, Summary};
use crate::content::{Block, StopReason, Usage};
use crate::event::{
    ActivationCause, Aside, Behavior, CallAllowed, CallFinished, CallLost, CallStarted, CheckpointActivated,
    CheckpointCreated, CompactionTrigger, Decider, Effect, Ending, Entry, Event, Made, MessageReceived, OnDisconnect,
    OnLost, Origin, OriginKind, Outcome, Scope, SessionCreated, StepFinished, StepStarted, Strategy, Trigger,
    TurnEnded, TurnStarted,
};
use crate::id::{AgentName, CallId, CheckpointId, Ids, SessionId, TurnId};
use crate::limits::RESULT_BYTES;
use crate::time::Timestamp;

/// Tokens that a checkpoint of another program may have.
const KEPT_TOKENS: u64 = 8_000;

/// A conversation of another program that becomes a session.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Adopted {
    /// The agent that goes on with it.
    pub agent: AgentName,
    /// Digest of the agent's files now.
    pub agent_digest: String,
    /// What becomes of a turn without a client.
    pub on_disconnect: OnDisconnect,
    /// The conversation.
    #[serde(skip)]
    pub talk: Arc<Talk>,
}

/// Writes the journal of a conversation. `now` is the import's time: nothing in it is later.
#[must_use]
pub fn journal(session: SessionId, adopted: &Adopted, now: Timestamp) -> Vec<Entry> {
    let Source { program, .. } = &adopted.talk.source;
    let mut writer = Writer {
        entries: Vec::new(),
        ids: Ids::from_bits(session.bits().wrapping_add(1)),
        at: adopted.talk.created_at.min(now),
        latest: now,
        program: program.clone(),
        agent_digest: adopted.agent_digest.clone(),
        place: (None, None),
    };
    writer.push(created(session, adopted));
    adopted.talk.kept.iter().for_each(|kept| writer.kept(kept));
    adopted.talk.turns.iter().for_each(|turn| writer.turn(turn));
    writer.entries
}

fn created(session: SessionId, adopted: &Adopted) -> Event {
    let talk = &adopted.talk;
    let Source { program, id, digest } = &talk.source;
    let mut labels = BTreeMap::from([
        (PROGRAM_LABEL.to_owned(), program.clone()),
        (ID_LABEL.to_owned(), id.clone()),
        (DIGEST_LABEL.to_owned(), digest.short().to_owned()),
    ]);
    labels.extend(talk.cwd.clone().map(|cwd| (CWD_LABEL.to_owned(), cwd)));
    Event::SessionCreated(SessionCreated {
        task: None,
        taken_to: None,
        memory: None,
        session,
        agent: adopted.agent.clone(),
        agent_digest: adopted.agent_digest.clone(),
        title: talk.title.clone(),
        project: None,
        parent: None,
        on_disconnect: adopted.on_disconnect,
        labels,
        by: from(program),
    })
}

fn from(program: &str) -> Origin {
    Origin { kind: OriginKind::Import, sender: Some(program.to_owned()) }
}

struct Writer {
    entries: Vec<Entry>,
    ids: Ids,
    at: Timestamp,
    latest: Timestamp,
    program: String,
    agent_digest: String,
    place: (Option<TurnId>, Option<u32>),
}

impl Writer {
    fn push(&mut self, event: Event) {
        let (seq, (turn, step)) = (self.entries.len() as u64 + 1, self.place);
        self.entries.push(Entry { seq, at: self.at, turn, step, asked: None, tokens: None, event });
    }

    /// What was kept of what was said before stands before all that is said.
    fn kept(&mut self, kept: &Change) {
        let covers = Aside { first: 1, last: 1 };
        let summary = Summary::default().merged(kept, covers).within(KEPT_TOKENS);
        let checkpoint = CheckpointId::from_bits(self.ids.fresh());
        // Behind itself, and what puts it in use.
        let tail_from = self.entries.len() as u64 + 3;
        let (trigger, strategy) = (CompactionTrigger::Asked, Strategy::Imported);
        self.push(Event::CheckpointCreated(CheckpointCreated {
            carried: None,
            checkpoint,
            version: 1,
            parent: None,
            compaction: None,
            covers,
            tail_from,
            made: Made { trigger, strategy, model: None, usage: Usage::default() },
            schema_from: None,
            tokens: (summary.tokens(), summary.tokens()),
            summary,
        }));
        let (checkpoint, cause, by) = (Some(checkpoint), ActivationCause::Chosen, from(&self.program));
        self.push(Event::CheckpointActivated(CheckpointActivated { checkpoint, tail_from, cause, by }));
    }

    fn tick(&mut self, at: Timestamp) {
        self.at = at.min(self.latest).max(self.at);
    }

    fn turn(&mut self, turn: &Turn) {
        self.tick(turn.at);
        self.place = (Some(TurnId::from_bits(self.ids.fresh())), None);
        if let Some(said) = &turn.said {
            let (content, origin) = (said.clone(), from(&self.program));
            let behavior = Behavior::default();
            self.push(Event::MessageReceived(MessageReceived {
                content,
                behavior,
                origin,
                input: None,
                attachments: Vec::new(),
                output_schema: None,
            }));
        }
        let trigger = if turn.said.is_some() { Trigger::Message } else { Trigger::Other };
        self.push(Event::TurnStarted(TurnStarted { trigger }));
        let mut usage = Usage::default();
        for (step, number) in turn.steps.iter().zip(1..) {
            self.place.1 = Some(number);
            usage.add(step.usage);
            self.step(step);
        }
        self.place.1 = None;
        let calls = |step: &Step| step.parts.iter().any(|part| matches!(part, Part::Call { .. }));
        let is_complete = turn.steps.last().is_some_and(|last| !calls(last));
        let ending = if is_complete { Ending::Complete } else { Ending::Interrupted };
        let cost = usage.charged();
        self.push(Event::TurnEnded(TurnEnded { ending, wake_at: None, error: None, usage, cost }));
        self.place = (None, None);
    }

    fn step(&mut self, step: &Step) {
        // A name of a model that no provider here has: what only its maker could check is not sent back to it.
        let model = if step.model.is_empty() { "unknown" } else { &step.model };
        let asked = self.at;
        self.push(Event::StepStarted(StepStarted {
            model: format!("{}/{model}", self.program),
            attempt: 1,
            request: String::new(),
            blocks: Vec::new(),
            tokens_estimated: step.usage.all_input(),
            agent_digest: self.agent_digest.clone(),
            messages: 0,
            capped: None,
            room: None,
        }));
        self.tick(step.at);
        let ids: Vec<CallId> = step.parts.iter().map(|_| CallId::from_bits(self.ids.fresh())).collect();
        let content: Vec<Block> = step.parts.iter().zip(&ids).map(block).collect();
        let has_calls = content.iter().any(|block| matches!(block, Block::ToolUse { .. }));
        self.push(Event::StepFinished(StepFinished {
            attempt: 1,
            content,
            stop_reason: if has_calls { StopReason::ToolUse } else { StopReason::EndTurn },
            usage: step.usage,
            latency_ms: self.at.ms_since(asked),
            provider_request_id: None,
            model: model.to_owned(),
            served_by: None,
        }));
        let calls: Vec<Settling<'_>> = step.parts.iter().zip(ids).filter_map(settling).collect();
        calls.iter().for_each(|call| self.start(call));
        let began = self.at;
        let mut ended: Vec<&Settling<'_>> = calls.iter().collect();
        ended.sort_by_key(|call| call.result.map_or(began, |result| result.at));
        ended.into_iter().for_each(|call| self.settle(call, began));
    }

    fn start(&mut self, call: &Settling<'_>) {
        if !call.ran() {
            return;
        }
        let (effect, id) = (Effect::Effectful, call.id);
        self.push(Event::CallAllowed(CallAllowed {
            call: id,
            by: Decider::Runtime,
            scope: Scope::Once,
            effect,
            on_lost: OnLost::Report,
            reason: None,
            ruled: None,
        }));
        self.push(Event::CallStarted(CallStarted {
            call: id,
            tool: call.tool.to_owned(),
            arguments: call.arguments.clone(),
            attempt: 1,
            effect,
            idempotency_key: id.to_string(),
        }));
    }

    fn settle(&mut self, call: &Settling<'_>, began: Timestamp) {
        let Some(result) = call.result else {
            let known = format!(
                "What became of this call of `{}` was not written down by {}: its outcome is unknown. It was not run again.",
                call.tool, self.program
            );
            return self.push(Event::CallLost(CallLost { call: call.id, attempt: 1, known }));
        };
        self.tick(result.at);
        let (content, details) = told(&result.content);
        self.push(Event::CallFinished(CallFinished {
            call: call.id,
            attempt: u32::from(call.ran()),
            outcome: result.outcome,
            content,
            details,
            artifact: None,
            duration_ms: self.at.ms_since(began),
        }));
    }
}

/// A call on its way to its result.
struct Settling<'a> {
    id: CallId,
    tool: &'a str,
    arguments: &'a Value,
    result: Option<&'a CallResult>,
}

impl Settling<'_> {
    fn ran(&self) -> bool {
        self.result.is_none_or(|result| result.outcome != Outcome::Interrupted)
    }
}

fn settling((part, id): (&Part, CallId)) -> Option<Settling<'_>> {
    match part {
        Part::Call { tool, arguments, result } => Some(Settling { id, tool, arguments, result: result.as_ref() }),
        Part::Text { .. } | Part::Thinking { .. } => None,
    }
}

fn block((part, id): (&Part, &CallId)) -> Block {
    match part {
        Part::Text { text } => Block::Text { text: text.clone() },
        Part::Thinking { text } => Block::Thinking { thinking: text.clone(), signature: None },
        Part::Call { tool, arguments, .. } => {
            Block::ToolUse { id: *id, name: tool.clone(), input: arguments.clone(), malformed: None }
        }
    }
}

/// What the model is told of a result, as of any here; the whole of a long one is kept beside it.
fn told(content: &str) -> (String, Option<Value>) {
    if content.len() <= RESULT_BYTES {
        return (content.to_owned(), None);
    }
    let told = cut(content, RESULT_BYTES);
    let note = format!("{told}\n[cut: the first {} of {} bytes]", told.len(), content.len());
    (note, Some(json!({ "whole": content })))
}
