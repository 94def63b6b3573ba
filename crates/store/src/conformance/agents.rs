//! Promises of changes to agents, and of their versions.

use outlive_core::agent::{Files, files_digest};
use outlive_core::id::AgentName;

use super::Subject;
use crate::{Changed, Class, Expected, Store, VERSIONS};

fn files(pairs: &[(&str, &str)]) -> Files {
    pairs.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
}

fn scribe() -> AgentName {
    "scribe".parse().expect("a name")
}

fn change(store: &Store, files: Option<&Files>, expected: Expected) -> Changed {
    store.agents.change(&scribe(), files.cloned(), expected).expect("changed or stale")
}

fn kept(store: &Store) -> Vec<String> {
    let versions = store.agents.versions(&scribe()).expect("listed");
    versions.into_iter().map(|version| version.digest.to_string()).collect()
}

/// Files come, change and go together; the former ones can be read.
pub async fn an_agent_is_changed_whole_and_what_it_was_is_kept(subject: &mut impl Subject) {
    let store = subject.open();
    let one = files(&[("agent.yaml", "one"), ("SOUL.md", "s"), ("skills/a/SKILL.md", "a")]);
    let two = files(&[("agent.yaml", "two"), ("directives/tone.md", "t")]);
    assert_eq!(change(&store, Some(&one), Expected::Anything), Changed::Done { was_there: false });
    assert_eq!((store.agents.read("scribe"), kept(&store)), (Ok(Some(one.clone())), vec![]));
    let stamp = store.agents.stamp("scribe").expect("stamped");
    assert_eq!(change(&store, Some(&two), Expected::Anything), Changed::Done { was_there: true });
    assert_ne!(store.agents.stamp("scribe").expect("stamped"), stamp);
    drop(store);
    let store = subject.open();
    let digest = files_digest(&one);
    assert_eq!((store.agents.read("scribe"), kept(&store)), (Ok(Some(two)), vec![digest.to_string()]));
    assert_eq!(store.agents.version(&scribe(), &digest), Ok(Some(one)));
    assert_eq!(store.agents.version(&scribe(), &files_digest(&Files::new())), Ok(None));
    assert_eq!(store.agents.names(), Ok(vec!["scribe".to_owned()]), "a version is no agent");
}

/// What was granted here stays when the agent's files change, and is in no version of them.
pub async fn a_grant_lies_beside_an_agents_files(subject: &mut impl Subject) {
    let store = subject.open();
    assert_eq!(
        store.agents.grant(&scribe(), "bash:ls").map_err(|error| error.class()),
        Err(Class::Refused),
        "no agent"
    );
    let (one, two) = (files(&[("agent.yaml", "one")]), files(&[("agent.yaml", "two")]));
    change(&store, Some(&one), Expected::Anything);
    let stamp = store.agents.stamp("scribe").expect("stamped");
    assert_eq!(store.agents.grant(&scribe(), "bash:ls *\n\"a\""), Ok(()));
    assert_ne!(store.agents.stamp("scribe").expect("stamped"), stamp);
    assert_eq!(change(&store, Some(&two), Expected::Digest(files_digest(&one))), Changed::Done { was_there: true });
    drop(store);
    let store = subject.open();
    let local = files(&[("policy.local.yaml", "grants:\n  - \"bash:ls *\\n\\\"a\\\"\"\n")]);
    assert_eq!(store.agents.read("scribe"), Ok(Some(two.into_iter().chain(local).collect())));
    assert_eq!(store.agents.version(&scribe(), &files_digest(&one)), Ok(Some(one)));
}

/// Neither by what is expected, nor by what it is made of.
pub async fn a_change_that_expects_something_else_is_not_done(subject: &mut impl Subject) {
    let store = subject.open();
    let (one, two) = (files(&[("agent.yaml", "one")]), files(&[("agent.yaml", "two")]));
    let digest = |files: &Files| Expected::Digest(files_digest(files));
    assert_eq!(change(&store, Some(&one), digest(&one)), Changed::Stale);
    assert_eq!(change(&store, Some(&one), Expected::Something), Changed::Stale);
    assert_eq!(change(&store, Some(&one), Expected::Nothing), Changed::Done { was_there: false });
    for stale in [digest(&two), Expected::Nothing] {
        assert_eq!(change(&store, Some(&two), stale.clone()), Changed::Stale);
        assert_eq!(change(&store, None, stale), Changed::Stale);
    }
    assert_eq!((store.agents.read("scribe"), kept(&store)), (Ok(Some(one.clone())), vec![]));
    for path in ["memory/MEMORY.md", "../x", "notes.txt", crate::WORKSPACE_POLICY] {
        let refused = store.agents.change(&scribe(), Some(files(&[(path, "x")])), Expected::Anything);
        assert_eq!(refused.map_err(|error| error.class()), Err(Class::Refused), "{path}");
    }
    assert_eq!(change(&store, Some(&two), digest(&one)), Changed::Done { was_there: true });
    assert_eq!(change(&store, Some(&two), Expected::Something), Changed::Done { was_there: true });
    assert_eq!(kept(&store), [files_digest(&one).to_string()], "what changes nothing keeps nothing");
}

/// The newest first; one that comes again is one.
pub async fn the_last_versions_are_kept_each_once(subject: &mut impl Subject) {
    let store = subject.open();
    let nth = |n: usize| files(&[("agent.yaml", &n.to_string())]);
    for n in 0..VERSIONS + 3 {
        change(&store, Some(&nth(n)), Expected::Anything);
    }
    let expected: Vec<String> = (2..VERSIONS + 2).rev().map(|n| files_digest(&nth(n)).to_string()).collect();
    assert_eq!(kept(&store), expected);
    change(&store, Some(&nth(5)), Expected::Anything);
    change(&store, Some(&nth(0)), Expected::Anything);
    let found = kept(&store);
    assert_eq!((found.len(), &found[0]), (VERSIONS, &files_digest(&nth(5)).to_string()));
    assert_eq!(found.iter().filter(|digest| **digest == found[0]).count(), 1);
}

/// What it was is kept, and comes back when somebody writes it.
pub async fn an_agent_that_was_taken_away_can_be_made_again(subject: &mut impl Subject) {
    let store = subject.open();
    let one = files(&[("agent.yaml", "one")]);
    assert_eq!(change(&store, None, Expected::Anything), Changed::Done { was_there: false });
    store.agents.create("scribe", one.clone()).expect("made");
    assert_eq!(change(&store, None, Expected::Something), Changed::Done { was_there: true });
    drop(store);
    let store = subject.open();
    assert_eq!((store.agents.names(), store.agents.read("scribe")), (Ok(vec![]), Ok(None)));
    let found = store.agents.version(&scribe(), &files_digest(&one)).expect("read").expect("kept");
    assert_eq!(change(&store, Some(&found), Expected::Nothing), Changed::Done { was_there: false });
    assert_eq!(store.agents.read("scribe"), Ok(Some(one)));
}
