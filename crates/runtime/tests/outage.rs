//! A provider that is down costs time and nothing else: on a paused clock, with processes that die in between.

#![expect(clippy::unwrap_used, reason = "what fails here fails its test")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use outlive_core::command::{Command, Create, Message};
use outlive_core::content::{Failure, FailureKind, Reply, ReplyBlock, Request, StopReason, Usage};
use outlive_core::context::{Frame, FrameParts};
use outlive_core::event::{Behavior, Effect, Ending, Event, OnDisconnect, Origin, OriginKind};
use outlive_core::id::{AgentName, SessionId, TurnId};
use outlive_core::policy::{Policy, Reach};
use outlive_core::session::Status;
use outlive_core::time::Timestamp;
use outlive_model::{Description, Model, Pending, Sink, wellformed};
use outlive_runtime::clock::{Moments, TokioClock};
use outlive_runtime::kit::{Card, Kit, KitError, Kits, Terms, Voice, Voices};
use outlive_runtime::{Outcome, Runtime, Settings};
use outlive_store::memory::{self, Faults};
use outlive_store::{Store, StoreError};
use outlive_tools::Place;
use outlive_tools::registry::Toolbox;
use outlive_tools::scripted::{Ledger, Scripted as Tool};
use tokio::time::Instant;

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

/// Kits of an agent with these models, which can send.
#[derive(Clone)]
struct Agent(Vec<Provider>, Ledger);

impl Kits for Agent {
    fn kit(&self, _agent: &AgentName) -> Result<Arc<Kit>, KitError> {
        let send = Tool::new("send", Effect::Effectful, Reach::Within, &self.1);
        let toolbox = Arc::new(Toolbox::new(vec![Arc::new(send)]));
        let voice = |provider: &Provider| {
            let parts = FrameParts {
                system: vec!["test".into()],
                tools: toolbox.specs(),
                max_output_tokens: 100,
                temperature: None,
                model: format!("test/{}", provider.name),
                agent_digest: "0".into(),
            };
            Voice { frame: Frame::new(parts), model: Arc::new(provider.clone()) }
        };
        let (first, others) = self.0.split_first().unwrap();
        Ok(Arc::new(Kit {
            voices: Voices::only(voice(first)).with_fallback(others.iter().map(voice).collect(), 3, 300_000),
            toolbox: Arc::clone(&toolbox),
            policy: Policy::parse("mode: dangerous", "policy.yaml").unwrap(),
            place: Place { cwd: "/".into(), roots: Vec::new(), protected: Vec::new() },
            terms: Terms::default(),
        }))
    }

    fn card(&self, agent: &AgentName) -> Result<Card, KitError> {
        Err(KitError::Unknown(agent.clone()))
    }

    fn names(&self) -> Result<Vec<AgentName>, StoreError> {
        Ok(Vec::new())
    }
}

/// A session of that agent, whose process can die.
struct Desk {
    agent: Agent,
    faults: Faults,
    began: (Timestamp, Instant),
    lives: u64,
    runtime: Arc<Runtime>,
}

fn session() -> SessionId {
    SessionId::from_bits(1)
}

fn by() -> Origin {
    Origin::of(OriginKind::Cli)
}

impl Desk {
    async fn with(models: &[Provider]) -> Self {
        let agent = Agent(models.to_vec(), Ledger::default());
        let began = (Timestamp::from_micros(1_700_000_000_000_000), Instant::now());
        let (store, faults) = memory::store();
        let runtime = start(store, &agent, began, 0).await;
        let create = Create {
            agent: "helper".parse().unwrap(),
            agent_digest: "0".into(),
            title: None,
            project: None,
            on_disconnect: OnDisconnect::Continue,
            labels: BTreeMap::new(),
            by: by(),
        };
        runtime.submit(session(), Command::Create(create), None).await.unwrap();
        Self { agent, faults, began, lives: 0, runtime }
    }

    /// The process dies, and another starts.
    async fn die(&mut self) {
        self.lives += 1;
        self.runtime = start(self.faults.reopen(), &self.agent, self.began, self.lives).await;
    }

    async fn say(&self, content: &str) -> (TurnId, u64) {
        let message = Message {
            content: content.into(),
            behavior: Behavior::FollowUp,
            origin: by(),
            attachments: Vec::new(),
            output_schema: None,
        };
        let said = self.runtime.submit(session(), Command::Message(message), None).await.unwrap();
        (said.turn.unwrap(), said.seq)
    }

    async fn outcome(&self, (turn, seq): (TurnId, u64)) -> Outcome {
        self.runtime.outcome(session(), turn, seq).await.unwrap()
    }

    async fn events(&self) -> Vec<Event> {
        let lines = self.runtime.entries(session(), 0, 100_000).await.unwrap();
        lines.iter().map(|line| line.read().unwrap().event).collect()
    }
}

