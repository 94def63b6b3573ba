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
async fn a_session_that_comes_back_from_the_trash_forgets_what_was_forgotten_meanwhile() {
    let house = House::of(remembering(Scripted::by(noting))).await;
    let (forgotten, kept) = (note(&house, 1, "O+", &[]).await, note(&house, 1, "Likes tea.", &[]).await);
    let fork = NewFork { session: id(2), of: (id(1), None), title: None, by: by() };
    house.runtime.fork(fork, None).await.unwrap();
    house.runtime.discard(id(2), by(), None).await.unwrap();
    forget(&house, forgotten, Extent::Words).await;
    house.runtime.restore(id(2)).await.unwrap();
    house.until(2, "memory.erased").await;
    assert_eq!(holding(&house, &[2], "\"O+\"").await, [] as [String; 0]);
    assert!(!holding(&house, &[2], &kept.to_string()).await.is_empty());
    assert!(!holding(&house, &[2], "Likes tea.").await.is_empty(), "others stay");
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
