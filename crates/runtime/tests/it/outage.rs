//! A provider that is down costs time and nothing else: on a paused clock, with processes that die in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use outlive_core::command::Command;
use outlive_core::content::{Failure, FailureKind, Reply, ReplyBlock, Request, StopReason, Usage};
use outlive_core::event::{Effect, Ending, Event};
use outlive_core::policy::Reach;
use outlive_core::session::Status;
use outlive_model::{Description, Model, Pending, Sink, wellformed};
use outlive_runtime::kit::Kit;
use outlive_tools::registry::Toolbox;
use outlive_tools::scripted::{Ledger, Scripted as Tool};
use tokio::time::Instant;

use super::house::{Agents, House, by, id, kit, voice};

/// A model of a provider that is down for a while, in every way that a provider can be.
#[derive(Clone)]
struct Provider {
    name: &'static str,
    down: (Instant, Instant),
    asked: Arc<AtomicUsize>,
}

impl Provider {
    /// Is down from then, for so long.
    fn down(name: &'static str, from: Duration, length: Duration) -> Self {
        let from = Instant::now() + from;
        Self { name, down: (from, from + length), asked: Arc::default() }
    }

    fn up(name: &'static str) -> Self {
        Self::down(name, Duration::ZERO, Duration::ZERO)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn answer(&self, request: &Request) -> Result<Reply, Failure> {
        let turn = self.asked.fetch_add(1, Ordering::SeqCst);
        let fail = |kind, message: &str, retry_after_ms| {
            Err(Failure { kind, message: format!("the provider says: {message}"), retry_after_ms })
        };
        if let Err(why) = wellformed::check(request) {
            return fail(FailureKind::InvalidRequest, &why, None);
        }
        if Instant::now() >= self.down.0 && Instant::now() < self.down.1 {
            return match turn % 4 {
                0 => fail(FailureKind::Overloaded, "overloaded", None),
                1 => fail(FailureKind::RateLimited, "slow down", Some(20_000)),
                2 => fail(FailureKind::Timeout, "no answer", None),
                _ => fail(FailureKind::Network, "no such host", None),
            };
        }
        let last = request.messages.last().map(|message| format!("{message:?}")).unwrap_or_default();
        let works = last.contains("work") && !last.contains("ToolResult");
        let thought = ReplyBlock::Thinking { thinking: format!("as {}", self.name), signature: Some("s".into()) };
        let said = match works {
            true => ReplyBlock::ToolUse { name: "send".into(), arguments: "{}".into() },
            false => ReplyBlock::Text(format!("answered by {}", self.name)),
        };
        let stop_reason = if works { StopReason::ToolUse } else { StopReason::EndTurn };
        let (usage, model) = (Usage::default(), self.name.to_owned());
        Ok(Reply {
            content: vec![thought, said],
            stop_reason,
            usage,
            model,
            provider_request_id: None,
            served_by: None,
        })
    }
}

impl Model for Provider {
    fn describe(&self) -> Description {
        Description { provider: "test".into(), name: self.name.into(), context_window: None }
    }

    fn stream(&self, request: Request, _sink: Sink) -> Pending<'_, Result<Reply, Failure>> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            self.answer(&request)
        })
    }
}

/// A session of an agent with these models, which can send.
async fn with(models: &[Provider]) -> House {
    let send = Tool::new("send", Effect::Effectful, Reach::Within, &Ledger::default());
    let (first, others) = models.split_first().unwrap();
    let kit = kit(first.clone(), Toolbox::new(vec![Arc::new(send)]), "mode: dangerous");
    let others = others.iter().map(|model| voice(model.clone(), &kit.toolbox)).collect();
    House::of(Agents::of(Kit { voices: kit.voices.with_fallback(others, 3, 300_000), ..kit })).await
}

fn count(events: &[Event], name: &str) -> usize {
    events.iter().filter(|event| event.name() == name).count()
}

