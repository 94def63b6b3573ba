#![expect(clippy::disallowed_methods, reason = "tests tear files")]

use super::super::verify;
use super::*;
use crate::audit::VALUE_BYTES;
use crate::files::faults::{Fault, FaultyDisk, Keep, Space};

fn act(n: usize) -> Act {
    Act {
        at: Timestamp::from_micros(i64::try_from(n).unwrap()),
        who: "ada".to_owned(),
        sender: None,
        from: Some("127.0.0.1".to_owned()),
        what: "approve".to_owned(),
        on: [("call".to_owned(), format!("call {n} \"ü\""))].into(),
        outcome: "ok".to_owned(),
    }
}

fn open(folder: &Path) -> AuditLog {
    AuditLog::open(Arc::new(RealDisk), folder, Timestamp::from_micros(1)).unwrap()
}

/// A log of so many entries, closed.
async fn log(count: usize) -> (tempfile::TempDir, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    for n in 0..count {
        log.enter(act(n)).await.unwrap();
    }
    drop(log);
    let lines = lines(folder.path());
    assert_eq!(lines.len(), count);
    (folder, lines)
}

fn file(folder: &Path) -> PathBuf {
    folder.join("audit/00000001.jsonl")
}

fn lines(folder: &Path) -> Vec<String> {
    std::fs::read_to_string(file(folder)).unwrap().lines().map(str::to_owned).collect()
}

