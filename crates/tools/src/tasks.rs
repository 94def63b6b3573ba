//! Commands that go on after their call has its result: each a task, known by its call, of one session.
//!
//! What a task says is in a file, `OUTPUT` in its folder, as it comes; how it ended is in `END`. A folder without `END` whose
//! task nobody here holds is of a server that died: its processes were ended at the next start, and the task is lost.
//!
//! Invariants: a task runs in the same sandbox and under the same verdict as its call. Waiting for one never ends it; it
//! outlives neither its session, which may be deleted, nor a server that shuts down.

#![expect(clippy::disallowed_methods, reason = "a task's output and its end, beside the records of running children")]

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use outlive_core::id::{CallId, SessionId};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::exec::{Exec, Job};
use crate::{Finished, Invocation, Sink};

const COMMAND: &str = "command";
const OUTPUT: &str = "output";
const END: &str = "end.json";
/// Tasks of one session at once.
const MOST: usize = 16;
/// Bytes of output that are kept.
const KEPT: u64 = 64 << 20;
/// Bytes of output that one look shows.
pub(crate) const SHOWN: usize = 24 << 10;
/// Time of a task that does not say how long it may take.
const USUAL: Duration = Duration::from_secs(30 * 86_400);
/// Time for tasks that are to stop to end: longer than their processes are given.
pub(crate) const ENDING: Duration = Duration::from_secs(5);
/// Time for a command to fail at once: then its call says so itself.
const FIRST: Duration = Duration::from_millis(300);

/// The tasks of this process, and the files of those before.
#[derive(Debug)]
pub struct Tasks {
    folder: PathBuf,
    running: Mutex<HashMap<CallId, Running>>,
}

#[derive(Debug)]
struct Running {
    session: SessionId,
    stop: CancellationToken,
    ended: watch::Receiver<bool>,
}

/// How a task ended, for those who look later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct End {
    /// In words: `exit code 0`.
    pub how: String,
}

/// How a task is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Status {
    Running,
    Ended(End),
    /// The server died while it ran.
    Lost,
}

/// What a look at a task found.
pub(crate) struct Look {
    pub status: Status,
    /// What it said from where was asked.
    pub text: String,
    /// Where the next look goes on.
    pub next: u64,
}

