//! Long journals, whose older lines are in compressed segments: read as before, by everybody, whatever ends in between.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use outlive_core::digest::Digest;
use outlive_core::event::Line;
use outlive_core::event::{Origin, OriginKind};
use outlive_core::id::Seq;
use outlive_core::time::Timestamp;
use outlive_store::backup::Writer;
use outlive_store::conformance::row;
use outlive_store::conformance::{line, session};
use outlive_store::files::faults::{FaultyDisk, Space};
use outlive_store::files::fs::{Disk, DiskFile, Open, RealDisk};
use outlive_store::files::verify::{Repair, verify};
use outlive_store::files::{FileJournals, Options};
use outlive_store::{Append, Journals as _, Leases as _, Note, StoreError, workspace};

/// Segments of a few lines, soon.
const OPTIONS: Options =
    Options { segment_bytes: 4_096, backlog_bytes: 1 << 20, waiting: 64, live_bytes: 2_048, past_bytes: 512 };

struct Place {
    home: tempfile::TempDir,
    disk: FaultyDisk,
}

impl Place {
    fn new() -> Self {
        let home = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        Self { home, disk: FaultyDisk::default() }
    }

    fn open(&self) -> Arc<FileJournals> {
        FileJournals::open(self.home.path(), Arc::new(self.disk.clone()), OPTIONS, Box::new(|_| {})).unwrap()
    }

    fn folder(&self, n: u128) -> PathBuf {
        self.home.path().join("sessions").join(session(n).to_string())
    }

    fn segments(&self, n: u128) -> Vec<String> {
        let names = self.disk.list(&self.folder(n)).unwrap();
        names.into_iter().filter(|name| Path::new(name).extension() == Some("zst".as_ref())).collect()
    }

    /// Bytes of the live file.
    fn live(&self, n: u128) -> Vec<u8> {
        self.disk.bytes(&self.folder(n).join("events.jsonl")).unwrap()
    }
}

/// A line of another length each time.
fn said(n: u128, seq: Seq) -> Line {
    line(seq, &format!("{n}.{seq} {}", "x".repeat(usize::try_from(seq * 37 % 211).unwrap())))
}

fn lines(n: u128, after: Seq, last: Seq) -> Vec<Line> {
    (after + 1..=last).map(|seq| said(n, seq)).collect()
}

async fn append(store: &FileJournals, n: u128, head: Seq, count: u64) -> Result<(), StoreError> {
    let epoch = store.take(session(n)).await?;
    store.append(Append { journal: session(n), epoch, expected: head, lines: lines(n, head, head + count) }).await
}

async fn read(store: &FileJournals, n: u128, after: Seq, limit: usize) -> Result<Vec<Line>, StoreError> {
    store.read(session(n), after, limit).await.map(|opened| opened.lines)
}

/// A closed store in which the first journal has so many lines, most of them in segments, and a second one a few.
async fn long(place: &Place, head: Seq) {
    let store = place.open();
    for at in 0..head {
        append(&store, 1, at, 1).await.unwrap();
    }
    append(&store, 2, 0, 3).await.unwrap();
    store.close();
    assert!(place.segments(1).len() > 3, "{:?}", place.segments(1));
    assert!(place.live(1).len() < 2_048, "{} bytes are left", place.live(1).len());
}

#[tokio::test]
async fn a_long_journal_is_read_as_if_it_were_one_file() {
    let place = Place::new();
    long(&place, 120).await;
    let store = place.open();
    for after in 0..=121_u64 {
        for limit in [0, 1, 2, 7, 64, usize::MAX] {
            let last = after.saturating_add(limit as Seq).min(120);
            assert_eq!(read(&store, 1, after, limit).await.unwrap(), lines(1, after, last), "{limit} after {after}");
        }
    }
    append(&store, 1, 120, 5).await.unwrap();
    assert_eq!(read(&store, 1, 0, usize::MAX).await.unwrap(), lines(1, 0, 125));
    assert_eq!(read(&store, 2, 0, usize::MAX).await.unwrap(), lines(2, 0, 3));
    assert_eq!(place.segments(2), [""; 0]);
}

