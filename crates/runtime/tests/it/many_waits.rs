//! Very many sessions that sleep: what each costs, and what becomes of all that are due at once.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use outlive_core::command::{Command, Until, WaitCommand};
use outlive_core::content::{Failure, Reply, Request};
use outlive_core::event::{Ending, Event};
use outlive_core::time::Timestamp;
use outlive_model::scripted::{Scripted, Step};
use outlive_model::{Description, Model, Pending, Sink};
use outlive_runtime::clock::{Clock, Moments, TokioClock};
use outlive_runtime::scheduler::{SEATED, SEATS};
use outlive_runtime::{Runtime, Settings};
use outlive_store::memory;
use outlive_tools::registry::Toolbox;
use serde_json::json;

use super::house::{Agents, House, by, create, id, kit};
use super::waits::{arm, ends, timer, waiting};

const HOUR: Duration = Duration::from_secs(3_600);

/// A model that takes its time, and knows how many it has answered at once.
#[derive(Clone)]
struct Slow {
    takes: Duration,
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    says: Scripted,
}

impl Slow {
    fn new(takes: Duration) -> Self {
        let says = Scripted::by(|_, _| Step::text("done"));
        Self { takes, now: Arc::default(), most: Arc::default(), says }
    }

    fn agents(&self) -> Agents {
        Agents::of(kit(self.clone(), Toolbox::new(Vec::new()), ""))
    }
}

impl Model for Slow {
    fn describe(&self) -> Description {
        self.says.describe()
    }

    fn stream(&self, request: Request, sink: Sink) -> Pending<'_, Result<Reply, Failure>> {
        Box::pin(async move {
            self.most.fetch_max(self.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(self.takes).await;
            self.now.fetch_sub(1, Ordering::SeqCst);
            self.says.stream(request, sink).await
        })
    }
}

/// Lets these sessions wait until then; those that are not there are made.
async fn asleep(house: &House, sessions: Range<u128>, due: impl Fn(u128) -> Timestamp) {
    for session in sessions {
        house.ask(session, Command::Create(create())).await.ok();
        arm(house, session, timer(Until::At(due(session)))).await;
    }
}

async fn begun(house: &House) -> Timestamp {
    house.runtime.view(id(1)).await.unwrap().updated_at
}

