//! What people and agents ask about what is remembered: have something noted, say it otherwise, forget it, condense it. Each is a
//! command to the session whose journal has the rows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use outlive_core::command::{Command, Create, MemoryCommand, Report};
use outlive_core::event::{Event, Line, MemoryForgotten, OnDisconnect, Origin};
use outlive_core::id::{AgentName, MemoryId, RequestId, Seq, SessionId};
use outlive_core::memory::{Memory, Mode};
use outlive_core::session::{Refusal, State};
use outlive_store::{RememberedQuery, StoreError};
use tokio::sync::oneshot;

use crate::actor::Mail;
use crate::hands::{Notes, holding};
use crate::memory::{notebook, of_session};
use crate::subscribe::Signal;
use crate::{Accepted, BUSY_MS, Runtime, SubmitError, load};

/// How long a request waits until what it has forgotten is erased, too: that goes on without it.
const PATIENCE: Duration = Duration::from_secs(30);
/// Notes of an agent that are condensed in one go.
const OF_AGENT: usize = 120;

/// Where something is noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// In this session.
    Session(SessionId),
    /// In the agent's notebook: it came up in no conversation.
    Agent(AgentName),
}

/// What has become of what was to be forgotten.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Forgotten {
    /// What is forgotten: it, and what was made of it.
    pub memories: Vec<MemoryId>,
    /// Lines that were written anew; none while that goes on.
    pub lines: Option<u64>,
    /// Lines that hold its words still: what a person said stays unless they ask for it to go.
    pub left: Vec<(SessionId, Seq)>,
}

impl Runtime {
    /// Has something remembered. Its id, and since when it holds, are given where it has none.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]
    pub async fn note(
        &self,
        whose: &Whose,
        memory: Memory,
        (by, request): (Origin, Option<RequestId>),
    ) -> Result<(SessionId, Memory), SubmitError> {
        let session = self.place(whose, &by).await?;
        let what = MemoryCommand::Add(Box::new(memory));
        let accepted = self.submit(session, Command::Memory { what, by }, request).await?;
        let event = self.event(session, &accepted).await?;
        let Event::MemoryAdded(added) = event else { return Err(unlike(session, accepted.seq, &event)) };
        Ok((session, added.memory))
    }

    /// Has it say something else.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]; [`Refusal::Invalid`] with `memory_not_found` where there is none.
    pub async fn rewrite(
        &self,
        memory: MemoryId,
        text: String,
        (by, request): (Origin, Option<RequestId>),
    ) -> Result<SessionId, SubmitError> {
        let session = self.home(memory).await?.ok_or_else(|| unknown(memory))?;
        let what = MemoryCommand::Edit { memory, text };
        self.submit(session, Command::Memory { what, by }, request).await.map(|_| session)
    }

    /// Forgets it, with all that was made of it; with `sources` the messages that it comes from, too. Waits until its words are
    /// erased, and says where some are left.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]; [`Refusal::Invalid`] with `memory_not_found` where there is none.
    pub async fn forget_memory(
        self: &Arc<Self>,
        memory: MemoryId,
        sources: bool,
        (by, request): (Origin, Option<RequestId>),
    ) -> Result<Forgotten, SubmitError> {
        let home = self.home(memory).await?.ok_or_else(|| unknown(memory))?;
        if let Some(request) = &request
            && let Some(before) = self.state_of(home).await?.answered.requests.get(request)
            && let Some(MemoryForgotten { memories, .. }) = self.was_forgotten(home, before.seq).await?
        {
            return Ok(Forgotten { memories, ..Forgotten::default() });
        }
        let (mut plan, texts) = self.made_of(home, memory).await?;
        let own = plan.remove(&home).unwrap_or_else(|| vec![memory]);
        // Its own journal last: whoever asks again finds it until then.
        let mut heard = Vec::new();
        for (session, memories) in plan.iter().map(|(session, memories)| (*session, memories)).chain([(home, &own)]) {
            let request = request.clone().filter(|_| session == home);
            let what = MemoryCommand::Forget { memories: memories.clone(), sources };
            let accepted = self.submit(session, Command::Memory { what, by: by.clone() }, request).await?;
            heard.push((session, accepted.seq));
        }
        let mut lines = Some(0);
        for (session, seq) in heard {
            let erased = tokio::time::timeout(PATIENCE, self.erased(session, seq)).await.ok().flatten();
            lines = lines.zip(erased).map(|(sum, lines)| sum + lines);
        }
        let left = holding(&self.shell, &texts).await.map_err(SubmitError::Store)?;
        let memories = own.into_iter().chain(plan.into_values().flatten()).collect();
        Ok(Forgotten { memories, lines, left })
    }

