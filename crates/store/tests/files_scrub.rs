//! Lines that are written anew, on a disk that stops or refuses at each operation: a journal has its old or its new line, never
//! neither; what was to go leaves no byte in any file; nothing else loses a line.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use outlive_core::event::Line;
use outlive_core::id::Seq;
use outlive_store::conformance::{line, session};
use outlive_store::files::faults::{Fault, FaultyDisk, Keep};
use outlive_store::files::fs::{Disk as _, Open};
use outlive_store::files::verify::{Repair, verify};
use outlive_store::files::{FileJournals, OpenError, Options};
use outlive_store::{Append, Journals as _, Leases as _, StoreError};

/// Segments of the log and of journals that fill up soon.
const OPTIONS: Options =
    Options { segment_bytes: 2_048, backlog_bytes: 1 << 20, waiting: 64, live_bytes: 1_024, past_bytes: 512 };
/// What the lines that are to go say.
const SECRET: &str = "xylophone";
/// Those lines: one of the first, which are in segments, and two of the last.
const DOOMED: [Seq; 3] = [2, 19, 24];
const HEAD: Seq = 24;

struct Place {
    home: tempfile::TempDir,
    disk: FaultyDisk,
}

fn said(n: u128, seq: Seq) -> Line {
    let what = if n == 2 && DOOMED.contains(&seq) { SECRET } else { "other" };
    line(seq, &format!("{n}.{seq} {what} {}", digits(seq)))
}

/// What hardly gets smaller: so that bytes of a segment are not all in one piece.
fn digits(seq: Seq) -> String {
    (1..9).map(|n| format!("{:08x}", seq.wrapping_mul(n * 2_654_435_761))).collect()
}

fn new_lines() -> Vec<Line> {
    DOOMED.iter().map(|seq| line(*seq, "")).collect()
}

/// How a line must be: as it was or as it is now.
fn fits(seq: Seq, found: &Line) -> bool {
    *found == said(2, seq) || (DOOMED.contains(&seq) && *found == line(seq, ""))
}

impl Place {
    fn new() -> Self {
        let home = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        Self { home, disk: FaultyDisk::default() }
    }

    fn open(&self) -> Result<Arc<FileJournals>, OpenError> {
        FileJournals::open(self.home.path(), Arc::new(self.disk.clone()), OPTIONS, Box::new(|_| {}))
    }

    /// Every file of the disk that holds a text, also compressed.
    fn holding(&self, text: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.home.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for name in self.disk.list(&folder).unwrap() {
                let path = folder.join(&name);
                let Some(mut bytes) = self.disk.bytes(&path) else {
                    folders.push(path);
                    continue;
                };
                if name.contains(".zst") || name.contains("part") {
                    bytes.extend(zstd::stream::decode_all(&bytes[..]).unwrap_or_default());
                }
                if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                    found.push(path);
                }
            }
        }
        found
    }

    fn folder(&self) -> PathBuf {
        self.home.path().join("sessions").join(session(2).to_string())
    }

    fn segments(&self) -> usize {
        let names = self.disk.list(&self.folder()).unwrap();
        names.iter().filter(|name| Path::new(name).extension() == Some("zst".as_ref())).count()
    }
}

async fn append(store: &FileJournals, n: u128, seq: Seq) -> Result<(), StoreError> {
    let epoch = store.take(session(n)).await?;
    store.append(Append { journal: session(n), epoch, expected: seq - 1, lines: vec![said(n, seq)] }).await
}

/// A store with two journals, mixed in the log. The second one is long enough to have segments, and its newest lines are only
/// in the log and in memory.
async fn filled(place: &Place) -> Arc<FileJournals> {
    let store = place.open().unwrap();
    for seq in 1..=HEAD - 6 {
        append(&store, 1, seq).await.unwrap();
        append(&store, 2, seq).await.unwrap();
    }
    store.close();
    drop(store);
    assert!(place.segments() > 0, "the journal is not long enough");
    let store = place.open().unwrap();
    for seq in HEAD - 5..=HEAD {
        append(&store, 1, seq).await.unwrap();
        append(&store, 2, seq).await.unwrap();
    }
    store
}

async fn scrub(store: &FileJournals) -> Result<(), StoreError> {
    let epoch = store.take(session(2)).await?;
    store.scrub(session(2), epoch, new_lines()).await
}

async fn all(store: &FileJournals, n: u128) -> Vec<Line> {
    store.read(session(n), 0, usize::MAX).await.unwrap().lines
}

#[tokio::test]
async fn no_file_holds_what_a_scrubbed_line_was() {
    let place = Place::new();
    let store = filled(&place).await;
    let before = place.holding(SECRET);
    let holds = |what: &str| before.iter().any(|path| path.to_string_lossy().contains(what));
    assert!(holds(".zst") && holds("commit"), "{before:?}");
    for beside in ["events.jsonl.torn", "events.jsonl.damaged-1", "state.yaml", "state.new-0", "events.part"] {
        let file = place.disk.open(&place.folder().join(beside), Open::Write).unwrap();
        file.write_at(0, SECRET.as_bytes()).unwrap();
    }
    scrub(&store).await.unwrap();
    assert_eq!(place.holding(SECRET), [] as [PathBuf; 0]);
    let found = all(&store, 2).await;
    assert_eq!(found.len() as Seq, HEAD);
    for (found, seq) in found.iter().zip(1..) {
        assert_eq!(*found, if DOOMED.contains(&seq) { line(seq, "") } else { said(2, seq) });
    }
    append(&store, 2, HEAD + 1).await.unwrap();
    drop(store);
    assert_eq!(verify(&place.disk, place.home.path(), Repair::No).unwrap().problems, []);
    let store = place.open().unwrap();
    assert_eq!((all(&store, 1).await.len() as Seq, all(&store, 2).await.len() as Seq), (HEAD, HEAD + 1));
}

