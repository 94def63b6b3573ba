//! Sessions that sleep: on a paused clock, with processes that die in between and clocks that are set.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use outlive_core::command::{Command, NewSignal, NewWait, Until, WaitCommand};
use outlive_core::content::{Block, Request};
use outlive_core::event::{Awaited, Ending, Event, Overdue, Trigger, WaitOwner, WaitReason};
use outlive_core::session::Status;
use outlive_core::time::Timestamp;
use outlive_model::scripted::{Scripted, Step};
use outlive_runtime::clock::{Clock, Moments, TokioClock};
use outlive_runtime::{NewFork, Runtime, Settings, SubmitError, WaitQuery};
use outlive_store::memory;
use outlive_tools::builtin::WaitFor;
use outlive_tools::registry::Toolbox;
use serde_json::{Value, json};

use super::house::{Agents, House, by, create, id, kit, message};

fn anybody(_owner: WaitOwner) -> Result<(), SubmitError> {
    Ok(())
}

const DAY: Duration = Duration::from_secs(86_400);

/// An agent that waits for this, whatever is said to it first, then answers.
pub fn waiting(arguments: &Value) -> Agents {
    let toolbox = Toolbox::new(vec![Arc::new(WaitFor)]);
    let arguments = arguments.clone();
    let says = move |request: &Request| match request.messages.last().map(|last| last.content.as_slice()) {
        Some([Block::Text { text }]) if text == "go" => Step::call("wait", &arguments),
        Some(_) | None => Step::text("done"),
    };
    Agents::of(kit(Scripted::by(move |request, _| says(request)), toolbox, ""))
}

pub fn timer(until: Until) -> NewWait {
    NewWait { until: Some(until), signal: None, overdue: Overdue::Fire, reason: "the post".into() }
}

pub async fn arm(house: &House, session: u128, new: NewWait) {
    house.ask(session, Command::Wait { what: WaitCommand::Arm(new), by: by() }).await.unwrap();
}

/// The ends of waits: why, how late.
pub async fn ends(house: &House, session: u128) -> Vec<(WaitReason, u64)> {
    let end = |event: Event| if let Event::WaitEnded(end) = event { Some(end) } else { None };
    let ends = house.events(session).await.into_iter().filter_map(end);
    ends.map(|end| (end.reason, end.lateness_ms.unwrap_or_default())).collect()
}

async fn status(house: &House, session: u128) -> Status {
    house.runtime.view(id(session)).await.unwrap().status()
}

#[tokio::test(start_paused = true)]
async fn an_agent_sleeps_for_two_weeks_through_deaths_and_nothing_lives_meanwhile() {
    let mut house = House::of(waiting(&json!({"reason": "the reply", "for": "14d"}))).await;
    let said = house.say(1, "go").await;
    assert_eq!(house.outcome(1, said).await.ending, Ending::Sleep);
    for day in 1..14 {
        tokio::time::sleep(DAY).await;
        assert_eq!(
            (house.runtime.live(), house.runtime.is_quiet()),
            (0, false),
            "day {day}: it waits, and holds nothing"
        );
        if day % 3 == 0 {
            house.die().await;
            assert_eq!(house.runtime.live(), 0, "a start opens nothing that only sleeps");
        }
    }
    assert_eq!(ends(&house, 1).await, vec![]);
    tokio::time::sleep(DAY).await;
    house.until(1, "wait.ended").await;
    let ends = ends(&house, 1).await;
    assert!(matches!(ends.as_slice(), [(WaitReason::Due, 0..=100)]), "{ends:?}");
    let started = house.events(1).await.into_iter().filter_map(|event| match event {
        Event::TurnStarted(started) => Some(started.trigger),
        _other => None,
    });
    assert_eq!(started.collect::<Vec<_>>(), [Trigger::Message, Trigger::Wake]);
    tokio::time::sleep(DAY).await;
    assert_eq!(status(&house, 1).await, Status::Idle);
    assert!(house.runtime.is_quiet());
}

