//! A conversation outgrows its model's window, and goes on.

mod bounds;
mod carried;
mod failing;
mod history;
mod usable;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use outlive_core::command::{Command, ContextCommand};
use outlive_core::content::{Block, FailureKind, Message, Purpose, Request};
use outlive_core::context::Window;
use outlive_core::event::{CheckpointCreated, CompactionTrigger, Ending, Event, Strategy};
use outlive_model::scripted::{Scripted, Step};
use outlive_runtime::kit::{Keeper, Kit, Voices};
use outlive_tools::registry::Toolbox;
use serde_json::json;

use crate::house::{Agents, House, by, id, kit, voice};

const RULE: &str = "You must never push to main.";

/// A kit whose model takes so many tokens.
fn small(model: impl Fn(&Request, usize) -> Step + Send + Sync + 'static, tokens: u64) -> (Kit, Scripted) {
    let model = Scripted::by(model);
    let toolbox = Toolbox::new(Vec::new());
    let mut voice = voice(model.clone(), &toolbox);
    voice.frame.window = Window { tokens, output: tokens / 8, buffer: tokens / 16, ..Window::default() };
    let keeper = Keeper::plain(&voice);
    (Kit { keeper, voices: Voices::only(voice), ..kit(Scripted::default(), toolbox, "") }, model)
}

fn bytes(request: &Request) -> u64 {
    let text = |block: &Block| if let Block::Text { text } = block { text.len() } else { 0 };
    let said = |message: &Arc<Message>| message.content.iter().map(text).sum::<usize>();
    request.messages.iter().map(said).sum::<usize>() as u64
}

fn change() -> Step {
    let add = json!([{ "section": "facts", "text": "they talk about trees", "sources": [3] }]);
    Step::text(
        &json!({ "add": add, "update": [], "resolve": [], "drop": [], "goal": "talk", "next_step": "" }).to_string(),
    )
}

fn good(request: &Request, _: usize) -> Step {
    match request.purpose {
        Purpose::Condense => change(),
        Purpose::Step | Purpose::Observe | Purpose::Reflect => Step::text(&"leaf ".repeat(80)),
    }
}

async fn talk(house: &House, turns: usize) {
    for turn in 0..turns {
        let said = house.say(1, &format!("{turn}: {RULE} {}", "tree ".repeat(120))).await;
        assert_eq!(house.outcome(1, said).await.ending, Ending::Complete, "turn {turn}");
    }
}

async fn checkpoints(house: &House) -> Vec<CheckpointCreated> {
    let created = |event| if let Event::CheckpointCreated(created) = event { Some(created) } else { None };
    house.events(1).await.into_iter().filter_map(created).collect()
}

