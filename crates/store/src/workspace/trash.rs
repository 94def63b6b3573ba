//! The trash of a workspace: the journals' part of it, and what the list, the words and the artifacts have of a session.
//!
//! Invariants: a session that comes back is in the list, durably, before it is among the others, so that no crash leaves it
//! where nobody looks; the mark of an erasure goes last, when nothing else of the session is left; what was begun comes to
//! its end, on a thread of its own, whoever asked for it goes away.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use outlive_core::digest::Digest;
use outlive_core::event::Line;
use outlive_core::id::{Seq, SessionId};
use outlive_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, oneshot};

use super::Followed;
use super::fresh::Fresh;
use super::owed::Owed;
use super::sweep::Sweep;
use crate::files::FileJournals;
use crate::files::erase::Mark;
use crate::files::fs::{Disk, read_all, replace};
use crate::trash::newest_first;
use crate::{Deed, Index as _, Inside, Note, Pending, Row, StoreError, Trash};

/// The trash of a workspace.
pub(super) struct Bin {
    pub(super) root: PathBuf,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) journals: Arc<FileJournals>,
    pub(super) listed: Arc<Followed>,
    pub(super) fresh: Arc<Fresh>,
    /// Held by whoever erases, brings back, or writes what was answered: one at a time.
    pub(super) busy: Mutex<()>,
    pub(super) owed: Owed,
}

/// What was done under a request's name.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    session: SessionId,
    request: String,
    deed: Deed,
}

/// Answers that are remembered.
const ANSWERS: usize = 1_000;
const ANSWERS_BYTES: u64 = 1 << 20;

impl Bin {
    fn io(&self, what: &str, error: &io::Error) -> StoreError {
        StoreError::Io { what: format!("{what} {}", self.root.join("trash").display()), why: error.to_string() }
    }

