//! The file store on a disk that loses, tears and refuses, at every operation of a story.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::sync::Arc;

use outlive_core::event::Line;
use outlive_core::id::SessionId;
use outlive_store::files::faults::{Fault, FaultyDisk, Keep, Space};
use outlive_store::files::fs::Disk as _;
use outlive_store::files::verify::{Problem, Repair, verify};
use outlive_store::files::{FileJournals, OpenError, Options};
use outlive_store::{Append, Journals, Leases, StoreError};
use tempfile::TempDir;

fn line(seq: u64, text: &str) -> Line {
    let body = format!("{{\"seq\":{seq},\"at\":\"2026-01-01T00:00:00.000000Z\",\"type\":\"x\",\"text\":\"{text}\"");
    Line::check(format!("{body},\"crc\":\"{:08x}\"}}", crc32c::crc32c(body.as_bytes())).as_bytes()).unwrap()
}

const OPTIONS: Options =
    Options { segment_bytes: 4_096, backlog_bytes: 1 << 20, waiting: 64, live_bytes: 2_048, past_bytes: 512 };

/// Where the lock is, a real file whatever the disk: in memory where there is such a place, since its syncs are not what is
/// proven here.
fn home() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn open(root: &Path, disk: &FaultyDisk) -> Result<Arc<FileJournals>, OpenError> {
    FileJournals::open(root, Arc::new(disk.clone()), OPTIONS, Box::new(|_| {}))
}

fn session(n: u128) -> SessionId {
    SessionId::from_bits(n)
}

fn said(n: u128, seq: u64) -> Line {
    line(seq, &format!("{n}.{seq} {}", "x".repeat(100)))
}

async fn append(store: &FileJournals, n: u128, expected: u64, count: u64) -> Result<(), StoreError> {
    let epoch = Leases::take(store, session(n)).await?;
    let lines = (expected + 1..=expected + count).map(|seq| said(n, seq)).collect();
    store.append(Append { journal: session(n), epoch, expected, lines }).await
}

/// Writes to three journals until something fails; returns the acknowledged head of each.
async fn story(store: &FileJournals) -> [u64; 3] {
    let mut heads = [0; 3];
    for round in 0..12 {
        for (head, n) in heads.iter_mut().zip(0u64..) {
            let count = 1 + (round + n) % 3;
            if append(store, u128::from(n) + 1, *head, count).await.is_ok() {
                *head += count;
            }
        }
    }
    heads
}

async fn heads(store: &FileJournals) -> [u64; 3] {
    let mut heads = [0; 3];
    for (n, head) in heads.iter_mut().enumerate() {
        let lines =
            store.read(session(n as u128 + 1), 0, usize::MAX).await.map(|opened| opened.lines).unwrap_or_default();
        for (found, seq) in lines.iter().zip(1..) {
            assert_eq!(*found, said(n as u128 + 1, seq), "what was written");
        }
        *head = lines.len() as u64;
    }
    heads
}

#[tokio::test]
async fn whatever_operation_fails_and_whatever_a_crash_loses_nothing_acknowledged_is_lost() {
    let (home, probe) = (home(), FaultyDisk::default());
    let store = open(home.path(), &probe).unwrap();
    story(&store).await;
    let written = probe.operations();
    store.close();
    let operations = probe.operations();
    let names = probe.list(&home.path().join("sessions").join(session(1).to_string())).unwrap();
    assert!(names.contains(&"events-0002.jsonl.zst".to_owned()), "older lines move to segments: {names:?}");
    assert!(written > 50, "the story touches the disk {written} times");
    assert!(operations > written + 5, "the close touches the disk {} times", operations - written);
    for n in 0..operations {
        // Each operation meets each fault, in a store that is closed and in one that is cut off; what a crash keeps goes round.
        let faults = [Fault::Io, Fault::NoSpace, Fault::Cut]
            .into_iter()
            .flat_map(|fault| [(fault, End::Closed), (fault, End::CutOff)]);
        for ((fault, end), turn) in faults.zip(n..) {
            let keep = [Keep::Nothing, Keep::Half, Keep::Everything][usize::try_from(turn % 3).unwrap()];
            strike((n, fault), end, keep).await;
        }
    }
}

/// How a store ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Closed,
    CutOff,
}