/// An outage that begins between a call and what the model says of it, with a restart every 37 minutes.
async fn outage(length: Duration) {
    let provider = Provider::down("only", Duration::from_millis(500), length);
    let mut house = with(std::slice::from_ref(&provider)).await;
    let said = house.say(1, "work").await;
    let (over, mut waits) = (Instant::now() + length, 0);
    while Instant::now() + Duration::from_secs(2_220) < over {
        tokio::time::sleep(Duration::from_secs(2_220)).await;
        let state = house.runtime.view(id(1)).await.unwrap();
        let view = outlive_protocol::session::SessionView::of(id(1), &state).unwrap();
        if state.status() == Status::Waiting {
            waits += 1;
            assert!(view.turn.as_ref().unwrap().retry_at.unwrap() > house.runtime.moments().now());
            assert!(view.turn.unwrap().waits_because.is_some());
        }
        house.die().await;
    }
    let outcome = house.outcome(1, said).await;
    assert_eq!((outcome.ending, outcome.message.as_str()), (Ending::Complete, "answered by only"));
    assert!(Instant::now() >= over && Instant::now() < over + Duration::from_secs(380), "it goes on by itself");
    assert!(waits > 0, "that it waits is shown");
    let events = house.events(1).await;
    let counts = ["message.received", "turn.started", "call.started", "call.finished", "step.finished", "turn.ended"];
    assert_eq!(counts.map(|name| count(&events, name)), [1, 1, 1, 1, 2, 1]);
    // One in five minutes or a quarter more, a dozen until it gets there, and one for each restart.
    let most = usize::try_from(length.as_secs() / 300).unwrap() + 12 + usize::try_from(house.lives).unwrap();
    assert!(provider.asked() <= most, "{} of at most {most}", provider.asked());
    let shown = house.runtime.messages(id(1), 0, 100).await.unwrap();
    assert!(!format!("{shown:?}").contains("the provider says"), "an error is no answer");
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_down_for_an_hour_costs_an_hour() {
    outage(Duration::from_secs(3_600)).await;
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_down_for_a_day_costs_a_day() {
    outage(Duration::from_secs(86_400)).await;
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_ends_the_waiting_at_once() {
    let house = with(&[Provider::down("only", Duration::ZERO, Duration::from_secs(86_400))]).await;
    let said = house.say(1, "hello").await;
    tokio::time::sleep(Duration::from_secs(7_200)).await;
    assert_eq!(house.runtime.view(id(1)).await.unwrap().status(), Status::Waiting);
    let before = Instant::now();
    house.runtime.submit(id(1), Command::Interrupt { by: by() }, None).await.unwrap();
    assert_eq!(house.outcome(1, said).await.ending, Ending::Interrupted);
    assert_eq!(Instant::now(), before, "no time has passed");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_waits_for_a_provider_is_not_in_memory_between_two_tries() {
    let house = with(&[Provider::down("only", Duration::ZERO, Duration::from_secs(86_400))]).await;
    house.say(1, "hello").await;
    tokio::time::sleep(Duration::from_secs(7_200)).await;
    let mut rested = 0;
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_secs(10)).await;
        rested += usize::from(house.runtime.live() == 0);
    }
    assert!(rested > 20, "{rested} of 60 looks found it at rest");
}

#[tokio::test(start_paused = true)]
async fn another_model_stands_in_and_the_journal_says_which_one_answered() {
    let first = Provider::down("first", Duration::from_millis(500), Duration::from_secs(3_600));
    let mut house = with(&[first.clone(), Provider::up("second")]).await;
    let before = Instant::now();
    let outcome = house.say(1, "work").await;
    let outcome = house.outcome(1, outcome).await;
    assert_eq!((outcome.ending, outcome.message.as_str()), (Ending::Complete, "answered by second"));
    assert!(before.elapsed() < Duration::from_secs(60));
    let asked = |events: Vec<Event>| -> Vec<String> {
        events
            .into_iter()
            .filter_map(|event| if let Event::StepStarted(step) = event { Some(step.model) } else { None })
            .collect()
    };
    let models = asked(house.events(1).await);
    assert_eq!(models, ["test/first", "test/first", "test/first", "test/first", "test/second"]);
    house.die().await;
    let said = house.say(1, "again").await;
    assert_eq!(house.outcome(1, said).await.message, "answered by second", "a restart forgets nothing");
    let tries = first.asked();
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(first.asked(), tries, "nobody asks for nothing");
    let said = house.say(1, "and now?").await;
    assert_eq!(house.outcome(1, said).await.message, "answered by first", "the first is tried again");
}
