//! What can be asked without changing anything.

use std::sync::Arc;

use outlive_core::content::{Block, Usage};
use outlive_core::context::{MessageItem, fold_messages};
use outlive_core::digest::Digest;
use outlive_core::event::{Aside, Ending, Entry, Event, Line, TurnError};
use outlive_core::id::{CallId, Seq, SessionId, TurnId};
use outlive_core::session::{OpenQuestion, Refusal, State};
use outlive_core::turn::Phase;
use outlive_store::{ListQuery, Row, StoreError};
use tokio::sync::{broadcast, oneshot};

use crate::actor::{Mail, Viewed};
use crate::feeds::Published;
use crate::subscribe::{Signal, Subscription};
use crate::{Runtime, SubmitError, load};

/// A call that waits for a person.
#[derive(Debug, Clone, PartialEq)]
pub struct Approval {
    /// The session.
    pub session: SessionId,
    /// The call.
    pub call: CallId,
    /// The event that asks.
    pub seq: Seq,
    /// The tool.
    pub tool: String,
    /// Exactly what will run.
    pub summary: String,
    /// The rule that an `always` would store.
    pub rule: String,
    /// The parts of it that must be asked about, each with the reason.
    pub because: Vec<String>,
    /// What the tool is given.
    pub arguments: serde_json::Value,
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Which.
    pub turn: TurnId,
    /// How.
    pub ending: Ending,
    /// Why, if it failed.
    pub error: Option<TurnError>,
    /// The last thing that the agent said in it.
    pub message: String,
    /// Tokens of all its steps.
    pub usage: Usage,
}

impl Runtime {
    /// Returns a session's state.
    ///
    /// # Errors
    ///
    /// [`Refusal::NoSession`], or what the store says.
    pub async fn view(&self, session: SessionId) -> Result<Arc<State>, SubmitError> {
        self.viewed(session).await.map(|viewed| viewed.state)
    }

    pub(crate) async fn viewed(&self, session: SessionId) -> Result<Viewed, SubmitError> {
        if let Some(inbox) = self.sessions.live(session) {
            let (reply, answer) = oneshot::channel();
            if inbox.send(Mail::View(reply)).await.is_ok()
                && let Ok(viewed) = answer.await
            {
                return existing(viewed);
            }
        }
        let loaded = load::state(&self.shell.store, session).await.map_err(missing)?;
        if loaded.was_long() && loaded.state.head > 0 {
            // Whoever looks once looks again: it stays in memory for a while, and leaves a snapshot.
            self.wake(session).await;
        }
        existing(Viewed { state: Arc::new(loaded.state), layers: None })
    }

    /// Returns up to `limit` lines of a session's journal after a position.
    ///
    /// # Errors
    ///
    /// [`Refusal::NoSession`], or what the store says.
    pub async fn entries(&self, session: SessionId, after: Seq, limit: usize) -> Result<Vec<Line>, SubmitError> {
        let opened = self.shell.store.journals.read(session, after, limit).await.map_err(missing)?;
        Ok(opened.lines)
    }

    /// Returns a session's head.
    ///
    /// # Errors
    ///
    /// [`Refusal::NoSession`], or what the store says.
    pub async fn head(&self, session: SessionId) -> Result<Seq, SubmitError> {
        match self.shell.store.journals.head(session).await.map_err(missing)? {
            0 => Err(SubmitError::Refused(Refusal::NoSession)),
            head => Ok(head),
        }
    }

