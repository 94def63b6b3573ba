//! Whoever joins a running turn sees at once what it has said, and nothing of it twice.

use outlive_core::content::{Delta, Said};
use outlive_core::event::OnDisconnect;
use outlive_runtime::subscribe::Signal;

use super::fixture::{Client, Desk, Say, text};

#[tokio::test(start_paused = true)]
async fn whoever_joins_in_mid_answer_gets_it_once_after_the_replay_and_before_what_follows() {
    let desk = Desk::new(OnDisconnect::Continue).await;
    desk.ask().await;
    desk.say(text("Hel")).await;
    desk.say(text("lo")).await;
    let mut first = desk.attach(0).await;
    Client::default().until(&mut first, |client| client.text == "Hello").await;
    let mut heard = desk.attach(0).await;
    let mut order = Vec::new();
    while order.len() < 2 {
        match heard.next().await.unwrap().unwrap() {
            Signal::Event(..) => assert_eq!(order, Vec::<String>::new(), "the replay is over"),
            Signal::Live => order.push("live".to_owned()),
            Signal::Delta(Delta::SoFar(so_far)) => {
                let step = so_far.step.unwrap();
                assert_eq!(step.said, [Said::Text { text: "Hello".into() }]);
                order.push("so far".to_owned());
            }
            Signal::Delta(other) => panic!("{other:?} comes too early"),
        }
    }
    assert_eq!(order, ["live", "so far"]);
    desk.say(text(" there")).await;
    let next = heard.next().await.unwrap().unwrap();
    assert!(matches!(&next, Signal::Delta(Delta::Text { text }) if text == " there"), "{next:?}");
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_after_its_last_event_is_given_what_was_said_since() {
    let desk = Desk::new(OnDisconnect::Continue).await;
    desk.ask().await;
    let mut heard = desk.attach(0).await;
    desk.say(text("one ")).await;
    let mut client = Client::default();
    client.until(&mut heard, |client| client.text == "one ").await;
    let cursor = heard.cursor();
    drop(heard);
    desk.say(text("two ")).await;
    let mut heard = desk.attach(cursor).await;
    client.until(&mut heard, |client| client.text == "one two ").await;
    desk.model.send(Say::End("one two three".into())).await.unwrap();
    client.until(&mut heard, |client| client.ended).await;
    drop(heard);
    let mut late = Client::default();
    let mut heard = desk.attach(0).await;
    late.until(&mut heard, |client| client.is_live).await;
    assert_eq!(late.text, "", "nothing runs: the events say it all");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stalls_misses_nothing_and_keeps_nobody_waiting() {
    let desk = Desk::new(OnDisconnect::Continue).await;
    desk.ask().await;
    let (mut stalled, mut quick) = (desk.attach(0).await, desk.attach(0).await);
    let (mut slow, mut client) = (Client::default(), Client::default());
    slow.until(&mut stalled, |client| client.is_live).await;
    let whole: String = (0..2_000).map(|n| format!("{n} ")).collect();
    for word in whole.split_inclusive(' ') {
        desk.say(text(word)).await;
        client.until(&mut quick, |client| client.text.ends_with(word)).await;
    }
    assert_eq!(client.text, whole);
    slow.until(&mut stalled, |client| client.text.len() == whole.len()).await;
    assert_eq!(slow.text, whole);
}

#[tokio::test(start_paused = true)]
async fn whenever_a_client_comes_and_goes_it_has_the_same_text() {
    let desk = Desk::new(OnDisconnect::Continue).await;
    desk.ask().await;
    let whole: String = (0..200).map(|n| format!("{n} ")).collect();
    let mut clients: Vec<_> = (0..10).map(|_| (Client::default(), None, 0)).collect();
    let mut said = String::new();
    for (round, word) in whole.split_inclusive(' ').enumerate() {
        desk.say(text(word)).await;
        said.push_str(word);
        for (at, (client, heard, cursor)) in clients.iter_mut().enumerate() {
            // Each by another rhythm, so that all of them come and go at all places.
            if (round * 7 + at * 13) % (at + 3) == 0 {
                *heard = match heard.take() {
                    Some(_gone) => None,
                    None => Some(desk.attach(*cursor).await),
                };
            }
            if let Some(heard) = heard {
                client.until(heard, |client| client.text == said).await;
                *cursor = heard.cursor();
            }
        }
    }
    desk.model.send(Say::End(whole.clone())).await.unwrap();
    for (mut client, _, cursor) in clients {
        let mut heard = desk.attach(cursor).await;
        client.until(&mut heard, |client| client.ended).await;
    }
}