/// A story one of whose operations goes wrong, then a crash: what was acknowledged is there.
async fn strike((n, fault): (u64, Fault), end: End, keep: Keep) {
    let (home, disk) = (home(), FaultyDisk::default());
    disk.plan(n, fault);
    let acknowledged = match open(home.path(), &disk) {
        Ok(store) => {
            let acknowledged = story(&store).await;
            if end == End::Closed {
                store.close();
            }
            disk.plan(0, Fault::Cut);
            acknowledged
        }
        Err(_) => [0; 3],
    };
    disk.crash(keep);
    let again = open(home.path(), &disk).unwrap();
    let found = heads(&again).await;
    assert!(
        found.iter().zip(acknowledged).all(|(found, acknowledged)| *found >= acknowledged),
        "operation {n}, {fault:?}, {keep:?}, {end:?}: acknowledged {acknowledged:?}, found {found:?}"
    );
    append(&again, 1, found[0], 1).await.unwrap();
    again.close();
    drop(again);
    assert_eq!(
        verify(&disk, home.path(), Repair::No).unwrap().problems,
        [],
        "operation {n}, {fault:?}, {keep:?}, {end:?}"
    );
    assert_eq!(heads(&open(home.path(), &disk).unwrap()).await, [found[0] + 1, found[1], found[2]]);
}

#[tokio::test]
async fn a_second_crash_during_recovery_loses_nothing_either() {
    let (home, disk) = (home(), FaultyDisk::default());
    let store = open(home.path(), &disk).unwrap();
    let acknowledged = story(&store).await;
    disk.plan(0, Fault::Cut);
    drop(store);
    disk.crash(Keep::Nothing);
    for n in 0.. {
        disk.plan(n, Fault::Cut);
        let before = disk.operations();
        let done = open(home.path(), &disk).is_ok() && disk.operations() <= before + n;
        disk.crash(Keep::Nothing);
        if done || n > 200 {
            break;
        }
    }
    assert_eq!(heads(&open(home.path(), &disk).unwrap()).await, acknowledged);
}

#[tokio::test]
async fn the_log_cut_at_every_byte_keeps_what_was_before() {
    let (home, disk) = (home(), FaultyDisk::default());
    let store = open(home.path(), &disk).unwrap();
    append(&store, 1, 0, 1).await.unwrap();
    append(&store, 1, 1, 1).await.unwrap();
    let log = home.path().join("commit/00000001.log");
    let bytes = disk.bytes(&log).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    disk.plan(0, Fault::Cut);
    drop(store);
    for cut in 0..=used {
        let fresh = FaultyDisk::default();
        let file = outlive_store::files::fs::Disk::open(&fresh, &log, outlive_store::files::fs::Open::Write).unwrap();
        file.write_at(0, &bytes[..cut]).unwrap();
        let again = open(home.path(), &fresh).unwrap();
        let expected = u64::try_from(cut / (used / 2)).unwrap();
        assert_eq!(heads(&again).await[0], expected.min(2), "cut at {cut} of {used}");
    }
}

