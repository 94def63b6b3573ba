//! What follows from one command: the events of one append, and the effects that begin once it is durable.
//!
//! Invariant: known secrets are taken out of every event before it is folded: what is believed is what is written.

use std::collections::BTreeMap;
use std::sync::Arc;

use outlive_core::context::{Counter, Transcript, added};
use outlive_core::event::{Asked, Entry, Event, Line, LineError};
use outlive_core::id::{CallId, QuestionId, Seq};
use outlive_core::notice::Topic;
use outlive_core::redact::Secrets;
use outlive_core::session::{Beside, Fact, Held, State};
use outlive_core::time::Timestamp;

use crate::hands::{Ask, Run};
use crate::refusals::refused;

/// Events in order, not yet durable, already folded.
pub(super) struct Batch {
    before: Seq,
    held_before: Held,
    /// When the turn began that ran before.
    began: Option<Timestamp>,
    events: Vec<(Line, Entry)>,
    secrets: Secrets,
    counter: Arc<dyn Counter>,
    /// The tools of calls that did not simply run: the next step forgets them.
    tools: BTreeMap<CallId, String>,
    /// What people are told of.
    worth_telling: Vec<(Topic, Seq)>,
    /// How many of them happened in another session.
    shared: usize,
    acts: Acts,
}

/// Effects to begin.
#[derive(Default)]
pub(super) struct Acts {
    pub(super) ask: Option<Ask>,
    pub(super) runs: Vec<Run>,
    pub(super) finds: Vec<Run>,
    pub(super) stops: Vec<CallId>,
    pub(super) beside: Vec<Beside>,
    pub(super) wake_at: Option<Timestamp>,
}

impl Batch {
    pub(super) fn new(state: &State, held_before: Held, (secrets, counter): (Secrets, Arc<dyn Counter>)) -> Self {
        let began = state.turn.as_ref().map(|turn| turn.started_at);
        Self {
            before: state.head,
            held_before,
            began,
            events: Vec::new(),
            secrets,
            counter,
            tools: BTreeMap::new(),
            worth_telling: Vec::new(),
            shared: 0,
            acts: Acts::default(),
        }
    }

    /// Returns the line of an event, and where there was a secret in it, the event without.
    fn write(&self, entry: &Entry) -> Result<(Line, Option<Entry>), LineError> {
        let line = Line::write(entry)?;
        match line.redacted(&self.secrets.now())? {
            None => Ok((line, None)),
            Some(clean) => clean.read().map(|read| (clean, Some(read))),
        }
    }

    /// Gives facts their place and time and folds them. The first one carries the request that asked for them.
    ///
    /// Says whether all could be written: a fact whose line would be too long is left out.
    pub(super) fn add(
        &mut self,
        state: &mut State,
        mut transcript: Option<&mut Transcript>,
        facts: Vec<Fact>,
        (at, asked): (Timestamp, Option<Asked>),
    ) -> bool {
        let (mut asked, mut all) = (asked, true);
        // Time never runs backwards within a journal, whatever the system's clock does.
        let at = at.max(state.updated_at);
        for fact in facts {
            let Fact { turn, step, event } = fact;
            let tokens = self.tokens(&event);
            let entry = Entry { seq: state.head + 1, at, turn, step, asked: asked.take(), tokens, event };
            match self.write(&entry) {
                Ok((line, clean)) => {
                    let entry = clean.unwrap_or(entry);
                    state.apply(&entry);
                    self.worth_telling.extend(Topic::of(&entry.event, state).map(|topic| (topic, entry.seq)));
                    let refused = refused(&entry.event).and_then(|(call, ..)| state.call(call));
                    self.tools.extend(refused.map(|call| (call.id, call.tool.clone())));
                    if let Some(transcript) = transcript.as_deref_mut() {
                        transcript.apply(&entry);
                    }
                    self.events.push((line, entry));
                }
                Err(error) => {
                    tracing::error!(%error, event = entry.event.name(), "event cannot be written");
                    all = false;
                }
            }
        }
        all
    }

    fn tokens(&self, event: &Event) -> Option<u32> {
        if self.counter.is_exact() { added(event, &*self.counter) } else { None }
    }

    /// Folds events that have their places already. Says whether all can be written.
    pub(super) fn share(&mut self, state: &mut State, entries: Vec<Entry>) -> bool {
        for entry in entries {
            // Those of another program were never counted.
            let entry = Entry { tokens: entry.tokens.or_else(|| self.tokens(&entry.event)), ..entry };
            let Ok((line, clean)) = self.write(&entry) else { return false };
            let entry = clean.unwrap_or(entry);
            state.apply(&entry);
            self.events.push((line, entry));
            self.shared += 1;
        }
        true
    }

    /// Takes what people are to be told of.
    pub(super) fn worth_telling(&mut self) -> Vec<(Topic, Seq)> {
        std::mem::take(&mut self.worth_telling)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub(super) fn before(&self) -> Seq {
        self.before
    }

    pub(super) fn held_before(self) -> Held {
        self.held_before
    }

    pub(super) fn lines(&self) -> Vec<Line> {
        self.events.iter().map(|(line, _)| line.clone()).collect()
    }

    /// Returns what was refused to the agent, or asked about, each with its tool.
    pub(super) fn refused(&self) -> impl Iterator<Item = (&Entry, &str)> {
        let tool = |call| self.tools.get(&call).map_or("", String::as_str);
        self.entries().filter_map(move |entry| Some((entry, tool(refused(&entry.event)?.0))))
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.events.iter().map(|(_, entry)| entry)
    }

    /// Returns the calls that its events start, with their attempts.
    #[expect(clippy::wildcard_enum_match_arm, reason = "one kind of event is looked for")]
    pub(super) fn started(&self) -> Vec<(CallId, u32)> {
        let started = |entry: &Entry| match &entry.event {
            Event::CallStarted(started) => Some((started.call, started.attempt)),
            _no_start => None,
        };
        self.entries().filter_map(started).collect()
    }

    /// Returns the questions of running calls that its events answer, with the answers.
    #[expect(clippy::wildcard_enum_match_arm, reason = "one kind of event is looked for")]
    pub(super) fn answered(&self) -> Vec<(QuestionId, Vec<Vec<String>>)> {
        let answered = |entry: &Entry| match &entry.event {
            Event::QuestionAnswered(it) if it.attempt.is_some() => Some((it.question, it.answers.clone())),
            _no_answer => None,
        };
        self.entries().filter_map(answered).collect()
    }

    pub(super) fn events(&self) -> &[(Line, Entry)] {
        &self.events
    }

    /// Returns what happened here, and when the turn began that ran before it.
    pub(super) fn happened(&self) -> (Option<Timestamp>, &[(Line, Entry)]) {
        (self.began, self.events.get(self.shared..).unwrap_or_default())
    }

    pub(super) fn acts(&mut self) -> &mut Acts {
        &mut self.acts
    }

    pub(super) fn into_acts(self) -> Acts {
        self.acts
    }
}
