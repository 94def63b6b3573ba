//! A story that a store of its own process lives through: appends to several journals at once, each line known beforehand.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use outlive_core::id::{Seq, SessionId};
use outlive_store::conformance::line;
use outlive_store::workspace::{self, OpenError, Options, Workspace};
use outlive_store::{Append, Class, Store, StoreError};

/// Small segments, so that a story goes through many of them.
const OPTIONS: Options = Options {
    segment_bytes: 64 << 10,
    backlog_bytes: 64 << 10,
    waiting: 64,
    live_bytes: 32 << 10,
    past_bytes: 8 << 10,
};
/// Journals of the story, numbered from 1.
pub const JOURNALS: u128 = 4;
const ROOT: &str = "OUTLIVE_RIG_ROOT";
const ROUNDS: &str = "OUTLIVE_RIG_ROUNDS";

pub fn session(n: u128) -> SessionId {
    SessionId::from_bits(n)
}

/// What a line says: any length, other bytes in each.
fn text(n: u128, seq: Seq) -> String {
    let length = usize::try_from((seq * 37 + u64::try_from(n).unwrap() * 101) % 1_500).unwrap();
    format!("{n}.{seq} ").repeat(1 + length / 8)
}

/// Opens a workspace. A rig beside this one may be starting its child, which for a moment holds what this process held.
pub fn open(root: &Path) -> Result<(Store, Workspace), OpenError> {
    loop {
        match workspace::open(root, OPTIONS) {
            Err(OpenError::Owned(_)) => std::thread::yield_now(),
            opened => return opened,
        }
    }
}

pub async fn append(store: &Store, n: u128, head: Seq, count: u64) -> Result<(), StoreError> {
    let epoch = store.leases.take(session(n)).await?;
    let lines = (head + 1..=head + count).map(|seq| line(seq, &text(n, seq))).collect();
    store.journals.append(Append { journal: session(n), epoch, expected: head, lines }).await
}

/// Returns the head of each journal, after comparing all lines with what was written.
pub async fn heads(store: &Store) -> BTreeMap<u128, Seq> {
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
pub async fn survived(root: &Path, acknowledged: &BTreeMap<u128, Seq>) -> (Store, Workspace) {
    let (store, workspace) = open(root).unwrap();
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
    let (store, workspace) = match open(Path::new(&root)) {
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
        for ((n, head, count), answer) in batch.iter().zip(&answers) {
            if answer.is_ok() {
                heads.insert(*n, head + count);
                say(&format!("ack {n} {}", head + count));
            }
        }
        for error in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            lost += usize::from(error.class() == Class::Lost);
            say(&format!("refused {} {error}", error.code()));
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
pub struct Story {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    pub acknowledged: BTreeMap<u128, Seq>,
    /// Codes of errors, in order, and how many acknowledgements came before each.
    pub refused: Vec<(String, usize)>,
    pub acks: usize,
    pub opened: bool,
    pub closed: bool,
}

impl Story {
    /// Starts the child, under these words (a tracer, or none).
    pub fn start(tracer: &[String], root: &Path, rounds: u64) -> Self {
        let me = std::env::current_exe().unwrap();
        let mut words = tracer.iter().map(String::as_str).chain([me.to_str().unwrap()]);
        let mut child = Command::new(words.next().unwrap())
            .args(words)
            .args(["story::child", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .env(ROOT, root)
            .env(ROUNDS, rounds.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines, acknowledged: BTreeMap::new(), refused: Vec::new(), acks: 0, opened: false, closed: false }
    }

    /// Listens until so many appends were acknowledged, or to the end.
    pub fn listen(&mut self, acks: usize) {
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
                ["rig", "open"] => self.opened = true,
                ["rig", "closed"] => self.closed = true,
                _ => {}
            }
        }
    }

    /// Listens to all that is left.
    pub fn end(&mut self) {
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
