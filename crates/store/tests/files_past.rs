//! Long journals, whose older lines are in compressed segments: read as before, by everybody, whatever ends in between.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use outlive_core::event::Line;
use outlive_core::id::Seq;
use outlive_store::conformance::{line, session};
use outlive_store::files::faults::FaultyDisk;
use outlive_store::files::fs::Disk as _;
use outlive_store::files::{FileJournals, Options};
use outlive_store::{Append, Journals as _, Leases as _, StoreError};

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
