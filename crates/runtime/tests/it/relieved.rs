//! Requests that are too long, however often that is said, and compactions that nobody wants any more.

use std::time::Duration;

use outlive_core::command::{Command, ContextCommand};
use outlive_core::compaction::{Item, Section, Summary};
use outlive_core::content::{Block, FailureKind, Purpose, Request};
use outlive_core::context::Window;
use outlive_core::event::{CompactionTrigger, Ending, Event, Strategy, TurnError};
use outlive_core::redact::Secrets;
use outlive_core::secret::Secret;
use outlive_model::scripted::{Scripted, Step};
use outlive_runtime::kit::{Keeper, Kit, Voices};
use outlive_tools::registry::Toolbox;
use serde_json::json;

use crate::house::{Agents, House, by, kit, voice};

/// What a real provider's adapter makes of its words.
fn too_long() -> Step {
    let mut step = Step::fail(FailureKind::Overflow);
    if let Step::Fail(failure) = &mut step {
        failure.message = "prompt is too long: 2000 tokens > 1500 maximum".to_owned();
    }
    step
}

fn text(request: &Request) -> String {
    let said = |block: &Block| if let Block::Text { text } = block { Some(text.clone()) } else { None };
    request.messages.iter().flat_map(|message| &message.content).filter_map(said).collect()
}

async fn house(tokens: u64, model: &Scripted) -> House {
    let toolbox = Toolbox::new(Vec::new());
    let mut voice = voice(model.clone(), &toolbox);
    voice.frame.window = Window { tokens, output: tokens / 8, buffer: tokens / 16, ..Window::default() };
    let keeper = Keeper::plain(&voice);
    House::of(Agents::of(Kit { keeper, voices: Voices::only(voice), ..kit(Scripted::default(), toolbox, "") })).await
}

fn change() -> Step {
    let add = json!([{ "section": "facts", "text": "they talk about trees", "sources": [3] }]);
    let said = json!({ "add": add, "update": [], "resolve": [], "drop": [], "goal": "talk", "next_step": "" });
    Step::text(&said.to_string())
}

async fn context(house: &House, what: ContextCommand) {
    house.ask(1, Command::Context { what, by: by() }).await.unwrap();
}

async fn ended(house: &House, said: &str) -> (Ending, Option<TurnError>) {
    let said = house.say(1, said).await;
    let outcome = house.outcome(1, said).await;
    (outcome.ending, outcome.error)
}

