//! The file store on real disks that are cut off, fail, fill up and turn read-only: what was acknowledged is there
//! afterwards, without a gap, as it was written.
//!
//! A rig needs Linux, root, loop devices and a tool or two. Where it cannot run it says so, loudly, and proves nothing.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that cannot go on has failed"
)]

mod story;
mod volume;

use std::collections::BTreeMap;
use std::path::Path;

use outlive_core::id::Seq;
use outlive_store::{Class, Store, StoreError};

use story::{JOURNALS, Story, append, heads, open, session, survived};
use volume::{Volume, not_run, run, volume, works};

// 1. Power is cut.

/// Cuts a disk off while a child writes, again and again, and looks each time.
async fn cut_again_and_again(volume: Volume) {
    let place = volume.place();
    for (turn, after) in [3, 40, 150, 77, 260, 9].into_iter().enumerate() {
        let mut story = Story::start(&[], &volume.root(), 20_000);
        story.listen(after);
        assert_eq!(story.acks, after, "the child ended early");
        // With -f the file system's own log is flushed first: another state of what was not synced.
        let command = if turn % 2 == 0 { "shutdown" } else { "shutdown -f" };
        run(&["xfs_io", "-x", "-c", command, place.to_str().unwrap()]).unwrap();
        story.end();
        volume.remount();
        drop(survived(&volume.root(), &story.acknowledged).await);
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_power_cut_on_ext4() {
    if works(&["xfs_io", "-V"])
        && let Some(volume) = volume(Volume::ext4())
    {
        cut_again_and_again(volume).await;
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_power_cut_on_xfs() {
    if works(&["xfs_io", "-V"])
        && let Some(volume) = volume(Volume::xfs())
    {
        cut_again_and_again(volume).await;
    }
}

// 2. System calls fail, or are the last.

const TRACER: [&str; 5] = ["strace", "-f", "-qq", "-o", "/dev/null"];

fn traces() -> bool {
    works(&[&TRACER[..], &["true"]].concat())
}

/// Runs a story of which some system calls, counted in each thread, go as told; only those on `path` if there is one.
fn story_with(inject: &str, path: Option<&Path>, root: &Path) -> Story {
    let mut words: Vec<String> = TRACER.iter().map(|word| (*word).to_owned()).collect();
    let call = inject.split(':').next().unwrap();
    words.extend(["-e".to_owned(), format!("trace={call}"), "-e".to_owned(), format!("inject={inject}")]);
    words.extend(path.iter().flat_map(|path| ["-P".to_owned(), path.to_str().unwrap().to_owned()]));
    let mut story = Story::start(&words, root, 40);
    story.end();
    story
}

/// Every call by which the store changes a disk, and up to which of them in a thread it goes wrong.
const CALLS: [(&str, usize); 4] = [("fdatasync", 30), ("pwrite64", 45), ("fsync", 10), ("rename", 10)];

/// Places at which a story of 40 rounds is struck: all of the first few, which the start makes, then some.
fn places(last: usize) -> impl Iterator<Item = usize> {
    (1..=last).filter(|n| *n <= 10 || n % 5 == 0)
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill_at_any_system_call() {
    if !traces() {
        return;
    }
    for (call, last) in CALLS {
        let home = tempfile::tempdir().unwrap();
        let mut while_writing = 0;
        for n in places(last) {
            let story = story_with(&format!("{call}:signal=SIGKILL:when={n}"), None, home.path());
            while_writing += usize::from(story.acks > 0 && !story.closed);
            drop(survived(home.path(), &story.acknowledged).await);
        }
        assert!(segments(home.path()) > 0, "no older lines moved to a segment");
        assert!(while_writing > 0, "no kill at {call} hit a store that was writing");
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_any_system_call_that_fails() {
    if !traces() {
        return;
    }
    for (call, last) in CALLS {
        let home = tempfile::tempdir().unwrap();
        for (n, error) in places(last).flat_map(|n| [(n, "EIO"), (n, "ENOSPC")]) {
            let story = story_with(&format!("{call}:error={error}:when={n}"), None, home.path());
            assert!(story.closed || !story.opened, "{call} {n}, {error}: the process died");
            drop(survived(home.path(), &story.acknowledged).await);
        }
        assert!(segments(home.path()) > 0, "no older lines moved to a segment");
    }
}

#[tokio::test]
async fn a_failed_sync_of_the_log_closes_the_store_until_it_is_opened_again() {
    if !traces() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let root = home.path().canonicalize().unwrap();
    let log = root.join("commit/00000001.log");
    let story = story_with("fdatasync:error=EIO:when=7", Some(&log), &root);
    assert!(story.acks > 0 && !story.refused.is_empty(), "{} acknowledged, refused: {:?}", story.acks, story.refused);
    for (code, acks) in &story.refused {
        assert_eq!((code.as_str(), *acks), ("store_poisoned", story.acks), "something was acknowledged afterwards");
    }
    drop(survived(&root, &story.acknowledged).await);
}

#[tokio::test]
async fn a_write_of_the_log_without_space_is_refused_and_the_next_one_is_not() {
    if !traces() {
        return;
    }
    // The first is a batch; the second fills a new segment with zeros.
    for (segment, n) in [("00000001.log", 5), ("00000002.log", 1)] {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().canonicalize().unwrap();
        let path = root.join("commit").join(segment);
        let story = story_with(&format!("pwrite64:error=ENOSPC:when={n}"), Some(&path), &root);
        let refused: Vec<&str> = story.refused.iter().map(|(code, _)| code.as_str()).collect();
        assert!(
            !refused.is_empty() && refused.len() <= 4 && refused.iter().all(|code| *code == "no_space"),
            "{refused:?}"
        );
        assert!(story.acks > story.refused[0].1 && story.closed, "nothing was acknowledged afterwards");
        let (store, workspace) = survived(&root, &story.acknowledged).await;
        for (n, head) in heads(&store).await {
            assert_eq!(head, story.acknowledged[&n] + 1, "what was refused came back");
        }
        drop((store, workspace));
    }
}

#[tokio::test]
async fn a_journal_file_that_cannot_be_written_costs_nothing_that_was_acknowledged() {
    if !traces() {
        return;
    }
    let faults = ["pwrite64:error=ENOSPC", "pwrite64:error=EIO", "fdatasync:error=EIO", "pwrite64:signal=SIGKILL"];
    let folder_faults = ["mkdir:error=ENOSPC", "mkdir:signal=SIGKILL", "fsync:error=EIO", "fsync:signal=SIGKILL"];
    let places =
        faults.iter().map(|fault| (fault, "events.jsonl")).chain(folder_faults.iter().map(|fault| (fault, "")));
    for (fault, file) in places {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().canonicalize().unwrap();
        let folder = root.join("sessions").join(session(2).to_string());
        let path = if file.is_empty() { folder } else { folder.join(file) };
        let story = story_with(fault, Some(&path), &root);
        let struck = !story.refused.is_empty() || !story.closed;
        assert!(story.acks > 0 && struck, "{fault}: {} acknowledged, nothing refused", story.acks);
        drop(survived(&root, &story.acknowledged).await);
    }
}

/// Returns how many compressed segments the journals have.
fn segments(root: &Path) -> usize {
    let folders = (1..=JOURNALS).map(|n| root.join("sessions").join(session(n).to_string()));
    let names = folders.flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten());
    names.filter(|entry| entry.as_ref().unwrap().path().extension() == Some("zst".as_ref())).count()
}

#[tokio::test]
async fn the_tools_of_zstd_show_a_long_journal_as_it_was_written() {
    if !works(&["zstdcat", "--version"]) {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let (store, workspace) = open(home.path()).unwrap();
    append(&store, 1, 0, 150).await.unwrap();
    let lines = store.journals.read(session(1), 0, usize::MAX).await.unwrap().lines;
    drop((store, workspace));
    assert!(segments(home.path()) > 5);
    let folder = home.path().join("sessions").join(session(1).to_string());
    let shell = |words: &str| {
        let said = std::process::Command::new("sh").args(["-c", words]).current_dir(&folder).output().unwrap();
        assert!(said.status.success(), "{words}: {}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8(said.stdout).unwrap()
    };
    let expected: String = lines.iter().map(|line| format!("{}\n", line.as_str())).collect();
    assert!(shell("zstdcat events-*.zst events.jsonl") == expected, "other lines");
    shell("zstd --test --quiet events-*.zst");
    assert!(shell("zstd --list -v events-0001.jsonl.zst").contains("Check: XXH64"), "no checksum");
}

// 3. The disk fills up.

/// Appends to one journal until the store says no; returns what it said.
async fn fill(store: &Store, n: u128, head: &mut Seq) -> StoreError {
    loop {
        match append(store, n, *head, 1).await {
            Ok(()) => *head += 1,
            Err(error) => return error,
        }
    }
}

#[tokio::test]
async fn a_full_disk_refuses_appends_serves_reads_and_goes_on_by_itself_once_there_is_room() {
    let Some(volume) = volume(Volume::tmpfs("3m")) else { return };
    let ballast = volume.place().join("ballast");
    std::fs::write(&ballast, vec![7; 1 << 20]).unwrap();
    let (store, workspace) = open(&volume.root()).unwrap();
    let mut written: BTreeMap<u128, Seq> = (1..=JOURNALS).map(|n| (n, 0)).collect();
    for (n, head) in &mut written {
        assert_eq!(fill(&store, *n, head).await, StoreError::NoSpace);
    }
    assert_eq!(heads(&store).await, written, "reads go on");
    std::fs::remove_file(ballast).unwrap();
    for (n, head) in &mut written {
        // The files are tried again within a second.
        while append(&store, *n, *head, 1).await.is_err() {
            tokio::task::yield_now().await;
        }
        *head += 1;
    }
    drop((store, workspace));
    drop(survived(&volume.root(), &written).await);
}

// 4. The disk turns read-only.

#[tokio::test]
async fn a_disk_that_turns_read_only_closes_the_store_and_loses_nothing() {
    let Some(volume) = volume(Volume::ext4()) else { return };
    let trigger = volume.device().map(|device| Path::new("/sys/fs/ext4").join(device).join("trigger_fs_error"));
    let Some(trigger) = trigger.filter(|trigger| trigger.exists()) else {
        return not_run("this kernel has no trigger_fs_error for ext4");
    };
    let (store, workspace) = open(&volume.root()).unwrap();
    let mut written: BTreeMap<u128, Seq> = (1..=JOURNALS).map(|n| (n, 20)).collect();
    for n in 1..=JOURNALS {
        append(&store, n, 0, 20).await.unwrap();
    }
    // The kernel finds the file system broken and lets nobody write it any more.
    std::fs::write(trigger, "a rig").unwrap();
    for (n, head) in &mut written {
        let refused = fill(&store, *n, head).await;
        assert!(refused.class() == Class::Lost, "{refused}");
        assert!(refused.to_string().contains("Read-only file system"), "{refused}");
    }
    assert_eq!(heads(&store).await, written, "reads go on");
    drop((store, workspace));
    volume.remount();
    volume.unmount();
    volume.mount(&["-r"]).unwrap();
    let refused = open(&volume.root()).map(drop).unwrap_err();
    assert!(refused.to_string().contains("Read-only file system"), "{refused}");
    volume.remount();
    drop(survived(&volume.root(), &written).await);
}