/// After whatever happened: both journals are whole, each line is the old or the new one, and what was marked is done.
async fn check(place: &Place, done: bool, case: &str) {
    let is_marked =
        place.disk.list(&place.home.path().join("trash")).unwrap().iter().any(|name| name.ends_with(".scrub"));
    let report = verify(&place.disk, place.home.path(), Repair::No).unwrap();
    let torn: Vec<_> = report.problems.iter().filter(|problem| !problem.what.contains("torn tail")).collect();
    assert_eq!(torn, [] as [&outlive_store::files::verify::Problem; 0], "{case}: before the next start");
    let store = place.open().unwrap();
    let (other, found) = (all(&store, 1).await, all(&store, 2).await);
    assert_eq!(other, (1..=HEAD).map(|seq| said(1, seq)).collect::<Vec<_>>(), "{case}");
    assert_eq!(found.len() as Seq, HEAD, "{case}");
    assert!(found.iter().zip(1..).all(|(line, seq)| fits(seq, line)), "{case}");
    let left = place.holding(SECRET);
    assert!(left.is_empty() || !(done || is_marked), "{case}: {left:?}");
    let is_new = |seq: &Seq| found.contains(&line(*seq, ""));
    assert!(DOOMED.iter().all(is_new) || !DOOMED.iter().any(is_new), "{case}: some are new, some are not");
    scrub(&store).await.unwrap();
    assert_eq!(place.holding(SECRET), [] as [PathBuf; 0], "{case}: done again");
    append(&store, 2, HEAD + 1).await.unwrap();
    drop(store);
    assert_eq!(verify(&place.disk, place.home.path(), Repair::No).unwrap().problems, [], "{case}");
}

async fn strike((n, fault): (u64, Fault), keep: Keep) -> bool {
    let place = Place::new();
    let store = filled(&place).await;
    let from = place.disk.operations();
    place.disk.plan(n, fault);
    let done = scrub(&store).await.is_ok();
    let is_over = place.disk.operations() - from <= n;
    place.disk.plan(0, Fault::Cut);
    drop(store);
    place.disk.crash(keep);
    check(&place, done, &format!("operation {n}, {fault:?}, {keep:?}")).await;
    is_over
}

#[tokio::test]
async fn whatever_operation_fails_a_line_is_the_old_or_the_new_one_and_nothing_else_is_lost() {
    for fault in [Fault::Cut, Fault::Io, Fault::NoSpace] {
        let mut least = 0;
        for n in 0..400 {
            let mut is_over = true;
            for keep in [Keep::Nothing, Keep::Half, Keep::Everything] {
                is_over &= strike((n, fault), keep).await;
            }
            if is_over {
                break;
            }
            least = n;
        }
        assert!((10..399).contains(&least), "it touches the disk {least} times");
    }
}

#[tokio::test]
async fn a_scrub_that_is_cut_again_and_again_is_finished_in_the_end() {
    // After the mark, before the rest: which operation that is, the flusher's pace decides.
    let mut cut = None;
    for n in 0..400 {
        let place = Place::new();
        let store = filled(&place).await;
        let mark = place.home.path().join("trash").join(format!("{}.scrub", session(2)));
        place.disk.plan(n, Fault::Io);
        if scrub(&store).await.is_err() && place.disk.identity(&mark).is_ok() {
            cut = Some((place, store));
            break;
        }
    }
    let (place, store) = cut.expect("no operation of it failed after its mark");
    place.disk.plan(0, Fault::Cut);
    drop(store);
    place.disk.crash(Keep::Everything);
    let mut n = 0;
    while !place.holding(SECRET).is_empty() {
        place.disk.plan(n, Fault::Cut);
        drop(place.open());
        place.disk.crash([Keep::Nothing, Keep::Everything][usize::try_from(n % 2).unwrap()]);
        n += 1;
        assert!(n < 300, "never finished: {:?}", place.holding(SECRET));
    }
    check(&place, true, "in the end").await;
}

#[tokio::test]
async fn a_mark_that_cannot_be_read_is_kept_and_what_is_wanted_now_goes_on() {
    let place = Place::new();
    let store = filled(&place).await;
    let mark = place.home.path().join("trash").join(format!("{}.scrub", session(2)));
    place.disk.make_dir(mark.parent().unwrap()).ok();
    place.disk.open(&mark, Open::Write).unwrap().write_at(0, b"no mark").unwrap();
    scrub(&store).await.unwrap();
    assert_eq!(place.holding(SECRET), [] as [PathBuf; 0]);
    assert_eq!(place.holding("no mark"), [mark.with_extension("scrub.damaged")]);
    assert!(place.disk.identity(&mark).is_err());
}

#[tokio::test]
async fn appends_and_reads_go_on_while_lines_are_written_anew() {
    let place = Place::new();
    let store = filled(&place).await;
    let writing = async {
        for seq in HEAD + 1..HEAD + 60 {
            append(&store, 2, seq).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let scrubbing = async {
        for _ in 0..5 {
            scrub(&store).await.unwrap();
        }
    };
    let reading = async {
        for _ in 0..200 {
            let found = all(&store, 2).await;
            assert!(found.len() as Seq >= HEAD && found.iter().zip(1..).all(|(line, seq)| fits(seq, line)));
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(writing, scrubbing, reading);
    assert_eq!(all(&store, 2).await.len() as Seq, HEAD + 59);
    assert_eq!(place.holding(SECRET), [] as [PathBuf; 0]);
    drop(store);
    assert_eq!(all(&place.open().unwrap(), 2).await.len() as Seq, HEAD + 59);
}
