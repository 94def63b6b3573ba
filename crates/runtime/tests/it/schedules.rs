//! What is due runs once, wherever the process dies, whatever the clock does.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use outlive_core::event::{Ending, Event, Origin, OriginKind, Trigger};
use outlive_core::id::{RunId, ScheduleId, SessionId};
use outlive_core::limits::SCHEDULES_OVER;
use outlive_core::schedule::{Plan, Schedule, ScheduleCommand};
use outlive_core::secret::Secret;
use outlive_core::time::Timestamp;
use outlive_model::scripted::{Scripted, Step};
use outlive_runtime::clock::{Clock, Moments, TokioClock};
use outlive_runtime::kit::KitError;
use outlive_runtime::{Runtime, Settings, SubmitError};
use outlive_store::memory::{self, Fault};
use outlive_tools::registry::Toolbox;
use serde_json::{Value, json};

use crate::house::{Agents, House, by, kit};

fn one() -> ScheduleId {
    ScheduleId::from_bits(1)
}

/// Agents whose model says so much and no more.
fn agents() -> Agents {
    Agents::of(kit(Scripted::by(|_, _| Step::text("Done.")), Toolbox::new(Vec::new()), "mode: dangerous"))
}

fn plan(fields: Value) -> Plan {
    let mut form = json!({ "agent": "helper", "message": "look" });
    form.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    serde_json::from_value(form).unwrap()
}

async fn made(house: &House, fields: Value) -> Schedule {
    house.runtime.create_schedule(one(), plan(fields), by()).await.unwrap()
}

/// Waits until a schedule is as it is to be.
async fn until(runtime: &Runtime, is_so: impl Fn(&Schedule) -> bool) -> Schedule {
    let mut tries = 0;
    loop {
        if let Ok(schedule) = runtime.schedule(one()).await
            && is_so(&schedule)
        {
            return schedule;
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        tries += 1;
        assert!(tries < 100_000, "never: {:?}", runtime.schedule(one()).await);
    }
}

/// What was said in a session, with the kinds of its origins, and what its turns began with.
async fn said(runtime: &Runtime, session: SessionId) -> (Vec<(String, OriginKind)>, Vec<Trigger>) {
    let lines = runtime.entries(session, 0, 10_000).await.unwrap();
    let (mut said, mut began) = (Vec::new(), Vec::new());
    for line in lines {
        match line.read().unwrap().event {
            Event::MessageReceived(received) => said.push((received.content, received.origin.kind)),
            Event::TurnStarted(started) => began.push(started.trigger),
            _other => {}
        }
    }
    (said, began)
}

fn moment(hours: u64) -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000).plus_ms(hours * 3_600_000)
}

