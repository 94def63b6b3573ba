//! Forgetting where it is hard: again, short words, in archives, forks and the trash, and by a process that dies of it.

use std::time::Duration;

use outlive_core::command::{Command, MemoryCommand};
use outlive_core::event::Event;
use outlive_core::id::MemoryId;
use outlive_core::memory::{Kind, Memory, Priority, Scope};
use outlive_core::time::Timestamp;
use outlive_model::scripted::Scripted;
use outlive_runtime::{NewFork, RecallQuery, RememberedQuery, SubmitError, Whose};

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

async fn forget(house: &House, memory: MemoryId, sources: bool) -> Result<outlive_runtime::Forgotten, SubmitError> {
    house.runtime.forget_memory(memory, sources, (by(), None)).await
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

#[tokio::test(start_paused = true)]
async fn what_was_said_goes_when_that_is_asked_for_once_the_memory_is_forgotten_already() {
    let house = house().await;
    talk(&house, "Ada has a dog called Rex.").await;
    noted(&house, 1).await;
    let memory = observed(&house).await;
    assert_eq!(forget(&house, memory, false).await.unwrap().left.len(), 1);
    assert_eq!(holding(&house, "called Rex").await.len(), 1, "what a person said stays");
    let again = forget(&house, memory, true).await.unwrap();
    assert_eq!((again.memories, again.lines), (vec![memory], Some(1)));
    assert_eq!(holding(&house, "called Rex").await, []);
    let twice = forget(&house, memory, true).await.unwrap();
    assert_eq!((twice.memories, twice.lines), (vec![memory], Some(0)), "once more changes nothing");
    for (which, sources) in [(memory, false), (MemoryId::from_bits(99), true)] {
        let refused = forget(&house, which, sources).await.unwrap_err().to_string();
        assert!(refused.contains(&format!("there is no memory `{which}`; it may be forgotten")), "{refused}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_forgotten_goes_however_short_it_is() {
    let house = house().await;
    let memory = note(&house, "PIN 12", &[]).await;
    let what = MemoryCommand::Edit { memory, text: "PIN 34".to_owned() };
    house.ask(1, Command::Memory { what, by: by() }).await.unwrap();
    let of = (id(1), None);
    house.runtime.fork(NewFork { session: id(2), of, title: None, by: by() }, None).await.unwrap();
    assert_eq!(holding(&house, "PIN ").await.len(), 4);
    let forgotten = forget(&house, memory, false).await.unwrap();
    assert_eq!((forgotten.lines, forgotten.left.len()), (Some(4), 0));
    assert_eq!(holding(&house, "PIN ").await, []);
    assert_eq!(known(&house, "PIN").await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_an_archive_says_can_be_forgotten_and_it_stays_archived() {
    let house = house().await;
    let memory = note(&house, "Ada has a dog called Rex.", &[]).await;
    house.ask(1, Command::Archive { archived: true, by: by() }).await.unwrap();
    assert_eq!(forget(&house, memory, false).await.unwrap().lines, Some(1));
    assert_eq!(holding(&house, "called Rex").await, []);
    let what = MemoryCommand::Edit { memory, text: "Something else".to_owned() };
    assert!(house.ask(1, Command::Memory { what, by: by() }).await.is_err(), "nothing else is changed in it");
}

#[tokio::test(start_paused = true)]
async fn what_a_forgotten_memory_had_replaced_comes_back_nowhere() {
    for is_forked in [false, true] {
        let mut house = house().await;
        let old = note(&house, "Ada lives in Rome.", &[]).await;
        let new = note(&house, "Ada lives in Bern.", &[old]).await;
        if is_forked {
            let of = (id(1), None);
            house.runtime.fork(NewFork { session: id(2), of, title: None, by: by() }, None).await.unwrap();
        }
        assert_eq!(known(&house, "Where does Ada live?").await, ["Ada lives in Bern."]);
        forget(&house, new, false).await.unwrap();
        for case in ["at once", "after a restart", "from the journals alone", "without the session that forgot it"] {
            match case {
                "at once" => {}
                "after a restart" => house.die().await,
                "from the journals alone" => house.faults.lose_index(),
                _ if is_forked => house.runtime.erase(id(1), None).await.unwrap(),
                _ => continue,
            }
            assert_eq!(known(&house, "Where does Ada live?").await, [""; 0], "{case}, forked: {is_forked}");
            assert_eq!(holding(&house, "Bern").await, [], "{case}");
        }
    }
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
            drop(forget(&house, memory, true).await);
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
