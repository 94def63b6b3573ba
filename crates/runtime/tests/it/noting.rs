//! What is remembered, through the real runtime: noted beside turns, shown in the next requests, condensed, forgotten.

use std::time::Duration;

use outlive_core::agent::MemorySpec;
use outlive_core::command::{Command, MemoryCommand};
use outlive_core::content::{Block, Purpose, Request};
use outlive_core::event::{Event, RebuildCause};
use outlive_core::id::MemoryId;
use outlive_core::memory::forget::Extent;
use outlive_core::memory::{Kind, Memory, Mode, Priority, Scope};
use outlive_model::scripted::{Scripted, Step};
use outlive_runtime::Whose;
use outlive_runtime::kit::{Keeper, Kit, Voices};
use outlive_tools::registry::Toolbox;
use serde_json::{Value, json};

use crate::house::{Agents, House, by, create, id, kit, voice};

/// An agent that remembers, whose model answers people with this and is asked for notes by that.
pub fn remembering(model: Scripted) -> Agents {
    remembering_with(model, || Toolbox::new(Vec::new()))
}

/// One that has these tools.
pub fn remembering_with(model: Scripted, tools: impl Fn() -> Toolbox + Send + Sync + 'static) -> Agents {
    Agents::made(move |_| {
        let voice = voice(model.clone(), &tools());
        let keeper = Keeper { memory: Some(MemorySpec::default()), ..Keeper::plain(&voice) };
        let plain = kit(model.clone(), tools(), "mode: dangerous");
        Ok(std::sync::Arc::new(Kit { keeper, voices: Voices::only(voice), ..plain }))
    })
}

