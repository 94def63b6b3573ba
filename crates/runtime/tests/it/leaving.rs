//! When sessions leave memory, and what they leave behind.

use std::time::Duration;

use outlive_core::command::Command;
use outlive_core::session::read_snapshot;
use outlive_model::scripted::{Scripted, Step};
use outlive_runtime::Settings;
use outlive_tools::registry::Toolbox;

use super::house::{Agents, House, create, id, kit};

fn agents() -> Agents {
    Agents::of(kit(Scripted::by(|_, _| Step::text("done")), Toolbox::new(Vec::new()), ""))
}

#[tokio::test(start_paused = true)]
async fn where_too_many_are_in_memory_whoever_has_nothing_to_do_leaves_at_once() {
    let house = House::empty(agents(), Settings { crowd: 10, ..Settings::default() }).await;
    for session in 1..=50 {
        house.ask(session, Command::Create(create())).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(house.runtime.live(), 10);
    for session in 1..=50 {
        let said = house.say(session, "go").await;
        house.outcome(session, said).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!((1..=10).contains(&house.runtime.live()), "{}", house.runtime.live());
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(house.runtime.live(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_is_written_where_none_is_there_and_where_it_spares_reading_much() {
    let house = House::of(agents()).await;
    let covered = async || {
        tokio::time::sleep(Duration::from_secs(120)).await;
        let text = house.faults.store().snapshots.get(id(1)).await.unwrap();
        text.and_then(|text| read_snapshot(&text)).map(|state| state.head)
    };
    let first = covered().await;
    assert_eq!(first, Some(1));
    let said = house.say(1, "go").await;
    house.outcome(1, said).await;
    assert_eq!(covered().await, first, "a turn is soon read");
    for _ in 0..20 {
        let said = house.say(1, "go").await;
        house.outcome(1, said).await;
    }
    assert_eq!(covered().await, Some(house.runtime.head(id(1)).await.unwrap()));
}