async fn lines(house: &House) -> Vec<String> {
    let lines = house.runtime.entries(id(1), 0, 100_000).await.unwrap();
    lines.iter().map(|line| line.as_str().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_long_conversation_is_condensed_again_and_again_and_its_history_stays() {
    let (kit, model) = small(good, 4_000);
    let usable = kit.keeper.window.usable();
    let mut house = House::of(Agents::of(kit)).await;
    talk(&house, 30).await;
    let before = lines(&house).await;
    house.die().await;
    talk(&house, 160).await;
    let made = checkpoints(&house).await;
    assert!(made.len() >= 20, "{} checkpoints", made.len());
    let after = lines(&house).await;
    assert_eq!(after[..before.len()], before[..]);
    for request in model.requests() {
        assert!(bytes(&request) / 4 <= usable, "{} of {usable}", bytes(&request) / 4);
    }
    for created in &made {
        assert!(created.tokens.1 * 100 <= created.tokens.0 * 60, "{:?}", created.tokens);
        assert_eq!(created.made.strategy, Strategy::Model);
        assert!(!created.summary.last_request.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_takes_no_longer_while_a_slow_model_condenses() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&asked);
    let (kit, model) = small(
        move |request, n| {
            if request.purpose == Purpose::Condense {
                counts.fetch_add(1, Ordering::Relaxed);
                return change().held();
            }
            good(request, n)
        },
        16_000,
    );
    let house = House::of(Agents::of(kit)).await;
    while asked.load(Ordering::Relaxed) == 0 {
        talk(&house, 1).await;
    }
    let began = tokio::time::Instant::now();
    talk(&house, 2).await;
    assert!(began.elapsed() < Duration::from_millis(1), "{:?}", began.elapsed());
    // One for each piece.
    (0..4).for_each(|_| model.release());
    house.until(1, "checkpoint.activated").await;
    talk(&house, 1).await;
    let said = model.requests().last().map(|request| format!("{:?}", request.messages)).unwrap_or_default();
    assert!(said.contains("<checkpoint version") && said.contains("they talk about trees"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_model_that_answers_nonsense_is_asked_once_more_and_then_events_alone_do() {
    let (kit, model) = small(
        |request, n| if request.purpose == Purpose::Condense { Step::text("I'm sorry.") } else { good(request, n) },
        4_000,
    );
    let house = House::of(Agents::of(kit)).await;
    talk(&house, 12).await;
    let made = checkpoints(&house).await;
    assert_eq!(made[0].made.strategy, Strategy::Deterministic);
    assert!(made.last().unwrap().summary.items.iter().any(|item| item.text.contains("never push to main")));
    let asked = model.requests().iter().filter(|request| request.purpose == Purpose::Condense).count();
    // The pauses between failures are longer than this conversation.
    assert_eq!(asked, 2);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_says_the_request_is_too_long_is_believed() {
    let (kit, _) = small(
        |request, n| {
            if request.purpose == Purpose::Step && bytes(request) > 6_000 {
                let mut failure = Step::fail(FailureKind::Overflow);
                if let Step::Fail(failure) = &mut failure {
                    failure.message = "prompt is too long: 2000 tokens > 1500 maximum".to_owned();
                }
                return failure;
            }
            good(request, n)
        },
        64_000,
    );
    let house = House::of(Agents::of(kit)).await;
    talk(&house, 20).await;
    let made = checkpoints(&house).await;
    assert!(!made.is_empty() && made.iter().all(|it| it.made.trigger == CompactionTrigger::Overflow));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_no_checkpoint_makes_fit_fails_its_turn_and_no_other() {
    let (kit, model) = small(good, 4_000);
    let house = House::of(Agents::of(kit)).await;
    talk(&house, 3).await;
    let said = house.say(1, &"語".repeat(60_000)).await;
    let ended = house.outcome(1, said).await;
    let error = ended.error.unwrap();
    assert_eq!((ended.ending, error.code.as_str()), (Ending::Failed, "context_overflow"));
    assert!(error.message.contains("message "), "{}", error.message);
    assert!(model.requests().iter().all(|request| bytes(request) < 16_000));
}

#[tokio::test(start_paused = true)]
async fn what_the_model_sees_can_be_condensed_undone_cleared_and_pinned_by_hand() {
    let (kit, model) = small(good, 64_000);
    let house = House::of(Agents::of(kit)).await;
    talk(&house, 8).await;
    let ask = async |what| house.ask(1, Command::Context { what, by: by() }).await;
    ask(ContextCommand::Compact { focus: Some("trees".into()), model: None, plan: None }).await.unwrap();
    house.until(1, "checkpoint.activated").await;
    let made = checkpoints(&house).await;
    let item = made[0].summary.items[0].id.clone();
    ask(ContextCommand::Pin { item, pinned: true, summary: None }).await.unwrap();
    let pinned = checkpoints(&house).await.pop().unwrap();
    assert!(pinned.summary.items[0].pinned && pinned.made.strategy == Strategy::Edited && pinned.version == 2);
    let mut seen = Vec::new();
    for what in [ContextCommand::Clear { summary: None }, ContextCommand::Reset, ContextCommand::Activate(None)] {
        ask(what).await.unwrap();
        talk(&house, 1).await;
        seen.push(model.requests().last().map(bytes).unwrap_or_default());
    }
    assert!(seen[1] < seen[0] && seen[0] < seen[2], "{seen:?}");
    let unknown = ask(ContextCommand::Pin { item: "x9".into(), pinned: true, summary: None }).await;
    assert!(unknown.is_err());
}
