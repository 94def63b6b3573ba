//! The file store at moments that are hard to hit: held at a sync, killed with the page cache alive, cut off from power,
//! with pages that the kernel dropped after a failed sync.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that cannot go on has failed"
)]

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};

use outlive_core::event::Line;
use outlive_core::id::SessionId;
use outlive_store::files::faults::{Fault, FaultyDisk, Keep};
use outlive_store::files::fs::{Disk, DiskFile, Open};
use outlive_store::files::{FileJournals, Options};
use outlive_store::{Append, Journals, Leases, StoreError};

const OPTIONS: Options = Options { segment_bytes: 4_096, backlog_bytes: 1 << 20, waiting: 64, live_bytes: 2_048, past_bytes: 512 };

/// Where a disk can be held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum At {
    Sync,
    MakeDir,
}

#[derive(Default)]
struct Rules {
    held: Vec<(At, String)>,
    waiting: usize,
    /// Someone waits at the log's sync.
    log_waits: bool,
    /// The process is dead: nothing of it reaches the disk any more, the page cache stays.
    dead: bool,
    /// Dies at the next sync of such a file.
    dies_at_sync: Option<String>,
    /// Syncs of such a file fail once; the kernel then calls its pages clean, so that later syncs do nothing.
    drops_at_sync: Option<String>,
    dropped: Vec<PathBuf>,
}

/// A faulty disk that can also stop at a point, die as a process (the page cache survives), and drop pages.
#[derive(Clone, Default)]
struct Rig {
    inner: FaultyDisk,
    rules: Arc<(Mutex<Rules>, Condvar)>,
}

impl Rig {
    fn rules<T>(&self, act: impl FnOnce(&mut Rules) -> T) -> T {
        let done = act(&mut self.rules.0.lock().unwrap());
        self.rules.1.notify_all();
        done
    }

    fn hold(&self, at: At, path: &str) {
        self.rules(|rules| rules.held.push((at, path.to_owned())));
    }

    fn release(&self) {
        self.rules(|rules| rules.held.clear());
    }

    fn wait_held(&self) {
        let mut rules = self.rules.0.lock().unwrap();
        while rules.waiting == 0 {
            rules = self.rules.1.wait(rules).unwrap();
        }
    }

    fn wait_held_at_log(&self) {
        let mut rules = self.rules.0.lock().unwrap();
        while !rules.log_waits {
            rules = self.rules.1.wait(rules).unwrap();
        }
    }

    fn pass(&self, at: Option<At>, path: &Path) -> io::Result<()> {
        let mut rules = self.rules.0.lock().unwrap();
        let held = |rules: &Rules| {
            rules.held.iter().any(|(point, part)| Some(*point) == at && path.to_string_lossy().contains(part.as_str()))
        };
        if held(&rules) {
            rules.waiting += 1;
            rules.log_waits |= path.to_string_lossy().contains("commit");
            self.rules.1.notify_all();
            while held(&rules) {
                rules = self.rules.1.wait(rules).unwrap();
            }
            rules.waiting -= 1;
        }
        if rules.dead { Err(io::Error::other("killed")) } else { Ok(()) }
    }
}

struct RigFile(Rig, PathBuf, Arc<dyn DiskFile>);

impl DiskFile for RigFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.2.read_at(offset, buffer)
    }
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.pass(None, &self.1)?;
        self.0.rules(|rules| rules.dropped.retain(|path| *path != self.1));
        self.2.write_at(offset, bytes)
    }
    fn sync(&self) -> io::Result<()> {
        self.0.pass(Some(At::Sync), &self.1)?;
        let name = self.1.to_string_lossy().into_owned();
        let outcome = self.0.rules(|rules| {
            if rules.dies_at_sync.as_ref().is_some_and(|part| name.contains(part)) {
                rules.dead = true;
                return Err(io::Error::other("killed"));
            }
            if rules.drops_at_sync.as_ref().is_some_and(|part| name.contains(part)) {
                rules.drops_at_sync = None;
                rules.dropped.push(self.1.clone());
                return Err(io::Error::from_raw_os_error(5));
            }
            Ok(rules.dropped.contains(&self.1))
        });
        if outcome? { Ok(()) } else { self.2.sync() }
    }
    fn size(&self) -> io::Result<u64> {
        self.2.size()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.pass(None, &self.1)?;
        self.2.set_len(len)
    }
}

