#![expect(clippy::disallowed_methods, reason = "tests tear files")]

use super::super::verify;
use super::*;

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
