//! `bash` with real processes: what it shows, what it hides, and that nothing of it is left.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests look at files and at this process's own environment"
)]

mod stage;

use std::time::Duration;

use outlive_core::event::Outcome;
use outlive_core::limits::RESULT_BYTES;
use serde_json::json;
use stage::{Stage, lives};

/// Longer than anything here takes, shorter than a person waits: a call that hangs fails its test.
const PATIENCE: Duration = Duration::from_secs(60);

async fn bash(stage: &Stage, command: &str) -> outlive_tools::Finished {
    let arguments = json!({ "command": command, "timeout_ms": 30_000 });
    // Past its patience the call hangs.
    tokio::time::timeout(PATIENCE, stage.run("bash", arguments)).await.unwrap()
}

/// Runs until the call says `ready`, then stops it; every process that it named must be gone.
async fn stopped(command: &str) -> outlive_tools::Finished {
    let mut stage = Stage::new();
    stage.stop_at = Some("ready");
    let finished = bash(&stage, command).await;
    let pids = stage.pids();
    assert!(!pids.is_empty(), "{finished:?}");
    for pid in pids {
        assert!(!lives(pid), "process {pid} of `{command}` lives");
    }
    assert_eq!(std::fs::read_dir(stage.children()).unwrap().count(), 0, "its record is gone");
    finished
}

#[tokio::test]
async fn a_command_shows_its_output_and_how_it_ended() {
    let stage = Stage::new();
    let finished = bash(&stage, "echo out; echo err >&2; pwd; exit 3").await;
    assert_eq!(finished.outcome, Outcome::Error);
    for part in ["out\n", "err\n", stage.place.cwd.to_str().unwrap(), "[exit code 3]"] {
        assert!(finished.content.contains(part), "{finished:?}");
    }
    let details = finished.details.unwrap();
    assert_eq!(
        (&details["exit_code"], &details["signal"], &details["truncated"]),
        (&json!(3), &json!(null), &json!(false))
    );
    assert_eq!(bash(&stage, "true").await.content, "(no output)");
    let killed = bash(&stage, "kill -9 $$").await;
    assert_eq!((killed.outcome, killed.details.unwrap()["signal"].clone()), (Outcome::Error, json!(9)));
}

#[tokio::test]
async fn a_command_has_no_input_no_secret_and_no_descriptor_of_ours() {
    let stage = Stage::new();
    // Test programs run with variables of their own; these stand for the server's keys.
    let secrets: Vec<String> =
        std::env::vars().map(|(name, _)| name).filter(|name| name.starts_with("CARGO")).collect();
    assert!(!secrets.is_empty());
    let finished = bash(&stage, "cat; env; echo; tr '\\0' '\\n' </proc/$$/environ").await;
    let given = ["PATH=", "HOME=", "TERM=", "OUTLIVE_CALL=", "PWD=", "SHLVL=", "_=", "OLDPWD="];
    for line in finished.content.lines().filter(|line| !line.is_empty()) {
        assert!(given.iter().any(|name| line.starts_with(name)), "{line}");
    }
    let inherited = std::fs::File::open("/etc/hosts").unwrap();
    rustix::io::fcntl_setfd(&inherited, rustix::io::FdFlags::empty()).unwrap();
    let finished = bash(&stage, "ls /proc/$$/fd; readlink /proc/$$/fd/0").await;
    assert_eq!(finished.content, "0\n1\n2\n/dev/null\n");
}

#[tokio::test]
async fn the_command_line_reaches_bash_byte_for_byte() {
    let stage = Stage::new();
    let finished = bash(&stage, "printf '%s|' \"a  b\" 'c\"d' $'e\\nf' '$HOME' \\\\ ; echo \"$0 $#\" # '\"").await;
    assert_eq!(finished.content, "a  b|c\"d|e\nf|$HOME|\\|bash 0\n");
    let finished = bash(&stage, "--version").await;
    assert!(finished.content.contains("not found"), "{finished:?}");
}

#[tokio::test]
async fn a_stopped_call_takes_its_whole_group_along() {
    let finished = stopped("sleep 1000 & echo pid $!; echo pid $$; echo ready; wait").await;
    assert_eq!(finished.outcome, Outcome::Interrupted);
    assert!(finished.content.contains("ready") && finished.content.contains("stopped"), "{finished:?}");
}

