//! Budgets: a step that may not be paid for is not asked, whatever dies, fails or is tried again.

#![expect(clippy::unwrap_used, reason = "what fails here fails its test")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use outlive_core::budget::{Budget, Limits, Scope, Unit};
use outlive_core::command::{Command, Create, Message};
use outlive_core::content::{FailureKind, Reply, StopReason, ToolSpec, Usage};
use outlive_core::context::{Frame, FrameParts};
use outlive_core::cost::Prices;
use outlive_core::event::{Behavior, Effect, Ending, Event, OnDisconnect, OnLost, Origin, OriginKind};
use outlive_core::id::{AgentName, SessionId};
use outlive_core::policy::{Policy, Reach, Subject};
use outlive_core::time::Timestamp;
use outlive_model::scripted::{Scripted, Step};
use outlive_runtime::clock::{Moments, TokioClock};
use outlive_runtime::kit::{Card, Kit, KitError, Kits, Terms, Voice, Voices};
use outlive_runtime::{NewFork, Outcome, Runtime, Settings};
use outlive_store::memory::{self, Faults};
use outlive_store::{Store, StoreError};
use outlive_tools::registry::Toolbox;
use outlive_tools::{Assessment, Finished, Invocation, Pending, Place, Tool};
use serde_json::{Value, json};

/// Longer than anything here takes, shorter than a person waits: what hangs fails its test.
const PATIENCE: Duration = Duration::from_secs(60);

/// A dollar for a million tokens of input, ten for one of output.
const PRICES: Prices = Prices {
    input: 1_000_000_000,
    output: 10_000_000_000,
    cache_read: 100_000_000,
    cache_write: 1_000_000_000,
    above: None,
};

struct Look;

impl Tool for Look {
    fn spec(&self) -> ToolSpec {
        ToolSpec { name: "look".into(), description: "looks".into(), input_schema: json!({"type": "object"}) }
    }

    fn assess(&self, _arguments: &Value, _place: &Place) -> Result<Assessment, String> {
        let subject = Subject { tool: "look".into(), target: "here".into(), reach: Reach::Within };
        Ok(Assessment { effect: Effect::Read, on_lost: OnLost::Report, subject, summary: "look".into() })
    }

    fn run(&self, _invocation: Invocation) -> Pending<'_, Finished> {
        Box::pin(async { Finished::ok("seen") })
    }
}

/// All agents, with one model and one budget each.
#[derive(Clone)]
struct Agents {
    model: Arc<Scripted>,
    budget: Arc<Mutex<Budget>>,
    prices: Option<Prices>,
}

impl Kits for Agents {
    fn kit(&self, _agent: &AgentName) -> Result<Arc<Kit>, KitError> {
        let toolbox = Arc::new(Toolbox::new(vec![Arc::new(Look)]));
        let parts = FrameParts {
            system: vec!["test".into()],
            tools: toolbox.specs(),
            max_output_tokens: 1_000,
            temperature: None,
            model: "scripted/script".into(),
            agent_digest: "0".into(),
        };
        Ok(Arc::new(Kit {
            voices: Voices::only(Voice { frame: Frame::new(parts), model: self.model.clone() }),
            toolbox,
            policy: Policy::parse("mode: dangerous", "policy.yaml").unwrap(),
            place: Place { cwd: "/".into(), roots: Vec::new(), protected: Vec::new() },
            terms: Terms { budget: *self.budget.lock().unwrap(), ..Terms::default() },
        }))
    }

    fn card(&self, agent: &AgentName) -> Result<Card, KitError> {
        Err(KitError::Unknown(agent.clone()))
    }

    fn names(&self) -> Result<Vec<AgentName>, StoreError> {
        Ok(Vec::new())
    }

    fn prices(&self, _model: &str) -> Option<Prices> {
        self.prices
    }
}

/// Sessions of agents with a budget, on a store that outlives its process.
struct House {
    agents: Agents,
    faults: Faults,
    runtime: Arc<Runtime>,
    workspace: Limits,
    clock: Arc<TokioClock>,
}

fn by() -> Origin {
    Origin::of(OriginKind::Cli)
}

fn id(number: u128) -> SessionId {
    SessionId::from_bits(number)
}

fn tokens(limit: u64) -> Limits {
    Limits { tokens: Some(limit), ..Limits::default() }
}

fn usd(nano: u64) -> Limits {
    Limits { nano_usd: Some(nano), ..Limits::default() }
}

