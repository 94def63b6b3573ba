//! What a compaction is held to: what the provider takes, budgets, an emergency stop.

use outlive_core::budget::{Budget, Limits};
use outlive_core::content::{Reply, Usage};
use outlive_core::event::{CompactionFailed, CompactionStarted};
use outlive_runtime::kit::Terms;

use super::failing::{named, settled};
use super::*;

/// A conversation of eight turns with a provider that takes this much, as it says itself, in its own way.
async fn refused_above(most: u64) -> (House, Scripted) {
    let limit = Arc::new(AtomicUsize::new(usize::MAX));
    let now = Arc::clone(&limit);
    let (kit, model) = small(
        move |request, n| match request.purpose {
            Purpose::Step if bytes(request) > now.load(Ordering::Relaxed) as u64 => Step::fail(FailureKind::Overflow),
            _otherwise => good(request, n),
        },
        64_000,
    );
    let house = House::of(Agents::of(kit)).await;
    talk(&house, 8).await;
    limit.store(usize::try_from(most).unwrap(), Ordering::Relaxed);
    (house, model)
}

async fn begun(house: &House) -> Vec<(CompactionTrigger, bool)> {
    let started = |event| match event {
        Event::CompactionStarted(CompactionStarted { trigger, model, .. }) => Some((trigger, model.is_some())),
        _other => None,
    };
    house.events(1).await.into_iter().filter_map(started).collect()
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_refused_as_too_long_is_made_shorter_by_the_model_and_sent_again() {
    let (house, model) = refused_above(6_500).await;
    talk(&house, 1).await;
    assert_eq!(begun(&house).await, [(CompactionTrigger::Overflow, true)]);
    let steps = model.requests().iter().filter(|request| request.purpose == Purpose::Step).count();
    assert_eq!(steps, 8 + 2);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_refused_twice_is_made_shorter_by_events_alone() {
    let (house, _) = refused_above(3_000).await;
    talk(&house, 1).await;
    assert_eq!(begun(&house).await, [(CompactionTrigger::Overflow, true), (CompactionTrigger::Overflow, false)]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_refused_again_and_again_ends_its_turn_and_names_what_is_long() {
    let (house, model) = refused_above(0).await;
    let said = house.say(1, &"birch ".repeat(300)).await;
    let error = house.outcome(1, said).await.error.unwrap();
    assert_eq!(error.code, "context_overflow");
    assert!(error.message.contains("the provider says") && error.message.contains("message "), "{}", error.message);
    let steps = model.requests().iter().filter(|request| request.purpose == Purpose::Step).count();
    assert!(steps <= 8 + 3, "{steps}");
    // The next message is sent as if nothing had been: whoever refused may take it now.
    let said = house.say(1, "short").await;
    assert_eq!(house.outcome(1, said).await.ending, Ending::Failed);
    let after = model.requests().iter().filter(|request| request.purpose == Purpose::Step).count();
    assert!(after > steps, "it is sent");
}

/// Steps and summaries that take so many tokens each.
async fn counted(budget: Budget) -> (House, Scripted) {
    let (kit, model) = small(
        |request, n| match good(request, n) {
            Step::Reply(reply) => {
                let usage = Usage { input_tokens: 10_000, output_tokens: 1_000, ..Usage::default() };
                Step::Reply(Reply { usage, ..reply })
            }
            step => step,
        },
        64_000,
    );
    let kit = Kit { terms: Terms { budget, ..kit.terms }, ..kit };
    let house = House::of(Agents::of(kit)).await;
    talk(&house, 8).await;
    let what = ContextCommand::Compact { focus: None, model: None, plan: None };
    house.ask(1, Command::Context { what, by: by() }).await.unwrap();
    house.until(1, "checkpoint.activated").await;
    (house, model)
}

#[tokio::test(start_paused = true)]
async fn what_a_compaction_takes_is_counted_for_the_session() {
    let (house, _) = counted(Budget::default()).await;
    let spent = house.runtime.view(id(1)).await.unwrap().totals.spent;
    let pieces = named(&house, "compaction.progressed").await as u64;
    assert!(pieces > 0);
    assert_eq!(spent.all.tokens(), (8 + pieces) * 11_000);
    let made = checkpoints(&house).await;
    assert_eq!(made[0].made.usage.tokens(), pieces * 11_000);
}

#[tokio::test(start_paused = true)]
async fn a_session_without_budget_left_is_condensed_without_a_model() {
    for budget in [
        Budget { session: Limits { tokens: Some(88_500), ..Limits::default() }, ..Budget::default() },
        Budget { session: Limits { steps: Some(8), ..Limits::default() }, ..Budget::default() },
        Budget { day: Limits { tokens: Some(88_500), ..Limits::default() }, ..Budget::default() },
    ] {
        let (house, model) = counted(budget).await;
        assert!(model.requests().iter().all(|request| request.purpose == Purpose::Step), "{budget:?}");
        let made = checkpoints(&house).await;
        assert_eq!(made[0].made.strategy, Strategy::Deterministic);
        let failed = house.events(1).await.into_iter().find_map(|event| match event {
            Event::CompactionFailed(CompactionFailed { message, usage, .. }) => Some((message, usage)),
            _other => None,
        });
        let (message, usage) = failed.unwrap();
        assert!(message.contains("budget of") && usage == Usage::default(), "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_emergency_stop_ends_a_compaction_s_request_and_lifted_it_is_asked_again() {
    let (kit, model) = small(
        |request, n| if request.purpose == Purpose::Condense { change().held() } else { good(request, n) },
        16_000,
    );
    let house = House::of(Agents::of(kit)).await;
    let asked = || model.requests().iter().filter(|request| request.purpose == Purpose::Condense).count();
    while asked() == 0 {
        talk(&house, 1).await;
        settled().await;
    }
    house.runtime.stop_all(by(), None).await.unwrap();
    (0..20).for_each(|_| model.release());
    tokio::time::advance(Duration::from_secs(600)).await;
    settled().await;
    assert_eq!((asked(), named(&house, "compaction.progressed").await), (1, 0));
    house.runtime.lift().await.unwrap();
    house.until(1, "checkpoint.activated").await;
    assert!(asked() > 1);
}
