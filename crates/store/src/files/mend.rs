//! Mends what `verify` found where the commit log is concerned: the log is brought to the journals, journals that do not fit
//! it become what the two hold together without a gap, and the log is let go.
//!
//! Invariant: what is taken out, and each line of the log that finds no place, is durable beside its journal before the log
//! lets go of it.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use outlive_core::event::Line;
use outlive_core::id::{Seq, SessionId};

use super::flusher::{Due, Flusher, joined};
use super::fs::{Disk, replace};
use super::past;
use super::recover::{self, Replay, Replays};
use super::tails::Shared;

/// What a journal becomes.
pub(super) struct Mended {
    pub(super) journal: SessionId,
    /// The lines of its file.
    pub(super) lines: Vec<Line>,
    /// The segments that are damaged, where their lines are among the above, from the first one on.
    pub(super) flawed: Option<BTreeSet<String>>,
}

/// Keeps bytes beside a journal, under the first such name that is free.
pub(super) fn keep_aside(disk: &dyn Disk, folder: &Path, what: &str, bytes: &[u8]) -> io::Result<()> {
    let aside = (1..).map(|n: u64| folder.join(format!("events.jsonl.{what}-{n}")));
    match aside.into_iter().find(|aside| disk.identity(aside).is_err()) {
        Some(aside) => replace(disk, &aside, bytes),
        None => Ok(()),
    }
}

/// Brings the whole log to the journals, writes these ones, and frees the segments.
pub(super) fn settle(disk: &Arc<dyn Disk>, root: &Path, replays: &Replays, mended: Vec<Mended>) -> io::Result<()> {
    let shared = Arc::new(Shared::new(root.to_owned(), Arc::clone(disk)));
    let left = recover::recover(&shared)?;
    for Mended { journal, lines, flawed } in mended {
        let folder = shared.home(journal);
        disk.make_dir(&folder)?;
        if let Some(replay) = replays.get(&journal) {
            let logged: Vec<Line> = replay.lines.values().cloned().collect();
            keep_aside(&**disk, &folder, "logged", &joined(&logged))?;
        }
        // It may tell of lines that are not there any more.
        let snapshot = folder.join("state.yaml");
        if disk.identity(&snapshot).is_ok() {
            disk.remove(&snapshot)?;
        }
        let path = folder.join("events.jsonl");
        if !lines.is_empty() || disk.identity(&path).is_ok() {
            replace(&**disk, &path, &joined(&lines))?;
        }
        if let Some(flawed) = flawed {
            clear(&**disk, &folder, (&flawed, lines.len() as Seq))?;
        }
        disk.sync_dir(&root.join("sessions"))?;
    }
    let commit = root.join("commit");
    let segments = disk.list(&commit)?.into_iter().filter(|name| recover::number_of(name, "log").is_some());
    let retiring: Vec<PathBuf> = segments.map(|name| commit.join(name)).collect();
    let options = super::Options::default();
    Flusher { shared, options, checkpointed: Box::new(|_| {}) }.checkpoint(Due { retiring, position: left.position })
}

/// Takes segments away whose lines are in the file now; those that are damaged, or hold later ones, are kept beside it.
fn clear(disk: &dyn Disk, folder: &Path, (flawed, last): (&BTreeSet<String>, Seq)) -> io::Result<()> {
    // Newest first: what is left, should this end early, joins.
    for number in past::segments(disk, folder)?.into_iter().rev() {
        let (name, path) = (past::name(number), past::path(folder, number));
        if !flawed.contains(&name) && past::range(disk, &path)?.last <= last {
            disk.remove(&path)?;
            continue;
        }
        let aside = (1..).map(|n: u64| folder.join(format!("{name}.damaged-{n}")));
        if let Some(aside) = aside.into_iter().find(|aside| disk.identity(aside).is_err()) {
            disk.rename(&path, &aside)?;
        }
    }
    disk.sync_dir(folder)
}

/// Returns the lines that a file and the log hold together from this one on, without a gap. Where both have one, the log's
/// is the acknowledged one.
pub(super) fn together(filed: &Replay, logged: Option<&Replay>, first: Seq) -> Vec<Line> {
    let from_log = |seq| logged.and_then(|logged| logged.lines.get(&seq));
    let from_file = |seq| if logged.is_some_and(|logged| logged.removed) { None } else { filed.lines.get(&seq) };
    (first..).map_while(|seq| from_log(seq).or_else(|| from_file(seq)).cloned()).collect()
}