    /// Returns up to `limit` messages of the transcript after a position.
    ///
    /// # Errors
    ///
    /// [`Refusal::NoSession`], or what the store says.
    pub async fn messages(
        &self,
        session: SessionId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<MessageItem>, SubmitError> {
        let state = self.view(session).await?;
        let aside = state.profile.as_ref().map(|profile| profile.aside.as_slice()).unwrap_or_default();
        let mut items = Vec::new();
        let mut at = after;
        while items.len() < limit {
            let lines = self.entries(session, at, 1_024).await?;
            let Some(last) = lines.last() else { break };
            at = last.seq();
            let entries: Result<Vec<Entry>, StoreError> = lines.iter().map(|line| load::read(session, line)).collect();
            items.extend(fold_messages(&entries.map_err(SubmitError::Store)?));
        }
        items.truncate(limit);
        items.iter_mut().for_each(|item: &mut MessageItem| item.set_aside = Aside::holds(aside, item.seq));
        Ok(items)
    }

    /// Listens to a session: its journal after a position, then live.
    #[must_use]
    pub fn subscribe(&self, session: SessionId, after: Seq) -> Subscription {
        Subscription::new(session, self.shell.store.clone(), self.shell.feeds.listen(session), after)
    }

    /// Listens to all sessions from now on. A listener that falls behind is told so by the channel.
    #[must_use]
    pub fn subscribe_to_all(&self) -> broadcast::Receiver<(SessionId, Published)> {
        self.shell.feeds.listen_to_all()
    }

    /// Waits for a turn's ending.
    ///
    /// # Errors
    ///
    /// What the store says of the journal.
    pub async fn outcome(&self, session: SessionId, turn: TurnId, after: Seq) -> Result<Outcome, SubmitError> {
        let mut listener = self.subscribe(session, after.saturating_sub(1));
        let mut message = String::new();
        loop {
            match listener.next().await.map_err(SubmitError::Store)? {
                Some(Signal::Event(_, entry)) if entry.turn == Some(turn) => {
                    if let Some(outcome) = follow(&entry, turn, &mut message) {
                        return Ok(outcome);
                    }
                }
                Some(Signal::Event(..) | Signal::Delta(_) | Signal::Live) => {}
                None => return Err(SubmitError::Closing),
            }
        }
    }

    /// Returns a page of the list.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub async fn list(&self, query: ListQuery) -> Result<Vec<Row>, StoreError> {
        self.shell.store.index.list(query).await
    }

    /// Returns the calls of a session that wait for a person.
    ///
    /// # Errors
    ///
    /// As for [`Runtime::view`].
    pub async fn approvals(&self, session: SessionId) -> Result<Vec<Approval>, SubmitError> {
        let state = self.view(session).await?;
        let calls = state.calls().iter();
        Ok(calls
            .filter_map(|call| match &call.phase {
                Phase::Awaiting { summary, rule, because, seq } => Some(Approval {
                    session,
                    call: call.id,
                    seq: *seq,
                    tool: call.tool.clone(),
                    summary: summary.clone(),
                    rule: rule.clone(),
                    because: because.clone(),
                    arguments: call.input.clone(),
                }),
                Phase::Asked | Phase::Asking(_) | Phase::Cleared | Phase::Running | Phase::Settled => None,
            })
            .collect())
    }

    /// Returns the questions of a session that wait for a person.
    ///
    /// # Errors
    ///
    /// As for [`Runtime::view`].
    pub async fn questions(&self, session: SessionId) -> Result<Vec<OpenQuestion>, SubmitError> {
        Ok(self.view(session).await?.open_questions())
    }

    /// Returns a large output.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub async fn artifact(&self, hash: Digest) -> Result<Option<Vec<u8>>, StoreError> {
        self.shell.store.artifacts.get(hash).await
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "only what was said and the ending matter to whoever waits")]
fn follow(entry: &Entry, turn: TurnId, message: &mut String) -> Option<Outcome> {
    match &entry.event {
        Event::StepFinished(finished) => {
            let said: Vec<&str> = finished.content.iter().filter_map(text).collect();
            if !said.is_empty() {
                *message = said.join("\n\n");
            }
            None
        }
        Event::TurnEnded(ended) => Some(Outcome {
            turn,
            ending: ended.ending,
            error: ended.error.clone(),
            message: std::mem::take(message),
            usage: ended.usage,
        }),
        _other => None,
    }
}

fn text(block: &Block) -> Option<&str> {
    match block {
        Block::Text { text } => Some(text),
        Block::Media(_)
        | Block::Thinking { .. }
        | Block::RedactedThinking { .. }
        | Block::ToolUse { .. }
        | Block::ToolResult { .. } => None,
    }
}

fn existing(viewed: Viewed) -> Result<Viewed, SubmitError> {
    if viewed.state.profile.is_some() { Ok(viewed) } else { Err(SubmitError::Refused(Refusal::NoSession)) }
}

pub(crate) fn missing(error: StoreError) -> SubmitError {
    if matches!(error, StoreError::NotFound(_)) {
        SubmitError::Refused(Refusal::NoSession)
    } else {
        SubmitError::Store(error)
    }
}
