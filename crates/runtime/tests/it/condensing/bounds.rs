//! What a compaction is held to: what the provider takes, budgets, an emergency stop.

use std::sync::Mutex;

use outlive_core::budget::{Budget, Limits};
use outlive_core::content::{Reply, Usage};
use outlive_core::event::{CompactionFailed, CompactionStarted};
use outlive_runtime::kit::Terms;

use super::failing::{named, settled};
use super::*;

/// A conversation of some turns, whose provider then refuses so many requests as too long.
async fn refused(times: usize) -> (House, Scripted) {
    let (left, talks) = (Arc::new(AtomicUsize::new(0)), AtomicUsize::new(24));
    let now = Arc::clone(&left);
    let is_refused = move || {
        let talking = talks.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        !talking && now.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    };
    let (kit, model) = small(
        move |request, n| match request.purpose {
            Purpose::Step if is_refused() => Step::fail(FailureKind::Overflow),
            _otherwise => good(request, n),
        },
        64_000,
    );
    let house = House::of(Agents::of(kit)).await;
    talk(&house, 24).await;
    left.store(times, Ordering::Relaxed);
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
    let (house, model) = refused(1).await;
    talk(&house, 1).await;
    assert_eq!(begun(&house).await, [(CompactionTrigger::Overflow, true)]);
    let steps = model.requests().iter().filter(|request| request.purpose == Purpose::Step).count();
    assert_eq!(steps, 24 + 2);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_refused_twice_is_made_shorter_by_events_alone() {
    let (house, _) = refused(2).await;
    talk(&house, 1).await;
    assert_eq!(begun(&house).await, [(CompactionTrigger::Overflow, true), (CompactionTrigger::Overflow, false)]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_refused_again_and_again_ends_its_turn_and_names_what_is_long() {
    let (house, model) = refused(3).await;
    let said = house.say(1, &"birch ".repeat(110)).await;
    let error = house.outcome(1, said).await.error.unwrap();
    assert_eq!(error.code, "context_overflow");
    assert!(
        error.message.contains("the provider says") && error.message.contains(" of them are "),
        "{}",
        error.message
    );
    let steps = model.requests().iter().filter(|request| request.purpose == Purpose::Step).count();
    assert_eq!(steps, 24 + 3);
    // The next message is sent as if nothing had been: whoever refused may take it now.
    talk(&house, 1).await;
}

/// A conversation of eight turns, which is then condensed under this budget; steps and summaries take 1,100 tokens each.
async fn counted(budget: Budget) -> (House, Scripted) {
    let model = Scripted::by(|request, n| match good(request, n) {
        Step::Reply(reply) => {
            let usage = Usage { input_tokens: 1_000, output_tokens: 100, ..Usage::default() };
            Step::Reply(Reply { usage, ..reply })
        }
        step => step,
    });
    let (now, its) = (Arc::new(Mutex::new(Budget::default())), model.clone());
    let budgets = Arc::clone(&now);
    let agents = Agents::made(move |_| {
        let kit = kit(its.clone(), Toolbox::new(Vec::new()), "");
        let terms = Terms { budget: *budgets.lock().unwrap(), ..kit.terms };
        Ok(Arc::new(Kit { terms, ..kit }))
    });
    let house = House::of(agents).await;
    talk(&house, 8).await;
    *now.lock().unwrap() = budget;
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
    assert_eq!(spent.all.tokens(), (8 + pieces) * 1_100);
    let made = checkpoints(&house).await;
    assert_eq!(made[0].made.usage.tokens(), pieces * 1_100);
}

#[tokio::test(start_paused = true)]
async fn a_session_without_budget_left_is_condensed_without_a_model() {
    for budget in [
        Budget { session: Limits { tokens: Some(9_000), ..Limits::default() }, ..Budget::default() },
        Budget { session: Limits { steps: Some(8), ..Limits::default() }, ..Budget::default() },
        Budget { day: Limits { tokens: Some(9_000), ..Limits::default() }, ..Budget::default() },
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