fn put(folder: &Path, lines: &[String]) {
    std::fs::write(file(folder), lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
}

fn why(folder: &Path) -> (usize, String) {
    let broken = verify(folder, None).unwrap().broken.unwrap();
    (broken.line, broken.why)
}

fn whats(folder: &Path) -> Vec<String> {
    read(folder, 100, &|_| true).unwrap().into_iter().map(|entry| entry.act.what).collect()
}

#[tokio::test]
async fn a_log_that_nobody_touched_is_whole_also_over_restarts() {
    let (folder, _) = log(3).await;
    let log = open(folder.path());
    log.note(act(3));
    log.enter(act(4)).await.unwrap();
    drop(log);
    let found = verify(folder.path(), None).unwrap();
    assert_eq!((found.entries, found.torn_bytes, found.broken), (5, 0, None));
    let noted = read(folder.path(), 1, &|entry| entry.seq == 2).unwrap().remove(0);
    assert_eq!(verify(folder.path(), Some(&noted.hash)).unwrap().broken, None);
    assert_eq!(noted.act, act(1));
}

#[tokio::test]
async fn every_flipped_byte_is_found_in_its_line() {
    let (folder, whole) = log(3).await;
    let line = whole[1].clone();
    for at in 0..line.len() {
        let mut bytes = line.clone().into_bytes();
        bytes[at] ^= 1;
        let Ok(flipped) = String::from_utf8(bytes) else { continue };
        if flipped.contains('\n') {
            continue;
        }
        put(folder.path(), &[whole[0].clone(), flipped, whole[2].clone()]);
        assert_eq!(why(folder.path()), (2, "entry 2 was changed: its hash is another".to_owned()), "byte {at}");
    }
}

#[tokio::test]
async fn a_line_that_is_gone_moved_put_in_or_rewritten_is_named() {
    let (folder, whole) = log(4).await;
    let [one, two, three, four] = [0, 1, 2, 3].map(|n| whole[n].clone());
    let check = |lines: &[&String], line: usize, says: &str| {
        put(folder.path(), &lines.iter().map(|line| (*line).clone()).collect::<Vec<_>>());
        let (at, why) = why(folder.path());
        assert!(at == line && why.contains(says), "{at}: {why}");
    };
    check(&[&one, &three, &four], 2, "what was between is missing");
    check(&[&one, &three, &two, &four], 2, "what was between is missing");
    check(&[&one, &two, &two, &three, &four], 3, "it was moved or put in");
    check(&[&two, &three, &four], 1, "what was between is missing");
    check(&[&one, &two, &three], 0, "its end was cut off");
    check(&[], 0, "its end was cut off");
    // Whole in itself, and another.
    let (other, _) = write(2, &act(9), &check_line(&one).hash);
    check(&[&one, &other, &three, &four], 3, "follows another entry 2");
    let (last, _) = write(4, &act(9), &check_line(&three).hash);
    check(&[&one, &two, &three, &last], 4, "another than the one that `audit/head` names");
}

fn check_line(line: &str) -> AuditEntry {
    check(line.as_bytes()).unwrap()
}

#[tokio::test]
async fn a_log_rewritten_with_its_head_is_found_by_a_head_noted_elsewhere() {
    let (folder, whole) = log(3).await;
    let noted = check_line(&whole[2]).hash;
    put(folder.path(), &whole[..2]);
    let cut = check_line(&whole[1]);
    std::fs::write(folder.path().join("audit/head"), format!("{:020} {}\n", cut.seq, cut.hash)).unwrap();
    assert_eq!(verify(folder.path(), None).unwrap().broken, None);
    let broken = verify(folder.path(), Some(&noted)).unwrap().broken.unwrap();
    assert!(broken.why.contains("no entry has the hash"), "{}", broken.why);
}

#[tokio::test]
async fn a_torn_tail_is_cut_at_every_byte_and_the_next_start_says_so() {
    let (folder, whole) = log(2).await;
    let (first, second) = (format!("{}\n", whole[0]), whole[1].clone());
    let head = check_line(&whole[0]);
    for cut in 1..=second.len() {
        std::fs::write(file(folder.path()), [first.as_bytes(), &second.as_bytes()[..cut]].concat()).unwrap();
        std::fs::write(folder.path().join("audit/head"), format!("{:020} {}\n", head.seq, head.hash)).unwrap();
        assert!(verify(folder.path(), None).unwrap().torn_bytes > 0, "cut at {cut}");
        drop(open(folder.path()));
        assert_eq!(whats(folder.path()), ["approve", "audit.torn"], "cut at {cut}");
        assert_eq!(verify(folder.path(), None).unwrap().broken, None, "cut at {cut}");
    }
}

#[tokio::test]
async fn an_end_that_was_cut_off_while_nobody_looked_is_noted_at_the_next_start() {
    let (folder, whole) = log(3).await;
    put(folder.path(), &whole[..1]);
    drop(open(folder.path()));
    assert_eq!(whats(folder.path()), ["approve", "audit.cut"]);
    missing(folder.path(), &[(2, "it ended with entry 1, and had 3: its end was cut off")]);
    // Not even the first is left.
    put(folder.path(), &[]);
    drop(open(folder.path()));
    missing(folder.path(), &[(1, "it ended with entry 0, and had 2")]);
}

#[tokio::test]
async fn a_head_that_is_gone_is_said_for_good() {
    let (folder, _) = log(2).await;
    std::fs::remove_file(folder.path().join("audit/head")).unwrap();
    drop(open(folder.path()));
    drop(open(folder.path()));
    assert_eq!(whats(folder.path()), ["approve", "approve", "audit.unanchored"]);
    missing(folder.path(), &[(3, "`audit/head` was gone: entries after 2 may be missing")]);
}

/// What the log says of missing entries: the line, and a part of why.
#[track_caller]
fn missing(folder: &Path, expected: &[(usize, &str)]) {
    let found = verify(folder, None).unwrap();
    assert_eq!((found.broken, found.missing.len()), (None, expected.len()));
    for (found, (line, says)) in found.missing.iter().zip(expected) {
        assert!(found.line == *line && found.why.contains(says), "{found:?}");
    }
}

#[tokio::test]
async fn a_page_that_a_crash_lost_in_a_batch_takes_what_follows_it_along_and_breaks_no_chain() {
    let (folder, whole) = log(5).await;
    let anchored = check_line(&whole[1]);
    for lost in 2..5 {
        let mut torn = whole.clone();
        torn[lost] = "\0".repeat(torn[lost].len());
        put(folder.path(), &torn);
        std::fs::write(folder.path().join("audit/head"), format!("{:020} {}\n", anchored.seq, anchored.hash)).unwrap();
        drop(open(folder.path()));
        let expected: Vec<&str> = std::iter::repeat_n("approve", lost).chain(["audit.torn"]).collect();
        assert_eq!(whats(folder.path()), expected, "entry {} is lost", lost + 1);
        let found = verify(folder.path(), None).unwrap();
        assert_eq!((found.torn_bytes, found.broken, found.missing), (0, None, vec![]));
    }
}

#[tokio::test]
async fn what_was_acknowledged_and_is_damaged_is_never_cut() {
    let (folder, whole) = log(4).await;
    let mut damaged = whole.clone();
    damaged[2] = damaged[2].replacen("ada", "eve", 1);
    put(folder.path(), &damaged);
    drop(open(folder.path()));
    assert_eq!(lines(folder.path()), damaged);
    assert_eq!(why(folder.path()), (3, "entry 3 was changed: its hash is another".to_owned()));
}

#[test]
fn no_batch_makes_a_file_larger_than_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(Arc::new(RealDisk), folder.path(), Arc::default()).unwrap();
    let wide = Act { on: (0..16).map(|n| (n.to_string(), "\u{1}".repeat(VALUE_BYTES))).collect(), ..act(1) };
    while writer.end < FILE_BYTES - BATCH_BYTES as u64 {
        writer.batch(&[&wide; 4]).unwrap();
    }
    let wanted = |_| Wanted { act: wide.clone(), reply: None };
    writer.enter((0..200).map(wanted).collect());
    drop(writer);
    drop(open(folder.path()));
    let found = verify(folder.path(), None).unwrap();
    assert_eq!((found.broken, found.missing), (None, vec![]));
    assert!(found.entries > 200);
}

/// A log on a disk of the test's, with one entry.
async fn on_a_disk() -> (FaultyDisk, AuditLog) {
    let disk = FaultyDisk::default();
    let log = opened(&disk);
    log.enter(act(1)).await.unwrap();
    (disk, log)
}

