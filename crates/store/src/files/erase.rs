//! Erases journals: nothing of them is left in any file of the store.
//!
//! A mark comes first, `trash/ID.gone`, durably; it names the artifacts that the journal refers to. From then on the journal
//! is there for nobody. Then its frames in the commit log become frames of zeros, whole segments at a time, each written
//! beside and renamed over the old one; then its folder goes. The mark itself is taken away last, by whoever has erased the
//! rest (the list, the words, the artifacts). A start that finds a mark does all of it again: twice is the same as once.
//!
//! The segment in use is put away first and the next one is a new file, so that no segment that is written to, and no part of
//! one that an earlier life of its file left, holds anything of what is erased.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

use outlive_core::digest::Digest;
use outlive_core::id::SessionId;
use serde::{Deserialize, Serialize};

use super::flusher::Flusher;
use super::frame::{self, Head};
use super::fs::{read_all, replace};
use super::recover::number_of;
use super::refs;
use super::tails::{Shared, Tail, io_error};
pub(crate) use super::trash::missing_is_fine;
use super::trash::{Erase, note};
use crate::StoreError;

/// What is left to do of an erasure.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// Digest of the client's name for the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) request: Option<String>,
    /// The same of the request that moved it to the trash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) discarded_by: Option<String>,
    /// Artifacts that the journal refers to.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) artifacts: BTreeSet<Digest>,
}

const MARK_BYTES: u64 = 64 << 20;

fn mark_path(shared: &Shared, journal: SessionId) -> PathBuf {
    shared.trash().join(format!("{journal}.gone"))
}

/// Says whether a journal is being erased.
pub(super) fn is_doomed(shared: &Shared, journal: SessionId) -> bool {
    shared.disk.identity(&mark_path(shared, journal)).is_ok()
}

/// Returns what is being erased.
pub(super) fn marks(shared: &Shared) -> io::Result<BTreeMap<SessionId, Mark>> {
    let names = match shared.disk.list(&shared.trash()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        other => other?,
    };
    let mut marks = BTreeMap::new();
    for journal in names.iter().filter_map(|name| name.strip_suffix(".gone")?.parse().ok()) {
        let bytes = read_all(&*shared.disk, &mark_path(shared, journal), MARK_BYTES)?;
        // One that cannot be read still says what is to go.
        marks.insert(journal, serde_json::from_slice(&bytes).unwrap_or_default());
    }
    Ok(marks)
}

/// Takes a mark away: nothing is left of the journal.
pub(super) fn bury(shared: &Shared, journal: SessionId) -> Result<(), StoreError> {
    let path = mark_path(shared, journal);
    // What was to be written anew of it went with it.
    super::scrub::unmark(shared, journal)?;
    let done = missing_is_fine(shared.disk.remove(&path)).and_then(|()| shared.disk.sync_dir(&shared.trash()));
    done.map_err(|error| io_error("remove", &path, &error))?;
    shared.board().tails.remove(&journal);
    Ok(())
}

/// Goes on with what was being erased when the last process ended, before anything else is read, and returns it. Where that
/// cannot be done now, on a full disk, it is gone for everyone all the same, and its mark stays.
pub(super) fn go_on(shared: &Shared) -> io::Result<BTreeSet<SessionId>> {
    let doomed: BTreeSet<SessionId> = marks(shared)?.into_keys().collect();
    if doomed.is_empty() {
        return Ok(doomed);
    }
    let mut board = shared.board();
    board.tails.extend(doomed.iter().map(|journal| (*journal, Tail { removed: true, ..Tail::default() })));
    drop(board);
    let done = clean(shared, u64::MAX, |head| doomed.contains(&head.journal))
        .and_then(|()| doomed.iter().try_for_each(|journal| remove_folders(shared, *journal)));
    if let Err(error) = done {
        tracing::error!(%error, "what was to be erased cannot be erased now; it goes on later");
    }
    Ok(doomed)
}

impl Flusher {
    /// Marks journals and erases them from the log and the folders.
    pub(super) fn erase(&self, erase: &Erase) -> Result<(), StoreError> {
        let done = self.mark(erase).and_then(|()| self.erase_marked(erase));
        let mut board = self.shared.board();
        board.segments.erasing = board.segments.erasing.saturating_sub(1);
        for journal in &erase.journals {
            if let Some(tail) = board.tails.get_mut(journal) {
                tail.ending = false;
            }
        }
        done
    }

    fn mark(&self, erase: &Erase) -> Result<(), StoreError> {
        let shared = &*self.shared;
        for journal in &erase.journals {
            let path = mark_path(shared, *journal);
            if !is_doomed(shared, *journal) {
                let artifacts = refs::of_journal(shared, *journal).map_err(|error| io_error("read", &path, &error))?;
                let discarded_by = note(shared, *journal).and_then(|note| note.request);
                let mark = Mark { request: erase.request.clone(), discarded_by, artifacts };
                let marked = serde_json::to_vec(&mark)
                    .map_err(io::Error::from)
                    .and_then(|text| replace(&*shared.disk, &path, &text));
                marked.map_err(|error| io_error("write", &path, &error))?;
            }
            shared.board().forget(*journal);
        }
        Ok(())
    }

    fn erase_marked(&self, erase: &Erase) -> Result<(), StoreError> {
        let shared = &*self.shared;
        let _files = shared.files();
        let doomed: BTreeSet<SessionId> = erase.journals.iter().copied().collect();
        let commit = shared.root.join("commit");
        let cleaned = clean(shared, erase.below, |head| doomed.contains(&head.journal));
        cleaned.map_err(|error| io_error("erase from", &commit, &error))?;
        doomed.iter().try_for_each(|journal| {
            remove_folders(shared, *journal).map_err(|error| io_error("remove", &shared.folder(*journal), &error))
        })
    }
}

/// Erases frames from the segments with lower numbers, from copies that were kept of damaged ones, and removes those that wait
/// to be used again.
pub(super) fn clean(shared: &Shared, below: u64, is_doomed: impl Fn(&Head) -> bool) -> io::Result<()> {
    let commit = shared.root.join("commit");
    shared.board().segments.free.clear();
    for name in shared.disk.list(&commit)? {
        let path = commit.join(&name);
        let kept = name.strip_suffix(".damaged").unwrap_or(&name);
        if number_of(&name, "free").is_some() || name.contains(".new-") {
            missing_is_fine(shared.disk.remove(&path))?;
        } else if let Some(number) = number_of(kept, "log").filter(|number| *number < below) {
            let bytes = read_all(&*shared.disk, &path, u64::MAX)?;
            let clean = frame::erased(&bytes, number, &is_doomed);
            if clean != bytes {
                replace(&*shared.disk, &path, &clean)?;
            }
        }
    }
    shared.disk.sync_dir(&commit)
}

/// Removes a journal's folder, wherever it is: first out of sight, durably, then for good.
fn remove_folders(shared: &Shared, journal: SessionId) -> io::Result<()> {
    super::committer::remove_folder(shared, journal)?;
    missing_is_fine(shared.disk.remove(&shared.discarded(journal)))?;
    shared.disk.sync_dir(&shared.trash())
}
