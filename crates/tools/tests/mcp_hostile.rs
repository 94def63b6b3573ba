//! Programs that speak MCP with bad intent: what they send is bounded, what they leave running is ended, the agent goes on.

#![expect(clippy::unwrap_used, reason = "tests look at processes")]

mod servers;
mod stage;

use std::time::Duration;

use outlive_core::agent::McpServer;
use outlive_core::event::Outcome;
use outlive_tools::Finished;
use serde_json::json;
use servers::{House, peak, program, script};

/// MiB that this process may have at most, whatever a server sends: a few messages of the largest size, and itself.
const MOST: u64 = 320;
/// Longer than anything here takes: what hangs fails its test.
const PATIENCE: Duration = Duration::from_secs(60);

fn server(mode: &str) -> McpServer {
    // One that shows progress may take ten times as long.
    let timeout_ms = match mode {
        "chatter" => 60_000,
        "progress" => 300,
        _usual => 3_000,
    };
    McpServer { timeout_ms, ..program("python3", &["-u", &script("hostile.py"), mode]) }
}

async fn house(mode: &str) -> House {
    let house = House::of(server(mode)).await;
    assert_eq!(house.names(), ["mcp_s_echo", "mcp_s_go"], "{}", house.told());
    house
}

/// Every process that a house's server has started: it works in the house's folder.
fn living(house: &House) -> Vec<u32> {
    let names = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().file_name());
    let processes = names.filter_map(|name| name.to_str()?.parse().ok());
    let works_here =
        |pid: &u32| std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == house.stage.place.cwd);
    processes.filter(works_here).filter(|pid| stage::lives(*pid)).collect()
}

/// Calls `go`, ends the server, and looks at what it has cost.
async fn go(mode: &str) -> Finished {
    let house = house(mode).await;
    let finished = tokio::time::timeout(PATIENCE, house.call("go", json!({}))).await.unwrap();
    tokio::time::timeout(PATIENCE, house.pool.end()).await.unwrap();
    assert!(peak() < MOST, "{mode}: {} MiB", peak());
    assert_eq!(std::fs::read_dir(house.stage.children()).unwrap().count(), 0, "{mode}: no record is left");
    finished
}

#[tokio::test]
async fn a_frame_of_gigabytes_ends_the_connection_and_the_server_is_had_again() {
    let house = house("gigabytes").await;
    let lost = tokio::time::timeout(PATIENCE, house.call("go", json!({}))).await.unwrap();
    assert_eq!((lost.outcome, lost.details), (Outcome::Error, Some(json!({"outcome_unknown": true}))));
    let again = tokio::time::timeout(PATIENCE, house.until("echo", json!({}))).await.unwrap();
    assert_eq!(again.content, "well");
    house.pool.end().await;
    assert!(peak() < MOST, "{} MiB", peak());
}

#[tokio::test]
async fn garbage_without_end_keeps_a_call_no_longer_than_its_time() {
    let late = go("lines").await;
    assert_eq!((late.outcome, late.details), (Outcome::Timeout, Some(json!({"outcome_unknown": true}))));
}

#[tokio::test]
async fn bytes_that_are_no_text_do_not_hide_the_answer_behind_them() {
    let finished = go("binary").await;
    assert_eq!((finished.outcome, finished.content.as_str()), (Outcome::Ok, "after all of it"));
}

#[tokio::test]
async fn a_greeting_on_the_wrong_pipe_is_passed_over() {
    let house = house("garbage").await;
    assert_eq!(house.call("echo", json!({})).await.content, "well");
    house.pool.end().await;
}

#[tokio::test]
async fn half_a_gibibyte_of_chatter_costs_nothing() {
    let finished = go("chatter").await;
    assert_eq!((finished.outcome, finished.content.as_str()), (Outcome::Ok, "said"));
}

async fn flooded(mode: &str) {
    let finished = go(mode).await;
    assert_ne!(finished.outcome, Outcome::Ok, "{mode}: {}", finished.content);
    assert_eq!(finished.details, Some(json!({"outcome_unknown": true})), "{mode}");
}

#[tokio::test]
async fn requests_without_end_are_bounded() {
    flooded("requests").await;
}

#[tokio::test]
async fn long_questions_without_end_are_bounded() {
    flooded("questions").await;
}

#[tokio::test]
async fn notifications_without_end_are_bounded() {
    flooded("notifications").await;
}

#[tokio::test]
async fn changes_of_a_list_without_end_are_bounded() {
    flooded("changes").await;
}

#[tokio::test]
async fn progress_without_end_is_bounded() {
    flooded("progress").await;
}

#[tokio::test]
async fn a_server_that_closes_its_output_under_a_call_leaves_it_unknown() {
    let finished = go("closed").await;
    assert_eq!((finished.outcome, finished.details), (Outcome::Error, Some(json!({"outcome_unknown": true}))));
}

#[tokio::test]
async fn a_server_that_is_deaf_to_polite_signals_is_ended() {
    let house = house("deaf").await;
    assert_eq!(living(&house).len(), 1);
    tokio::time::timeout(PATIENCE, house.pool.end()).await.unwrap();
    assert_eq!(living(&house), Vec::<u32>::new());
}

#[tokio::test]
async fn what_a_server_forked_into_sessions_of_its_own_ends_with_it() {
    let house = house("forks").await;
    assert_eq!(house.call("go", json!({})).await.content, "forked");
    while living(&house).len() < 81 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::timeout(PATIENCE, house.pool.end()).await.unwrap();
    assert_eq!(living(&house), Vec::<u32>::new());
}

#[tokio::test]
async fn an_answer_of_megabytes_is_shown_in_part() {
    let finished = go("large").await;
    assert_eq!(finished.outcome, Outcome::Ok);
    assert!(finished.content.len() <= outlive_core::limits::RESULT_BYTES, "{}", finished.content.len());
}

#[tokio::test]
async fn what_is_nested_ten_thousand_deep_is_refused_by_name() {
    let house = House::of(server("schema")).await;
    assert!(house.told().contains("nested deeper than"), "{}", house.told());
    assert_eq!(house.names(), Vec::<String>::new());
    house.pool.end().await;
    let house = self::house("deep").await;
    let lost = house.call("go", json!({})).await;
    assert_eq!((lost.outcome, lost.details), (Outcome::Error, Some(json!({"outcome_unknown": true}))));
    let meanwhile = house.call("echo", json!({})).await;
    assert!(meanwhile.content.contains("nested deeper than"), "{}", meanwhile.content);
    house.pool.end().await;
}