    /// Begins a deed on a thread of its own, which is answered when it is done.
    fn begin<T: Send + 'static>(
        self: &Arc<Self>,
        deed: impl AsyncFnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<T, StoreError>>, StoreError> {
        let bin = Arc::clone(self);
        let (reply, answer) = oneshot::channel();
        let work = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            let runtime = runtime.map_err(|error| bin.io("go on in", &error));
            let done = runtime.and_then(|runtime| runtime.block_on(deed(&bin)));
            // Whoever is answered may close the store and open it again.
            drop(bin);
            // Whoever asked may be gone.
            reply.send(done).ok();
        };
        let started = std::thread::Builder::new().name("trash".to_owned()).spawn(work);
        started.map_err(|error| self.io("start a thread for", &error))?;
        Ok(answer)
    }

    /// Does a deed to its end, also when nobody waits for it any more.
    pub(super) fn whole<T: Send + 'static>(
        self: &Arc<Self>,
        deed: impl AsyncFnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Pending<'_, Result<T, StoreError>> {
        Box::pin(
            async move { self.begin(deed)?.await.map_err(|_| StoreError::Poisoned("the store is closed".to_owned()))? },
        )
    }

    async fn move_there(&self, journal: SessionId, note: Note) -> Result<(), StoreError> {
        self.journals.discard(journal, note).await?;
        self.listed.index.forget(journal);
        // What cannot be taken out now is listed and found no more, and goes with the next writes.
        let erased = self.listed.index.erase().await.and(self.listed.take_out(journal).await);
        erased.unwrap_or_else(|error| tracing::warn!(%error, "session in the trash still in an index"));
        Ok(())
    }

    async fn move_back(&self, journal: SessionId) -> Result<(), StoreError> {
        let _busy = self.busy.lock().await;
        let note = self.journals.note(journal);
        if let Some(note) = &note {
            let answer =
                note.request.clone().map(|request| Answer { session: journal, request, deed: Deed::Discarded });
            self.remember(answer.into_iter().collect()).map_err(|error| self.io("write into", &error))?;
            self.listed.index.note(note.row.clone());
            self.listed.index.erase().await?;
        }
        let done = self.journals.restore(journal).await;
        match (&done, &note) {
            (Ok(()), Some(note)) => self.listed.tell(journal, note.row.head),
            // One that was moved before it failed is among the others.
            (Err(_), Some(_)) if self.journals.note(journal).is_some() => self.listed.index.forget(journal),
            (Err(_), Some(_)) | (_, None) => {}
        }
        done
    }

    pub(super) async fn erase_all(&self, journals: Vec<SessionId>, request: Option<String>) -> Result<(), StoreError> {
        let _busy = self.busy.lock().await;
        self.erase_now(journals, request).await
    }

    /// Only those that still lie in the trash, as they did when they were listed.
    async fn erase_listed(&self, notes: Vec<Note>) -> Result<usize, StoreError> {
        let _busy = self.busy.lock().await;
        let is_there = |note: &Note| self.journals.note(note.row.session).is_some_and(|now| now.at == note.at);
        let due: Vec<SessionId> = notes.iter().filter(|note| is_there(note)).map(|note| note.row.session).collect();
        let count = due.len();
        self.erase_now(due, None).await.map(|()| count)
    }

    /// Erases these and what is marked. Whoever asks is `busy`.
    async fn erase_now(&self, journals: Vec<SessionId>, request: Option<String>) -> Result<(), StoreError> {
        let done = self.erase_and_finish(journals, request).await;
        // As long as something of them is left their marks stay: the next erasure, or the next start, goes on.
        if self.is_owed() {
            self.owed.failed();
        } else {
            self.owed.done();
        }
        done
    }

    async fn erase_and_finish(&self, journals: Vec<SessionId>, request: Option<String>) -> Result<(), StoreError> {
        let mut all: BTreeSet<SessionId> = self.journals.marks()?.into_keys().collect();
        all.extend(journals);
        if all.is_empty() {
            return Ok(());
        }
        self.journals.erase(all.into_iter().collect(), request).await?;
        self.finish(self.journals.marks()?).await
    }

    /// Tries again what could not be finished, and waits for nobody.
    pub(super) fn go_on(self: &Arc<Self>) {
        let begun = self.begin(async |bin| {
            match bin.erase_all(Vec::new(), None).await.and(bin.scrub_marked().await) {
                Ok(()) => tracing::info!("what was to be erased is gone"),
                Err(error) => tracing::warn!(%error, "what was to be erased is not gone yet; it goes on later"),
            }
            Ok(())
        });
        if begun.is_err() {
            self.owed.failed();
        }
    }

    /// Takes what is marked out of everything else, and the marks last.
    async fn finish(&self, marks: BTreeMap<SessionId, Mark>) -> Result<(), StoreError> {
        marks.keys().for_each(|session| self.listed.index.forget(*session));
        self.listed.index.erase().await?;
        for session in marks.keys() {
            self.listed.take_out(*session).await?;
        }
        let artifacts: BTreeSet<Digest> = marks.values().flat_map(|mark| mark.artifacts.clone()).collect();
        if !artifacts.is_empty() {
            self.sweeping().unreferred(&artifacts)?;
        }
        let answers = marks.iter().flat_map(|(session, mark)| {
            let answer = |request: &Option<String>, deed| {
                request.clone().map(|request| Answer { session: *session, request, deed })
            };
            [answer(&mark.discarded_by, Deed::Discarded), answer(&mark.request, Deed::Erased)]
        });
        self.remember(answers.flatten().collect()).map_err(|error| self.io("write into", &error))?;
        marks.keys().try_for_each(|session| self.journals.bury(*session))
    }

    pub(super) fn sweeping(&self) -> Sweep {
        Sweep {
            root: self.root.clone(),
            disk: Arc::clone(&self.disk),
            journals: Arc::clone(&self.journals),
            fresh: Arc::clone(&self.fresh),
        }
    }

    async fn sweep_unnamed(&self, before: Timestamp) -> Result<usize, StoreError> {
        let _busy = self.busy.lock().await;
        self.sweeping().unnamed(before)
    }

    fn answers(&self) -> io::Result<Vec<Answer>> {
        let path = self.root.join("trash").join("answered.jsonl");
        let bytes = match read_all(&*self.disk, &path, ANSWERS_BYTES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other?,
        };
        Ok(bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
    }

    fn remember(&self, new: Vec<Answer>) -> io::Result<()> {
        if new.is_empty() {
            return Ok(());
        }
        let mut answers = self.answers()?;
        answers.retain(|old| new.iter().all(|new| (old.session, &old.request) != (new.session, &new.request)));
        answers.extend(new);
        let skipped = answers.len().saturating_sub(ANSWERS);
        let mut text = Vec::new();
        for answer in answers.iter().skip(skipped) {
            serde_json::to_writer(&mut text, answer)?;
            text.push(b'\n');
        }
        replace(&*self.disk, &self.root.join("trash").join("answered.jsonl"), &text)
    }

    fn recall(&self, session: SessionId, request: &str) -> Result<Option<Deed>, StoreError> {
        let answers = self.answers().map_err(|error| self.io("read", &error))?;
        let found = answers.into_iter().find(|answer| answer.session == session && answer.request == request);
        if let Some(found) = found {
            return Ok(Some(found.deed));
        }
        let is = |known: Option<String>| known.as_deref() == Some(request);
        let marks = self.journals.marks()?;
        if let Some(mark) = marks.get(&session).cloned() {
            // What is marked is not erased yet: asked again, it is gone on with.
            return Ok(is(mark.discarded_by).then_some(Deed::Discarded));
        }
        Ok(self.journals.note(session).is_some_and(|note| is(note.request)).then_some(Deed::Discarded))
    }
}

