//! Through the front door: the real binary, killed again and again while people talk to it, then compared with what it
//! had promised. `OUTLIVE_KILL_SEED=N` repeats a run.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test of real processes and files; one that cannot go on has failed"
)]

mod check;
mod house;
mod importing;
mod load;
mod points;
mod relays;

use std::time::Duration;

use house::{House, Rng};
use load::Load;

/// Kills at moments that nobody chose, in one run; those at named points (`points.rs`) come on top.
const KILLS: u32 = 150;

fn seed() -> u64 {
    let named = std::env::var("OUTLIVE_KILL_SEED").ok().and_then(|seed| seed.parse().ok());
    named.unwrap_or_else(|| u64::from(std::process::id()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_moment_the_server_is_killed_at_nothing_promised_is_lost_and_nothing_is_done_twice() {
    let seed = seed();
    println!("seed {seed}");
    let rng = Rng::new(seed);
    let house = House::new();
    let mut load = Load::default();
    for kill in 0..KILLS {
        let server = house.serve().await;
        load.people_return(&server, &rng).await;
        // A third at a random moment, a third when an effect has just become visible, a third early: in recovery itself.
        match kill % 3 {
            0 => tokio::time::sleep(Duration::from_millis(rng.below(250))).await,
            1 => house.until_an_effect_shows(Duration::from_millis(400)).await,
            _ => tokio::time::sleep(Duration::from_millis(rng.below(30))).await,
        }
        server.kill().await;
        load.people_leave().await;
    }
    let server = house.serve().await;
    load.come_to_rest(&server).await;
    check::everything(&house, &server, &load).await;
    server.stop().await;
    let lost = check::files(&house, &load.promises.lock().unwrap());
    assert!(lost > 0, "no kill met a running command: the test did not do its work");
    println!("{}", load.summary(&house));
}

#[tokio::test]
async fn a_second_server_is_refused_with_the_address_of_the_first() {
    let house = House::new();
    let server = house.serve().await;
    let second = house.run(&["serve", "--port", "0"]).await;
    assert_eq!(second.status.code(), Some(75), "{second:?}");
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(said.contains(&server.address), "{said}");
    server.stop().await;
}

#[tokio::test]
async fn commands_end_with_the_codes_of_the_contract() {
    let house = House::new();
    let code = async |arguments: &[&str]| house.run(arguments).await.status.code();
    assert_eq!(code(&["serve", "--status"]).await, Some(5));
    assert_eq!(code(&["nonsense"]).await, Some(2));
    assert_eq!(code(&["serve", "--host", "0.0.0.0"]).await, Some(2));
    std::fs::write(house.root().join("outlive.yaml"), "servr: {port: 1}\n").unwrap();
    let refused = house.run(&["serve"]).await;
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(said.contains("outlive.yaml:1:1: unknown key `servr`: the nearest is `server`"), "{said}");
    std::fs::remove_file(house.root().join("outlive.yaml")).unwrap();
    let server = house.serve().await;
    assert_eq!(code(&["session", "show", "ses_00000000000000000000000009"]).await, Some(3));
    assert_eq!(code(&["session", "show", "nonsense"]).await, Some(2));
    let waits = house.run(&["run", "-a", "asks", "run true"]).await;
    assert_eq!(waits.status.code(), Some(4), "{waits:?}");
    for listing in [["session", "list"].as_slice(), &["agent", "list"], &["inbox"], &["status"]] {
        let out = house.run(&[listing, &["--json"]].concat()).await;
        assert!(serde_json::from_slice::<serde_json::Value>(&out.stdout).is_ok(), "{listing:?}: {out:?}");
    }
    server.stop().await;
}

/// More than a page of the inbox has.
const WAITING: usize = 203;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_waits_beyond_a_page_is_listed_approved_and_answered() {
    let house = House::new();
    let server = house.serve().await;
    let first = server.create("asks").await.unwrap();
    let other = server.create("worker").await.unwrap();
    let waits = async |session: &str, text: &str, status: &str| {
        let body = serde_json::json!({"content": text});
        server.ask("POST", &format!("/sessions/{session}/messages"), Some(body)).await.unwrap();
        while server.get(&format!("/sessions/{session}")).await["status"] != status {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    // What waits longest stands on the last page.
    waits(&first, "run true", "approving").await;
    waits(&other, "ask Which? a | b", "asking").await;
    for _ in 2..WAITING {
        waits(&server.create("asks").await.unwrap(), "run true", "approving").await;
    }
    let page = server.get("/inbox").await;
    let on_first: Vec<&str> =
        page["items"].as_array().unwrap().iter().filter_map(|item| item["session_id"].as_str()).collect();
    assert!(on_first.len() == 200 && !on_first.contains(&first.as_str()) && !on_first.contains(&other.as_str()));
    let listed = house.run(&["inbox", "--json"]).await;
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let items = listed["items"].as_array().unwrap();
    assert_eq!(items.len(), WAITING);
    let call = items.iter().find(|item| item["session_id"] == first.as_str()).unwrap()["call"].as_str().unwrap();
    for (arguments, says) in [(&["approve", call][..], call), (&["answer", "1"], other.as_str())] {
        let done = house.run(arguments).await;
        let said = String::from_utf8(done.stdout.clone()).unwrap();
        assert!(done.status.success() && said.contains(says), "{arguments:?}: {done:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn an_answer_that_was_printed_is_in_the_journal_after_a_kill() {
    let house = House::new();
    let server = house.serve().await;
    let said = house.run(&["run", "-a", "worker", "--json", "run echo printed >> effects"]).await;
    let printed = String::from_utf8(said.stdout).unwrap();
    server.kill().await;
    let server = house.serve().await;
    let session = house.sessions().pop().unwrap();
    server.stop().await;
    let journal = house.journal(&session);
    assert!(printed.lines().count() > 5, "{printed}");
    assert!(printed.lines().all(|line| journal.iter().any(|kept| kept.as_str() == line)), "{printed}");
}
