//! Promises of snapshots, artifacts and agents' folders.

use std::collections::BTreeMap;

use outlive_core::digest::Digest;

use super::{Subject, append, session, take};
use crate::{Class, FILE_BYTES, FILES, StoreError};

fn files(pairs: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
    pairs.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
}

/// Any bytes, kept once, there after opening again.
pub async fn artifacts_come_back_by_their_hash(subject: &mut impl Subject) {
    let outputs = [vec![], b"text\n".to_vec(), (0..=255).cycle().take(300_000).collect()];
    let store = subject.open();
    assert_eq!(store.artifacts.get(Digest::of(b"never kept")).await, Ok(None));
    for bytes in outputs.iter().chain(&outputs) {
        assert_eq!(store.artifacts.put(bytes.clone()).await, Ok(Digest::of(bytes)));
    }
    drop(store);
    let store = subject.open();
    for bytes in &outputs {
        assert_eq!(store.artifacts.get(Digest::of(bytes)).await, Ok(Some(bytes.clone())));
    }
}

/// Never a mix of two.
pub async fn a_snapshot_is_replaced_whole(subject: &mut impl Subject) {
    let store = subject.open();
    assert_eq!(store.snapshots.get(session(1)).await, Ok(None));
    let gone = Err(StoreError::NotFound(session(1)));
    assert_eq!(store.snapshots.put(session(1), "seq: 1\n".to_owned()).await, gone, "beside nothing");
    let epoch = take(&store, session(1)).await;
    append(&store, (session(1), epoch), 0, 1).await.expect("appended");
    for text in ["seq: 1\ntitle: a long one\n", "seq: 2\n", ""] {
        assert_eq!(store.snapshots.put(session(1), text.to_owned()).await, Ok(()));
        assert_eq!(store.snapshots.get(session(1)).await, Ok(Some(text.to_owned())));
        assert_eq!(store.snapshots.get(session(2)).await, Ok(None));
    }
    store.snapshots.put(session(1), "seq: 3\n".to_owned()).await.expect("kept");
    drop(store);
    assert_eq!(subject.open().snapshots.get(session(1)).await, Ok(Some("seq: 3\n".to_owned())));
}

/// Who is there is not written over.
pub async fn an_agent_is_made_once(subject: &mut impl Subject) {
    let store = subject.open();
    assert_eq!(store.agents.names(), Ok(vec![]));
    assert_eq!((store.agents.read("scribe"), store.agents.stamp("scribe")), (Ok(None), Ok(None)));
    let made = files(&[("agent.yaml", "name: scribe\n"), ("directives/tone.md", "Be brief.\n")]);
    assert_eq!(store.agents.create("scribe", made.clone()), Ok(()));
    assert_eq!(store.agents.create("actor", files(&[("agent.yaml", "")])), Ok(()));
    let again = store.agents.create("scribe", files(&[("agent.yaml", "other")]));
    assert_eq!(again.map_err(|error| error.class()), Err(Class::Refused));
    drop(store);
    let store = subject.open();
    assert_eq!(store.agents.names(), Ok(vec!["actor".to_owned(), "scribe".to_owned()]));
    assert_eq!(store.agents.read("scribe"), Ok(Some(made)));
}

/// Neither by name, nor by path, nor by size.
pub async fn an_agent_outside_its_folder_is_refused(subject: &mut impl Subject) {
    let store = subject.open();
    for name in ["", "..", "a/b", "A", "../x"] {
        assert_eq!(store.agents.create(name, files(&[])).map_err(|e| e.class()), Err(Class::Refused), "{name:?}");
        assert_eq!(store.agents.read(name), Ok(None), "{name:?}");
    }
    for path in ["", "/etc/x", "../x", "a/../../x", "./x", "a//b", "a/b/c/d/e/f/g/h/i", crate::WORKSPACE_POLICY] {
        let refused = store.agents.create("scribe", files(&[(path, "x")]));
        assert_eq!(refused.map_err(|error| error.class()), Err(Class::Refused), "{path:?}");
    }
    let large = BTreeMap::from([("agent.yaml".to_owned(), vec![0; FILE_BYTES + 1])]);
    let many = (0..=FILES).map(|n| (format!("{n}.md"), vec![])).collect();
    for files in [large, many] {
        assert_eq!(store.agents.create("scribe", files).map_err(|error| error.class()), Err(Class::Refused));
    }
    assert_eq!(store.agents.names(), Ok(vec![]));
}

/// Equal as long as nothing changes, so that nothing is read again for nothing.
pub async fn a_stamp_tells_agents_apart(subject: &mut impl Subject) {
    let store = subject.open();
    store.agents.create("one", files(&[("agent.yaml", "name: one\n")])).expect("made");
    store.agents.create("two", files(&[("agent.yaml", "name: two\n")])).expect("made");
    let stamp = |name| store.agents.stamp(name).expect("stamped").expect("there");
    assert_eq!(stamp("one"), stamp("one"));
    assert_ne!(stamp("one"), stamp("two"));
}