/// When its waits ended.
async fn ended_at(house: &House, session: u128) -> Vec<Timestamp> {
    let lines = house.runtime.entries(id(session), 0, 1_000).await.unwrap();
    let entries = lines.iter().map(|line| line.read().unwrap());
    entries.filter(|entry| matches!(entry.event, Event::WaitEnded(_))).map(|entry| entry.at).collect()
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_that_are_due_within_a_second_each_fire_once_and_none_early() {
    const SESSIONS: u128 = 500;
    const EACH: u128 = 20;
    let mut house = House::of(Slow::new(Duration::ZERO).agents()).await;
    let hour = begun(&house).await.plus_ms(3_600_000);
    let due = |session: u128, nth: u128| Timestamp::from_micros(hour.micros() + (session * EACH + nth) as i64 * 100);
    for nth in 0..EACH {
        asleep(&house, 2..2 + SESSIONS, |session| due(session, nth)).await;
    }
    house.die().await;
    assert_eq!(house.runtime.live(), 0);
    tokio::time::sleep(HOUR + Duration::from_secs(60)).await;
    for session in 2..2 + SESSIONS {
        let ended = ended_at(&house, session).await;
        assert_eq!(ended.len(), EACH as usize, "{session}");
        for (nth, at) in ended.into_iter().enumerate() {
            let due = due(session, nth as u128);
            assert!(at >= due && at.ms_since(due) <= 100, "{session}: due {due}, ended {at}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_overdue_at_a_start_is_woken_by_so_many_at_once_and_nobody_waits_for_it() {
    let slow = Slow::new(SEATED / 2);
    let mut house = House::of(slow.agents()).await;
    let (begun, count) = (begun(&house).await, 4 * SEATS as u128);
    asleep(&house, 2..2 + count, |_| begun.plus_ms(3_600_000)).await;
    house.runtime.shutdown().await;
    tokio::time::sleep(24 * HOUR).await;
    house.die().await;
    let started = tokio::time::Instant::now();
    tokio::time::sleep(Duration::from_millis(10)).await;
    let said = house.say(1, "go").await;
    assert_eq!(house.outcome(1, said).await.ending, Ending::Complete);
    assert!(started.elapsed() < Duration::from_millis(150), "a person is answered at once: {:?}", started.elapsed());
    tokio::time::sleep(Duration::from_secs(1)).await;
    for session in 2..2 + count {
        assert_eq!(ends(&house, session).await.len(), 1, "{session}");
    }
    assert_eq!(slow.most.load(Ordering::SeqCst), SEATS + 1, "as many as there are seats, and the person's");
}

#[tokio::test(start_paused = true)]
async fn turns_that_take_an_hour_keep_nobody_else_asleep() {
    let mut house = House::of(Slow::new(HOUR).agents()).await;
    let (begun, count) = (begun(&house).await, 4 * SEATS as u128);
    asleep(&house, 2..2 + count, |_| begun.plus_ms(3_600_000)).await;
    house.die().await;
    tokio::time::sleep(HOUR + 4 * SEATED).await;
    for session in 2..2 + count {
        assert_eq!(ends(&house, session).await.len(), 1, "{session}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_is_armed_in_the_append_that_begins_it() {
    let house = House::of(waiting(&json!({"reason": "r", "for": "1h"}))).await;
    let before = house.faults.appends();
    arm(&house, 1, timer(Until::In(1_000))).await;
    assert_eq!(house.faults.appends() - before, 1, "a person's is one append");
    let before = house.faults.appends();
    let said = house.say(1, "go").await;
    assert_eq!(house.outcome(1, said).await.ending, Ending::Sleep);
    assert_eq!(house.faults.appends() - before, 2, "what was said; the call with its wait and the end");
}

/// A clock that counts who looks at it.
struct Looked {
    clock: TokioClock,
    times: AtomicU64,
}

impl Clock for Looked {
    fn now(&self) -> Timestamp {
        self.times.fetch_add(1, Ordering::SeqCst);
        self.clock.now()
    }
}

/// What happens in an hour in which so many sessions sleep: looks at the clock, questions to the list, lines read, appends.
async fn idle_hour(count: u128) -> [u64; 4] {
    let (store, faults) = memory::store();
    let clock = TokioClock::from(Timestamp::from_micros(1_700_000_000_000_000));
    let clock = Arc::new(Looked { clock, times: AtomicU64::new(0) });
    let agents = Arc::new(Slow::new(Duration::ZERO).agents());
    let moments = || Moments::new(clock.clone(), 1);
    let runtime = Runtime::start(store, agents.clone(), moments(), Settings::default()).await.unwrap();
    for session in 1..=count {
        runtime.submit(id(session), Command::Create(create()), None).await.unwrap();
        let wait = Command::Wait { what: WaitCommand::Arm(timer(Until::In(14 * 86_400_000))), by: by() };
        runtime.submit(id(session), wait, None).await.unwrap();
    }
    runtime.shutdown().await;
    let runtime = Runtime::start(faults.reopen(), agents, moments(), Settings::default()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let counts = || [clock.times.load(Ordering::SeqCst), faults.listed(), faults.lines_read(), faults.appends()];
    let before = counts();
    tokio::time::sleep(HOUR).await;
    let after = counts();
    assert_eq!(runtime.live(), 0);
    std::array::from_fn(|n| after[n] - before[n])
}

#[tokio::test(start_paused = true)]
async fn an_hour_in_which_a_thousand_sleep_costs_what_one_costs_that_sleeps() {
    let [looks, rest @ ..] = idle_hour(1_000).await;
    assert_eq!([looks, 0, 0, 0], idle_hour(1).await);
    assert!(
        looks <= 3_700 && rest == [0; 3],
        "the clock may be set, so it is looked at each second: {looks}, {rest:?}"
    );
}