#[tokio::test]
async fn a_failed_sync_closes_the_store_until_it_is_opened_again_and_reads_go_on() {
    let (home, disk) = (home(), FaultyDisk::default());
    let store = open(home.path(), &disk).unwrap();
    append(&store, 1, 0, 2).await.unwrap();
    // The next two operations are the write and its sync, or a flush: whichever sync fails first in the log poisons.
    let mut poisoned = false;
    let mut head = 2;
    for _ in 0..50 {
        disk.plan(1, Fault::Io);
        match append(&store, 2, head - 2, 1).await {
            Ok(()) => head += 1,
            Err(StoreError::Poisoned(_)) => poisoned = true,
            Err(_) => {}
        }
    }
    assert!(poisoned, "no sync of the log failed");
    assert!(matches!(append(&store, 1, 2, 1).await, Err(StoreError::Poisoned(_))));
    assert_eq!(store.read(session(1), 0, 10).await.unwrap().lines.len(), 2);
    drop(store);
    disk.crash(Keep::Everything);
    append(&open(home.path(), &disk).unwrap(), 1, 2, 1).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_refuses_and_goes_on_by_itself_once_there_is_room() {
    let (home, disk) = (home(), FaultyDisk::default());
    let store = open(home.path(), &disk).unwrap();
    let mut head = 0;
    disk.set_full(Space::None);
    let refused = loop {
        match append(&store, 1, head, 1).await {
            Ok(()) => head += 1,
            Err(error) => break error,
        }
        assert!(head < 10_000, "a full disk never refuses");
    };
    assert_eq!(refused, StoreError::NoSpace);
    assert_eq!(store.read(session(1), 0, usize::MAX).await.unwrap().lines.len() as u64, head, "reads go on");
    disk.set_full(Space::Enough);
    append(&store, 1, head, 1).await.unwrap();
}

#[tokio::test]
async fn a_store_opens_for_reading_on_a_full_disk_and_goes_on_by_itself_once_there_is_room() {
    for end in [End::Closed, End::CutOff] {
        let (home, disk) = (home(), FaultyDisk::default());
        let store = open(home.path(), &disk).unwrap();
        append(&store, 1, 0, 5).await.unwrap();
        if end == End::Closed {
            store.close();
        } else {
            disk.plan(0, Fault::Cut);
        }
        drop(store);
        disk.crash(Keep::Nothing);
        for name in disk.list(&home.path().join("commit")).unwrap() {
            if name.ends_with(".free") {
                disk.remove(&home.path().join("commit").join(name)).unwrap();
            }
        }
        disk.set_full(Space::None);
        let again = open(home.path(), &disk).unwrap();
        assert_eq!(heads(&again).await, [5, 0, 0], "{end:?}");
        assert_eq!(append(&again, 1, 5, 1).await, Err(StoreError::NoSpace), "{end:?}");
        disk.set_full(Space::Enough);
        append(&again, 1, 5, 1).await.unwrap();
        drop(again);
        assert_eq!(heads(&open(home.path(), &disk).unwrap()).await, [6, 0, 0], "{end:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_sync_serves_many_sessions() {
    let (home, disk) = (home(), FaultyDisk::default());
    let store = FileJournals::open(home.path(), Arc::new(disk.clone()), Options::default(), Box::new(|_| {})).unwrap();
    let before = disk.syncs();
    let (rounds, writers) = (20, 64);
    for round in 0..rounds {
        let appends = (1..=writers).map(|n| append(&store, n, round, 1));
        assert!(futures_util::future::join_all(appends).await.iter().all(Result::is_ok));
    }
    let syncs = disk.syncs() - before;
    let appends = rounds * u64::try_from(writers).unwrap();
    assert!(syncs * 10 <= appends * 3, "{syncs} syncs for {appends} appends");
}

#[tokio::test]
async fn a_removed_journal_stays_removed_after_a_crash() {
    let (home, disk) = (home(), FaultyDisk::default());
    let store = open(home.path(), &disk).unwrap();
    append(&store, 1, 0, 2).await.unwrap();
    store.remove(session(1)).await.unwrap();
    append(&store, 2, 0, 1).await.unwrap();
    disk.plan(0, Fault::Cut);
    drop(store);
    disk.crash(Keep::Nothing);
    let again = open(home.path(), &disk).unwrap();
    assert_eq!(heads(&again).await, [0, 1, 0]);
    append(&again, 1, 0, 1).await.unwrap();
}

#[tokio::test]
async fn a_second_process_is_refused_with_the_owner_and_each_start_has_a_newer_epoch() {
    let (home, disk) = (home(), FaultyDisk::default());
    let store = open(home.path(), &disk).unwrap();
    store.lock().set_address("127.0.0.1:7711").unwrap();
    let first = store.lock().epoch();
    let Err(OpenError::Owned(owner)) = open(home.path(), &disk) else { panic!("opened twice") };
    assert_eq!((owner.pid, owner.address.as_deref()), (std::process::id(), Some("127.0.0.1:7711")));
    drop(store);
    let again = open(home.path(), &disk).unwrap();
    assert!(again.lock().epoch() > first);
    let stale = Append { journal: session(1), epoch: first, expected: 0, lines: vec![line(1, "stale")] };
    assert_eq!(again.append(stale).await, Err(StoreError::Fenced(session(1))));
}

#[tokio::test]
async fn a_lock_that_what_a_dead_owner_forked_still_holds_is_waited_for() {
    let (home, disk) = (home(), FaultyDisk::default());
    drop(open(home.path(), &disk).unwrap());
    let mut dead = std::process::Command::new("true").spawn().unwrap();
    dead.wait().unwrap();
    std::fs::write(home.path().join("run/lock"), format!(r#"{{"pid":{},"epoch":1}}"#, dead.id())).unwrap();
    let held = std::fs::File::open(home.path().join("run/lock")).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    // It has the lock as its standard input until it ends by itself.
    let mut heir = std::process::Command::new("sleep").arg("0.3").stdin(held).spawn().unwrap();
    assert!(!outlive_store::files::lock::is_owned(&home.path().join("run")));
    open(home.path(), &disk).unwrap();
    heir.wait().unwrap();
}

#[tokio::test]
async fn a_process_whose_lock_was_taken_away_cannot_write() {
    let (home, disk) = (home(), FaultyDisk::default());
    let store = open(home.path(), &disk).unwrap();
    append(&store, 1, 0, 1).await.unwrap();
    std::fs::rename(home.path().join("run/lock"), home.path().join("run/taken")).unwrap();
    assert_eq!(append(&store, 1, 1, 1).await, Err(StoreError::Fenced(session(1))));
}

#[tokio::test]
async fn a_damaged_journal_is_set_aside_and_the_others_go_on() {
    let (home, disk) = (home(), FaultyDisk::default());
    let store = open(home.path(), &disk).unwrap();
    append(&store, 1, 0, 5).await.unwrap();
    append(&store, 2, 0, 5).await.unwrap();
    store.close();
    drop(store);
    let path = home.path().join(format!("sessions/{}/events.jsonl", session(1)));
    disk.tamper(&path, |bytes| bytes[300] ^= 1);
    let again = open(home.path(), &disk).unwrap();
    let damaged = again.read(session(1), 0, usize::MAX).await;
    assert!(matches!(damaged, Err(StoreError::Corrupt { .. })), "{damaged:?}");
    assert_eq!(again.read(session(2), 0, usize::MAX).await.unwrap().lines.len(), 5);
    append(&again, 2, 5, 1).await.unwrap();
}

#[tokio::test]
async fn a_torn_last_line_is_cut_and_a_bad_one_with_its_end_is_never_thrown_away() {
    for torn in [true, false] {
        let (home, disk) = (home(), FaultyDisk::default());
        let store = open(home.path(), &disk).unwrap();
        append(&store, 1, 0, 5).await.unwrap();
        store.close();
        drop(store);
        let path = home.path().join(format!("sessions/{}/events.jsonl", session(1)));
        disk.tamper(&path, |bytes| {
            let end = bytes.len();
            if torn { bytes.truncate(end - 10) } else { bytes[end - 30] ^= 1 }
        });
        let left = disk.bytes(&path).unwrap();
        let again = open(home.path(), &disk).unwrap();
        let found = again.read(session(1), 0, usize::MAX).await;
        if torn {
            assert_eq!(found.unwrap().lines.len(), 4);
            append(&again, 1, 4, 1).await.unwrap();
        } else {
            assert!(matches!(found, Err(StoreError::Corrupt { line: 5, .. })), "{found:?}");
            assert!(matches!(append(&again, 1, 4, 1).await, Err(StoreError::Corrupt { .. })));
            assert_eq!(disk.bytes(&path).unwrap(), left, "nothing is changed without a repair");
        }
    }
}

#[tokio::test]
async fn a_repair_needs_the_workspace_for_itself() {
    let (home, disk) = (home(), FaultyDisk::default());
    let store = open(home.path(), &disk).unwrap();
    append(&store, 1, 0, 5).await.unwrap();
    let refused = verify(&disk, home.path(), Repair::Yes).unwrap_err();
    assert!(refused.to_string().contains(&format!("owned by process {}", std::process::id())), "{refused}");
    verify(&disk, home.path(), Repair::No).unwrap();
    drop(store);
    assert_eq!(verify(&disk, home.path(), Repair::Yes).unwrap().problems, []);
    open(home.path(), &disk).unwrap();
}

#[tokio::test]
async fn a_journal_that_ends_before_the_log_goes_on_is_told() {
    let (home, disk) = (home(), FaultyDisk::default());
    for head in [0, 5] {
        let store = open(home.path(), &disk).unwrap();
        append(&store, 1, head, 5).await.unwrap();
        if head == 0 {
            store.close();
        }
        disk.plan(0, Fault::Cut);
        drop(store);
        disk.crash(Keep::Everything);
    }
    let goes_on = |problem: &&Problem| problem.what.contains("the commit log goes on at line 6");
    assert_eq!(verify(&disk, home.path(), Repair::No).unwrap().problems.iter().find(goes_on), None);
    let path = home.path().join(format!("sessions/{}/events.jsonl", session(1)));
    disk.tamper(&path, |bytes| bytes.truncate(600));
    let report = verify(&disk, home.path(), Repair::No).unwrap();
    let told = report.problems.iter().find(goes_on);
    assert!(told.is_some_and(|problem| !problem.repaired && problem.line == report.lines + 1), "{report:?}");
}

/// A journal whose first five lines are in its file and whose next five only in the log, and one beside it that is well.
async fn half_in_the_log(home: &TempDir, disk: &FaultyDisk) {
    for head in [0, 5] {
        let store = open(home.path(), disk).unwrap();
        append(&store, 1, head, 5).await.unwrap();
        append(&store, 2, head, 5).await.unwrap();
        if head == 0 {
            store.close();
        }
        disk.plan(0, Fault::Cut);
        drop(store);
        disk.crash(Keep::Everything);
    }
}

#[tokio::test]
async fn a_repair_mends_a_journal_that_does_not_fit_the_log_and_loses_no_line() {
    for (cut, left) in [(600, 3), (0, 0)] {
        let (home, disk) = (home(), FaultyDisk::default());
        half_in_the_log(&home, &disk).await;
        let folder = home.path().join(format!("sessions/{}", session(1)));
        disk.tamper(&folder.join("events.jsonl"), |bytes| bytes.truncate(cut));
        let before = disk.bytes(&folder.join("events.jsonl")).unwrap();
        let report = verify(&disk, home.path(), Repair::Yes).unwrap();
        assert!(!report.problems.is_empty() && report.problems.iter().all(|problem| problem.repaired), "{report:?}");
        let report = verify(&disk, home.path(), Repair::Yes).unwrap();
        assert_eq!((report.problems, report.frames), (vec![], 0));
        let logged = String::from_utf8(disk.bytes(&folder.join("events.jsonl.logged-1")).unwrap()).unwrap();
        assert!((6..=10).all(|seq| logged.contains(&format!("1.{seq} "))), "{logged}");
        assert_eq!(disk.bytes(&folder.join("events.jsonl.damaged-1")).unwrap_or_default(), before);
        disk.crash(Keep::Nothing);
        let again = open(home.path(), &disk).unwrap();
        assert_eq!(heads(&again).await, [left, 10, 0]);
        append(&again, 1, left, 1).await.unwrap();
    }
}

#[tokio::test]
async fn a_repair_prefers_the_line_that_was_acknowledged_and_keeps_the_other() {
    let (home, disk) = (home(), FaultyDisk::default());
    half_in_the_log(&home, &disk).await;
    let path = home.path().join(format!("sessions/{}/events.jsonl", session(1)));
    let other = line(6, "another").as_str().to_owned() + "\n";
    disk.tamper(&path, |bytes| {
        let good = bytes.split_inclusive(|byte| *byte == b'\n').take(5).map(<[u8]>::len).sum();
        bytes.truncate(good);
        bytes.extend_from_slice(other.as_bytes());
    });
    let report = verify(&disk, home.path(), Repair::Yes).unwrap();
    // What the cut tore in the other journal's file is a problem of its own.
    let here = |problem: &&Problem| problem.file.contains(&session(1).to_string());
    assert_eq!(
        report.problems.iter().filter(here).map(|problem| (problem.line, problem.repaired)).collect::<Vec<_>>(),
        [(6, true)]
    );
    assert_eq!(verify(&disk, home.path(), Repair::No).unwrap().problems, []);
    let aside = disk.bytes(&path.with_extension("jsonl.damaged-1")).unwrap();
    assert!(aside.ends_with(other.as_bytes()));
    let again = open(home.path(), &disk).unwrap();
    assert_eq!(heads(&again).await, [10, 10, 0]);
    assert_ne!(again.read(session(1), 5, 1).await.unwrap().lines, [line(6, "another")]);
}

#[tokio::test]
async fn what_could_not_be_read_back_at_once_is_not_written() {
    let home = home();
    let disk = FaultyDisk::default();
    let store = open(home.path(), &disk).unwrap();
    let long = "x".repeat(15 << 20);
    let lines = (1..=5).map(|seq| line(seq, &long)).collect();
    let epoch = Leases::take(&*store, session(1)).await.unwrap();
    let refused = store.append(Append { journal: session(1), epoch, expected: 0, lines }).await.unwrap_err();
    assert!(refused.to_string().contains("that can be read back"), "{refused}");
    append(&store, 1, 0, 1).await.unwrap();
}
