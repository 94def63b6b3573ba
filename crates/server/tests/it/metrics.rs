//! `/metrics` is Prometheus text by the letter, and its numbers are those of the conversation.

use std::collections::{BTreeMap, BTreeSet};

use outlive_core::content::{Reply, ReplyBlock, StopReason, Usage};
use serde_json::json;

use crate::fixture::Server;

/// One metric: its type, and its samples by name and labels.
#[derive(Debug, Default)]
struct Metric {
    kind: String,
    samples: BTreeMap<String, f64>,
}

/// Reads the text format (0.0.4) strictly: HELP, then TYPE, then samples of that metric alone, each once.
fn parse(text: &str) -> BTreeMap<String, Metric> {
    let mut metrics: BTreeMap<String, Metric> = BTreeMap::new();
    let (mut current, mut helped) = (String::new(), String::new());
    assert!(text.ends_with('\n'), "the last line has its end");
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(!help.is_empty() && !metrics.contains_key(name), "{line}");
            helped = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(name == helped && ["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(
                name.starts_with("outlive_") && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
                "{line}"
            );
            current = name.to_owned();
            metrics.insert(current.clone(), Metric { kind: kind.to_owned(), ..Metric::default() });
        } else {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = sample.split_once('{').unwrap_or((sample, "}"));
            let metric = metrics.get_mut(&current).unwrap();
            let ends: &[&str] = if metric.kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            assert!(ends.iter().any(|end| name == format!("{current}{end}")), "{line} is not of {current}");
            labels.strip_suffix('}').unwrap().split_terminator(',').for_each(label);
            assert!(
                metric.samples.insert(sample.to_owned(), value.parse().unwrap()).is_none(),
                "{line} is there twice"
            );
        }
    }
    metrics.values().filter(|metric| metric.kind == "histogram").for_each(grows);
    metrics
}

fn label(pair: &str) {
    let (name, value) = pair.split_once("=\"").unwrap();
    assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') && value.ends_with('"'), "{pair}");
}

