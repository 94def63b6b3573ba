//! The files of an audit log: `audit/00000001.jsonl` and so on, and `audit/head`, which names the last synced entry. One thread
//! writes what has gathered, syncs once, and only then moves the head: it never names what a crash can lose.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use outlive_core::digest::Digest;
use outlive_core::id::Seq;
use outlive_core::time::Timestamp;
use tokio::sync::oneshot;

use super::{Act, Audit, AuditEntry, check, root, write};
use crate::files::fs::{Disk, DiskFile, Open, RealDisk, is_full, read_all};
use crate::{Pending, StoreError};

const FOLDER: &str = "audit";
const HEAD: &str = "head";
/// Bytes of a file, after which the next one begins.
const FILE_BYTES: u64 = 4 << 20;
/// More than a file can have.
const MOST_BYTES: u64 = FILE_BYTES + (1 << 20);
/// Acts that may wait.
const BEHIND: usize = 1_024;
/// How long acts gather for which nobody waits.
const GATHER: Duration = Duration::from_millis(100);

/// An entry that was synced.
pub(super) struct Anchor {
    pub(super) seq: Seq,
    pub(super) hash: Digest,
}

/// Returns the names of a workspace's audit files, in order.
pub(super) fn names(workspace: &Path) -> io::Result<Vec<String>> {
    match RealDisk.list(&workspace.join(FOLDER)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        listed => Ok(listed?.into_iter().filter(|name| name.ends_with(".jsonl")).collect()),
    }
}

pub(super) fn bytes(workspace: &Path, name: &str) -> io::Result<Vec<u8>> {
    read_all(&RealDisk, &workspace.join(FOLDER).join(name), MOST_BYTES)
}

/// Returns what `audit/head` names.
pub(super) fn anchor(workspace: &Path) -> Result<Anchor, String> {
    let text = bytes(workspace, HEAD).map_err(|error| format!("`audit/{HEAD}` cannot be read: {error}"))?;
    let read = || {
        let (seq, hash) = std::str::from_utf8(&text).ok()?.trim().split_once(' ')?;
        Some(Anchor { seq: seq.parse().ok()?, hash: Digest::parse(hash)? })
    };
    read().ok_or_else(|| format!("`audit/{HEAD}` is not what was written"))
}

/// Returns a workspace's newest entries, oldest first, at most this many, that fit; lines that are no entries are left out.
///
/// # Errors
///
/// What the system says.
pub fn read(workspace: &Path, limit: usize, fits: &dyn Fn(&AuditEntry) -> bool) -> io::Result<Vec<AuditEntry>> {
    let mut newest = Vec::new();
    for name in names(workspace)?.iter().rev() {
        let text = bytes(workspace, name)?;
        let lines = text.split(|byte| *byte == b'\n').rev().filter_map(check).filter(|entry| fits(entry));
        newest.extend(lines.take(limit - newest.len()));
        if newest.len() >= limit {
            break;
        }
    }
    newest.reverse();
    Ok(newest)
}

/// The audit log of an open workspace.
pub struct AuditLog {
    root: PathBuf,
    sender: Mutex<Option<SyncSender<Wanted>>>,
    missed: Arc<AtomicU64>,
    writing: Mutex<Option<std::thread::JoinHandle<()>>>,
}

struct Wanted {
    act: Act,
    reply: Option<oneshot::Sender<Result<(), StoreError>>>,
}

impl AuditLog {
    /// Opens the log of a workspace that this process owns: a torn tail is cut, and noted with this time.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn open(disk: Arc<dyn Disk>, workspace: &Path, now: Timestamp) -> io::Result<Self> {
        let missed = Arc::<AtomicU64>::default();
        let mut writer = Writer::open(disk, workspace, Arc::clone(&missed))?;
        writer.mend(workspace, now)?;
        let (sender, wanted) = sync_channel(BEHIND);
        let thread = std::thread::Builder::new().name("audit".to_owned()).spawn(move || writer.run(&wanted))?;
        let (sender, writing) = (Mutex::new(Some(sender)), Mutex::new(Some(thread)));
        Ok(Self { root: workspace.to_owned(), sender, missed, writing })
    }

    /// Writes what waits, and takes nothing more. Blocks.
    pub fn close(&self) {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
        let thread = self.writing.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that writes the audit log panicked");
        }
    }

    fn sender(&self) -> Option<SyncSender<Wanted>> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for AuditLog {
    fn drop(&mut self) {
        self.close();
    }
}