#[tokio::test]
async fn a_damaged_segment_sets_its_session_aside_and_a_repair_keeps_what_can_be_read() {
    let place = Place::new();
    long(&place, 60).await;
    let name = place.segments(1)[1].clone();
    let path = place.folder(1).join(&name);
    let whole = place.disk.bytes(&path).unwrap();
    for at in 0..=whole.len() {
        // One bit in every byte, and at the end the whole file.
        match whole.get(at) {
            Some(_) => place.disk.tamper(&path, |bytes| bytes[at] ^= 1),
            None => place.disk.remove(&path).unwrap(),
        }
        let store = place.open();
        match read(&store, 1, 0, usize::MAX).await {
            Err(StoreError::Corrupt { line, why, .. }) => {
                assert!((2..60).contains(&line) && why.contains("events-000"), "byte {at}, line {line}: {why}");
                assert!(matches!(append(&store, 1, 60, 1).await, Err(StoreError::Corrupt { .. })));
            }
            found => assert_eq!(found.unwrap(), lines(1, 0, 60), "byte {at}"),
        }
        assert_eq!(read(&store, 2, 0, 9).await.unwrap(), lines(2, 0, 3));
        drop(store);
        if at < whole.len() {
            place.disk.tamper(&path, |bytes| bytes.clone_from(&whole));
        }
    }
    let report = verify(&place.disk, place.home.path(), Repair::No).unwrap();
    let files: Vec<&str> = report.problems.iter().map(|problem| problem.file.rsplit('/').next().unwrap()).collect();
    assert_eq!(files, ["events-0003.jsonl.zst"], "{report:?}");
    verify(&place.disk, place.home.path(), Repair::Yes).unwrap();
    assert_eq!(verify(&place.disk, place.home.path(), Repair::No).unwrap().problems, []);
    let store = place.open();
    let left = read(&store, 1, 0, usize::MAX).await.unwrap();
    assert!(!left.is_empty() && left == lines(1, 0, left.len() as Seq), "{} lines", left.len());
    append(&store, 1, left.len() as Seq, 40).await.unwrap();
    store.close();
    drop(store);
    assert_eq!(read(&place.open(), 1, 0, usize::MAX).await.unwrap(), lines(1, 0, left.len() as Seq + 40));
    assert_eq!(verify(&place.disk, place.home.path(), Repair::No).unwrap().problems, []);
    let kept = place.disk.list(&place.folder(1)).unwrap();
    assert!(kept.contains(&"events-0003.jsonl.zst.damaged-1".to_owned()), "{kept:?}");
}

#[tokio::test]
async fn a_bad_line_in_a_segment_is_named_and_a_repair_ends_the_journal_before_it() {
    let place = Place::new();
    long(&place, 60).await;
    let path = place.folder(1).join("events-0002.jsonl.zst");
    place.disk.tamper(&path, |bytes| {
        let head = 8 + usize::from(bytes[4]);
        let text = zstd::decode_all(&bytes[..]).unwrap();
        let bad = String::from_utf8(text).unwrap().replacen("xx\"", "xy\"", 1);
        bytes.truncate(head);
        bytes.extend(zstd::encode_all(bad.as_bytes(), 1).unwrap());
    });
    let report = verify(&place.disk, place.home.path(), Repair::Yes).unwrap();
    assert_eq!(report.problems.len(), 1, "{report:?}");
    assert!(report.problems[0].file.ends_with("events-0002.jsonl.zst") && report.problems[0].line == 1, "{report:?}");
    let left = read(&place.open(), 1, 0, usize::MAX).await.unwrap();
    assert!(left.len() > 1 && left == lines(1, 0, left.len() as Seq), "{} lines", left.len());
}

#[tokio::test]
async fn a_file_that_is_gone_is_not_begun_anew() {
    let place = Place::new();
    long(&place, 60).await;
    place.disk.remove(&place.folder(1).join("events.jsonl")).unwrap();
    let store = place.open();
    assert!(matches!(read(&store, 1, 0, 9).await, Err(StoreError::Corrupt { .. })));
    assert!(matches!(append(&store, 1, 0, 1).await, Err(StoreError::Corrupt { .. })));
    drop(store);
    let report = verify(&place.disk, place.home.path(), Repair::Yes).unwrap();
    assert_eq!(report.problems.len(), 1, "{report:?}");
    assert_eq!(verify(&place.disk, place.home.path(), Repair::No).unwrap().problems, []);
    let store = place.open();
    let head = store.head(session(1)).await.unwrap();
    assert_eq!(read(&store, 1, 0, usize::MAX).await.unwrap(), lines(1, 0, head));
    append(&store, 1, head, 3).await.unwrap();
    assert_eq!(read(&store, 1, head - 1, 9).await.unwrap(), lines(1, head - 1, head + 3));
}