    /// Condenses what a session noted, or what an agent knows in all its sessions. What comes of it is only shown where `is_dry`.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]; [`Refusal::Invalid`] with `reflection_failed` where the model gave no answer.
    pub async fn reflect(
        &self,
        whose: &Whose,
        is_dry: bool,
        (by, request): (Origin, Option<RequestId>),
    ) -> Result<Vec<Memory>, SubmitError> {
        let session = self.place(whose, &by).await?;
        let state = self.state_of(session).await?;
        if let Some(before) = request.as_ref().and_then(|request| state.answered.requests.get(request)) {
            let accepted = Accepted { seq: before.seq, turn: None, duplicate: true, head: state.head };
            return self.reflected(session, &accepted).await;
        }
        let memories = match whose {
            Whose::Session(session) => {
                let rows = of_session(&self.shell.store, *session, state.head).await.map_err(SubmitError::Store)?;
                rows.live().into_iter().map(|row| row.memory.clone()).collect()
            }
            Whose::Agent(agent) => self.wide(agent).await.map_err(SubmitError::Store)?,
        };
        let agent = state.profile.as_ref().map(|profile| profile.agent.clone());
        let agent = agent.ok_or(SubmitError::Refused(Refusal::NoSession))?;
        let kit = self.shell.kits.kit(&agent).map_err(SubmitError::Agent)?;
        let name = kit.keeper.name.clone();
        let notes = Notes { shell: self.shell.clone(), kit, state };
        let _at_work = self.shell.brake.work(session);
        if let Some(stop) = self.shell.brake.stop() {
            return Err(SubmitError::Stopped(stop));
        }
        let invalid = |what: String| SubmitError::Refused(Refusal::Invalid { code: "reflection_failed", what });
        let answer = notes.condense(memories).await.map_err(|failure| invalid(failure.message))?;
        if is_dry {
            return Ok(answer.0);
        }
        let report = Report::Reflected { model: Some(name), answer: Ok(answer) };
        let accepted = self.submit(session, Command::Report(report), request).await?;
        self.reflected(session, &accepted).await
    }

    async fn reflected(&self, session: SessionId, accepted: &Accepted) -> Result<Vec<Memory>, SubmitError> {
        let event = self.event(session, accepted).await?;
        let Event::MemoryReflected(reflected) = event else { return Err(unlike(session, accepted.seq, &event)) };
        Ok(reflected.memories)
    }

    /// Writes lines of a session in the place of others, under its own actor.
    pub(crate) async fn scrub(&self, session: SessionId, lines: Vec<Line>) -> Result<(), SubmitError> {
        let (reply, answer) = oneshot::channel();
        let inbox = self.sessions.inbox(session, &self.shell);
        inbox.send(Mail::Scrub { lines, reply }).await.map_err(|_gone| SubmitError::Closing)?;
        answer.await.map_err(|_gone| SubmitError::Busy { retry_after_ms: BUSY_MS })?
    }

    /// What an agent knows in all its sessions, oldest first.
    async fn wide(&self, agent: &AgentName) -> Result<Vec<Memory>, StoreError> {
        let scope = Some(outlive_core::memory::Scope::Agent);
        let query =
            RememberedQuery { agent: Some(agent.to_string()), scope, limit: OF_AGENT, ..RememberedQuery::default() };
        let mut rows = self.shell.store.memories.list(query).await?.rows;
        rows.reverse();
        Ok(rows.into_iter().map(|row| row.memory).collect())
    }

    /// Returns the session in which something is noted; a notebook is begun with the first note.
    async fn place(&self, whose: &Whose, by: &Origin) -> Result<SessionId, SubmitError> {
        let agent = match whose {
            Whose::Session(session) => return Ok(*session),
            Whose::Agent(agent) => agent,
        };
        let session = notebook(agent);
        if self.state_of(session).await?.profile.is_some() {
            return Ok(session);
        }
        let card = self.shell.kits.kit(agent).map_err(SubmitError::Agent)?;
        let create = Create {
            agent: agent.clone(),
            agent_digest: card.voices.at(0).frame.agent_digest.clone(),
            title: Some(format!("Notebook of {agent}")),
            project: None,
            on_disconnect: OnDisconnect::Continue,
            labels: BTreeMap::new(),
            by: by.clone(),
        };
        match self.submit(session, Command::Create(create), None).await {
            Ok(_) | Err(SubmitError::Refused(Refusal::Exists)) => {}
            Err(error) => return Err(error),
        }
        let what = MemoryCommand::Mode(Mode::On);
        self.submit(session, Command::Memory { what, by: by.clone() }, None).await?;
        Ok(session)
    }

