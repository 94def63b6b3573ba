//! What is forgotten does not come back, stands in nothing that is sent, and is erased wherever it was.

use std::sync::Arc;
use std::time::Duration;

use outlive_core::command::{Command, MemoryCommand};
use outlive_core::content::{Purpose, ToolSpec};
use outlive_core::event::{Effect, Event, OnLost, RebuildCause};
use outlive_core::id::{MemoryId, Seq};
use outlive_core::memory::forget::Extent;
use outlive_core::memory::{Memory, Mode, Scope};
use outlive_core::policy::{Reach, Subject};
use outlive_model::scripted::{Scripted, Step};
use outlive_runtime::{NewFork, SubmitError, Whose};
use outlive_store::memory::Fault;
use outlive_tools::registry::Toolbox;
use outlive_tools::{Assessment, Finished, Invocation, Pending, Place, Span, Tool};
use serde_json::{Value, json};

use crate::house::{House, by, create, id};
use crate::noting::{noted, noting, of, remembering, remembering_with, system, talk};

const SAID: &str = "Ada has a dog that is called Rex.";

fn memory(text: &str, sources: &[Seq]) -> Memory {
    Memory {
        id: MemoryId::from_bits(0),
        kind: Default::default(),
        scope: Scope::Agent,
        priority: Default::default(),
        text: text.into(),
        since: Default::default(),
        until: None,
        sources: sources.to_vec(),
        supersedes: Vec::new(),
    }
}

async fn note(house: &House, session: u128, text: &str, sources: &[Seq]) -> MemoryId {
    let whose = Whose::Session(id(session));
    house.runtime.note(&whose, memory(text, sources), (by(), None)).await.unwrap().1.id
}

async fn forget(house: &House, memory: MemoryId, extent: Extent) -> outlive_runtime::Forgotten {
    house.runtime.forget_memory(memory, extent, (by(), None)).await.unwrap()
}

/// Every line of these journals that holds a text.
async fn holding(house: &House, sessions: &[u128], text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for session in sessions {
        let lines = house.runtime.entries(id(*session), 0, 10_000).await.unwrap();
        found.extend(lines.iter().map(|line| line.as_str().to_owned()).filter(|line| line.contains(text)));
    }
    found
}

/// The seq of what a person said.
async fn said(house: &House, session: u128) -> Seq {
    let lines = house.runtime.entries(id(session), 0, 100).await.unwrap();
    let is_said = |line: &&outlive_core::event::Line| line.as_str().contains("\"message.received\"");
    lines.iter().find(is_said).unwrap().seq()
}

async fn ask(house: &House, session: u128, content: &str) {
    let said = house.say(session, content).await;
    house.outcome(session, said).await;
}

#[tokio::test(start_paused = true)]
async fn an_observer_that_read_what_is_forgotten_meanwhile_brings_nothing_back() {
    let model = Scripted::by(|request, nth| match request.purpose {
        Purpose::Observe if nth < 2 => noting(request, nth).held(),
        _ => noting(request, nth),
    });
    let house = House::of(remembering(model.clone())).await;
    talk(&house, SAID).await;
    while of(&model, Purpose::Observe).is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let seq = said(&house, 1).await;
    let memory = note(&house, 1, "Ada has a dog.", &[seq]).await;
    forget(&house, memory, Extent::Sources).await;
    model.release();
    noted(&house, 1).await;
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(holding(&house, &[1], "called Rex").await, [] as [String; 0]);
    assert_eq!(of(&model, Purpose::Observe).len(), 2, "it looks again at what is left");
}

