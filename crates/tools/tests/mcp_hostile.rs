//! Programs that speak MCP with bad intent: what they send is bounded, what they leave running is ended, the agent goes on.

#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at processes")]

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
    McpServer { timeout_ms: 3_000, ..program("python3", &["-u", &script("hostile.py"), mode]) }
}

async fn house(mode: &str) -> House {
    let house = House::of(server(mode)).await;
    assert_eq!(house.names(), ["mcp_s_echo", "mcp_s_go"], "{}", house.told());
    house
}

/// Every process that this test's servers have started.
fn living() -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let own = std::process::id();
    let is_ours = |pid: &u32| {
        let read = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let of_us = String::from_utf8_lossy(&read("environ")).contains("OUTLIVE_CALL=");
        of_us && String::from_utf8_lossy(&read("cmdline")).contains("hostile.py") && ancestors_or_orphan(*pid, own)
    };
    processes.filter(is_ours).filter(|pid| stage::lives(*pid)).collect()
}

/// Whether a process is below us, or below nobody any more.
fn ancestors_or_orphan(mut pid: u32, own: u32) -> bool {
    while pid > 1 && pid != own {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let Some((_, rest)) = stat.rsplit_once(") ") else { return false };
        pid = rest.split(' ').nth(1).and_then(|parent| parent.parse().ok()).unwrap_or_default();
    }
    pid == own || pid == 1
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
async fn a_gibibyte_of_chatter_costs_nothing() {
    let finished = go("chatter").await;
    assert_eq!((finished.outcome, finished.content.as_str()), (Outcome::Ok, "said"));
}

#[tokio::test]
async fn requests_notifications_and_changes_without_end_are_bounded() {
    for mode in ["requests", "notifications", "changes", "progress"] {
        let finished = go(mode).await;
        assert_ne!(finished.outcome, Outcome::Ok, "{mode}: {}", finished.content);
        assert_eq!(finished.details, Some(json!({"outcome_unknown": true})), "{mode}");
    }
}

#[tokio::test]
async fn a_server_that_closes_its_output_under_a_call_leaves_it_unknown() {
    let finished = go("closed").await;
    assert_eq!((finished.outcome, finished.details), (Outcome::Error, Some(json!({"outcome_unknown": true}))));
}

#[tokio::test]
async fn a_server_that_is_deaf_to_polite_signals_is_ended() {
    let house = house("deaf").await;
    assert_eq!(living().len(), 1);
    tokio::time::timeout(PATIENCE, house.pool.end()).await.unwrap();
    assert_eq!(living(), Vec::<u32>::new());
}

#[tokio::test]
async fn what_a_server_forked_into_sessions_of_its_own_ends_with_it() {
    let house = house("forks").await;
    assert_eq!(house.call("go", json!({})).await.content, "forked");
    assert_eq!(living().len(), 81);
    tokio::time::timeout(PATIENCE, house.pool.end()).await.unwrap();
    assert_eq!(living(), Vec::<u32>::new());
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
    let lost = go("deep").await;
    assert_eq!((lost.outcome, lost.details), (Outcome::Error, Some(json!({"outcome_unknown": true}))));
    assert!(lost.content.contains("nested deeper than"), "{}", lost.content);
}