fn opened(disk: &FaultyDisk) -> AuditLog {
    AuditLog::open(Arc::new(disk.clone()), Path::new("/w"), Timestamp::from_micros(1)).unwrap()
}

/// What stands on that disk, whose chain must be whole.
#[track_caller]
fn whole(disk: &FaultyDisk) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("audit")).unwrap();
    for name in ["audit/00000001.jsonl", "audit/head"] {
        std::fs::write(folder.path().join(name), disk.bytes(&Path::new("/w").join(name)).unwrap()).unwrap();
    }
    let found = verify(folder.path(), None).unwrap();
    assert_eq!((found.torn_bytes, found.broken), (0, None));
    whats(folder.path())
}

#[tokio::test]
async fn a_disk_without_room_keeps_no_log_from_opening_and_what_it_has_to_say_comes_first_once_there_is_room() {
    let (disk, log) = on_a_disk().await;
    log.enter(act(2)).await.unwrap();
    drop(log);
    disk.tamper(Path::new("/w/audit/00000001.jsonl"), |bytes| bytes.truncate(bytes.len() - 7));
    disk.set_full(Space::None);
    let log = opened(&disk);
    assert_eq!(log.enter(act(3)).await, Err(StoreError::NoSpace));
    disk.set_full(Space::Enough);
    assert_eq!(log.enter(act(4)).await, Ok(()));
    drop(log);
    assert_eq!(whole(&disk), ["approve", "audit.torn", "audit.cut", "approve"]);
}

#[tokio::test]
async fn an_entry_that_was_synced_is_entered_though_the_head_stays_behind() {
    let (disk, log) = on_a_disk().await;
    // The write, its sync, the head.
    disk.plan(2, Fault::Io);
    assert_eq!(log.enter(act(2)).await, Ok(()));
    drop(log);
    assert_eq!(whole(&disk), ["approve", "approve"]);
    let head = String::from_utf8(disk.bytes(Path::new("/w/audit/head")).unwrap()).unwrap();
    assert!(head.starts_with("00000000000000000001 "), "{head}");
}

#[tokio::test]
async fn nothing_is_written_before_what_failed_is_cut_off() {
    let (disk, log) = on_a_disk().await;
    let long = Act { who: "a".repeat(400), ..act(2) };
    // Its sync, and the cut after it: what stands there is longer than the next entry.
    (1..3).for_each(|n| disk.plan(n, Fault::Io));
    assert!(log.enter(long.clone()).await.is_err());
    assert_eq!(log.enter(act(3)).await, Ok(()));
    assert_eq!(whole(&disk), ["approve", "approve"]);
    // The cut before the next one, too.
    (1..4).for_each(|n| disk.plan(n, Fault::Io));
    assert!(log.enter(long).await.is_err());
    assert!(log.enter(act(4)).await.is_err());
    assert_eq!(log.enter(act(4)).await, Ok(()));
    drop(log);
    assert_eq!(whole(&disk), ["approve", "approve", "approve"]);
}

#[tokio::test]
async fn a_power_cut_at_any_moment_of_a_new_log_accuses_nobody() {
    for keep in [Keep::Nothing, Keep::Half, Keep::Everything] {
        for at in 0..14 {
            let disk = FaultyDisk::default();
            disk.plan(at, Fault::Cut);
            if let Ok(log) = AuditLog::open(Arc::new(disk.clone()), Path::new("/w"), Timestamp::from_micros(1)) {
                drop((log.enter(act(1)).await, log.enter(act(2)).await));
            }
            disk.crash(keep);
            let log = opened(&disk);
            log.enter(act(3)).await.unwrap();
            drop(log);
            let said = whole(&disk);
            let accused = said.iter().any(|what| what == "audit.cut" || what == "audit.unanchored");
            assert!(!accused, "{keep:?} at {at}: {said:?}");
        }
    }
}

#[tokio::test]
async fn the_chain_goes_on_in_the_next_file() {
    let folder = tempfile::tempdir().unwrap();
    let missed = Arc::<AtomicU64>::default();
    let mut writer = Writer::open(Arc::new(RealDisk), folder.path(), missed).unwrap();
    writer.batch(&[&act(1), &act(2)]).unwrap();
    writer.rotate().unwrap();
    drop(writer);
    // A crash between the new file and its first line.
    let log = open(folder.path());
    log.enter(act(3)).await.unwrap();
    drop(log);
    let found = verify(folder.path(), None).unwrap();
    assert_eq!((found.entries, found.broken), (3, None));
    std::fs::remove_file(file(folder.path())).unwrap();
    assert_eq!(verify(folder.path(), None).unwrap().broken.unwrap().why, "`00000001.jsonl` is missing before it");
}

#[tokio::test]
async fn what_does_not_fit_is_counted_and_the_count_is_entered() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    log.missed.fetch_add(7, Ordering::Relaxed);
    log.enter(act(1)).await.unwrap();
    drop(log);
    let last = read(folder.path(), 1, &|_| true).unwrap().remove(0).act;
    assert_eq!((last.what.as_str(), last.on["count"].as_str()), ("audit.missed", "7"));
}
