//! People are told outside of any client: through deaths, outages and stops, by a courier that does as it is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use outlive_core::command::{Command, NoticeCommand, Undelivered};
use outlive_core::event::Event;
use outlive_core::id::NoticeId;
use outlive_core::notice::{Letter, Target, Topic};
use outlive_model::scripted::{Scripted, Step};
use outlive_runtime::{Courier, NewFork, WaitQuery};
use outlive_tools::Pending;
use outlive_tools::registry::Toolbox;

use super::house::{Agents, House, by, create, id, kit};

type Outcome = Result<(), Undelivered>;

/// Remembers what it carried; does with each what it is told to.
struct Carrier {
    targets: Vec<Target>,
    carried: Mutex<Vec<(NoticeId, String)>>,
    does: Box<dyn Fn(usize) -> Option<Outcome> + Send + Sync>,
}

impl Carrier {
    /// `None` never returns.
    fn new(does: impl Fn(usize) -> Option<Outcome> + Send + Sync + 'static) -> Arc<Self> {
        let target = Target { name: "ops".into(), topics: Topic::ALL.into(), agents: Default::default() };
        Arc::new(Self { targets: vec![target], carried: Mutex::default(), does: Box::new(does) })
    }

    fn carried(&self) -> Vec<(NoticeId, String)> {
        self.carried.lock().unwrap().clone()
    }
}

impl Courier for Carrier {
    fn targets(&self) -> &[Target] {
        &self.targets
    }

    fn deliver<'a>(&'a self, _target: &'a str, letter: &'a Letter) -> Pending<'a, Outcome> {
        let mut carried = self.carried.lock().unwrap();
        carried.push((letter.id, letter.data.text.clone()));
        let outcome = (self.does)(carried.len());
        drop(carried);
        Box::pin(async move {
            match outcome {
                Some(outcome) => outcome,
                None => std::future::pending().await,
            }
        })
    }
}

async fn house(carrier: &Arc<Carrier>) -> House {
    let agents = Agents::of(kit(Scripted::by(|_, _| Step::text("all is said")), Toolbox::new(vec![]), ""));
    House::of(Agents { courier: Some(carrier.clone()), ..agents }).await
}

/// What the journal says of notices.
async fn story(house: &House) -> Vec<String> {
    let events = house.events(1).await.into_iter();
    events.map(|event: Event| event.name().to_owned()).filter(|name| name.starts_with("notice.")).collect()
}

