//! Whatever is said, whatever tools print, however small the window is: no request has more than is usable.

use outlive_core::content::ToolSpec;
use outlive_core::context::Counter;
use outlive_core::context::sample::Dice;
use outlive_core::event::{Effect, OnLost};
use outlive_core::policy::{Reach, Subject};
use outlive_core::session::Status;
use outlive_runtime::scales::Scales;
use outlive_tools::{Assessment, Finished, Invocation, Pending, Place, Span, Tool};
use serde_json::Value;

use super::*;

/// Conversations; the seed of one that fails is told.
const SEEDS: u64 = 48;
const WINDOWS: [u64; 5] = [1_200, 2_500, 8_000, 40_000, 200_000];

/// Prints as many bytes as it is asked for.
struct Print(String);

impl Tool for Print {
    fn spec(&self) -> ToolSpec {
        let input_schema =
            json!({"type": "object", "properties": {"seed": {"type": "integer"}, "bytes": {"type": "integer"}}});
        ToolSpec {
            name: self.0.clone(),
            description: "Prints something, as long as it is asked to.".into(),
            input_schema,
        }
    }

    fn assess(&self, arguments: &Value, _place: &Place) -> Result<Assessment, String> {
        let subject = Subject { tool: self.0.clone(), target: arguments.to_string(), reach: Reach::Within };
        let (effect, on_lost, summary) = (Effect::Read, OnLost::Report, "print".to_owned());
        Ok(Assessment { effect, on_lost, subject, summary, span: Span::Call })
    }

    fn run(&self, invocation: Invocation) -> Pending<'_, Finished> {
        let number = |key: &str| invocation.arguments[key].as_u64().unwrap_or(0);
        let said = said(&mut Dice::new(number("seed")), number("bytes"));
        Box::pin(std::future::ready(Finished::ok(said)))
    }
}

/// About so many bytes of something.
fn said(dice: &mut Dice, bytes: u64) -> String {
    let mut text = match dice.throw(5) {
        0 => "漢字かな交じり文".repeat(bytes as usize / 24 + 1),
        1 => "QmFzZTY0IGlzIG5vIHRleHQ".repeat(bytes as usize / 23 + 1),
        2 => dice.code(bytes / 40 + 1),
        3 => "🦀 ".repeat(bytes as usize / 5 + 1),
        _prose => dice.prose(bytes / 60 + 1),
    };
    text.truncate(text.floor_char_boundary(bytes as usize));
    text
}

/// A text's size: mostly small, sometimes 50,000 tokens.
fn size(dice: &mut Dice, window: u64) -> u64 {
    match dice.throw(12) {
        0 => 200_000,
        1 | 2 => window * 4 / (1 + dice.throw(6)),
        3..=5 => 2_000,
        _small => 20 + dice.throw(600),
    }
}

/// Two bytes a token: more than what is guessed where nobody counts.
struct Dense;

impl Counter for Dense {
    fn count(&self, text: &str) -> u32 {
        u32::try_from(text.len()).unwrap() / 2
    }
}

/// All bytes of a request.
fn weight(request: &Request) -> u64 {
    let said = |block: &Block| match block {
        Block::Text { text } => text.len(),
        Block::ToolResult { content, .. } => content.len(),
        Block::ToolUse { name, input, .. } => name.len() + input.to_string().len(),
        _other => 0,
    };
    let messages: usize = request.messages.iter().flat_map(|message| &message.content).map(said).sum();
    let tools = serde_json::to_string(&request.tools).unwrap().len();
    (messages + tools + request.system.iter().map(String::len).sum::<usize>()) as u64
}

fn world(seed: u64, window: u64) -> (Kit, Scripted, u64) {
    let model = Scripted::by(move |request, n| {
        let mut dice = Dice::new(seed * 1_000 + n as u64);
        match request.purpose {
            // Where nothing can be made of its answers, events alone do.
            Purpose::Condense if seed.is_multiple_of(3) => Step::text("no"),
            Purpose::Condense => change(),
            _step if dice.throw(3) == 0 => {
                let bytes = size(&mut dice, window).min(30_000);
                Step::call("print_0", &json!({"seed": dice.throw(1 << 20), "bytes": bytes}))
            }
            _step => Step::text(&said(&mut dice, 600)),
        }
    });
    let mut dice = Dice::new(seed);
    let many = [1, 4, 40][dice.throw(3) as usize];
    let tools: Vec<Arc<dyn Tool>> = (0..many).map(|n| Arc::new(Print(format!("print_{n}"))) as Arc<dyn Tool>).collect();
    let toolbox = Toolbox::new(tools);
    let mut voice = voice(model.clone(), &toolbox);
    voice.frame.window = Window { tokens: window, output: window / 8, buffer: window / 16, ..Window::default() };
    let (usable, keeper) = (voice.frame.window.usable(), Keeper::plain(&voice));
    (Kit { keeper, voices: Voices::only(voice), ..kit(Scripted::default(), toolbox, "") }, model, usable)
}

#[tokio::test(start_paused = true)]
async fn no_request_has_more_than_is_usable_whatever_it_is_made_of() {
    let (mut failed, mut made, mut pruned) = (0, 0, 0);
    for seed in 0..SEEDS {
        let mut dice = Dice::new(seed ^ 0xfeed);
        let window = WINDOWS[dice.throw(WINDOWS.len() as u64) as usize];
        let (kit, model, usable) = world(seed, window);
        let (scales, bytes_a_token) = match seed % 2 {
            0 => (None, 4),
            _dense => (Some(Arc::new(Scales::new(Arc::new(Dense)))), 2),
        };
        let house = House::of(Agents { scales, ..Agents::of(kit) }).await;
        for turn in 0..12 + dice.throw(12) {
            let bytes = size(&mut dice, window);
            let text = format!("{turn}: {}", said(&mut dice, bytes));
            let heard = house.say(1, &text).await;
            let ended = house.outcome(1, heard).await;
            if ended.ending != Ending::Complete {
                let error = ended.error.unwrap();
                assert_eq!(error.code, "context_overflow", "seed {seed}, turn {turn}: {}", error.message);
                failed += 1;
            }
        }
        for request in model.requests().iter().filter(|request| request.purpose == Purpose::Step) {
            let tokens = weight(request) / bytes_a_token;
            assert!(tokens <= usable, "seed {seed}: {tokens} of {usable}");
        }
        let state = house.runtime.view(id(1)).await.unwrap();
        assert_eq!(state.status(), Status::Idle, "seed {seed}");
        let events = house.events(1).await;
        made += events.iter().filter(|event| matches!(event, Event::CheckpointCreated(_))).count();
        pruned += events.iter().filter(|event| matches!(event, Event::ContextPruned(_))).count();
        // However often something is tried, it is not tried for ever.
        assert!(events.len() < 2_000, "seed {seed}: {} events", events.len());
    }
    assert!(failed > 0 && made > 50 && pruned > 5, "{failed} too long, {made} checkpoints, {pruned} prunings");
}
