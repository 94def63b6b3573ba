//! Deleting, bringing back and erasing on a disk that stops or refuses at each operation: a journal is among the sessions or
//! in the trash, whole; what is erased leaves no byte in any file; other journals never lose a line.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::path::PathBuf;
use std::sync::Arc;

use outlive_core::event::{Origin, OriginKind};
use outlive_core::id::SessionId;
use outlive_core::time::Timestamp;
use outlive_store::conformance::{line, row, session};
use outlive_store::files::faults::{Fault, FaultyDisk, Keep};
use outlive_store::files::fs::Disk as _;
use outlive_store::files::verify::{Repair, verify};
use outlive_store::files::{FileJournals, OpenError, Options};
use outlive_store::{Append, Journals as _, Leases as _, Note, StoreError};

/// Segments that fill up soon, so that frames lie in several.
const OPTIONS: Options =
    Options { segment_bytes: 2_048, backlog_bytes: 1 << 20, waiting: 64, live_bytes: 2_048, past_bytes: 512 };
/// What the doomed journal says in each line.
const SECRET: &str = "xylophone";

struct Place {
    home: tempfile::TempDir,
    disk: FaultyDisk,
}

impl Place {
    fn new() -> Self {
        let home = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        Self { home, disk: FaultyDisk::default() }
    }

    fn open(&self) -> Result<Arc<FileJournals>, OpenError> {
        FileJournals::open(self.home.path(), Arc::new(self.disk.clone()), OPTIONS, Box::new(|_| {}))
    }

    /// Every file of the disk that holds a text.
    fn holding(&self, text: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.home.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for name in self.disk.list(&folder).unwrap() {
                let path = folder.join(name);
                match self.disk.bytes(&path) {
                    None => folders.push(path),
                    Some(bytes) if bytes.windows(text.len()).any(|window| window == text.as_bytes()) => {
                        found.push(path)
                    }
                    Some(_) => {}
                }
            }
        }
        found
    }
}

async fn append(store: &FileJournals, n: u128, expected: u64, text: &str) -> Result<(), StoreError> {
    let epoch = store.take(session(n)).await?;
    let lines = vec![line(expected + 1, &format!("{n} {text} {}", "x".repeat(80)))];
    store.append(Append { journal: session(n), epoch, expected, lines }).await
}

/// Three journals whose lines are mixed in several segments; the second is to go. Returns how far they came.
async fn fill(store: &FileJournals) -> [u64; 3] {
    let mut heads = [0; 3];
    for _ in 0..8 {
        for (n, head) in (1..).zip(&mut heads) {
            let text = if n == 2 { SECRET } else { "other" };
            *head += u64::from(append(store, n, *head, text).await.is_ok());
        }
    }
    heads
}

async fn count(store: &FileJournals, n: u128) -> u64 {
    match store.read(session(n), 0, usize::MAX).await {
        Ok(opened) => {
            assert!(opened.lines.iter().zip(1..).all(|(line, seq)| line.seq() == seq), "a gap");
            opened.lines.len() as u64
        }
        Err(StoreError::NotFound(_)) => 0,
        Err(error) => panic!("{error}"),
    }
}

fn note(journal: SessionId) -> Note {
    Note { at: Timestamp::from_micros(1), by: Origin::of(OriginKind::Cli), request: None, row: row(journal, 8, 1) }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Discard,
    Restore,
    Erase,
    EraseFromTrash,
}

/// Fills a store, does what comes before a deed, and returns it with how far its journals came.
async fn before(place: &Place, deed: Deed) -> (Arc<FileJournals>, [u64; 3]) {
    let store = place.open().unwrap();
    let heads = fill(&store).await;
    if matches!(deed, Deed::Restore | Deed::EraseFromTrash) {
        store.discard(session(2), note(session(2))).await.unwrap();
    }
    (store, heads)
}

async fn act(store: &FileJournals, deed: Deed) -> Result<(), StoreError> {
    match deed {
        Deed::Discard => store.discard(session(2), note(session(2))).await,
        Deed::Restore => store.restore(session(2)).await,
        Deed::Erase | Deed::EraseFromTrash => store.remove(session(2)).await,
    }
}