impl Tasks {
    /// Keeps what tasks say in this folder.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, running: Mutex::default() }
    }

    /// Starts the command as a task and returns its end, if it ended at once.
    ///
    /// # Errors
    ///
    /// Why it was not started.
    pub(crate) async fn start(
        self: &Arc<Self>,
        exec: &Arc<Exec>,
        task: Task,
        finish: fn(crate::exec::Ran, Duration) -> (Finished, String),
    ) -> Result<Option<Finished>, String> {
        let Task { invocation, command, limit } = task;
        let (session, call) = (invocation.session, invocation.call);
        let folder = self.place(session, call);
        let stop = CancellationToken::new();
        let (ends, mut ended) = watch::channel(false);
        self.enlist(call, Running { session, stop: stop.clone(), ended: ended.clone() })?;
        let sink = match begin(&folder, &command) {
            Ok(sink) => sink,
            Err(error) => {
                self.lock().remove(&call);
                return Err(format!("no file for its output could be made: {error}"));
            }
        };
        let (exec, tasks) = (Arc::clone(exec), Arc::clone(self));
        let (tell, mut told) = tokio::sync::oneshot::channel();
        let run = async move {
            let invocation = Invocation { sink, stop, ..invocation };
            let limit = limit.unwrap_or(USUAL);
            let ran = exec.run(Job { invocation: &invocation, command: &command, limit }).await;
            let finished = ran.map(|ran| finish(ran, limit));
            let how = finished.as_ref().map_or_else(|why| format!("not started: {why}"), |(_, how)| how.clone());
            write_end(&folder, &End { how });
            tasks.lock().remove(&call);
            // Nobody may listen any more.
            drop(tell.send(finished.map(|(finished, _)| finished)));
            ends.send_replace(true);
        };
        spawn(run);
        // One that was stopped meanwhile ends like any other.
        drop(tokio::time::timeout(FIRST, ended.wait_for(|ended| *ended)).await);
        told.try_recv().ok().transpose()
    }

    fn enlist(&self, call: CallId, task: Running) -> Result<(), String> {
        let mut running = self.lock();
        if running.values().filter(|other| other.session == task.session).count() >= MOST {
            return Err(format!("{MOST} tasks of this session run already: end one with `task_stop`"));
        }
        running.insert(call, task);
        Ok(())
    }

    /// Looks at a task: what it said from byte `since` on, or the last of it.
    ///
    /// # Errors
    ///
    /// The session has no such task.
    pub(crate) fn look(&self, session: SessionId, call: CallId, since: Option<u64>) -> Result<Look, String> {
        let folder = self.place(session, call);
        // Asked before its end is looked for: one that ends in between is seen as running, never as lost.
        let runs = self.lock().contains_key(&call);
        if !folder.is_dir() {
            let tasks = self.known(session);
            let known =
                if tasks.is_empty() { "it has none".to_owned() } else { format!("it has {}", tasks.join(", ")) };
            return Err(format!("this session has no task `{call}`: {known}"));
        }
        let end = fs::read(folder.join(END)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let status = match (end, runs) {
            (Some(end), _) => Status::Ended(end),
            (None, true) => Status::Running,
            (None, false) => Status::Lost,
        };
        let (text, next) = piece(&folder.join(OUTPUT), since).unwrap_or_default();
        Ok(Look { status, text, next })
    }

    /// Waits until a task has ended, at most so long. What does not run here is not waited for.
    pub(crate) async fn wait(&self, call: CallId, patience: Duration, stop: &CancellationToken) {
        let Some(mut ended) = self.lock().get(&call).map(|task| task.ended.clone()) else { return };
        tokio::select! {
            _ended = tokio::time::timeout(patience, ended.wait_for(|ended| *ended)) => {}
            () = stop.cancelled() => {}
        }
    }

    /// Has a task ended with all its processes; it still says what it has to say.
    pub(crate) fn stop(&self, session: SessionId, call: CallId) {
        if let Some(task) = self.lock().get(&call).filter(|task| task.session == session) {
            task.stop.cancel();
        }
    }

    /// Ends the tasks of a session, or all, with all their processes, and waits until they have ended: they still say what
    /// they have to say.
    pub async fn end(&self, of: Option<SessionId>) {
        let ending: Vec<_> = {
            let running = self.lock();
            let these = running.values().filter(|task| of.is_none_or(|session| task.session == session));
            these.map(|task| (task.stop.clone(), task.ended.clone())).collect()
        };
        ending.iter().for_each(|(stop, _)| stop.cancel());
        let all = async {
            for (_, mut ended) in ending {
                // One whose sender is gone has ended, too.
                drop(ended.wait_for(|ended| *ended).await);
            }
        };
        if tokio::time::timeout(ENDING, all).await.is_err() {
            tracing::warn!("some commands in the background did not end in time");
        }
    }

    /// Has all tasks of a session ended, and takes away what they said: the session is erased.
    pub fn erase(&self, session: SessionId) {
        self.lock().values().filter(|task| task.session == session).for_each(|task| task.stop.cancel());
        match fs::remove_dir_all(self.folder.join(session.to_string())) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::error!(%session, %error, "what tasks of an erased session said is still there for some days");
            }
            Ok(()) | Err(_) => {}
        }
    }

    fn known(&self, session: SessionId) -> Vec<String> {
        let Ok(listed) = fs::read_dir(self.folder.join(session.to_string())) else { return Vec::new() };
        let mut names: Vec<String> = listed.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    fn place(&self, session: SessionId, call: CallId) -> PathBuf {
        self.folder.join(session.to_string()).join(call.to_string())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CallId, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is to run as a task.
pub(crate) struct Task {
    pub invocation: Invocation,
    pub command: String,
    /// When it is ended, if it says so.
    pub limit: Option<Duration>,
}

#[expect(clippy::disallowed_methods, reason = "a task is owned by the table above, which stops it and knows its end")]
fn spawn(run: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(run));
}

/// Makes a task's files, and returns what takes its output.
fn begin(folder: &Path, command: &str) -> std::io::Result<Sink> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join(COMMAND), command)?;
    let file = Mutex::new((File::create(folder.join(OUTPUT))?, KEPT));
    Ok(Arc::new(move |text: String| {
        let mut held = file.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, left) = &mut *held;
        let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(text.len());
        // Where it cannot be kept, the task goes on all the same: its end is what matters.
        if file.write_all(&text.as_bytes()[..taken]).is_ok() {
            *left -= taken as u64;
        }
    }))
}

fn write_end(folder: &Path, end: &End) {
    let written = serde_json::to_vec(end).map_err(std::io::Error::from).and_then(|bytes| {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&bytes)?;
        file.persist(folder.join(END)).map_err(|failed| failed.error)?;
        Ok(())
    });
    // One whose session was erased has no end to be told.
    if let Err(error) = written.or_else(|error| if folder.is_dir() { Err(error) } else { Ok(()) }) {
        tracing::warn!(%error, "the end of a task could not be written: it will look as if it had been lost");
    }
}

/// Reads a piece of an output, whole characters only: from `since`, else its end.
fn piece(path: &Path, since: Option<u64>) -> std::io::Result<(String, u64)> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let from = since.unwrap_or_else(|| size.saturating_sub(SHOWN as u64)).min(size);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(SHOWN as u64).read_to_end(&mut bytes)?;
    // A piece may begin or end within a character.
    let begin = bytes.iter().take(3).take_while(|byte| **byte & 0xc0 == 0x80).count();
    let end = match std::str::from_utf8(&bytes[begin..]) {
        Err(error) if error.error_len().is_none() => begin + error.valid_up_to(),
        Ok(_) | Err(_) => bytes.len(),
    };
    let text = String::from_utf8_lossy(&bytes[begin..end]).into_owned();
    Ok((text, from + end as u64))
}

/// Takes away what tasks said that were lost or ended before this many days: at start, before any runs.
///
/// # Errors
///
/// The folder cannot be read.
pub fn forget(folder: &Path, days: u64) -> std::io::Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    // The age of files is told by a file, too: it goes by the disk's clock.
    let now = tempfile::NamedTempFile::new_in(folder)?.as_file().metadata()?.modified()?;
    let long = Duration::from_secs(days * 86_400);
    for session in fs::read_dir(folder)? {
        let session = session?.path();
        let Ok(listed) = fs::read_dir(&session) else { continue };
        for task in listed {
            let task = task?.path();
            let last = task.metadata()?.modified()?;
            if now.duration_since(last).is_ok_and(|age| age > long) {
                fs::remove_dir_all(&task)?;
            }
        }
        // One that still has tasks stays.
        drop(fs::remove_dir(&session));
    }
    Ok(())
}