impl Disk for Rig {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        if how == Open::Write {
            self.pass(None, path)?;
        }
        Ok(Arc::new(RigFile(self.clone(), path.to_owned(), self.inner.open(path, how)?)))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.pass(None, from)?;
        self.inner.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.pass(None, path)?;
        self.inner.remove(path)
    }
    fn make_dir(&self, path: &Path) -> io::Result<()> {
        self.pass(Some(At::MakeDir), path)?;
        self.inner.make_dir(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.pass(None, path)?;
        self.inner.sync_dir(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.inner.list(path)
    }
    fn identity(&self, path: &Path) -> io::Result<u64> {
        self.inner.identity(path)
    }
}

fn line(seq: u64, text: &str) -> Line {
    let body = format!("{{\"seq\":{seq},\"at\":\"2026-01-01T00:00:00.000000Z\",\"type\":\"x\",\"text\":\"{text}\"");
    Line::check(format!("{body},\"crc\":\"{:08x}\"}}", crc32c::crc32c(body.as_bytes())).as_bytes()).unwrap()
}

fn session(n: u128) -> SessionId {
    SessionId::from_bits(n)
}

fn open_with(root: &Path, disk: &Rig, options: Options) -> Arc<FileJournals> {
    FileJournals::open(root, Arc::new(disk.clone()), options, Box::new(|_| {})).unwrap()
}

fn open(root: &Path, disk: &Rig) -> Arc<FileJournals> {
    open_with(root, disk, OPTIONS)
}

async fn append(store: &FileJournals, n: u128, expected: u64) -> Result<(), StoreError> {
    let epoch = Leases::take(store, session(n)).await?;
    let lines = vec![line(expected + 1, &format!("{n:08}.{:08} {}", expected + 1, "x".repeat(100)))];
    store.append(Append { journal: session(n), epoch, expected, lines }).await
}

async fn count(store: &FileJournals, n: u128) -> u64 {
    match store.read(session(n), 0, usize::MAX).await {
        Ok(opened) => opened.lines.len() as u64,
        Err(StoreError::NotFound(_)) => 0,
        Err(error) => panic!("{error}"),
    }
}

fn journal_path(root: &Path, n: u128) -> PathBuf {
    root.join(format!("sessions/{}/events.jsonl", session(n)))
}

/// Waits until the files hold this many lines.
fn flushed(root: &Path, disk: &Rig, n: u128, lines: usize) {
    let path = journal_path(root, n);
    while disk.inner.bytes(&path).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count() < lines {
        std::thread::yield_now();
    }
}

fn kill(disk: &Rig, store: Arc<FileJournals>) {
    disk.rules(|rules| rules.dead = true);
    disk.release();
    drop(store);
    disk.rules(|rules| rules.dead = false);
}

/// Once: positions are given out again after a refused batch, and only its first frame is made no frame.
#[tokio::test]
async fn a_refused_append_does_not_come_back_after_a_restart() {
    let (home, disk) = (tempfile::tempdir().unwrap(), Rig::default());
    let options = Options { segment_bytes: 1 << 16, ..OPTIONS };
    let store = open_with(home.path(), &disk, options);
    append(&store, 1, 0).await.unwrap();
    disk.hold(At::MakeDir, "sessions/ses_");
    append(&store, 2, 0).await.unwrap();
    disk.hold(At::Sync, "commit");
    let (first, rest) = tokio::join!(append(&store, 1, 1), async {
        disk.wait_held_at_log();
        let rest = futures_util::future::join_all((100..140).map(|n| append(&store, n, 0)));
        let let_go = async {
            // Held is the sync of the first; the write after it is the batch of all the others.
            disk.inner.plan(1, Fault::NoSpace);
            disk.rules(|rules| rules.held.retain(|(at, _)| *at == At::MakeDir));
        };
        futures_util::future::join(rest, let_go).await.0
    });
    first.unwrap();
    let refused: Vec<u128> = (100..140).zip(&rest).filter(|(_, answer)| answer.is_err()).map(|(n, _)| n).collect();
    assert!(refused.len() > 4, "the batch was refused: {refused:?}");
    append(&store, 1, 2).await.unwrap();
    kill(&disk, store);
    let again = open_with(home.path(), &disk, options);
    let mut back = Vec::new();
    for n in refused {
        if count(&again, n).await > 0 {
            back.push(n);
        }
    }
    assert_eq!(back, [0_u128; 0], "refused with an error, yet there after the restart");
}

/// Once: a log whose last frame cannot be read cuts good lines off the file.
#[tokio::test]
async fn a_bad_last_frame_never_takes_a_good_line_out_of_a_file() {
    let (home, disk) = (tempfile::tempdir().unwrap(), Rig::default());
    let store = open(home.path(), &disk);
    for seq in 0..3 {
        append(&store, 1, seq).await.unwrap();
    }
    flushed(home.path(), &disk, 1, 3);
    kill(&disk, store);
    disk.inner.tamper(&home.path().join("commit/00000001.log"), |log| {
        let end = log.iter().rposition(|byte| *byte != 0).unwrap();
        log[end - 20] ^= 1;
    });
    assert_eq!(count(&open(home.path(), &disk), 1).await, 3);
}

/// Once: a damaged frame in the middle cuts good lines off the file that holds them all.
#[tokio::test]
async fn a_hole_in_the_log_never_takes_good_lines_out_of_a_file() {
    let (home, disk) = (tempfile::tempdir().unwrap(), Rig::default());
    let store = open(home.path(), &disk);
    for seq in 0..6 {
        append(&store, 1, seq).await.unwrap();
    }
    flushed(home.path(), &disk, 1, 6);
    kill(&disk, store);
    disk.inner.tamper(&home.path().join("commit/00000001.log"), |log| {
        let end = log.iter().rposition(|byte| *byte != 0).unwrap();
        log[end / 2] ^= 1;
    });
    let again = open(home.path(), &disk);
    again.read(session(1), 0, 10).await.ok();
    let lines = disk.inner.bytes(&journal_path(home.path(), 1)).unwrap().iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(lines, 6, "lines in events.jsonl after the start");
}

/// Once: after a clean stop, stale frames of old segments count again when the first new write is torn.
#[tokio::test]
async fn stale_segments_never_count_again() {
    for keep in [Keep::Everything, Keep::Half] {
        let (home, disk) = (tempfile::tempdir().unwrap(), Rig::default());
        let store = open(home.path(), &disk);
        for seq in 0..100 {
            append(&store, 1, seq).await.unwrap();
        }
        store.close();
        drop(store);
        let store = open(home.path(), &disk);
        disk.inner.plan(0, Fault::Cut);
        append(&store, 1, 100).await.unwrap_err();
        drop(store);
        disk.inner.crash(keep);
        let again = open(home.path(), &disk);
        assert!(count(&again, 1).await >= 100, "{keep:?}: {} of 100 acknowledged lines", count(&again, 1).await);
    }
}

/// Once: a segment that fills while the flusher is between its flush and its checkpoint is freed unflushed.
#[tokio::test]
async fn no_segment_is_recycled_before_its_lines_are_in_the_files() {
    let (home, disk) = (tempfile::tempdir().unwrap(), Rig::default());
    let store = open(home.path(), &disk);
    // The flusher stands between having listed what is dirty and writing the first file.
    disk.hold(At::MakeDir, "sessions/ses_");
    append(&store, 1, 0).await.unwrap();
    disk.wait_held();
    // Meanwhile other journals fill several segments.
    for n in 2..60 {
        append(&store, n, 0).await.unwrap();
    }
    // Let the pass end; stop at the first file of the next one.
    disk.rules(|rules| rules.held = vec![(At::MakeDir, session(59).to_string())]);
    disk.rules(|rules| rules.held.extend((2..60).map(|n| (At::MakeDir, session(n).to_string()))));
    disk.wait_held();
    let used = |n: u64| disk.inner.bytes(&home.path().join(format!("commit/{n:08}.log"))).is_some();
    let live = (1..40).filter(|n| used(*n)).count();
    // Now fill more: freed segments are overwritten.
    for n in 60..120 {
        append(&store, n, 0).await.unwrap();
    }
    disk.rules(|rules| rules.dead = true);
    disk.release();
    drop(store);
    disk.rules(|rules| rules.dead = false);
    disk.inner.crash(Keep::Nothing);
    let again = open(home.path(), &disk);
    let mut lost = Vec::new();
    for n in 1..120 {
        if count(&again, n).await < 1 {
            lost.push(n);
        }
    }
    assert_eq!(lost, [0_u128; 0], "acknowledged and lost ({live} segments were live)");
}

/// Once: damage is named at the line after the asked position, wherever it is; and appends go on.
#[tokio::test]
async fn damage_names_its_line_and_stops_appends() {
    let (home, disk) = (tempfile::tempdir().unwrap(), Rig::default());
    let store = open(home.path(), &disk);
    for seq in 0..10 {
        append(&store, 1, seq).await.unwrap();
    }
    store.close();
    drop(store);
    disk.inner.tamper(&journal_path(home.path(), 1), |bytes| {
        let size = bytes.len() / 10;
        bytes[size * 4 + 20] ^= 1;
    });
    let again = open(home.path(), &disk);
    let Err(StoreError::Corrupt { line, .. }) = again.read(session(1), 0, 100).await else { panic!("not found") };
    assert_eq!(line, 5);
    assert!(matches!(append(&again, 1, 10).await, Err(StoreError::Corrupt { .. })), "append to a damaged journal");
}

/// Once: a live end that is dropped to make room while its append is being synced comes back as that of an empty journal.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn making_room_in_memory_never_forgets_a_journal_that_is_being_written() {
    let (home, disk) = (tempfile::tempdir().unwrap(), Rig::default());
    let options = Options { segment_bytes: 8 << 20, backlog_bytes: 64 << 20, waiting: 1_024, ..OPTIONS };
    let store = open_with(home.path(), &disk, options);
    for n in 1..=4_200_u128 {
        append(&store, n, 0).await.unwrap();
    }
    store.close();
    drop(store);
    let store = open_with(home.path(), &disk, options);
    for n in 2..=4_097_u128 {
        store.head(session(n)).await.unwrap();
    }
    disk.hold(At::Sync, "commit");
    let writing = {
        let store = Arc::clone(&store);
        async move { append(&store, 4_150, 1).await }
    };
    let writing = tokio::spawn(writing);
    disk.wait_held();
    for n in 4_098..=4_149_u128 {
        store.head(session(n)).await.unwrap();
    }
    for n in 2..=4_097_u128 {
        store.head(session(n)).await.unwrap();
    }
    disk.release();
    writing.await.unwrap().unwrap();
    assert_eq!(store.head(session(4_150)).await.unwrap(), 2);
    assert_eq!(count(&store, 4_150).await, 2);
}

