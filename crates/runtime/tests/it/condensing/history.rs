//! Checkpoints are part of a session's history: rewound, forked, exported, found again after a crash.

use outlive_core::event::{CompactionProgressed, Entry};
use outlive_core::id::Seq;
use outlive_runtime::{NewFork, NewImport};

use super::failing::{Talk, settled};
use super::*;

async fn entries(house: &House) -> Vec<Entry> {
    let lines = house.runtime.entries(id(1), 0, 100_000).await.unwrap();
    lines.iter().map(|line| line.read().unwrap()).collect()
}

/// A session with a checkpoint in use, and the last calm event before it.
async fn condensed() -> (Talk, Seq) {
    let talk = Talk::with(4_000).await;
    talk.works.store(true, Ordering::Relaxed);
    talk.until(|made| !made.is_empty()).await;
    let read = entries(&talk.house).await;
    let created = read.iter().find(|entry| matches!(entry.event, Event::CompactionStarted(_))).unwrap().seq;
    let ended = |entry: &&Entry| entry.seq < created && matches!(entry.event, Event::TurnEnded(_));
    let calm = read.iter().rfind(ended).unwrap().seq;
    (talk, calm)
}

/// What the model was shown last.
async fn shown(talk: &Talk, session: u128) -> String {
    let said = talk.house.say(session, "and now?").await;
    assert_eq!(talk.house.outcome(session, said).await.ending, Ending::Complete);
    let steps = talk.model.requests().into_iter().filter(|request| request.purpose == Purpose::Step);
    format!("{:?}", steps.last().unwrap().messages)
}

#[tokio::test(start_paused = true)]
async fn a_rewind_to_before_a_checkpoint_shows_the_conversation_as_it_was_and_one_to_after_it_keeps_it() {
    let (talk, calm) = condensed().await;
    let active = talk.view().await.checkpoint;
    let here = talk.house.runtime.view(id(1)).await.unwrap().head;
    super::talk(&talk.house, 1).await;
    let rewind = async |to| talk.house.runtime.rewind(id(1), to, (by(), None)).await.unwrap();
    rewind(here).await;
    assert_eq!(talk.view().await.checkpoint, active);
    assert!(shown(&talk, 1).await.contains("<checkpoint version"));
    rewind(calm).await;
    let view = talk.view().await;
    assert_eq!((view.checkpoint, view.tail_from, view.made.len()), (None, 0, 0));
    let told = shown(&talk, 1).await;
    assert!(!told.contains("<checkpoint version") && told.contains("0: You must never push"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_fork_has_the_checkpoint_and_none_of_what_was_under_way() {
    let (talk, calm) = condensed().await;
    let fork = async |session, at| {
        let of = (id(1), at);
        talk.house.runtime.fork(NewFork { session: id(session), of, title: None, by: by() }, None).await.unwrap();
        talk.house.runtime.view(id(session)).await.unwrap().upkeep.view.clone()
    };
    let here = fork(2, None).await;
    let original = talk.view().await;
    assert_eq!(
        (here.checkpoint, here.tail_from, &here.made),
        (original.checkpoint, original.tail_from, &original.made)
    );
    assert!(shown(&talk, 2).await.contains("<checkpoint version"));
    let before = fork(3, Some(calm)).await;
    assert_eq!((before.checkpoint, before.made.len()), (None, 0));
    assert!(!shown(&talk, 3).await.contains("<checkpoint version"));
    // In the middle of a compaction: it stays the original's.
    let events = talk.house.events(1).await;
    let started = events.iter().position(|event| matches!(event, Event::CompactionStarted(_))).unwrap() as u64 + 1;
    let parted = fork(4, Some(started)).await;
    assert_eq!((parted.under_way, parted.checkpoint), (None, None));
    settled().await;
    assert!(talk.house.events(4).await.iter().any(|event| matches!(event, Event::CompactionCancelled(_))));
}

#[tokio::test(start_paused = true)]
async fn an_exported_session_brings_its_checkpoints_along() {
    let (talk, _) = condensed().await;
    let bytes = talk.house.runtime.export(id(1)).await.unwrap();
    let import = NewImport { bytes: bytes.into(), copy: Some(id(2)), by: by() };
    talk.house.runtime.import(import, None).await.unwrap();
    let (made, view) = talk.house.runtime.checkpoints(id(2)).await.unwrap();
    let (original, active) = talk.house.runtime.checkpoints(id(1)).await.unwrap();
    assert_eq!((made.len(), view.checkpoint, view.tail_from), (original.len(), active.checkpoint, active.tail_from));
    assert_eq!(made[0].created, original[0].created);
    assert!(shown(&talk, 2).await.contains("<checkpoint version"));
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_a_compaction_goes_on_from_the_last_piece_that_was_recorded() {
    let (kit, model) = small(
        |request, n| if request.purpose == Purpose::Condense { change().held() } else { good(request, n) },
        16_000,
    );
    let mut house = House::of(Agents::of(kit)).await;
    let asked = || -> Vec<String> {
        let requests = model.requests().into_iter().filter(|request| request.purpose == Purpose::Condense);
        requests.map(|request| format!("{:?}", request.messages)).collect()
    };
    while asked().is_empty() {
        talk(&house, 1).await;
        settled().await;
    }
    model.release();
    house.until(1, "compaction.progressed").await;
    settled().await;
    let before = asked();
    assert_eq!(before.len(), 2, "one is done, the next is asked");
    house.die().await;
    settled().await;
    assert_eq!(asked().len(), 3);
    let first = |text: &str| text.split("The conversation goes on:\\n#").nth(1).map(|rest| rest[..6].to_owned());
    assert_eq!(first(&asked()[2]), first(&before[1]), "the one that was under way is asked again, and none before it");
    assert_ne!(first(&before[0]), first(&before[1]));
    (0..20).for_each(|_| model.release());
    house.until(1, "checkpoint.activated").await;
    let entries = entries(&house).await;
    let progressed = entries.iter().filter_map(|entry| match &entry.event {
        Event::CompactionProgressed(CompactionProgressed { to, .. }) => Some(*to),
        _other => None,
    });
    let to: Vec<Seq> = progressed.collect();
    assert!(to.windows(2).all(|pair| pair[0] < pair[1]), "{to:?}");
    assert_eq!(to.last().copied(), checkpoints(&house).await.first().map(|made| made.covers.last));
    assert_eq!(asked().len(), to.len() + 1);
}