#[tokio::test]
async fn lines_that_stayed_in_both_places_are_read_once_and_cut_later() {
    let place = Place::new();
    long(&place, 60).await;
    let live = place.folder(1).join("events.jsonl");
    let text: String = lines(1, 0, 60).iter().map(|line| format!("{}\n", line.as_str())).collect();
    place.disk.tamper(&live, |bytes| *bytes = text.into_bytes());
    place
        .disk
        .open(&place.folder(1).join("events-0009.jsonl.part"), Open::Write)
        .unwrap()
        .write_at(0, b"half")
        .unwrap();
    assert_eq!(verify(&place.disk, place.home.path(), Repair::No).unwrap().problems, []);
    let store = place.open();
    assert_eq!(read(&store, 1, 3, 20).await.unwrap(), lines(1, 3, 23));
    append(&store, 1, 60, 1).await.unwrap();
    store.close();
    assert!(place.live(1).len() < 2_048, "{} bytes are left", place.live(1).len());
    let names = place.disk.list(&place.folder(1)).unwrap();
    assert!(names.iter().all(|name| !name.ends_with(".part")), "{names:?}");
    drop(store);
    assert_eq!(read(&place.open(), 1, 0, usize::MAX).await.unwrap(), lines(1, 0, 61));
}

#[tokio::test]
async fn a_segment_that_is_not_what_was_written_never_takes_a_line_from_the_file() {
    let place = Place::new();
    long(&place, 60).await;
    let live = place.folder(1).join("events.jsonl");
    let text: String = lines(1, 0, 60).iter().map(|line| format!("{}\n", line.as_str())).collect();
    place.disk.tamper(&live, |bytes| *bytes = text.clone().into_bytes());
    place.disk.tamper(&place.folder(1).join("events-0002.jsonl.zst"), |bytes| bytes.truncate(bytes.len() - 3));
    let mut head = 60;
    // The first try takes the bad one back; once the file has grown, it is written anew.
    for _ in 0..3 {
        let store = place.open();
        append(&store, 1, head, 1).await.unwrap();
        head += 1;
        store.close();
        drop(store);
        assert_eq!(read(&place.open(), 1, 0, usize::MAX).await.unwrap(), lines(1, 0, head));
    }
    assert!(place.live(1).len() < 2_048, "{} bytes are left", place.live(1).len());
    assert_eq!(verify(&place.disk, place.home.path(), Repair::No).unwrap().problems, []);
}

#[tokio::test]
async fn on_a_full_disk_a_long_file_stays_as_it_is() {
    let place = Place::new();
    let store = place.open();
    for at in 0..12 {
        append(&store, 1, at, 1).await.unwrap();
    }
    place.disk.set_full(Space::None);
    let mut head = 12;
    while append(&store, 1, head, 1).await.is_ok() {
        head += 1;
    }
    assert_eq!(read(&store, 1, 0, usize::MAX).await.unwrap(), lines(1, 0, head));
    place.disk.set_full(Space::Enough);
    append(&store, 1, head, 30).await.unwrap();
    store.close();
    drop(store);
    assert_eq!(read(&place.open(), 1, 0, usize::MAX).await.unwrap(), lines(1, 0, head + 30));
    let names = place.disk.list(&place.folder(1)).unwrap();
    assert!(names.iter().all(|name| !name.ends_with(".part")), "{names:?}");
}

// Deleting.

/// Returns every file of the disk that holds a text, as it lies there or uncompressed.
fn holding(place: &Place, text: &str) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![place.home.path().to_owned()]);
    while let Some(folder) = folders.pop() {
        for path in place.disk.list(&folder).unwrap().into_iter().map(|name| folder.join(name)) {
            let Some(mut bytes) = place.disk.bytes(&path) else {
                folders.push(path);
                continue;
            };
            if path.to_string_lossy().contains(".zst") {
                bytes.extend(zstd::decode_all(&bytes[..]).unwrap());
            }
            found.extend(bytes.windows(text.len()).any(|window| window == text.as_bytes()).then_some(path));
        }
    }
    found
}

