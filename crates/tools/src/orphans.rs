//! Remembers which processes calls started, so that the next server finds and ends those of one that died.
//!
//! A record is written before its child may begin and removed when all its processes are gone. It is not synced: it speaks of
//! one boot of the machine, and what a killed process wrote is there for the next one.
//!
//! Invariant: a process is ended only if it is the recorded one (number, start time, boot) or descends from it, or carries
//! the call's mark; never this process or an ancestor of it.

#![expect(
    clippy::disallowed_methods,
    reason = "records of running children, beside the lock of the server that runs them"
)]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use outlive_core::id::{CallId, SessionId};
use serde::{Deserialize, Serialize};

use crate::exec;
use crate::proc::{self, Process};
use crate::sandbox::cgroup;
use crate::sandbox::docker::Engine;

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    call: CallId,
    session: SessionId,
    pid: i32,
    /// Clock ticks from boot to its start.
    start_time: u64,
    boot_id: String,
}

/// The record of one running child.
pub(crate) struct Record(PathBuf);

impl Record {
    pub fn write(folder: &Path, session: SessionId, call: CallId, process: Process) -> std::io::Result<Self> {
        fs::create_dir_all(folder)?;
        let entry = Entry { call, session, pid: process.pid, start_time: process.start, boot_id: proc::boot_id() };
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&serde_json::to_vec(&entry)?)?;
        let path = folder.join(format!("{call}.json"));
        file.persist(&path).map_err(|failed| failed.error)?;
        Ok(Self(path))
    }

    pub fn remove(self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::warn!(%error, "record of an ended child not removed; the next start does it");
        }
    }
}

/// A call of a dead server whose record was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Which.
    pub call: CallId,
    /// Whose, if the record could be read.
    pub session: Option<SessionId>,
    /// Processes of it that still ran and were ended. Most often none.
    pub processes: usize,
    /// Processes that could not be ended: the record stays for the next start.
    pub left: usize,
}

/// Ends what a dead server's calls left running. Call it at start, once the workspace is locked and before any call.
///
/// # Errors
///
/// The folder cannot be read, or a record not removed: what all of them name was ended nevertheless. One that does not exist
/// has no records.
pub async fn sweep(folder: &Path) -> std::io::Result<Vec<Ended>> {
    let listed = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed?,
    };
    let (mut ended, mut trouble) = (Vec::new(), Ok(()));
    for found in listed {
        let path = found?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        match name.strip_suffix(".json").and_then(|stem| stem.parse().ok()) {
            Some(call) => match settle(&path, call).await {
                Ok(settled) => ended.push(settled),
                Err(error) => trouble = trouble.and(Err(error)),
            },
            // A record that was never finished: its child did not begin.
            None if name.starts_with(".tmp") => trouble = trouble.and(forget(&path)),
            None => {}
        }
    }
    trouble.map(|()| ended)
}

/// Removes the containers that a dead server's calls left, of which the engine at this socket knows. Without one there is
/// nothing to do.
///
/// # Errors
///
/// The engine answers, but does not remove one.
pub async fn sweep_containers(socket: &Path, folder: &Path) -> Result<usize, String> {
    if !socket.exists() {
        return Ok(0);
    }
    let engine = Engine::at(socket.to_owned());
    let left = engine.of_house(folder).await?;
    for (id, call) in &left {
        engine.remove(id).await?;
        tracing::warn!(?call, "a container of the server before was removed");
    }
    Ok(left.len())
}

async fn settle(path: &Path, call: CallId) -> std::io::Result<Ended> {
    // Where it cannot be read, the call's mark still tells.
    let entry: Option<Entry> = fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let session = entry.as_ref().map(|entry| entry.session);
    // After a boot nothing of it can live, and its numbers mean nothing.
    if entry.as_ref().is_some_and(|entry| entry.boot_id != proc::boot_id()) {
        forget(path)?;
        return Ok(Ended { call, session, processes: 0, left: 0 });
    }
    let gone = exec::end(|| members(entry.as_ref(), call)).await;
    cgroup::remove(call);
    if gone.left == 0 {
        forget(path)?;
    }
    Ok(Ended { call, session, processes: gone.ended, left: gone.left })
}

/// Removes a record, which somebody else may have done: an emergency stop and a start can look at once.
fn forget(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn members(entry: Option<&Entry>, call: CallId) -> Vec<Process> {
    let all = proc::all();
    let call = call.to_string();
    let (first, since) = entry.map_or((None, 0), |entry| (Some(entry.pid), entry.start_time));
    let is_first = |process: &Process| Some(process.pid) == first && process.start == since;
    // While the first one lives, its number names its session too.
    let leads = all.iter().any(is_first);
    let is_member = |process: &&Process| {
        is_first(process)
            || (leads && Some(process.session) == first)
            || (process.start >= since && Some(process.pid) != first && process.is_marked(&call))
    };
    let mut members: Vec<Process> = all.iter().filter(is_member).copied().collect();
    proc::add_descendants(&mut members, &all);
    let spared = line_of_descent(&all);
    members.retain(|process| !process.zombie && !spared.contains(&process.pid));
    members
}

/// Returns this process and its ancestors: a server may have been started from a call itself.
fn line_of_descent(all: &[Process]) -> Vec<i32> {
    let parent = |pid: &i32| all.iter().find(|process| process.pid == *pid).map(|process| process.parent);
    std::iter::successors(Some(proc::own()), parent).collect()
}
