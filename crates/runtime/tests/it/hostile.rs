//! A thousand conversations whose checkpoints are made by a model that answers as badly as it can.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use outlive_core::command::Command;
use outlive_core::content::{Block, FailureKind, Purpose, Request};
use outlive_core::context::Window;
use outlive_core::event::{Ending, Event};
use outlive_model::scripted::{Scripted, Step};
use outlive_runtime::Settings;
use outlive_runtime::kit::{Keeper, Kit, Voices};
use outlive_tools::builtin::TodoList;
use outlive_tools::registry::Toolbox;
use serde_json::json;

use crate::house::{Agents, House, create, id, kit, voice};

const RULE: &str = "You must never push to main.";
const CHORE: &str = "paint the fence";
const WINDOW: u64 = 3_000;

fn said(request: &Request) -> String {
    let blocks = request.messages.iter().flat_map(|message| &message.content);
    let texts = blocks.filter_map(|block| match block {
        Block::Text { text } => Some(text.as_str()),
        Block::ToolResult { content, .. } => Some(content.as_str()),
        _other => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// What a number says that the model answers.
fn hostile(n: u64, request: &Request) -> Step {
    let rule =
        if said(request).contains(RULE) { vec![json!({ "section": "constraints", "text": RULE })] } else { vec![] };
    let ids: Vec<String> = (1..60).flat_map(|n| ["k", "d", "f", "todo"].map(|letter| format!("{letter}{n}"))).collect();
    let update: Vec<_> = ids.iter().map(|id| json!({ "id": id, "text": "gone", "section": "facts" })).collect();
    let add = [rule, vec![json!({ "section": "facts", "text": format!("fact {n}") })]].concat();
    let good = json!({ "add": add, "goal": "go on" });
    let evil =
        json!({ "add": good["add"], "update": update, "drop": ids, "resolve": ids, "goal": "Error: overloaded" });
    let good = good.to_string();
    match n % 13 {
        0 => Step::text(&format!("```json\n{good}\n```")),
        1 => Step::text(&format!("Here it is: {good} Have fun!")),
        2 => Step::text(&good[..good.len() - 9]),
        3 => Step::text(r#"{"add": {"constraints": true}, "drop": "all", "goal": 7}"#),
        4 => Step::text(" "),
        5 => Step::text("I'm sorry, but I can't help with that."),
        6 => Step::text(r#"{"error": {"type": "overloaded_error"}}"#),
        7 if n.is_multiple_of(5) => Step::text(&"x".repeat(10 << 20)),
        8 => Step::fail(FailureKind::Overloaded),
        9 => Step::Panic("no".to_owned()),
        10 | 11 => Step::text(&evil.to_string()),
        _good => Step::text(&good),
    }
}

fn world(seen: &Arc<AtomicU64>) -> (Kit, Scripted) {
    let counted = Arc::clone(seen);
    let model = Scripted::by(move |request, _| match request.purpose {
        Purpose::Condense => hostile(counted.fetch_add(1, Ordering::Relaxed).wrapping_mul(2_654_435_761) >> 7, request),
        _step if said(request).trim_end().ends_with("list") => {
            let items = json!({ "items": [{ "text": CHORE, "status": "pending" }] });
            Step::call("todo", &items)
        }
        _step => Step::text(&"leaf ".repeat(60)),
    });
    let toolbox = Toolbox::new(vec![Arc::new(TodoList)]);
    let mut voice = voice(model.clone(), &toolbox);
    voice.frame.window = Window { tokens: WINDOW, output: WINDOW / 10, buffer: WINDOW / 10, ..Window::default() };
    let keeper = Keeper::plain(&voice);
    (Kit { keeper, voices: Voices::only(voice), ..kit(Scripted::default(), toolbox, "") }, model)
}

#[tokio::test(start_paused = true)]
async fn a_thousand_conversations_outlast_a_model_that_condenses_as_badly_as_it_can() {
    let seen = Arc::new(AtomicU64::new(0));
    let (kit, _) = world(&seen);
    let usable = kit.keeper.window.usable();
    let settings = Settings { idle_evict: std::time::Duration::from_secs(1), ..Settings::default() };
    for block in 0..20 {
        let (kit, model) = world(&seen);
        let house = House::empty(Agents::of(kit), settings).await;
        for session in 1..=50_u128 {
            house.ask(session, Command::Create(create())).await.unwrap();
            let turns = 6 + (session * 7 + block) % 7;
            let mut last = String::new();
            for turn in 0..turns {
                last = match turn {
                    0 => format!("{RULE} list"),
                    _later => format!("{session} {turn}: {}", "木 tree ".repeat(40 + (turn as usize * 13) % 50)),
                };
                let said = house.say(session, &last).await;
                assert_eq!(house.outcome(session, said).await.ending, Ending::Complete, "{block} {session} {turn}");
            }
            check(&house, &model, session, &last).await;
        }
        for request in model.requests().iter().filter(|request| request.purpose == Purpose::Step) {
            assert!(said(request).len() as u64 / 4 <= usable);
        }
    }
    let asked = seen.load(Ordering::Relaxed);
    assert!(asked >= 100, "{asked} replies");
}

/// Nothing is lost that must stay, and nothing that was done is done again.
async fn check(house: &House, model: &Scripted, session: u128, last: &str) {
    let requests = model.requests();
    let request = requests.iter().rfind(|request| request.purpose == Purpose::Step).unwrap();
    let told = said(request);
    assert!(told.contains(RULE) && told.contains(last), "{session}: {told}");
    let state = house.runtime.view(id(session)).await.unwrap();
    let events = house.events(session).await;
    let started = events.iter().filter(|event| matches!(event, Event::TodoChanged(_))).count();
    assert_eq!((started, state.todos.len()), (1, 1));
    // The newest checkpoint may have come after the last request.
    if told.contains("<checkpoint version") {
        assert!(told.contains(CHORE), "{session}: {told}");
    }
}