#[tokio::test]
async fn a_long_journal_comes_back_from_the_trash_whole_and_erased_it_leaves_no_word() {
    let place = Place::new();
    let store = place.open();
    let words: Vec<String> = (0..20).map(|n| format!("xylophone{n:02}")).collect();
    let epoch = store.take(session(1)).await.unwrap();
    let said: Vec<Line> =
        (1..=60).map(|seq| line(seq, &words[usize::try_from(seq).unwrap() % 20].repeat(12))).collect();
    for line in &said {
        let lines = vec![line.clone()];
        store.append(Append { journal: session(1), epoch, expected: line.seq() - 1, lines }).await.unwrap();
    }
    append(&store, 2, 0, 60).await.unwrap();
    store.close();
    drop(store);
    assert!(place.segments(1).len() > 3);
    assert!(words.iter().all(|word| holding(&place, word).iter().any(|path| path.to_string_lossy().contains(".zst"))));
    let store = place.open();
    let by = Origin::of(OriginKind::Cli);
    let note = Note { at: Timestamp::from_micros(1), by, request: None, row: row(session(1), 60, 1) };
    store.discard(session(1), note).await.unwrap();
    assert!(matches!(read(&store, 1, 0, 9).await, Err(StoreError::NotFound(_))));
    store.restore(session(1)).await.unwrap();
    assert_eq!(read(&store, 1, 0, usize::MAX).await.unwrap(), said);
    store.remove(session(1)).await.unwrap();
    assert_eq!(words.iter().flat_map(|word| holding(&place, word)).collect::<Vec<_>>(), [""; 0].map(PathBuf::from));
    assert_eq!(read(&store, 2, 0, usize::MAX).await.unwrap(), lines(2, 0, 60));
}

#[tokio::test]
async fn an_artifact_that_only_a_segment_names_stays_as_long_as_its_session() {
    let home = tempfile::tempdir().unwrap();
    let artifact = b"what two sessions show".to_vec();
    let hash = Digest::of(&artifact);
    for round in 0..3_u128 {
        let (store, open) = workspace::open(home.path(), OPTIONS).unwrap();
        if round == 0 {
            store.artifacts.put(artifact.clone()).await.unwrap();
            for n in [1, 2] {
                let epoch = store.leases.take(session(n)).await.unwrap();
                let mut lines = vec![line(1, hash.as_str())];
                lines.extend((2..60).map(|seq| said(n, seq)));
                store.journals.append(Append { journal: session(n), epoch, expected: 0, lines }).await.unwrap();
            }
        } else {
            let folder = home.path().join("sessions").join(session(round).to_string());
            let live = RealDisk.open(&folder.join("events.jsonl"), Open::Read).unwrap();
            assert!(live.size().unwrap() < 2_048, "the first line is in a segment");
            store.trash.erase(vec![session(round)], None).await.unwrap();
        }
        let kept = store.artifacts.get(hash.clone()).await.unwrap().is_some();
        assert_eq!(kept, round < 2, "after {round} of two sessions were erased");
        open.close();
    }
}

#[tokio::test]
async fn while_a_segment_of_another_session_is_damaged_no_artifact_is_erased() {
    let home = tempfile::tempdir().unwrap();
    let (store, open) = workspace::open(home.path(), OPTIONS).unwrap();
    let hash = store.artifacts.put(b"shown once".to_vec()).await.unwrap();
    for n in [1, 2] {
        let epoch = store.leases.take(session(n)).await.unwrap();
        let mut lines = lines(n, 0, 60);
        lines[0] = if n == 1 { line(1, hash.as_str()) } else { said(2, 1) };
        store.journals.append(Append { journal: session(n), epoch, expected: 0, lines }).await.unwrap();
    }
    open.close();
    drop((store, open));
    let path = home.path().join("sessions").join(session(2).to_string()).join("events-0001.jsonl.zst");
    RealDisk.open(&path, Open::Write).unwrap().write_at(60, b"damage").unwrap();
    let (store, open) = workspace::open(home.path(), OPTIONS).unwrap();
    let refused = store.trash.erase(vec![session(1)], None).await.unwrap_err().to_string();
    assert!(refused.contains("events-0001.jsonl.zst") && refused.contains("verify --repair"), "{refused}");
    assert!(store.artifacts.get(hash.clone()).await.unwrap().is_some());
    open.close();
    drop((store, open));
    verify(&RealDisk, home.path(), Repair::Yes).unwrap();
    let (store, _open) = workspace::open(home.path(), OPTIONS).unwrap();
    store.trash.erase(vec![session(1)], None).await.unwrap();
    assert!(store.artifacts.get(hash).await.unwrap().is_none());
}

#[tokio::test]
async fn a_damaged_long_journal_goes_into_a_backup_as_it_lies_there() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join(".outlive");
    let (store, open) = workspace::open(&root, OPTIONS).unwrap();
    let epoch = store.leases.take(session(1)).await.unwrap();
    let append = Append { journal: session(1), epoch, expected: 0, lines: lines(1, 0, 60) };
    store.journals.append(append).await.unwrap();
    open.close();
    let path = root.join("sessions").join(session(1).to_string()).join("events-0002.jsonl.zst");
    RealDisk.open(&path, Open::Write).unwrap().write_at(60, b"damage").unwrap();
    let archive = home.path().join("all.tar");
    let mut writer = Writer::begin(&archive, "1").unwrap();
    writer.damaged(&root, session(1)).unwrap();
    let report = writer.seal().unwrap().check().unwrap();
    assert_eq!(report.problems, [""; 0]);
    assert!(report.warnings.iter().any(|warning| warning.contains("events-0002.jsonl.zst")), "{report:?}");
    assert!(report.files > 4, "{report:?}");
}