    /// Returns the session whose journal has it: the index knows, else the journals are looked through.
    async fn home(&self, memory: MemoryId) -> Result<Option<SessionId>, SubmitError> {
        let known = self.shell.store.memories.get(memory).await.map_err(SubmitError::Store)?;
        if let Some(known) = known {
            return Ok(Some(known.row.session));
        }
        let mut first = None;
        for session in self.shell.store.directory.sessions().await.map_err(SubmitError::Store)? {
            let rows = match of_session(&self.shell.store, session, Seq::MAX).await {
                Ok(rows) => rows,
                Err(StoreError::Corrupt { .. } | StoreError::NotFound(_)) => continue,
                Err(error) => return Err(SubmitError::Store(error)),
            };
            // A fork shares the rows of its beginning: the oldest session is the one that wrote them.
            if rows.get(memory).is_some() {
                first = Some(first.map_or(session, |first: SessionId| first.min(session)));
            }
        }
        Ok(first)
    }

    /// Returns it with all that was made of it, by the journal that has each, and what all of these say.
    async fn made_of(
        &self,
        home: SessionId,
        memory: MemoryId,
    ) -> Result<(BTreeMap<SessionId, Vec<MemoryId>>, Vec<String>), SubmitError> {
        let (mut plan, mut texts) = (BTreeMap::<SessionId, Vec<MemoryId>>::new(), Vec::new());
        let mut open = vec![(home, memory)];
        while let Some((session, id)) = open.pop() {
            let rows = of_session(&self.shell.store, session, Seq::MAX).await.map_err(SubmitError::Store)?;
            for id in rows.derived(&[id]) {
                let planned = plan.entry(session).or_default();
                if planned.contains(&id) {
                    continue;
                }
                planned.push(id);
                texts.extend(rows.get(id).map(|row| row.memory.text.clone()));
                let known = self.shell.store.memories.get(id).await.map_err(SubmitError::Store)?;
                let elsewhere = known.into_iter().flat_map(|known| known.superseders);
                open.extend(elsewhere.filter(|row| row.session != session).map(|row| (row.session, row.memory.id)));
            }
        }
        Ok((plan, texts))
    }

    async fn state_of(&self, session: SessionId) -> Result<State, SubmitError> {
        load::state(&self.shell.store, session).await.map(|loaded| loaded.state).map_err(SubmitError::Store)
    }

    async fn event(&self, session: SessionId, accepted: &Accepted) -> Result<Event, SubmitError> {
        let after = accepted.seq.saturating_sub(1);
        let opened = self.shell.store.journals.read(session, after, 1).await.map_err(SubmitError::Store)?;
        let line = opened.lines.first().ok_or(SubmitError::Refused(Refusal::NoSession))?;
        load::read(session, line).map(|entry| entry.event).map_err(SubmitError::Store)
    }

    async fn was_forgotten(&self, session: SessionId, seq: Seq) -> Result<Option<MemoryForgotten>, SubmitError> {
        let accepted = Accepted { seq, turn: None, duplicate: true, head: seq };
        let event = self.event(session, &accepted).await?;
        let Event::MemoryForgotten(forgotten) = event else { return Ok(None) };
        Ok(Some(forgotten))
    }

    /// Waits until nothing is left of what this event forgot, and returns how many lines that took.
    async fn erased(self: &Arc<Self>, session: SessionId, seq: Seq) -> Option<u64> {
        let mut heard = self.subscribe(session, seq.saturating_sub(1));
        while let Ok(Some(signal)) = heard.next().await {
            if let Signal::Event(_, entry) = signal
                && let Event::MemoryErased(erased) = &entry.event
            {
                return Some(erased.lines);
            }
        }
        None
    }
}

fn unknown(memory: MemoryId) -> SubmitError {
    let what = format!("there is no memory `{memory}`; it may be forgotten");
    SubmitError::Refused(Refusal::Invalid { code: "memory_not_found", what })
}

fn unlike(session: SessionId, line: Seq, event: &Event) -> SubmitError {
    let why = format!("`{}` stands where something remembered was written", event.name());
    SubmitError::Store(StoreError::Corrupt { journal: session, line, why })
}
