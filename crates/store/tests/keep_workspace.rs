//! A workspace on plain files: its folders, its owner, and its agreement with the memory store.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::disallowed_methods, reason = "the tests look at files as a person would")]

use std::os::unix::fs::PermissionsExt as _;

use futures_util::FutureExt as _;
use outlive_core::digest::Digest;
use outlive_store::conformance::{line, lines, row, session};
use outlive_store::workspace::{self, OpenError, Options};
use outlive_store::{Append, Epoch, Key, ListQuery, Row, Store, memory};
use proptest::prelude::*;

#[test]
fn a_new_workspace_is_for_its_owner_alone() {
    let root = tempfile::tempdir().unwrap().path().join("deep").join(".outlive");
    workspace::make(&root).unwrap();
    workspace::make(&root).unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&root), 0o700);
    for folder in ["agents", "artifacts", "commit", "run", "sessions"] {
        assert_eq!(mode(&root.join(folder)), 0o700, "{folder}");
    }
    std::fs::remove_dir_all(root).unwrap();
}

#[tokio::test]
async fn a_second_owner_is_refused_and_told_where_the_first_listens() {
    let root = tempfile::tempdir().unwrap();
    let (store, first) = workspace::open(root.path(), Options::default()).unwrap();
    first.set_address("127.0.0.1:4173").unwrap();
    let Err(OpenError::Owned(owner)) = workspace::open(root.path(), Options::default()) else {
        unreachable!("two owners of one workspace")
    };
    assert_eq!((owner.pid, owner.address.as_deref()), (std::process::id(), Some("127.0.0.1:4173")));
    let epoch = first.epoch();
    drop((store, first));
    let (_store, next) = workspace::open(root.path(), Options::default()).unwrap();
    assert!(next.epoch() > epoch);
}

#[tokio::test]
async fn a_damaged_artifact_is_never_returned_and_mended_by_the_next_put() {
    let root = tempfile::tempdir().unwrap();
    let (store, _open) = workspace::open(root.path(), Options::default()).unwrap();
    let hash = store.artifacts.put(b"whole output".to_vec()).await.unwrap();
    let path = root.path().join("artifacts").join(&hash.as_str()[..2]).join(hash.as_str());
    assert_eq!(std::fs::read(&path).unwrap(), b"whole output");
    std::fs::write(&path, b"other output").unwrap();
    assert!(store.artifacts.get(hash.clone()).await.is_err());
    assert_eq!(store.artifacts.put(b"whole output".to_vec()).await, Ok(hash.clone()));
    assert_eq!(store.artifacts.get(hash).await, Ok(Some(b"whole output".to_vec())));
}

#[test]
fn threads_that_keep_the_same_artifact_at_once_all_succeed() {
    let root = tempfile::tempdir().unwrap();
    let (store, _open) = workspace::open(root.path(), Options::default()).unwrap();
    for round in 0..20_u8 {
        let bytes = vec![round; 1 << 16];
        let start = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    let put = store.artifacts.put(bytes.clone()).now_or_never().unwrap();
                    assert_eq!(put, Ok(Digest::of(&bytes)));
                    assert_eq!(store.artifacts.get(put.unwrap()).now_or_never().unwrap(), Ok(Some(bytes.clone())));
                });
            }
        });
        let folder = root.path().join("artifacts").join(&Digest::of(&bytes).as_str()[..2]);
        let names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(names.iter().all(|name| !name.to_string_lossy().contains(".new")), "{names:?}");
    }
}

#[tokio::test]
async fn an_agents_stamp_changes_with_its_files_and_the_workspace_policy() {
    let root = tempfile::tempdir().unwrap();
    let (store, _open) = workspace::open(root.path(), Options::default()).unwrap();
    store.agents.create("scribe", [("agent.yaml".to_owned(), b"name: scribe".to_vec())].into()).unwrap();
    let folder = root.path().join("agents").join("scribe");
    let mut stamps = vec![store.agents.stamp("scribe").unwrap()];
    for (path, text) in [
        (folder.join("SOUL.md"), "calm"),
        (folder.join("SOUL.md"), "loud!"),
        (folder.join("agent.yaml"), "name: other"),
        (root.path().join("policy.yaml"), "mode: ask"),
        (root.path().join("policy.yaml"), "mode: restrict"),
    ] {
        std::fs::write(&path, text).unwrap();
        let stamp = store.agents.stamp("scribe").unwrap();
        assert!(!stamps.contains(&stamp), "{} = {text}", path.display());
        stamps.push(stamp);
    }
    let files = store.agents.read("scribe").unwrap().unwrap();
    assert_eq!(files.keys().collect::<Vec<_>>(), ["../../policy.yaml", "SOUL.md", "agent.yaml"]);
}

