//! How long what was deleted lies in the trash.

use std::time::Duration;

use outlive_core::command::Command;
use outlive_runtime::Settings;

use super::house::{Agents, House, by, create, id};

const DAY: Duration = Duration::from_secs(86_400);

/// Another process, which keeps what is deleted for so long.
async fn restart(house: &mut House, keep_deleted: Option<Duration>) {
    house.settings.keep_deleted = keep_deleted;
    house.restart().await;
}

/// Makes a session and deletes it.
async fn discard(house: &House, n: u128) {
    house.ask(n, Command::Create(create())).await.unwrap();
    house.runtime.discard(id(n), by(), None).await.unwrap();
}

async fn there(house: &House) -> Vec<u128> {
    house.runtime.discarded().await.unwrap().iter().map(|note| note.row.session.bits()).collect()
}

#[tokio::test(start_paused = true)]
async fn what_lies_in_the_trash_too_long_is_erased_with_a_later_deletion_and_at_a_start() {
    let settings = Settings { keep_deleted: Some(DAY * 2), ..Settings::default() };
    let mut house = House::empty(Agents::none(), settings).await;
    discard(&house, 1).await;
    tokio::time::advance(DAY).await;
    discard(&house, 2).await;
    assert_eq!(there(&house).await, [2, 1]);
    tokio::time::advance(DAY + DAY / 2).await;
    discard(&house, 3).await;
    while there(&house).await != [3, 2] {
        tokio::task::yield_now().await;
    }
    tokio::time::advance(DAY * 2).await;
    restart(&mut house, None).await;
    discard(&house, 4).await;
    assert_eq!(there(&house).await, [4, 3, 2]);
    restart(&mut house, Some(DAY)).await;
    while there(&house).await != [4] {
        tokio::task::yield_now().await;
    }
}
