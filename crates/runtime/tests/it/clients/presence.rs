//! A session that is not to go on unseen is paused when its last client has been gone for a while, and only then.

use std::time::Duration;

use outlive_core::event::OnDisconnect;
use tokio::time::sleep;

use crate::house::id;

use super::fixture::{Client, Desk, GRACE, Say, text};

const MOMENT: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn a_client_that_comes_back_in_time_changes_nothing() {
    let desk = Desk::new(OnDisconnect::Pause).await;
    desk.ask().await;
    drop(desk.attach(0).await);
    sleep(GRACE - MOMENT).await;
    let heard = desk.attach(0).await;
    sleep(GRACE * 3).await;
    assert_eq!((desk.status().await, desk.pauses().await.len()), ("running", 0));
    drop(heard);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_nobody_comes_back_to_is_paused_says_why_and_goes_on_with_the_next_client() {
    let desk = Desk::new(OnDisconnect::Pause).await;
    desk.ask().await;
    let (first, second) = (desk.attach(0).await, desk.attach(0).await);
    drop(first);
    sleep(GRACE * 2).await;
    assert_eq!(desk.status().await, "running", "one is still there");
    drop(second);
    sleep(GRACE - MOMENT).await;
    assert_eq!(desk.status().await, "running");
    sleep(2 * MOMENT).await;
    assert_eq!(desk.status().await, "paused");
    let state = desk.house.runtime.view(id(1)).await.unwrap();
    let why = format!("{:?}", state.hold);
    assert!(why.contains("the last client left (on_disconnect: pause)"), "{why}");
    // What was asked may end; nothing follows from it.
    desk.model.send(Say::End("done".into())).await.unwrap();
    sleep(GRACE).await;
    assert_eq!(desk.status().await, "paused");
    let mut heard = desk.attach(0).await;
    let mut client = Client::default();
    client.until(&mut heard, |client| client.ended).await;
    assert_eq!(desk.pauses().await, ["paused", "resumed"]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_flaps_begins_the_grace_anew_each_time() {
    let desk = Desk::new(OnDisconnect::Pause).await;
    desk.ask().await;
    for _ in 0..20 {
        drop(desk.attach(0).await);
        sleep(GRACE - MOMENT).await;
        assert_eq!(desk.status().await, "running");
    }
    sleep(2 * MOMENT).await;
    assert_eq!((desk.status().await, desk.pauses().await), ("paused", vec!["paused"]));
}

#[tokio::test(start_paused = true)]
async fn a_restart_is_a_disconnect_and_the_grace_begins_anew() {
    let mut desk = Desk::new(OnDisconnect::Pause).await;
    desk.ask().await;
    drop(desk.attach(0).await);
    sleep(GRACE / 2).await;
    desk.house.restart().await;
    sleep(GRACE - MOMENT).await;
    assert_eq!((desk.status().await, desk.pauses().await.len()), ("running", 0));
    sleep(2 * MOMENT).await;
    assert_eq!(desk.status().await, "paused");
    // Paused, nothing is owed: a restart starts nothing.
    let head = desk.house.runtime.head(id(1)).await.unwrap();
    desk.house.restart().await;
    sleep(GRACE * 3).await;
    assert_eq!((desk.status().await, desk.house.runtime.head(id(1)).await.unwrap()), ("paused", head));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_finds_the_server_again_in_time_goes_on() {
    let mut desk = Desk::new(OnDisconnect::Pause).await;
    desk.ask().await;
    let heard = desk.attach(0).await;
    desk.say(text("half ")).await;
    desk.house.restart().await;
    drop(heard);
    sleep(GRACE / 2).await;
    let mut heard = desk.attach(0).await;
    desk.model.send(Say::End("all of it".into())).await.unwrap();
    Client::default().until(&mut heard, |client| client.ended).await;
    sleep(GRACE * 2).await;
    assert_eq!(desk.pauses().await.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_may_go_on_unseen_and_one_that_rests_are_left_alone() {
    let desk = Desk::new(OnDisconnect::Continue).await;
    desk.ask().await;
    drop(desk.attach(0).await);
    sleep(GRACE * 2).await;
    assert_eq!((desk.status().await, desk.pauses().await.len()), ("running", 0));
    let desk = Desk::new(OnDisconnect::Pause).await;
    drop(desk.attach(0).await);
    sleep(GRACE * 2).await;
    assert_eq!((desk.status().await, desk.pauses().await.len()), ("idle", 0));
}
