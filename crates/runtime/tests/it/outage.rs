//! A provider that is down costs time and nothing else: on a paused clock, with processes that die in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use outlive_core::command::{Command, NewRelay, RelayCommand};
use outlive_core::content::{Failure, FailureKind, Reply, ReplyBlock, Request, StopReason, Usage};
use outlive_core::event::{Effect, Ending, Event, RelaySource, StateOutcome};
use outlive_core::policy::Reach;
use outlive_core::relay::read_text;
use outlive_core::session::{SELECT_STATE, Status};
use outlive_model::{Description, Model, Pending, Sink, wellformed};
use outlive_runtime::kit::Kit;
use outlive_tools::builtin::Relays;
use outlive_tools::registry::Toolbox;
use outlive_tools::scripted::{Ledger, Scripted as Tool};
use serde_json::{Value, json};
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
        // What is said stands behind the results before it.
        let last = request.messages.last().and_then(|message| message.content.last());
        let last = last.map(|block| format!("{block:?}")).unwrap_or_default();
        let works = last.contains("work") && !last.contains("ToolResult");
        let thought = ReplyBlock::Thinking { thinking: format!("as {}", self.name), signature: Some("s".into()) };
        let call = |name: &str, arguments: Value| {
            (ReplyBlock::ToolUse { name: name.into(), arguments: arguments.to_string() }, StopReason::ToolUse)
        };
        let (said, stop_reason) = match (next(&last), works) {
            (Some(state), _) => call(SELECT_STATE, json!({ "state": state })),
            (None, true) => call("send", json!({})),
            (None, false) => (ReplyBlock::Text(format!("answered by {}", self.name)), StopReason::EndTurn),
        };
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

/// The state behind the one that ended, where a relay asks for it.
fn next(asked: &str) -> Option<&'static str> {
    let mut after = [("rest", "write"), ("write", "nap"), ("nap", "done")].into_iter();
    let is_asked = asked.contains("choose what is next]");
    after.find(|(ended, _)| is_asked && asked.contains(&format!("`{ended}` ended"))).map(|(_, next)| next)
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
    let tools = Relays::ALL.map(|relay| Arc::new(relay) as Arc<dyn outlive_tools::Tool>).into_iter();
    let toolbox = Toolbox::new(tools.chain([Arc::new(send) as Arc<dyn outlive_tools::Tool>]).collect());
    let kit = kit(first.clone(), toolbox, "mode: dangerous");
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

const TRIP: &str = "name: trip
prompt: go
states:
  - {name: rest, kind: timer, after: 1m}
  - {name: write, kind: agent, prompt: work}
  - {name: nap, kind: timer, after: 1m}
  - {name: done, kind: terminal, outcome: completed}
";

/// What a relay did and gave whose agent chooses each state, and how long that took. Its provider goes away for so long in the
/// moment in which the agent is to choose first, and processes die meanwhile.
async fn trip(away: Duration) -> (Vec<(String, Option<StateOutcome>, Value)>, usize, Duration) {
    let mut house = with(&[Provider::down("only", Duration::from_secs(60), away)]).await;
    let began = Instant::now();
    let definition = read_text(TRIP, "relays/trip.yaml").unwrap();
    let new = NewRelay { definition, source: RelaySource::File, state: None, input: json!({}) };
    let what = RelayCommand::Start(Box::new(new));
    house.ask(1, Command::Relay { what, by: by() }).await.unwrap();
    while began.elapsed() < away {
        tokio::time::sleep(Duration::from_secs(700)).await;
        house.die().await;
    }
    house.until(1, "relay.finished").await;
    let rows = house.runtime.relay_rows(id(1), 0, 100).await.unwrap().0;
    let took = Duration::from_millis(rows[rows.len() - 1].at.ms_since(rows[0].at));
    let rows = rows.into_iter().map(|row| {
        let (outcome, output) = row.ended.map(|end| (end.outcome, end.output)).unzip();
        (row.state.unwrap_or(row.what), outcome, output.unwrap_or_default())
    });
    (rows.collect(), count(&house.events(1).await, "call.started"), took)
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_away_for_an_hour_at_a_transition_of_a_relay_changes_nothing_but_time() {
    let (hour, none) = (Duration::from_secs(3_600), Duration::ZERO);
    let (undisturbed, disturbed) = (trip(none).await, trip(hour).await);
    assert_eq!((&disturbed.0, disturbed.1), (&undisturbed.0, 1));
    assert_eq!((undisturbed.0.len(), undisturbed.1), (6, 1), "{undisturbed:?}");
    let longer = disturbed.2 - undisturbed.2;
    assert!(longer >= hour && longer < hour + Duration::from_secs(380), "{longer:?}");
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