#[tokio::test]
async fn a_process_that_ignores_the_polite_signal_is_gone_too() {
    let deaf = "(trap '' TERM; echo pid $BASHPID; echo ready; while :; do sleep 1; done)";
    stopped(&format!("trap '' TERM; echo pid $$; {deaf}")).await;
}

#[tokio::test]
async fn grandchildren_in_sessions_of_their_own_are_gone() {
    stopped("setsid bash -c 'echo pid $$; exec sleep 1000' & sleep 0.2; echo pid $$; echo ready; wait").await;
}

#[tokio::test]
async fn daemons_that_fork_twice_are_gone_even_without_the_mark() {
    let daemon = "(env -i setsid /bin/bash -c 'echo pid $$; /bin/sleep 1000 >/dev/null 2>&1 </dev/null & echo pid $!; echo up >up; exec /bin/sleep 1000' &)";
    stopped(&format!("{daemon}; until [ -e up ]; do sleep 0.01; done; echo pid $$; echo ready; sleep 1000")).await;
}

#[tokio::test]
async fn a_stopped_process_is_gone_too() {
    stopped("bash -c 'echo pid $$; kill -STOP $$' & sleep 0.2; echo ready; wait").await;
}

#[tokio::test]
async fn a_command_whose_time_ran_out_is_ended() {
    let stage = Stage::new();
    let finished = stage.run("bash", json!({"command": "echo pid $$; exec sleep 1000", "timeout_ms": 300})).await;
    assert_eq!(finished.outcome, Outcome::Timeout);
    assert!(finished.content.contains("time ran out"), "{finished:?}");
    assert!(stage.pids().into_iter().all(|pid| !lives(pid)) && !stage.pids().is_empty());
}

#[tokio::test]
async fn a_command_that_closed_its_output_is_still_waited_for() {
    let stage = Stage::new();
    let finished = bash(&stage, "echo before; exec >&- 2>&-; sleep 0.3; echo done > done; exit 4").await;
    assert_eq!(finished.content, "before\n[exit code 4]");
    assert!(stage.ws("done").exists());
}

#[tokio::test]
async fn background_processes_that_hold_the_output_do_not_hold_the_call() {
    let stage = Stage::new();
    let finished = bash(&stage, "sleep 1000 & echo pid $!; echo bye").await;
    assert_eq!(finished.outcome, Outcome::Ok);
    assert!(finished.content.contains("bye") && finished.content.contains("left running"), "{finished:?}");
    assert!(stage.pids().into_iter().all(|pid| !lives(pid)) && !stage.pids().is_empty());
}

#[tokio::test]
async fn background_processes_that_let_go_of_the_output_are_ended_too() {
    let stage = Stage::new();
    let finished = bash(&stage, "setsid sleep 1000 >/dev/null 2>&1 & echo pid $!").await;
    assert!(finished.content.contains("left running"), "{finished:?}");
    assert!(stage.pids().into_iter().all(|pid| !lives(pid)) && !stage.pids().is_empty());
}

#[tokio::test]
async fn a_hundred_megabytes_are_bounded_and_kept_up_to_the_limit() {
    let stage = Stage::new();
    let finished = bash(&stage, "head -c 100000000 /dev/zero | tr '\\0' x; echo; echo end").await;
    assert_eq!(finished.outcome, Outcome::Ok);
    assert!(finished.content.len() <= RESULT_BYTES && finished.content.contains("end\n"));
    assert!(finished.content.contains("only the first 8388608 bytes of 100000005 are kept"));
    assert_eq!(finished.details.unwrap()["bytes"], json!(100_000_005));
    assert_eq!(finished.whole.unwrap().len(), 8 << 20);
}

#[tokio::test]
async fn binary_output_is_shown_replaced_and_kept_as_it_was() {
    let stage = Stage::new();
    let finished = bash(&stage, "printf 'a\\377\\000b'").await;
    assert_eq!((finished.content.as_str(), finished.whole.as_deref()), ("a\u{fffd}\0b", Some(&b"a\xff\0b"[..])));
}