#[tokio::test]
async fn links_do_not_lead_out_of_an_agents_folder() {
    let root = tempfile::tempdir().unwrap();
    let (store, _open) = workspace::open(root.path(), Options::default()).unwrap();
    std::fs::write(root.path().join("token"), "secret").unwrap();
    store.agents.create("scribe", [("agent.yaml".to_owned(), b"name: scribe".to_vec())].into()).unwrap();
    let folder = root.path().join("agents").join("scribe");
    std::os::unix::fs::symlink(root.path().join("token"), folder.join("SOUL.md")).unwrap();
    std::os::unix::fs::symlink(root.path(), folder.join("skills")).unwrap();
    std::os::unix::fs::symlink(&folder, root.path().join("agents").join("alias")).unwrap();
    let files = store.agents.read("scribe").unwrap().unwrap();
    assert_eq!(files.keys().collect::<Vec<_>>(), ["agent.yaml"]);
    assert_eq!(store.agents.read("alias").unwrap(), None);
}

#[tokio::test]
async fn a_workspace_shares_directives_and_skills_with_all_its_agents_and_links_share_nothing() {
    let root = tempfile::tempdir().unwrap();
    let (store, _open) = workspace::open(root.path(), Options::default()).unwrap();
    store.agents.create("scribe", [("agent.yaml".to_owned(), b"name: scribe".to_vec())].into()).unwrap();
    let put = |path: &str, bytes: &[u8]| {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    let before = store.agents.stamp("scribe").unwrap();
    put("directives/tone.md", b"calm");
    put("directives/deeper/no.md", b"no");
    put("skills/release/SKILL.md", b"---");
    put("skills/release/scripts/check.sh", b"echo");
    put("skills/release/large.bin", &vec![0; (1 << 20) + 1]);
    put("token", b"secret");
    std::os::unix::fs::symlink(root.path().join("token"), root.path().join("skills/release/key")).unwrap();
    std::os::unix::fs::symlink(root.path(), root.path().join("skills/all")).unwrap();
    let files = store.agents.read("scribe").unwrap().unwrap();
    let shared = ["directives/tone.md", "skills/release/SKILL.md", "skills/release/scripts/check.sh"];
    let expected: Vec<String> =
        shared.iter().map(|path| format!("../../{path}")).chain(["agent.yaml".to_owned()]).collect();
    assert_eq!(files.into_keys().collect::<Vec<_>>(), expected);
    assert_ne!(store.agents.stamp("scribe").unwrap(), before);
    std::fs::remove_dir_all(root.path().join("skills")).unwrap();
    std::os::unix::fs::symlink(root.path().join("agents"), root.path().join("skills")).unwrap();
    let files = store.agents.read("scribe").unwrap().unwrap();
    assert_eq!(files.into_keys().collect::<Vec<_>>(), ["../../directives/tone.md", "agent.yaml"]);
}

/// One thing that is done to a store.
#[derive(Debug, Clone)]
enum Act {
    Append { journal: u128, ahead: i8, count: u64, lease: Lease },
    Gap(u128),
    Read { journal: u128, after: u64, limit: usize },
    Remove(u128),
    Snapshot(u128, u8),
    Artifact(u8),
    Note { journal: u128, at: i64, owed: u8 },
    Forget(u128),
    List(ListQuery),
    Reopen,
}

#[derive(Debug, Clone, Copy)]
enum Lease {
    Newest,
    Stale,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let journal = 1..5_u128;
    let lease = prop_oneof![9 => Just(Lease::Newest), 1 => Just(Lease::Stale)];
    let ahead = prop_oneof![6 => Just(0_i8), 1 => -2..3_i8];
    let text = prop_oneof![3 => Just(None), 1 => "[0-5a-c]{1,2}".prop_map(Some)];
    let list = (any::<bool>(), 0..6_usize, text, proptest::option::of((0..4_i64, 1..5_u128)));
    let act = prop_oneof![
        8 => (journal.clone(), ahead, 0..4_u64, lease)
            .prop_map(|(journal, ahead, count, lease)| Act::Append { journal, ahead, count, lease }),
        1 => journal.clone().prop_map(Act::Gap),
        4 => (journal.clone(), 0..8_u64, 0..8_usize)
            .prop_map(|(journal, after, limit)| Act::Read { journal, after, limit }),
        1 => journal.clone().prop_map(Act::Remove),
        1 => (journal.clone(), any::<u8>()).prop_map(|(journal, text)| Act::Snapshot(journal, text)),
        1 => any::<u8>().prop_map(Act::Artifact),
        4 => (journal.clone(), 0..4_i64, 0..4_u8).prop_map(|(journal, at, owed)| Act::Note { journal, at, owed }),
        1 => journal.prop_map(Act::Forget),
        4 => list.prop_map(|(ascending, limit, text, after)| {
            let after = after.map(|(at, n)| (Key::At(at), session(n)));
            Act::List(ListQuery { ascending, limit, text, after, ..ListQuery::default() })
        }),
        1 => Just(Act::Reopen),
    ];
    proptest::collection::vec(act, 1..40)
}

/// Does it, and says all that a caller learns of it.
async fn act(store: &Store, act: &Act) -> String {
    match act.clone() {
        Act::Append { journal, ahead, count, lease } => {
            let journal = session(journal);
            let newest = store.leases.take(journal).await.unwrap();
            let epoch = match lease {
                Lease::Newest => newest,
                Lease::Stale => Epoch(0),
            };
            let head = store.journals.head(journal).await.unwrap_or(0);
            let expected = head.saturating_add_signed(ahead.into());
            let lines = lines(expected, count);
            format!("{:?}", store.journals.append(Append { journal, epoch, expected, lines }).await)
        }
        Act::Gap(n) => {
            let journal = session(n);
            let epoch = store.leases.take(journal).await.unwrap();
            let expected = store.journals.head(journal).await.unwrap_or(0);
            let lines = vec![line(expected + 1, "a"), line(expected + 3, "b")];
            format!("{:?}", store.journals.append(Append { journal, epoch, expected, lines }).await)
        }
        Act::Read { journal, after, limit } => {
            let head = store.journals.head(session(journal)).await;
            format!("{head:?} {:?}", store.journals.read(session(journal), after, limit).await)
        }
        Act::Remove(n) => {
            let removed = store.journals.remove(session(n)).await;
            format!("{removed:?} {:?} {:?}", store.directory.sessions().await, store.snapshots.get(session(n)).await)
        }
        // A snapshot lies beside a journal.
        Act::Snapshot(n, _) if store.journals.head(session(n)).await.is_err() => String::new(),
        Act::Snapshot(n, text) => {
            let put = store.snapshots.put(session(n), text.to_string()).await;
            format!("{put:?} {:?}", store.snapshots.get(session(n)).await)
        }
        Act::Artifact(byte) => {
            let before = store.artifacts.get(Digest::of(&[byte])).await;
            let put = store.artifacts.put(vec![byte]).await;
            format!("{before:?} {put:?} {:?}", store.artifacts.get(Digest::of(&[byte])).await)
        }
        // A row is of a journal that is there, and no further than it.
        Act::Note { journal, at, owed } => {
            if let Ok(head) = store.journals.head(session(journal)).await {
                store.index.note(Row { owed: owed == 0, ..row(session(journal), head, at) });
            }
            String::new()
        }
        Act::Forget(n) if store.journals.head(session(n)).await.is_ok() => String::new(),
        Act::Forget(n) => {
            store.index.forget(session(n));
            String::new()
        }
        Act::List(query) => format!("{:?}", store.index.list(query).await),
        Act::Reopen => format!("{:?} {:?}", store.directory.sessions().await, store.index.unsettled().await),
    }
}

async fn agree(acts: Vec<Act>) {
    let root = tempfile::tempdir().unwrap();
    let small = Options { segment_bytes: 4_096, ..Options::default() };
    let (mut memory, faults) = memory::store();
    let mut files = Some(workspace::open(root.path(), small).unwrap());
    for (n, one) in acts.iter().enumerate() {
        if matches!(one, Act::Reopen) {
            memory = faults.reopen();
            drop(files.take());
            files = Some(workspace::open(root.path(), small).unwrap());
        }
        let store = &files.as_ref().unwrap().0;
        assert_eq!(act(store, one).await, act(&memory, one).await, "files, memory: act {n}, {one:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn files_and_memory_answer_alike(acts in acts()) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(agree(acts));
    }
}
