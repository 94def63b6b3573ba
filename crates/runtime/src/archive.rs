//! Carries sessions between workspaces: out as one file, and in from one.
//!
//! Invariants: an export is a session as it was at one event, whatever runs meanwhile. An import is checked whole before
//! anything is written; its journal comes last and in one append, so that the session is there with all that belongs to
//! it, or not at all. An import starts nothing, and a loop ends with it: nobody here has approved its checks.

use std::sync::Arc;

use bytes::Bytes;
use outlive_core::agent::{Files, check_files, files_digest, folder_digest, own_files};
use outlive_core::archive::{ARCHIVE_BYTES, ArchiveError, SessionArchive};
use outlive_core::command::{Command, Fork};
use outlive_core::digest::Digest;
use outlive_core::event::{Entry, Event, Line, Origin, Parent};
use outlive_core::id::{AgentName, RequestId, Seq, SessionId};
use outlive_core::limits::{FORK_BYTES, IMPORT_BYTES};
use outlive_core::redact::Redactor;
use outlive_core::session::{Fact, Refusal, State};
use tokio::sync::oneshot;

use crate::actor::Mail;
use crate::query::missing;
use crate::{BUSY_MS, Runtime, SubmitError, busy};

/// A session to take in.
#[derive(Debug, Clone)]
pub struct NewImport {
    /// The archive.
    pub bytes: Bytes,
    /// The id of a copy; `None` for the session itself, under its own.
    pub copy: Option<SessionId>,
    /// By whom.
    pub by: Origin,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The session.
    pub session: SessionId,
    /// Whether it was there already, event for event.
    pub was_there: bool,
    /// Its agent, and what became of that.
    pub agent: (AgentName, AgentFate),
    /// Artifacts that came along.
    pub artifacts: usize,
}

/// What became of an imported session's agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentFate {
    /// There was none of this name: it was made.
    Made,
    /// It is here already, the same.
    Same,
    /// Another one of this name is here: it stays.
    Kept,
    /// The archive has no files of it, and there is none here.
    Missing,
}

/// Lines read at once.
const PAGE: usize = 1_024;

impl Runtime {
    /// Returns a session as one file, up to its head at this moment.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]
    pub async fn export(&self, session: SessionId) -> Result<Vec<u8>, SubmitError> {
        let redactor = self.secrets().now();
        let mut lines = self.journal(session, ARCHIVE_BYTES).await?;
        // A journal may be older than what is known now.
        for line in &mut lines {
            if let Some(clean) = clean(&redactor, line)? {
                *line = clean;
            }
        }
        mark(&mut lines, None)?;
        let first = lines.first().ok_or(SubmitError::Refused(Refusal::NoSession))?;
        let Event::SessionCreated(created) = crate::load::read(session, first).map_err(SubmitError::Store)?.event
        else {
            return Err(SubmitError::Refused(Refusal::NoSession));
        };
        let agent = created.agent;
        let files = self.packable(&agent, &asked_last(session, &lines)?.unwrap_or(created.agent_digest))?;
        let files = files.and_then(|files| match files.values().any(|content| redactor.finds(content)) {
            true => Err("its files hold a secret that is known here".to_owned()),
            false => Ok(files),
        });
        let (mut packer, part) = SessionArchive::begin(agent, files.as_ref().map_err(Clone::clone));
        for hash in SessionArchive::hashes(&lines) {
            let kept = self.shell.store.artifacts.get(hash.clone()).await.map_err(SubmitError::Store)?;
            // One that is older than what is known now stays here: without the secret it would be another one.
            if let Some(bytes) = kept.filter(|bytes| !redactor.finds(bytes)) {
                packer.add(&SessionArchive::artifact(&hash), &bytes).map_err(|error| too_large(&error))?;
            }
        }
        SessionArchive::finish(packer, (session, part), &lines).map_err(|error| too_large(&error))
    }

    /// Takes a session in.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]; then there is no such session, or not this one.
    pub async fn import(&self, import: NewImport, request: Option<RequestId>) -> Result<Imported, SubmitError> {
        let NewImport { bytes, copy, by } = import;
        // On a thread of its own, so that a large one keeps nobody waiting.
        let redactor = self.secrets().now();
        let taken = async move { Taken::check(&bytes, copy.is_some())?.without(&redactor)?.at_rest()?.marked() };
        let taken = crate::tasks::apart(taken).await?;
        let session = copy.unwrap_or(taken.session);
        if copy.is_none() && self.has(&taken).await? {
            let agent = self.place_agent(&taken.agent)?;
            return Ok(Imported { session, was_there: true, agent, artifacts: taken.artifacts.len() });
        }
        let artifacts = taken.artifacts.len();
        for bytes in &taken.artifacts {
            self.shell.store.artifacts.put(bytes.to_vec()).await.map_err(SubmitError::Store)?;
        }
        let agent = self.place_agent(&taken.agent)?;
        let was_there = match copy {
            None => self.take_in(&taken).await?,
            Some(copy) => {
                let parent = Parent { session: taken.session, seq: taken.given as u64 };
                let fork = Fork { parent, at: None, entries: Arc::new(taken.entries), title: None, by };
                self.submit(copy, Command::Fork(fork), request).await?.duplicate
            }
        };
        Ok(Imported { session, was_there, agent, artifacts })
    }