/// The lines of a conversation that the observer is shown.
fn shown(request: &Request) -> Vec<Value> {
    let Some(Block::Text { text }) = request.messages[0].content.first() else { return Vec::new() };
    text.lines()
        .filter(|line| line.starts_with("{\"day\"") || line.starts_with("{\"seq\""))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Notes every line that a person said, word by word.
pub fn noting(request: &Request, _nth: usize) -> Step {
    match request.purpose {
        Purpose::Step | Purpose::Condense => Step::text("Well."),
        Purpose::Observe => {
            let said = shown(request).into_iter().filter(|line| line["who"] == "user");
            let memories: Vec<Value> =
                said.map(|line| json!({ "text": line["text"], "scope": "agent", "sources": [line["seq"]] })).collect();
            Step::text(&json!({ "memories": memories }).to_string())
        }
        Purpose::Reflect => Step::text(
            &json!({ "memories": [
            { "text": "Ada has a dog called Rex.", "replaces": ["m1", "m2"] },
        ] })
            .to_string(),
        ),
    }
}

pub fn of(model: &Scripted, purpose: Purpose) -> Vec<Request> {
    model.requests().into_iter().filter(|request| request.purpose == purpose).collect()
}

pub async fn talk(house: &House, content: &str) {
    let said = house.say(1, content).await;
    house.outcome(1, said).await;
}

pub async fn noted(house: &House, times: usize) {
    let count = |events: &[Event]| events.iter().filter(|event| event.name() == "memory.observed").count();
    for _ in 0..10_000 {
        if count(&house.events(1).await) >= times {
            return;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(count(&house.events(1).await), times, "{:?}", house.events(1).await);
}

pub fn system(request: &Request) -> String {
    request.system.join("\n\n")
}

#[tokio::test(start_paused = true)]
async fn what_was_said_is_noted_after_the_turn_and_shown_once_the_session_is_loaded_anew() {
    let model = Scripted::by(noting);
    let mut house = House::of(remembering(model.clone())).await;
    talk(&house, "Ada has a dog.").await;
    noted(&house, 1).await;
    talk(&house, "It is called Rex.").await;
    noted(&house, 2).await;
    let steps = of(&model, Purpose::Step);
    assert_eq!(steps[0].system, steps[1].system, "what was noted meanwhile comes with the next rebuild");
    // Within the time for which a provider keeps the beginning of a request, it stays as it is.
    house.restart().await;
    talk(&house, "And now?").await;
    noted(&house, 3).await;
    assert_eq!(of(&model, Purpose::Step)[2].system, steps[0].system);
    house.restart().await;
    tokio::time::sleep(Duration::from_secs(301)).await;
    talk(&house, "And then?").await;
    let last = of(&model, Purpose::Step)[3].clone();
    assert!(
        system(&last).contains("Ada has a dog.") && system(&last).contains("It is called Rex."),
        "{}",
        system(&last)
    );
    let rebuilt = |event: &Event| match event {
        Event::ContextRebuilt(rebuilt) => Some((rebuilt.cause, rebuilt.session.len())),
        _ => None,
    };
    let rebuilds: Vec<_> = house.events(1).await.iter().filter_map(rebuilt).collect();
    assert_eq!(rebuilds, [(RebuildCause::Load, 0), (RebuildCause::Load, 3)]);
    noted(&house, 4).await;
    assert_eq!(of(&model, Purpose::Observe).len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_turn_goes_on_while_the_observer_is_at_it() {
    let model = Scripted::by(|request, nth| match request.purpose {
        Purpose::Observe => noting(request, nth).held(),
        _ => noting(request, nth),
    });
    let house = House::of(remembering(model.clone())).await;
    talk(&house, "One.").await;
    talk(&house, "Two.").await;
    assert_eq!(of(&model, Purpose::Observe).len(), 1, "one at a time");
    model.release();
    noted(&house, 1).await;
    model.release();
    noted(&house, 2).await;
    let looks = of(&model, Purpose::Observe);
    let texts = |at: usize| shown(&looks[at]).iter().map(|line| line["text"].clone()).collect::<Vec<_>>();
    assert_eq!((texts(0), texts(1)), (vec![json!("One."), json!("Well.")], vec![json!("Two."), json!("Well.")]));
}

#[tokio::test(start_paused = true)]
async fn nothing_runs_when_nothing_was_said() {
    let model = Scripted::by(noting);
    let mut house = House::of(remembering(model.clone())).await;
    talk(&house, "Good night.").await;
    noted(&house, 1).await;
    let before = (model.requests().len(), house.events(1).await.len());
    tokio::time::sleep(Duration::from_secs(86_400)).await;
    house.die().await;
    tokio::time::sleep(Duration::from_secs(86_400)).await;
    assert_eq!((model.requests().len(), house.events(1).await.len()), before);
    assert!(house.runtime.is_quiet());
}

#[tokio::test(start_paused = true)]
async fn hostile_answers_note_nothing_and_are_asked_for_again_later() {
    for answer in [
        "I cannot help with that.".to_owned(),
        "{\"memories\":[{\"text\":\"cut".to_owned(),
        json!({ "error": "overloaded" }).to_string(),
        String::new() + "[" + &"[".repeat(2_000_000),
    ] {
        let model = Scripted::by(move |request, nth| match request.purpose {
            Purpose::Observe if nth < 3 => Step::text(&answer),
            _ => noting(request, nth),
        });
        let house = House::of(remembering(model.clone())).await;
        talk(&house, "Ada has a dog.").await;
        noted(&house, 1).await;
        let events = house.events(1).await;
        let failed = events.iter().filter(|event| event.name() == "memory.failed").count();
        assert_eq!(failed, 2, "{events:?}");
        let counts = |event: &Event| matches!(event, Event::MemoryFailed(failed) if failed.usage.steps == 1);
        assert!(events.iter().all(|event| event.name() != "memory.failed" || counts(event)), "{events:?}");
    }
}

/// However long a journal is: what it says is remembered is read on, not again.
#[tokio::test(start_paused = true)]
async fn a_turn_of_a_long_session_reads_no_more_lines_than_one_of_a_shorter_one() {
    let house = House::of(remembering(Scripted::by(noting))).await;
    let mut read = Vec::new();
    for turn in 0..130 {
        let before = house.faults.lines_read();
        talk(&house, &format!("Number {turn}.")).await;
        // Until it is noted; the session stays in memory.
        tokio::time::sleep(Duration::from_secs(5)).await;
        read.push(house.faults.lines_read() - before);
    }
    let of = |turns: std::ops::Range<usize>| read[turns].iter().sum::<u64>() / 10;
    assert!(of(120..130) <= of(70..80) + 10, "{} lines a turn, then {}: {read:?}", of(70..80), of(120..130));
}

#[tokio::test(start_paused = true)]
async fn what_another_session_said_otherwise_stands_in_no_request() {
    let model = Scripted::by(noting);
    let mut house = House::of(remembering(model.clone())).await;
    let note = async |house: &House, whose: Whose, text: &str, supersedes: Vec<MemoryId>| {
        let memory = Memory {
            id: MemoryId::from_bits(0),
            kind: Kind::Fact,
            scope: Scope::Agent,
            priority: Priority::Medium,
            text: text.to_owned(),
            since: outlive_core::time::Timestamp::from_micros(0),
            until: None,
            sources: Vec::new(),
            supersedes,
        };
        house.runtime.note(&whose, memory, (by(), None)).await.unwrap().1.id
    };
    let old = note(&house, Whose::Session(id(1)), "Ada lives in Rome.", Vec::new()).await;
    note(&house, Whose::Session(id(1)), "Ada likes tea.", Vec::new()).await;
    note(&house, Whose::Agent("helper".parse().unwrap()), "Ada lives in Bern.", vec![old]).await;
    talk(&house, "Where is she?").await;
    let shown = system(of(&model, Purpose::Step).last().unwrap());
    assert!(shown.contains("Bern") && shown.contains("tea") && !shown.contains("Rome"), "{shown}");
    // A fork has what it shares once.
    let fork = outlive_runtime::NewFork { session: id(2), of: (id(1), None), title: None, by: by() };
    house.runtime.fork(fork, None).await.unwrap();
    let said = house.say(2, "And here?").await;
    house.outcome(2, said).await;
    let shown = system(of(&model, Purpose::Step).last().unwrap());
    assert_eq!(shown.matches("Ada likes tea.").count(), 1, "{shown}");
    house.restart().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_about_which_nobody_said_anything_is_condensed_all_the_same() {
    let house = House::of(remembering(Scripted::by(noting))).await;
    for text in ["Ada has a dog.", "It is called Rex."] {
        let memory = Memory {
            id: MemoryId::from_bits(0),
            kind: Kind::Fact,
            scope: Scope::Session,
            priority: Priority::Medium,
            text: text.to_owned(),
            since: outlive_core::time::Timestamp::from_micros(0),
            until: None,
            sources: Vec::new(),
            supersedes: Vec::new(),
        };
        house.runtime.note(&Whose::Session(id(1)), memory, (by(), None)).await.unwrap();
    }
    let made = house.runtime.reflect(&Whose::Session(id(1)), false, (by(), None)).await.unwrap();
    assert_eq!(made.iter().map(|one| one.text.as_str()).collect::<Vec<_>>(), ["Ada has a dog called Rex."]);
}

#[tokio::test(start_paused = true)]
async fn a_death_while_the_observer_is_at_it_loses_nothing() {
    let model = Scripted::by(|request, nth| match request.purpose {
        Purpose::Observe if nth < 2 => noting(request, nth).held(),
        _ => noting(request, nth),
    });
    let mut house = House::of(remembering(model.clone())).await;
    talk(&house, "Ada has a dog.").await;
    while of(&model, Purpose::Observe).is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    house.die().await;
    noted(&house, 1).await;
    assert_eq!(of(&model, Purpose::Observe).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_incognito_session_shows_nothing_to_the_observer() {
    let model = Scripted::by(noting);
    let house = House::of(remembering(model.clone())).await;
    let incognito = MemoryCommand::Mode(Mode::Incognito);
    house.ask(1, Command::Memory { what: incognito, by: by() }).await.unwrap();
    talk(&house, "A secret.").await;
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(of(&model, Purpose::Observe).len(), 0);
    assert!(!house.events(1).await.iter().any(|event| event.name().starts_with("memory.")));
}

#[tokio::test(start_paused = true)]
async fn a_reflection_takes_the_place_of_what_it_read_and_is_shown_with_the_next_step() {
    let model = Scripted::by(noting);
    let house = House::of(remembering(model.clone())).await;
    talk(&house, "Ada has a dog.").await;
    talk(&house, "It is called Rex.").await;
    noted(&house, 2).await;
    let whose = Whose::Session(id(1));
    let dry = house.runtime.reflect(&whose, true, (by(), None)).await.unwrap();
    assert_eq!(dry.len(), 1);
    assert!(!house.events(1).await.iter().any(|event| event.name() == "memory.reflected"), "it was only shown");
    let made = house.runtime.reflect(&whose, false, (by(), "r1".parse().ok())).await.unwrap();
    assert_eq!(house.runtime.reflect(&whose, false, (by(), "r1".parse().ok())).await.unwrap(), made, "asked again");
    assert_eq!(made[0].supersedes.len(), 2);
    talk(&house, "And now?").await;
    let last = of(&model, Purpose::Step).pop().unwrap();
    assert!(system(&last).contains("Ada has a dog called Rex.") && !system(&last).contains("): Ada has a dog.\n"));
}

#[tokio::test(start_paused = true)]
async fn what_is_forgotten_stands_in_no_line_but_the_message_it_came_from_unless_that_is_to_go_too() {
    for sources in [false, true] {
        let model = Scripted::by(noting);
        let mut house = House::of(remembering(model.clone())).await;
        talk(&house, "Ada has a dog called Rex.").await;
        noted(&house, 1).await;
        let Some(Event::MemoryObserved(observed)) =
            house.events(1).await.into_iter().find(|event| event.name() == "memory.observed")
        else {
            panic!("nothing observed")
        };
        let memory = observed.memories[0].id;
        let key = || (by(), "f1".parse().ok());
        let extent = if sources { Extent::Sources } else { Extent::Words };
        let forgotten = house.runtime.forget_memory(memory, extent, key()).await.unwrap();
        assert_eq!(house.runtime.forget_memory(memory, extent, key()).await.unwrap(), forgotten, "asked again");
        assert_eq!(forgotten.memories, [memory]);
        assert!(forgotten.lines.is_some_and(|lines| lines > 0), "{forgotten:?}");
        let lines = house.runtime.entries(id(1), 0, 1_000).await.unwrap();
        let holds: Vec<&str> =
            lines.iter().map(|line| line.as_str()).filter(|line| line.contains("a dog called Rex")).collect();
        assert_eq!((holds.len(), forgotten.left.len()), if sources { (0, 0) } else { (1, 1) }, "{holds:?}");
        house.die().await;
        talk(&house, "What do you know?").await;
        let last = of(&model, Purpose::Step).pop().unwrap();
        assert!(!system(&last).contains("Rex"));
        let said = serde_json::to_string(&last.messages).unwrap();
        assert_eq!(said.contains("Rex"), !sources, "{said}");
        noted(&house, 2).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_note_in_an_agents_notebook_is_made_once_however_often_it_is_asked_for() {
    let house = House::of(remembering(Scripted::by(noting))).await;
    let agent: outlive_core::id::AgentName = "helper".parse().unwrap();
    let (whose, key) = (Whose::Agent(agent.clone()), || (by(), "n1".parse().ok()));
    let memory = || outlive_core::memory::Memory {
        id: outlive_core::id::MemoryId::from_bits(0),
        kind: Default::default(),
        scope: outlive_core::memory::Scope::Agent,
        priority: Default::default(),
        text: "Speaks French.".into(),
        since: outlive_core::time::Timestamp::from_micros(0),
        until: None,
        sources: Vec::new(),
        supersedes: Vec::new(),
    };
    let first = house.runtime.note(&whose, memory(), key()).await.unwrap();
    assert_eq!(first.0, outlive_runtime::notebook(&agent));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(house.runtime.note(&whose, memory(), key()).await.unwrap(), first);
}

#[tokio::test(start_paused = true)]
async fn another_session_of_the_agent_begins_with_what_this_one_noted_and_forgets_it_too() {
    let model = Scripted::by(noting);
    let house = House::of(remembering(model.clone())).await;
    talk(&house, "Ada has a dog called Rex.").await;
    noted(&house, 1).await;
    house.ask(2, Command::Create(create())).await.unwrap();
    let said = house.say(2, "What do you know?").await;
    house.outcome(2, said).await;
    let knows = |request: &Request| system(request).contains("Ada has a dog called Rex.");
    assert!(knows(&of(&model, Purpose::Step)[1]), "{}", system(&of(&model, Purpose::Step)[1]));
    let events = house.events(1).await;
    let Some(Event::MemoryObserved(observed)) = events.into_iter().find(|event| event.name() == "memory.observed")
    else {
        panic!("nothing observed")
    };
    house.runtime.forget_memory(observed.memories[0].id, Extent::Sources, (by(), None)).await.unwrap();
    house.ask(3, Command::Create(create())).await.unwrap();
    let said = house.say(3, "And you?").await;
    house.outcome(3, said).await;
    assert!(!knows(&of(&model, Purpose::Step)[2]));
    for session in 1..=3 {
        let lines = house.runtime.entries(id(session), 0, 1_000).await.unwrap();
        assert!(!lines.iter().any(|line| line.as_str().contains("dog called Rex")), "session {session}");
    }
}
