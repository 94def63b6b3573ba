//! Whatever is said, whatever tools print, however small the window is: no request has more than is usable, no call is parted from
//! its result, and nothing that binds is lost without a word.

use outlive_core::compaction::Section;
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

/// Each text of a request.
fn texts(request: &Request) -> Vec<String> {
    let said = |block: &Block| match block {
        Block::Text { text } => Some(text.clone()),
        Block::ToolResult { content, .. } => Some(content.clone()),
        Block::ToolUse { name, input, .. } => Some(format!("{name}{input}")),
        _other => None,
    };
    let messages = request.messages.iter().flat_map(|message| &message.content).filter_map(said);
    let tools = serde_json::to_string(&request.tools).unwrap();
    messages.chain([tools]).chain(request.system.iter().cloned()).collect()
}

/// How a provider counts.
#[derive(Clone)]
enum Counted {
    /// So many bytes a token.
    Bytes(u64),
    /// As the vocabulary has them.
    Exactly(Arc<dyn Counter>),
}

impl Counted {
    fn tokens(&self, request: &Request) -> u64 {
        let texts = texts(request);
        match self {
            Self::Bytes(bytes) => texts.iter().map(String::len).sum::<usize>() as u64 / bytes,
            Self::Exactly(counter) => texts.iter().map(|text| u64::from(counter.count(text))).sum(),
        }
    }
}

/// The vocabulary, once it is read.
fn vocabulary() -> Arc<dyn Counter> {
    let counter = outlive_model::tokens::counter();
    while { counter.count("x") } > 0 && counter.is_coming() {
        std::thread::yield_now();
    }
    counter
}

/// Says whether each call has its result in the next message.
fn is_paired(request: &Request) -> bool {
    let calls = |message: &Message| -> Vec<_> {
        let call = |block: &Block| if let Block::ToolUse { id, .. } = block { Some(*id) } else { None };
        message.content.iter().filter_map(call).collect()
    };
    let results = |message: &Message| -> Vec<_> {
        let result = |block: &Block| if let Block::ToolResult { id, .. } = block { Some(*id) } else { None };
        message.content.iter().filter_map(result).collect()
    };
    let pairs = request.messages.windows(2).all(|pair| calls(&pair[0]) == results(&pair[1]));
    let first = request.messages.first().is_none_or(|first| results(first).is_empty());
    pairs && first && request.messages.last().is_none_or(|last| calls(last).is_empty())
}

/// What binds in one checkpoint binds in the next, and what a person said binds where events alone were looked at.
fn binding_stays(events: &[Event], seed: u64) {
    let made = events.iter().filter_map(|event| match event {
        Event::CheckpointCreated(created) => Some(created),
        _other => None,
    });
    let made: Vec<&CheckpointCreated> = made.collect();
    for created in &made {
        let parent = made.iter().find(|parent| Some(parent.checkpoint) == created.parent);
        let before = parent.map(|parent| parent.summary.items.as_slice()).unwrap_or_default();
        for item in before.iter().filter(|item| item.section == Section::Constraints) {
            assert!(created.summary.items.contains(item), "seed {seed}: {item:?} is lost in {}", created.version);
        }
        if created.made.strategy != Strategy::Deterministic {
            continue;
        }
        let covered =
            events.iter().zip(1..).filter(|(_, seq)| (created.covers.first..=created.covers.last).contains(seq));
        for (event, seq) in covered {
            let Event::MessageReceived(message) = event else { continue };
            let rule = message.content.split_inclusive('.').next().unwrap();
            let mut items = created.summary.items.iter();
            let is_kept = items.any(|item| item.section == Section::Constraints && item.text == rule);
            assert!(is_kept || created.summary.moved.contains(&seq), "seed {seed}: `{rule}` is lost");
        }
    }
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
async fn no_request_has_more_than_is_usable_and_nothing_that_binds_is_lost_whatever_it_is_made_of() {
    let (mut failed, mut made, mut pruned, exact) = (0, 0, 0, vocabulary());
    for seed in 0..SEEDS {
        let mut dice = Dice::new(seed ^ 0xfeed);
        let window = WINDOWS[dice.throw(WINDOWS.len() as u64) as usize];
        let (kit, model, usable) = world(seed, window);
        let scales = |counter| Some(Arc::new(Scales::new(counter)));
        let (scales, counted) = match seed % 4 {
            0 => (None, Counted::Bytes(4)),
            1 if window <= 40_000 => (scales(Arc::clone(&exact)), Counted::Exactly(Arc::clone(&exact))),
            _dense => (scales(Arc::new(Dense) as Arc<dyn Counter>), Counted::Bytes(2)),
        };
        let house = House::of(Agents { scales, ..Agents::of(kit) }).await;
        for turn in 0..12 + dice.throw(12) {
            let bytes = size(&mut dice, window);
            let text = format!("Never touch tree {turn}. {}", said(&mut dice, bytes));
            let heard = house.say(1, &text).await;
            let ended = house.outcome(1, heard).await;
            if ended.ending != Ending::Complete {
                let error = ended.error.unwrap();
                assert_eq!(error.code, "context_overflow", "seed {seed}, turn {turn}: {}", error.message);
                failed += 1;
            }
        }
        for request in model.requests().iter().filter(|request| request.purpose == Purpose::Step) {
            let tokens = counted.tokens(request);
            assert!(tokens <= usable, "seed {seed}: {tokens} of {usable}");
            assert!(is_paired(request), "seed {seed}: {:?}", request.messages);
        }
        let state = house.runtime.view(id(1)).await.unwrap();
        assert_eq!(state.status(), Status::Idle, "seed {seed}");
        let events = house.events(1).await;
        binding_stays(&events, seed);
        made += events.iter().filter(|event| matches!(event, Event::CheckpointCreated(_))).count();
        pruned += events.iter().filter(|event| matches!(event, Event::ContextPruned(_))).count();
        // However often something is tried, it is not tried for ever.
        assert!(events.len() < 2_000, "seed {seed}: {} events", events.len());
    }
    assert!(failed > 0 && made > 50 && pruned > 5, "{failed} too long, {made} checkpoints, {pruned} prunings");
}