async fn outgoing(house: &House) -> Vec<(u32, bool)> {
    let found = house.runtime.outgoing(WaitQuery { limit: 10, ..WaitQuery::default() }).await.unwrap();
    found.into_iter().map(|it| (it.notice.attempts, it.notice.next_at.is_some())).collect()
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_turn_is_told_once_with_what_was_said_last() {
    let carrier = Carrier::new(|_| Some(Ok(())));
    let house = house(&carrier).await;
    let said = house.say(1, "go").await;
    house.outcome(1, said).await;
    house.until(1, "notice.delivered").await;
    assert_eq!(story(&house).await, ["notice.due", "notice.delivered"]);
    let carried = carrier.carried();
    assert!(matches!(&carried[..], [(_, text)] if text == "all is said"), "{carried:?}");
    let names: Vec<String> = house.events(1).await.iter().map(|event| event.name().to_owned()).collect();
    let at = names.iter().position(|name| name == "notice.due").unwrap();
    assert_eq!(names[at - 1], "turn.ended", "in one append with what it is about");
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert!(house.runtime.is_quiet(), "nothing lives for what was told");
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_whoever_is_told_is_waited_out_through_deaths_and_nothing_lives_meanwhile() {
    let carrier = Carrier::new(|times| Some(if times < 8 { Err(Undelivered::for_now("down")) } else { Ok(()) }));
    let mut house = house(&carrier).await;
    let said = house.say(1, "go").await;
    house.outcome(1, said).await;
    house.until(1, "notice.failed").await;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        assert_eq!(house.runtime.live(), 0, "between two tries nothing is in memory");
        house.die().await;
    }
    house.until(1, "notice.delivered").await;
    let carried = carrier.carried();
    assert_eq!(carried.len(), 8);
    assert!(carried.iter().all(|(id, _)| *id == carried[0].0), "it is the same each time");
    assert_eq!(outgoing(&house).await, []);
}

#[tokio::test(start_paused = true)]
async fn a_death_while_it_is_told_tells_it_again_under_the_same_id() {
    let carrier = Carrier::new(|times| if times == 1 { None } else { Some(Ok(())) });
    let mut house = house(&carrier).await;
    let said = house.say(1, "go").await;
    house.outcome(1, said).await;
    while carrier.carried().is_empty() {
        tokio::task::yield_now().await;
    }
    house.die().await;
    house.until(1, "notice.delivered").await;
    let carried = carrier.carried();
    assert!(matches!(&carried[..], [first, second] if first == second), "{carried:?}");
    assert_eq!(story(&house).await, ["notice.due", "notice.delivered"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_given_up_is_listed_until_a_person_decides() {
    let carrier = Carrier::new(|times| Some(if times == 1 { Err(Undelivered::for_good("410 Gone")) } else { Ok(()) }));
    let mut house = house(&carrier).await;
    let said = house.say(1, "go").await;
    house.outcome(1, said).await;
    house.until(1, "notice.failed").await;
    tokio::time::sleep(Duration::from_secs(7 * 86_400)).await;
    house.die().await;
    assert_eq!((outgoing(&house).await, house.runtime.live()), (vec![(1, false)], 0));
    let id = carrier.carried()[0].0;
    house.runtime.decide_notice(NoticeCommand::Retry(id), by(), None).await.unwrap();
    house.until(1, "notice.delivered").await;
    assert_eq!(carrier.carried().len(), 2);
    let again = house.runtime.decide_notice(NoticeCommand::Drop(id), by(), None).await.unwrap_err();
    assert!(again.to_string().contains("no notice"), "{again}");
}

#[tokio::test(start_paused = true)]
async fn a_fork_does_not_tell_what_its_parent_tells() {
    let carrier = Carrier::new(|times| Some(if times == 1 { Err(Undelivered::for_now("down")) } else { Ok(()) }));
    let house = house(&carrier).await;
    let said = house.say(1, "go").await;
    house.outcome(1, said).await;
    house.until(1, "notice.failed").await;
    house.runtime.fork(NewFork { session: id(2), of: (id(1), None), title: None, by: by() }, None).await.unwrap();
    assert!(house.runtime.view(id(2)).await.unwrap().upkeep.notices.is_empty());
    house.until(1, "notice.delivered").await;
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(carrier.carried().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_holds_up_neither_turns_nor_a_stop() {
    let carrier = Carrier::new(|_| None);
    let house = house(&carrier).await;
    for _ in 0..3 {
        let said = house.say(1, "go").await;
        house.outcome(1, said).await;
    }
    house.ask(2, Command::Create(create())).await.unwrap();
    let began = tokio::time::Instant::now();
    house.runtime.shutdown().await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_test_is_told_at_once_and_not_while_everything_is_stopped() {
    let carrier = Carrier::new(|times| if times == 1 { Some(Ok(())) } else { None });
    let house = house(&carrier).await;
    assert!(house.runtime.try_target("ops").await.unwrap().unwrap().is_ok());
    assert!(house.runtime.try_target("nobody").await.unwrap().is_none());
    // One under way ends with the stop.
    let (tried, stopped) = tokio::join!(house.runtime.try_target("ops"), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        house.runtime.stop_all(by(), None).await.unwrap()
    });
    assert_eq!(tried.unwrap().unwrap().unwrap_err().why, "everything was stopped");
    drop(stopped);
    let refused = house.runtime.try_target("ops").await.unwrap_err();
    assert!(refused.to_string().contains("everything is stopped"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn what_is_dropped_while_it_is_told_is_not_reported_and_a_title_holds_no_secret() {
    let carrier = Carrier::new(|times| if times == 1 { None } else { Some(Ok(())) });
    let house = house(&carrier).await;
    house.agents.secrets.learn([("DEPLOY_KEY".to_owned(), outlive_core::secret::Secret::new("hunter2-hunter2"))]);
    let said = house.say(1, "go").await;
    house.outcome(1, said).await;
    while carrier.carried().is_empty() {
        tokio::task::yield_now().await;
    }
    let id = carrier.carried()[0].0;
    house.runtime.decide_notice(NoticeCommand::Drop(id), by(), None).await.unwrap();
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(
        (story(&house).await, house.runtime.live()),
        (vec!["notice.due".to_owned(), "notice.dropped".into()], 0)
    );
}

#[tokio::test(start_paused = true)]
async fn many_that_wait_for_one_that_hangs_hold_nothing_and_come_back() {
    let carrier = Carrier::new(|_| None);
    let house = house(&carrier).await;
    for session in 2..102 {
        house.ask(session, Command::Create(create())).await.unwrap();
        let said = house.say(session, "go").await;
        house.outcome(session, said).await;
    }
    tokio::time::sleep(Duration::from_secs(200)).await;
    // So many are told, or stand in line for as long as they may; the others hold nothing.
    assert_eq!(carrier.carried().len(), 4);
    assert!(house.runtime.live() <= 4, "{}", house.runtime.live());
    let page = WaitQuery { limit: 200, ..WaitQuery::default() };
    let waiting = house.runtime.outgoing(page).await.unwrap();
    assert_eq!(waiting.len(), 100);
    assert!(waiting.iter().all(|it| it.notice.attempts == 0), "who was put off was not tried");
}