#[tokio::test(start_paused = true)]
async fn nor_does_one_that_read_it_in_another_session() {
    let model = Scripted::by(|request, nth| {
        let said = serde_json::to_string(&request.messages).unwrap();
        match request.purpose {
            Purpose::Step => Step::text(SAID),
            Purpose::Observe if said.contains("called Rex") => {
                Step::text(&json!({ "memories": [{ "text": SAID, "sources": [6, 7] }] }).to_string()).held()
            }
            _ => noting(request, nth),
        }
    });
    let house = House::of(remembering(model.clone())).await;
    talk(&house, "Hello.").await;
    while of(&model, Purpose::Observe).is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    house.ask(2, Command::Create(create())).await.unwrap();
    let memory = note(&house, 2, SAID, &[]).await;
    forget(&house, memory, Extent::Words).await;
    model.release();
    noted(&house, 1).await;
    assert_eq!(holding(&house, &[1, 2], SAID).await, [] as [String; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_alive_shows_what_another_one_forgot_or_said_otherwise_no_more() {
    let model = Scripted::by(noting);
    let house = House::of(remembering(model.clone())).await;
    talk(&house, "Hello.").await;
    let (forgotten, edited) = (note(&house, 1, SAID, &[]).await, note(&house, 1, "It lives in Rome.", &[]).await);
    house.ask(2, Command::Create(create())).await.unwrap();
    ask(&house, 2, "One.").await;
    let last = |model: &Scripted| system(&of(model, Purpose::Step).pop().unwrap());
    assert!(last(&model).contains(SAID) && last(&model).contains("It lives in Rome."));
    ask(&house, 2, "Two.").await;
    house.runtime.rewrite(edited, (Some("It lives in Bern.".into()), None), (by(), None)).await.unwrap();
    ask(&house, 2, "Three.").await;
    assert!(last(&model).contains("It lives in Bern.") && !last(&model).contains("Rome"), "{}", last(&model));
    forget(&house, forgotten, Extent::Words).await;
    ask(&house, 2, "Four.").await;
    assert!(!last(&model).contains(SAID), "{}", last(&model));
    ask(&house, 2, "Five.").await;
    let causes: Vec<RebuildCause> = house.events(2).await.iter().filter_map(cause).collect();
    assert_eq!(causes, [RebuildCause::Load, RebuildCause::Reload, RebuildCause::Forget]);
}

fn cause(event: &Event) -> Option<RebuildCause> {
    let Event::ContextRebuilt(rebuilt) = event else { return None };
    Some(rebuilt.cause)
}

#[tokio::test(start_paused = true)]
async fn a_short_note_is_erased_in_forks_too_and_what_says_the_same_by_chance_stays() {
    let house = House::of(remembering(Scripted::by(noting))).await;
    let memory = note(&house, 1, "O+", &[]).await;
    let fork = NewFork { session: id(2), of: (id(1), None), title: None, by: by() };
    house.runtime.fork(fork, None).await.unwrap();
    talk(&house, "The blood group O+ is common.").await;
    assert_eq!(holding(&house, &[1, 2], "\"O+\"").await.len(), 2);
    let dry = house.runtime.would_forget(memory, Extent::Words).await.unwrap();
    let head = house.events(1).await.len();
    assert_eq!((dry.lines, holding(&house, &[1, 2], "\"O+\"").await.len()), (Some(2), 2), "nothing was done");
    assert_eq!(house.events(1).await.len(), head);
    let done = forget(&house, memory, Extent::Words).await;
    assert_eq!(done.lines, Some(2));
    assert_eq!(holding(&house, &[1, 2], "\"O+\"").await, [] as [String; 0]);
    assert!(!holding(&house, &[1], "group O+ is common").await.is_empty(), "what was said stays");
}

#[tokio::test(start_paused = true)]
async fn what_is_forgotten_can_be_forgotten_with_its_sources_later() {
    let house = House::of(remembering(Scripted::by(noting))).await;
    talk(&house, SAID).await;
    noted(&house, 1).await;
    let seq = said(&house, 1).await;
    let memory = note(&house, 1, "Ada has a dog.", &[seq]).await;
    let first = forget(&house, memory, Extent::Words).await;
    assert!(first.left.iter().any(|left| left.seq == seq), "what it comes from is named: {first:?}");
    let second = forget(&house, memory, Extent::Sources).await;
    assert_eq!((second.lines.is_some_and(|lines| lines > 0), second.left), (true, vec![]));
    let lines = house.runtime.entries(id(1), seq - 1, 1).await.unwrap();
    assert!(!lines[0].as_str().contains("Rex"), "{:?}", lines[0]);
}

#[tokio::test(start_paused = true)]
async fn what_was_condensed_over_sessions_names_no_events_of_them_and_is_erased_whole() {
    let house = House::of(remembering(Scripted::by(noting))).await;
    house.ask(2, Command::Create(create())).await.unwrap();
    // Those of the notebook itself.
    for seq in 1..9 {
        note(&house, 1 + u128::from(seq % 2 == 0), &format!("Note {seq}."), &[seq]).await;
    }
    let agent: outlive_core::id::AgentName = "helper".parse().unwrap();
    let made = house.runtime.reflect(&Whose::Agent(agent.clone()), false, (by(), None)).await.unwrap();
    assert_eq!((made.len(), made[0].sources.len()), (1, 0));
    let done = forget(&house, made[0].id, Extent::Words).await;
    assert_eq!(done.left, []);
    let notebook = outlive_runtime::notebook(&agent);
    let lines = house.runtime.entries(notebook, 0, 100).await.unwrap();
    assert!(!lines.iter().any(|line| line.as_str().contains("dog called Rex")), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn of_two_that_condense_the_same_at_once_one_does() {
    let house = House::of(remembering(Scripted::by(noting))).await;
    talk(&house, "Hello.").await;
    for text in ["Ada has a dog.", "It is called Rex."] {
        note(&house, 1, text, &[]).await;
    }
    let whose = Whose::Session(id(1));
    let reflect = || house.runtime.reflect(&whose, false, (by(), None));
    let (one, other) = tokio::join!(reflect(), reflect());
    assert!(one.is_ok() || other.is_ok());
    let is_made = |event: &&Event| matches!(event, Event::MemoryReflected(made) if !made.memories.is_empty());
    assert_eq!(house.events(1).await.iter().filter(is_made).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_takes_no_part_is_not_condensed() {
    let model = Scripted::by(noting);
    let house = House::of(remembering(model.clone())).await;
    for text in ["Ada has a dog.", "It is called Rex."] {
        note(&house, 1, text, &[]).await;
    }
    house.ask(1, Command::Memory { what: MemoryCommand::Mode(Mode::Off), by: by() }).await.unwrap();
    let refused = house.runtime.reflect(&Whose::Session(id(1)), false, (by(), None)).await.unwrap_err();
    let SubmitError::Refused(outlive_core::session::Refusal::Invalid { code, .. }) = &refused else {
        panic!("{refused}")
    };
    assert_eq!((*code, of(&model, Purpose::Reflect).len()), ("memory_off", 0));
}

#[tokio::test(start_paused = true)]
async fn a_fork_that_is_made_while_something_is_erased_has_nothing_of_it() {
    let house = House::of(remembering(Scripted::by(noting))).await;
    for n in 2..12 {
        let memory = note(&house, 1, SAID, &[]).await;
        let fork = NewFork { session: id(n), of: (id(1), None), title: None, by: by() };
        let (forked, _) = tokio::join!(house.runtime.fork(fork, None), forget(&house, memory, Extent::Words));
        forked.unwrap();
        assert_eq!(holding(&house, &[1, n], SAID).await, [] as [String; 0], "{n}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_note_of_an_archived_session_is_forgotten() {
    let house = House::of(remembering(Scripted::by(noting))).await;
    let memory = note(&house, 1, SAID, &[]).await;
    house.ask(1, Command::Archive { archived: true, by: by() }).await.unwrap();
    assert!(forget(&house, memory, Extent::Words).await.lines.is_some());
    assert_eq!(holding(&house, &[1], SAID).await, [] as [String; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_lines_were_written_anew_only_in_part_sends_nothing_of_them() {
    let model = Scripted::by(|request, nth| match request.purpose {
        Purpose::Step if nth == 0 => Step::text(SAID),
        _ => noting(request, nth),
    });
    let house = House::of(remembering(model.clone())).await;
    talk(&house, "Hello.").await;
    noted(&house, 1).await;
    let memory = note(&house, 1, SAID, &[]).await;
    house.faults.cut_scrub();
    forget(&house, memory, Extent::Words).await;
    ask(&house, 1, "And now?").await;
    let last = of(&model, Purpose::Step).pop().unwrap();
    assert!(!serde_json::to_string(&last.messages).unwrap().contains("called Rex"), "{last:?}");
    house.until(1, "memory.erased").await;
}

#[tokio::test(start_paused = true)]
async fn what_lies_in_the_trash_is_written_anew_there() {
    let house = House::of(remembering(Scripted::by(silent))).await;
    talk(&house, "It is O+.").await;
    let seq = said(&house, 1).await;
    let (short, kept) = (note(&house, 1, "O+", &[seq]).await, note(&house, 1, "Likes tea.", &[]).await);
    let long = note(&house, 1, SAID, &[]).await;
    fork(&house, 2).await;
    // One that shares nothing, and only says it.
    house.ask(3, Command::Create(create())).await.unwrap();
    ask(&house, 3, "Tell.").await;
    for session in [2, 3] {
        house.runtime.discard(id(session), by(), None).await.unwrap();
    }
    assert!(discarded(&house, 2).await.contains("It is O+.") && discarded(&house, 3).await.contains(SAID));
    let dry = house.runtime.would_forget(long, Extent::Words).await.unwrap();
    let done = forget(&house, long, Extent::Words).await;
    assert_eq!((dry.lines, done.left), (done.lines, vec![]));
    let done = forget(&house, short, Extent::Sources).await;
    assert!(done.lines.is_some());
    for word in ["It is O+.", "\"O+\"", SAID] {
        assert!(!discarded(&house, 2).await.contains(word) && !discarded(&house, 3).await.contains(word), "{word}");
    }
    let notes = house.runtime.discarded().await.unwrap();
    assert!(!serde_json::to_string(&notes).unwrap().contains("O+"), "{notes:?}");
    for session in [2, 3] {
        house.runtime.restore(id(session)).await.unwrap();
        ask(&house, session, "And now?").await;
    }
    assert_eq!(holding(&house, &[1, 2, 3], "It is O+.").await, [] as [String; 0]);
    assert_eq!(holding(&house, &[1, 2, 3], SAID).await, [] as [String; 0]);
    assert!(!holding(&house, &[2], &kept.to_string()).await.is_empty());
    assert!(!holding(&house, &[2], "Likes tea.").await.is_empty(), "others stay");
}

/// Notes nothing, and tells where it is asked to.
fn silent(request: &outlive_core::content::Request, nth: usize) -> Step {
    let said = serde_json::to_string(&request.messages.last()).unwrap();
    match request.purpose {
        Purpose::Observe => Step::text(&json!({ "memories": [] }).to_string()),
        Purpose::Step if said.contains("Tell.") => Step::text(SAID),
        _ => noting(request, nth),
    }
}

/// All that is in a journal in the trash.
async fn discarded(house: &House, session: u128) -> String {
    let store = house.faults.store();
    let lines = store.trash.inside().read(id(session), 0, 1_000).await.unwrap();
    lines.iter().map(|line| line.as_str().to_owned() + "\n").collect()
}

async fn fork(house: &House, session: u128) {
    let fork = NewFork { session: id(session), of: (id(1), None), title: None, by: by() };
    house.runtime.fork(fork, None).await.unwrap();
}

/// Waits until a model was asked so often for this.
async fn until_asked(model: &Scripted, purpose: Purpose, times: usize) {
    while of(model, purpose).len() < times {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn names(events: &[Event], name: &str) -> usize {
    events.iter().filter(|event| event.name() == name).count()
}

#[tokio::test(start_paused = true)]
async fn a_step_that_was_asked_with_it_brings_it_back_to_nobody() {
    let model = Scripted::by(|request, nth| match request.purpose {
        Purpose::Step if nth == 0 => Step::text(SAID).held(),
        _ => noting(request, nth),
    });
    let house = House::of(remembering(model.clone())).await;
    house.ask(2, Command::Create(create())).await.unwrap();
    let memory = note(&house, 2, SAID, &[]).await;
    let said = house.say(1, "Go.").await;
    until_asked(&model, Purpose::Step, 1).await;
    let done = forget(&house, memory, Extent::Words).await;
    assert_eq!(done.lines, None, "it goes on");
    assert_eq!(names(&house.events(2).await, "memory.erased"), 0);
    model.release();
    house.outcome(1, said).await;
    house.until(2, "memory.erased").await;
    assert_eq!(holding(&house, &[1, 2], SAID).await, [] as [String; 0]);
}

/// A tool that has read something, and says so once it may.
struct Slow(Arc<tokio::sync::Notify>);

impl Tool for Slow {
    fn spec(&self) -> ToolSpec {
        Long.spec()
    }

    fn assess(&self, arguments: &Value, place: &Place) -> Result<Assessment, String> {
        Long.assess(arguments, place)
    }

    fn run(&self, _invocation: Invocation) -> Pending<'_, Finished> {
        let may = Arc::clone(&self.0);
        Box::pin(async move {
            may.notified().await;
            Finished::ok(SAID)
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_had_read_it_brings_it_back_to_nobody_and_what_is_made_of_that_neither() {
    let may = Arc::new(tokio::sync::Notify::new());
    let model = Scripted::by(|request, nth| match request.purpose {
        // The second call begins with what the first one said.
        Purpose::Step if nth < 2 => Step::call("long", &json!({ "it": if nth == 1 { SAID } else { "" } })),
        _ => noting(request, nth),
    });
    let tool = Arc::clone(&may);
    let agents =
        remembering_with(model.clone(), move || Toolbox::new(vec![Arc::new(Slow(Arc::clone(&tool))) as Arc<dyn Tool>]));
    let house = House::of(agents).await;
    house.ask(2, Command::Create(create())).await.unwrap();
    let memory = note(&house, 2, SAID, &[]).await;
    let said = house.say(1, "Go.").await;
    house.until(1, "call.started").await;
    let began = tokio::time::Instant::now();
    assert_eq!(forget(&house, memory, Extent::Words).await.lines, None, "it waits for nothing for ever");
    assert!(began.elapsed() < Duration::from_secs(60));
    for times in 1..=2 {
        assert_eq!(names(&house.events(2).await, "memory.erased"), 0);
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        may.notify_one();
        while names(&house.events(1).await, "call.finished") < times {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    house.outcome(1, said).await;
    house.until(2, "memory.erased").await;
    assert_eq!(holding(&house, &[1, 2], SAID).await, [] as [String; 0]);
    assert_eq!(names(&house.events(2).await, "memory.erased"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_death_while_a_step_is_waited_for_leaves_nothing() {
    let model = Scripted::by(|request, nth| match request.purpose {
        Purpose::Step if nth == 0 => Step::text(SAID).held(),
        _ => noting(request, nth),
    });
    let mut house = House::of(remembering(model.clone())).await;
    house.ask(2, Command::Create(create())).await.unwrap();
    let memory = note(&house, 2, SAID, &[]).await;
    house.say(1, "Go.").await;
    until_asked(&model, Purpose::Step, 1).await;
    assert_eq!(forget(&house, memory, Extent::Words).await.lines, None);
    house.die().await;
    house.until(2, "memory.erased").await;
    assert_eq!(holding(&house, &[1, 2], SAID).await, [] as [String; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_is_waited_for_in_many_sessions_is_waited_for_once() {
    let model = Scripted::by(|request, nth| match request.purpose {
        Purpose::Step => Step::text("Well.").held(),
        _ => noting(request, nth),
    });
    let house = House::of(remembering(model.clone())).await;
    let first = note(&house, 1, SAID, &[]).await;
    for session in 2..6 {
        house.ask(session, Command::Create(create())).await.unwrap();
        let made = Memory { supersedes: vec![first], ..memory("Rex.", &[]) };
        house.runtime.note(&Whose::Session(id(session)), made, (by(), None)).await.unwrap();
    }
    house.say(1, "Go.").await;
    until_asked(&model, Purpose::Step, 1).await;
    let began = tokio::time::Instant::now();
    let done = forget(&house, first, Extent::Words).await;
    assert_eq!((done.memories.len(), done.lines), (5, None));
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
}

fn agent() -> outlive_core::id::AgentName {
    "helper".parse().unwrap()
}

/// Two notes of two sessions, and whoever condenses all that the agent knows.
async fn two(house: &House) -> MemoryId {
    house.ask(2, Command::Create(create())).await.unwrap();
    note(house, 1, "It is called Rex.", &[]).await;
    note(house, 2, "Ada has a dog.", &[]).await
}

#[tokio::test(start_paused = true)]
async fn what_is_condensed_of_a_note_that_is_forgotten_or_said_otherwise_meanwhile_is_not_kept() {
    for is_forgotten in [true, false] {
        let model = Scripted::by(|request, nth| match request.purpose {
            Purpose::Reflect => noting(request, nth).held(),
            _ => noting(request, nth),
        });
        let house = House::of(remembering(model.clone())).await;
        let part = two(&house).await;
        let (whose, request) = (Whose::Agent(agent()), Some("r1".parse().unwrap()));
        let reflected = house.runtime.reflect(&whose, false, (by(), request.clone()));
        let meanwhile = async {
            until_asked(&model, Purpose::Reflect, 1).await;
            if is_forgotten {
                assert!(forget(&house, part, Extent::Words).await.lines.is_some());
            } else {
                house.runtime.rewrite(part, (Some("Ada has a cat.".into()), None), (by(), None)).await.unwrap();
            }
            model.release();
        };
        let (reflected, ()) = tokio::join!(reflected, meanwhile);
        let refused = reflected.unwrap_err();
        let SubmitError::Refused(outlive_core::session::Refusal::Invalid { code, .. }) = &refused else {
            panic!("{refused}")
        };
        assert_eq!(*code, "reflection_failed");
        let notebook = house.runtime.entries(outlive_runtime::notebook(&agent()), 0, 100).await.unwrap();
        assert!(!notebook.iter().any(|line| line.as_str().contains("dog called Rex")), "{notebook:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_made_of_it_in_another_journal_goes_with_it_whoever_forgets_it() {
    for dies in [true, false] {
        let mut house = House::of(remembering(Scripted::by(noting))).await;
        let part = two(&house).await;
        house.runtime.reflect(&Whose::Agent(agent()), false, (by(), None)).await.unwrap();
        // As if it had been made right after it was looked for what was made of it.
        let what = MemoryCommand::Forget { memories: vec![part], sources: false };
        house.ask(2, Command::Memory { what, by: by() }).await.unwrap();
        if dies {
            house.die().await;
        }
        house.until(2, "memory.erased").await;
        let notebook = outlive_runtime::notebook(&agent());
        let lines = house.runtime.entries(notebook, 0, 100).await.unwrap();
        assert!(!lines.iter().any(|line| line.as_str().contains("dog called Rex")), "{lines:?}");
        assert!(lines.iter().any(|line| line.as_str().contains("\"memory.erased\"")), "{lines:?}");
        let all = outlive_runtime::RememberedQuery { limit: 9, ..Default::default() };
        let rows = house.faults.store().memories.list(all).await.unwrap().rows;
        assert_eq!(rows.iter().map(|row| row.memory.text.as_str()).collect::<Vec<_>>(), ["It is called Rex."]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_of_which_nobody_said_whether_it_takes_part_is_condensed() {
    let model = Scripted::by(noting);
    let house = House::of(remembering(model.clone())).await;
    for text in ["Ada has a dog.", "It is called Rex."] {
        note(&house, 1, text, &[]).await;
    }
    let made = house.runtime.reflect(&Whose::Session(id(1)), false, (by(), None)).await.unwrap();
    assert_eq!((made.len(), of(&model, Purpose::Reflect).len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_it_comes_from_goes_from_forks_and_from_what_was_forked() {
    let house = House::of(remembering(Scripted::by(silent))).await;
    talk(&house, "My PIN is 4711.").await;
    let seq = said(&house, 1).await;
    fork(&house, 2).await;
    let (one, two) = (note(&house, 1, "Has a PIN.", &[seq]).await, note(&house, 2, "Has one.", &[seq]).await);
    fork(&house, 3).await;
    house.ask(4, Command::Create(create())).await.unwrap();
    ask(&house, 4, "My PIN is 4711.").await;
    for memory in [one, two] {
        let done = forget(&house, memory, Extent::Sources).await;
        assert!(done.lines.is_some() && done.left.is_empty(), "{done:?}");
    }
    assert_eq!(holding(&house, &[1, 2, 3], "4711").await, [] as [String; 0]);
    assert!(!holding(&house, &[4], "4711").await.is_empty(), "that was said apart");
}

#[tokio::test(start_paused = true)]
async fn what_is_erased_waits_for_a_fork_that_is_being_written_also_over_a_death() {
    for dies in [true, false] {
        let mut house = House::of(remembering(Scripted::by(noting))).await;
        let memory = note(&house, 1, SAID, &[]).await;
        house.faults.next(Fault::HangAfter);
        let fork = NewFork { session: id(2), of: (id(1), None), title: None, by: by() };
        let written = async {
            while house.faults.hanging() == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            forked = house.runtime.fork(fork, None) => unreachable!("{forked:?}"),
            () = written => {}
        }
        assert_eq!(forget(&house, memory, Extent::Words).await.lines, None);
        if dies {
            house.die().await;
        } else {
            house.faults.release();
        }
        house.until(1, "memory.erased").await;
        assert!(!house.events(2).await.is_empty());
        assert_eq!(holding(&house, &[1, 2], SAID).await, [] as [String; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fork_whose_client_goes_away_has_nothing_of_it_either() {
    let house = House::of(remembering(Scripted::by(noting))).await;
    for n in 2..20 {
        let memory = note(&house, 1, SAID, &[]).await;
        let fork = NewFork { session: id(n), of: (id(1), None), title: None, by: by() };
        let forking = async {
            let mut forking = Box::pin(house.runtime.fork(fork, None));
            for _ in 0..n {
                tokio::select! {
                    biased;
                    _done = &mut forking => break,
                    () = tokio::task::yield_now() => {}
                }
            }
        };
        let ((), done) = tokio::join!(forking, forget(&house, memory, Extent::Words));
        assert!(done.lines.is_some());
        let there = house.faults.store().directory.sessions().await.unwrap();
        for session in there {
            let lines = house.runtime.entries(session, 0, 10_000).await.unwrap();
            assert!(!lines.iter().any(|line| line.as_str().contains(SAID)), "{n}");
        }
    }
}

/// A tool whose output is long, and whose end is kept beside the journal.
struct Long;

impl Tool for Long {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "long".to_owned(),
            description: "Says much.".to_owned(),
            input_schema: json!({ "type": "object" }),
        }
    }

    fn assess(&self, _arguments: &Value, _place: &Place) -> Result<Assessment, String> {
        let subject = Subject { tool: "long".to_owned(), target: String::new(), reach: Reach::Within };
        let (effect, on_lost) = (Effect::Read, OnLost::Report);
        Ok(Assessment { effect, on_lost, subject, summary: String::new(), span: Span::Call })
    }

    fn run(&self, _invocation: Invocation) -> Pending<'_, Finished> {
        let whole = Some(format!("much, and at its end: {SAID}\n").into_bytes());
        Box::pin(async move { Finished { whole, ..Finished::ok("much") } })
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_beside_a_line_is_written_anew_with_it() {
    let model = Scripted::by(|request, nth| match request.purpose {
        Purpose::Step if nth == 0 => Step::call("long", &json!({})),
        _ => noting(request, nth),
    });
    let agents = remembering_with(model, || Toolbox::new(vec![Arc::new(Long) as Arc<dyn Tool>]));
    let house = House::of(agents).await;
    talk(&house, "Go.").await;
    let memory = note(&house, 1, SAID, &[]).await;
    let kept = async |house: &House| {
        let events = house.events(1).await;
        let finished = events.iter().find_map(|event| match event {
            Event::CallFinished(finished) => Some(finished.clone()),
            _ => None,
        });
        let finished = finished.unwrap_or_else(|| panic!("{events:?}"));
        let artifacts = house.faults.store().artifacts;
        let output = finished.artifact.clone().unwrap_or_else(|| panic!("{finished:?}"));
        let bytes = artifacts.get(output.hash.clone()).await.unwrap().unwrap();
        assert!(finished.content.contains(output.hash.as_str()) && output.bytes == bytes.len() as u64);
        (output.hash, String::from_utf8(bytes).unwrap())
    };
    let (before, said) = kept(&house).await;
    assert!(said.contains(SAID));
    forget(&house, memory, Extent::Words).await;
    let (_, says) = kept(&house).await;
    assert_eq!(says, said.replace(SAID, "[forgotten]"));
    assert_eq!(house.faults.store().artifacts.get(before).await.unwrap(), None, "the old one is gone");
}

#[tokio::test(start_paused = true)]
async fn a_piece_that_the_model_never_answers_holds_up_nothing_for_ever() {
    let model = Scripted::by(|request, nth| match request.purpose {
        Purpose::Observe if serde_json::to_string(&request.messages).unwrap().contains("poison") => {
            Step::text("I cannot help with that.")
        }
        _ => noting(request, nth),
    });
    let house = House::of(remembering(model.clone())).await;
    talk(&house, "poison").await;
    house.until(1, "memory.observed").await;
    talk(&house, "Ada has a dog.").await;
    noted(&house, 2).await;
    let events = house.events(1).await;
    let looks: Vec<(bool, usize)> = events
        .iter()
        .filter_map(|event| match event {
            Event::MemoryObserved(observed) => Some((observed.is_unobserved, observed.memories.len())),
            _ => None,
        })
        .collect();
    assert_eq!(looks, [(true, 0), (false, 1)]);
}

#[tokio::test(start_paused = true)]
async fn what_held_until_a_day_that_is_over_is_shown_no_more() {
    let model = Scripted::by(noting);
    let house = House::of(remembering(model.clone())).await;
    talk(&house, "Hello.").await;
    let now = 1_700_000_000_000_000;
    for (text, until) in [("In Rome for a week.", now - 1), ("In Bern for a year.", now + 365 * 86_400_000_000)] {
        let until = Some(outlive_core::time::Timestamp::from_micros(until));
        let whose = Whose::Session(id(1));
        house.runtime.note(&whose, Memory { until, ..memory(text, &[]) }, (by(), None)).await.unwrap();
    }
    house.ask(2, Command::Create(create())).await.unwrap();
    ask(&house, 2, "Where?").await;
    let shown = system(&of(&model, Purpose::Step).pop().unwrap());
    assert!(shown.contains("In Bern for a year.") && !shown.contains("In Rome"), "{shown}");
}