#[tokio::test(start_paused = true)]
async fn a_time_that_passed_while_nothing_ran_is_made_up_for_at_the_start() {
    let mut house = House::of(waiting(&json!({"reason": "r", "for": "1h"}))).await;
    let said = house.say(1, "go").await;
    house.outcome(1, said).await;
    house.runtime.shutdown().await;
    tokio::time::sleep(DAY).await;
    house.die().await;
    house.until(1, "wait.ended").await;
    let ends = ends(&house, 1).await;
    assert!(matches!(ends.as_slice(), [(WaitReason::Due, 82_000_000..)]), "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn many_that_are_due_at_once_are_all_woken_once_and_in_time() {
    let mut house = House::of(waiting(&json!({"reason": "r", "for": "1h"}))).await;
    let due = Until::At(house.runtime.view(id(1)).await.unwrap().updated_at.plus_ms(3_600_000));
    for session in 2..200 {
        house.ask(session, Command::Create(create())).await.unwrap();
        arm(&house, session, timer(due)).await;
    }
    tokio::time::sleep(Duration::from_secs(1_800)).await;
    house.die().await;
    assert_eq!(house.runtime.live(), 0);
    tokio::time::sleep(Duration::from_secs(1_900)).await;
    for session in 2..200 {
        let ends = ends(&house, session).await;
        assert!(matches!(ends.as_slice(), [(WaitReason::Due, 0..=100)]), "{session}: {ends:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_signal_wakes_at_once_and_one_that_came_first_is_there() {
    let house = House::of(waiting(&json!({"reason": "r", "signal": "reply"}))).await;
    let signal = || Command::Signal(NewSignal { name: "reply".into(), payload: json!({"n": 1}), origin: by() });
    let request = || Some("mail-1".parse().unwrap());
    let said = house.say(1, "go").await;
    assert_eq!(house.outcome(1, said).await.ending, Ending::Sleep);
    let before = tokio::time::Instant::now();
    let first = house.runtime.submit(id(1), signal(), request()).await.unwrap();
    house.until(1, "wait.ended").await;
    assert!(before.elapsed() < Duration::from_millis(100));
    let again = house.runtime.submit(id(1), signal(), request()).await.unwrap();
    assert_eq!((again.seq, again.duplicate), (first.seq, true));
    tokio::time::sleep(DAY).await;
    // Nobody waits for it: it is kept.
    house.ask(1, signal()).await.unwrap();
    assert_eq!(status(&house, 1).await, Status::Idle);
    let signal = Some(Awaited { name: "reply".into(), fits: None });
    arm(&house, 1, NewWait { signal, until: None, ..timer(Until::In(1)) }).await;
    assert_eq!(ends(&house, 1).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_due_while_everything_is_stopped_begins_when_that_is_lifted() {
    let house = House::of(waiting(&json!({"reason": "r", "for": "1h"}))).await;
    let said = house.say(1, "go").await;
    house.outcome(1, said).await;
    house.runtime.stop_all(by(), None).await.unwrap();
    tokio::time::sleep(DAY).await;
    assert_eq!(ends(&house, 1).await, vec![]);
    house.runtime.lift().await.unwrap();
    house.until(1, "wait.ended").await;
}

#[tokio::test(start_paused = true)]
async fn whoever_is_late_with_a_wait_learns_who_was_first_whichever_session_has_it() {
    let mut house = House::of(waiting(&json!({"reason": "r", "for": "1h"}))).await;
    let said = house.say(1, "go").await;
    house.outcome(1, said).await;
    let all = || WaitQuery { limit: 10, ..WaitQuery::default() };
    let found = house.runtime.waits(all()).await.unwrap();
    let [one] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((one.session, one.wait.terms.reason.as_str()), (id(1), "r"));
    let wait = one.wait.wait;
    house.runtime.end_wait(WaitCommand::Cancel(wait), by(), None, anybody).await.unwrap();
    house.die().await;
    let late = house.runtime.end_wait(WaitCommand::Fire(wait), by(), None, anybody).await.unwrap_err();
    assert!(late.to_string().contains("ended already: cancelled"), "{late}");
    assert_eq!(house.runtime.waits(all()).await.unwrap(), vec![]);
    assert_eq!(status(&house, 1).await, Status::Idle);
}

#[tokio::test(start_paused = true)]
async fn a_fork_takes_no_wait_from_its_original() {
    let mut house = House::of(waiting(&json!({"reason": "r", "for": "1h"}))).await;
    let said = house.say(1, "go").await;
    house.outcome(1, said).await;
    let fork = NewFork { session: id(2), of: (id(1), None), title: None, by: by() };
    house.runtime.fork(fork, None).await.unwrap();
    let found = house.runtime.waits(WaitQuery { limit: 10, ..WaitQuery::default() }).await.unwrap();
    let [one] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(one.session, id(1));
    let later = WaitCommand::Move(one.wait.wait, Until::In(7_200_000));
    assert_eq!(house.runtime.end_wait(later, by(), None, anybody).await.unwrap().0, id(1));
    house.die().await;
    tokio::time::sleep(DAY).await;
    house.until(1, "wait.ended").await;
    assert_eq!(ends(&house, 1).await, vec![(WaitReason::Due, 0)]);
    assert_eq!(ends(&house, 2).await, vec![(WaitReason::Cancelled, 0)]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_fired_under_a_name_is_answered_the_same_again() {
    let mut house = House::of(waiting(&json!({"reason": "r", "for": "1h"}))).await;
    let said = house.say(1, "go").await;
    house.outcome(1, said).await;
    let wait = house.runtime.view(id(1)).await.unwrap().queue.waits.armed[0].wait;
    let fire = || Command::Wait { what: WaitCommand::Fire(wait), by: by() };
    let first = house.runtime.submit(id(1), fire(), "once".parse().ok()).await.unwrap();
    house.die().await;
    let again = house.runtime.submit(id(1), fire(), "once".parse().ok()).await.unwrap();
    assert_eq!((again.duplicate, again.seq, again.turn), (true, first.seq, first.turn));
}

/// A clock that somebody sets.
struct Set {
    clock: TokioClock,
    by_ms: AtomicI64,
}

impl Clock for Set {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.clock.now().micros() + self.by_ms.load(Ordering::SeqCst) * 1_000)
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_by_a_day_loses_and_doubles_nothing() {
    for (step, expected) in [(86_400_000_i64, 1), (-86_400_000, 0)] {
        let (store, _faults) = memory::store();
        let clock = TokioClock::from(Timestamp::from_micros(1_700_000_000_000_000));
        let clock = Arc::new(Set { clock, by_ms: AtomicI64::new(0) });
        let agents = Arc::new(waiting(&json!({"reason": "r", "for": "1h"})));
        let moments = Moments::new(clock.clone(), 1);
        let runtime = Runtime::start(store, agents, moments, Settings::default()).await.unwrap();
        runtime.submit(id(1), Command::Create(create()), None).await.unwrap();
        let said = runtime.submit(id(1), Command::Message(message("go")), None).await.unwrap();
        runtime.outcome(id(1), said.turn.unwrap(), said.seq).await.unwrap();
        clock.by_ms.store(step, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(3)).await;
        let count = || async {
            let lines = runtime.entries(id(1), 0, 1_000).await.unwrap();
            lines.iter().filter(|line| matches!(line.read().unwrap().event, Event::WaitEnded(_))).count()
        };
        assert_eq!(count().await, expected, "set by {step} ms: noticed within a second, and never early");
        // It is set back, and the hour passes.
        clock.by_ms.store(0, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(7_200)).await;
        assert_eq!(count().await, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_deleted_sleeps_no_more_until_it_is_brought_back() {
    let house = House::of(waiting(&json!({"reason": "r", "for": "1h"}))).await;
    let said = house.say(1, "go").await;
    house.outcome(1, said).await;
    house.runtime.discard(id(1), by(), None).await.unwrap();
    assert_eq!(house.runtime.waits(WaitQuery { limit: 9, ..WaitQuery::default() }).await.unwrap(), vec![]);
    tokio::time::sleep(DAY).await;
    house.runtime.restore(id(1)).await.unwrap();
    house.until(1, "wait.ended").await;
}