async fn start(store: Store, agent: &Agent, began: (Timestamp, Instant), life: u64) -> Arc<Runtime> {
    let elapsed = u64::try_from(began.1.elapsed().as_millis()).unwrap();
    let clock = TokioClock::from(began.0.plus_ms(elapsed));
    let moments = Moments::new(Arc::new(clock), life + 1);
    Runtime::start(store, Arc::new(agent.clone()), moments, Settings::default()).await.unwrap()
}

fn count(events: &[Event], name: &str) -> usize {
    events.iter().filter(|event| event.name() == name).count()
}

/// An outage that begins between a call and what the model says of it, with a restart every 37 minutes.
async fn outage(length: Duration) {
    let provider = Provider::down("only", Duration::from_millis(500), length);
    let mut desk = Desk::with(std::slice::from_ref(&provider)).await;
    let said = desk.say("work").await;
    let (over, mut waits) = (Instant::now() + length, 0);
    while Instant::now() + Duration::from_secs(2_220) < over {
        tokio::time::sleep(Duration::from_secs(2_220)).await;
        let state = desk.runtime.view(session()).await.unwrap();
        let view = outlive_protocol::session::SessionView::of(session(), &state).unwrap();
        if state.status() == Status::Waiting {
            waits += 1;
            assert!(view.turn.as_ref().unwrap().retry_at.unwrap() > desk.runtime.moments().now());
            assert!(view.turn.unwrap().waits_because.is_some());
        }
        desk.die().await;
    }
    let outcome = desk.outcome(said).await;
    assert_eq!((outcome.ending, outcome.message.as_str()), (Ending::Complete, "answered by only"));
    assert!(Instant::now() >= over && Instant::now() < over + Duration::from_secs(380), "it goes on by itself");
    assert!(waits > 0, "that it waits is shown");
    let events = desk.events().await;
    let counts = ["message.received", "turn.started", "call.started", "call.finished", "step.finished", "turn.ended"];
    assert_eq!(counts.map(|name| count(&events, name)), [1, 1, 1, 1, 2, 1]);
    // One in five minutes or a quarter more, a dozen until it gets there, and one for each restart.
    let most = usize::try_from(length.as_secs() / 300).unwrap() + 12 + usize::try_from(desk.lives).unwrap();
    assert!(provider.asked() <= most, "{} of at most {most}", provider.asked());
    let shown = desk.runtime.messages(session(), 0, 100).await.unwrap();
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
    let desk = Desk::with(&[Provider::down("only", Duration::ZERO, Duration::from_secs(86_400))]).await;
    let said = desk.say("hello").await;
    tokio::time::sleep(Duration::from_secs(7_200)).await;
    assert_eq!(desk.runtime.view(session()).await.unwrap().status(), Status::Waiting);
    let before = Instant::now();
    desk.runtime.submit(session(), Command::Interrupt { by: by() }, None).await.unwrap();
    assert_eq!(desk.outcome(said).await.ending, Ending::Interrupted);
    assert_eq!(Instant::now(), before, "no time has passed");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_waits_for_a_provider_is_not_in_memory_between_two_tries() {
    let desk = Desk::with(&[Provider::down("only", Duration::ZERO, Duration::from_secs(86_400))]).await;
    desk.say("hello").await;
    tokio::time::sleep(Duration::from_secs(7_200)).await;
    let mut rested = 0;
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_secs(10)).await;
        rested += usize::from(desk.runtime.live() == 0);
    }
    assert!(rested > 20, "{rested} of 60 looks found it at rest");
}

#[tokio::test(start_paused = true)]
async fn another_model_stands_in_and_the_journal_says_which_one_answered() {
    let first = Provider::down("first", Duration::from_millis(500), Duration::from_secs(3_600));
    let mut desk = Desk::with(&[first.clone(), Provider::up("second")]).await;
    let before = Instant::now();
    let outcome = desk.say("work").await;
    let outcome = desk.outcome(outcome).await;
    assert_eq!((outcome.ending, outcome.message.as_str()), (Ending::Complete, "answered by second"));
    assert!(before.elapsed() < Duration::from_secs(60));
    let asked = |events: Vec<Event>| -> Vec<String> {
        events
            .into_iter()
            .filter_map(|event| if let Event::StepStarted(step) = event { Some(step.model) } else { None })
            .collect()
    };
    let models = asked(desk.events().await);
    assert_eq!(models, ["test/first", "test/first", "test/first", "test/first", "test/second"]);
    desk.die().await;
    let said = desk.say("again").await;
    assert_eq!(desk.outcome(said).await.message, "answered by second", "a restart forgets nothing");
    let tries = first.asked();
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(first.asked(), tries, "nobody asks for nothing");
    let said = desk.say("and now?").await;
    assert_eq!(desk.outcome(said).await.message, "answered by first", "the first is tried again");
}
