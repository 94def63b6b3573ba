//! Promises about who is told what of all that is remembered.

use outlive_core::event::{Event, MemoryEdited};
use outlive_core::id::MemoryId;
use outlive_core::memory::{Memory, Scope};

use super::remembering::{
    asked, begun_with, edited, forgotten, ids, memory, note, note_behind, observed, recalled, who,
};
use super::{Subject, session};
use crate::{RecallQuery, RememberedQuery, Sight, Store};

/// What it recalls, and what its requests begin with: of its project only what the same agent noted there.
pub async fn a_session_is_told_unasked_what_it_may_recall(subject: &mut impl Subject) {
    let store = subject.open();
    let places = [(1, "one", "p"), (2, "one", "p"), (3, "other", "p"), (4, "one", "q")];
    for (n, agent, project) in places {
        let noted = Memory { scope: Scope::Project, ..memory(n * 10, 1, "a needle of the project") };
        let begins = begun_with(session(n), agent, ("project", project.into()));
        note_behind(&store, session(n), begins, vec![observed(vec![noted])]).await;
    }
    let later = |n| Memory { scope: Scope::Project, ..memory(n, 1, "hay") };
    note(&store, session(4), "one", vec![observed((41..99).map(later).collect())]).await;
    let sight = |n: u128, agent: &str, project: &str| {
        let (agent, project) = (Some(agent.to_owned()), Some(project.to_owned()));
        Sight { agent, session: Some(session(n)), project }
    };
    for (sight, recalls, told) in [
        (sight(1, "one", "p"), vec![10, 20], vec![20]),
        (sight(3, "other", "p"), vec![30], vec![]),
        (sight(9, "one", "p"), vec![10, 20], vec![20, 10]),
        (sight(9, "other", "q"), vec![], vec![]),
    ] {
        let mut found = ids(&recalled(&store, RecallQuery { sight: sight.clone(), ..asked("needle") }).await.hits);
        found.sort_unstable();
        assert_eq!(found, recalls, "{sight:?}");
        let query = RememberedQuery { known_to: Some(sight.clone()), limit: 2, ..RememberedQuery::default() };
        let page = store.memories.list(query).await.expect("listed");
        let listed: Vec<u128> = page.rows.iter().map(|row| row.memory.id.bits()).collect();
        assert_eq!(listed, told, "{sight:?}");
    }
}

/// Until a person says otherwise: neither shown to others, nor in the place of what they know, nor the end of it.
pub async fn what_came_from_an_archive_is_for_its_session_alone(subject: &mut impl Subject) {
    let mut store = subject.open();
    let known = vec![memory(1, 1, "a needle"), memory(2, 1, "a needle, too"), memory(3, 1, "a third needle")];
    note(&store, session(3), "scribe", vec![observed(known)]).await;
    let wide = |id: u128, old: &[u128]| Memory {
        scope: Scope::All,
        supersedes: old.iter().map(|old| MemoryId::from_bits(*old)).collect(),
        ..memory(id, 2, "a needle from elsewhere")
    };
    let brought = [observed(vec![wide(11, &[1]), wide(12, &[]), wide(13, &[12])]), edited(2, "hay"), forgotten(&[3])];
    let widened = |id: u128| {
        let (memory, text) = (MemoryId::from_bits(id), "a needle, for all".to_owned());
        Event::MemoryEdited(MemoryEdited { memory, text, scope: Some(Scope::All), by: who() })
    };
    let brought: Vec<Event> = brought.into_iter().chain([widened(11)]).collect();
    let begins = begun_with(session(2), "scribe", ("taken_to", (brought.len() + 1).into()));
    note_behind(&store, session(2), begins, brought).await;
    let seen = async |store: &Store, n: u128| {
        let sight = Sight { agent: Some("scribe".to_owned()), session: Some(session(n)), project: None };
        let mut seen = ids(&recalled(store, RecallQuery { sight, ..asked("needle") }).await.hits);
        seen.sort_unstable();
        seen
    };
    for case in ["at once", "after a new start", "made anew", "once a person says so"] {
        if case == "once a person says so" {
            note(&store, session(2), "scribe", vec![widened(11)]).await;
        }
        let others = if case == "once a person says so" { vec![2, 3, 11] } else { vec![1, 2, 3] };
        assert_eq!(seen(&store, 3).await, others, "{case}");
        let own = if case == "once a person says so" { vec![2, 3, 11, 13] } else { vec![1, 2, 3, 11, 13] };
        assert_eq!(seen(&store, 2).await, own, "{case}");
        let text =
            store.memories.get(MemoryId::from_bits(2)).await.expect("read").expect("it is there").row.memory.text;
        assert_eq!(text, "a needle, too", "{case}");
        drop(store);
        store = subject.open();
        if case == "after a new start" {
            store.memories.begin_anew().await.expect("begun anew");
        }
    }
}
