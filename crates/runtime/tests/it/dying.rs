//! Remembering and forgetting by a process that dies of it, at whatever moment.

use std::time::Duration;

use outlive_core::event::Event;
use outlive_core::id::MemoryId;
use outlive_core::memory::forget::Extent;
use outlive_core::memory::{Kind, Memory, Priority, Scope};
use outlive_core::time::Timestamp;
use outlive_model::scripted::Scripted;
use outlive_runtime::{RecallQuery, RememberedQuery, Whose};

use super::house::{House, by, id};
use super::noting::{noted, noting, remembering, talk};

async fn house() -> House {
    House::of(remembering(Scripted::by(noting))).await
}

async fn note(house: &House, text: &str, supersedes: &[MemoryId]) -> MemoryId {
    let memory = Memory {
        id: MemoryId::from_bits(0),
        kind: Kind::Fact,
        scope: Scope::Agent,
        priority: Priority::Medium,
        text: text.to_owned(),
        since: Timestamp::from_micros(0),
        until: None,
        sources: Vec::new(),
        supersedes: supersedes.to_vec(),
    };
    house.runtime.note(&Whose::Session(id(1)), memory, (by(), None)).await.unwrap().1.id
}

/// What was observed first in session 1.
async fn observed(house: &House) -> MemoryId {
    let found = house.events(1).await.into_iter().find_map(|event| match event {
        Event::MemoryObserved(observed) => observed.memories.first().map(|memory| memory.id),
        _ => None,
    });
    found.unwrap()
}

/// What is found, and what is listed.
async fn known(house: &House, words: &str) -> Vec<String> {
    let query = RecallQuery { text: words.to_owned(), limit: 20, ..RecallQuery::default() };
    let found = house.runtime.recall(query).await.unwrap().hits.into_iter().map(|hit| hit.row.memory.text);
    let page = house.runtime.remembered(RememberedQuery { limit: 50, ..RememberedQuery::default() }).await.unwrap();
    let listed = page.rows.into_iter().map(|row| row.memory.text);
    let mut known: Vec<String> = found.chain(listed).collect();
    known.sort();
    known.dedup();
    known
}

async fn holding(house: &House, words: &str) -> Vec<(u128, u64)> {
    let mut held = Vec::new();
    for session in 1..=3 {
        let lines = house.runtime.entries(id(session), 0, 1_000).await.unwrap_or_default();
        held.extend(lines.iter().filter(|line| line.as_str().contains(words)).map(|line| (session, line.seq())));
    }
    held
}

/// Whatever moment the process dies at: what was said is noted once, what is forgotten is in no line and no answer, and what
/// something took the place of does not come back.
#[tokio::test(start_paused = true)]
async fn a_death_at_any_moment_of_remembering_loses_nothing_and_brings_nothing_back() {
    let (mut forgot, mut kept) = (0, 0);
    for polls in (1..160).step_by(3).chain((160..400).step_by(16)) {
        let mut house = house().await;
        talk(&house, "Ada has a dog called Rex.").await;
        noted(&house, 1).await;
        let old = note(&house, "Ada lives in Rome.", &[]).await;
        note(&house, "Ada lives in Bern.", &[old]).await;
        let memory = observed(&house).await;
        house.die_again_after(polls).await;
        let story = async {
            let said = house.say(1, "Bo likes tea a lot.").await;
            house.outcome(1, said).await;
            let whose = Whose::Session(id(1));
            drop(house.runtime.reflect(&whose, false, (by(), None)).await);
            drop(house.runtime.forget_memory(memory, Extent::Sources, (by(), None)).await);
        };
        drop(tokio::time::timeout(Duration::from_secs(60), story).await);
        house.die().await;
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        let events = house.events(1).await;
        let is_forgotten = events.iter().any(|event| event.name() == "memory.forgotten");
        let was_said =
            events.iter().any(|event| matches!(event, Event::MessageReceived(it) if it.content.contains("tea")));
        let known = known(&house, "Ada Rex Rome Bern Bo tea").await;
        let knows = |text: &str| known.iter().any(|known| known == text);
        if is_forgotten {
            forgot += 1;
            assert!(!known.iter().any(|known| known.contains("Rex")), "{polls}: {known:?}");
            assert_eq!(holding(&house, "called Rex").await, [], "{polls}");
            assert!(events.iter().any(|event| event.name() == "memory.erased"), "{polls}");
        } else {
            kept += 1;
            assert!(known.iter().any(|known| known.contains("Rex")), "{polls}: {known:?}");
        }
        assert!(!knows("Ada lives in Rome."), "{polls}: {known:?}");
        let noted = events.iter().filter(|event| matches!(event, Event::MemoryObserved(it) if it.memories.iter().any(|m| m.text.contains("tea")))).count();
        assert_eq!(noted, usize::from(was_said), "{polls}: {events:?}");
    }
    assert!(forgot > 5 && kept > 5, "{forgot} forgot, {kept} did not: the deaths are not where they are to be");
}
