//! The trash among the files: `trash/ID` is a session's folder as it was, with a note in it of when it came there.
//!
//! A journal is moved by one rename, after all its lines are in its file and synced: so no line in the commit log matters to
//! it while it lies there, and a crash leaves it in one of the two places. Should a disk show it in both, the one among the
//! sessions counts.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use outlive_core::digest::Digest;
use outlive_core::event::Line;
use outlive_core::id::{Seq, SessionId};
use tokio::sync::oneshot;

use super::committer::Request;
use super::erase::{self, Mark};
use super::flusher::Flusher;
use super::fs::{Open, read_all, replace};
use super::refs;
use super::scrub::{self, Scrub};
use super::tails::{Shared, io_error};
use crate::{Epoch, Note, Row, StoreError};

pub(super) type Reply = oneshot::Sender<Result<(), StoreError>>;

/// What is done to whole journals. The committer sees to it that nothing is appended meanwhile, the flusher does it.
pub(super) enum Chore {
    Discard(SessionId, Box<Note>, Reply),
    Restore(SessionId, Reply),
    Erase(Erase, Reply),
    Scrub(Scrub, Epoch, Reply),
}

/// What is to be erased.
pub(super) struct Erase {
    pub(super) journals: Vec<SessionId>,
    /// Digest of the client's name for the request.
    pub(super) request: Option<String>,
    /// Segments with lower numbers may hold something of them.
    pub(super) below: u64,
}

/// The note beside a journal in the trash.
const NOTE: &str = "trash.json";
const NOTE_BYTES: u64 = 1 << 20;

impl Shared {
    pub(super) fn trash(&self) -> PathBuf {
        self.root.join("trash")
    }

    fn sessions(&self) -> PathBuf {
        self.root.join("sessions")
    }

    /// Where a session's folder is when it is in the trash.
    pub(super) fn discarded(&self, journal: SessionId) -> PathBuf {
        self.trash().join(journal.to_string())
    }

    pub(super) fn is_among_sessions(&self, journal: SessionId) -> bool {
        self.disk.identity(&self.file(journal)).is_ok()
    }

    pub(super) fn is_in_trash(&self, journal: SessionId) -> bool {
        !self.is_among_sessions(journal) && self.disk.identity(&self.discarded(journal).join("events.jsonl")).is_ok()
    }

    /// Returns the folder that a journal is in: in the trash, if it is only there.
    pub(super) fn home(&self, journal: SessionId) -> PathBuf {
        if self.is_in_trash(journal) { self.discarded(journal) } else { self.folder(journal) }
    }

    /// Returns the sessions in the trash, sorted.
    pub(super) fn all_discarded(&self) -> io::Result<Vec<SessionId>> {
        let names = match self.disk.list(&self.trash()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other?,
        };
        let sessions = names.iter().filter_map(|name| name.parse().ok());
        Ok(sessions.filter(|session| self.is_in_trash(*session)).collect())
    }
}

/// Returns what is noted of a session in the trash, if it can be read.
pub(super) fn note(shared: &Shared, journal: SessionId) -> Option<Note> {
    let bytes = read_all(&*shared.disk, &shared.discarded(journal).join(NOTE), NOTE_BYTES).ok()?;
    serde_json::from_slice(&bytes).ok()
}

impl Flusher {
    /// Does a chore and answers. Whoever asked may be gone.
    pub(super) fn chore(&self, chore: Chore) {
        match chore {
            Chore::Discard(journal, note, reply) => {
                let done = self.discard(journal, &note);
                if let Some(tail) = self.shared.board().tails.get_mut(&journal) {
                    tail.ending = false;
                }
                reply.send(done).ok();
            }
            Chore::Restore(journal, reply) => {
                let done = restore(&self.shared, journal);
                if let Some(tail) = self.shared.board().tails.get_mut(&journal) {
                    tail.ending = false;
                }
                reply.send(done).ok();
            }
            Chore::Erase(erase, reply) => drop(reply.send(self.erase(&erase))),
            Chore::Scrub(scrub, _, reply) => drop(reply.send(self.scrub(&scrub))),
        }
    }

    fn discard(&self, journal: SessionId, note: &Note) -> Result<(), StoreError> {
        let (shared, disk) = (&self.shared, &*self.shared.disk);
        let folder = shared.folder(journal);
        let broken = |error: &io::Error| io_error("put into the trash", &folder, error);
        self.flush_one(journal).map_err(|error| broken(&error))?;
        let text = serde_json::to_vec(note).map_err(|error| broken(&error.into()))?;
        let _files = shared.files();
        let file = disk.open(&shared.file(journal), Open::Read).map_err(|error| broken(&error))?;
        if let Err(error) = file.sync() {
            // The kernel may have dropped the pages and called them clean: only the log has the lines.
            return Err(shared.poison("journals", &error));
        }
        let target = shared.discarded(journal);
        let moved = replace(disk, &folder.join(NOTE), &text)
            .and_then(|()| disk.make_dir(&shared.trash()))
            // What a move that was cut short may have left there.
            .and_then(|()| missing_is_fine(disk.remove(&target)))
            .and_then(|()| disk.rename(&folder, &target));
        moved.map_err(|error| broken(&error))?;
        sync_both(shared, journal, [&shared.trash(), &shared.sessions()])?;
        let mut board = shared.board();
        board.forget(journal);
        board.tails.remove(&journal);
        Ok(())
    }
}

