//! A model that does not condense as it should, and people who stop it.

use std::sync::atomic::AtomicBool;

use outlive_core::context::{Frame, FrameParts};
use outlive_core::event::{CompactionCancelled, MessageReceived};
use outlive_core::session::{Refusal, View};
use outlive_runtime::SubmitError;

use super::*;

/// A session whose model condenses only while it works.
pub struct Talk {
    pub house: House,
    pub model: Scripted,
    pub works: Arc<AtomicBool>,
}

impl Talk {
    pub async fn with(tokens: u64) -> Self {
        let works = Arc::new(AtomicBool::new(false));
        let now = Arc::clone(&works);
        let brain = move |request: &Request, n| match request.purpose {
            Purpose::Condense if !now.load(Ordering::Relaxed) => Step::fail(FailureKind::Overloaded),
            _otherwise => good(request, n),
        };
        let (kit, model) = small(brain, tokens);
        Self { house: House::of(Agents::of(kit)).await, model, works }
    }

    /// How often the model was asked to condense.
    pub fn asked(&self) -> usize {
        self.model.requests().iter().filter(|request| request.purpose == Purpose::Condense).count()
    }

    pub async fn view(&self) -> View {
        self.house.runtime.view(id(1)).await.unwrap().upkeep.view.clone()
    }

    /// Talks until what is made is like this.
    pub async fn until(&self, what: impl Fn(&[CheckpointCreated]) -> bool) -> Vec<CheckpointCreated> {
        for _ in 0..60 {
            let made = checkpoints(&self.house).await;
            if what(&made) {
                return made;
            }
            talk(&self.house, 1).await;
            settled().await;
        }
        let made = checkpoints(&self.house).await;
        assert!(what(&made), "it never was: {:?}", self.view().await);
        made
    }

    /// Talks until the model was asked so often.
    async fn until_asked(&self, times: usize) {
        self.until(|_| self.asked() >= times).await;
        assert_eq!(self.asked(), times);
    }
}

/// All that is under way has got as far as it can.
pub async fn settled() {
    tokio::time::sleep(Duration::from_millis(200)).await;
}