async fn count(house: &House, name: &str) -> usize {
    house.events(1).await.iter().filter(|event| event.name() == name).count()
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_length_is_answered_by_one_compaction_then_one_without_a_model_then_by_naming_the_largest_part() {
    let model =
        Scripted::by(|request, _| if request.purpose == Purpose::Condense { change() } else { Step::text("a leaf") });
    let house = house(64_000, &model).await;
    for turn in 0..12 {
        assert_eq!(ended(&house, &format!("{turn} {}", "tree ".repeat(400))).await, (Ending::Complete, None));
    }
    // Each request that is asked now is refused.
    (0..20).for_each(|_| model.then(too_long()));
    let before = model.requests().len();
    let (ending, error) = ended(&house, "one more").await;
    let error = error.unwrap();
    assert_eq!((ending, error.code.as_str()), (Ending::Failed, "context_overflow"));
    assert!(
        error.message.contains("the provider says that this is too long") && error.message.contains("of them are"),
        "{error:?}"
    );
    let made = house.events(1).await.into_iter().filter_map(|event| match event {
        Event::CompactionStarted(started) => Some((started.trigger, started.model.is_some())),
        _ => None,
    });
    let made: Vec<_> = made.collect();
    assert!(made.iter().all(|(trigger, _)| *trigger == CompactionTrigger::Overflow), "{made:?}");
    assert!(made.len() <= 4 && model.requests().len() - before <= 8, "{made:?}");
}

#[tokio::test(start_paused = true)]
async fn a_conversation_whose_request_was_refused_goes_on_once_it_is_reset_or_its_model_takes_more() {
    let model = Scripted::by(|request, _| match request.purpose {
        Purpose::Condense => Step::fail(FailureKind::Refused),
        _ if text(request).len() > 3_000 => too_long(),
        _ => Step::text("a leaf"),
    });
    let house = house(64_000, &model).await;
    let (ending, error) = ended(&house, &"tree ".repeat(1_000)).await;
    assert_eq!((ending, error.unwrap().code.as_str()), (Ending::Failed, "context_overflow"));
    context(&house, ContextCommand::Reset).await;
    assert_eq!(ended(&house, "hi").await, (Ending::Complete, None));
}

#[tokio::test(start_paused = true)]
async fn words_of_a_person_that_begin_like_an_error_are_no_error() {
    let model = Scripted::by(|request, _| match request.purpose {
        Purpose::Condense => Step::fail(FailureKind::Refused),
        _ => Step::text(&"leaf ".repeat(80)),
    });
    let house = house(4_000, &model).await;
    for turn in 0..20 {
        let said = format!("Error: cannot find module {turn}. {}", "tree ".repeat(120));
        assert_eq!(ended(&house, &said).await, (Ending::Complete, None));
    }
    let made: Vec<_> = house
        .events(1)
        .await
        .into_iter()
        .filter_map(|event| if let Event::CheckpointCreated(created) = event { Some(created) } else { None })
        .collect();
    assert!(!made.is_empty() && made.iter().all(|it| it.made.strategy == Strategy::Deterministic));
}

#[tokio::test(start_paused = true)]
async fn what_no_checkpoint_makes_shorter_ends_the_turn_and_is_not_tried_for_ever() {
    let model = Scripted::by(|request, _| match request.purpose {
        Purpose::Condense => Step::fail(FailureKind::Refused),
        _ => Step::text(&"leaf ".repeat(80)),
    });
    let house = house(4_000, &model).await;
    for turn in 0..12 {
        ended(&house, &format!("{turn} {}", "tree ".repeat(120))).await;
    }
    let checkpoint = house.events(1).await.into_iter().rev().find_map(|event| match event {
        Event::CheckpointCreated(created) => Some(created.checkpoint),
        _ => None,
    });
    let item = Item {
        id: "rule1".into(),
        section: Section::Constraints,
        text: "never ".repeat(3_000),
        sources: Vec::new(),
        pinned: true,
    };
    let summary = Summary { goal: "trees".into(), items: vec![item], ..Summary::default() };
    context(&house, ContextCommand::Edit { checkpoint: checkpoint.unwrap(), summary }).await;
    let before = count(&house, "compaction.started").await;
    let (ending, error) = ended(&house, "and now?").await;
    assert_eq!((ending, error.unwrap().code.as_str()), (Ending::Failed, "context_overflow"));
    let tried = count(&house, "compaction.started").await - before;
    assert!(tried <= 4, "{tried}");
    context(&house, ContextCommand::Reset).await;
    assert_eq!(ended(&house, "hi").await, (Ending::Complete, None));
}

#[tokio::test(start_paused = true)]
async fn a_compaction_that_was_cancelled_is_over_and_another_can_be_asked_for() {
    let model =
        Scripted::by(|request, _| if request.purpose == Purpose::Condense { change().held() } else { Step::text("a") });
    let house = house(64_000, &model).await;
    for turn in 0..8 {
        ended(&house, &format!("{turn} {}", "tree ".repeat(120))).await;
    }
    let compact = || ContextCommand::Compact { focus: None, model: None, plan: None };
    let before = house.events(1).await.len();
    for what in [ContextCommand::Cancel, ContextCommand::Activate(None), ContextCommand::Clear { summary: None }] {
        context(&house, compact()).await;
        house.until(1, "compaction.started").await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        context(&house, what).await;
        // Nobody waits for that model any more: the session has nothing under way, and leaves memory.
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert_eq!(house.runtime.live(), 0);
    }
    assert_eq!(count(&house, "compaction.cancelled").await, 3);
    context(&house, ContextCommand::Activate(None)).await;
    context(&house, compact()).await;
    (0..8).for_each(|_| model.release());
    house.until(1, "checkpoint.created").await;
    assert!(house.events(1).await.len() > before);
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_becomes_known_later_is_in_no_checkpoint_that_is_shown() {
    let model =
        Scripted::by(|request, _| if request.purpose == Purpose::Condense { change() } else { Step::text("a leaf") });
    let secrets = Secrets::default();
    let toolbox = Toolbox::new(Vec::new());
    let kit = kit(model.clone(), toolbox, "");
    let house = House::of(Agents { secrets: secrets.clone(), ..Agents::of(kit) }).await;
    for turn in 0..8 {
        ended(&house, &format!("{turn}: the key is swordfish-4711. {}", "tree ".repeat(120))).await;
    }
    context(&house, ContextCommand::Compact { focus: None, model: None, plan: None }).await;
    house.until(1, "checkpoint.activated").await;
    assert!(secrets.learn([("KEY".to_owned(), Secret::new("swordfish-4711"))]).is_empty());
    ended(&house, "go on").await;
    let asked = model.requests().last().map(text).unwrap();
    assert!(asked.contains("<checkpoint") && !asked.contains("swordfish"), "{asked}");
    let (made, _) = house.runtime.checkpoints(crate::house::id(1)).await.unwrap();
    assert!(made.iter().all(|made| !format!("{made:?}").contains("swordfish")));
}