fn restore(shared: &Shared, journal: SessionId) -> Result<(), StoreError> {
    if erase::is_doomed(shared, journal) {
        return Err(StoreError::NotFound(journal));
    }
    if shared.is_among_sessions(journal) {
        return Ok(());
    }
    if !shared.is_in_trash(journal) {
        return Err(StoreError::NotFound(journal));
    }
    let _files = shared.files();
    let folder = shared.folder(journal);
    let moved = shared.disk.rename(&shared.discarded(journal), &folder);
    moved.map_err(|error| io_error("take out of the trash", &folder, &error))?;
    sync_both(shared, journal, [&shared.sessions(), &shared.trash()])?;
    // It is read anew, and its note means nothing any more.
    shared.board().tails.remove(&journal);
    shared.disk.remove(&folder.join(NOTE)).ok();
    Ok(())
}

/// Makes a move durable: first that the folder is in the new place, then that it is not in the old one, so that it never is in
/// neither. Where that fails, only a restart can tell where it is.
fn sync_both(shared: &Shared, journal: SessionId, [to, from]: [&Path; 2]) -> Result<(), StoreError> {
    shared.disk.sync_dir(to).and_then(|()| shared.disk.sync_dir(from)).map_err(|error| {
        tracing::error!(%journal, %error, "a move between the sessions and the trash could not be synced");
        shared.poison("trash", &error)
    })
}

/// What is to be gone may be gone already.
pub(crate) fn missing_is_fine(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

impl super::FileJournals {
    /// Moves a journal to the trash.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; then it is where it was, or a restart tells where.
    pub async fn discard(&self, journal: SessionId, note: Note) -> Result<(), StoreError> {
        self.ask(move |reply| Request::Chore(Chore::Discard(journal, Box::new(note), reply))).await
    }

    /// Brings a journal back from the trash.
    ///
    /// # Errors
    ///
    /// As for [`Self::discard`].
    pub async fn restore(&self, journal: SessionId) -> Result<(), StoreError> {
        self.ask(move |reply| Request::Chore(Chore::Restore(journal, reply))).await
    }

    /// Erases journals from the log and the folders. What is left to do of it is among [`Self::marks`].
    pub(crate) async fn erase(&self, journals: Vec<SessionId>, request: Option<String>) -> Result<(), StoreError> {
        let erase = Erase { journals, request, below: 0 };
        self.ask(move |reply| Request::Chore(Chore::Erase(erase, reply))).await
    }

    /// Returns what is being erased.
    pub(crate) fn marks(&self) -> Result<BTreeMap<SessionId, Mark>, StoreError> {
        erase::marks(&self.shared).map_err(|error| io_error("list", &self.shared.trash(), &error))
    }

    /// Says that nothing is left of a journal that was erased.
    pub(crate) fn bury(&self, journal: SessionId) -> Result<(), StoreError> {
        erase::bury(&self.shared, journal)
    }

    /// Writes lines of a journal anew. What is left to do of it is among [`Self::scrubs`].
    pub(crate) async fn scrub_files(
        &self,
        journal: SessionId,
        epoch: Epoch,
        lines: BTreeMap<Seq, Line>,
    ) -> Result<(), StoreError> {
        let scrub = Scrub { journal, lines, below: 0 };
        self.ask(move |reply| Request::Chore(Chore::Scrub(scrub, epoch, reply))).await
    }

    /// Returns what is being written anew.
    pub(crate) fn scrubs(&self) -> Result<scrub::Marks, StoreError> {
        scrub::marks(&*self.shared.disk, &self.shared.root)
            .map_err(|error| io_error("list", &self.shared.trash(), &error))
    }

    /// Says that nothing is left of what a journal's lines were.
    pub(crate) fn scrubbed(&self, journal: SessionId) -> Result<(), StoreError> {
        scrub::unmark(&self.shared, journal)
    }

    /// Returns what is noted of a session in the trash, if it is there and that can be read.
    pub(crate) fn note(&self, journal: SessionId) -> Option<Note> {
        if self.shared.is_in_trash(journal) { note(&self.shared, journal) } else { None }
    }

    /// Writes what the list shows of a journal in the trash once it is back. Blocks.
    pub(crate) fn shows_then(&self, journal: SessionId, row: Row) -> Result<(), StoreError> {
        let note = self.note(journal).ok_or(StoreError::NotFound(journal))?;
        let path = self.shared.discarded(journal).join(NOTE);
        let text = serde_json::to_vec(&Note { row, ..note }).map_err(io::Error::from);
        let written = text.and_then(|text| replace(&*self.shared.disk, &path, &text));
        written.map_err(|error| io_error("write", &path, &error))
    }

    /// Writes something beside a journal that is there, and sound: nobody moves or removes it meanwhile. Blocks.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`] for one that is gone or going, and what the writing says.
    pub(crate) fn beside(
        &self,
        journal: SessionId,
        write: impl FnOnce() -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let _files = self.shared.files();
        let mut board = self.shared.board();
        let tail = self.shared.tail(&mut board, journal)?;
        tail.sound(journal)?;
        if tail.head == 0 || tail.ending {
            return Err(board.absent(journal));
        }
        drop(board);
        write()
    }

    /// Returns the sessions in the trash, sorted.
    pub(crate) fn discarded(&self) -> Result<Vec<SessionId>, StoreError> {
        let mut all = self.shared.all_discarded().map_err(|error| io_error("list", &self.shared.trash(), &error))?;
        all.retain(|journal| !erase::is_doomed(&self.shared, *journal));
        Ok(all)
    }

    /// Returns those of these artifacts that no journal refers to. Blocks.
    pub(crate) fn unreferred(&self, artifacts: &BTreeSet<Digest>) -> Result<BTreeSet<Digest>, StoreError> {
        refs::unreferred(&self.shared, artifacts).map_err(|error| io_error("read", &self.shared.root, &error))
    }
}