/// Once: a flush that is under way makes a removed journal anew.
#[tokio::test]
async fn a_journal_removed_while_it_is_flushed_stays_removed() {
    let (home, disk) = (tempfile::tempdir().unwrap(), Rig::default());
    let store = open(home.path(), &disk);
    disk.hold(At::MakeDir, "sessions/ses_");
    append(&store, 1, 0).await.unwrap();
    disk.wait_held();
    let removal = store.remove(session(1));
    let held = async {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
        disk.release();
    };
    futures_util::future::join(removal, held).await.0.unwrap();
    append(&store, 2, 0).await.unwrap();
    flushed(home.path(), &disk, 2, 1);
    store.close();
    drop(store);
    let again = open(home.path(), &disk);
    assert_eq!(count(&again, 1).await, 0);
}

/// Once: a failed sync of a journal is tried again on the same pages; the second one says yes and the log is recycled.
#[tokio::test]
async fn a_failed_sync_of_a_journal_never_lets_its_log_be_recycled() {
    let (home, disk) = (tempfile::tempdir().unwrap(), Rig::default());
    let store = open(home.path(), &disk);
    let id = session(1).to_string();
    disk.rules(|rules| rules.drops_at_sync = Some(id));
    append(&store, 1, 0).await.unwrap();
    flushed(home.path(), &disk, 1, 1);
    let mut heads = [0_u64; 4];
    for round in 0..400 {
        let n = 2 + round % 3;
        if append(&store, n as u128, heads[n - 1]).await.is_err() {
            break;
        }
        heads[n - 1] += 1;
        if round % 20 == 19 {
            std::thread::sleep(std::time::Duration::from_millis(120));
        }
    }
    kill(&disk, store);
    disk.inner.crash(Keep::Nothing);
    let again = open(home.path(), &disk);
    assert_eq!(count(&again, 1).await, 1, "acknowledged, then lost");
}

