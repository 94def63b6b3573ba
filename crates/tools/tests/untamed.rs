//! Commands and programs that know no measure: memory is bounded, they end in time, and what became of them is clear.

#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test makes the programs that it runs")]

mod stage;

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use outlive_core::agent::CliTool;
use outlive_core::event::Outcome;
use outlive_core::limits::RESULT_BYTES;
use outlive_tools::Finished;
use outlive_tools::cli::Cli;
use outlive_tools::exec::Exec;
use outlive_tools::registry::Toolbox;
use serde_json::json;
use stage::{Stage, lives};

/// MiB that this process may have at most: what is kept of an output is in a file.
const MOST: u64 = 128;
/// Longer than anything here takes: a call that hangs fails its test.
const PATIENCE: Duration = Duration::from_secs(900);

/// Time of a call, in milliseconds: whoever prints without end is ended then.
const LIMIT_MS: u64 = 30_000;

/// Does what its first word says.
const UNTAMED: &str = r#"#!/bin/bash
case $1 in
flood) echo begin; head -c 10G /dev/zero ;;
binary) head -c 1M /dev/urandom; exit 3 ;;
closed) echo before; exec >&- 2>&-; sleep 0.2; exit 4 ;;
deaf) trap '' TERM; (trap '' TERM; echo pid $BASHPID; while :; do sleep 1; done) & echo pid $$; sleep 0.2; echo ready
  while :; do sleep 1; done ;;
forks) for _ in {1..30}; do (setsid bash -c 'trap "" TERM; echo pid $$; while :; do sleep 1; done' &); done
  sleep 1; echo ready; while :; do sleep 1; done ;;
esac
"#;

/// How the same is started.
#[derive(Debug, Clone, Copy)]
enum Way {
    Bash,
    Cli,
}

/// Runs it; stops it once it says `ready`.
async fn run(way: Way, what: &str) -> (Finished, Stage) {
    let mut stage = Stage::new();
    stage.stop_at = Some("ready");
    let path = stage.ws("untamed");
    std::fs::write(&path, UNTAMED).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (tool, arguments) = match way {
        Way::Bash => ("bash", json!({"command": format!("./untamed {what}"), "timeout_ms": LIMIT_MS})),
        Way::Cli => ("cli_untamed", json!({"args": [what], "timeout_ms": LIMIT_MS})),
    };
    if let Way::Cli = way {
        let run = stage.children().parent().unwrap().to_owned();
        let exec = Arc::new(Exec::new([], &run, &stage.children()).keeping(8 << 20));
        let tool = CliTool {
            name: "untamed".to_owned(),
            description: "knows no measure".to_owned(),
            command: path.to_str().unwrap().to_owned(),
            readme: String::new(),
            secrets: Vec::new(),
        };
        stage.tools = Toolbox::new(vec![Arc::new(Cli::new(exec, tool, &stage.place.cwd))]);
    }
    let finished = tokio::time::timeout(PATIENCE, stage.run(tool, arguments)).await.unwrap();
    assert!(!finished.content.contains("no tool"), "{}", finished.content);
    assert_eq!(std::fs::read_dir(stage.children()).unwrap().count(), 0, "its record is gone");
    assert!(finished.content.len() <= RESULT_BYTES + 1_000, "{}", finished.content.len());
    (finished, stage)
}

fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
}

async fn flood(way: Way) {
    let (finished, _stage) = run(way, "flood").await;
    // Whether all of it comes within the limit is this machine's affair.
    assert!(matches!(finished.outcome, Outcome::Ok | Outcome::Timeout), "{way:?}: {:.300}", finished.content);
    assert!(finished.content.starts_with("begin") && finished.whole.is_none_or(|whole| whole.len() <= 8 << 20));
    assert!(peak() < MOST, "{way:?}: {} MiB", peak());
}

#[tokio::test]
async fn ten_gigabytes_of_a_command_are_bounded() {
    flood(Way::Bash).await;
}

#[tokio::test]
async fn ten_gigabytes_of_a_program_are_bounded() {
    flood(Way::Cli).await;
}

#[tokio::test]
async fn what_is_no_text_or_comes_to_no_end_is_told_clearly() {
    for way in [Way::Bash, Way::Cli] {
        let (binary, _stage) = run(way, "binary").await;
        assert_eq!(binary.outcome, Outcome::Error, "{way:?}");
        assert!(
            binary.content.contains("[exit code 3]"),
            "{way:?}: {:?}",
            &binary.content[binary.content.len() - 50..]
        );
        let (closed, _stage) = run(way, "closed").await;
        assert_eq!((closed.outcome, closed.content.as_str()), (Outcome::Error, "before\n[exit code 4]"), "{way:?}");
    }
}

#[tokio::test]
async fn what_is_deaf_or_forks_into_sessions_of_its_own_is_ended_whole() {
    for way in [Way::Bash, Way::Cli] {
        for (what, at_least) in [("deaf", 2), ("forks", 30)] {
            let (finished, stage) = run(way, what).await;
            assert_eq!(finished.outcome, Outcome::Interrupted, "{way:?} {what}: {finished:?}");
            let pids = stage.pids();
            assert!(pids.len() >= at_least, "{way:?} {what}: {finished:?}");
            assert!(pids.into_iter().all(|pid| !lives(pid)), "{way:?} {what}");
        }
    }
}