/// Buckets hold what is below them; the last one holds all.
fn grows(metric: &Metric) {
    let bound = |sample: &str| Some(sample.split_once("le=\"")?.1.trim_end_matches("\"}").parse::<f64>().unwrap());
    let mut buckets: Vec<_> = metric.samples.iter().filter_map(|(name, value)| Some((bound(name)?, *value))).collect();
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    assert!(buckets.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{metric:?}");
    let count = metric.samples.iter().find(|(name, _)| name.ends_with("_count")).unwrap().1;
    assert_eq!(buckets.last().unwrap(), &(f64::INFINITY, *count), "{metric:?}");
}

async fn numbers(server: &Server) -> BTreeMap<String, f64> {
    let answer = server.metrics().await;
    let (head, text) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    let samples = parse(text).into_values().flat_map(|metric| metric.samples);
    samples.filter(|(name, _)| !name.contains("_bucket{")).collect()
}

fn reply(content: Vec<ReplyBlock>, stop_reason: StopReason) -> Reply {
    let usage = Usage { input_tokens: 10, output_tokens: 3, cache_read_tokens: 5, ..Usage::default() };
    Reply { content, stop_reason, usage, model: "m".into(), provider_request_id: None, served_by: None }
}

#[tokio::test]
async fn metrics_are_strict_text_and_count_what_the_conversation_did() {
    let server = Server::start().await;
    let fresh = numbers(&server).await;
    let moving = ["outlive_build_info{version=\"0.1.0\"}"];
    assert!(fresh.iter().all(|(name, value)| *value == 0.0 || moving.contains(&name.as_str())), "{fresh:?}");

    let session = server.session().await;
    let send = ReplyBlock::ToolUse { name: "send".into(), arguments: r#"{"act":"do"}"#.into() };
    server.model_says(reply(vec![ReplyBlock::Text("done".into())], StopReason::EndTurn));
    server.model_says(reply(vec![send.clone()], StopReason::ToolUse));
    let route = format!("/sessions/{session}/messages");
    server.post(&route, json!({"content": "go"})).await;
    server.until(&session, "approving").await;
    let waiting = numbers(&server).await;
    assert_eq!(waiting["outlive_sessions_waiting{status=\"approving\"}"], 1.0);
    assert_eq!(waiting["outlive_sessions_live"], 1.0);
    let inbox = server.get("/inbox").await.1;
    let call = inbox["items"][0]["call"].as_str().unwrap();
    server.post(&format!("/sessions/{session}/approvals/{call}"), json!({"decision": "allow"})).await;
    server.until(&session, "idle").await;
    server.model_says(reply(vec![ReplyBlock::Text("no".into())], StopReason::EndTurn));
    server.model_says(reply(vec![send], StopReason::ToolUse));
    server.post(&route, json!({"content": "again"})).await;
    server.until(&session, "approving").await;
    let inbox = server.get("/inbox").await.1;
    let call = inbox["items"][0]["call"].as_str().unwrap();
    server.post(&format!("/sessions/{session}/approvals/{call}"), json!({"decision": "deny"})).await;
    server.until(&session, "idle").await;

    let after = numbers(&server).await;
    let expected = [
        ("outlive_turns_total{ending=\"complete\"}", 2.0),
        ("outlive_steps_total", 4.0),
        ("outlive_tokens_total{kind=\"input\"}", 40.0),
        ("outlive_tokens_total{kind=\"output\"}", 12.0),
        ("outlive_tokens_total{kind=\"cache_read\"}", 20.0),
        ("outlive_tokens_total{kind=\"cache_write\"}", 0.0),
        ("outlive_calls_total{outcome=\"ok\"}", 1.0),
        ("outlive_calls_total{outcome=\"denied\"}", 1.0),
        ("outlive_turn_duration_seconds_count", 2.0),
        ("outlive_step_duration_seconds_count", 4.0),
        ("outlive_call_duration_seconds_count", 1.0),
        ("outlive_step_failures_total{kind=\"timeout\"}", 0.0),
        ("outlive_sessions_waiting{status=\"approving\"}", 0.0),
        ("outlive_append_failures_total", 0.0),
    ];
    expected.iter().for_each(|(name, value)| assert_eq!(after[*name], *value, "{name}"));
    // A fork's beginning was counted when it happened.
    let (status, _) = server.post(&format!("/sessions/{session}/fork"), json!({})).await;
    assert_eq!(status, 201);
    let forked = numbers(&server).await;
    expected.iter().for_each(|(name, value)| assert_eq!(forked[*name], *value, "{name} after a fork"));
    let names: BTreeSet<&String> = fresh.keys().collect();
    assert_eq!(names, forked.keys().collect(), "no sample appears or goes");
}

#[tokio::test]
async fn what_is_done_about_long_conversations_and_memories_has_a_number_each() {
    let server = Server::start().await;
    let fresh = numbers(&server).await;
    let of = |name: &str| -> BTreeSet<String> {
        let kinds = fresh.keys().filter_map(|sample| sample.strip_prefix(&format!("{name}{{event=\"")));
        kinds.map(|kind| kind.trim_end_matches("\"}").to_owned()).collect()
    };
    // As the journal names them.
    let known = outlive_core::event::Event::NAMES.iter().map(|name| (*name).to_owned());
    let (memory, context): (BTreeSet<String>, BTreeSet<String>) = known
        .filter(|name| ["compaction.", "checkpoint.", "context.", "memory."].iter().any(|kind| name.starts_with(kind)))
        .partition(|name| name.starts_with("memory."));
    assert_eq!((of("outlive_context_total"), of("outlive_memory_total")), (context, memory));
    let session = server.session().await;
    for n in 0..10 {
        let content = format!("{n} {}", "tree ".repeat(200));
        server.post(&format!("/sessions/{session}/messages?wait=30"), json!({ "content": content })).await;
    }
    let (status, begun) = server.post(&format!("/sessions/{session}/compact"), json!({})).await;
    assert_eq!(status, 200, "{begun}");
    while numbers(&server).await["outlive_context_total{event=\"checkpoint.activated\"}"] == 0.0 {
        tokio::task::yield_now().await;
    }
    let after = numbers(&server).await;
    // The model says nothing that can be used: events alone do.
    for (event, count) in [("compaction.started", 2.0), ("compaction.failed", 1.0), ("checkpoint.created", 1.0)] {
        assert_eq!(after[&format!("outlive_context_total{{event=\"{event}\"}}")], count, "{event}");
    }
}

#[tokio::test]
async fn what_the_store_does_not_take_is_counted() {
    let server = Server::start().await;
    let session = server.session().await;
    server.disk_is_full();
    server.post(&format!("/sessions/{session}/messages"), json!({"content": "hi"})).await;
    server.disk_has_room();
    assert!(numbers(&server).await["outlive_append_failures_total"] >= 1.0);
}