/// Once: what a killed process wrote but did not sync is shown after the restart without being made durable.
#[tokio::test]
async fn what_a_restart_shows_survives_a_power_cut_after_it() {
    let (home, disk) = (tempfile::tempdir().unwrap(), Rig::default());
    let store = open(home.path(), &disk);
    append(&store, 1, 0).await.unwrap();
    disk.rules(|rules| rules.dies_at_sync = Some("commit".to_owned()));
    append(&store, 1, 1).await.unwrap_err();
    drop(store);
    disk.rules(|rules| (rules.dead, rules.dies_at_sync) = (false, None));
    disk.hold(At::Sync, "sessions/ses_");
    let again = open(home.path(), &disk);
    let head = again.head(session(1)).await.unwrap();
    append(&again, 1, head).await.unwrap();
    kill(&disk, again);
    disk.inner.crash(Keep::Nothing);
    let last = open(home.path(), &disk);
    assert_eq!(count(&last, 1).await, head + 1);
}

/// Once: a burst on a healthy disk is refused as if the disk were full.
#[tokio::test]
async fn a_burst_on_a_disk_with_room_waits_and_is_not_refused() {
    let (home, disk) = (tempfile::tempdir().unwrap(), Rig::default());
    let store = open_with(home.path(), &disk, Options { backlog_bytes: 4_096, segment_bytes: 1 << 20, ..OPTIONS });
    for seq in 0..100 {
        assert_eq!(append(&store, 1, seq).await, Ok(()), "append {seq}");
    }
}

/// Once: damage at the end of one live segment throws away everything before it.
#[tokio::test]
async fn damage_at_the_end_of_a_segment_costs_only_what_was_there() {
    let (home, disk) = (tempfile::tempdir().unwrap(), Rig::default());
    disk.hold(At::Sync, "sessions/ses_");
    let store = open(home.path(), &disk);
    for n in 1..=20 {
        append(&store, n, 0).await.unwrap();
    }
    assert!(disk.inner.bytes(&home.path().join("commit/00000002.log")).is_some(), "two segments");
    kill(&disk, store);
    disk.inner.crash(Keep::Nothing);
    disk.inner.tamper(&home.path().join("commit/00000001.log"), |log| {
        let end = log.iter().rposition(|byte| *byte != 0).unwrap();
        log[end - 20] ^= 1;
    });
    let again = open(home.path(), &disk);
    let mut lost = 0;
    for n in 1..=20 {
        lost += u64::from(count(&again, n).await == 0);
    }
    assert!(lost <= 1, "one frame is damaged, {lost} journals of 20 are gone");
    assert!(lost == 0 || !again.recovery().damage.is_empty(), "and nobody is told");
}
