//! Agents' folders as people see them: what else lies there is left alone, and a change that a crash cut is finished.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test looks at the files and leaves some behind")]

use std::path::Path;

use outlive_core::agent::Files;
use outlive_core::archive::AgentArchive;
use outlive_core::id::AgentName;
use outlive_store::workspace::{Options, Workspace, open};
use outlive_store::{Changed, Expected, Store};

fn files(pairs: &[(&str, &str)]) -> Files {
    pairs.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
}

fn scribe() -> AgentName {
    "scribe".parse().unwrap()
}

fn start(root: &Path) -> (Store, Workspace) {
    open(root, Options::default()).unwrap()
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn what_is_not_the_agent_s_own_is_never_touched() {
    let root = tempfile::tempdir().unwrap();
    let (store, _files) = start(root.path());
    let folder = root.path().join("agents/scribe");
    store.agents.create("scribe", files(&[("agent.yaml", "one"), ("skills/a/SKILL.md", "a")])).unwrap();
    write(&folder.join("memory/MEMORY.md"), "remembered");
    write(&folder.join("notes.txt"), "mine");
    write(&folder.join("skills/.git/config"), "mine");
    let two = files(&[("agent.yaml", "two"), ("SOUL.md", "s")]);
    assert_eq!(store.agents.change(&scribe(), Some(two), Expected::Anything), Ok(Changed::Done { was_there: true }));
    let read = |path: &str| std::fs::read_to_string(folder.join(path)).ok();
    assert_eq!(read("agent.yaml").as_deref(), Some("two"));
    assert_eq!(read("skills/a/SKILL.md"), None);
    for (path, text) in [("memory/MEMORY.md", "remembered"), ("notes.txt", "mine"), ("skills/.git/config", "mine")] {
        assert_eq!(read(path).as_deref(), Some(text), "{path}");
    }
    store.agents.change(&scribe(), None, Expected::Anything).unwrap();
    assert!(!folder.exists());
    store.agents.create("scribe", files(&[("agent.yaml", "three")])).unwrap();
    assert_eq!(read("memory/MEMORY.md").as_deref(), Some("remembered"), "what it remembered comes back with it");
}

#[test]
fn what_a_person_kept_in_an_agents_folder_stays_however_often_it_is_deleted() {
    let root = tempfile::tempdir().unwrap();
    let (store, _files) = start(root.path());
    let (folder, history) = (root.path().join("agents/scribe"), root.path().join("agents/.versions/scribe"));
    // As an older version left it.
    write(&history.join("rest/notes.txt"), "round 0");
    for round in 1..=3 {
        store.agents.create("scribe", files(&[("agent.yaml", "one")])).unwrap();
        write(&folder.join("notes.txt"), &format!("round {round}"));
        if round == 2 {
            write(&folder.join("memory/MEMORY.md"), "remembered");
        }
        store.agents.change(&scribe(), None, Expected::Something).unwrap();
        assert!(!folder.exists());
        if round == 2 {
            write(&history.join("rest-1/memory/MEMORY.md"), "remembered long ago");
        }
    }
    for (round, rest) in ["rest", "rest-1", "rest-2", "rest-3"].iter().enumerate() {
        let notes = std::fs::read_to_string(history.join(rest).join("notes.txt")).unwrap();
        assert_eq!(notes, format!("round {round}"));
    }
    store.agents.create("scribe", files(&[("agent.yaml", "one")])).unwrap();
    assert_eq!(std::fs::read_to_string(folder.join("memory/MEMORY.md")).unwrap(), "remembered");
}

#[test]
fn a_change_that_a_crash_cut_is_finished_by_whoever_comes_next() {
    let root = tempfile::tempdir().unwrap();
    let new = files(&[("agent.yaml", "new"), ("SOUL.md", "new")]);
    let pending = AgentArchive { name: scribe(), files: new.clone() }.write().unwrap();
    let leave = |name: &str, half: &str| {
        let folder = root.path().join("agents").join(name);
        write(&folder.join("agent.yaml"), half);
        write(&folder.join("directives/old.md"), "old");
        let history = root.path().join("agents/.versions").join(name);
        std::fs::create_dir_all(&history).unwrap();
        std::fs::write(history.join("pending.tar"), &pending).unwrap();
    };
    leave("scribe", "new");
    let (store, workspace) = start(root.path());
    assert_eq!(store.agents.read("scribe"), Ok(Some(new.clone())), "at the start");
    leave("scribe", "old");
    assert_eq!(store.agents.read("scribe"), Ok(Some(new.clone())), "when it is read");
    leave("scribe", "old");
    let other = files(&[("agent.yaml", "other")]);
    assert_eq!(store.agents.change(&scribe(), Some(other), Expected::Nothing), Ok(Changed::Stale));
    assert_eq!(store.agents.read("scribe"), Ok(Some(new)), "when it is changed");
    assert!(!root.path().join("agents/.versions/scribe/pending.tar").exists());
    drop((store, workspace));
}

#[test]
fn where_something_else_lies_nothing_is_written() {
    let root = tempfile::tempdir().unwrap();
    let (store, _files) = start(root.path());
    let one = files(&[("agent.yaml", "one")]);
    store.agents.create("scribe", one.clone()).unwrap();
    let folder = root.path().join("agents/scribe");
    std::os::unix::fs::symlink("/", folder.join("skills")).unwrap();
    write(&folder.join("SOUL.md/inside"), "a folder");
    for path in ["skills/a/SKILL.md", "SOUL.md"] {
        let change = files(&[("agent.yaml", "two"), (path, "x")]);
        let refused = store.agents.change(&scribe(), Some(change), Expected::Anything).unwrap_err().to_string();
        assert!(refused.contains(&format!("at `{path}`")), "{refused}");
        assert_eq!(store.agents.read("scribe").unwrap().unwrap()["agent.yaml"], b"one");
    }
}