/// After whatever happened: the other journals are whole, the second is in one place or erased.
async fn check(place: &Place, deed: Deed, (done, heads): (bool, [u64; 3]), case: &str) {
    let store = place.open().unwrap();
    assert_eq!((count(&store, 1).await, count(&store, 3).await), (heads[0], heads[2]), "{case}: the others");
    let here = count(&store, 2).await;
    let in_trash = store.restore(session(2)).await.is_ok() && here == 0;
    let whole = count(&store, 2).await;
    match deed {
        Deed::Discard => assert!(whole == heads[1] && (in_trash || !done), "{case}: {here} here, {whole} in all"),
        Deed::Restore => assert!(whole == heads[1] && (here > 0 || !done), "{case}: {here} here, {whole} in all"),
        Deed::Erase | Deed::EraseFromTrash => {
            let is_erased = place.holding(SECRET).is_empty();
            assert!(
                if is_erased { whole == 0 } else { whole == heads[1] && !done },
                "{case}: {whole} {:?}",
                place.holding(SECRET)
            );
        }
    }
    append(&store, 1, heads[0], "other").await.unwrap();
    drop(store);
    assert_eq!(verify(&place.disk, place.home.path(), Repair::No).unwrap().problems, [], "{case}");
}

async fn strike(deed: Deed, (n, fault): (u64, Fault), keep: Keep) -> bool {
    let place = Place::new();
    let (store, heads) = before(&place, deed).await;
    let from = place.disk.operations();
    place.disk.plan(n, fault);
    let done = act(&store, deed).await.is_ok();
    let is_over = place.disk.operations() - from <= n;
    place.disk.plan(0, Fault::Cut);
    drop(store);
    place.disk.crash(keep);
    check(&place, deed, (done, heads), &format!("{deed:?}, operation {n}, {fault:?}, {keep:?}")).await;
    is_over
}

#[tokio::test]
async fn whatever_operation_fails_a_journal_is_in_one_place_or_erased_and_the_others_are_whole() {
    for deed in [Deed::Discard, Deed::Restore, Deed::Erase, Deed::EraseFromTrash] {
        for fault in [Fault::Cut, Fault::Io, Fault::NoSpace] {
            let mut least = 0;
            for n in 0..400 {
                let mut is_over = true;
                for keep in [Keep::Nothing, Keep::Half, Keep::Everything] {
                    is_over &= strike(deed, (n, fault), keep).await;
                }
                if is_over {
                    break;
                }
                least = n;
            }
            assert!((3..399).contains(&least), "{deed:?} touches the disk {least} times");
        }
    }
}

#[tokio::test]
async fn an_erasure_that_is_cut_again_and_again_is_finished_in_the_end() {
    // Cut off when it is marked and its folder is not removed yet: at which operation that is, the flusher's pace decides.
    let mut cut = None;
    for n in 0..60 {
        let place = Place::new();
        let (store, heads) = before(&place, Deed::EraseFromTrash).await;
        place.disk.plan(n, Fault::Cut);
        let failed = act(&store, Deed::Erase).await.is_err();
        drop(store);
        place.disk.crash(Keep::Everything);
        let names = place.disk.list(&place.home.path().join("trash")).unwrap();
        if failed && names.iter().any(|name| name.ends_with(".gone")) && !place.holding(SECRET).is_empty() {
            cut = Some((place, heads));
            break;
        }
    }
    let ((place, heads), mut n) = (cut.unwrap(), 0);
    while !place.holding(SECRET).is_empty() {
        place.disk.plan(n, Fault::Cut);
        drop(place.open());
        place.disk.crash([Keep::Nothing, Keep::Everything][usize::try_from(n % 2).unwrap()]);
        n += 1;
        assert!(n < 200, "never finished: {:?}", place.holding(SECRET));
    }
    let store = place.open().unwrap();
    assert_eq!([count(&store, 1).await, count(&store, 2).await, count(&store, 3).await], [heads[0], 0, heads[2]]);
}

#[tokio::test]
async fn what_an_earlier_life_of_a_segment_left_and_copies_of_damaged_ones_are_erased_too() {
    let place = Place::new();
    let store = place.open().unwrap();
    let heads = fill(&store).await;
    store.close();
    drop(store);
    // Freed segments hold old frames, and are used again: their tails still do.
    let store = place.open().unwrap();
    append(&store, 1, heads[0], "other").await.unwrap();
    assert!(
        place.holding(SECRET).iter().any(|path| path.starts_with(place.home.path().join("commit"))),
        "nothing stale"
    );
    let kept = place.home.path().join("commit/00000001.log.damaged");
    let copy = place.disk.open(&kept, outlive_store::files::fs::Open::Write).unwrap();
    copy.write_at(0, format!("no frame at all, {SECRET}").as_bytes()).unwrap();
    store.remove(session(2)).await.unwrap();
    assert_eq!(place.holding(SECRET), [] as [PathBuf; 0]);
    assert_eq!(count(&store, 1).await, heads[0] + 1);
    for head in 0..40 {
        append(&store, 4, head, "new").await.unwrap();
    }
    drop(store);
    assert_eq!(count(&place.open().unwrap(), 4).await, 40);
}
