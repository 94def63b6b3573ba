//! The trash of a whole workspace at the moments at which something else happens, or the disk says no: nothing that was erased
//! stays, nothing that was brought back goes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::disallowed_methods, reason = "the tests look at files as a person would")]

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use outlive_core::digest::Digest;
use outlive_core::event::{Line, Origin, OriginKind};
use outlive_core::id::SessionId;
use outlive_core::time::Timestamp;
use outlive_store::conformance::{line, row, session};
use outlive_store::files::FileJournals;
use outlive_store::files::fs::{Disk, DiskFile, Open, RealDisk};
use outlive_store::workspace::{self, Options, Workspace};
use outlive_store::{Append, Journals as _, Note, Row, Store, StoreError};

/// What is about to be done to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Read,
    Write,
    Rename,
    Remove,
    List,
    Sync,
}

type Says = Arc<dyn Fn(Step, &Path) -> io::Result<()> + Send + Sync>;

/// The real disk, which asks first.
#[derive(Clone, Default)]
struct Asking(Arc<Mutex<Option<Says>>>);

impl Asking {
    fn ask_of(&self, says: impl Fn(Step, &Path) -> io::Result<()> + Send + Sync + 'static) {
        *self.0.lock().unwrap() = Some(Arc::new(says));
    }

    fn let_all(&self) {
        *self.0.lock().unwrap() = None;
    }

    /// Refuses this step where the path holds this text.
    fn refuse(&self, step: Step, text: &'static str, why: io::ErrorKind) {
        self.ask_of(move |asked, path| {
            let is_it = asked == step && path.to_string_lossy().contains(text);
            if is_it { Err(why.into()) } else { Ok(()) }
        });
    }

    /// What is asked may ask again, on other threads.
    fn ask(&self, step: Step, path: &Path) -> io::Result<()> {
        let says = self.0.lock().unwrap().clone();
        says.map_or(Ok(()), |says| says(step, path))
    }
}

impl Disk for Asking {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        self.ask(if how == Open::Read { Step::Read } else { Step::Write }, path)?;
        RealDisk.open(path, how)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.ask(Step::Rename, from)?;
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.ask(Step::Remove, path)?;
        RealDisk.remove(path)
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.make_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.sync_dir(path)?;
        self.ask(Step::Sync, path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.ask(Step::List, path)?;
        RealDisk.list(path)
    }

    fn identity(&self, path: &Path) -> io::Result<u64> {
        RealDisk.identity(path)
    }
}

struct Place {
    home: tempfile::TempDir,
    disk: Asking,
}

impl Place {
    fn new() -> Self {
        let home = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        Self { home, disk: Asking::default() }
    }

    fn open(&self) -> (Store, Workspace) {
        let small = Options { segment_bytes: 64 << 10, ..Options::default() };
        workspace::open_on(Arc::new(self.disk.clone()), self.home.path(), small).unwrap()
    }

    /// Every file that holds a text or has it in its name. Files of the log come and go meanwhile: then it looks again.
    fn holding(&self, text: &str) -> Vec<PathBuf> {
        loop {
            match self.look_for(text) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                found => return found.unwrap(),
            }
        }
    }

    fn look_for(&self, text: &str) -> io::Result<Vec<PathBuf>> {
        let (mut found, mut folders) = (Vec::new(), vec![self.home.path().to_owned()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    folders.push(entry.path());
                } else {
                    let bytes = std::fs::read(entry.path())?;
                    let is_in = bytes.windows(text.len()).any(|window| window == text.as_bytes());
                    let is_named = entry.path().to_string_lossy().contains(text);
                    found.extend((is_in || is_named).then(|| entry.path()));
                }
            }
        }
        Ok(found)
    }
}

async fn append(store: &Store, n: u128, expected: u64, text: &str) -> Result<(), StoreError> {
    let epoch = store.leases.take(session(n)).await.unwrap();
    let lines = vec![line(expected + 1, text)];
    store.journals.append(Append { journal: session(n), epoch, expected, lines }).await
}