/// A disk that counts how often a segment is read whole.
struct Counted(FaultyDisk, Arc<AtomicUsize>);

struct CountedFile(Arc<dyn DiskFile>, Arc<AtomicUsize>);

impl DiskFile for CountedFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(offset, buffer)
    }
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, bytes)
    }
    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
    fn size(&self) -> io::Result<u64> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.size()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
}

impl Disk for Counted {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.0.open(path, how)?;
        let is_segment = path.extension() == Some("zst".as_ref());
        Ok(if is_segment { Arc::new(CountedFile(file, Arc::clone(&self.1))) } else { file })
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove(path)
    }
    fn make_dir(&self, path: &Path) -> io::Result<()> {
        self.0.make_dir(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.sync_dir(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.0.list(path)
    }
    fn identity(&self, path: &Path) -> io::Result<u64> {
        self.0.identity(path)
    }
}

#[tokio::test]
async fn pages_that_follow_each_other_uncompress_a_segment_once() {
    let place = Place::new();
    long(&place, 60).await;
    let disk = Counted(place.disk.clone(), Arc::default());
    let reads = Arc::clone(&disk.1);
    let store = FileJournals::open(place.home.path(), Arc::new(disk), OPTIONS, Box::new(|_| {})).unwrap();
    for after in 0..60 {
        assert_eq!(read(&store, 1, after, 1).await.unwrap(), lines(1, after, after + 1));
    }
    assert_eq!(reads.load(Ordering::Relaxed), place.segments(1).len());
}

// A reader that began before the file was replaced.

/// A disk whose flusher waits before a folder is synced, until a reader is about to open the journal's file.
#[derive(Clone)]
struct Slow {
    disk: FaultyDisk,
    /// What has happened: 0 nothing, 1 all is ready for the cut, 2 a reader has begun, 3 the file was replaced.
    stage: Arc<(Mutex<u8>, Condvar)>,
}

impl Slow {
    fn wait(&self, stage: u8) {
        let mut now = self.stage.0.lock().unwrap();
        while *now < stage {
            now = self.stage.1.wait(now).unwrap();
        }
    }

    /// Goes on to a stage from the one before it.
    fn reach(&self, stage: u8) {
        let mut now = self.stage.0.lock().unwrap();
        *now = if *now == stage - 1 { stage } else { *now };
        self.stage.1.notify_all();
    }
}

impl Disk for Slow {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        let is_flusher = std::thread::current().name() == Some("flusher");
        if path.ends_with("events.jsonl") && how == Open::Read && !is_flusher && *self.stage.0.lock().unwrap() == 1 {
            self.reach(2);
            self.wait(3);
        }
        self.disk.open(path, how)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)?;
        if to.ends_with("events.jsonl") {
            self.reach(3);
        }
        Ok(())
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }
    fn make_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.make_dir(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        if path.ends_with(session(1).to_string()) && !self.disk.list(path)?.contains(&"events.part".to_owned()) {
            return self.disk.sync_dir(path);
        }
        if path.ends_with(session(1).to_string()) {
            self.reach(1);
            self.wait(2);
        }
        self.disk.sync_dir(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.disk.list(path)
    }
    fn identity(&self, path: &Path) -> io::Result<u64> {
        self.disk.identity(path)
    }
}

#[tokio::test]
async fn a_reader_that_began_before_lines_moved_reads_them_where_they_are() {
    let home = tempfile::tempdir().unwrap();
    let disk = Slow { disk: FaultyDisk::default(), stage: Arc::default() };
    let store = FileJournals::open(home.path(), Arc::new(disk.clone()), OPTIONS, Box::new(|_| {})).unwrap();
    append(&store, 1, 0, 40).await.unwrap();
    disk.wait(1);
    assert_eq!(read(&store, 1, 0, usize::MAX).await.unwrap(), lines(1, 0, 40));
    assert_eq!(*disk.stage.0.lock().unwrap(), 3, "the file was replaced while it was read");
    assert_eq!(read(&store, 1, 38, 9).await.unwrap(), lines(1, 38, 40));
}