/// Uses this many tokens of input and output.
fn using(step: Step, (input_tokens, output_tokens): (u64, u64)) -> Step {
    let usage = Usage { input_tokens, output_tokens, ..Usage::default() };
    with(step, |reply| Reply { usage, ..reply })
}

/// Another reply in its place.
fn with(step: Step, change: impl FnOnce(Reply) -> Reply) -> Step {
    match step {
        Step::Reply(reply) => Step::Reply(change(reply)),
        Step::Hold(reply) => Step::Hold(change(reply)),
        Step::Fail(_) | Step::Panic(_) => step,
    }
}

fn say(used: (u64, u64)) -> Step {
    using(Step::text("fine"), used)
}

fn look(used: (u64, u64)) -> Step {
    using(Step::call("look", &json!({})), used)
}

impl House {
    async fn with(budget: Budget, steps: impl IntoIterator<Item = Step>) -> Self {
        Self::of(budget, Limits::default(), Some(PRICES), steps).await
    }

    async fn of(
        budget: Budget,
        workspace: Limits,
        prices: Option<Prices>,
        steps: impl IntoIterator<Item = Step>,
    ) -> Self {
        let model = Arc::new(Scripted::default());
        steps.into_iter().for_each(|step| model.then(step));
        let agents = Agents { model, budget: Arc::new(Mutex::new(budget)), prices };
        let (store, faults) = memory::store();
        let clock = Arc::new(TokioClock::from(Timestamp::from_micros(1_700_000_000_000_000)));
        let runtime = started(store, &agents, workspace, clock.clone()).await;
        let house = Self { agents, faults, runtime, workspace, clock };
        house.create(1, "helper").await;
        house
    }

    async fn create(&self, session: u128, agent: &str) {
        let create = Create {
            agent: agent.parse().unwrap(),
            agent_digest: "0".into(),
            title: None,
            project: None,
            on_disconnect: OnDisconnect::Continue,
            labels: BTreeMap::new(),
            by: by(),
        };
        self.runtime.submit(id(session), Command::Create(create), None).await.unwrap();
    }

    /// The process dies, and another starts.
    async fn die(&mut self) {
        let store = self.faults.reopen();
        self.runtime = started(store, &self.agents, self.workspace, self.clock.clone()).await;
    }

    /// Says something in a session, and waits for the end of its turn.
    async fn ask(&self, session: u128) -> Outcome {
        let (turn, seq) = self.begin(session).await;
        self.end(session, turn, seq).await
    }

    async fn begin(&self, session: u128) -> (outlive_core::id::TurnId, u64) {
        let message = Message {
            content: "go".into(),
            behavior: Behavior::FollowUp,
            origin: by(),
            attachments: Vec::new(),
            output_schema: None,
        };
        let said = self.runtime.submit(id(session), Command::Message(message), None).await.unwrap();
        (said.turn.unwrap(), said.seq)
    }

    async fn end(&self, session: u128, turn: outlive_core::id::TurnId, seq: u64) -> Outcome {
        tokio::time::timeout(PATIENCE, self.runtime.outcome(id(session), turn, seq)).await.unwrap().unwrap()
    }

    /// Says something in a session whose budget must end the turn, and returns why it did.
    async fn refused(&self, session: u128) -> String {
        let asked = self.asked();
        let outcome = self.ask(session).await;
        let error = outcome.error.unwrap();
        assert_eq!((outcome.ending, error.code.as_str()), (Ending::Failed, "budget_exceeded"), "{}", error.message);
        assert_eq!(self.asked(), asked, "the model was asked");
        error.message
    }

    async fn granted(&self, session: u128) {
        let outcome = self.ask(session).await;
        assert_eq!((outcome.ending, outcome.error), (Ending::Complete, None));
    }

    fn asked(&self) -> usize {
        self.agents.model.requests().len()
    }