    /// Gives a journal to its session's one writer. Says whether somebody was faster with the same one.
    async fn take_in(&self, taken: &Taken) -> Result<bool, SubmitError> {
        if self.shell.door.closing.is_cancelled() {
            return Err(SubmitError::Closing);
        }
        let (reply, answer) = oneshot::channel();
        let mail = Mail::Adopt { lines: taken.lines.clone(), reply };
        self.sessions.inbox(taken.session, &self.shell).try_send(mail).map_err(busy)?;
        match answer.await.map_err(|_gone| SubmitError::Busy { retry_after_ms: BUSY_MS })? {
            Err(SubmitError::Refused(Refusal::Exists)) => self.has(taken).await,
            done => done.map(|()| false),
        }
    }

    /// Says whether this very journal is here, as it was or as an import leaves it; refuses another one under its name.
    async fn has(&self, taken: &Taken) -> Result<bool, SubmitError> {
        let (session, mut lines) = (taken.session, taken.lines.clone());
        mark(&mut lines, None)?;
        let head = match self.head(session).await {
            Ok(head) => head,
            Err(SubmitError::Refused(Refusal::NoSession)) => return Ok(false),
            Err(error) => return Err(error),
        };
        let mut same = 0;
        while let Some(rest) = lines.get(same..).filter(|rest| !rest.is_empty()) {
            let mut here = self.entries(session, same as u64, PAGE).await?;
            mark(&mut here, None)?;
            let alike = here.iter().zip(rest).take_while(|(here, there)| here == there).count();
            same += alike;
            if alike < PAGE {
                break;
            }
        }
        let (given, same) = (taken.given as u64, same as u64);
        if head == same && given <= same {
            return Ok(true);
        }
        let how = match (head == same, given <= same) {
            (_, true) => format!("went on here to event {head}, the archive ends at {given}"),
            (true, _) => format!("ends here at event {head}, the archive goes on to {given}"),
            (false, false) => format!("is another one here from event {} on", same + 1),
        };
        let what = format!("session `{session}` {how}; import it as a new one, or delete this one first");
        Err(SubmitError::Refused(Refusal::Invalid { code: "session_exists", what }))
    }

    fn place_agent(&self, (name, files): &(AgentName, Option<Files>)) -> Result<(AgentName, AgentFate), SubmitError> {
        let here = self.shell.store.agents.read(name.as_str()).map_err(SubmitError::Store)?;
        let fate = match (here, files) {
            (Some(here), Some(files)) if files_digest(&own_files(here.clone())) == files_digest(files) => {
                AgentFate::Same
            }
            (Some(_), Some(files)) => {
                // The journal names it: an export finds it again.
                self.shell.store.agents.keep(name, files.clone()).map_err(SubmitError::Store)?;
                AgentFate::Kept
            }
            (Some(_), None) => AgentFate::Kept,
            (None, None) => AgentFate::Missing,
            (None, Some(files)) => {
                self.shell.store.agents.create(name.as_str(), files.clone()).map_err(SubmitError::Store)?;
                AgentFate::Made
            }
        };
        Ok((name.clone(), fate))
    }

    /// Returns an agent's own files as the journal names them, else as they are here, or why an archive cannot have them.
    fn packable(&self, name: &AgentName, named: &str) -> Result<Result<Files, String>, SubmitError> {
        let agents = &self.shell.store.agents;
        let here = agents.read(name.as_str()).map_err(SubmitError::Store)?;
        let is_here = here.as_ref().is_some_and(|files| folder_digest(files).as_str() == named);
        let kept = match Digest::parse(named).filter(|_| !is_here) {
            Some(digest) => agents.version(name, &digest).map_err(SubmitError::Store)?,
            None => None,
        };
        Ok(kept.or(here).ok_or_else(|| "there was no such agent at the export".to_owned()).and_then(|files| {
            let own = own_files(files);
            check_files(&own).map(|()| own)
        }))
    }

    /// Reads a journal up to its head at this moment.
    async fn journal(&self, session: SessionId, most: usize) -> Result<Vec<Line>, SubmitError> {
        let head = self.head(session).await?;
        let (mut lines, mut bytes): (Vec<Line>, usize) = (Vec::new(), 0);
        while (lines.len() as u64) < head {
            let page = self.shell.store.journals.read(session, lines.len() as u64, PAGE).await.map_err(missing)?.lines;
            let before = lines.len();
            lines.extend(page.into_iter().filter(|line| line.seq() <= head));
            bytes += lines.iter().skip(before).map(|line| line.as_str().len() + 1).sum::<usize>();
            if bytes > most || lines.len() == before {
                let what = format!("session `{session}` has more than the {most} bytes that an archive may have");
                return Err(refused("archive_too_large", what));
            }
        }
        Ok(lines)
    }
}