#[tokio::test]
async fn a_fork_bomb_ends_with_its_time() {
    let stage = Stage::new();
    let bomb = "f() { echo pid $BASHPID; sleep 0.06; f & f & wait; }; f";
    let finished =
        tokio::time::timeout(PATIENCE, stage.run("bash", json!({"command": bomb, "timeout_ms": 600}))).await.unwrap();
    assert_eq!(finished.outcome, Outcome::Timeout);
    assert!(!finished.content.contains("could not be ended"), "{} bytes of output", finished.content.len());
    assert!(stage.pids().into_iter().all(|pid| !lives(pid)) && !stage.pids().is_empty());
}

#[tokio::test]
async fn a_call_that_is_dropped_leaves_nothing() {
    let mut stage = Stage::new();
    stage.stop_at = Some("ready");
    let invocation = stage.invocation(
        json!({"command": "trap '' TERM; setsid sleep 1000 & echo pid $!; echo pid $$; sleep 0.2; echo ready; wait"}),
    );
    let said = stage.stop.clone();
    let invocation = outlive_tools::Invocation { stop: Default::default(), ..invocation };
    let (tool, _) = stage.tools.prepare("bash", &invocation.arguments.clone(), &stage.place).unwrap();
    tokio::select! {
        _ = tool.run(invocation) => panic!("it does not end by itself"),
        () = said.cancelled() => {}
    }
    let pids = stage.pids();
    assert_eq!(pids.len(), 2);
    // Killed without waiting: the kernel needs a moment.
    tokio::time::timeout(PATIENCE, async {
        while pids.iter().any(|pid| lives(*pid)) {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_call_without_a_record_never_starts() {
    let stage = Stage::new();
    std::fs::write(stage.children(), "in the way").unwrap();
    let finished = bash(&stage, "echo done > done").await;
    assert_eq!(finished.outcome, Outcome::Error);
    assert!(finished.content.contains("not started"), "{finished:?}");
    assert!(!stage.ws("done").exists());
}

/// A child that something else in this process started is neither ended nor collected: whoever started it waits for it.
#[tokio::test]
async fn a_child_that_no_call_started_is_left_to_whoever_did() {
    let stage = Stage::new();
    let mut child = std::process::Command::new("true").spawn().unwrap();
    while lives(child.id()) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    bash(&stage, "setsid sleep 1000 >/dev/null 2>&1 & echo pid $!").await;
    assert!(child.wait().unwrap().success());
}

#[tokio::test]
async fn no_zombies_are_left() {
    let stage = Stage::new();
    bash(&stage, "for i in 1 2 3; do (setsid true &) ; done; setsid sleep 1000 & sleep 0.1").await;
    let own = std::process::id().to_string();
    let is_zombie_of_ours = |stat: String| {
        let rest: Vec<String> =
            stat.rsplit_once(") ").map_or_else(Vec::new, |(_, rest)| rest.split(' ').map(str::to_owned).collect());
        rest.first().is_some_and(|state| state == "Z") && rest.get(1) == Some(&own)
    };
    let stats = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("stat")).ok());
    assert_eq!(stats.filter(|stat| is_zombie_of_ours(stat.clone())).count(), 0);
}

#[tokio::test]
async fn two_calls_at_once_do_not_end_each_other() {
    let (one, other) = (Stage::new(), Stage::new());
    let slow = bash(&one, "setsid bash -c 'sleep 1; echo inner' & wait; echo done");
    let quick = async {
        for _ in 0..5 {
            bash(&other, "setsid sleep 1000 & true").await;
        }
    };
    let (finished, ()) = tokio::join!(slow, quick);
    assert_eq!((finished.outcome, finished.content.as_str()), (Outcome::Ok, "inner\ndone\n"));
}

#[tokio::test]
async fn arguments_are_checked_before_anything_runs() {
    let stage = Stage::new();
    for (arguments, expected) in [
        (json!({}), "command (string, required)"),
        (json!({"command": 1}), "`/command`"),
        (json!({"command": ""}), "do not fit"),
        (json!({"command": "ls", "timeout_ms": 600_001}), "`/timeout_ms`"),
        (json!({"command": "ls", "cwd": "/"}), "cwd"),
        (json!({"command": "a\0b"}), "NUL"),
        (json!({"command": " "}), "empty"),
        (json!([1]), "do not fit"),
    ] {
        let refusal = stage.reach("bash", &arguments).unwrap_err();
        assert!(refusal.contains(expected), "{refusal}");
    }
    assert!(stage.reach("bahs", &json!({})).unwrap_err().contains("did you mean `bash`"));
}