#[tokio::test]
async fn a_journal_in_the_trash_is_written_anew_whatever_the_disk_refuses_once() {
    let row = || Row { title: Some("now".to_owned()), ..row(session(2), 40, 1) };
    let (mut refused, mut n) = (true, 0);
    while refused {
        let place = Place::new();
        let small = Options { segment_bytes: 64 << 10, live_bytes: 1_024, past_bytes: 512, ..Options::default() };
        let open = || workspace::open_on(Arc::new(place.disk.clone()), place.home.path(), small).unwrap();
        let (store, opened) = open();
        for head in 0..40 {
            append(&store, 2, head, &if head == 35 || head == 3 { secret(2) } else { format!("{head}") })
                .await
                .unwrap();
        }
        opened.close();
        drop((store, opened));
        let (store, opened) = open();
        let note = Note { row: Row { title: Some(secret(2)), ..row() }, ..note(2, 1) };
        store.trash.discard(session(2), note).await.unwrap();
        let count = Arc::new(Mutex::new(0));
        let (counted, at) = (Arc::clone(&count), n);
        place.disk.ask_of(move |step, _| {
            let mut counted = counted.lock().unwrap();
            *counted += i32::from(step != Step::Read && step != Step::List);
            if *counted == at + 1 && step != Step::Read { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        });
        let anew = vec![line(4, "anew"), line(36, "anew")];
        let done = store.trash.inside().scrub(session(2), anew.clone(), row()).await;
        refused = *count.lock().unwrap() > at;
        place.disk.let_all();
        drop((store, opened));
        let (store, opened) = open();
        if done.is_err() {
            store.trash.inside().scrub(session(2), anew, row()).await.unwrap();
        }
        assert_eq!(place.holding(&secret(2)), [] as [PathBuf; 0], "{n}");
        let read = store.trash.inside().read(session(2), 0, 99).await.unwrap();
        assert_eq!(read.iter().map(Line::seq).collect::<Vec<_>>(), (1..=40).collect::<Vec<_>>(), "{n}");
        let page = store.trash.inside().read(session(2), 3, 2).await.unwrap();
        assert_eq!(page, [line(4, "anew"), line(5, "4")], "{n}");
        store.trash.restore(session(2)).await.unwrap();
        assert_eq!(store.journals.read(session(2), 0, 99).await.unwrap().lines, read, "{n}");
        drop((store, opened));
        n += 1;
    }
    assert!(n > 5, "{n}");
}

/// Sessions 1 to 3 with three lines each, which say whose they are.
async fn fill(store: &Store) {
    for n in 1..=3 {
        for head in 0..3 {
            append(store, n, head, &secret(n)).await.unwrap();
        }
    }
}

fn secret(n: u128) -> String {
    format!("xylophone-{n}-{}", "x".repeat(80))
}

fn note(n: u128, at: i64) -> Note {
    let by = Origin::of(OriginKind::Cli);
    Note { at: Timestamp::from_micros(at), by, request: None, row: row(session(n), 3, 1) }
}

async fn heads(store: &Store) -> [u64; 3] {
    let mut heads = [0; 3];
    for (n, head) in (1..).zip(&mut heads) {
        *head = store.journals.head(session(n)).await.unwrap_or(0);
    }
    heads
}

fn unfinished(place: &Place) -> Vec<SessionId> {
    workspace::unfinished(place.home.path()).unwrap()
}

/// An erasure of session 2 that was marked and found no room.
async fn without_room() -> (Place, Store, Workspace) {
    let place = Place::new();
    let (store, open) = place.open();
    fill(&store).await;
    let folder = PathBuf::from(format!("sessions/{}", session(2)));
    place.disk.ask_of(move |step, path| {
        let is_segment = step == Step::Write && path.to_string_lossy().contains("commit/00000001.new-");
        let is_folder = step == Step::Rename && path.ends_with(&folder);
        if is_segment || is_folder { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    });
    assert_eq!(store.trash.erase(vec![session(2)], None).await, Err(StoreError::NoSpace));
    assert_eq!((unfinished(&place), place.holding(&secret(2)).is_empty()), (vec![session(2)], false));
    drop((store, open));
    // Still no room: it opens all the same, and the session is there for nobody.
    let (store, open) = place.open();
    assert_eq!(heads(&store).await, [3, 0, 3]);
    assert_eq!(store.trash.discarded().await, Ok(vec![]));
    assert_eq!(store.trash.restore(session(2)).await, Err(StoreError::NotFound(session(2))));
    assert!(!store.directory.sessions().await.unwrap().contains(&session(2)));
    assert!(append(&store, 2, 0, "anew").await.is_err() && append(&store, 2, 3, "on").await.is_err());
    assert_eq!(store.trash.erase(vec![], None).await, Err(StoreError::NoSpace));
    append(&store, 1, 3, &secret(1)).await.unwrap();
    assert_eq!(unfinished(&place), [session(2)]);
    (place, store, open)
}

#[test]
fn a_workspace_says_what_is_not_erased_yet_also_when_nobody_has_it_open() {
    let (place, store, open) = wait(without_room());
    drop((store, open));
    assert_eq!(workspace::unfinished(&place.home.path().join("none")).unwrap(), []);
}

async fn check_finished(place: &Place, store: &Store) {
    assert_eq!((unfinished(place), place.holding(&secret(2))), (vec![], vec![]));
    assert!(heads(store).await[0] >= 4 && heads(store).await[1..] == [0, 3]);
}

/// Appends to another session, after this head, until the erasure has gone on by itself.
async fn goes_on(place: &Place, store: &Store, mut head: u64) {
    while !unfinished(place).is_empty() {
        append(store, 1, head, "on and on").await.unwrap();
        head += 1;
        assert!(head < 5_000, "it never goes on");
    }
    check_finished(place, store).await;
}

#[tokio::test]
async fn an_erasure_without_room_keeps_nothing_from_opening_and_the_next_one_goes_on_with_it() {
    let (place, store, open) = without_room().await;
    place.disk.let_all();
    store.trash.erase(vec![session(3)], None).await.unwrap();
    assert_eq!((unfinished(&place), place.holding(&secret(2))), (vec![], vec![]));
    assert_eq!(place.holding(&secret(3)), [] as [PathBuf; 0]);
    drop((store, open));
    let (store, _open) = place.open();
    assert_eq!(heads(&store).await, [4, 0, 0]);
}

#[tokio::test]
async fn an_erasure_without_room_goes_on_at_the_next_start() {
    let (place, store, open) = without_room().await;
    drop((store, open));
    place.disk.let_all();
    let (store, _open) = place.open();
    store.trash.erase(vec![], None).await.unwrap();
    check_finished(&place, &store).await;
}

#[tokio::test]
async fn an_erasure_without_room_goes_on_by_itself_once_events_find_room() {
    let (place, store, _open) = without_room().await;
    place.disk.let_all();
    goes_on(&place, &store, 4).await;
}

#[tokio::test]
async fn an_erasure_whose_client_hangs_up_comes_to_its_end_and_the_next_deed_waits_for_it() {
    let place = Place::new();
    let (store, _open) = place.open();
    fill(&store).await;
    let (marking, is_marked) = sync_channel::<()>(8);
    place.disk.ask_of(move |step, path| {
        if step == Step::Rename && path.parent().is_some_and(|folder| folder.ends_with("trash")) {
            marking.try_send(()).ok();
        }
        Ok(())
    });
    let mut erasing = store.trash.erase(vec![session(2)], None);
    assert_eq!(erasing.as_mut().now_or_never(), None);
    is_marked.recv().unwrap();
    drop(erasing);
    store.trash.sweep(Timestamp::from_micros(0)).await.unwrap();
    assert_eq!((unfinished(&place), place.holding(&secret(2))), (vec![], vec![]));
}

#[tokio::test]
async fn an_erasure_whose_marks_cannot_be_read_is_taken_up_again() {
    let (place, store, _open) = without_room().await;
    place.disk.refuse(Step::Read, ".gone", io::ErrorKind::PermissionDenied);
    for head in 4..400 {
        append(&store, 1, head, "on and on").await.unwrap();
    }
    place.disk.let_all();
    goes_on(&place, &store, 400).await;
}

#[tokio::test]
async fn a_session_whose_way_back_could_not_be_synced_stays_in_the_list() {
    let place = Place::new();
    let (store, open) = place.open();
    fill(&store).await;
    store.trash.discard(session(2), note(2, 7)).await.unwrap();
    place.disk.refuse(Step::Sync, "sessions", io::ErrorKind::PermissionDenied);
    assert!(store.trash.restore(session(2)).await.is_err());
    place.disk.let_all();
    drop((store, open));
    let (store, _open) = place.open();
    assert_eq!(heads(&store).await, [3, 3, 3]);
    let rows = store.index.rows(vec![session(2)]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.session).collect::<Vec<_>>(), [session(2)]);
}

#[tokio::test]
async fn a_second_erasure_that_fails_leaves_the_marks_of_the_first() {
    let place = Place::new();
    let (store, open) = place.open();
    fill(&store).await;
    // The folders of both cannot be taken away.
    place.disk.refuse(Step::Rename, "sessions/", io::ErrorKind::PermissionDenied);
    for n in [1, 2] {
        assert!(store.trash.erase(vec![session(n)], Some(format!("r{n}"))).await.is_err());
        let marks = place.holding(".gone").len();
        assert_eq!(marks as u128, n, "a mark for each that is not gone");
        assert_eq!(store.trash.answered(session(n), format!("r{n}")).await, Ok(None), "answered as done");
    }
    drop((store, open));
    place.disk.let_all();
    let (store, _open) = place.open();
    store.trash.erase(vec![], None).await.unwrap();
    assert_eq!(heads(&store).await, [0, 0, 3]);
    for n in [1, 2] {
        assert_eq!(place.holding(&secret(n)), [] as [PathBuf; 0], "session {n}");
    }
}

#[test]
fn a_restore_and_an_append_of_the_same_session_anew_leave_it_as_it_was() {
    let place = Place::new();
    let open =
        || FileJournals::open(place.home.path(), Arc::new(place.disk.clone()), Options::default(), Box::new(|_| {}));
    let store = open().unwrap();
    let put = |expected, text: &str| {
        let (journal, epoch) = (session(2), store.lock().epoch());
        store.append(Append { journal, epoch, expected, lines: vec![line(expected + 1, text)] })
    };
    (0..3).for_each(|head| wait(put(head, "as it was")).unwrap());
    wait(store.discard(session(2), note(2, 7))).unwrap();
    let (moving, is_moving) = sync_channel::<()>(8);
    let (go, may_go) = sync_channel::<()>(8);
    let (moved, was_moved) = sync_channel::<()>(8);
    let (may_go, was_moved) = (Mutex::new(may_go), Mutex::new(was_moved));
    let (answered, under_way) = (go.clone(), AtomicBool::new(false));
    let journal = PathBuf::from(format!("sessions/{}/events.jsonl", session(2)));
    let (from, sessions) = (PathBuf::from(format!("trash/{}", session(2))), place.home.path().join("trash"));
    place.disk.ask_of(move |step, path| {
        let is_committer = std::thread::current().name() == Some("committer");
        if step == Step::Read && is_committer && path.ends_with(&journal) && under_way.load(Ordering::SeqCst) {
            // It is not among the sessions yet; and when it is looked for in the trash, not there any more.
            go.send(()).unwrap();
            was_moved.lock().unwrap().recv().unwrap();
            return Err(io::ErrorKind::NotFound.into());
        }
        if step == Step::Rename && path.ends_with(&from) {
            under_way.store(true, Ordering::SeqCst);
            moving.send(()).unwrap();
            may_go.lock().unwrap().recv().unwrap();
        }
        if step == Step::Sync && path == sessions {
            moved.try_send(()).ok();
        }
        Ok(())
    });
    let appended = std::thread::scope(|scope| {
        let restored = scope.spawn(|| wait(store.restore(session(2))));
        is_moving.recv().unwrap();
        let appended = scope.spawn(|| {
            let done = wait(put(0, "anew"));
            answered.send(()).unwrap();
            done
        });
        assert_eq!(restored.join().unwrap(), Ok(()));
        appended.join().unwrap()
    });
    place.disk.let_all();
    assert!(matches!(&appended, Err(StoreError::Refused { why, .. }) if why.contains("brought back")), "{appended:?}");
    wait(put(3, "on")).unwrap();
    drop(store);
    assert_eq!(wait(open().unwrap().head(session(2))), Ok(4));
}

fn wait<T>(done: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(done)
}

/// A session whose one line names an artifact.
async fn naming(store: &Store, n: u128, bytes: &[u8]) -> (Digest, Line) {
    let hash = store.artifacts.put(bytes.to_vec()).await.unwrap();
    append(store, n, 0, hash.as_str()).await.unwrap();
    let lines = store.journals.read(session(n), 0, 9).await.unwrap().lines;
    (hash, lines[0].clone())
}

#[tokio::test]
async fn a_fork_that_comes_after_its_originals_erasure_is_refused_where_its_artifacts_are_gone() {
    let place = Place::new();
    let (store, _open) = place.open();
    let (hash, _) = naming(&store, 1, b"whole output").await;
    store.trash.erase(vec![session(1)], None).await.unwrap();
    assert_eq!(store.artifacts.get(hash.clone()).await, Ok(None));
    let refused = append(&store, 2, 0, hash.as_str()).await;
    assert!(matches!(&refused, Err(StoreError::Refused { why, .. }) if why.contains(hash.as_str())), "{refused:?}");
    assert_eq!(store.journals.head(session(2)).await, Err(StoreError::NotFound(session(2))));
    append(&store, 2, 0, &format!("said of {hash}, not naming it")).await.unwrap();
    assert_eq!(store.artifacts.put(b"whole output".to_vec()).await, Ok(hash.clone()));
    append(&store, 3, 0, hash.as_str()).await.unwrap();
}

#[test]
fn a_fork_that_is_made_while_its_originals_artifacts_are_looked_at_keeps_them() {
    let place = Place::new();
    let (store, open) = place.open();
    let (hash, _) = wait(naming(&store, 1, b"whole output"));
    let store = Arc::new(store);
    let (forking, text, is_made) = (Arc::downgrade(&store), hash.as_str().to_owned(), AtomicBool::new(false));
    place.disk.ask_of(move |step, path| {
        // What waits for its file was looked at before the sessions are.
        let is_look = step == Step::List && path.ends_with("sessions");
        if is_look && std::thread::current().name() == Some("trash") && !is_made.swap(true, Ordering::SeqCst) {
            let store = forking.upgrade().unwrap();
            let forked = std::thread::scope(|scope| scope.spawn(|| wait(append(&store, 2, 0, &text))).join());
            forked.unwrap().unwrap();
            // Its file is not written yet, whatever the flusher does.
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(())
    });
    wait(store.trash.erase(vec![session(1)], None)).unwrap();
    place.disk.let_all();
    assert_eq!(wait(store.artifacts.get(hash)), Ok(Some(b"whole output".to_vec())));
    drop((store, open));
}

#[tokio::test]
async fn bytes_that_two_store_are_kept_until_both_have_named_them() {
    let place = Place::new();
    let (store, _open) = place.open();
    let stored = store.artifacts.put(b"the same".to_vec()).await.unwrap();
    let (hash, _) = naming(&store, 1, b"the same").await;
    assert_eq!(stored, hash);
    store.trash.erase(vec![session(1)], None).await.unwrap();
    assert_eq!(store.artifacts.get(hash.clone()).await, Ok(Some(b"the same".to_vec())), "the other's event is to come");
    append(&store, 2, 0, hash.as_str()).await.unwrap();
    store.trash.erase(vec![session(2)], None).await.unwrap();
    assert_eq!(store.artifacts.get(hash).await, Ok(None));
}

#[tokio::test]
async fn no_snapshot_is_written_beside_a_session_that_is_gone() {
    let place = Place::new();
    let (store, open) = place.open();
    fill(&store).await;
    // One that was damaged is erased while somebody may still have it open.
    let path = place.home.path().join("sessions").join(session(2).to_string()).join("events.jsonl");
    drop((store, open));
    std::fs::write(&path, "no line\nat all\n").unwrap();
    let (store, open) = place.open();
    assert!(matches!(store.journals.head(session(2)).await, Err(StoreError::Corrupt { .. })));
    store.trash.erase(vec![session(2)], None).await.unwrap();
    store.trash.discard(session(3), note(3, 7)).await.unwrap();
    for n in [2, 3, 4] {
        let put = store.snapshots.put(session(n), secret(9)).await;
        assert_eq!(put, Err(StoreError::NotFound(session(n))));
    }
    assert_eq!(place.holding(&secret(9)), [] as [PathBuf; 0]);
    store.snapshots.put(session(1), "seq: 3\n".to_owned()).await.unwrap();
    drop((store, open));
    assert!(!path.parent().unwrap().exists());
}

#[tokio::test]
async fn artifacts_that_nobody_ever_named_go_once_they_are_old() {
    let place = Place::new();
    let (store, open) = place.open();
    let (named, _) = naming(&store, 1, b"named").await;
    let unnamed = store.artifacts.put(b"cut off before its event".to_vec()).await.unwrap();
    let folder = place.home.path().join("artifacts").join(&unnamed.as_str()[..2]);
    std::fs::write(folder.join(format!("{unnamed}.new-0")), "half").unwrap();
    std::fs::write(place.home.path().join("artifacts/README"), "not ours").unwrap();
    let (old, late) = (Timestamp::from_micros(0), Timestamp::from_micros(i64::MAX));
    assert_eq!(store.trash.sweep(old).await, Ok(0), "none is that old");
    assert_eq!(store.trash.sweep(late).await, Ok(0), "its event may be to come");
    drop((store, open));
    let (store, _open) = place.open();
    assert_eq!(store.trash.sweep(old).await, Ok(0));
    assert_eq!(store.trash.sweep(late).await, Ok(1));
    assert_eq!(place.holding(unnamed.as_str()), [] as [PathBuf; 0]);
    assert_eq!(store.artifacts.get(named.clone()).await, Ok(Some(b"named".to_vec())));
    // What was looked at once costs nothing any more.
    place.disk.refuse(Step::Read, "sessions/", io::ErrorKind::PermissionDenied);
    assert_eq!(store.trash.sweep(late).await, Ok(0));
}

#[tokio::test]
async fn an_artifact_whose_folder_is_missing_keeps_no_erasure_from_its_end() {
    let place = Place::new();
    let (store, _open) = place.open();
    naming(&store, 1, b"whole output").await;
    let folder = place.home.path().join("artifacts");
    place.disk.ask_of(move |step, path| {
        let is_look = step == Step::List && path.ends_with("sessions");
        if is_look && std::thread::current().name() == Some("trash") {
            std::fs::remove_dir_all(&folder).unwrap();
        }
        Ok(())
    });
    assert_eq!(store.trash.erase(vec![session(1)], None).await, Ok(()));
    assert_eq!(unfinished(&place), []);
}

#[tokio::test]
async fn whoever_reads_older_lines_of_a_session_that_goes_to_the_trash_finds_none_and_no_damage() {
    let place = Place::new();
    let options = Options { segment_bytes: 4_096, live_bytes: 2_048, past_bytes: 512, ..Options::default() };
    let open = || FileJournals::open(place.home.path(), Arc::new(place.disk.clone()), options, Box::new(|_| {}));
    let store = open().unwrap();
    for expected in 0..99 {
        let (journal, epoch) = (session(2), store.lock().epoch());
        let lines = vec![line(expected + 1, &secret(2))];
        store.append(Append { journal, epoch, expected, lines }).await.unwrap();
    }
    store.close();
    drop(store);
    assert!(!place.holding(".jsonl.zst").is_empty(), "it has older lines");
    let store = open().unwrap();
    let (discarding, reader) = (Arc::downgrade(&store), std::thread::current().id());
    let (folder, is_gone) = (session(2).to_string(), AtomicBool::new(false));
    place.disk.ask_of(move |step, path| {
        let is_look = step == Step::List && path.ends_with(&folder) && std::thread::current().id() == reader;
        if is_look && !is_gone.swap(true, Ordering::SeqCst) {
            let store = discarding.upgrade().unwrap();
            std::thread::scope(|scope| scope.spawn(|| wait(store.discard(session(2), note(2, 7)))).join())
                .unwrap()
                .unwrap();
        }
        Ok(())
    });
    for _ in 0..2 {
        assert_eq!(store.read(session(2), 0, 5).await, Err(StoreError::NotFound(session(2))));
    }
    store.restore(session(2)).await.unwrap();
    assert_eq!(store.read(session(2), 0, 5).await.map(|opened| opened.lines.len()), Ok(5));
}

#[tokio::test]
async fn an_event_that_does_not_come_is_awaited_for_a_day_and_no_longer() {
    const DAY: i64 = 86_400_000_000;
    let place = Place::new();
    let (store, _open) = place.open();
    store.artifacts.put(b"the same".to_vec()).await.unwrap();
    let (hash, _) = naming(&store, 1, b"the same").await;
    store.trash.erase(vec![session(1)], None).await.unwrap();
    // Long after the files were written.
    let sweep = |days: i64| store.trash.sweep(Timestamp::from_micros((100_000 + days) * DAY));
    assert_eq!((sweep(0).await, sweep(0).await), (Ok(0), Ok(0)));
    store.artifacts.put(b"the same".to_vec()).await.unwrap();
    assert_eq!(sweep(1).await, Ok(0), "it was stored again");
    assert_eq!(sweep(2).await, Ok(1));
    assert_eq!(store.artifacts.get(hash).await, Ok(None));
}

#[test]
fn events_find_their_way_while_artifacts_are_removed() {
    let place = Place::new();
    let (store, _open) = place.open();
    wait(naming(&store, 1, b"whole output"));
    let store = Arc::new(store);
    let (appending, done) = (Arc::downgrade(&store), Arc::new(AtomicBool::new(false)));
    let is_done = Arc::clone(&done);
    place.disk.ask_of(move |step, path| {
        if step == Step::Remove && path.to_string_lossy().contains("artifacts/") {
            let store = appending.upgrade().unwrap();
            let appended = std::thread::scope(|scope| scope.spawn(|| wait(append(&store, 2, 0, "on"))).join());
            appended.unwrap().unwrap();
            is_done.store(true, Ordering::SeqCst);
        }
        Ok(())
    });
    wait(store.trash.erase(vec![session(1)], None)).unwrap();
    assert!(done.load(Ordering::SeqCst));
}
