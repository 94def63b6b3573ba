//! The file store on real disks that are cut off, fail, fill up and turn read-only: what was acknowledged is there
//! afterwards, without a gap, as it was written.
//!
//! A rig needs Linux, root, loop devices and a tool or two. Where it cannot run it says so, loudly, and proves nothing.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use outlive_core::id::{Seq, SessionId};
use outlive_store::conformance::line;
use outlive_store::workspace::{self, Options, Workspace};
use outlive_store::{Append, Class, Store, StoreError};
use tempfile::TempDir;

/// Small segments, so that a story goes through many of them.
const OPTIONS: Options = Options { segment_bytes: 64 << 10, backlog_bytes: 64 << 10, waiting: 64 };
const JOURNALS: u128 = 4;
const ROOT: &str = "OUTLIVE_RIG_ROOT";
const ROUNDS: &str = "OUTLIVE_RIG_ROUNDS";

// The story: appends to several journals at once, each line known beforehand.

fn session(n: u128) -> SessionId {
    SessionId::from_bits(n)
}

/// What a line says: any length, other bytes in each.
fn text(n: u128, seq: Seq) -> String {
    let length = usize::try_from((seq * 37 + u64::try_from(n).unwrap() * 101) % 1_500).unwrap();
    format!("{n}.{seq} ").repeat(1 + length / 8)
}

async fn append(store: &Store, n: u128, head: Seq, count: u64) -> Result<(), StoreError> {
    let epoch = store.leases.take(session(n)).await?;
    let lines = (head + 1..=head + count).map(|seq| line(seq, &text(n, seq))).collect();
    store.journals.append(Append { journal: session(n), epoch, expected: head, lines }).await
}

/// Returns the head of each journal, after comparing all lines with what was written.
async fn heads(store: &Store) -> BTreeMap<u128, Seq> {
    let mut heads = BTreeMap::new();
    for n in 1..=JOURNALS {
        let lines = match store.journals.read(session(n), 0, usize::MAX).await {
            Ok(opened) => opened.lines,
            Err(StoreError::NotFound(_)) => Vec::new(),
            Err(error) => panic!("journal {n}: {error}"),
        };
        for (found, seq) in lines.iter().zip(1..) {
            assert_eq!(found.as_str(), line(seq, &text(n, seq)).as_str(), "journal {n}, line {seq}");
        }
        heads.insert(n, lines.len() as Seq);
    }
    heads
}

/// Opens a workspace after a disaster: all that was acknowledged is there, and writing goes on.
async fn survived(root: &Path, acknowledged: &BTreeMap<u128, Seq>) -> (Store, Workspace) {
    let (store, workspace) = workspace::open(root, OPTIONS).unwrap();
    assert_eq!(workspace.recovery().damage, [""; 0]);
    let found = heads(&store).await;
    for (n, head) in acknowledged {
        assert!(found[n] >= *head, "journal {n}: {head} lines acknowledged, {} there", found[n]);
    }
    for n in 1..=JOURNALS {
        append(&store, n, found[&n], 1).await.unwrap();
    }
    (store, workspace)
}

// The child: a process of its own, which disasters happen to.

/// Appends to all journals at once and says what was acknowledged, until it is done or the store is.
#[tokio::test]
#[ignore = "the child process of the rigs"]
async fn child() {
    let (Some(root), Some(rounds)) = (std::env::var_os(ROOT), std::env::var_os(ROUNDS)) else { return };
    let rounds: u64 = rounds.to_str().unwrap().parse().unwrap();
    let say = |words: &str| writeln!(std::io::stdout(), "\nrig {words}").unwrap();
    let (store, workspace) = match workspace::open(Path::new(&root), OPTIONS) {
        Ok(opened) => opened,
        Err(error) => return say(&format!("unopened {error}")),
    };
    let mut heads = heads(&store).await;
    say("open");
    let mut lost = 0;
    for round in 0..rounds {
        let counts = (1..=JOURNALS).map(|n| 1 + (round + u64::try_from(n).unwrap()) % 3);
        let batch: Vec<_> = heads.iter().zip(counts).map(|((n, head), count)| (*n, *head, count)).collect();
        let appends = batch.iter().map(|(n, head, count)| append(&store, *n, *head, *count));
        let answers = futures_util::future::join_all(appends).await;
        for ((n, head, count), answer) in batch.iter().zip(answers) {
            match answer {
                Ok(()) => {
                    heads.insert(*n, head + count);
                    say(&format!("ack {n} {}", head + count));
                }
                Err(error) => {
                    lost += usize::from(error.class() == Class::Lost);
                    say(&format!("refused {} {error}", error.code()));
                }
            }
        }
        // A closed store is asked some more, whether it stays closed.
        if lost > 20 {
            break;
        }
    }
    workspace.close();
    say("closed");
}

/// A running child, ended with the rig.
struct Story {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    acknowledged: BTreeMap<u128, Seq>,
    /// Codes of errors, in order, and how many acknowledgements came before each.
    refused: Vec<(String, usize)>,
    acks: usize,
    closed: bool,
}