impl Inside for Arc<Bin> {
    fn read(&self, journal: SessionId, after: Seq, limit: usize) -> Pending<'_, Result<Vec<Line>, StoreError>> {
        Box::pin(async move { self.journals.look_inside(journal, after, limit) })
    }

    fn scrub(&self, journal: SessionId, lines: Vec<Line>, row: Row) -> Pending<'_, Result<(), StoreError>> {
        self.whole(async move |bin| bin.scrub_inside(journal, lines, row).await)
    }
}

impl Trash for Arc<Bin> {
    fn discard(&self, journal: SessionId, note: Note) -> Pending<'_, Result<(), StoreError>> {
        self.whole(async move |bin| bin.move_there(journal, note).await)
    }

    fn restore(&self, journal: SessionId) -> Pending<'_, Result<(), StoreError>> {
        self.whole(async move |bin| bin.move_back(journal).await)
    }

    fn discarded(&self) -> Pending<'_, Result<Vec<Note>, StoreError>> {
        Box::pin(async move {
            let there = self.journals.discarded()?;
            let mut notes: Vec<Note> = there.into_iter().filter_map(|session| self.journals.note(session)).collect();
            newest_first(&mut notes);
            Ok(notes)
        })
    }

    fn inside(&self) -> &dyn Inside {
        self
    }

    fn erase(&self, journals: Vec<SessionId>, request: Option<String>) -> Pending<'_, Result<(), StoreError>> {
        self.whole(async move |bin| bin.erase_all(journals, request).await)
    }

    fn erase_discarded(&self, notes: Vec<Note>) -> Pending<'_, Result<usize, StoreError>> {
        self.whole(async move |bin| bin.erase_listed(notes).await)
    }

    fn sweep(&self, before: Timestamp) -> Pending<'_, Result<usize, StoreError>> {
        self.whole(async move |bin| bin.sweep_unnamed(before).await)
    }

    fn answered(&self, journal: SessionId, request: String) -> Pending<'_, Result<Option<Deed>, StoreError>> {
        Box::pin(async move { self.recall(journal, &request) })
    }
}
