//! A relay with states of all kinds, its server killed at named points of it and wherever its journal is by then: it comes to the
//! same end with the same outputs, and neither of its scripts does twice what must not be.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::check;
use crate::house::{House, Server};

/// What happens on the way, and at which times: before a script runs, once it has and nobody knows it, in a look, in the agent's
/// work, in its choice, in what people and signals bring, and when the person is told of the end.
const POINTS: [&str; 18] = [
    "call.started:1",
    "call.finished:1",
    "call.started:2",
    "call.finished:2",
    "relay.state_ended:2",
    "call.started:3",
    "call.finished:4",
    "wait.armed:1",
    "wait.ended:1",
    "wait.ended:2",
    "signal.received:1",
    "wait.ended:3",
    "step.started:1",
    "step.finished:2",
    "relay.state_entered:8",
    "question.answered:1",
    "relay.finished:1",
    "step.finished:3",
];

/// How often it is killed wherever it is by then.
const ANYWHERE: usize = 14;

/// What one run came to: how it ended, and what its states gave.
type End = (Value, Vec<(String, String, Value)>);

fn definition() -> Value {
    let packed = "if grep -qsx packed effects; then echo '{\"n\": 1}'; else exit 1; fi";
    json!({"name": "errand", "prompt": "do it all", "states": [
        {"name": "pack", "kind": "script", "command": "echo packed >> effects; sleep 0.1; echo '{\"n\": 1}'",
            "check": packed, "next": "post"},
        {"name": "post", "kind": "script", "command": "echo posted >> effects; sleep 0.1; echo sent", "next": "look"},
        {"name": "look", "kind": "poll", "command": "echo x >> looks; test $(wc -l < looks) -ge 2", "interval": "1s",
            "next": "rest"},
        {"name": "rest", "kind": "timer", "after": "100ms", "next": "hear"},
        {"name": "hear", "kind": "signal", "signal": "news", "match": {"good": true}, "next": "write"},
        {"name": "write", "kind": "agent", "prompt": "json {\"written\": 7}"},
        {"name": "ask", "kind": "park", "question": "Was it fine?", "options": ["fine"], "next": "done"},
        {"name": "done", "kind": "terminal", "outcome": "completed"},
    ]})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_anything_of_a_relay_is_written_it_comes_to_the_same_end() {
    killed_at_all("before").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_when_something_of_a_relay_is_durable_it_comes_to_the_same_end() {
    killed_at_all("synced").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_wherever_a_relay_is_by_then_it_comes_to_the_same_end() {
    let expected = undisturbed().await;
    two_at_a_time((0..ANYWHERE).map(|n| killed_by_then(n, expected.clone()))).await;
}

/// Its journal grows to some fifty lines; each second time what its scripts have done decides.
async fn killed_by_then(n: usize, expected: End) {
    let house = House::new();
    let server = house.serve().await;
    let session = server.create("worker").await.unwrap();
    let is_there = async || match n % 2 {
        // Its file comes behind it.
        0 => server.get(&format!("/sessions/{session}")).await["head"].as_u64().unwrap() > n as u64 * 4,
        _ => house.effects().lines().count() + house.read("looks").lines().count() > n / 4,
    };
    let by_then = async {
        while !is_there().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        server.kill().await;
    };
    let end = tokio::select! {
        end = carry(&house, &server, (&session, n.is_multiple_of(3))) => end,
        () = by_then => None,
    };
    assert!(end.is_none(), "{n}: it had ended by then");
    server.gone().await;
    come_to(&house, (&session, &format!("{n}")), &expected).await;
}

async fn undisturbed() -> End {
    let house = House::new();
    let server = house.serve().await;
    let session = server.create("worker").await.unwrap();
    let end = carry(&house, &server, (&session, false)).await.unwrap();
    server.stop().await;
    check::files(&house, &[]);
    let states: Vec<&str> = end.1.iter().map(|row| row.0.as_str()).collect();
    assert_eq!(states, ["pack", "post", "look", "rest", "hear", "write", "ask", "done"]);
    assert_eq!((&end.0, house.effects().as_str()), (&json!("completed"), "packed\nposted\n"));
    end
}

async fn killed_at_all(moment: &'static str) {
    if !cfg!(feature = "trap") {
        panic!("this server has no trap: run the tests with --all-features, as ./test does");
    }
    let expected = undisturbed().await;
    let points = POINTS.into_iter().enumerate();
    two_at_a_time(points.map(|(n, what)| killed_at(format!("{moment}:{what}"), n.is_multiple_of(2), expected.clone())))
        .await;
}

async fn killed_at(point: String, early: bool, expected: End) {
    let house = House::new();
    let server = house.serve_with(Some(&point)).await.unwrap();
    let session = server.create("worker").await.unwrap();
    let end = carry(&house, &server, (&session, early)).await;
    assert!(end.is_none(), "nothing led to {point}");
    server.gone().await;
    assert!(server.was_killed(), "{point}");
    come_to(&house, (&session, &point), &expected).await;
}

async fn two_at_a_time(jobs: impl Iterator<Item = impl Future<Output = ()> + Send + 'static>) {
    let mut running = JoinSet::new();
    for job in jobs {
        running.spawn(job);
        while running.len() >= 2 {
            running.join_next().await.unwrap().unwrap();
        }
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
}

/// Starts the server again, and has it do what is left.
async fn come_to(house: &House, (session, what): (&str, &str), expected: &End) {
    let server = house.serve().await;
    let mut end = carry(house, &server, (session, true)).await.unwrap_or_else(|| panic!("{what}: it died again"));
    server.stop().await;
    check::files(house, &[]);
    // Where nobody knew whether it was sent, a person has said so.
    for row in end.1.iter_mut().filter(|row| row.2 == "a person says that it was done") {
        assert_eq!(row.0, "post", "{what}");
        row.2 = json!("sent");
    }
    assert_eq!(end, *expected, "{what}");
    let effects: Vec<String> = house.effects().lines().map(str::to_owned).collect();
    assert_eq!(effects, ["packed", "posted"], "{what}: each is done once");
}

/// What people do for the relay until it ends; `None` when the server is gone. What nobody answered is asked again, by the same
/// name; the signal comes `early`, or once it is waited for.
async fn carry(house: &House, server: &Server, (session, early): (&str, bool)) -> Option<End> {
    let route = |what: &str| format!("/sessions/{session}/{what}");
    let start = json!({"action": "start", "definition": definition(), "request_id": "start"});
    server.ask("POST", &route("relay"), Some(start)).await?;
    let (mut is_sent, began) = (false, Instant::now());
    loop {
        assert!(began.elapsed() < Duration::from_secs(120), "{session} does not come to an end");
        let (_, run) = server.ask("GET", &route("relay"), None).await?;
        let (_, view) = server.ask("GET", &format!("/sessions/{session}"), None).await?;
        if run["outcome"].is_string() && view["status"] == "idle" {
            return Some((run["outcome"].clone(), rows(&run)));
        }
        if !is_sent && (early || run["state"] == "hear") {
            for (request, good) in [("bad", false), ("good", true)] {
                let signal = json!({"name": "news", "payload": {"good": good}, "request_id": request});
                server.ask("POST", &route("signals"), Some(signal)).await?;
            }
            is_sent = true;
        }
        let (_, open) = server.ask("GET", &route("questions"), None).await?;
        for question in open["items"].as_array().into_iter().flatten() {
            answer((house, server), session, question).await?;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Whoever is asked what a script did looks.
async fn answer((house, server): (&House, &Server), session: &str, question: &Value) -> Option<()> {
    let asked = question["questions"].to_string();
    let answer = match (asked.contains("Was it fine?"), asked.contains("Nobody knows")) {
        (true, _) => "fine",
        (false, true) if house.effects().contains("posted\n") => "it was done",
        (false, true) => "run it again",
        (false, false) => panic!("{asked}"),
    };
    let route = format!("/sessions/{session}/questions/{}", question["question"].as_str().unwrap());
    server.ask("POST", &route, Some(json!({"answers": [answer]}))).await.map(drop)
}

/// What states came to: not what was cut short, tried again or not there yet.
fn rows(run: &Value) -> Vec<(String, String, Value)> {
    let passing = BTreeSet::from(["lost", "interrupted", "not_yet"]);
    let items = run["items"].as_array().unwrap().iter().filter(|item| item["what"] == "attempt");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows =
        items.map(|item| (text(&item["state"]), text(&item["ended"]["outcome"]), item["ended"]["output"].clone()));
    rows.filter(|row| !passing.contains(row.1.as_str())).collect()
}
