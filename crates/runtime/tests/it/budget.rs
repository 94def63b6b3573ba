//! Budgets: a step that may not be paid for is not asked, whatever dies, fails or is tried again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use outlive_core::budget::{Budget, Limits, Scope, Unit};
use outlive_core::command::{Command, Create};
use outlive_core::content::{FailureKind, Reply, StopReason, Usage};
use outlive_core::cost::Prices;
use outlive_core::event::{Effect, Ending, Event};
use outlive_core::policy::Reach;
use outlive_model::scripted::{Scripted, Step};
use outlive_runtime::kit::{Kit, Terms};
use outlive_runtime::{NewFork, Outcome, Settings};
use outlive_tools::registry::Toolbox;
use outlive_tools::scripted::{Ledger, Scripted as Tool};
use serde_json::json;

use super::house::{Agents, House, by, create, id, kit};

/// A dollar for a million tokens of input, ten for one of output.
const PRICES: Prices = Prices {
    input: 1_000_000_000,
    output: 10_000_000_000,
    cache_read: 100_000_000,
    cache_write: 1_000_000_000,
    above: None,
};

/// Sessions of agents with one model and one budget each.
struct Desk {
    house: House,
    model: Scripted,
    budget: Arc<Mutex<Budget>>,
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

impl Desk {
    async fn with(budget: Budget, steps: impl IntoIterator<Item = Step>) -> Self {
        Self::of(budget, Limits::default(), Some(PRICES), steps).await
    }

    async fn of(
        budget: Budget,
        workspace: Limits,
        prices: Option<Prices>,
        steps: impl IntoIterator<Item = Step>,
    ) -> Self {
        let (model, budget) = (Scripted::default(), Arc::new(Mutex::new(budget)));
        steps.into_iter().for_each(|step| model.then(step));
        let (asked, now) = (model.clone(), Arc::clone(&budget));
        let agents = Agents::made(move |_| {
            let look = Tool::new("look", Effect::Read, Reach::Within, &Ledger::default());
            let kit = kit(asked.clone(), Toolbox::new(vec![Arc::new(look)]), "mode: dangerous");
            let terms = Terms { budget: *now.lock().unwrap(), ..Terms::default() };
            Ok(Arc::new(Kit { terms, ..kit }))
        });
        let settings = Settings { budget: workspace, ..Settings::default() };
        let desk = Self { house: House::empty(Agents { prices, ..agents }, settings).await, model, budget };
        desk.create(1, "helper").await;
        desk
    }

    async fn create(&self, session: u128, agent: &str) {
        let create = Create { agent: agent.parse().unwrap(), ..create() };
        self.house.ask(session, Command::Create(create)).await.unwrap();
    }

    /// Says something in a session, and waits for the end of its turn.
    async fn ask(&self, session: u128) -> Outcome {
        let said = self.house.say(session, "go").await;
        self.house.outcome(session, said).await
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
        self.model.requests().len()
    }

