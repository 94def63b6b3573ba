//! What people and agents ask about what is remembered: have something noted, say it otherwise, forget it, condense it. Each is a
//! command to the session whose journal has the rows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use outlive_core::command::{Command, Create, MemoryCommand, Report};
use outlive_core::event::{Event, Line, MemoryForgotten, OnDisconnect, Origin};
use outlive_core::id::{AgentName, MemoryId, RequestId, Seq, SessionId};
use outlive_core::memory::forget::{Extent, says};
use outlive_core::memory::{Memory, Mode, Scope};
use outlive_core::session::{Refusal, State};
use outlive_store::{Remembered, RememberedQuery, StoreError};
use tokio::sync::oneshot;

use crate::actor::Mail;
use crate::hands::{Forgetting, Notes, holding, traces, would_erase};
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
    /// Lines that hold its words still, or that it comes from: what a person said stays unless they ask for it to go.
    pub left: Vec<Left>,
}

/// A line in which something is left of what was forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Left {
    /// Its session.
    pub session: SessionId,
    /// Its place.
    pub seq: Seq,
    /// Nobody can read that journal from there on: it may be left in it.
    pub is_damaged: bool,
}

/// What is to be forgotten, by the journal that has it, and what that says.
#[derive(Debug, Default)]
struct Plan {
    memories: BTreeMap<SessionId, Vec<MemoryId>>,
    texts: Vec<String>,
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

    /// Has it say something else, or be known to others; what is not given stays.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]; [`Refusal::Invalid`] with `memory_not_found` where there is none.
    pub async fn rewrite(
        &self,
        memory: MemoryId,
        (text, scope): (Option<String>, Option<Scope>),
        (by, request): (Origin, Option<RequestId>),
    ) -> Result<SessionId, SubmitError> {
        let session = self.home(memory).await?.ok_or_else(|| unknown(memory))?;
        let text = match text {
            Some(text) => text,
            None => {
                let known = self.shell.store.memories.get(memory).await.map_err(SubmitError::Store)?;
                known.ok_or_else(|| unknown(memory))?.row.memory.text
            }
        };
        let what = MemoryCommand::Edit { memory, text, scope };
        self.submit(session, Command::Memory { what, by }, request).await.map(|_| session)
    }

    /// Forgets it, with all that was made of it. Waits until it is erased, and says where something is left. What is forgotten already
    /// can be forgotten again, with its sources.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]; [`Refusal::Invalid`] with `memory_not_found` where there is none.
    pub async fn forget_memory(
        self: &Arc<Self>,
        memory: MemoryId,
        extent: Extent,
        (by, request): (Origin, Option<RequestId>),
    ) -> Result<Forgotten, SubmitError> {
        let home = self.home(memory).await?.ok_or_else(|| unknown(memory))?;
        let (plan, heard) = match self.asked_before(home, request.as_ref()).await? {
            Some((forgotten, seq)) => {
                let memories = BTreeMap::from([(home, forgotten.memories)]);
                (Arc::new(Plan { memories, texts: Vec::new() }), vec![(home, seq)])
            }
            None => {
                let plan = Arc::new(self.made_of(home, memory).await?);
                let (runtime, asked) = (Arc::clone(self), Arc::clone(&plan));
                // To its end, though whoever asked may be gone.
                let whole = async move { runtime.submit_forgets(&asked, (home, extent), (by, request)).await };
                (plan, self.see_through(whole).await??)
            }
        };
        let erased = heard.into_iter().map(|(session, seq)| {
            let memories = plan.memories.get(&session).cloned().unwrap_or_default();
            tokio::time::timeout(PATIENCE, self.erased(session, seq, memories))
        });
        let lines = join_all(erased).await.into_iter().map(|erased| erased.ok().flatten()).sum();
        let left = self.left(&plan, extent).await.map_err(SubmitError::Store)?;
        Ok(Forgotten { memories: plan.ids(home), lines, left })
    }

    /// Says what forgetting it would take: nothing is changed.
    ///
    /// # Errors
    ///
    /// As [`Runtime::forget_memory`].
    pub async fn would_forget(&self, memory: MemoryId, extent: Extent) -> Result<Forgotten, SubmitError> {
        let home = self.home(memory).await?.ok_or_else(|| unknown(memory))?;
        let plan = self.made_of(home, memory).await?;
        let lines = would_erase(&self.shell, &plan.forgetting(extent)).await.map_err(SubmitError::Store)?;
        Ok(Forgotten { memories: plan.ids(home), lines: Some(lines), left: Vec::new() })
    }