/// What an archive holds, checked as far as that goes without the workspace.
struct Taken {
    session: SessionId,
    /// The journal, and behind it what ends its loop.
    lines: Vec<Line>,
    /// How many of these the archive has.
    given: usize,
    entries: Vec<Entry>,
    artifacts: Vec<Bytes>,
    agent: (AgentName, Option<Files>),
}

impl Taken {
    fn check(bytes: &Bytes, as_copy: bool) -> Result<Self, SubmitError> {
        let archive = SessionArchive::read(bytes).map_err(|error| invalid(&error))?;
        let length: usize = archive.lines.iter().map(|line| line.as_str().len() + 1).sum();
        let most = if as_copy { FORK_BYTES } else { IMPORT_BYTES };
        if length > most {
            let what = format!("the session's events have {length} bytes, of {most} that are written at once");
            return Err(refused("archive_too_large", what));
        }
        let SessionArchive { session, lines, entries, artifacts, agent } = archive;
        let artifacts = artifacts.into_iter().map(|(_, content)| bytes.slice_ref(content)).collect();
        let given = lines.len();
        Ok(Self { session, lines, given, entries, artifacts, agent })
    }
}

impl Taken {
    /// Leaves out what is a secret here, wherever it comes from.
    fn without(mut self, redactor: &Redactor) -> Result<Self, SubmitError> {
        for (line, entry) in self.lines.iter_mut().zip(&mut self.entries) {
            if let Some(clean) = clean(redactor, line)? {
                *entry = crate::load::read(self.session, &clean).map_err(SubmitError::Store)?;
                *line = clean;
            }
        }
        self.artifacts.retain(|bytes| !redactor.finds(bytes));
        Ok(self)
    }

    /// Ends what would begin turns by itself, always with the same bytes: imported again, it is the same journal.
    fn at_rest(mut self) -> Result<Self, SubmitError> {
        let mut state = State::default();
        self.entries.iter().for_each(|entry| state.apply(entry));
        for (seq, Fact { turn, step, event }) in (state.head + 1..).zip(state.left_elsewhere()) {
            let entry = Entry { seq, at: state.updated_at, turn, step, asked: None, tokens: None, event };
            self.lines.push(Line::write(&entry).map_err(|error| refused("archive_invalid", error.to_string()))?);
        }
        Ok(self)
    }

    /// Says in the first line how far the journal came from elsewhere: what it remembers is no word about what others do.
    fn marked(mut self) -> Result<Self, SubmitError> {
        mark(&mut self.lines, Some(self.entries.len() as Seq))?;
        if let (Some(first), Some(line)) = (self.entries.first_mut(), self.lines.first()) {
            *first = crate::load::read(self.session, line).map_err(SubmitError::Store)?;
        }
        Ok(self)
    }
}

/// Says in a journal's first line how far it came from an archive; an archive itself does not.
fn mark(lines: &mut [Line], taken_to: Option<Seq>) -> Result<(), SubmitError> {
    let Some(first) = lines.first_mut().filter(|line| line.seq() == 1) else { return Ok(()) };
    let marked = first.changed(|line| match taken_to {
        Some(seq) => line.insert("taken_to".to_owned(), seq.into()) != Some(seq.into()),
        None => line.shift_remove("taken_to").is_some(),
    });
    let marked = marked.map_err(|error| refused("archive_invalid", format!("its first event: {error}")))?;
    marked.into_iter().for_each(|line| *first = line);
    Ok(())
}

/// Returns a line without secrets, sealed anew, if there are any in it.
fn clean(redactor: &Redactor, line: &Line) -> Result<Option<Line>, SubmitError> {
    line.redacted(redactor).map_err(|error| refused("archive_too_large", error.to_string()))
}

/// Returns the digest of the agent that took the last step.
fn asked_last(session: SessionId, lines: &[Line]) -> Result<Option<String>, SubmitError> {
    for line in lines.iter().rev().filter(|line| line.as_str().contains("\"step.started\"")) {
        if let Event::StepStarted(step) = crate::load::read(session, line).map_err(SubmitError::Store)?.event {
            return Ok(Some(step.agent_digest));
        }
    }
    Ok(None)
}

fn invalid(error: &ArchiveError) -> SubmitError {
    refused("archive_invalid", format!("this is no archive of a session: {error}"))
}

fn too_large(error: &ArchiveError) -> SubmitError {
    refused("archive_too_large", error.to_string())
}

fn refused(code: &'static str, what: String) -> SubmitError {
    SubmitError::Refused(Refusal::Invalid { code, what })
}