impl Story {
    /// Starts the child, under these words (a tracer, or none).
    fn start(tracer: &[String], root: &Path, rounds: u64) -> Self {
        let me = std::env::current_exe().unwrap();
        let mut words = tracer.iter().map(String::as_str).chain([me.to_str().unwrap()]);
        let mut child = Command::new(words.next().unwrap())
            .args(words)
            .args(["child", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .env(ROOT, root)
            .env(ROUNDS, rounds.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines, acknowledged: BTreeMap::new(), refused: Vec::new(), acks: 0, closed: false }
    }

    /// Listens until so many appends were acknowledged, or to the end.
    fn listen(&mut self, acks: usize) {
        while self.acks < acks
            && let Some(said) = self.lines.next()
        {
            let said = said.unwrap();
            match said.split(' ').collect::<Vec<_>>()[..] {
                ["rig", "ack", n, head] => {
                    self.acknowledged.insert(n.parse().unwrap(), head.parse().unwrap());
                    self.acks += 1;
                }
                ["rig", "refused", code, ..] => self.refused.push((code.to_owned(), self.acks)),
                ["rig", "closed"] => self.closed = true,
                _ => {}
            }
        }
    }

    /// Listens to all that is left.
    fn end(&mut self) {
        self.listen(usize::MAX);
        self.child.wait().unwrap();
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

// What a rig stands on.

/// Says, past all capturing, that a rig proves nothing here.
fn not_run(why: &str) {
    writeln!(std::io::stderr(), "\n!!! RIG NOT RUN: {why}\n").ok();
}

/// Runs a program; the error is what it said.
fn run(words: &[&str]) -> Result<(), String> {
    let said = Command::new(words[0]).args(&words[1..]).stdin(Stdio::null()).output();
    match said {
        Ok(said) if said.status.success() => Ok(()),
        Ok(said) => Err(format!("`{}`: {}", words.join(" "), String::from_utf8_lossy(&said.stderr).trim())),
        Err(error) => Err(format!("`{}`: {error}", words.join(" "))),
    }
}

/// A file system of its own, unmounted and removed with the rig.
struct Volume {
    home: TempDir,
    /// Words of `mount` before the place.
    mount: Vec<String>,
}

impl Volume {
    /// Makes and mounts a file system; the error says why this machine cannot.
    fn make(mkfs: &[&str], mount: &[&str]) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("it needs root".to_owned());
        }
        let home = tempfile::tempdir().map_err(|error| error.to_string())?;
        std::fs::create_dir_all(home.path().join("disk")).map_err(|error| error.to_string())?;
        let image = home.path().join("image").to_str().unwrap().to_owned();
        let words = |words: &[&str]| words.iter().map(|word| word.replace("IMAGE", &image)).collect::<Vec<_>>();
        if !mkfs.is_empty() {
            let file = std::fs::File::create(&image).map_err(|error| error.to_string())?;
            file.set_len(320 << 20).map_err(|error| error.to_string())?;
            let words = words(mkfs);
            run(&words.iter().map(String::as_str).collect::<Vec<_>>())?;
        }
        let volume = Self { mount: words(mount), home };
        volume.mount(&[])?;
        Ok(volume)
    }

    fn ext4() -> Result<Self, String> {
        Self::make(&["mkfs.ext4", "-q", "IMAGE"], &["-o", "loop,errors=remount-ro", "IMAGE"])
    }

    fn xfs() -> Result<Self, String> {
        Self::make(&["mkfs.xfs", "-q", "IMAGE"], &["-o", "loop", "IMAGE"])
    }

    fn tmpfs(size: &str) -> Result<Self, String> {
        Self::make(&[], &["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
    }

    fn place(&self) -> PathBuf {
        self.home.path().join("disk")
    }

    /// Where the workspace is.
    fn root(&self) -> PathBuf {
        self.place().join("workspace")
    }

    fn mount(&self, more: &[&str]) -> Result<(), String> {
        let place = self.place();
        let mut words: Vec<&str> = ["mount"].into_iter().chain(more.iter().copied()).collect();
        words.extend(self.mount.iter().map(String::as_str));
        words.push(place.to_str().unwrap());
        run(&words)
    }

    fn unmount(&self) {
        run(&["umount", self.place().to_str().unwrap()]).unwrap();
    }

    /// What a power cut does to a file system that nobody holds any more: mounted again, it replays its log.
    fn remount(&self) {
        self.unmount();
        self.mount(&[]).unwrap();
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let place = self.place();
        if run(&["umount", place.to_str().unwrap()]).is_err() {
            // Out of sight at least: what is removed next must not be what is mounted here.
            run(&["umount", "-l", place.to_str().unwrap()]).ok();
        }
    }
}

/// Returns the volume, or says why there is none.
fn volume(made: Result<Volume, String>) -> Option<Volume> {
    made.map_err(|why| not_run(&why)).ok()
}

/// Says whether a tool is there; says loudly if not.
fn has(tool: &str) -> bool {
    run(&[tool, "-V"]).map_err(|why| not_run(&why)).is_ok()
}

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
        story.listen(usize::MAX - 1);
        let acknowledged = story.acknowledged.clone();
        drop(story);
        volume.remount();
        let (store, workspace) = survived(&volume.root(), &acknowledged).await;
        drop((store, workspace));
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_power_cut_on_ext4() {
    if has("xfs_io")
        && let Some(volume) = volume(Volume::ext4())
    {
        cut_again_and_again(volume).await;
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_power_cut_on_xfs() {
    if has("xfs_io")
        && let Some(volume) = volume(Volume::xfs())
    {
        cut_again_and_again(volume).await;
    }
}