pub async fn named(house: &House, name: &str) -> usize {
    house.events(1).await.iter().filter(|event| event.name() == name).count()
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_of_events_alone_is_made_anew_once_the_model_works_again() {
    let talk = Talk::with(4_000).await;
    let made = talk.until(|made| !made.is_empty()).await;
    assert_eq!((made[0].made.strategy, talk.asked()), (Strategy::Deterministic, 1));
    talk.works.store(true, Ordering::Relaxed);
    super::talk(&talk.house, 1).await;
    settled().await;
    assert_eq!(talk.asked(), 1, "it rests for a minute");
    tokio::time::advance(Duration::from_secs(61)).await;
    let made = talk.until(|made| made.len() == 2).await;
    let (first, second) = (&made[0], &made[1]);
    assert_eq!((second.made.trigger, second.made.strategy), (CompactionTrigger::Upgrade, Strategy::Model));
    assert_eq!((second.covers, second.tail_from, second.parent), (first.covers, first.tail_from, first.parent));
    super::talk(&talk.house, 1).await;
    let request = talk.model.requests().pop().unwrap();
    let said = format!("{:?}", request.messages);
    assert!(said.contains("they talk about trees"), "the model sees the better one: {said}");
    let view = talk.view().await;
    assert_eq!((view.failures, view.rests_until), (0, None));
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_in_the_middle_of_a_long_turn_keeps_its_request_also_when_it_is_made_anew() {
    let (works, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (now, steps) = (Arc::clone(&works), Arc::clone(&asked));
    let todo = json!({ "items": [{ "text": "oak ".repeat(60), "status": "pending" }] });
    let model = Scripted::by(move |request, _| match request.purpose {
        Purpose::Condense if now.load(Ordering::Relaxed) => change(),
        Purpose::Condense => Step::fail(FailureKind::Overloaded),
        _step => match steps.fetch_add(1, Ordering::Relaxed) {
            // Time passes, and whoever condenses works again.
            36 => Step::call("todo", &todo).held(),
            48.. => Step::text("done"),
            _few => Step::call("todo", &todo),
        },
    });
    let toolbox = Toolbox::new(vec![Arc::new(outlive_tools::builtin::TodoList)]);
    let mut voice = voice(model.clone(), &toolbox);
    voice.frame.window = Window { tokens: 4_000, output: 500, buffer: 250, ..Window::default() };
    let keeper = Keeper::plain(&voice);
    let kit = Kit { keeper, voices: Voices::only(voice), ..kit(Scripted::default(), toolbox, "") };
    let house = House::of(Agents::of(kit)).await;
    let said = house.say(1, "count all the trees in this forest").await;
    while asked.load(Ordering::Relaxed) < 37 {
        settled().await;
    }
    let made = checkpoints(&house).await;
    assert!(!made.is_empty() && made.iter().all(|it| it.made.strategy == Strategy::Deterministic), "{}", made.len());
    works.store(true, Ordering::Relaxed);
    tokio::time::advance(Duration::from_secs(7_200)).await;
    model.release();
    assert_eq!(house.outcome(1, said).await.ending, Ending::Complete);
    settled().await;
    let made = checkpoints(&house).await;
    assert!(made.iter().any(|it| it.made.trigger == CompactionTrigger::Upgrade), "{:?}", made.last());
    for made in made {
        assert!(made.summary.last_request.contains("count all the trees"), "{:?} {:?}", made.made, made.summary);
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_that_goes_on_failing_is_asked_ever_less_often_also_after_a_restart() {
    let mut talk = Talk::with(4_000).await;
    for (times, rests) in [(1, 60), (2, 300), (3, 3_600)] {
        talk.until_asked(times).await;
        super::talk(&talk.house, 12).await;
        settled().await;
        assert_eq!(talk.asked(), times, "nothing is asked while it rests");
        if times == 3 {
            talk.house.die().await;
            tokio::time::advance(Duration::from_secs(1_000)).await;
            super::talk(&talk.house, 12).await;
            settled().await;
            assert_eq!((talk.asked(), talk.view().await.failures), (3, 3), "a restart forgets nothing of it");
        }
        tokio::time::advance(Duration::from_secs(rests)).await;
    }
    talk.works.store(true, Ordering::Relaxed);
    talk.until(|made| made.last().is_some_and(|last| last.made.strategy == Strategy::Model)).await;
    let view = talk.view().await;
    assert_eq!((view.failures, view.rests_until), (0, None));
}

/// A session in which a model condenses until it is released.
async fn held() -> Talk {
    let (kit, model) = small(
        |request, n| if request.purpose == Purpose::Condense { change().held() } else { good(request, n) },
        16_000,
    );
    let talk = Talk { house: House::of(Agents::of(kit)).await, model, works: Arc::default() };
    talk.until_asked(1).await;
    talk
}

#[tokio::test(start_paused = true)]
async fn a_compaction_that_is_cancelled_leaves_everything_as_it_was_and_is_not_begun_again() {
    let talk = held().await;
    let before = talk.view().await;
    let under_way = before.under_way.clone().unwrap();
    let cancel = Command::Context { what: ContextCommand::Cancel, by: by() };
    talk.house.ask(1, cancel.clone()).await.unwrap();
    (0..8).for_each(|_| talk.model.release());
    settled().await;
    let after = talk.view().await;
    assert_eq!((after.under_way, after.checkpoint, after.tail_from), (None, None, 0));
    assert_eq!((after.made, after.failures, after.meagre), (Vec::new(), 0, 0));
    let events = talk.house.events(1).await;
    let compaction = under_way.compaction;
    assert_eq!(*events.last().unwrap(), Event::CompactionCancelled(CompactionCancelled { compaction, by: by() }));
    talk.house.ask(1, cancel).await.unwrap();
    assert_eq!(talk.house.events(1).await.len(), events.len(), "there is nothing to cancel");
    // The same is not condensed again by itself; what is asked for is.
    let begun = named(&talk.house, "compaction.started").await;
    let said = talk.house.say(1, "short").await;
    talk.house.outcome(1, said).await;
    settled().await;
    let again = talk.view().await.under_way;
    assert!(again.is_none_or(|it| it.started.covers != under_way.started.covers), "it was begun again");
    assert!(named(&talk.house, "compaction.started").await <= begun + 1);
}

#[tokio::test(start_paused = true)]
async fn only_one_compaction_is_under_way() {
    let talk = held().await;
    let compact = ContextCommand::Compact { focus: None, model: None, plan: None };
    let refused = talk.house.ask(1, Command::Context { what: compact, by: by() }).await.unwrap_err();
    let SubmitError::Refused(Refusal::Invalid { code, .. }) = refused else { panic!("{refused}") };
    assert_eq!(code, "compaction_running");
    assert_eq!(named(&talk.house, "compaction.started").await, 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_said_while_a_request_waits_for_a_compaction_is_kept_in_order() {
    let talk = held().await;
    let word = |n: usize| format!("word {n}: {}", "tree ".repeat(700));
    let mut said = Vec::new();
    for n in 0..9 {
        said.push(talk.house.say(1, &word(n)).await);
        settled().await;
    }
    assert!(talk.house.runtime.view(id(1)).await.unwrap().turn.is_some(), "a request waits");
    let asked = talk.model.requests().len();
    settled().await;
    assert_eq!(talk.model.requests().len(), asked);
    (0..40).for_each(|_| talk.model.release());
    while talk.house.runtime.view(id(1)).await.unwrap().turn.is_some() {
        settled().await;
    }
    let events = talk.house.events(1).await;
    let heard = events.iter().filter_map(|event| match event {
        Event::MessageReceived(MessageReceived { content, .. }) => content.strip_prefix("word ")?.chars().next(),
        _other => None,
    });
    assert_eq!(heard.collect::<String>(), "012345678");
    let steps = talk.model.requests().into_iter().filter(|request| request.purpose == Purpose::Step);
    assert!(steps.last().is_some_and(|last| format!("{:?}", last.messages).contains("word 8")));
}

#[tokio::test(start_paused = true)]
async fn it_is_said_once_that_nothing_can_be_made_shorter() {
    let (mut kit, _) = small(good, 4_000);
    let mut first = voice(Scripted::by(good), &kit.toolbox);
    let window = kit.voices.at(0).frame.window;
    // The agent's own words fill most of the window.
    let system = vec!["oak ".repeat(usize::try_from(window.soft()).unwrap())];
    first.frame = Frame::new(FrameParts {
        system,
        tools: Vec::new(),
        max_output_tokens: 100,
        temperature: None,
        model: first.frame.model,
        agent_digest: "0".into(),
        window,
    });
    kit.voices = Voices::only(first);
    let house = House::of(Agents::of(kit)).await;
    for _ in 0..4 {
        let said = house.say(1, "short").await;
        house.outcome(1, said).await;
    }
    assert_eq!((named(&house, "compaction.skipped").await, named(&house, "compaction.started").await), (1, 0));
}