impl Audit for AuditLog {
    fn enter(&self, act: Act) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let closed = || StoreError::Poisoned("the audit log is closed".to_owned());
            let sender = self.sender().ok_or_else(closed)?;
            let (reply, answer) = oneshot::channel();
            let mut wanted = Wanted { act, reply: Some(reply) };
            loop {
                match sender.try_send(wanted) {
                    Ok(()) => break,
                    Err(TrySendError::Disconnected(_)) => return Err(closed()),
                    Err(TrySendError::Full(back)) => wanted = back,
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            answer.await.map_err(|_gone| closed())?
        })
    }

    fn note(&self, act: Act) {
        let sent = self.sender().map(|sender| sender.try_send(Wanted { act, reply: None }).is_ok());
        if sent != Some(true) {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn newest(&self, limit: usize, fits: &dyn Fn(&AuditEntry) -> bool) -> Result<Vec<AuditEntry>, StoreError> {
        read(&self.root, limit, fits)
            .map_err(|error| StoreError::Io { what: "read the audit log".to_owned(), why: error.to_string() })
    }
}

struct Writer {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    number: u64,
    file: Arc<dyn DiskFile>,
    /// Where the next line goes.
    end: u64,
    last: Anchor,
    missed: Arc<AtomicU64>,
}

impl Writer {
    fn open(disk: Arc<dyn Disk>, workspace: &Path, missed: Arc<AtomicU64>) -> io::Result<Self> {
        let folder = workspace.join(FOLDER);
        disk.make_dir(&folder)?;
        disk.sync_dir(workspace)?;
        let listed = disk.list(&folder)?;
        let numbers = listed.iter().filter_map(|name| name.strip_suffix(".jsonl")?.parse::<u64>().ok());
        let number = numbers.max().unwrap_or(1);
        let path = folder.join(format!("{number:08}.jsonl"));
        let file = disk.open(&path, Open::Write)?;
        disk.sync_dir(&folder)?;
        let end = file.size()?;
        Ok(Self { disk, folder, number, file, end, last: Anchor { seq: 0, hash: root() }, missed })
    }

    /// Finds the last entry, cuts what comes after it, and says so.
    fn mend(&mut self, workspace: &Path, now: Timestamp) -> io::Result<()> {
        let text = read_all(&*self.disk, &self.folder.join(format!("{:08}.jsonl", self.number)), MOST_BYTES)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let lines = text.get(..whole).unwrap_or_default().split(|byte| *byte == b'\n');
        let in_file = lines.rev().find_map(|line| serde_json::from_slice::<AuditEntry>(line).ok());
        let last = match in_file {
            Some(entry) => Some(entry),
            // A new file that has no line yet follows the one before.
            None => read(workspace, 1, &|_| true)?.pop(),
        };
        if let Some(entry) = last {
            self.last = Anchor { seq: entry.seq, hash: entry.hash };
        }
        let torn = text.len() - whole;
        if torn > 0 {
            self.file.set_len(whole as u64)?;
            self.end = whole as u64;
            self.file.sync()?;
            self.say(now, "audit.torn", [("bytes".to_owned(), torn.to_string())])?;
        }
        match anchor(workspace) {
            Ok(anchor) if anchor.seq > self.last.seq => {
                self.say(now, "audit.cut", [("had".to_owned(), anchor.seq.to_string())])?;
            }
            Ok(_) => {}
            Err(_) if self.last.seq == 0 => {}
            Err(_) => self.say(now, "audit.unanchored", [])?,
        }
        Ok(())
    }

    /// Enters what the log itself has to say.
    fn say<const N: usize>(&mut self, at: Timestamp, what: &str, on: [(String, String); N]) -> io::Result<()> {
        let (who, what, outcome) = ("outlive".to_owned(), what.to_owned(), "ok".to_owned());
        let act = Act { at, who, sender: None, from: None, what, on: on.into(), outcome };
        self.batch(&[&act])
    }

    fn run(mut self, wanted: &Receiver<Wanted>) {
        while let Ok(first) = wanted.recv() {
            let mut batch = vec![first];
            // Whoever waits is not kept waiting; others gather.
            while batch.len() < BEHIND && batch.iter().all(|wanted| wanted.reply.is_none()) {
                match wanted.recv_timeout(GATHER) {
                    Ok(next) => batch.push(next),
                    Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
                }
            }
            batch.extend(wanted.try_iter().take(BEHIND - batch.len()));
            let acts: Vec<&Act> = batch.iter().map(|wanted| &wanted.act).collect();
            let done = self.batch(&acts).map_err(|error| self.broken(&error));
            self.tell_missed(batch.last().map(|wanted| wanted.act.at));
            if let Err(error) = &done {
                tracing::error!(%error, count = batch.len(), "the audit log cannot be written");
            }
            for wanted in batch {
                match (wanted.reply, &done) {
                    // Whoever waited may be gone.
                    (Some(reply), done) => drop(reply.send(done.clone())),
                    (None, Err(_)) => drop(self.missed.fetch_add(1, Ordering::Relaxed).to_string()),
                    (None, Ok(())) => {}
                }
            }
        }
    }

    fn tell_missed(&mut self, at: Option<Timestamp>) {
        let missed = self.missed.swap(0, Ordering::Relaxed);
        let Some(at) = at.filter(|_| missed > 0) else { return };
        if self.say(at, "audit.missed", [("count".to_owned(), missed.to_string())]).is_err() {
            self.missed.fetch_add(missed, Ordering::Relaxed);
        }
    }

    /// Writes entries and syncs them. One that fails is as if it had not been: what is written next overwrites it.
    fn batch(&mut self, acts: &[&Act]) -> io::Result<()> {
        if self.end >= FILE_BYTES {
            self.rotate()?;
        }
        let (mut text, mut last) = (String::new(), Anchor { seq: self.last.seq, hash: self.last.hash.clone() });
        for act in acts {
            let (line, hash) = write(last.seq + 1, act, &last.hash);
            text.push_str(&line);
            text.push('\n');
            last = Anchor { seq: last.seq + 1, hash };
        }
        let written = self.file.write_at(self.end, text.as_bytes()).and_then(|()| self.file.sync());
        if let Err(error) = written {
            // After a failed sync nobody knows what is there: it is cut off, and a cut that fails is cut at the next start.
            drop(self.file.set_len(self.end));
            return Err(error);
        }
        self.end += text.len() as u64;
        self.last = last;
        self.anchor()
    }

    /// In its place, of one length: whoever reads it sees the one or the other.
    fn anchor(&self) -> io::Result<()> {
        let file = self.disk.open(&self.folder.join(HEAD), Open::Write)?;
        file.write_at(0, format!("{:020} {}\n", self.last.seq, self.last.hash).as_bytes())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let path = self.folder.join(format!("{:08}.jsonl", self.number + 1));
        let file = self.disk.open(&path, Open::Write)?;
        self.disk.sync_dir(&self.folder)?;
        (self.number, self.file, self.end) = (self.number + 1, file, 0);
        Ok(())
    }

    fn broken(&self, error: &io::Error) -> StoreError {
        if is_full(error) {
            return StoreError::NoSpace;
        }
        StoreError::Io { what: format!("write {}", self.folder.display()), why: error.to_string() }
    }
}

#[cfg(test)]
mod tests;