#[tokio::test(start_paused = true)]
async fn what_is_due_again_and_again_runs_each_time_in_a_fresh_session_and_in_time() {
    let house = House::empty(agents(), Settings::default()).await;
    made(&house, json!({ "every": "1h" })).await;
    let schedule = until(&house.runtime, |schedule| schedule.counts.done == 3).await;
    let due: Vec<Timestamp> = schedule.history.iter().map(|past| past.due_at).collect();
    assert_eq!(due, [moment(1), moment(2), moment(3)]);
    let sessions: std::collections::BTreeSet<SessionId> = schedule.history.iter().map(|past| past.session).collect();
    assert_eq!(sessions.len(), 3);
    for past in &schedule.history {
        let once = (vec![("look".to_owned(), OriginKind::Schedule)], vec![Trigger::Schedule]);
        assert_eq!(said(&house.runtime, past.session).await, once);
        assert_eq!((past.outcome, past.attempts), (Ending::Complete, 1));
    }
    for line in house.runtime.schedule_lines(one(), 0, 100).await.unwrap() {
        if let Event::RunStarted(started) = line.read().unwrap().event {
            assert!(started.lateness_ms <= 100, "{started:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_into_a_session_waits_behind_its_turn_and_is_heard_to_its_end() {
    let house = House::of(agents()).await;
    let session = crate::house::id(1);
    let into = json!({ "message": "look", "session": session, "at": moment(1) });
    let into: Plan = serde_json::from_value(into).unwrap();
    house.runtime.create_schedule(one(), into, by()).await.unwrap();
    let schedule = until(&house.runtime, |schedule| schedule.counts.done == 1).await;
    assert_eq!((schedule.history[0].session, schedule.next(house.runtime.zones())), (session, None));
    assert_eq!(said(&house.runtime, session).await.0, [("look".to_owned(), OriginKind::Schedule)]);
}

#[tokio::test(start_paused = true)]
async fn wherever_the_process_dies_a_run_is_one_turn_and_its_end_is_heard() {
    for polls in 1..60 {
        let mut house = House::empty(agents(), Settings::default()).await;
        made(&house, json!({ "at": moment(1) })).await;
        house.runtime.shutdown().await;
        tokio::time::sleep(Duration::from_secs(3_700)).await;
        house.die_again_after(polls).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        house.die().await;
        let schedule = until(&house.runtime, |schedule| schedule.counts.done > 0).await;
        let past = &schedule.history[0];
        assert_eq!((schedule.history.len(), past.attempts, past.due_at), (1, 1, moment(1)), "{polls}");
        let once = (vec![("look".to_owned(), OriginKind::Schedule)], vec![Trigger::Schedule]);
        assert_eq!(said(&house.runtime, past.session).await, once, "{polls}");
        assert_eq!(house.faults.store().directory.sessions().await.unwrap(), [past.session], "{polls}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_cannot_begin_is_tried_again_and_never_ends_the_schedule() {
    let house = House::empty(agents(), Settings::default()).await;
    made(&house, json!({ "every": "1d", "retry": { "attempts": 2, "first": "1m", "longest": "1m" } })).await;
    // From now on there is no such agent.
    let mut lost = house;
    lost.agents = Agents::none();
    lost.die().await;
    let schedule = until(&lost.runtime, |schedule| schedule.counts.failed == 2).await;
    let past = &schedule.history[0];
    assert_eq!((past.outcome, past.attempts), (Ending::Failed, 2));
    let why = KitError::Unknown("helper".parse().unwrap()).to_string();
    assert_eq!((past.error.clone(), past.due_at), (Some(why), moment(24)));
    assert!(past.ended_at.ms_since(past.due_at) >= 30_000, "{past:?}");
    assert_eq!(schedule.next(lost.runtime.zones()), Some(moment(72)));
}

#[tokio::test(start_paused = true)]
async fn while_all_is_stopped_nothing_runs_and_what_was_missed_is_made_up_for_once() {
    let house = House::empty(agents(), Settings::default()).await;
    made(&house, json!({ "every": "1h", "overlap": "queue" })).await;
    house.runtime.stop_all(by(), None).await.unwrap();
    // What is asked for waits, too.
    house.runtime.ask_schedule(one(), ScheduleCommand::Run(RunId::from_bits(5)), by()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5 * 3_600 + 600)).await;
    assert_eq!(house.runtime.schedule(one()).await.unwrap().head, 2);
    house.runtime.lift().await.unwrap();
    let schedule = until(&house.runtime, |schedule| schedule.counts.done == 2).await;
    let due: Vec<Timestamp> = schedule.history.iter().map(|past| past.due_at).collect();
    assert_eq!((due, schedule.counts.skipped), (vec![moment(0), moment(5)], 1));
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_written_is_written_later_and_nothing_begins_before() {
    let house = House::empty(agents(), Settings::default()).await;
    made(&house, json!({ "at": moment(1) })).await;
    house.faults.next(Fault::NoSpace);
    tokio::time::sleep(Duration::from_millis(3_600_500)).await;
    assert_eq!(house.runtime.schedule(one()).await.unwrap().head, 1);
    assert_eq!(house.runtime.live(), 0, "nothing begun");
    let schedule = until(&house.runtime, |schedule| schedule.counts.done == 1).await;
    assert_eq!(said(&house.runtime, schedule.history[0].session).await.0.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn after_a_failed_sync_a_schedule_is_set_aside_until_a_restart_has_looked() {
    for (fault, heads) in [(Fault::PoisonedKept, 1..=9), (Fault::PoisonedLost, 1..=9)] {
        let mut house = House::empty(agents(), Settings::default()).await;
        made(&house, json!({ "at": moment(1) })).await;
        house.faults.next(fault);
        tokio::time::sleep(Duration::from_secs(3_601)).await;
        assert!(house.runtime.schedules().await.unwrap().aside.contains_key(&one()), "{fault:?}");
        house.die().await;
        let schedule = until(&house.runtime, |schedule| schedule.counts.done == 1).await;
        assert!(heads.contains(&schedule.head), "{fault:?}");
        assert_eq!(said(&house.runtime, schedule.history[0].session).await.0.len(), 1, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn more_than_may_be_under_way_wait_for_room() {
    let model = Scripted::by(|_, _| Step::text("Done.").held());
    let house =
        House::empty(Agents::of(kit(model.clone(), Toolbox::new(Vec::new()), "mode: dangerous")), Settings::default())
            .await;
    for n in 1..=40 {
        let made = house.runtime.create_schedule(ScheduleId::from_bits(n), plan(json!({ "at": moment(0) })), by());
        made.await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    let under_way = |known: &[Schedule]| known.iter().map(|schedule| schedule.under_way().count()).sum::<usize>();
    assert_eq!(under_way(&house.runtime.schedules().await.unwrap().schedules), 32);
    for _ in 0..100 {
        model.release();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let known = house.runtime.schedules().await.unwrap().schedules;
    assert_eq!(known.iter().map(|schedule| schedule.counts.done).sum::<u64>(), 40);
}

#[tokio::test(start_paused = true)]
async fn the_same_request_makes_and_runs_a_schedule_once_and_what_is_not_there_is_refused() {
    let house = House::empty(agents(), Settings::default()).await;
    let first = made(&house, json!({ "every": "1d" })).await;
    assert_eq!(made(&house, json!({ "every": "1d" })).await.created_at, first.created_at);
    let run = || house.runtime.ask_schedule(one(), ScheduleCommand::Run(RunId::from_bits(5)), by());
    run().await.unwrap();
    run().await.unwrap();
    until(&house.runtime, |schedule| schedule.counts.done == 1).await;
    run().await.unwrap();
    assert_eq!(house.runtime.schedule(one()).await.unwrap().counts.done, 1);
    let absent = json!({ "message": "look", "session": crate::house::id(9), "every": "1d" });
    let absent: Plan = serde_json::from_value(absent).unwrap();
    let refused = house.runtime.create_schedule(ScheduleId::from_bits(2), absent, by()).await;
    assert!(matches!(refused, Err(SubmitError::Refused(_))), "{refused:?}");
    let gone = house.runtime.ask_schedule(one(), ScheduleCommand::Remove, by()).await.unwrap();
    assert_eq!(gone.history.len(), 1);
    let missing = house.runtime.schedule(one()).await.unwrap_err().to_string();
    assert_eq!(missing, format!("there is no schedule `{}`", one()));
    assert!(house.faults.store().house.schedules.schedules().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn of_what_was_for_once_and_is_over_the_newest_stay() {
    let house = House::empty(agents(), Settings::default()).await;
    let make = |n: u128, fields: Value| house.runtime.create_schedule(ScheduleId::from_bits(n), plan(fields), by());
    make(5_000, json!({ "every": "1d" })).await.unwrap();
    for n in 1..=SCHEDULES_OVER as u128 + 3 {
        make(n, json!({ "at": "2020-01-01T00:00:00Z", "overdue": "skip" })).await.unwrap();
    }
    let known = house.runtime.schedules().await.unwrap().schedules;
    let ids: Vec<u128> = known.iter().map(|schedule| schedule.id.bits()).collect();
    assert_eq!((ids.len(), ids[0], ids.last()), (SCHEDULES_OVER + 2, 3, Some(&5_000)));
    assert_eq!(house.faults.store().house.schedules.schedules().unwrap().len(), SCHEDULES_OVER + 2);
}

#[tokio::test(start_paused = true)]
async fn an_idle_server_stays_for_what_is_due_and_goes_when_nothing_is() {
    let house = House::empty(agents(), Settings::default()).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(house.runtime.is_quiet());
    made(&house, json!({ "at": moment(1) })).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(!house.runtime.is_quiet());
    until(&house.runtime, |schedule| schedule.counts.done == 1).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(house.runtime.is_quiet());
}

#[tokio::test(start_paused = true)]
async fn a_secret_in_a_message_is_in_no_journal() {
    let agents = agents();
    drop(agents.secrets.learn([("KEY".to_owned(), Secret::new("canary-0123456789"))]));
    let house = House::empty(agents, Settings::default()).await;
    made(&house, json!({ "every": "1d", "message": "log in with canary-0123456789" })).await;
    let lines = house.runtime.schedule_lines(one(), 0, 10).await.unwrap();
    assert!(lines.len() == 1 && !lines[0].as_str().contains("canary"), "{lines:?}");
}

/// A clock that somebody sets.
struct SetClock {
    under: TokioClock,
    by: AtomicI64,
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.under.now().micros() + self.by.load(Ordering::Relaxed))
    }

    fn longest(&self) -> Duration {
        Duration::from_secs(1)
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_by_a_day_loses_and_doubles_nothing() {
    const DAY: i64 = 86_400_000_000;
    let (store, _faults) = memory::store();
    let clock = Arc::new(SetClock { under: TokioClock::from(moment(0)), by: AtomicI64::new(0) });
    let moments = Moments::new(clock.clone(), 1);
    let runtime = Runtime::start(store, Arc::new(agents()), moments, Settings::default()).await.unwrap();
    let each = plan(json!({ "every": "6h", "overdue": "fire", "overlap": "queue" }));
    runtime.create_schedule(one(), each, Origin::of(OriginKind::Cli)).await.unwrap();
    let hours = |hours: u64| Duration::from_secs(hours * 3_600 + 60);
    tokio::time::sleep(hours(7)).await;
    // Forward: within a second all four that were leapt over run.
    clock.by.store(DAY, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let schedule = runtime.schedule(one()).await.unwrap();
    assert_eq!(schedule.counts.done, 5);
    // Back: nothing runs again.
    clock.by.store(0, Ordering::Relaxed);
    tokio::time::sleep(hours(22)).await;
    assert_eq!(runtime.schedule(one()).await.unwrap().counts.done, 5);
    tokio::time::sleep(hours(8)).await;
    let schedule = runtime.schedule(one()).await.unwrap();
    let due: Vec<Timestamp> = schedule.history.iter().map(|past| past.due_at).collect();
    assert_eq!(due, [6, 12, 18, 24, 30, 36].map(moment));
    assert!(
        runtime
            .schedule_lines(one(), 0, 100)
            .await
            .unwrap()
            .windows(2)
            .all(|pair| { pair[0].read().unwrap().at <= pair[1].read().unwrap().at })
    );
}