    async fn until(&self, session: u128, name: &str) {
        let mut heard = self.runtime.subscribe(id(session), 0);
        let found = async {
            while let Some(signal) = heard.next().await.unwrap() {
                if let outlive_runtime::subscribe::Signal::Event(_, entry) = signal
                    && entry.event.name() == name
                {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap();
    }

    async fn spent(&self, session: u128) -> Usage {
        self.runtime.view(id(session)).await.unwrap().totals.spent.all
    }
}

async fn started(store: Store, agents: &Agents, budget: Limits, clock: Arc<TokioClock>) -> Arc<Runtime> {
    let settings = Settings { budget, ..Settings::default() };
    Runtime::start(store, Arc::new(agents.clone()), Moments::new(clock, 1), settings).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_step_that_does_not_fit_is_not_asked_and_the_next_turn_begins_anew() {
    let budget = Budget { turn: tokens(5_000), ..Budget::default() };
    let house = House::with(budget, [look((4_000, 800)), say((100, 10))]).await;
    let outcome = house.ask(1).await;
    let error = outcome.error.unwrap();
    assert_eq!((outcome.ending, error.code.as_str(), house.asked()), (Ending::Failed, "budget_exceeded", 1));
    let message =
        "the budget of the turn does not last for another step: 4800 of 5000 tokens used, and the next step may";
    assert!(error.message.starts_with(message), "{}", error.message);
    house.granted(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_reply_gets_the_room_that_is_left_and_an_answer_that_fills_it_says_so() {
    let cut = |step| with(using(step, (100, 300)), |reply| Reply { stop_reason: StopReason::MaxTokens, ..reply });
    let budget = Budget { turn: tokens(1_400), ..Budget::default() };
    let house = House::with(budget, [look((500, 500)), cut(Step::text("half an ans"))]).await;
    let outcome = house.ask(1).await;
    let rooms: Vec<u32> = house.agents.model.requests().iter().map(|request| request.max_output_tokens).collect();
    assert!(rooms[0] == 1_000 && (256..400).contains(&rooms[1]), "{rooms:?}");
    let lines = house.runtime.entries(id(1), 0, 100).await.unwrap();
    let capped = |event| if let Event::StepStarted(started) = event { started.capped } else { None };
    let capped = lines.iter().find_map(|line| capped(line.read().unwrap().event)).unwrap();
    assert_eq!((capped.max_output_tokens, capped.scope, capped.unit), (rooms[1], Scope::Turn, Unit::Tokens));
    let error = outcome.error.unwrap();
    assert_eq!((outcome.message.as_str(), error.code.as_str()), ("half an ans", "budget_exceeded"));
    assert!(error.message.starts_with("the answer was cut at "), "{}", error.message);
}

#[tokio::test(start_paused = true)]
async fn what_a_session_used_stays_used_through_a_restart_and_a_rewind_and_a_fork_begins_with_nothing() {
    let budget = Budget { session: usd(20_000_000), ..Budget::default() };
    let mut house = House::with(budget, [say((1_000, 900)), say((1_000, 800)), say((1, 1))]).await;
    house.granted(1).await;
    // $0.010 of $0.020: the next step may cost another $0.010 at most.
    let before = house.runtime.head(id(1)).await.unwrap();
    house.granted(1).await;
    assert_eq!(house.spent(1).await.cost_nano_usd, 10_000_000 + 9_000_000);
    house.refused(1).await;
    house.die().await;
    let why = house.refused(1).await;
    assert!(why.contains("the budget of the session") && why.contains("$0.0190 of $0.0200 used"), "{why}");
    house.runtime.rewind(id(1), before, (by(), None)).await.unwrap();
    house.refused(1).await;
    let fork = NewFork { session: id(2), of: (id(1), None), title: None, by: by() };
    house.runtime.fork(fork, None).await.unwrap();
    assert_eq!(house.spent(2).await, Usage::default());
    house.granted(2).await;
    assert_eq!((house.spent(2).await.steps, house.spent(1).await.steps), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn all_sessions_of_an_agent_share_its_day_and_the_next_day_is_another() {
    let budget = Budget { day: tokens(10_000), ..Budget::default() };
    let steps = [say((5_000, 900)), say((3_000, 900)), say((1, 1)), say((1, 1))];
    let mut house = House::with(budget, steps).await;
    house.create(2, "helper").await;
    house.create(3, "other").await;
    house.granted(1).await;
    house.granted(2).await;
    let why = house.refused(1).await;
    assert!(why.contains("the agent's day") && why.contains("9800 of 10000 tokens used"), "{why}");
    house.granted(3).await;
    house.die().await;
    house.refused(2).await;
    house.create(4, "helper").await;
    house.refused(4).await;
    tokio::time::sleep(Duration::from_secs(86_400)).await;
    house.granted(1).await;
}

#[tokio::test(start_paused = true)]
async fn the_workspace_s_day_holds_for_all_agents() {
    let steps = [say((5_000, 900)), say((3_000, 900))];
    let mut house = House::of(Budget::default(), tokens(10_000), Some(PRICES), steps).await;
    house.create(2, "other").await;
    house.granted(1).await;
    house.granted(2).await;
    house.die().await;
    let why = house.refused(1).await;
    assert!(why.contains("the workspace's day") && why.contains("outlive.yaml"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn what_a_running_step_may_still_use_is_not_there_for_another_session() {
    let budget = Budget { day: tokens(1_300), ..Budget::default() };
    let house = House::with(budget, [say((10, 10)).held(), say((10, 10))]).await;
    house.create(2, "helper").await;
    let (turn, seq) = house.begin(1).await;
    house.until(1, "step.started").await;
    let why = house.refused(2).await;
    assert!(why.contains("the agent's day"), "{why}");
    house.agents.model.release();
    assert_eq!(house.end(1, turn, seq).await.ending, Ending::Complete);
    house.granted(2).await;
}

#[tokio::test(start_paused = true)]
async fn a_step_that_was_stopped_gives_back_what_was_set_aside_for_it() {
    let budget = Budget { day: tokens(1_300), ..Budget::default() };
    let house = House::with(budget, [say((10, 10)).held(), say((10, 10))]).await;
    house.create(2, "helper").await;
    let (turn, seq) = house.begin(1).await;
    house.until(1, "step.started").await;
    house.runtime.submit(id(1), Command::Interrupt { by: by() }, None).await.unwrap();
    assert_eq!(house.end(1, turn, seq).await.ending, Ending::Interrupted);
    house.granted(2).await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_and_a_death_use_nothing_and_the_step_is_counted_once() {
    let budget =
        Budget { session: Limits { steps: Some(2), ..tokens(3_000) }, day: tokens(3_000), ..Budget::default() };
    let down = Step::fail(FailureKind::Overloaded);
    let steps = [down.clone(), down, say((100, 10)), say((100, 10)).held(), say((200, 20))];
    let mut house = House::with(budget, steps).await;
    house.granted(1).await;
    assert_eq!((house.spent(1).await.tokens(), house.asked()), (110, 3));
    let (turn, seq) = house.begin(1).await;
    while house.asked() < 4 {
        tokio::task::yield_now().await;
    }
    house.die().await;
    assert_eq!(house.end(1, turn, seq).await.ending, Ending::Complete);
    let spent = house.spent(1).await;
    assert_eq!((spent.tokens(), spent.steps, house.asked()), (330, 2, 5));
    assert!(house.refused(1).await.contains("2 of 2 steps used"));
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_takes_more_than_its_worst_case_is_counted_and_the_next_step_refused() {
    let budget = Budget { session: tokens(2_000), ..Budget::default() };
    let house = House::with(budget, [say((9_000, 5_000))]).await;
    house.granted(1).await;
    assert!(house.refused(1).await.contains("14000 of 2000 tokens used"));
}

#[tokio::test(start_paused = true)]
async fn a_raised_budget_holds_from_the_next_turn_on() {
    let budget = Budget { session: tokens(2_000), ..Budget::default() };
    let house = House::with(budget, [say((1_500, 400)), say((1, 1))]).await;
    house.granted(1).await;
    house.refused(1).await;
    house.agents.budget.lock().unwrap().session = tokens(20_000);
    house.granted(1).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_reply_cost_is_what_the_provider_says_else_what_the_catalogue_does_else_unknown() {
    let charged = |reply: Reply| Reply { usage: Usage { cost_nano_usd: 77, ..reply.usage }, ..reply };
    let charged = with(say((1_000, 100)), charged);
    let house = House::with(Budget::default(), [say((1_000, 100)), charged]).await;
    let costs = [house.ask(1).await.usage, house.ask(1).await.usage].map(|usage| usage.cost_nano_usd);
    assert_eq!(costs, [2_000_000, 77]);
    let unknown = House::of(Budget::default(), Limits::default(), None, [say((1_000, 100))]).await;
    let usage = unknown.ask(1).await.usage;
    assert_eq!((usage.charged(), usage.steps, usage.priced_steps), (None, 1, 0));
    let ended = unknown.runtime.entries(id(1), 0, 100).await.unwrap().pop().unwrap();
    assert!(matches!(ended.read().unwrap().event, Event::TurnEnded(ended) if ended.cost.is_none()));
}

#[tokio::test(start_paused = true)]
async fn a_budget_in_dollars_lets_nothing_through_whose_price_is_not_known() {
    let budget = Budget { day: usd(1_000_000_000), ..Budget::default() };
    let house = House::of(budget, Limits::default(), None, []).await;
    let error = house.ask(1).await.error.unwrap();
    assert_eq!((error.code.as_str(), house.asked()), ("price_unknown", 0));
}