    async fn spent(&self, session: u128) -> Usage {
        self.house.runtime.view(id(session)).await.unwrap().totals.spent.all
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_that_does_not_fit_is_not_asked_and_the_next_turn_begins_anew() {
    let budget = Budget { turn: tokens(5_000), ..Budget::default() };
    let desk = Desk::with(budget, [look((2_000, 2_800)), say((100, 10))]).await;
    let outcome = desk.ask(1).await;
    let error = outcome.error.unwrap();
    assert_eq!((outcome.ending, error.code.as_str(), desk.asked()), (Ending::Failed, "budget_exceeded", 1));
    let message =
        "the budget of the turn does not last for another step: 4800 of 5000 tokens used, and the next step may";
    assert!(error.message.starts_with(message), "{}", error.message);
    desk.granted(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_reply_gets_the_room_that_is_left_and_an_answer_that_fills_it_says_so() {
    let cut = |step| with(using(step, (100, 300)), |reply| Reply { stop_reason: StopReason::MaxTokens, ..reply });
    let budget = Budget { turn: tokens(1_400), ..Budget::default() };
    let desk = Desk::with(budget, [look((50, 950)), cut(Step::text("half an ans"))]).await;
    let outcome = desk.ask(1).await;
    let rooms: Vec<u32> = desk.model.requests().iter().map(|request| request.max_output_tokens).collect();
    assert!(rooms[0] == 1_000 && (256..400).contains(&rooms[1]), "{rooms:?}");
    let lines = desk.house.runtime.entries(id(1), 0, 100).await.unwrap();
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
    let mut desk = Desk::with(budget, [say((1_000, 900)), say((1_000, 800)), say((1, 1))]).await;
    desk.granted(1).await;
    // $0.010 of $0.020: the next step may cost another $0.010 at most.
    let before = desk.house.runtime.head(id(1)).await.unwrap();
    desk.granted(1).await;
    assert_eq!(desk.spent(1).await.cost_nano_usd, 10_000_000 + 9_000_000);
    desk.refused(1).await;
    desk.house.die().await;
    let why = desk.refused(1).await;
    assert!(why.contains("the budget of the session") && why.contains("$0.0190 of $0.0200 used"), "{why}");
    desk.house.runtime.rewind(id(1), before, (by(), None)).await.unwrap();
    desk.refused(1).await;
    let fork = NewFork { session: id(2), of: (id(1), None), title: None, by: by() };
    desk.house.runtime.fork(fork, None).await.unwrap();
    assert_eq!(desk.spent(2).await, Usage::default());
    desk.granted(2).await;
    assert_eq!((desk.spent(2).await.steps, desk.spent(1).await.steps), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn all_sessions_of_an_agent_share_its_day_and_the_next_day_is_another() {
    let budget = Budget { day: tokens(10_000), ..Budget::default() };
    let steps = [say((5_000, 900)), say((3_000, 900)), say((1, 1)), say((1, 1))];
    let mut desk = Desk::with(budget, steps).await;
    desk.create(2, "helper").await;
    desk.create(3, "other").await;
    desk.granted(1).await;
    desk.granted(2).await;
    let why = desk.refused(1).await;
    assert!(why.contains("the agent's day") && why.contains("9800 of 10000 tokens used"), "{why}");
    desk.granted(3).await;
    desk.house.die().await;
    desk.refused(2).await;
    desk.create(4, "helper").await;
    desk.refused(4).await;
    tokio::time::sleep(Duration::from_secs(86_400)).await;
    desk.granted(1).await;
}

#[tokio::test(start_paused = true)]
async fn the_workspace_s_day_holds_for_all_agents() {
    let steps = [say((5_000, 900)), say((3_000, 900))];
    let mut desk = Desk::of(Budget::default(), tokens(10_000), Some(PRICES), steps).await;
    desk.create(2, "other").await;
    desk.granted(1).await;
    desk.granted(2).await;
    desk.house.die().await;
    let why = desk.refused(1).await;
    assert!(why.contains("the workspace's day") && why.contains("outlive.yaml"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn what_a_running_step_may_still_use_is_not_there_for_another_session() {
    let budget = Budget { day: tokens(1_300), ..Budget::default() };
    let desk = Desk::with(budget, [say((10, 10)).held(), say((10, 10))]).await;
    desk.create(2, "helper").await;
    let said = desk.house.say(1, "go").await;
    desk.house.until(1, "step.started").await;
    let why = desk.refused(2).await;
    assert!(why.contains("the agent's day"), "{why}");
    desk.model.release();
    assert_eq!(desk.house.outcome(1, said).await.ending, Ending::Complete);
    desk.granted(2).await;
}

#[tokio::test(start_paused = true)]
async fn a_step_that_was_stopped_gives_back_what_was_set_aside_for_it() {
    let budget = Budget { day: tokens(1_300), ..Budget::default() };
    let desk = Desk::with(budget, [say((10, 10)).held(), say((10, 10))]).await;
    desk.create(2, "helper").await;
    let said = desk.house.say(1, "go").await;
    desk.house.until(1, "step.started").await;
    desk.house.runtime.submit(id(1), Command::Interrupt { by: by() }, None).await.unwrap();
    assert_eq!(desk.house.outcome(1, said).await.ending, Ending::Interrupted);
    desk.granted(2).await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_and_a_death_use_nothing_and_the_step_is_counted_once() {
    let budget =
        Budget { session: Limits { steps: Some(2), ..tokens(3_000) }, day: tokens(3_000), ..Budget::default() };
    let down = Step::fail(FailureKind::Overloaded);
    let steps = [down.clone(), down, say((100, 10)), say((100, 10)).held(), say((200, 20))];
    let mut desk = Desk::with(budget, steps).await;
    desk.granted(1).await;
    assert_eq!((desk.spent(1).await.tokens(), desk.asked()), (110, 3));
    let said = desk.house.say(1, "go").await;
    while desk.asked() < 4 {
        tokio::task::yield_now().await;
    }
    desk.house.die().await;
    assert_eq!(desk.house.outcome(1, said).await.ending, Ending::Complete);
    let spent = desk.spent(1).await;
    assert_eq!((spent.tokens(), spent.steps, desk.asked()), (330, 2, 5));
    assert!(desk.refused(1).await.contains("2 of 2 steps used"));
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_takes_more_than_its_worst_case_is_counted_and_the_next_step_refused() {
    let budget = Budget { session: tokens(2_000), ..Budget::default() };
    let desk = Desk::with(budget, [say((9_000, 5_000))]).await;
    desk.granted(1).await;
    assert!(desk.refused(1).await.contains("14000 of 2000 tokens used"));
}

#[tokio::test(start_paused = true)]
async fn a_raised_budget_holds_from_the_next_turn_on() {
    let budget = Budget { session: tokens(2_000), ..Budget::default() };
    let desk = Desk::with(budget, [say((1_500, 400)), say((1, 1))]).await;
    desk.granted(1).await;
    desk.refused(1).await;
    desk.budget.lock().unwrap().session = tokens(20_000);
    desk.granted(1).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_reply_cost_is_what_the_provider_says_else_what_the_catalogue_does_else_unknown() {
    let charged = |reply: Reply| Reply { usage: Usage { cost_nano_usd: 77, ..reply.usage }, ..reply };
    let charged = with(say((1_000, 100)), charged);
    let desk = Desk::with(Budget::default(), [say((1_000, 100)), charged]).await;
    let costs = [desk.ask(1).await.usage, desk.ask(1).await.usage].map(|usage| usage.cost_nano_usd);
    assert_eq!(costs, [2_000_000, 77]);
    let unknown = Desk::of(Budget::default(), Limits::default(), None, [say((1_000, 100))]).await;
    let usage = unknown.ask(1).await.usage;
    assert_eq!((usage.charged(), usage.steps, usage.priced_steps), (None, 1, 0));
    let ended = unknown.house.runtime.entries(id(1), 0, 100).await.unwrap().pop().unwrap();
    assert!(matches!(ended.read().unwrap().event, Event::TurnEnded(ended) if ended.cost.is_none()));
}

#[tokio::test(start_paused = true)]
async fn a_budget_in_dollars_lets_nothing_through_whose_price_is_not_known() {
    let budget = Budget { day: usd(1_000_000_000), ..Budget::default() };
    let desk = Desk::of(budget, Limits::default(), None, []).await;
    let error = desk.ask(1).await.error.unwrap();
    assert_eq!((error.code.as_str(), desk.asked()), ("price_unknown", 0));
}