    async fn submit_forgets(
        &self,
        plan: &Plan,
        (home, extent): (SessionId, Extent),
        (by, request): (Origin, Option<RequestId>),
    ) -> Result<Vec<(SessionId, Seq)>, SubmitError> {
        // Its own journal last: whoever asks again finds it until then.
        let others = plan.memories.keys().copied().filter(|session| *session != home);
        let mut heard = Vec::new();
        for session in others.chain([home]) {
            let memories = plan.memories.get(&session).cloned().unwrap_or_default();
            let request = request.clone().filter(|_| session == home);
            let what = MemoryCommand::Forget { memories, sources: extent == Extent::Sources };
            let accepted = self.submit(session, Command::Memory { what, by: by.clone() }, request).await?;
            heard.push((session, accepted.seq));
        }
        Ok(heard)
    }

    /// Returns where something is left: the words, and where they come from unless that was to go.
    async fn left(&self, plan: &Plan, extent: Extent) -> Result<Vec<Left>, StoreError> {
        let mut left = holding(&self.shell, &plan.texts).await?;
        for (session, forgetting) in plan.forgetting(Extent::Words).into_iter().filter(|_| extent == Extent::Words) {
            let (_, spared) = traces(&self.shell, session, &forgetting).await?;
            for seq in spared {
                let opened = self.shell.store.journals.read(session, seq.saturating_sub(1), 1).await?;
                let line = opened.lines.first().filter(|line| line.seq() == seq);
                let says = line.map(|line| load::read(session, line)).transpose()?.is_some_and(|it| says(&it.event));
                left.extend(says.then_some(Left { session, seq, is_damaged: false }));
            }
        }
        left.sort_unstable();
        left.dedup();
        Ok(left)
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
        state.check_mode().map_err(SubmitError::Refused)?;
        let read = state.head;
        let memories: Vec<Memory> = match whose {
            Whose::Session(session) => {
                let rows = of_session(&self.shell, *session, state.head).await.map_err(SubmitError::Store)?;
                rows.live().into_iter().map(|row| row.memory.clone()).collect()
            }
            Whose::Agent(agent) => self.wide(agent, session).await.map_err(SubmitError::Store)?,
        };
        let shown = match whose {
            Whose::Session(_) => Vec::new(),
            Whose::Agent(_) => memories.clone(),
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
        let answer = match notes.condense(memories).await {
            Ok(answer) => answer,
            Err((failure, usage)) => {
                let message = failure.message.clone();
                if usage.steps > 0 {
                    let (shown, model, answer) = (Vec::new(), Some(name), Err((failure, usage)));
                    let report = Report::Reflected { read, shown, model, answer };
                    if let Err(error) = self.submit(session, Command::Report(report), None).await {
                        tracing::debug!(%error, "what a reflection used is not counted");
                    }
                }
                return Err(invalid(message));
            }
        };
        if is_dry {
            return Ok(answer.0);
        }
        let report = Report::Reflected { read, shown, model: Some(name), answer: Ok(answer) };
        match self.submit(session, Command::Report(report), request).await {
            Ok(accepted) => self.reflected(session, &accepted).await,
            Err(SubmitError::Refused(Refusal::Stale)) => {
                Err(invalid("what it had read has changed meanwhile: ask again".to_owned()))
            }
            Err(error) => Err(error),
        }
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

    /// What an agent knows in all its sessions, oldest first. Events of other journals than this one are no sources of what is made of it.
    async fn wide(&self, agent: &AgentName, own: SessionId) -> Result<Vec<Memory>, StoreError> {
        let scope = Some(Scope::Agent);
        let query =
            RememberedQuery { agent: Some(agent.to_string()), scope, limit: OF_AGENT, ..RememberedQuery::default() };
        let mut rows = self.shell.store.memories.list(query).await?.rows;
        rows.reverse();
        let memory = |row: Remembered| {
            let sources = if row.session == own { row.memory.sources } else { Vec::new() };
            Memory { sources, ..row.memory }
        };
        Ok(rows.into_iter().map(memory).collect())
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
            task: None,
            on_disconnect: OnDisconnect::Continue,
            labels: BTreeMap::new(),
            memory: Some(Mode::On),
            by: by.clone(),
        };
        match self.submit(session, Command::Create(create), None).await {
            Ok(_) | Err(SubmitError::Refused(Refusal::Exists)) => Ok(session),
            Err(error) => Err(error),
        }
    }

    /// Returns the session whose journal has it: the index knows, else the journals are looked through.
    async fn home(&self, memory: MemoryId) -> Result<Option<SessionId>, SubmitError> {
        let known = self.shell.store.memories.get(memory).await.map_err(SubmitError::Store)?;
        if let Some(known) = known {
            return Ok(Some(known.row.session));
        }
        let mut first = None;
        for session in self.shell.store.directory.sessions().await.map_err(SubmitError::Store)? {
            let rows = match of_session(&self.shell, session, Seq::MAX).await {
                Ok(rows) => rows,
                Err(StoreError::Corrupt { .. } | StoreError::NotFound(_)) => continue,
                Err(error) => return Err(SubmitError::Store(error)),
            };
            // A fork shares the rows of its beginning: the oldest session is the one that wrote them.
            if rows.get(memory).is_some() || rows.has_forgotten(memory) {
                first = Some(first.map_or(session, |first: SessionId| first.min(session)));
            }
        }
        Ok(first)
    }

    /// Returns it with all that was made of it, by the journal that has each, and what all of these say.
    async fn made_of(&self, home: SessionId, memory: MemoryId) -> Result<Plan, SubmitError> {
        let mut plan = Plan::default();
        let mut open = vec![(home, memory)];
        while let Some((session, id)) = open.pop() {
            let rows = of_session(&self.shell, session, Seq::MAX).await.map_err(SubmitError::Store)?;
            for id in rows.derived(&[id]) {
                let planned = plan.memories.entry(session).or_default();
                if planned.contains(&id) {
                    continue;
                }
                planned.push(id);
                plan.texts.extend(rows.get(id).map(|row| row.memory.text.clone()));
                let known = self.shell.store.memories.get(id).await.map_err(SubmitError::Store)?;
                let elsewhere = known.into_iter().flat_map(|known| known.superseders);
                open.extend(elsewhere.filter(|row| row.session != session).map(|row| (row.session, row.memory.id)));
            }
        }
        Ok(plan)
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

    /// Returns what this request has forgotten already, and where.
    async fn asked_before(
        &self,
        home: SessionId,
        request: Option<&RequestId>,
    ) -> Result<Option<(MemoryForgotten, Seq)>, SubmitError> {
        let Some(request) = request else { return Ok(None) };
        let state = self.state_of(home).await?;
        let Some(before) = state.answered.requests.get(request) else { return Ok(None) };
        let accepted = Accepted { seq: before.seq, turn: None, duplicate: true, head: before.seq };
        let Event::MemoryForgotten(forgotten) = self.event(home, &accepted).await? else { return Ok(None) };
        Ok(Some((forgotten, before.seq)))
    }

    /// Waits until nothing is left of these, which this event forgot, and returns how many lines that took.
    pub(crate) async fn erased(&self, session: SessionId, seq: Seq, mut memories: Vec<MemoryId>) -> Option<u64> {
        let (mut heard, mut lines) = (self.subscribe(session, seq.saturating_sub(1)), 0);
        while let Ok(Some(signal)) = heard.next().await {
            if let Signal::Event(_, entry) = signal
                && let Event::MemoryErased(erased) = &entry.event
                && memories.iter().any(|memory| erased.memories.contains(memory))
            {
                lines += erased.lines;
                memories.retain(|memory| !erased.memories.contains(memory));
                if memories.is_empty() {
                    return Some(lines);
                }
            }
        }
        None
    }
}

impl Plan {
    fn ids(&self, home: SessionId) -> Vec<MemoryId> {
        let of_others = self.memories.iter().filter(|(session, _)| **session != home).map(|(_, memories)| memories);
        self.memories.get(&home).into_iter().chain(of_others).flatten().copied().collect()
    }

    fn forgetting(&self, extent: Extent) -> Vec<(SessionId, Forgetting)> {
        let all = |memories: &[MemoryId]| memories.iter().map(|memory| (*memory, extent)).collect();
        self.memories.iter().map(|(session, memories)| (*session, all(memories))).collect()
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
