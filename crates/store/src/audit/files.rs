//! The files of an audit log: `audit/00000001.jsonl` and so on, and `audit/head`, which names the last synced entry. One thread
//! writes what has gathered, syncs once, and only then moves the head: it never names what a crash can lose. The head is there
//! before the first entry is.

use std::collections::VecDeque;
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

pub(super) const FOLDER: &str = "audit";
const HEAD: &str = "head";
/// Bytes of a file, after which the next one begins.
const FILE_BYTES: u64 = 4 << 20;
/// More than a file can have.
const MOST_BYTES: u64 = FILE_BYTES + (1 << 20);
/// Bytes of a batch, after which no further act is added: with the one that went over, less than what a file has to spare.
const BATCH_BYTES: usize = 256 << 10;
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

/// Returns what the head in the log's folder names.
pub(super) fn anchor(disk: &dyn Disk, folder: &Path) -> Result<Anchor, String> {
    let text = read_all(disk, &folder.join(HEAD), MOST_BYTES);
    let text = text.map_err(|error| format!("`audit/{HEAD}` cannot be read: {error}"))?;
    let read = || {
        let (seq, hash) = std::str::from_utf8(&text).ok()?.trim().split_once(' ')?;
        Some(Anchor { seq: seq.parse().ok()?, hash: Digest::parse(hash)? })
    };
    read().ok_or_else(|| format!("`audit/{HEAD}` is not what was written"))
}

fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:08}.jsonl"))
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
        writer.mend(now)?;
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
    /// Something may stand behind the end.
    is_uncut: bool,
    last: Anchor,
    /// The head is there, durably.
    is_anchored: bool,
    /// What the log itself has to say before anybody else says anything.
    owed: Vec<Act>,
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
        let file = disk.open(&path(&folder, number), Open::Write)?;
        disk.sync_dir(&folder)?;
        let (end, last, owed) = (file.size()?, Anchor { seq: 0, hash: root() }, Vec::new());
        let is_anchored = listed.iter().any(|name| name == HEAD);
        Ok(Self { disk, folder, number, file, end, is_uncut: false, last, is_anchored, owed, missed })
    }

    /// Finds the last entry and cuts what comes after it. What there is to say of that is written before the next entry: at once,
    /// or once there is room for it.
    fn mend(&mut self, now: Timestamp) -> io::Result<()> {
        let text = read_all(&*self.disk, &path(&self.folder, self.number), MOST_BYTES)?;
        let anchored = anchor(&*self.disk, &self.folder);
        let good = self.good(&text, anchored.as_ref().ok())?;
        self.end = good as u64;
        let torn = text.len() - good;
        if torn > 0 {
            self.is_uncut = true;
            self.owe(now, "audit.torn", [("bytes".to_owned(), torn.to_string())]);
        }
        match anchored {
            Ok(anchor) if anchor.seq > self.last.seq => {
                self.owe(now, "audit.cut", [("had".to_owned(), anchor.seq.to_string())]);
            }
            Ok(_) => {}
            Err(_) if self.last.seq == 0 => {}
            Err(_) => self.owe(now, "audit.unanchored", []),
        }
        // Before the first entry nobody knows how durable it is.
        self.is_anchored &= self.last.seq > 0 || !self.owed.is_empty();
        if !self.owed.is_empty()
            && let Err(error) = self.batch(&[])
        {
            tracing::error!(%error, "the audit log cannot be written: what it has to say of itself is entered once it can");
        }
        Ok(())
    }

    /// Finds the last entry, and returns up to where the file is kept. What follows the anchor was never acknowledged if it does
    /// not follow the chain; anything before it is evidence, and stays.
    fn good(&mut self, text: &[u8], anchor: Option<&Anchor>) -> io::Result<usize> {
        let before = if self.number > 1 { self.last_of(self.number - 1)? } else { None };
        let mut last =
            before.map_or(Anchor { seq: 0, hash: root() }, |entry| Anchor { seq: entry.seq, hash: entry.hash });
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let mut good = 0;
        for line in text.get(..whole).unwrap_or_default().split_inclusive(|byte| *byte == b'\n') {
            let entry = line.strip_suffix(b"\n").and_then(check);
            let Some(entry) = entry.filter(|entry| entry.seq == last.seq + 1 && entry.prev == last.hash) else { break };
            (last, good) = (Anchor { seq: entry.seq, hash: entry.hash }, good + line.len());
        }
        if anchor.is_none_or(|anchor| anchor.seq > last.seq) && good < whole {
            // In all of it, or in the files before it: `verify` says where the chain breaks.
            let mut lines = text.split(|byte| *byte == b'\n').rev();
            let found = lines.find_map(|line| serde_json::from_slice::<AuditEntry>(line).ok());
            (last, good) = (found.map_or(last, |entry| Anchor { seq: entry.seq, hash: entry.hash }), whole);
        }
        self.last = last;
        Ok(good)
    }

    /// Returns the last entry of a file, or of one before it.
    fn last_of(&self, number: u64) -> io::Result<Option<AuditEntry>> {
        for number in (1..=number).rev() {
            let text = match read_all(&*self.disk, &path(&self.folder, number), MOST_BYTES) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                read => read?,
            };
            if let Some(entry) = text.split(|byte| *byte == b'\n').rev().find_map(check) {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    fn owe<const N: usize>(&mut self, at: Timestamp, what: &str, on: [(String, String); N]) {
        let (who, what, outcome) = ("outlive".to_owned(), what.to_owned(), "ok".to_owned());
        self.owed.push(Act { at, who, sender: None, from: None, what, on: on.into(), outcome });
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
            let at = batch.last().map(|wanted| wanted.act.at);
            self.enter(batch);
            self.tell_missed(at);
        }
    }

    /// Writes all that has gathered, in as many batches as it takes, and answers whoever waits.
    fn enter(&mut self, gathered: Vec<Wanted>) {
        let mut gathered = VecDeque::from(gathered);
        while !gathered.is_empty() {
            let acts: Vec<&Act> = gathered.iter().map(|wanted| &wanted.act).collect();
            let (count, done) = match self.batch(&acts) {
                Ok(count) => (count, Ok(())),
                Err(error) => (gathered.len(), Err(self.broken(&error))),
            };
            if let Err(error) = &done {
                tracing::error!(%error, count, "the audit log cannot be written");
            }
            for wanted in gathered.drain(..count) {
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
        let before = self.owed.len();
        self.owe(at, "audit.missed", [("count".to_owned(), missed.to_string())]);
        if self.batch(&[]).is_err() {
            self.owed.truncate(before);
            self.missed.fetch_add(missed, Ordering::Relaxed);
        }
    }

    /// Writes what the log owes and the first of these entries, syncs them, and returns how many of these that was. What fails is
    /// as if it had not been.
    fn batch(&mut self, acts: &[&Act]) -> io::Result<usize> {
        self.ready()?;
        let (mut text, mut last) = (String::new(), Anchor { seq: self.last.seq, hash: self.last.hash.clone() });
        let mut count = 0;
        for act in self.owed.iter().chain(acts.iter().copied()) {
            if text.len() >= BATCH_BYTES {
                break;
            }
            let (line, hash) = write(last.seq + 1, act, &last.hash);
            text.push_str(&line);
            text.push('\n');
            last = Anchor { seq: last.seq + 1, hash };
            count += 1;
        }
        let written = self.file.write_at(self.end, text.as_bytes()).and_then(|()| self.file.sync());
        if let Err(error) = written {
            // After a failed sync nobody knows what is there.
            self.is_uncut = true;
            drop(self.cut());
            return Err(error);
        }
        self.end += text.len() as u64;
        self.last = last;
        let told = self.owed.drain(..count.min(self.owed.len())).count();
        if let Err(error) = self.anchor() {
            // What is entered is: the next entry moves it.
            tracing::error!(%error, "the head of the audit log stays behind: an end that is cut off would not be noticed");
        }
        Ok(count - told)
    }

    /// Nothing stands behind the end, the file has room, and the head is there before the first entry.
    fn ready(&mut self) -> io::Result<()> {
        self.cut()?;
        if self.last.seq == 0 && !self.is_anchored {
            self.anchor()?;
        }
        if self.end >= FILE_BYTES {
            self.rotate()?;
        }
        Ok(())
    }

    fn cut(&mut self) -> io::Result<()> {
        if self.is_uncut {
            self.file.set_len(self.end)?;
            self.file.sync()?;
            self.is_uncut = false;
        }
        Ok(())
    }

    /// In its place, of one length: whoever reads it sees the one or the other.
    fn anchor(&mut self) -> io::Result<()> {
        let file = self.disk.open(&self.folder.join(HEAD), Open::Write)?;
        file.write_at(0, format!("{:020} {}\n", self.last.seq, self.last.hash).as_bytes())?;
        if !self.is_anchored {
            file.sync()?;
            self.disk.sync_dir(&self.folder)?;
            self.is_anchored = true;
        }
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let file = self.disk.open(&path(&self.folder, self.number + 1), Open::Write)?;
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
